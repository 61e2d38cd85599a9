"""PF-PASCAL's lists: official splits, untouched pictures, 1-based keypoints; its .mat files."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import savemat

from jladkit.builders import pf_pascal
from jladkit.builders.objects import Found
from jladkit.builders.options import Job
from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset, open_dataset
from tests.builders.layouts import HTML, picture
from tests.builders.layouts_pairs import write_pascal_mat

SHARED = Path(os.environ.get("JLADKIT_SHARED_DATA", Path(__file__).parents[2] / "../shared/data"))
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


def build(
    root: Path, out: Path, strict: bool = False, allow_missing: bool = False, **options: Any
) -> Dataset:
    job = Job(out=out, strict=strict, allow_missing=allow_missing)
    pf_pascal.build(root, pf_pascal.Options(**options), job)
    return open_dataset(out)


def names(data: Dataset) -> list[str]:
    """Each pair's split and pictures."""
    image = [Path(name).stem for name in data.object_source_image]
    rows = zip(data.pair_split, data.pair_source, data.pair_target, strict=True)
    return [f"{split} {image[a]}-{image[b]}" for split, a, b in rows]


def test_official_splits_stay_and_mirrored_rows_go(tmp_path, capsys):
    data = build(pf_root(tmp_path / "in"), tmp_path / "a.h5")
    assert np.bincount(data.pair_split).tolist() == [2, 1, 2]
    assert data.categories == ["cat", "dog"]
    assert data.source["left_out"] == {pf_pascal.MIRRORED: 2}
    assert data.source["test_pairs_in_train"] == 1
    assert data.source["leakage"]["train-test"]["pairs_with_seen_image"] == 0.5
    assert "train-test: 2 pictures and 1 pairs are in both" in capsys.readouterr().err


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


def test_a_missing_picture_stops_the_build_unless_it_may_be_missing(tmp_path):
    root = pf_root(tmp_path / "in")
    (root / FOLDER / "d.jpg").unlink()
    with pytest.raises(JladkitError, match=r"1 of the files .* missing:\n.*d\.jpg"):
        build(root, tmp_path / "b.h5")
    data = build(root, tmp_path / "a.h5", allow_missing=True)
    assert data.source["left_out"]["pair whose pictures are not here"] == 1
    assert names(data) == ["0 a-b", "1 c-e", "2 e-f", "2 a-b"]


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
    with pytest.raises(JladkitError, match=r"6 of the files .* missing"):
        build(root, tmp_path / "a.h5")
    with pytest.raises(JladkitError, match="No object is left"):
        build(root, tmp_path / "a.h5", allow_missing=True)


def test_clean_leaves_out_test_pairs_that_other_lists_have_in_either_direction(tmp_path):
    row = "12,1;2,1;2,3;4,3;4"
    test = [f"b,a,{row}", f"e,c,{row}", f"e,f,{row}", f"a,c,{row}"]
    root = pf_root(tmp_path / "in", test)
    kept = {"none": test, "train": test[1:], "train-val": test[2:]}
    for clean, rows in kept.items():
        data = build(root, tmp_path / f"{clean}.h5", clean=clean)
        assert names(data)[:3] == ["0 a-b", "0 c-d", "1 c-e"]
        assert names(data)[3:] == [f"2 {row[0]}-{row[2]}" for row in rows]
        assert data.source["left_out"].get(pf_pascal.REPEATED, 0) == 4 - len(rows)
        assert len(data.objects("test")) == 2 * len(rows)


def test_only_jlads_categories_can_be_kept(tmp_path):
    root = pf_root(tmp_path / "in", ["e,f,7,1;2,1;2,3;4,3;4", "a,b,8,1;2,1;2,3;4,3;4"])
    data = build(root, tmp_path / "a.h5", categories="jlad")
    assert data.categories == ["car"]
    assert names(data) == ["2 e-f"]
    assert data.source["left_out"] == {pf_pascal.MIRRORED: 2, pf_pascal.UNWANTED: 4}


def test_lists_without_a_row_of_jlads_categories_are_named(tmp_path):
    with pytest.raises(JladkitError, match=r"no row of the 12 categories"):
        build(pf_root(tmp_path / "in"), tmp_path / "a.h5", categories="jlad")


def test_clean_may_leave_no_test_pair(tmp_path):
    data = build(pf_root(tmp_path / "in", TEST[1:]), tmp_path / "a.h5", clean="train")
    assert names(data) == ["0 a-b", "0 c-d", "1 c-e"]
    assert data.keypoint_names == [[], []]


NAN = [np.nan, np.nan]
CAT = {"a": [[0, 0], [10, 5], NAN], "b": [[4, 6], NAN, [5, 7]], "c": [NAN, [1, 2], [3, 4]]}
CAT |= {"d": [[1, 1], [2, 2], [3, 3]]}
DOG = {"c": [[7, 7], [8, 8]], "e": [[10, 5], [20, 6]], "f": [[11, 8], NAN]}


def mat_root(root: Path, test: list[str] = TEST) -> Path:
    """Lists, pictures and .mat files of cats a to d and dogs c, e, f."""
    for name, points in CAT.items():
        write_pascal_mat(root, "cat", name, points)
    for name, points in DOG.items():
        write_pascal_mat(root, "dog", name, points, truncated=1, difficult=0)
    return pf_root(root, test)


def test_mat_files_give_every_row_keypoints_in_their_places(tmp_path):
    data = build(mat_root(tmp_path / "in"), tmp_path / "a.h5", annotations="mat")
    assert names(data) == ["0 a-b", "0 c-d", "1 c-e", "2 e-f", "2 a-b"]
    assert data.keypoint_names == [["kp00", "kp01", "kp02"], ["kp00", "kp01"]]
    assert data.pair_common.tolist() == [1, 2, 2, 1, 1]
    first, second = data.pair_source[0], data.pair_target[0]
    np.testing.assert_array_equal(data.object_keypoints[first], CAT["a"])
    np.testing.assert_array_equal(data.object_keypoints[second], CAT["b"])
    assert data.object_visible[first].tolist() == [True, True, False]
    dog = data.pair_source[2]  # the same picture as a cat's, with the dog's own keypoints
    np.testing.assert_array_equal(data.object_keypoints[dog], [[7, 7], [8, 8], NAN])


def test_mat_files_give_every_object_its_box_and_flags(tmp_path):
    data = build(mat_root(tmp_path / "in"), tmp_path / "a.h5", annotations="mat")
    np.testing.assert_array_equal(data.object_box, [[5, 3, 70, 55]] * len(data.object_box))
    dogs = data.object_category == 1
    assert (data.object_truncated == np.where(dogs, 1, -1)).all()
    assert (data.object_difficult == np.where(dogs, 0, -1)).all()
    assert (data.object_occluded == -1).all()


def test_with_mat_files_an_object_stands_for_its_picture_once_a_split(tmp_path):
    test = ["e,f,12,11,6,12,9", "f,e,12,12,9,11,6", "a,b,8,1,1,5,7"]
    data = build(mat_root(tmp_path / "in", test), tmp_path / "a.h5", annotations="mat")
    assert len(data.objects("test")) == 4
    assert data.source["test_pairs_unlike_mat"] == 0


def test_mirrored_rows_have_mirrored_pictures_points_and_boxes(tmp_path):
    data = build(mat_root(tmp_path / "in"), tmp_path / "a.h5", annotations="mat", mirrored=True)
    assert names(data) == ["0 a-b", "0 a-b", "0 c-d", "0 c-d", "1 c-e", "2 e-f", "2 a-b"]
    plain, turned = data.pair_source[:2]
    width = data.object_size[turned, 0]
    pixels = np.asarray(data.image(plain), dtype=int)
    assert np.abs(np.asarray(data.image(turned), dtype=int)[:, ::-1] - pixels).max() <= 4
    assert np.abs(np.asarray(data.image(turned), dtype=int) - pixels).max() > 100
    shown = data.object_visible[plain]
    assert data.object_visible[turned].tolist() == shown.tolist()
    back = [width - 1, 0] + data.object_keypoints[turned] * [-1, 1]
    np.testing.assert_allclose(back[shown], data.object_keypoints[plain][shown])
    np.testing.assert_array_equal(data.object_box[turned], [width - 71, 3, width - 6, 55])
    matrix = data.object_to_source[turned]
    np.testing.assert_array_equal(
        data.object_keypoints[turned][shown] @ matrix[:, :2].T + matrix[:, 2],
        data.object_keypoints[plain][shown],
    )
    assert data.source["left_out"] == {}


def test_test_rows_unlike_the_mat_files_are_told(tmp_path):
    data = build(mat_root(tmp_path / "in"), tmp_path / "a.h5", annotations="mat")
    assert data.source["test_pairs_unlike_mat"] == 2


def test_a_missing_mat_file_stops_the_build_unless_it_may_be_missing(tmp_path):
    root = mat_root(tmp_path / "in")
    (root / "PF-dataset-PASCAL/Annotations/cat/a.mat").unlink()
    with pytest.raises(JladkitError, match=r"1 of the files .* missing:\n.*cat/a\.mat"):
        build(root, tmp_path / "a.h5", annotations="mat")
    data = build(root, tmp_path / "a.h5", annotations="mat", allow_missing=True)
    assert names(data) == ["0 c-d", "1 c-e", "2 e-f"]
    left = {"annotation file missing": 1, pf_pascal.MIRRORED: 2, pf_pascal.UNPAIRED: 2}
    assert data.source["left_out"] == left


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (HTML, "annotation is a web page"),
        (b"nothing", "annotation broken"),
        ({"kps": np.ones((3, 2))}, "annotation broken"),
        ({"kps": np.ones((2, 3)), "bbox": [[1, 2, 3, 4]]}, "annotation broken"),
        ({"kps": np.ones((3, 2)), "bbox": [[1, 2, 3]]}, "annotation broken"),
        ({"kps": np.ones((3, 2)), "bbox": [[9, 2, 3, 4]]}, "annotation broken"),
    ],
)
def test_a_broken_mat_file_is_counted_and_strict_names_it(tmp_path, content, reason):
    root = mat_root(tmp_path / "in")
    path = root / "PF-dataset-PASCAL/Annotations/cat/a.mat"
    path.write_bytes(content) if isinstance(content, bytes) else savemat(path, content)
    data = build(root, tmp_path / "a.h5", annotations="mat")
    assert data.source["left_out"][reason] == 1
    assert names(data) == ["0 c-d", "1 c-e", "2 e-f"]
    with pytest.raises(JladkitError, match=rf"cat/a\.mat: {reason}"):
        build(root, tmp_path / "b.h5", annotations="mat", strict=True)


def test_the_command_builds(tmp_path):
    out, root = tmp_path / "a.h5", mat_root(tmp_path / "in")
    args = [str(root), "--out", str(out), "--annotations", "mat", "--clean", "train"]
    result = CliRunner().invoke(pf_pascal.command, args)
    assert result.exit_code == 0, result.output
    data = open_dataset(out)
    assert names(data) == ["0 a-b", "0 c-d", "1 c-e", "2 e-f"]
    assert data.recipe["options"]["clean"] == "train"


def real(name: str) -> Path:
    """A real list; the test is skipped where it is absent."""
    path = SHARED / "pf-pascal/image_pairs" / name
    if not path.is_file():
        pytest.skip("no real data: pf-pascal is not in the folder of JLADKIT_SHARED_DATA")
    return path


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, (1470, 308, 299)),
        ({"clean": "train"}, (1470, 308, 204)),
        ({"clean": "train-val"}, (1470, 308, 169)),
        ({"categories": "jlad"}, (1002, 212, 206)),
        ({"categories": "jlad", "clean": "train"}, (1002, 212, 142)),
    ],
)
def test_the_full_official_lists_have_their_counts(tmp_path, options, kept):
    (tmp_path / "image_pairs").mkdir()
    for split in ("train", "val", "test"):
        path = real(f"{split}_pairs_full.csv")
        shutil.copy(path, tmp_path / f"image_pairs/{split}_pairs.csv")
    found = Found(strict=True)
    rows = [row for split in range(3) for row in pf_pascal.read_list(tmp_path, split, found)]
    rows = pf_pascal.wanted(rows, tmp_path, pf_pascal.Options(**options), found)
    assert tuple(np.bincount([row.split for row in rows], minlength=3)) == kept


def test_the_default_build_of_the_real_rows_has_not_changed(tmp_path):
    root = real("train_pairs.csv").parents[1]
    data = build(root, tmp_path / "a.h5", strict=True)
    assert data.digest.startswith("f1321c276d08")
    assert len(build(root, tmp_path / "b.h5", clean="train").pairs("test")) == 44
