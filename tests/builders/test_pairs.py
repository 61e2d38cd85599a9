"""Pairs agree in pose, share keypoints and never a picture."""

import numpy as np
import pytest

from jladkit.builders import pairs


def views(*azimuth_elevation: tuple[float, float]) -> np.ndarray:
    return np.array([(a, e, 0, 1) for a, e in azimuth_elevation], dtype=float)


@pytest.mark.parametrize(
    ("first", "second", "agrees"),
    [
        ((350, 0), (10, 0), True),
        ((350, 0), (11, 0), False),
        ((-10, 0), (10, 0), True),
        ((0, 0), (720, 0), True),
        ((0, -5), (0, 5), True),
        ((0, -5), (0, 6), False),
        ((0, 0), (np.nan, 0), False),
    ],
)
def test_azimuth_wraps_around_and_elevation_does_not(first, second, agrees):
    agree = pairs.viewpoints_agree(views(first, second), azimuth=20, elevation=10)
    assert agree(slice(0, 2))[0, 1] == agrees


def test_the_farthest_common_keypoint_decides_about_poses():
    box = np.array([[0, 0, 10, 20], [0, 0, 100, 100], [0, 0, 10, 20]], dtype=float)
    points = np.array([[[5, 10], [0, 0]], [[50, 50], [40, 0]], [[5, 10], [0, 0]]], dtype=float)
    visible = np.array([[True, True], [True, True], [True, False]])
    close = pairs.poses_agree(points, visible, box, 0.4)(slice(0, 3))
    strict = pairs.poses_agree(points, visible, box, 0.39)(slice(0, 3))
    assert close[0, 1]
    assert not strict[0, 1]
    assert strict[1, 2]  # the second keypoint is not common


def test_candidates_are_those_of_two_plain_loops():
    random = np.random.default_rng(1)
    n = 150  # more than two blocks
    images, visible = random.integers(0, 90, n), random.random((n, 6)) < 0.5
    view = np.column_stack(
        [random.uniform(0, 360, n), random.uniform(-20, 20, n), *np.ones((2, n))]
    )
    found = pairs.candidate_pairs(images, visible, 2, pairs.viewpoints_agree(view, 40, 15))
    wanted = []
    for i in range(n):
        for j in range(i + 1, n):
            turn = abs(view[i, 0] - view[j, 0])
            near = min(turn, 360 - turn) <= 40 and abs(view[i, 1] - view[j, 1]) <= 15
            if near and images[i] != images[j] and (visible[i] & visible[j]).sum() >= 2:
                wanted.append((i, j))
    assert [tuple(pair) for pair in found.tolist()] == wanted


def test_two_objects_of_one_picture_are_no_pair():
    found = pairs.candidate_pairs(np.array([4, 4, 5]), np.ones((3, 2), dtype=bool), 1)
    assert found.tolist() == [[0, 2], [1, 2]]


def test_objects_without_keypoints_pair_when_none_are_asked_for():
    assert len(pairs.candidate_pairs(np.arange(3), np.zeros((3, 0), dtype=bool), 0)) == 3
    assert len(pairs.candidate_pairs(np.arange(3), np.zeros((3, 2), dtype=bool), 1)) == 0
