"""Keypoints carried by landmarks: what the spline reproduces, and what is refused."""

import numpy as np
import pytest

from jladkit.errors import JladkitError
from jladkit.evaluators.by_landmarks import carried_by_landmarks, carry
from jladkit.evaluators.pck import evaluate
from tests.tiny import predicted, tiny_dataset

SQUARE = np.array([[0.2, 0.2], [0.8, 0.2], [0.2, 0.8], [0.8, 0.8], [0.5, 0.4]])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("carried") / "tiny.h5")


def found(data, points):
    """Predictions of landmarks alone, of all objects."""
    rows = np.arange(len(points))
    return predicted(data, pair_row=None, pair_points=None, object_row=rows, object_points=points)


def test_landmarks_that_move_by_an_affine_map_carry_points_by_it():
    linear, shift = np.array([[0.9, 0.1], [-0.2, 1.1]]), np.array([0.05, -0.03])
    points = np.array([[0.3, 0.7], [0.6, 0.1], [np.nan, np.nan]])
    moved = carry(SQUARE, SQUARE @ linear.T + shift, points)
    np.testing.assert_allclose(moved[:2], points[:2] @ linear.T + shift, atol=1e-9)
    assert np.isnan(moved[2]).all()


@pytest.mark.parametrize(
    "few",
    [SQUARE[:1], SQUARE[:2], np.outer([0.1, 0.4, 0.5, 0.9], [1, 0.5])],
    ids=["1", "2", "line"],
)
def test_landmarks_that_say_no_more_move_points_by_their_mean_shift(few: np.ndarray):
    target = few + np.array([0.1, -0.2])
    target[0] += [0.03 * len(few), 0]
    moved = carry(few, target, np.array([[0.3, 0.7]]))
    np.testing.assert_allclose(moved, [[0.3 + 0.1 + 0.03, 0.7 - 0.2]])


def test_a_landmark_that_moves_alone_bends_what_is_near_it_more():
    target = SQUARE.copy()
    target[4] += [0.1, 0]
    near, far = carry(SQUARE, target, np.array([[0.5, 0.42], [0.8, 0.8]]))
    assert near[0] - 0.5 > 4 * abs(far[0] - 0.8)


def test_landmarks_at_the_same_shares_of_every_picture_carry_keypoints_to_the_same_shares(data):
    points = SQUARE * data.object_size[:, None] - 0.5
    carried = carried_by_landmarks(data, found(data, points))
    assert carried.method == "oracle-landmarks"
    start = data.pair_source[carried.pair_row]
    shares = (data.object_keypoints[start] + 0.5) / data.object_size[start][:, None]
    end = data.pair_target[carried.pair_row]
    expected = shares * data.object_size[end][:, None] - 0.5
    assert carried.pair_points is not None
    np.testing.assert_allclose(carried.pair_points, expected, atol=1e-9)


def test_landmarks_that_are_the_keypoints_carry_them_to_one_another_either_way(tmp_path):
    arrays = tiny_dataset(tmp_path / "a.h5")
    carried = carried_by_landmarks(arrays, found(arrays, arrays.object_keypoints))
    for name in ("jlad", "cats"):  # from source to target, and back
        assert evaluate(arrays, carried, name, [0.2])[0].results[0]["value"] > 0.9  # smoothed


def test_landmarks_that_are_missing_take_no_part_and_none_at_all_is_refused(data):
    points = SQUARE * data.object_size[:, None] - 0.5
    points[::2, 1] = np.nan
    carried = carried_by_landmarks(data, found(data, points))
    assert carried.pair_points is not None and np.isfinite(carried.pair_points).any()
    with pytest.raises(JladkitError, match=r"no landmark that both objects have for 20 of the 20"):
        carried_by_landmarks(data, found(data, np.full_like(points, np.nan)))
    with pytest.raises(JladkitError, match=r"hold no landmarks\. Predict with a method"):
        carried_by_landmarks(data, predicted(data, object_row=None, object_points=None))
