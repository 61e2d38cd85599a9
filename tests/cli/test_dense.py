"""From the command line: dense fields predicted, stored, and scored as flow and label transfer."""

import json
from pathlib import Path

import pytest

from tests.builders.layouts_dense import caltech_root, tss_root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tss.h5 and caltech.h5."""
    from jladkit.builders import caltech101, tss
    from jladkit.builders.options import Job

    top = tmp_path_factory.mktemp("dense")
    tss.build(tss_root(top / "tss"), tss.Options(), Job(out=top / "tss.h5"))
    caltech101.build(
        caltech_root(top / "caltech"), caltech101.Options(), Job(out=top / "caltech.h5")
    )
    return top


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("tss.h5", ["--metric", "flow", "--alpha", "0.05", "0.4"]),
        ("tss.h5", ["--metric", "transfer"]),
        ("caltech.h5", ["--metric", "transfer"]),
        ("caltech.h5", ["--metric", "transfer", "--protocol", "hpf-polygons"]),
    ],
)
def test_stored_predictions_score_as_those_made_on_the_spot(folder, jladkit, tmp_path, data, words):
    said = tmp_path / "said.h5"
    code, _, err = jladkit("predict", "--data", folder / data, "--method", "identity", "--out", said,
                           "--dense", 64, "--quiet")  # fmt: skip
    assert code == 0, err
    results = []
    for given in (("--predictions", said), ("--method", "identity")):
        code, out, err = jladkit("evaluate", "--data", folder / data, *given, *words, "--json")
        assert code == 0, err
        results.append(json.loads(out)["results"])
    assert results[0] == results[1]
    assert any(0 < row["value"] < 1 for row in results[0])


def test_a_score_is_shown_stored_and_reported(folder, jladkit, tmp_path):
    for data, metric, words in (
        ("tss.h5", "flow", ["alpha", "0.05", "mean of categories", "8 pairs.", "FG3DCar"]),
        ("caltech.h5", "transfer", ["lt-acc", "iou", "loc-err", "less is better", "airplanes"]),
    ):
        code, out, err = jladkit("evaluate", "--data", folder / data, "--metric", metric, "--method",
                                 "identity", "--out", tmp_path / "results")  # fmt: skip
        assert code == 0, err
        assert all(word in out for word in words), out
    code, _, err = jladkit("report", tmp_path / "results", "--out", tmp_path / "report")
    assert code == 0, err
    page = (tmp_path / "report/index.html").read_text()
    assert "flow@0.05" in page and "loc-err" in page


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--metric", "transfer", "--alpha", "0.1"], 2, "Label transfer has no alpha"),
        (["--metric", "flow", "--protocol", "rocco-masks"], 2, "Unknown protocol 'rocco-masks'"),
        (["--metric", "flow"], 1, "has true flow"),
        (["--metric", "pck"], 1, "has a keypoint that is visible in both images"),
    ],
)
def test_what_cannot_be_scored_ends_with_a_sentence(folder, jladkit, words, code, text):
    found, _, err = jladkit("evaluate", "--data", folder / "caltech.h5", "--method", "identity", *words)  # fmt: skip
    assert found == code
    assert text in err


def test_predictions_without_a_field_are_told_how_to_get_one(folder, jladkit, tmp_path):
    said = tmp_path / "said.h5"
    jladkit(
        "predict", "--data", folder / "tss.h5", "--method", "identity", "--out", said, "--quiet"
    )
    code, _, err = jladkit("evaluate", "--data", folder / "tss.h5", "--predictions", said,
                           "--metric", "flow")  # fmt: skip
    assert code == 1
    assert "Run: jladkit predict --dense 64" in err
