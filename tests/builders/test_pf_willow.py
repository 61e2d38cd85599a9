"""PF-WILLOW: all ordered pairs of a folder or a list's, 1-based keypoints, boxes of their extent."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import savemat

from jladkit.builders import pf_willow
from jladkit.builders.options import Job
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset, open_dataset
from tests.builders.layouts import HTML
from tests.builders.layouts_pairs import (
    WILLOW,
    willow_points,
    willow_root,
    willow_row,
    write_willow,
    write_willow_list,
)

SHARED = Path(os.environ.get("JLADKIT_SHARED_DATA", Path(__file__).parents[2] / "../shared/data"))


def build(
    root: Path, out: Path, strict: bool = False, allow_missing: bool = False, **options: Any
) -> Dataset:
    job = Job(out=out, strict=strict, allow_missing=allow_missing)
    pf_willow.build(root, pf_willow.Options(**options), job)
    return open_dataset(out)


def names(data: Dataset) -> list[tuple[str, str]]:
    """Each pair's pictures, without the ending."""
    image = [name.removesuffix(".png") for name in data.object_source_image]
    return [(image[a], image[b]) for a, b in zip(data.pair_source, data.pair_target, strict=True)]


def test_every_two_pictures_of_a_folder_are_a_test_pair_both_ways(tmp_path):
    data = build(willow_root(tmp_path / "in"), tmp_path / "a.h5")
    assert data.categories == ["car(S)", "duck(S)"]
    assert names(data) == [
        *[(f"car(S)/p{a}", f"car(S)/p{b}") for a in range(3) for b in range(3) if a != b],
        ("duck(S)/p0", "duck(S)/p1"),
        ("duck(S)/p1", "duck(S)/p0"),
    ]
    assert (data.pair_split == 2).all()
    assert (data.pair_common == 10).all()
    assert len(data.object_category) == 5
    assert (data.object_split == 2).all()
    assert data.recipe["options"]["pairs"] == "all"


def test_keypoints_are_0_based_and_the_box_is_their_extent(tmp_path):
    data = build(willow_root(tmp_path / "in"), tmp_path / "a.h5")
    np.testing.assert_allclose(data.object_keypoints[1], willow_points(1))
    np.testing.assert_allclose(data.object_box[1], [6, 5, 60, 41])
    assert data.keypoint_names[0] == [f"part_{letter}" for letter in "ABCDEFGHIJ"]
    assert (data.category_flip == -1).all()


@pytest.mark.parametrize("inside", ["PF-dataset-WILLOW", "PF-dataset", "."])
def test_the_folder_may_be_named_as_its_archive_or_be_root(tmp_path, inside):
    data = build(willow_root(tmp_path / "in", inside=inside), tmp_path / "a.h5")
    other = build(willow_root(tmp_path / "other"), tmp_path / "b.h5")
    assert data.digest == other.digest


@pytest.mark.parametrize("place", ["test_pairs_pf.csv", "image_pairs/test_pairs.csv"])
def test_a_list_decides_pairs_and_order_unless_all_are_wanted(tmp_path, place):
    root = willow_root(tmp_path / "in")
    rows = [willow_row("duck(S)", 1, 0), willow_row("car(S)", 2, 0), willow_row("car(S)", 0, 1)]
    write_willow_list(root / place, rows)
    data = build(root, tmp_path / "a.h5")
    assert names(data) == [
        ("duck(S)/p1", "duck(S)/p0"),
        ("car(S)/p2", "car(S)/p0"),
        ("car(S)/p0", "car(S)/p1"),
    ]
    assert data.recipe["options"]["pairs"] == "list"
    assert data.source["pairs_unlike_mat"] == 0
    assert len(build(root, tmp_path / "b.h5", pairs="all").pair_split) == 8


def test_a_list_with_other_keypoints_is_told_and_the_mat_files_decide(tmp_path):
    root = willow_root(tmp_path / "in")
    rows = [willow_row("car(S)", 0, 1, shift=0.02), willow_row("car(S)", 0, 2, shift=0.001)]
    write_willow_list(root / "test_pairs_pf.csv", rows)
    data = build(root, tmp_path / "a.h5")
    assert data.source["pairs_unlike_mat"] == 1
    np.testing.assert_allclose(data.object_keypoints[1], willow_points(1))


def test_a_list_must_be_there_where_it_is_wanted(tmp_path):
    root = willow_root(tmp_path / "in")
    with pytest.raises(UsageError, match=r"no test_pairs_pf\.csv or test_pairs\.csv in"):
        build(root, tmp_path / "a.h5", pairs="list")


@pytest.mark.parametrize(
    ("row", "flaw"),
    [
        ("PF-dataset/car(S)/p0.png,PF-dataset/car(S)/p1.png,1,2", "4 columns"),
        (willow_row("car(S)", 0, 1).replace("6.0", "x", 1), "could not convert"),
        (willow_row("car(S)", 0, 1).replace("car(S)", "duck(S)", 1), "two folders"),
        (willow_row("car(S)", 0, 1).replace("PF-dataset", "..", 1), "no picture below ROOT"),
        (willow_row("car(S)", 0, 1).replace("PF-dataset/car(S)/", ""), "in no folder"),
    ],
)
def test_a_broken_row_is_counted_and_strict_names_its_line(tmp_path, row, flaw):
    root = willow_root(tmp_path / "in")
    write_willow_list(root / "test_pairs_pf.csv", [willow_row("car(S)", 0, 1), row])
    data = build(root, tmp_path / "a.h5")
    assert data.source["left_out"] == {"row broken": 1}
    assert len(data.pair_split) == 1
    with pytest.raises(JladkitError, match=rf"row broken\. Line 3 is off \(.*{flaw}"):
        build(root, tmp_path / "b.h5", strict=True)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (HTML, "web page saved as a data file"),
        (b"one,two\n", "must have 42 columns"),
        (b"\xff\xfe\x00", "cannot be read as CSV"),
        (b"", "must have 42 columns"),
    ],
)
def test_a_foreign_list_is_named(tmp_path, content, text):
    root = willow_root(tmp_path / "in")
    (root / "test_pairs_pf.csv").write_bytes(content)
    with pytest.raises(JladkitError, match=text):
        build(root, tmp_path / "a.h5")


@pytest.mark.parametrize("ending", ["mat", "png"])
def test_a_missing_file_stops_the_build_unless_it_may_be_missing(tmp_path, ending):
    root = willow_root(tmp_path / "in")
    (root / WILLOW / f"car(S)/p1.{ending}").unlink()
    with pytest.raises(JladkitError, match=rf"1 of the files .* missing:\n.*p1\.{ending}"):
        build(root, tmp_path / "a.h5")
    data = build(root, tmp_path / "a.h5", allow_missing=True)
    assert sorted(names(data))[:2] == [("car(S)/p0", "car(S)/p2"), ("car(S)/p2", "car(S)/p0")]
    assert len(data.pair_split) == 4
    assert sum(data.source["left_out"].values()) == 5


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (HTML, "annotation is a web page"),
        (b"MATLAB 5.0 and then nothing", "annotation broken"),
        ({"pts_coord": np.ones((2, 9))}, "annotation broken"),
        ({"pts_coord": np.arange(20.0).reshape(10, 2)}, "annotation broken"),
        ({"pts_coord": np.ones((2, 10))}, "annotation broken"),
        ({"points": np.ones((2, 10))}, "annotation broken"),
        ({"pts_coord": "text"}, "annotation broken"),
    ],
)
def test_a_broken_annotation_is_counted_and_strict_names_it(tmp_path, content, reason):
    root = willow_root(tmp_path / "in")
    path = root / WILLOW / "car(S)/p1.mat"
    path.write_bytes(content) if isinstance(content, bytes) else savemat(path, content)
    data = build(root, tmp_path / "a.h5")
    assert data.source["left_out"] == {reason: 1, pf_willow.UNPAIRED: 4}
    with pytest.raises(JladkitError, match=rf"p1\.mat: {reason}"):
        build(root, tmp_path / "b.h5", strict=True)


def test_a_keypoint_without_a_position_is_not_visible(tmp_path):
    root = willow_root(tmp_path / "in", {"car(S)": 1})
    points = willow_points(1)
    points[3, 0] = np.nan
    write_willow(root / WILLOW / "car(S)", 1, points)
    data = build(root, tmp_path / "a.h5")
    assert data.object_visible.sum(axis=1).tolist() == [10, 9]
    assert np.isnan(data.object_keypoints[1, 3]).all()
    assert data.pair_common.tolist() == [9, 9]


def test_hidden_files_of_a_mac_are_not_read(tmp_path):
    root = willow_root(tmp_path / "in")
    (root / WILLOW / "car(S)/._p0.mat").write_bytes(b"\0\5\26\7")
    (root / WILLOW / "readme").mkdir()
    assert len(build(root, tmp_path / "a.h5", strict=True).pair_split) == 8


def test_another_layout_is_named(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(JladkitError, match="not in PF-WILLOW's layout"):
        build(tmp_path / "in", tmp_path / "a.h5")


def test_the_command_builds(tmp_path):
    out = tmp_path / "a.h5"
    root = willow_root(tmp_path / "in")
    result = CliRunner().invoke(pf_willow.command, [str(root), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert open_dataset(out).name == "pf-willow"


def test_the_real_folders_give_90_pairs_each(tmp_path):
    root = SHARED / "pf-willow"
    if not root.is_dir():
        pytest.skip("no real data: pf-willow is not in the folder of JLADKIT_SHARED_DATA")
    data = build(root, tmp_path / "a.h5", strict=True)
    assert data.categories == ["car(S)", "duck(S)", "motorbike(S)", "winebottle(wC)"]
    assert np.bincount(data.pair_category).tolist() == [90] * 4
    row = list(data.object_source_image).index("car(S)/Cars_000a.png")
    xy = data.object_keypoints[row]
    np.testing.assert_allclose(xy[0], [76.63201872, 144.18716578])  # one less than in the .mat
    box = data.object_box[row]
    np.testing.assert_allclose(box, [17.62466578, 78.56216578, 283.98495989, 152.4592246])
    low, high = np.zeros(2), data.object_size[:, None] - 1
    assert ((data.object_keypoints >= low) & (data.object_keypoints <= high)).all()
