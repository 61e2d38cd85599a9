import numpy as np
import pytest

from jladkit.errors import JladkitError
from jladkit.evaluators.iod_frames import (
    in_frame,
    mean_points,
    mean_shape,
    normalisers,
    to_pixels,
    unit_of,
)
from jladkit.evaluators.iod_protocols import NORMALISERS
from tests.tiny import tiny_arrays, tiny_dataset

# Object 0, a car: its picture is 40 x 60, its box 20 x 48, two keypoints are visible.
SIZE, BOX = (40, 60), (4.0, 2.0, 24.0, 50.0)
LEFT, RIGHT = (5.0, 10.0), (14.0, 22.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("frames") / "tiny.h5")


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    arrays = tiny_arrays()
    size, box = arrays["object/size"], arrays["object/box"]
    keypoints, visible = arrays["object/keypoints"], arrays["object/visible"]
    size[0], box[0], keypoints[0, :2] = SIZE, BOX, (LEFT, RIGHT)
    visible[0] = [True, True, False, False]
    path = tmp_path_factory.mktemp("frames") / "one.h5"
    return tiny_dataset(
        path, object_size=size, object_box=box, object_keypoints=keypoints, object_visible=visible
    )


@pytest.mark.parametrize(
    ("frame", "corner", "place"),
    [
        ("corner", (0, 0), (9 / 60, 30 / 60)),
        ("centre", (-19.5 / 60, -29.5 / 60), (-10.5 / 60, 0.5 / 60)),
        ("unit", (-19.5 / 20, -29.5 / 30), (-10.5 / 20, 0.5 / 30)),
        ("box", (-4 / 20, -2 / 48), (5 / 20, 28 / 48)),
    ],
)
def test_each_frame_has_its_origin_and_its_scale(one, frame, corner, place):
    points = np.zeros((len(one.object_category), 2, 2))
    points[0] = (0, 0), (9, 30)
    found = in_frame(one, points, frame)
    np.testing.assert_allclose(found[0], [corner, place])
    np.testing.assert_allclose(to_pixels(one, found[:1], frame, np.array([0])), points[:1])


def test_the_borders_of_the_picture_are_minus_1_and_1_in_the_unit_frame(one):
    points = np.zeros((len(one.object_category), 2, 2))
    points[0] = (-0.5, -0.5), (SIZE[0] - 0.5, SIZE[1] - 0.5)
    np.testing.assert_allclose(in_frame(one, points, "unit")[0], [[-1, -1], [1, 1]])


@pytest.mark.parametrize(
    ("normaliser", "length"),
    [
        ("iod-pair-or-box", 48),
        ("box-longer-side", 48),
        ("box-diagonal", 52),
        ("sqrt-box-area", np.sqrt(960)),
        ("keypoint-extent", 12),
        ("sqrt-keypoint-area", np.sqrt(9 * 12)),
        ("image", 60),
        ("left_wheel,right_wheel", 15),
        ("left_wheel,roof", np.nan),
    ],
)
def test_each_normaliser_is_the_length_computed_by_hand(one, normaliser, length):
    np.testing.assert_allclose(normalisers(one, np.array([0]), normaliser), [length])


def test_every_normaliser_has_a_unit_and_grows_with_the_picture(tmp_path, data):
    fields = ("object/size", "object/box", "object/keypoints")
    arrays = tiny_arrays()
    twice = {name.replace("/", "_"): 2 * arrays[name] for name in fields}
    larger, rows = tiny_dataset(tmp_path / "twice.h5", **twice), data.objects("test")
    for name in NORMALISERS:
        np.testing.assert_allclose(
            normalisers(larger, rows, name), 2 * normalisers(data, rows, name)
        )
        assert unit_of(data, rows, name) == NORMALISERS[name]
    assert unit_of(data, rows, "a,b") == "distance of a and b"


def test_a_keypoint_that_a_category_lacks_cannot_normalise(data):
    with pytest.raises(JladkitError, match=r"but face of .* has no left_wheel and no roof"):
        normalisers(data, data.objects("test"), "left_wheel,roof")


def test_eyes_normalise_where_a_category_has_them_and_the_box_where_not(data):
    rows = data.objects("test")
    lengths = normalisers(data, rows)
    for row, length in zip(rows, lengths, strict=True):
        if data.object_category[row] == 1:
            eyes = data.object_keypoints[row, 1] - data.object_keypoints[row, 0]
            assert length == pytest.approx(np.hypot(*eyes))
        else:
            box = data.object_box[row]
            assert length == max(box[2] - box[0], box[3] - box[1])
    assert unit_of(data, rows).startswith("inter-ocular distance where a category has eyes")
    assert unit_of(data, rows[data.object_category[rows] == 1]) == "inter-ocular distance"
    assert unit_of(data, rows[data.object_category[rows] == 0]) == "longer side of the box"


def test_the_floor_is_the_average_in_the_frame_of_the_box(tmp_path):
    fields = tiny_arrays()
    box = fields["object/box"]
    size = (box[:, 2:] - box[:, :2])[:, None]
    place = np.array([[0.2, 0.3], [0.8, 0.3], [0.5, 0.7], [0.4, 0.1]])
    keypoints = box[:, None, :2] + place * size
    keypoints[fields["object/category"] == 1, 3] = np.nan
    data = tiny_dataset(tmp_path / "still.h5", object_keypoints=keypoints)
    found = mean_shape(data, data.objects("train"), data.objects("test"))
    np.testing.assert_allclose(found, keypoints[data.objects("test")], atol=1e-9)


def test_an_average_is_of_what_counts_in_the_frame_that_is_asked_for(one):
    points = np.zeros((len(one.object_category), 1, 2))
    visible = np.ones((len(points), 1), bool)
    rows = np.array([0, 2])
    points[rows] = [[[8, 20]], [[90, 90]]]
    visible[2] = False
    found = mean_points(one, points, visible, rows, rows, "unit")
    np.testing.assert_allclose(found[0], [[8, 20]])
    width, height = one.object_size[2]
    np.testing.assert_allclose(found[1], [[(8.5 / 40) * width - 0.5, (20.5 / 60) * height - 0.5]])
