"""Caltech-101: the list's polygons and pairs, masks, the release's .mat files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import savemat

from jladkit.builders import caltech101
from jladkit.builders.options import Job
from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset, open_dataset
from jladkit.formats.describe import describe
from tests.builders.layouts import HTML, picture
from tests.builders.layouts_dense import (
    SQUARE,
    TRIANGLE,
    caltech_root,
    caltech_row,
    write_caltech_list,
    write_caltech_mat,
)
from tests.formats.test_masks import naive

LIST = "test_pairs_caltech_with_category.csv"
ONE, TWO = "airplanes/image_0001", "airplanes/image_0002"


def build(
    root: Path, out: Path, strict: bool = False, allow_missing: bool = False, workers: int = 1,
    **options: Any,
) -> Dataset:  # fmt: skip
    job = Job(out=out, strict=strict, allow_missing=allow_missing, workers=workers)
    caltech101.build(root, caltech101.Options(**options), job)
    return open_dataset(out)


def names(data: Dataset) -> list[tuple[str, str]]:
    """Each pair's pictures, without the ending."""
    image = [name.removesuffix(".jpg") for name in data.object_source_image]
    return [(image[a], image[b]) for a, b in zip(data.pair_source, data.pair_target, strict=True)]


def polygon(data: Dataset, row: int) -> np.ndarray:
    """(n, 2) the positions that an object's keypoints have."""
    xy = data.object_keypoints[row]
    return xy[np.isfinite(xy).all(axis=-1)]


def test_pairs_are_the_lists_and_every_picture_with_its_polygon_is_one_object(tmp_path):
    data = build(caltech_root(tmp_path / "in"), tmp_path / "a.h5", strict=True)
    assert data.categories == ["airplanes", "emu"]
    assert names(data) == [
        (ONE, TWO),
        ("emu/image_0001", "emu/image_0002"),
        ("emu/image_0002", "emu/image_0001"),
    ]
    assert (data.pair_split == 2).all()
    assert len(data.object_category) == 4


def test_the_vertices_have_positions_and_none_is_visible(tmp_path):
    data = build(caltech_root(tmp_path / "in"), tmp_path / "a.h5")
    assert data.keypoint_names[0] == ["v000", "v001", "v002", "v003"]
    np.testing.assert_allclose(polygon(data, 0), TRIANGLE)  # as they stand in the list
    np.testing.assert_allclose(polygon(data, 1), SQUARE)
    np.testing.assert_allclose(polygon(data, 3), TRIANGLE[::-1])  # in the list's order
    assert not data.object_visible.any()
    assert not data.pair_common.any()
    assert (data.category_flip == -1).all()
    np.testing.assert_allclose(data.object_box[0], [10.3, 8.2, 60.7, 50.9])


def test_masks_are_the_polygons_filled_to_the_pixel(tmp_path):
    data = build(caltech_root(tmp_path / "in"), tmp_path / "a.h5")
    for row in range(4):
        width, height = data.object_size[row]
        np.testing.assert_array_equal(data.mask(row), naive(polygon(data, row), width, height))
    square = data.mask(1)
    assert square is not None
    assert square.sum() == 30 * 30
    assert square[10:40, 20:50].all()


def test_a_picture_with_two_polygons_is_two_objects_with_one_picture(tmp_path):
    root = caltech_root(tmp_path / "in")
    other = SQUARE[[0, 1, 2]]
    rows = [caltech_row(ONE, TWO, (TRIANGLE, p)) for p in (SQUARE, other, SQUARE)]
    write_caltech_list(root, rows)
    data = build(root, tmp_path / "a.h5", strict=True)
    assert data.pair_source.tolist() == [0, 0, 0]
    assert data.pair_target.tolist() == [1, 2, 1]
    assert data.object_source_index.tolist() == [0, 0, 1]
    assert (data.object_image_span[1] == data.object_image_span[2]).all()
    np.testing.assert_allclose(polygon(data, 2), other)


@pytest.mark.parametrize("inside", ["caltech-101", "Caltech-101"])
def test_the_release_may_lie_in_its_folder(tmp_path, inside):
    data = build(caltech_root(tmp_path / "in" / inside), tmp_path / "a.h5")
    assert data.digest == build(caltech_root(tmp_path / "other"), tmp_path / "b.h5").digest


def test_the_mat_files_give_1_based_polygons_and_boxes(tmp_path):
    data = build(caltech_root(tmp_path / "in"), tmp_path / "a.h5", strict=True, annotations="mat")
    np.testing.assert_allclose(polygon(data, 0), TRIANGLE)
    np.testing.assert_allclose(data.object_box[0], [10, 8, 61, 51])
    assert data.source["box"] == "box_coord of the .mat files"
    assert data.source["polygons_of_list"] == 6
    assert data.source["polygons_of_list_like_mat"] == 6
    assert data.source["polygons_of_list_like_mat_less_1"] == 0


def test_a_list_of_1_based_polygons_shows_beside_the_mat_files(tmp_path):
    root = caltech_root(tmp_path / "in")
    write_caltech_list(root, [caltech_row(ONE, TWO, (TRIANGLE + 1, SQUARE + 1))])
    data = build(root, tmp_path / "a.h5", annotations="mat")
    np.testing.assert_allclose(polygon(data, 0), TRIANGLE)
    assert data.source["polygons_of_list_like_mat"] == 0
    assert data.source["polygons_of_list_like_mat_less_1"] == 2


def test_annotation_folders_may_be_renamed_as_those_of_the_pictures(tmp_path):
    root = caltech_root(tmp_path / "in")
    released = build(root, tmp_path / "a.h5", annotations="mat")
    (root / "Annotations/Airplanes_Side_2").rename(root / "Annotations/airplanes")
    renamed = build(root, tmp_path / "b.h5", annotations="mat")
    assert released.digest == renamed.digest


def test_the_number_of_workers_changes_no_byte(tmp_path):
    root = tmp_path / "in"
    rows = []
    for number in range(0, 70, 2):  # enough pictures for workers to start
        pair = [f"emu/image_{n:04d}" for n in (number, number + 1)]
        for name in pair:
            picture(root / f"101_ObjectCategories/{name}.jpg")
        rows.append(caltech_row(pair[0], pair[1], (TRIANGLE + number / 10, SQUARE)))
    write_caltech_list(root, rows)
    paths = [tmp_path / f"{workers}.h5" for workers in (1, 2)]
    for workers, path in enumerate(paths, start=1):
        build(root, path, workers=workers, strict=True)
    assert paths[0].read_bytes() == paths[1].read_bytes()


GOOD = caltech_row(ONE, TWO, (TRIANGLE, SQUARE))


@pytest.mark.parametrize(
    ("row", "flaw"),
    [
        ("101_ObjectCategories/airplanes/image_0001.jpg,x,1", "3 columns"),
        (GOOD.replace("airplanes", "emu", 1), "of two categories"),
        (GOOD.replace("101_ObjectCategories/airplanes/", "", 1), "in no category's folder"),
        (GOOD.replace("101_ObjectCategories", "..", 1), "no picture below ROOT"),
        (GOOD.replace("10.3,", "", 1), "2 x but 3 y"),
        (GOOD.replace("10.3", "ten", 1), "could not convert"),
        (GOOD.replace("10.3", "nan", 1), "all of them finite"),
        (caltech_row(ONE, TWO, (TRIANGLE[:2], SQUARE)), "three vertices or more"),
    ],
)
def test_a_broken_row_is_counted_and_strict_names_its_line(tmp_path, row, flaw):
    root = caltech_root(tmp_path / "in")
    write_caltech_list(root, [GOOD, row])
    data = build(root, tmp_path / "a.h5")
    assert data.source["left_out"] == {"row broken": 1}
    assert len(data.pair_split) == 1
    with pytest.raises(JladkitError, match=rf"row broken\. Line 3 is off \(.*{flaw}"):
        build(root, tmp_path / "b.h5", strict=True)


def test_a_polygon_that_covers_no_pixel_is_counted(tmp_path):
    root = caltech_root(tmp_path / "in")
    write_caltech_list(root, [GOOD, caltech_row(ONE, TWO, (TRIANGLE + 500, SQUARE))])
    data = build(root, tmp_path / "a.h5")
    assert data.source["left_out"] == {"polygon covers no pixel of its picture": 1}
    assert len(data.object_category) == 2
    with pytest.raises(JladkitError, match=r"covers no pixel of its picture\. It is the row"):
        build(root, tmp_path / "b.h5", strict=True)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (HTML, "web page saved as a data file"),
        (b"one,two\n", "must have 7 columns"),
        (b"\xff\xfe\x00", "cannot be read as CSV"),
        (b"", "must have 7 columns"),
    ],
)
def test_a_foreign_list_is_named(tmp_path, content, text):
    root = caltech_root(tmp_path / "in")
    (root / LIST).write_bytes(content)
    with pytest.raises(JladkitError, match=text):
        build(root, tmp_path / "a.h5")


def test_a_missing_list_is_named_with_where_to_get_it(tmp_path):
    root = caltech_root(tmp_path / "in")
    (root / LIST).unlink()
    with pytest.raises(JladkitError, match=rf"There is no file .*{LIST}. Get .*www\.di\.ens\.fr"):
        build(root, tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("file", "annotations"),
    [
        (f"101_ObjectCategories/{ONE}.jpg", "list"),
        ("Annotations/Airplanes_Side_2/annotation_0001.mat", "mat"),
    ],
)
def test_a_missing_file_stops_the_build_unless_it_may_be_missing(tmp_path, file, annotations):
    root = caltech_root(tmp_path / "in")
    (root / file).unlink()
    with pytest.raises(JladkitError, match=rf"1 of the files .* missing:\n.*{Path(file).name}"):
        build(root, tmp_path / "a.h5", annotations=annotations)
    data = build(root, tmp_path / "a.h5", allow_missing=True, annotations=annotations)
    assert len(names(data)) == 2
    assert data.mask(0) is not None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (HTML, "annotation is a web page"),
        (b"MATLAB 5.0 and then nothing", "annotation broken"),
        ({"obj_contour": np.ones((2, 3))}, "annotation broken"),
        ({"obj_contour": np.ones((3, 3)), "box_coord": [[1, 9, 1, 9]]}, "annotation broken"),
        ({"obj_contour": np.ones((2, 2)), "box_coord": [[1, 9, 1, 9]]}, "annotation broken"),
        ({"obj_contour": np.ones((2, 3)), "box_coord": [[9, 1, 1, 9]]}, "annotation broken"),
        ({"obj_contour": np.ones((2, 3)), "box_coord": [[1, 9, 1]]}, "annotation broken"),
    ],
)
def test_a_broken_annotation_is_counted_and_strict_names_it(tmp_path, content, reason):
    root = caltech_root(tmp_path / "in")
    path = write_caltech_mat(root, "emu", 1, SQUARE)
    path.write_bytes(content) if isinstance(content, bytes) else savemat(path, content)
    data = build(root, tmp_path / "a.h5", annotations="mat")
    assert data.source["left_out"] == {reason: 1, caltech101.UNPAIRED: 2}
    with pytest.raises(JladkitError, match=rf"annotation_0001\.mat: {reason}"):
        build(root, tmp_path / "b.h5", strict=True, annotations="mat")


def test_a_broken_picture_is_counted(tmp_path):
    root = caltech_root(tmp_path / "in")
    (root / f"101_ObjectCategories/{TWO}.jpg").write_bytes(HTML)
    data = build(root, tmp_path / "a.h5")
    assert data.source["left_out"]["picture is a web page"] == 1
    assert len(names(data)) == 2


def test_another_layout_is_named(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(JladkitError, match="not in Caltech-101's layout"):
        build(tmp_path / "in", tmp_path / "a.h5")


def test_the_command_builds(tmp_path):
    root, out = caltech_root(tmp_path / "in"), tmp_path / "a.h5"
    words = [str(root), "--out", str(out), "--annotations", "mat"]
    result = CliRunner().invoke(caltech101.command, words)
    assert result.exit_code == 0, result.output
    assert open_dataset(out).name == "caltech101"


def test_a_summary_counts_polygons_and_not_their_vertices(tmp_path):
    told = describe(build(caltech_root(tmp_path / "in"), tmp_path / "a.h5"))
    assert told["keypoints"] == {
        "airplanes": {"polygon of up to 4 vertices": 2},
        "emu": {"polygon of up to 4 vertices": 2},
    }
