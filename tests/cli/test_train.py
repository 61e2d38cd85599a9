"""jladkit train and predict as a user calls them: the whole way, and what ends it in a sentence."""

import json
from pathlib import Path

from tests.cli.conftest import Typed


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
        jladkit("train", *data, *out, "--method", "joint", "--recipe", "gpu"),
        2,
        "cpu, faces, faces-tuned, fine, paper",
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
