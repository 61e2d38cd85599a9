"""The traps of PASCAL3D+'s records, one by one."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from jladkit.builders import pascal3d
from jladkit.builders.objects import Found
from jladkit.errors import JladkitError, UsageError
from tests.builders.layouts import (
    ANCHORS,
    EMPTY,
    HTML,
    anchor,
    build_pascal3d,
    pascal3d_root,
    picture,
    thing,
    viewpoint,
    write_record,
)

NAME = "car_imagenet/n000"


def read(root: Path, name: str = NAME, strict: bool = False, **options: object) -> Found:
    """What one record gives."""
    chosen = pascal3d.Options(**options)  # pyright: ignore[reportArgumentType]
    return pascal3d.read_record(f"{name}.mat", root=root, options=chosen, strict=strict)


def reasons(found: Found) -> list[str]:
    return [reason for reason, _ in found.left_out]


def test_coordinates_become_0_based(tmp_path):
    write_record(tmp_path, NAME, thing())
    (stored,) = read(tmp_path).objects
    point = stored.annotation.points["right_wheel"]
    assert (point.x, point.y, point.visible, point.status) == (25, 23, True, 1)
    np.testing.assert_array_equal(stored.box, [9.5, 9.5, 59.5, 49.5])  # 1-based 11..60: 50 px
    assert stored.annotation.viewpoint == (40, 5, 1, 7)
    assert stored.annotation.image == "Images/car_imagenet/n000.JPEG"


def test_keypoints_come_back_through_the_stored_map(tmp_path):
    data = build_pascal3d(pascal3d_root(tmp_path / "in"), tmp_path / "a.h5", size=32)
    assert data.keypoint_names == [sorted(ANCHORS)]
    map_ = data.object_to_source
    back = np.einsum("nij,nkj->nki", map_[:, :, :2], data.object_keypoints) + map_[:, None, :, 2]
    wanted = [[20 + 5 * ANCHORS.index(n), 20 + 3 * ANCHORS.index(n)] for n in sorted(ANCHORS)]
    np.testing.assert_allclose(back, np.tile(wanted, (8, 1, 1)), atol=1e-9)
    assert (data.object_size == 32).all()
    assert data.image(0).size == (32, 32)


def test_every_object_of_a_record_is_read(tmp_path):
    write_record(tmp_path, NAME, thing(), thing(bbox=np.array([20.0, 5.0, 70.0, 55.0])))
    assert [stored.annotation.index for stored in read(tmp_path).objects] == [0, 1]


def test_small_integers_do_not_overflow(tmp_path):
    points = {
        n: {"location": np.array([200, 100], np.uint8), "status": np.uint8(1)} for n in ANCHORS
    }
    box = np.array([0, 1, 255, 120], np.uint8)
    path = write_record(tmp_path, NAME, thing(bbox=box, anchors=points), imgsize=[300, 200, 3])
    picture(tmp_path / "Images" / f"{NAME}.JPEG", 300, 200)
    (stored,) = read(tmp_path).objects
    assert path.exists()
    np.testing.assert_array_equal(stored.box, [-0.5, -0.5, 254.5, 119.5])
    assert stored.annotation.points["roof"].x == 199


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"class": "person"}, "of another class"),
        ({"truncated": 1}, "truncated"),
        ({"occluded": 1}, "occluded"),
        ({"difficult": np.uint8(1)}, "difficult"),
        ({"viewpoint": viewpoint(distance=0.0)}, "viewpoint coarse only"),
        ({"viewpoint": viewpoint(azimuth=EMPTY)}, "viewpoint coarse only"),
        (
            {"viewpoint": viewpoint(azimuth=0.0, elevation=0.0, theta=0.0)},
            "viewpoint all zero, a placeholder",
        ),
        ({"anchors": EMPTY}, "fewer than 3 visible keypoints"),
        (
            {"anchors": {n: anchor(20, 20, 2) for n in ANCHORS}},
            "fewer than 3 visible keypoints",
        ),
        (
            {"anchors": {n: {"location": EMPTY, "status": 1} for n in ANCHORS}},
            "fewer than 3 visible keypoints",
        ),
        ({"bbox": np.array([11.0, 11.0, 30.0, 20.0])}, "box below 32 px"),
    ],
)
def test_unwanted_objects_are_left_out_and_counted_even_under_strict(tmp_path, changes, reason):
    write_record(tmp_path, NAME, thing(**changes))
    found = read(tmp_path, strict=True)
    assert (found.objects, reasons(found)) == ([], [reason])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"class": EMPTY}, "object without a class"),
        ({"viewpoint": EMPTY}, "viewpoint empty"),
        (
            {"viewpoint": viewpoint(azimuth=EMPTY, azimuth_coarse=EMPTY)},
            "viewpoint incomplete",
        ),
        ({"bbox": EMPTY}, "box missing"),
        ({"bbox": np.array([200.0, 11.0, 260.0, 50.0])}, "box empty or outside the picture"),
        ({"bbox": np.array([np.nan, 11.0, 60.0, 50.0])}, "box empty or outside the picture"),
    ],
)
def test_broken_objects_are_counted_and_strict_stops_at_them(tmp_path, changes, reason):
    write_record(tmp_path, NAME, thing(**changes), thing())
    found = read(tmp_path)
    assert (len(found.objects), reasons(found)) == (1, [reason])
    with pytest.raises(JladkitError, match=rf"n000.*{reason}.*--strict"):
        read(tmp_path, strict=True)


@pytest.mark.parametrize(
    ("changes", "keep"),
    [
        ({"truncated": 1}, "truncated"),
        ({"viewpoint": viewpoint(distance=0.0)}, "coarse"),
        ({"viewpoint": viewpoint(azimuth=0.0, elevation=0.0, theta=0.0)}, "zero-viewpoint"),
    ],
)
def test_keep_keeps_what_is_left_out_by_default(tmp_path, changes, keep):
    write_record(tmp_path, NAME, thing(**changes))
    assert len(read(tmp_path, keep=(keep,)).objects) == 1


def test_a_coarse_object_that_is_kept_has_its_coarse_angles(tmp_path):
    write_record(tmp_path, NAME, thing(viewpoint=viewpoint(distance=0.0)))
    (stored,) = read(tmp_path, keep=("coarse",)).objects
    np.testing.assert_array_equal(stored.annotation.viewpoint, [45, 0, 0, np.nan])


def test_visible_is_status_1_or_any_location(tmp_path):
    points = {n: anchor(20, 20, 2 if n == "roof" else 1) for n in ANCHORS}
    write_record(tmp_path, NAME, thing(anchors=points))
    (strictly,), (freely,) = read(tmp_path).objects, read(tmp_path, visibility="location").objects
    assert strictly.annotation.points["roof"] == (20, 20, False, 2)
    assert freely.annotation.points["roof"] == (20, 20, True, 2)


def test_objects_without_any_keypoint_stay_on_request_and_pair_by_viewpoint(tmp_path):
    nothing = {n: {"location": EMPTY, "status": 5} for n in ANCHORS}
    for i in range(8):
        write_record(tmp_path / "in", f"car_imagenet/n{i}", thing(anchors=nothing))
    data = build_pascal3d(tmp_path / "in", tmp_path / "a.h5", min_keypoints=0)
    assert len(data.pair_source) > 0
    assert not data.object_visible.any()


def test_a_box_beyond_the_picture_is_clipped(tmp_path):
    write_record(tmp_path, NAME, thing(bbox=np.array([-20.0, 5.0, 300.0, 70.0])))
    (stored,) = read(tmp_path).objects
    np.testing.assert_array_equal(stored.box, [-0.5, 3.5, 79.5, 59.5])


def test_a_grey_picture_becomes_rgb(tmp_path):
    data = build_pascal3d(pascal3d_root(tmp_path / "in"), tmp_path / "a.h5")
    for path in (tmp_path / "in/Images/car_imagenet").iterdir():
        picture(path, mode="L")
    grey = build_pascal3d(tmp_path / "in", tmp_path / "b.h5")
    assert len(grey.object_category) == len(data.object_category)
    assert grey.image(0).mode == "RGB"


@pytest.mark.parametrize("filename", ["", "gone.JPEG", "n000", "../../n000.JPEG"])
def test_a_picture_is_found_without_its_right_name(tmp_path, filename):
    write_record(tmp_path, NAME, thing(), filename=filename)
    assert len(read(tmp_path).objects) == 1


def test_a_picture_of_another_size_is_refused(tmp_path):
    write_record(tmp_path, NAME, thing())
    picture(tmp_path / "Images" / f"{NAME}.JPEG", 160, 120)
    assert reasons(read(tmp_path)) == ["picture and annotation differ in size"]


@pytest.mark.parametrize("kind", ["html", "v7.3", "noise", "cut", "other", "empty"])
def test_a_broken_record_is_counted_and_strict_names_it(tmp_path, kind):
    path = write_record(tmp_path, NAME, thing())
    if kind == "v7.3":
        with h5py.File(path, "w", userblock_size=512) as file:
            file["record"] = 1
        head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
        path.write_bytes(head.ljust(512, b"\0") + path.read_bytes()[512:])
    elif kind == "other":
        savemat(path, {"annotation": 3})
    else:
        whole = path.read_bytes()
        path.write_bytes(
            {"html": HTML, "noise": b"\x07" * 600, "cut": whole[:300], "empty": b""}[kind]
        )
    expected = {"html": "record is a web page", "v7.3": "record is MATLAB v7.3"}
    assert reasons(read(tmp_path)) == [expected.get(kind, "record broken")]
    with pytest.raises(JladkitError, match=r"n000\.mat: record"):
        read(tmp_path, strict=True)


def test_older_matlab_files_are_read_too(tmp_path):
    from scipy.io import loadmat

    path = write_record(tmp_path, NAME, thing())
    savemat(path, {"record": loadmat(path)["record"]}, format="5", do_compression=False)
    assert len(read(tmp_path).objects) == 1


def test_a_broken_picture_is_counted_and_strict_names_it(tmp_path):
    write_record(tmp_path, NAME, thing())
    path = tmp_path / "Images" / f"{NAME}.JPEG"
    path.write_bytes(path.read_bytes()[:400])
    assert reasons(read(tmp_path)) == ["picture broken"]
    with pytest.raises(JladkitError, match="not a whole picture"):
        read(tmp_path, strict=True)
    path.unlink()
    assert read(tmp_path).missing == [str(path)]


def test_the_folder_that_holds_the_release_will_do(tmp_path):
    pascal3d_root(tmp_path / pascal3d.RELEASE)
    assert len(build_pascal3d(tmp_path, tmp_path / "a.h5").object_category) == 8


def test_both_parts_and_several_categories_are_read(tmp_path):
    root = pascal3d_root(pascal3d_root(tmp_path / "in"), category="boat")
    for i in range(3):
        write_record(root, f"car_pascal/p{i}", thing())
    data = build_pascal3d(root, tmp_path / "a.h5")
    assert data.categories == ["boat", "car"]
    assert np.bincount(data.object_category).tolist() == [8, 11]
    only = build_pascal3d(root, tmp_path / "b.h5", category=("car",), part=("imagenet",))
    assert np.bincount(only.object_category).tolist() == [8]


def test_an_unknown_category_is_a_usage_error(tmp_path):
    root = pascal3d_root(tmp_path / "in", 2)
    with pytest.raises(UsageError, match=r"No category ship in .* Known: car"):
        build_pascal3d(root, tmp_path / "a.h5", category=("ship",))


def test_another_layout_is_named(tmp_path):
    (tmp_path / "Annotations").mkdir()
    with pytest.raises(JladkitError, match="not in PASCAL3D\\+'s layout: expected"):
        build_pascal3d(tmp_path, tmp_path / "a.h5")
    with pytest.raises(UsageError, match="There is no folder"):
        build_pascal3d(tmp_path / "nowhere", tmp_path / "a.h5")


def test_nothing_left_says_why_and_writes_nothing(tmp_path):
    write_record(tmp_path / "in", NAME, thing(truncated=1))
    with pytest.raises(JladkitError, match=r"No object is left: 1 truncated \(first: .*n000\.mat"):
        build_pascal3d(tmp_path / "in", tmp_path / "a.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_stored_picture_shows_the_object_where_its_keypoints_are(tmp_path):
    root = pascal3d_root(tmp_path / "in")
    for path in (root / "Images/car_imagenet").iterdir():
        pixels = np.zeros((60, 80, 3), np.uint8)
        pixels[20 - 2 : 23, 20 - 2 : 23] = 255  # around the left wheel at (20, 20)
        Image.fromarray(pixels).save(path, quality=95)
    data = build_pascal3d(root, tmp_path / "a.h5", size=40)
    light = np.asarray(data.image(0).convert("L"), dtype=float)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    light[light < 40] = 0
    centre = np.array([(x * light).sum(), (y * light).sum()]) / light.sum()
    wheel = sorted(ANCHORS).index("left_wheel")
    np.testing.assert_allclose(centre, data.object_keypoints[0, wheel], atol=0.3)


def test_official_image_sets_make_the_splits(tmp_path):
    root = pascal3d_root(tmp_path / "in", 30)
    for i in range(12):
        write_record(root, f"car_pascal/p{i:02}", thing(viewpoint=viewpoint(azimuth=1.0)))
    sets = {
        pascal3d.SETS: {"car_imagenet_train": range(20), "car_imagenet_val": range(20, 29)},
        pascal3d.VOC_SETS: {"car_train": range(6), "car_val": range(6, 12)},
    }
    for folder, lists in sets.items():
        (root / folder).mkdir(parents=True)
        for stem, numbers in lists.items():
            names = [f"n{i:03}" if "imagenet" in stem else f"p{i:02}  1" for i in numbers]
            names += ["x000 -1"] if "imagenet" not in stem else []
            (root / folder / f"{stem}.txt").write_text("\n".join(names))
    data = build_pascal3d(root, tmp_path / "a.h5", split_by="official", pairs=100)
    names = [path.rpartition("/")[2].partition(".")[0] for path in data.object_source_image]
    test = {name for name, split in zip(names, data.object_split, strict=True) if split == 2}
    assert len(names) == 41  # n029 is in no set
    assert test == {f"n{i:03}" for i in range(20, 29)} | {f"p{i:02}" for i in range(6, 12)}
    assert set(data.object_split) == {0, 1, 2}
    assert np.bincount(data.pair_split).tolist() == [70, 20, 10]
    np.testing.assert_array_equal(data.object_split[data.pair_source], data.pair_split)
    np.testing.assert_array_equal(data.object_split[data.pair_target], data.pair_split)


def test_official_splits_need_the_image_sets(tmp_path):
    with pytest.raises(JladkitError, match=r"car_imagenet_train\.txt cannot be read"):
        build_pascal3d(pascal3d_root(tmp_path / "in"), tmp_path / "a.h5", split_by="official")
