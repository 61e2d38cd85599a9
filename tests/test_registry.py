"""Names: how they are found, and what is said when they are not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jladkit import registry
from jladkit.errors import UsageError


def test_a_typo_is_answered_with_the_nearest_name():
    with pytest.raises(UsageError, match=r"Unknown method 'jiont'. Did you mean 'joint'\?"):
        registry.load("method", "jiont")


def test_a_module_and_class_need_no_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "mine_alone.py").write_text("class Mine:\n    name = 'mine'\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.load("method", "mine_alone:Mine").name == "mine"


@pytest.mark.parametrize("name", ["no.such.module:X", "jladkit.errors:Nothing"])
def test_a_module_or_class_that_is_not_there_is_a_usage_error(name: str):
    with pytest.raises(UsageError, match="There is no method"):
        registry.load("method", name)


@pytest.mark.parametrize("name", [":", "a:", ":b", "..a:b", "a b:c"])
def test_what_is_no_module_and_class_is_a_usage_error(name: str):
    with pytest.raises(UsageError, match="does not spell a method"):
        registry.load("method", name)


def test_a_failing_import_inside_a_users_module_stays_a_failing_import(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "mine_broken.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        registry.load("method", "mine_broken:Mine")


def test_a_file_in_the_current_folder_is_found_and_hides_no_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "mine_here.py").write_text("class Mine:\n    name = 'here'\n")
    (tmp_path / "difflib.py").write_text("raise SystemExit('hidden')\n")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    monkeypatch.delitem(sys.modules, "difflib")
    monkeypatch.chdir(tmp_path)
    assert registry.load("method", "mine_here:Mine").name == "here"
    assert registry.load("method", "difflib:get_close_matches").__name__ == "get_close_matches"
    assert sys.path[-1] == ""


def test_a_name_of_the_table_does_not_open_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    monkeypatch.chdir(tmp_path)
    registry.load("metric", "pck")
    assert "" not in sys.path


def test_python_that_was_told_to_leave_the_folder_out_does(tmp_path: Path):
    (tmp_path / "mine_safe.py").write_text("class Mine: ...\n")
    code = (
        "from jladkit import registry; from jladkit.errors import UsageError\n"
        "try: registry.load('method', 'mine_safe:Mine')\n"
        "except UsageError as error: print(error)"
    )
    words = [sys.executable, "-P", "-c", code]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(
        words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=True
    )
    assert "No module named 'mine_safe'. Looked among installed packages; PYTHONPATH" in done.stdout


def test_what_was_looked_for_and_where_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with pytest.raises(UsageError, match="Looked in the current folder and among installed"):
        registry.load("method", "no_such_module:Mine")
    (tmp_path / "mine_other.py").write_text("class Other: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"mine_other \(.*mine_other\.py\) has no Mine"):
        registry.load("method", "mine_other:Mine")


def installed(folder: Path, entry_points: str) -> None:
    """A package of one module in `folder`, as pip leaves it there."""
    (folder / "their_method.py").write_text("class Theirs:\n    name = 'theirs'\n")
    info = folder / "their_method-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-method\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def test_an_installed_package_adds_its_method_by_an_entry_point(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    installed(tmp_path, "[jladkit.methods]\ntheirs = their_method:Theirs [extra]\n")
    assert "theirs" not in registry.names("method")
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.names("method")["theirs"] == "their_method:Theirs"
    assert registry.load("method", "theirs").name == "theirs"
    with pytest.raises(UsageError, match="Did you mean 'theirs'"):
        registry.load("method", "their")


def test_an_entry_point_does_not_replace_a_method_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    installed(tmp_path, "[jladkit.methods]\nidentity = their_method:Theirs\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.load("method", "identity").__module__ == "jladkit.baselines.floors"
