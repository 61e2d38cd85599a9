"""TSS: both ways, flow and masks that fit their pictures, mirrored targets, CNNGeo's list."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from jladkit.builders import tss
from jladkit.builders.options import Job
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset, content_digest, open_dataset
from tests.builders.layouts import HTML
from tests.builders.layouts_dense import (
    CORNERS,
    HIGH,
    SIZES,
    WIDE,
    tss_flow,
    tss_root,
    tss_row,
    write_flo,
    write_tss_list,
    write_tss_pair,
)

FOLDERS = ["FG3DCar/001_005", "JODS/car_01_02", "PASCAL/bike_01_02", "PASCAL/bike_01_03"]
FLIPPED = FOLDERS[3]


def build(
    root: Path, out: Path, strict: bool = False, allow_missing: bool = False, workers: int = 1,
    **options: Any,
) -> Dataset:  # fmt: skip
    job = Job(out=out, strict=strict, allow_missing=allow_missing, workers=workers)
    tss.build(root, tss.Options(**options), job)
    return open_dataset(out)


def pairs(data: Dataset) -> list[tuple[str, str, bool]]:
    """Folder and picture of each pair's source, the target's picture, and if that is mirrored."""
    image = data.object_source_image
    mirrored = data.object_to_source[:, 0, 0] < 0
    return [
        (str(image[s]).removesuffix(".png"), str(image[t])[-10:-4], bool(mirrored[t]))
        for s, t in zip(data.pair_source, data.pair_target, strict=True)
    ]


def carried(data: Dataset, row: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) colours of a pair's source where flow is known, and of the target where it leads."""
    flow = data.flow(row)
    assert flow is not None
    y, x = np.nonzero(np.isfinite(flow).all(axis=-1))
    to = np.rint(np.stack([x, y], axis=1) + flow[y, x]).astype(int)
    source, target = (np.asarray(data.image(int(side[row]))) for side in (data.pair_source, data.pair_target))  # fmt: skip
    return source[y, x], target[to[:, 1], to[:, 0]]


def test_every_folder_is_a_test_pair_both_ways(tmp_path):
    data = build(tss_root(tmp_path / "in"), tmp_path / "a.h5", strict=True)
    assert data.categories == ["FG3DCar", "JODS", "PASCAL"]
    assert pairs(data) == [
        (f"{folder}/image{n}", f"image{3 - n}", False) for folder in FOLDERS for n in (1, 2)
    ]
    assert (data.pair_split == 2).all() and (data.object_split == 2).all()
    assert len(data.object_category) == 8
    assert data.object_keypoints.shape == (8, 0, 2)
    assert data.recipe["options"]["pairs"] == "all"
    assert data.recipe["options"]["flips"] == "keep"


@pytest.mark.parametrize("flips", ["keep", "undo"])
def test_the_flow_carries_each_source_pixel_to_the_target_pixel_of_its_colour(tmp_path, flips):
    data = build(tss_root(tmp_path / "in"), tmp_path / "a.h5", flips=flips)
    for row in range(8):
        source, target = carried(data, row)
        assert len(source) == WIDE * HIGH
        np.testing.assert_array_equal(source, target)
        assert len(np.unique(source, axis=0)) == WIDE * HIGH  # no colour comes twice


def test_masks_are_where_the_flow_is_known_and_boxes_go_around_them(tmp_path):
    data = build(tss_root(tmp_path / "in"), tmp_path / "a.h5", flips="undo")
    for row, (source, target) in enumerate(zip(data.pair_source, data.pair_target, strict=True)):
        flow, mask = data.flow(row), data.mask(int(source))
        assert flow is not None and mask is not None
        np.testing.assert_array_equal(mask, np.isfinite(flow).all(axis=-1))
        for side in (int(source), int(target)):
            seen = np.asarray(data.image(side))[..., 2] == 200
            there = data.mask(side)
            assert there is not None
            np.testing.assert_array_equal(there, seen)
            y, x = np.nonzero(seen)
            box = [x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5]
            np.testing.assert_allclose(data.object_box[side], box)
    assert data.source["mask_pixels_unlike_flow"] == 0


def test_a_kept_flip_has_the_flow_of_the_file(tmp_path):
    data = build(tss_root(tmp_path / "in"), tmp_path / "a.h5")
    np.testing.assert_array_equal(data.flow(6), tss_flow(1, flip=True).astype(np.float32))
    np.testing.assert_array_equal(data.flow(7), tss_flow(2, flip=True).astype(np.float32))
    assert data.source["pairs_flipped"] == 2
    assert data.source["pairs_with_mirrored_target"] == 0


def test_an_undone_flip_has_a_mirrored_target_and_a_plain_motion(tmp_path):
    root = tss_root(tmp_path / "in")
    data = build(root, tmp_path / "a.h5", flips="undo")
    assert [mirrored for *_, mirrored in pairs(data)] == [False] * 6 + [True] * 2
    folder = root / "TSS_CVPR2016" / FLIPPED
    for row, number in ((6, 1), (7, 2)):
        target = int(data.pair_target[row])
        plain = np.asarray(Image.open(folder / f"image{3 - number}.png"))
        np.testing.assert_array_equal(np.asarray(data.image(target)), plain[:, ::-1])
        width = SIZES[3 - number][0]
        to_source = [[-1, 0, width - 1], [0, 1, 0]]
        np.testing.assert_array_equal(data.object_to_source[target], to_source)
        # Mirrored, the object's first pixel lies at the far side; all its pixels move alike.
        x = width - CORNERS[3 - number][0] - WIDE - CORNERS[number][0]
        flow = data.flow(row)
        assert flow is not None
        known = flow[np.isfinite(flow).all(axis=-1)]
        np.testing.assert_array_equal(np.unique(known[:, 0]), [x])
    assert len(data.object_category) == 10  # two pictures of the folder come twice
    assert data.source["pairs_with_mirrored_target"] == 2


def test_the_list_decides_pairs_order_and_flips(tmp_path):
    root = tss_root(tmp_path / "in")
    rows = [tss_row(FLIPPED, 2, flip=1), tss_row(FOLDERS[1], 1), tss_row(FLIPPED, 1)]
    write_tss_list(root / "test_pairs_tss.csv", rows)
    data = build(root, tmp_path / "a.h5", strict=True)
    assert pairs(data) == [
        (f"{FLIPPED}/image2", "image1", True),
        ("JODS/car_01_02/image1", "image2", False),
        (f"{FLIPPED}/image1", "image2", False),
    ]
    assert data.recipe["options"]["pairs"] == data.recipe["options"]["flips"] == "list"
    assert data.source["rows_unlike_flip_gt"] == 1
    for row in range(3):
        np.testing.assert_array_equal(*carried(data, row))
    kept = build(root, tmp_path / "b.h5", flips="keep")
    assert not any(mirrored for *_, mirrored in pairs(kept))
    assert len(build(root, tmp_path / "c.h5", pairs="all").pair_split) == 8


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"pairs": "list"}, r"no test_pairs_tss\.csv in .* Leave --pairs list out"),
        ({"flips": "list"}, r"no test_pairs_tss\.csv in .* Leave --flips list out"),
        ({"pairs": "all", "flips": "list"}, "--pairs all does not read"),
    ],
)
def test_a_list_must_be_there_where_it_is_wanted(tmp_path, options, text):
    with pytest.raises(UsageError, match=text):
        build(tss_root(tmp_path / "in"), tmp_path / "a.h5", **options)


@pytest.mark.parametrize(
    ("row", "flaw"),
    [
        ("JODS/car_01_02/image1.png,JODS/car_01_02/image2.png,1", "3 columns"),
        (tss_row("JODS/car_01_02", 1).replace("image1", "image2"), "image1.png and image2.png"),
        (tss_row("JODS/car_01_02", 1).replace("car_01_02", "car_03_04", 1), "of one folder"),
        (tss_row("MINE/car_01_02", 1), "in none of the folders"),
        (tss_row("JODS/car_01_02", 1).replace("TSS_CVPR2016/JODS/", ""), "in none of the folders"),
        (tss_row("JODS/car_01_02", 1).replace("TSS_CVPR2016", ".."), "no picture below ROOT"),
        (tss_row("JODS/car_01_02", 1).replace(",1,0,", ",3,0,"), "flow_direction must be 1 or 2"),
        (tss_row("JODS/car_01_02", 1).replace(",1,0,", ",1,x,"), "could not convert"),
    ],
)
def test_a_broken_row_is_counted_and_strict_names_its_line(tmp_path, row, flaw):
    root = tss_root(tmp_path / "in")
    write_tss_list(root / "test_pairs_tss.csv", [tss_row("JODS/car_01_02", 1), row])
    data = build(root, tmp_path / "a.h5")
    assert data.source["left_out"] == {"row broken": 1}
    with pytest.raises(JladkitError, match=rf"row broken\. Line 3 is off \(.*{flaw}"):
        build(root, tmp_path / "b.h5", strict=True)


@pytest.mark.parametrize("inside", ["TSS_CVPR2016", "."])
def test_the_folder_may_be_root(tmp_path, inside):
    data = build(tss_root(tmp_path / "in", inside), tmp_path / "a.h5")
    assert data.digest == build(tss_root(tmp_path / "other"), tmp_path / "b.h5").digest


def test_the_number_of_workers_changes_no_byte(tmp_path):
    root = tmp_path / "in"
    for number in range(33):  # enough pictures for workers to start
        write_tss_pair(root, f"PASCAL/bike_{number:02}", flip=number % 3 == 0)
    for group in ("FG3DCar", "JODS"):
        (root / group).mkdir()
    paths = [tmp_path / f"{workers}.h5" for workers in (1, 2)]
    for workers, path in enumerate(paths, start=1):
        build(root, path, workers=workers, flips="undo")
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert content_digest(paths[0]) == open_dataset(paths[0]).digest


@pytest.mark.parametrize("file", ["image1.png", "mask2.png", "flow1.flo", "flip_gt.txt"])
def test_a_missing_file_stops_the_build_unless_it_may_be_missing(tmp_path, file):
    root = tss_root(tmp_path / "in")
    (root / "TSS_CVPR2016" / FLIPPED / file).unlink()
    text = rf"1 of the files .* missing:\n.*{file}\nTSS is to be had from https://taniai\.space"
    with pytest.raises(JladkitError, match=text):
        build(root, tmp_path / "a.h5")
    data = build(root, tmp_path / "a.h5", allow_missing=True)
    assert [folder for folder, *_ in pairs(data)] == [
        f"{folder}/image{n}" for folder in FOLDERS[:3] for n in (1, 2)
    ]
    np.testing.assert_array_equal(*carried(data, 5))


def test_a_missing_picture_that_is_wanted_in_two_ways_is_named_once(tmp_path):
    root = tss_root(tmp_path / "in")
    (root / "TSS_CVPR2016" / FLIPPED / "image1.png").unlink()
    with pytest.raises(JladkitError, match="1 of the files that the annotations name are missing"):
        build(root, tmp_path / "a.h5", flips="undo")
    data = build(root, tmp_path / "a.h5", flips="undo", allow_missing=True)
    assert data.source["left_out"]["file missing"] == 1
    assert len(data.pair_split) == 6


def test_a_missing_group_is_named(tmp_path):
    root = tmp_path / "in"
    write_tss_pair(root / "TSS_CVPR2016", FOLDERS[0])
    with pytest.raises(JladkitError, match=r"2 of the files .* missing:\n.*JODS\n.*PASCAL"):
        build(root, tmp_path / "a.h5")
    assert len(build(root, tmp_path / "a.h5", allow_missing=True).pair_split) == 2


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("flow1.flo", HTML, "flow is a web page"),
        ("flow1.flo", b"PIEH", "flow broken"),
        ("flow1.flo", b"RIFF" + bytes(100), "flow broken"),
        ("flow1.flo", b"PIEH" + bytes(8), "flow broken"),
        ("flow1.flo", b"PIEH\2\0\0\0\2\0\0\0" + bytes(31), "flow broken"),
        ("mask2.png", HTML, "mask is a web page"),
        ("mask2.png", b"\x89PNG\r\n\x1a\nnothing", "mask broken"),
        ("flip_gt.txt", b"2", "flip_gt.txt broken"),
        ("flip_gt.txt", HTML, "flip_gt.txt is a web page"),
    ],
)
def test_a_broken_file_is_counted_and_strict_names_it(tmp_path, file, content, reason):
    root = tss_root(tmp_path / "in")
    (root / "TSS_CVPR2016" / FOLDERS[0] / file).write_bytes(content)
    data = build(root, tmp_path / "a.h5")
    assert data.source["left_out"] == {reason: 1, tss.UNPAIRED: 2}
    assert len(data.pair_split) == 6
    with pytest.raises(JladkitError, match=rf"{file}: {reason}"):
        build(root, tmp_path / "b.h5", strict=True)


def test_a_mask_without_an_object_is_broken(tmp_path):
    root = tss_root(tmp_path / "in")
    black = Image.new("L", SIZES[1])
    black.save(root / "TSS_CVPR2016" / FOLDERS[0] / "mask1.png")
    assert build(root, tmp_path / "a.h5").source["left_out"]["mask empty"] == 1


@pytest.mark.parametrize("file", ["image1.png", "mask1.png", "flow1.flo"])
def test_files_of_different_sizes_are_counted(tmp_path, file):
    root = tss_root(tmp_path / "in")
    path = root / "TSS_CVPR2016" / FOLDERS[0] / file
    if file == "flow1.flo":
        write_flo(path, tss_flow(1, flip=False)[:-1])
    else:
        Image.new("L", (47, 36), 255).save(path)
    data = build(root, tmp_path / "a.h5")
    assert data.source["left_out"]["picture, mask and flow differ in size"] == 1
    with pytest.raises(JladkitError, match=r"differ in size\. See its files 1"):
        build(root, tmp_path / "b.h5", strict=True)


def test_pixels_where_mask_and_flow_differ_are_told(tmp_path):
    root = tss_root(tmp_path / "in")
    flow = tss_flow(2, flip=False)
    flow[CORNERS[2][1], CORNERS[2][0] : CORNERS[2][0] + 3, 1] = np.nan
    write_flo(root / "TSS_CVPR2016" / FOLDERS[0] / "flow2.flo", flow)
    data = build(root, tmp_path / "a.h5", strict=True)
    assert data.source["mask_pixels_unlike_flow"] == 3
    stored = data.flow(1)
    assert stored is not None
    assert np.isnan(stored[CORNERS[2][1], CORNERS[2][0]]).all()  # half a flow is none


def test_a_list_without_a_pair_that_is_here_is_refused(tmp_path):
    root = tss_root(tmp_path / "in")
    write_tss_list(root / "test_pairs_tss.csv", [])
    with pytest.raises(JladkitError, match="No pair is left of"):
        build(root, tmp_path / "a.h5")


def test_another_layout_is_named(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(JladkitError, match="not in TSS's layout"):
        build(tmp_path / "in", tmp_path / "a.h5")


def test_the_command_builds_and_its_recipe_can_be_followed(tmp_path):
    root, out = str(tss_root(tmp_path / "in")), tmp_path / "a.h5"
    words = [root, "--out", str(out), "--flips", "undo"]
    result = CliRunner().invoke(tss.command, words)
    assert result.exit_code == 0, result.output
    again = tmp_path / "b.h5"
    result = CliRunner().invoke(tss.command, [root, "--out", str(again), "--recipe-from", str(out)])
    assert result.exit_code == 0, result.output
    assert out.read_bytes() == again.read_bytes()
