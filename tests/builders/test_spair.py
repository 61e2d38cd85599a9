"""SPair-71k's lists: official splits, keypoints by number, PASCAL VOC's boxes, its traps."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from jladkit.builders import spair
from jladkit.builders.options import Job
from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset, open_dataset
from tests.builders.layouts import HTML, picture
from tests.builders.layouts_pairs import (
    SPAIR_LINES,
    spair_root,
    write_spair_image,
    write_spair_pair,
)


def build(
    root: Path,
    out: Path,
    strict: bool = False,
    allow_missing: bool = False,
    layout: str = "large",
    check_pairs: bool = False,
) -> Dataset:
    job = Job(out=out, strict=strict, allow_missing=allow_missing)
    spair.build(root, spair.Options(layout=layout, check_pairs=check_pairs), job)
    return open_dataset(out)


def pair_files(root: Path) -> Path:
    """`root` with a PairAnnotation for every line."""
    for split, lines in SPAIR_LINES.items():
        for line in lines:
            write_spair_pair(root, split, line)
    return root


def names(data: Dataset) -> list[str]:
    """Each pair's split and pictures."""
    image = [name.rpartition("/")[2].removesuffix(".jpg") for name in data.object_source_image]
    rows = zip(data.pair_split, data.pair_source, data.pair_target, strict=True)
    return [f"{split} {image[a]}-{image[b]}" for split, a, b in rows]


def test_lists_give_pairs_and_splits_in_their_order(tmp_path):
    data = build(spair_root(tmp_path / "in"), tmp_path / "a.h5")
    assert names(data) == ["0 a-b", "0 b-a", "1 c-d", "2 e-f", "2 c-e"]
    assert data.categories == ["cat", "dog"]
    assert data.pair_category.tolist() == [0, 0, 1, 1, 1]
    # One object for each picture and split, in order of category, picture, split.
    assert [n.rpartition("/")[2] for n in data.object_source_image] == [
        "a.jpg", "b.jpg", "c.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg",
    ]  # fmt: skip
    assert data.object_split.tolist() == [0, 0, 1, 2, 1, 2, 2]


def test_keypoints_keep_their_numbers_and_their_place(tmp_path):
    root = spair_root(tmp_path / "in")
    points = {**{str(k): None for k in range(30)}, "2": [31, 41], "4": [0, 59]}
    write_spair_image(root, "cat", "b", kps=points)
    data = build(root, tmp_path / "a.h5")
    assert data.keypoint_names == [["kp00", "kp02", "kp04", "kp11"], ["kp00", "kp02", "kp11"]]
    assert data.object_visible[:2].tolist() == [[True, True, False, True], [False, True, True, False]]  # fmt: skip
    np.testing.assert_array_equal(data.object_keypoints[0, [0, 1, 3]], [[10, 20], [30, 40], [50, 25]])  # fmt: skip
    np.testing.assert_array_equal(data.object_keypoints[1, 1:3], [[31, 41], [0, 59]])
    assert np.isnan(data.object_keypoints[1, 0]).all()
    assert data.pair_common.tolist() == [1, 1, 3, 3, 3]
    assert data.source["keypoints_at_0"] == 1
    assert data.source["keypoints_beyond"] == 0
    assert (data.category_flip == -1).all()


def test_a_box_is_vocs_and_its_sides_are_those_that_pck_is_measured_by(tmp_path):
    data = build(spair_root(tmp_path / "in"), tmp_path / "a.h5")
    np.testing.assert_array_equal(data.object_box[0], [4, 5, 64, 55])  # 1-based 5 6 65 56


def test_flags_are_kept_and_no_viewpoint_is_made_up(tmp_path):
    root = spair_root(tmp_path / "in")
    write_spair_image(root, "cat", "b", truncated=1, difficult=1)
    data = build(root, tmp_path / "a.h5")
    flags = [data.object_truncated[:2], data.object_occluded[:2], data.object_difficult[:2]]
    assert np.array(flags).tolist() == [[0, 1], [0, 0], [0, 1]]
    assert np.isnan(data.object_viewpoint).all()


def test_stray_files_and_folders_are_no_categories(tmp_path):
    root = spair_root(tmp_path / "in")
    (root / "JPEGImages/.DS_Store").write_bytes(b"x")
    (root / "JPEGImages/aardvark").mkdir()
    data = build(root, tmp_path / "a.h5", strict=True)
    assert data.categories == ["cat", "dog"]


def test_the_small_layout_has_lists_of_its_own_and_root_may_hold_the_release(tmp_path):
    root = spair_root(tmp_path / "SPair-71k")
    (root / "Layout/small/trn.txt").write_text("000001-b-a:cat\n")
    data = build(tmp_path, tmp_path / "a.h5", layout="small")
    assert names(data) == ["0 b-a", "1 c-d", "2 e-f", "2 c-e"]
    assert data.object_source_image[0] == "JPEGImages/cat/a.jpg"


@pytest.mark.parametrize(
    "line",
    ["000009-a:cat", "a-b:cat", "000009-a-b", "9-..-b:cat", "9-a-b:../cat", "9-a/x-b:cat", "9-a-\0:c"],
)  # fmt: skip
def test_a_broken_line_is_counted_and_strict_names_it(tmp_path, line):
    lines = {**SPAIR_LINES, "val": ["000003-c-d:dog", line]}
    root = spair_root(tmp_path / "in", lines)
    assert build(root, tmp_path / "a.h5").source["left_out"] == {"line broken": 1}
    with pytest.raises(JladkitError, match=r"val\.txt: line broken\. Line 2 must be <number>"):
        build(root, tmp_path / "b.h5", strict=True)


def test_a_missing_or_foreign_list_is_named(tmp_path):
    root = spair_root(tmp_path / "in")
    (root / "Layout/large/val.txt").write_bytes(HTML)
    with pytest.raises(JladkitError, match="web page saved as a data file"):
        build(root, tmp_path / "a.h5")
    (root / "Layout/large/val.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(JladkitError, match=r"val\.txt is no text"):
        build(root, tmp_path / "a.h5")
    (root / "Layout/large/val.txt").unlink()
    with pytest.raises(JladkitError, match=r"no file .*val\.txt.*Give the unpacked SPair-71k"):
        build(root, tmp_path / "a.h5")


def test_empty_lists_are_named(tmp_path):
    root = spair_root(tmp_path / "in", {"trn": [], "val": [], "test": []})
    with pytest.raises(JladkitError, match="No pair is left of the lists"):
        build(root, tmp_path / "a.h5")


@pytest.mark.parametrize("name", ["ImageAnnotation/dog/c.json", "JPEGImages/dog/c.jpg"])
def test_a_missing_file_stops_the_build_unless_it_may_be_missing(tmp_path, name):
    root = spair_root(tmp_path / "in")
    (root / name).unlink()
    with pytest.raises(JladkitError, match=rf"1 of the files .* missing:\n.*{name}"):
        build(root, tmp_path / "a.h5")
    data = build(root, tmp_path / "a.h5", allow_missing=True)
    assert names(data) == ["0 a-b", "0 b-a", "2 e-f"]
    assert sum(data.source["left_out"].values()) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"kps": [[1, 2]]},
        {"kps": {"0": [1]}},
        {"kps": {"0": [1, float("nan")]}},
        {"kps": {"0": 7}},
        {"kps": {"nose": [1, 2]}},
        {"bndbox": [5, 6, 5, 56]},
        {"bndbox": [5, 6, 65]},
        {"bndbox": None},
        {"category": "dog"},
        {"truncated": None},
        {"image_width": float("inf")},
    ],
)
def test_a_broken_annotation_is_counted_and_strict_names_it(tmp_path, changes):
    root = spair_root(tmp_path / "in")
    path = root / "ImageAnnotation/cat/b.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    data = build(root, tmp_path / "a.h5")
    assert data.source["left_out"] == {"annotation broken": 1, spair.UNPAIRED: 2}
    assert names(data) == ["1 c-d", "2 e-f", "2 c-e"]
    with pytest.raises(JladkitError, match=r"cat/b\.json: annotation broken"):
        build(root, tmp_path / "b.h5", strict=True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (HTML, "annotation is a web page"),
        (b"{", "annotation broken"),
        (b"[1]", "annotation broken"),
        (b"[" * 100_000, "annotation broken"),
        (b"\xff", "annotation broken"),
    ],
)
def test_a_file_that_is_no_annotation_is_counted(tmp_path, content, reason):
    root = spair_root(tmp_path / "in")
    (root / "ImageAnnotation/cat/b.json").write_bytes(content)
    data = build(root, tmp_path / "a.h5")
    assert data.source["left_out"] == {reason: 1, spair.UNPAIRED: 2}


def test_pictures_of_another_size_are_told_and_strict_stops(tmp_path):
    root = spair_root(tmp_path / "in")
    picture(root / "JPEGImages/cat/b.jpg", 60, 80)
    data = build(root, tmp_path / "a.h5")
    assert data.source["pictures_of_another_size"] == 1
    with pytest.raises(JladkitError, match=r"annotation of JPEGImages/cat/b\.jpg states another"):
        build(root, tmp_path / "b.h5", strict=True)


def test_checked_pairs_give_the_same_as_unchecked_ones(tmp_path):
    root = pair_files(spair_root(tmp_path / "in"))
    data = build(root, tmp_path / "a.h5", strict=True)
    checked = build(root, tmp_path / "b.h5", strict=True, check_pairs=True)
    assert checked.digest == data.digest
    assert data.source["pair_annotations"] == "not read"
    assert checked.source["pair_annotations"] == "hold the same keypoints"


def test_the_order_in_which_a_pair_lists_its_keypoints_does_not_matter(tmp_path):
    root = pair_files(spair_root(tmp_path / "in"))
    points = [[50, 25], [30, 40], [10, 20]]
    write_spair_pair(root, "val", SPAIR_LINES["val"][0], kps_ids=["11", "2", "0"],
                     src_kps=points, trg_kps=points)  # fmt: skip
    assert len(build(root, tmp_path / "a.h5", strict=True, check_pairs=True).pair_split) == 5


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trg_kps": [[11, 20], [30, 40], [50, 25]]}, spair.UNLIKE),
        ({"kps_ids": ["0", "2", "12"]}, spair.UNLIKE),
        ({"src_bndbox": [4, 6, 65, 56]}, spair.UNLIKE),
        ({"src_kps": [[10, 20]]}, "annotation broken"),
        ({"src_kps": "text"}, "annotation broken"),
        ({"kps_ids": None}, "annotation broken"),
    ],
)
def test_a_pair_unlike_its_own_file_is_left_out_where_that_is_checked(tmp_path, changes, reason):
    root = pair_files(spair_root(tmp_path / "in"))
    write_spair_pair(root, "val", SPAIR_LINES["val"][0], **changes)
    data = build(root, tmp_path / "a.h5", check_pairs=True)
    assert data.source["left_out"] == {reason: 1}
    assert names(data) == ["0 a-b", "0 b-a", "2 e-f", "2 c-e"]
    with pytest.raises(JladkitError, match=r"000003-c-d:dog\.json"):
        build(root, tmp_path / "b.h5", strict=True, check_pairs=True)


def test_a_missing_pair_file_stops_a_check(tmp_path):
    root = pair_files(spair_root(tmp_path / "in"))
    (root / "PairAnnotation/val/000003-c-d:dog.json").unlink()
    with pytest.raises(JladkitError, match=r"1 of the files .* missing:\n.*000003"):
        build(root, tmp_path / "a.h5", check_pairs=True)


def test_the_command_builds(tmp_path):
    out, root = tmp_path / "a.h5", pair_files(spair_root(tmp_path / "in"))
    args = [str(root), "--out", str(out), "--layout", "small", "--check-pairs"]
    result = CliRunner().invoke(spair.command, args)
    assert result.exit_code == 0, result.output
    assert open_dataset(out).recipe["options"]["layout"] == "small"
