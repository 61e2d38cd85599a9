"""jladkit carry as a user calls it."""

from pathlib import Path

from jladkit.formats.predictions import open_predictions
from tests.cli.conftest import Typed


def test_landmarks_become_an_aligner_that_can_be_scored(
    jladkit: Typed, dots_path: Path, tmp_path: Path
):
    found, carried = tmp_path / "found.h5", tmp_path / "carried.h5"
    words = ("predict", "--data", dots_path, "--method", "mean-shape", "--quiet", "--out", found)
    code, _, err = jladkit(*words)
    assert code == 0, err
    code, _, err = jladkit("carry", "--data", dots_path, "--predictions", found, "--out", carried)
    assert code == 0, err
    assert open_predictions(carried).method == "mean-shape-landmarks"
    code, out, err = jladkit("evaluate", "--data", dots_path, "--predictions", carried)
    assert code == 0 and "mean-shape-landmarks" in out, err


def test_what_has_no_landmarks_is_refused_and_nothing_is_written(
    jladkit: Typed, dots_path: Path, tmp_path: Path
):
    found, carried = tmp_path / "found.h5", tmp_path / "carried.h5"
    jladkit("predict", "--data", dots_path, "--method", "identity", "--quiet", "--out", found)
    code, _, err = jladkit("carry", "--data", dots_path, "--predictions", found, "--out", carried)
    assert code == 1 and "hold no landmarks" in err and not carried.exists()
    code, _, err = jladkit(
        "carry", "--data", dots_path, "--predictions", found, "--split", "val", "--out", carried
    )
    assert code == 1 and "is about the split test, not val" in err
