"""MTFL and its AFLW faces: lists, tars, splits that keep the two lists apart."""

import numpy as np
import pytest

from jladkit.builders import mtfl
from jladkit.builders.options import Job
from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset, open_dataset
from tests.builders.layouts_faces import as_tar, mtfl_root, points_of


def build(root, out, **options) -> Dataset:
    mtfl.build(root, mtfl.Options(**options), Job(out=out))
    return open_dataset(out)


def test_rows_are_x_then_y_and_counted_from_one(tmp_path):
    data = build(mtfl_root(tmp_path / "in"), tmp_path / "a.h5")
    wanted = np.array(points_of(4)).reshape(5, 2) * 0.4
    np.testing.assert_allclose(data.object_keypoints[4], wanted, atol=1e-4)
    assert data.object_source_image[4] == "AFLW/004.jpg"
    assert len(data.object_category) == 12
    assert data.image(0).mode == "RGB"
    assert np.bincount(data.pair_split, minlength=3).min() > 0


def test_a_tar_gives_what_its_folder_gives(tmp_path):
    root = mtfl_root(tmp_path / "in")
    (tmp_path / "holds one").mkdir()
    tar = as_tar(root, tmp_path / "holds one" / "mtfl.tar")
    plain = build(root, tmp_path / "a.h5").path.read_bytes()
    assert build(tar, tmp_path / "b.h5").path.read_bytes() == plain
    assert build(tar.parent, tmp_path / "c.h5").path.read_bytes() == plain


def test_all_keeps_the_two_lists_in_different_splits(tmp_path):
    data = build(mtfl_root(tmp_path / "in"), tmp_path / "a.h5", list="all")
    aflw = np.array([path.startswith("AFLW") for path in data.object_source_image])
    assert (data.object_split[aflw] == 2).all()
    assert set(data.object_split[~aflw]) == {0, 1}


def test_a_broken_row_is_counted_and_missing_pictures_stop(tmp_path):
    root = mtfl_root(tmp_path / "in")
    path = root / "testing.txt"
    rows = path.read_text().split("\n")
    path.write_text("\n".join([*rows[:3], "AFLW/x.jpg 1 2", "../x.jpg " + "1 " * 10, *rows[3:]]))
    data = build(root, tmp_path / "a.h5")
    assert data.source["left_out"] == {"row broken": 2}
    (root / "AFLW/002.jpg").unlink()
    with pytest.raises(JladkitError, match=r"(?s)1 of the files.*AFLW/002\.jpg.*--allow-missing"):
        build(root, tmp_path / "b.h5")


@pytest.mark.parametrize("kind", ["empty folder", "broken tar", "page"])
def test_what_is_not_mtfl_is_refused_by_name(tmp_path, kind):
    root = tmp_path / "in"
    if kind == "page":
        mtfl_root(root)
        (root / "testing.txt").write_text("<html><body>quota exceeded")
    elif kind == "broken tar":
        root.write_bytes(b"no tar" * 200)
    else:
        root.mkdir()
    words = {"empty folder": "not in MTFL's layout", "broken tar": "is no plain tar",
             "page": "testing.txt is a web page"}  # fmt: skip
    with pytest.raises(JladkitError, match=words[kind]):
        build(root, tmp_path / "a.h5")
