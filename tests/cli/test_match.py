"""jladkit match and detect on photographs that belong to no data set."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jladkit.cli.match import parse_points, spread
from jladkit.errors import UsageError
from jladkit.reports.own import warped
from jladkit.training.own import detect
from tests.cli.conftest import Typed


@pytest.fixture
def photographs(tmp_path: Path) -> list[Path]:
    """Two pictures of 40 x 20 and 60 x 90 pixels."""
    generator = np.random.default_rng(0)
    paths = [tmp_path / "a.jpg", tmp_path / "b.png"]
    for path, (width, height) in zip(paths, [(40, 20), (60, 90)], strict=True):
        pixels = generator.integers(0, 255, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return paths


def test_identity_carries_a_point_to_its_relative_place(
    jladkit: Typed, photographs: list[Path], tmp_path: Path
):
    out = tmp_path / "out"
    code, _, err = jladkit("match", *photographs, "--method", "identity", "--points", "-0.5,19.5",
                           "--points", "19.5,9.5", "--out", out)  # fmt: skip
    assert code == 0, err
    found = json.loads((out / "match.json").read_text())
    ends = [row["target"] for row in found["points"]]
    assert np.allclose(ends, [[-0.5, 89.5], [29.5, 44.5]], atol=1e-4)
    assert [row["log_sigma"] for row in found["points"]] == [None, None]
    assert Image.open(out / "match.png").size[0] > 500


def test_points_are_spread_over_the_picture_where_none_are_given(
    jladkit: Typed, photographs: list[Path], tmp_path: Path
):
    code, _, err = jladkit("match", *photographs, "--method", "nearest", "--out", tmp_path / "out")
    assert code == 0, err
    rows = json.loads((tmp_path / "out" / "match.json").read_text())["points"]
    assert len(rows) == 36
    assert np.allclose(spread(12, 6)[[0, -1]], [[0.5, 0.0], [10.5, 5.0]])


def test_several_points_follow_one_option_and_are_printed(
    jladkit: Typed, photographs: list[Path], tmp_path: Path
):
    code, out, err = jladkit("match", *photographs, "--method", "identity", "--points", "3.5,1.5",
                             "19.5,9.5", "--out", tmp_path / "out")  # fmt: skip
    assert code == 0, err
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["point", "source", "x,y", "target", "x,y"]
    assert lines[2:] == [["0", "3.5,1.5", "5.5,8.5"], ["1", "19.5,9.5", "29.5,44.5"]]


def test_a_point_outside_the_source_is_refused_before_anything_is_loaded(
    jladkit: Typed, photographs: list[Path], tmp_path: Path
):
    code, _, err = jladkit("match", *photographs, "--checkpoint", tmp_path / "none", "--points",
                           "41,3", "--out", tmp_path / "out")  # fmt: skip
    assert code == 2 and "--points 41,3 lies outside" in err and "40 x 20 pixels" in err


class ThreePoints:
    """A detector of two categories."""

    name, size, config, categories = "three", 8, {}, ("cat", "dog")

    def detect(self, images: Any, category: Any) -> Any:
        import torch

        return torch.full((len(images), 3, 2), 3.5)


def test_a_detector_of_several_categories_must_be_told_which():
    picture = Image.new("RGB", (16, 32))
    with pytest.raises(UsageError, match="one of cat, dog, not ''"):
        detect(ThreePoints(), [picture], "")
    assert np.allclose(detect(ThreePoints(), [picture], "dog"), [[[7.5, 15.5]] * 3])


def test_a_photograph_is_turned_as_its_camera_says(
    jladkit: Typed, photographs: list[Path], tmp_path: Path
):
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown a quarter turn to the right
    Image.open(photographs[0]).save(turned, exif=exif)
    code, _, err = jladkit("match", turned, photographs[1], "--method", "identity",
                           "--points", "19.5,39.5", "--out", tmp_path / "out")  # fmt: skip
    assert code == 0, err
    row = json.loads((tmp_path / "out" / "match.json").read_text())["points"][0]
    assert np.allclose(row["target"], [59.5, 89.5], atol=1e-4)


@pytest.mark.parametrize("words", ["1", "1,2,3", "a,b", "nan,1"])
def test_points_that_are_none_are_refused(words: str):
    with pytest.raises(UsageError, match="--points must be"):
        parse_points((words,))


def test_a_file_that_is_no_picture_and_one_that_is_not_there_are_named(
    jladkit: Typed, photographs: list[Path], tmp_path: Path
):
    wrong = tmp_path / "wrong.jpg"
    wrong.write_text("no picture")
    for path, words in ((wrong, "must be a picture"), (tmp_path / "none.jpg", "There is no file")):
        done = jladkit(
            "match", photographs[0], path, "--method", "identity", "--out", tmp_path / "o"
        )
        assert done[0] == 1 and words in done[2] and path.name in done[2]
    assert not (tmp_path / "o").exists()


def test_a_method_that_needs_a_data_set_or_finds_no_landmarks_is_refused(
    jladkit: Typed, photographs: list[Path], tmp_path: Path
):
    for method, words in (("mean-shape", "prepared on a data set"), ("identity", "no landmarks")):
        code, _, err = jladkit("detect", *photographs, "--method", method, "--out", tmp_path / "o")
        assert code == 2 and words in err


def test_landmarks_of_a_trained_model_are_drawn_and_listed(
    jladkit: Typed, photographs: list[Path], run: Path, tmp_path: Path
):
    words = ["detect", *photographs, "--checkpoint", run, "--out", tmp_path / "out"]
    code, _, err = jladkit(*words, "--category", "kind1")
    assert code == 2 and "--category must be one of kind0" in err and "Did you mean 'kind0'?" in err
    code, _, err = jladkit(*words)  # of one category it need not be told
    assert code == 0, err
    with (tmp_path / "out" / "landmarks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["landmark"] for row in rows] == ["0", "1", "0", "1"]
    assert all(-0.5 <= float(row["x"]) <= 59.5 for row in rows)
    assert (tmp_path / "out" / "landmarks.png").exists()


def test_a_field_that_is_the_identity_warps_a_picture_to_itself():
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    y, x = np.mgrid[:8, :8].astype(float)
    same = warped(Image.fromarray(pixels), np.stack([x, y], axis=2), (8, 8))
    assert np.array_equal(same, pixels)
    away = warped(Image.fromarray(pixels), np.stack([x + 4, y], axis=2), (8, 8))
    assert np.array_equal(away[:, :4], pixels[:, 4:]) and (away[:, 4:] == 255).all()
