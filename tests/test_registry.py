"""Names: how they are found, and what is said when they are not."""

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
