"""Methods of others by the command line: what is run, and what is said of what is none."""

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Typed

METHOD = """
class Theirs:
    name, size, config = "theirs", 32, {}

    @classmethod
    def prepare(cls, data, device):
        return cls()

    def transfer(self, source, target, points, category):
        return points
"""


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder on the path with their_own.py, to be written anew by each test."""
    monkeypatch.delitem(sys.modules, "their_own", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "their_own.py"


def test_a_method_of_an_installed_package_is_scored_by_its_name(
    jladkit: Typed, theirs: Path, dots_path: Path
):
    theirs.write_text(METHOD)
    info = theirs.parent / "their_own-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-own\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[jladkit.methods]\ntheirs = their_own:Theirs\n")
    code, out, err = jladkit("evaluate", "--data", dots_path, "--method", "theirs")
    assert code == 0, err
    assert "PCK of theirs on dots" in out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ('"theirs", 32, {}', '"theirs", 32, {"a": float("nan")}'),
            "config must be a dict that JSON",
        ),
        (('"theirs", 32, {}', '"theirs", 32, {"a": object()}'), "config must be a dict that JSON"),
        (('"theirs", 32, {}', '"theirs", 32, [1]'), "config must be a dict that JSON"),
        (
            ('"theirs", 32, {}', '"theirs", "32", {}'),
            "size must be a number of pixels, but is '32'",
        ),
        (("name, size, config", "name, side, config"), "is no method: it has no size. jladkit/met"),
        (("def transfer", "def match"), "is no method: it has no transfer or detect"),
        (("def prepare", "def make"), "is no method: it can neither be prepared nor trained"),
        (
            ("return points", "return points[:, :1]"),
            r"theirs.transfer must return floats of size (",
        ),
        (("return points", "return None"), "but returned a NoneType"),
    ],
)
def test_what_is_no_method_is_told_what_it_lacks(
    jladkit: Typed, theirs: Path, dots_path: Path, change: tuple[str, str], words: str
):
    theirs.write_text(METHOD.replace(*change))
    code, out, err = jladkit("evaluate", "--data", dots_path, "--method", "their_own:Theirs")
    assert code in (1, 2) and out == "", err
    assert words in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("their_owm:Theirs", "No module named 'their_owm'. Looked in the current folder and"),
        ("their_own:Them", "has no Them"),
        ("their_own.Theirs", "Unknown method 'their_own.Theirs'"),
        ("their own:Theirs", "does not spell a method as module:Class"),
    ],
)
def test_a_method_that_is_not_there_is_a_sentence(
    jladkit: Typed, theirs: Path, dots_path: Path, method: str, words: str
):
    theirs.write_text(METHOD)
    code, out, err = jladkit("evaluate", "--data", dots_path, "--method", method)
    assert (code, out) == (2, ""), err
    assert words in err and "Traceback" not in err


OFFICIAL = """
    @classmethod
    def load_official(cls, path, device):
        print("read", path.name)
        return cls()
"""


def test_weights_of_a_methods_authors_are_read_where_the_method_is_named_too(
    jladkit: Typed, theirs: Path, dots_path: Path
):
    theirs.write_text(METHOD + OFFICIAL)
    words = ("--data", dots_path, "--checkpoint", theirs.parent / "best.pth.tar")
    stored = theirs.parent / "stored.h5"
    for command, more in (("evaluate", ()), ("predict", ("--out", stored))):
        code, out, err = jladkit(command, *words, "--method", "their_own:Theirs", *more)
        assert code == 0 and "read best.pth.tar" in out, err
    code, out, err = jladkit("evaluate", *words, "--method", "identity")
    assert (code, out) == (2, "") and "identity reads no weights of its authors" in err
    code, out, err = jladkit("predict", "--data", dots_path, "--out", stored, "--overwrite")
    assert (code, out) == (2, "") and "Give --method or --checkpoint." in err


def test_a_methods_settings_are_given_and_told(jladkit: Typed, dots_path: Path):
    words = ["--set", "model.layers=['blocks.2']", "--set", "model.size=64", "--json"]
    options = ["evaluate", "--data", dots_path, "--method", "nearest", *words]
    code, out, err = jladkit(*options, "--set", "model.readout=window")
    assert code == 0, err
    assert json.loads(out)["config"]["readout"] == "window"
    code, out, err = jladkit(*options, "--set", "model.readout=mean")
    assert (code, out) == (2, "") and "one of argmax, soft, window, kernel" in err
    code, out, err = jladkit("evaluate", "--data", dots_path, "--predictions", "x", *words)
    assert (code, out) == (2, "") and "--set is about a method that is run" in err


def test_a_checkpoint_of_the_authors_needs_a_method_that_reads_them(
    jladkit: Typed, dots_path: Path, tmp_path: Path
):
    page = tmp_path / "page.pth.tar"
    page.write_text("<html>")
    options = ["evaluate", "--data", dots_path, "--checkpoint", page]
    code, out, err = jladkit(*options, "--method", "ncnet")
    assert (code, out) == (1, "") and "page.pth.tar cannot be read as a checkpoint of" in err
    code, out, err = jladkit(*options, "--method", "identity")
    assert (code, out) == (2, "") and "identity reads no weights of its authors" in err
    code, out, err = jladkit(*options, "--set", "model.size=64")
    assert (code, out) == (2, "") and "--set is for a method without --checkpoint" in err
