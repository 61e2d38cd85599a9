"""PF-PASCAL's lists: official splits, untouched pictures, 1-based keypoints."""

from pathlib import Path

import numpy as np
import pytest

from jladkit.builders import pf_pascal
from jladkit.builders.build import Job
from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset, open_dataset
from tests.builders.layouts import picture

FOLDER = "PF-dataset-PASCAL/JPEGImages"
TRAIN = [("a", "b", 8, 0), ("a", "b", 8, 1), ("c", "d", 8, 0), ("c", "d", 8, 1)]
TEST = ["e,f,12,11;21;31,6;7;8,12;22;32,9;10;11", "a,b,8,1;80,1;60,5;6,7;8"]


def pf_root(root: Path, test: list[str] = TEST) -> Path:
    for name in "abcdef":
        picture(root / FOLDER / f"{name}.jpg")
    lists = {
        "train": ["source_image,target_image,class,flip", *[",".join(map(str, r)) for r in TRAIN]],
        "val": ["source_image,target_image,class,flip", "c,e,12,0"],
        "test": ["source_image,target_image,class,XA,YA,XB,YB", *test],
    }
    (root / "image_pairs").mkdir(parents=True, exist_ok=True)
    for split, (head, *rows) in lists.items():
        full = [",".join(named(row.split(","))) for row in rows]
        (root / f"image_pairs/{split}_pairs.csv").write_text("\n".join([head, *full]) + "\n")
    return root


def named(cells: list[str]) -> list[str]:
    return [f"{FOLDER}/{cell}.jpg" for cell in cells[:2]] + cells[2:]


def build(root: Path, out: Path, strict: bool = False) -> Dataset:
    pf_pascal.build(root, pf_pascal.Options(), Job(out=out, strict=strict))
    return open_dataset(out)


def test_official_splits_stay_and_mirrored_rows_go(tmp_path, capsys):
    data = build(pf_root(tmp_path / "in"), tmp_path / "a.h5")
    assert np.bincount(data.pair_split).tolist() == [2, 1, 2]
    assert data.categories == ["cat", "dog"]
    assert data.source["left_out"] == {pf_pascal.MIRRORED: 2}
    assert data.source["test_pairs_in_train"] == 1
    assert data.source["leakage"] == 0.5
    assert "1 of 2 test pairs stand in the train list" in capsys.readouterr().err


def test_keypoints_are_0_based_and_belong_to_the_pair(tmp_path):
    data = build(pf_root(tmp_path / "in"), tmp_path / "a.h5")
    dog, cat = data.pairs("test")
    source = data.pair_source[dog]
    np.testing.assert_allclose(data.object_keypoints[source], [[10, 5], [20, 6], [30, 7]])
    np.testing.assert_allclose(data.object_box[source], [10, 5, 30, 7])
    assert data.pair_common.tolist() == [0, 0, 0, 3, 2]
    assert data.keypoint_names[0] == ["kp00", "kp01", "kp02"]
    assert (data.category_flip == -1).all()
    np.testing.assert_allclose(data.object_keypoints[data.pair_target[cat], :2], [[4, 6], [5, 7]])


def test_pictures_are_the_files_own_bytes_kept_once(tmp_path):
    root = pf_root(tmp_path / "in")
    data = build(root, tmp_path / "a.h5")
    for row, name in enumerate(data.object_source_image):
        assert data.encoded(row) == (root / name).read_bytes()
    different = {(root / name).read_bytes() for name in data.object_source_image}
    assert len(np.unique(data.object_image_span, axis=0)) == len(different)


def test_an_object_without_keypoints_has_the_whole_picture_as_its_box(tmp_path):
    data = build(pf_root(tmp_path / "in"), tmp_path / "a.h5")
    row = data.pair_source[data.pairs("train")[0]]
    np.testing.assert_array_equal(data.object_box[row], [-0.5, -0.5, 79.5, 59.5])
    assert np.bincount(data.object_split).tolist() == [4, 2, 4]


def test_rows_without_pictures_are_counted_or_stop(tmp_path):
    root = pf_root(tmp_path / "in")
    (root / FOLDER / "d.jpg").unlink()
    data = build(root, tmp_path / "a.h5")
    assert data.source["left_out"]["row of train whose pictures are not here"] == 1
    with pytest.raises(JladkitError, match=r"no picture .*d\.jpg"):
        build(root, tmp_path / "b.h5", strict=True)


@pytest.mark.parametrize(
    "row",
    ["a,b,21,1,1,2,2", "a,b,x,1,1,2,2", "a,b,8,1;2,1,2,2", "a,b,8,1,1,2;3,2;3", "a,b", "a,b,8,,,,"],
)
def test_a_broken_row_is_counted_and_strict_names_its_line(tmp_path, row):
    root = pf_root(tmp_path / "in", [*TEST, row])
    assert build(root, tmp_path / "a.h5").source["left_out"]["row broken"] == 1
    with pytest.raises(JladkitError, match=r"test_pairs\.csv: row broken\. Line 4"):
        build(root, tmp_path / "b.h5", strict=True)


def test_lists_without_a_row_are_named(tmp_path):
    root = pf_root(tmp_path / "in")
    for path in (root / "image_pairs").iterdir():
        path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(JladkitError, match="image_pairs have no row that can be used"):
        build(root, tmp_path / "a.h5")


def test_a_missing_or_foreign_list_is_named(tmp_path):
    root = pf_root(tmp_path / "in")
    (root / "image_pairs/val_pairs.csv").write_text("one,two\n1,2\n")
    with pytest.raises(JladkitError, match=r"val_pairs\.csv must have the columns source_image"):
        build(root, tmp_path / "a.h5")
    (root / "image_pairs/val_pairs.csv").unlink()
    with pytest.raises(JladkitError, match=r"There is no file .*val_pairs\.csv"):
        build(root, tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


def test_no_picture_at_all_is_named(tmp_path):
    root = pf_root(tmp_path / "in")
    for path in (root / FOLDER).iterdir():
        path.unlink()
    with pytest.raises(JladkitError, match=r"No row's pictures are under"):
        build(root, tmp_path / "a.h5")
