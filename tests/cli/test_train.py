"""jladkit train and predict as a user calls them: the whole way, and what ends it in a sentence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Typed

TINY = [
    "model.size=64",
    "model.layers=['blocks.2']",
    "model.width=16",
    "model.landmarks=2",
    "model.radius=2",
    "train.batch=4",
    "train.synthetic_steps=2",
    "train.rounds=1",
    "train.align_steps=1",
    "train.detect_steps=1",
]


@pytest.fixture(scope="module")
def run(dots_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training of four steps."""
    out = tmp_path_factory.mktemp("cli") / "run"
    settings = [word for setting in TINY for word in ("--set", setting)]
    words = ["train", "--data", dots_path, "--method", "joint", "--out", out, *settings]
    command = [sys.executable, "-m", "jladkit", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "model.safetensors" in done.stderr
    return out


def test_a_trained_model_is_predicted_and_scored(
    jladkit: Typed, dots_path: Path, run: Path, tmp_path: Path
):
    stored = tmp_path / "joint.h5"
    code, _, err = jladkit("predict", "--data", dots_path, "--checkpoint", run, "--out", stored)
    assert code == 0, err
    values = {}
    for source in (("--predictions", stored), ("--checkpoint", run / "model.safetensors")):
        code, out, err = jladkit(
            "evaluate", "--data", dots_path, *source, "--metric", "pck", "--json"
        )
        assert code == 0, err
        record = json.loads(out)
        values[source[0]] = [row["value"] for row in record["results"]]
        assert record["method"] == "joint"
    assert values["--predictions"] == values["--checkpoint"]


def one_sentence(done: tuple[int, str, str], code: int, words: str) -> None:
    assert done[:2] == (code, ""), done
    assert words in done[2]


def test_bad_usage_ends_with_two_and_a_sentence(
    jladkit: Typed, dots_path: Path, run: Path, tmp_path: Path
):
    data, out = ("--data", dots_path), ("--out", tmp_path / "new")
    one_sentence(jladkit("train", *data, *out, "--method", "jiont"), 2, "Did you mean 'joint'?")
    one_sentence(
        jladkit("train", *data, *out, "--method", "joint", "--recipe", "gpu"), 2, "cpu, paper"
    )
    one_sentence(jladkit("train", *data, *out, "--method", "identity"), 2, "not one to train")
    one_sentence(
        jladkit("train", *data, "--out", run, "--method", "joint"), 2, "holds a run already"
    )
    under = ("--out", dots_path / "new")
    one_sentence(jladkit("train", *data, *under, "--method", "joint"), 1, "is no folder")
    one_sentence(jladkit("train", *data, *out, "--method", "nothing.like:This"), 2, "nothing.like")
    assert not (tmp_path / "new").exists()


def test_bad_files_end_with_one_and_a_sentence(
    jladkit: Typed, dots_path: Path, run: Path, tmp_path: Path
):
    out = ("--out", tmp_path / "new.h5")
    page = tmp_path / "page.h5"
    page.write_text("<html>")
    one_sentence(jladkit("predict", "--data", page, "--method", "identity", *out), 1, str(page))
    missing = tmp_path / "none.h5"
    one_sentence(jladkit("predict", "--data", missing, "--method", "identity", *out), 1, "no file")
    one_sentence(
        jladkit("predict", "--data", dots_path, "--checkpoint", page, *out),
        1,
        "not a jladkit checkpoint",
    )
    one_sentence(
        jladkit("predict", "--data", dots_path, "--checkpoint", run / "log.jsonl", *out),
        1,
        "not a jladkit checkpoint",
    )
    assert not (tmp_path / "new.h5").exists()
