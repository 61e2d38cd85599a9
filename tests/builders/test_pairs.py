"""Pairs agree in pose, share keypoints and never a picture."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jladkit.builders import pairs
from jladkit.builders.pairs import Pool

ONE, TWO = np.array([0]), np.array([1])


def views(*angles: tuple[float, ...]) -> np.ndarray:
    return np.array([(*a, *(0, 1)[len(a) - 2 :])[:4] for a in angles], dtype=float)


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ((350, 0), (10, 0), 20),
        ((350, 0), (11, 0), None),
        ((-10, 0), (10, 0), 20),
        ((0, 0), (720, 0), 0),
        ((0, -5), (0, 5), 10),
        ((0, -5), (0, 6), None),
        ((3, -5), (0, 4), 9),
        ((0, 0), (np.nan, 0), None),
    ],
)
def test_azimuth_wraps_around_and_elevation_does_not(first, second, apart):
    poses = pairs.viewpoints(views(first, second), azimuth=20, elevation=10, theta=180)
    assert poses.difference(ONE, TWO)[0] == (np.inf if apart is None else apart)


@pytest.mark.parametrize(("theta", "apart"), [(180, 0), (15, 12), (11, np.inf)])
def test_the_turn_in_the_plane_counts_when_it_is_limited(theta, apart):
    view = np.array([[0, 0, 354, 1], [0, 0, 6, 1]], dtype=float)
    poses = pairs.viewpoints(view, azimuth=20, elevation=10, theta=theta)
    assert poses.difference(ONE, TWO)[0] == apart


def test_the_farthest_common_keypoint_decides_about_poses():
    box = np.array([[0, 0, 10, 20], [0, 0, 100, 100], [0, 0, 10, 20]], dtype=float)
    points = np.array([[[5, 10], [0, 0]], [[50, 50], [40, 0]], [[5, 10], [0, 0]]], dtype=float)
    visible = np.array([[True, True], [True, True], [True, False]])
    close = pairs.keypoint_poses(points, visible, box, 0.4).difference
    strict = pairs.keypoint_poses(points, visible, box, 0.39).difference
    assert close(ONE, TWO)[0] == pytest.approx(0.4)
    assert np.isinf(strict(ONE, TWO)[0])
    assert strict(TWO, np.array([2]))[0] == 0  # the second keypoint is not common


def random_pool(seed: int, n: int, tolerance: tuple[float, float, float], least: float) -> Pool:
    random = np.random.default_rng(seed)
    view = np.column_stack([
        random.uniform(0, 360, n).round(), random.uniform(-20, 20, n).round(),
        random.uniform(-30, 30, n).round(), np.ones(n),
    ])  # fmt: skip
    view[random.random(n) < 0.05] = np.nan
    visible = random.random((n, 6)) < 0.5
    return Pool(random.integers(0, n, n), visible, 2, pairs.viewpoints(view, *tolerance), least)


def plainly(pool: Pool) -> list[tuple[int, int]]:
    """The eligible pairs by two plain loops."""
    poses, n = pool.poses, len(pool.images)
    assert poses is not None
    found = []
    for i in range(n):
        for j in range(i + 1, n):
            apart = poses.difference(np.array([i]), np.array([j]))[0]
            common = (pool.visible[i] & pool.visible[j]).sum()
            if pool.images[i] != pool.images[j] and common >= 2 and pool.least <= apart < np.inf:
                found.append((i, j))
    return found


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    azimuth=st.sampled_from([0, 1, 7, 40, 100, 130, 180]),
    elevation=st.sampled_from([0, 3, 15, 60]),
    theta=st.sampled_from([2, 20, 180]),
    least=st.sampled_from([0, 4]),
)
def test_eligible_pairs_are_those_of_two_plain_loops(seed, azimuth, elevation, theta, least):
    pool = random_pool(seed, 50, (azimuth, elevation, theta), least)
    found, apart = pairs.eligible_pairs(pool)
    assert [tuple(pair) for pair in found.tolist()] == plainly(pool)
    assert pool.poses is not None
    np.testing.assert_array_equal(apart, pool.poses.difference(*found.T))


def keypoint_pool(seed: int, n: int, tolerance: float, least: float) -> Pool:
    random = np.random.default_rng(seed)
    points, visible = random.random((n, 7, 2)) * 100, random.random((n, 7)) < 0.5
    points[random.random((n, 7)) < 0.1] = np.nan
    visible &= np.isfinite(points).all(axis=-1)
    box = np.column_stack([np.zeros((n, 2)), random.uniform(50, 150, (n, 2))])
    poses = pairs.keypoint_poses(points, visible, box, tolerance)
    return Pool(random.integers(0, n, n), visible, 2, poses, least)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    tolerance=st.sampled_from([0.1, 0.5, 2.0]),
    least=st.sampled_from([0, 0.3]),
    table=st.sampled_from([1, 7, 300, pairs.TABLE]),
)
def test_tables_of_pairs_give_those_of_two_plain_loops(seed, tolerance, least, table):
    pool = keypoint_pool(seed, 40, tolerance, least)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "TABLE", table)
        found, apart = pairs.eligible_pairs(pool)
    assert [tuple(pair) for pair in found.tolist()] == plainly(pool)
    assert pool.poses is not None
    np.testing.assert_array_equal(apart, pool.poses.difference(*found.T))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), tolerance=st.sampled_from([0.1, 0.5, 2.0]))
def test_the_difference_of_keypoints_is_that_of_a_plain_loop(seed, tolerance):
    random = np.random.default_rng(seed)
    points, visible = random.random((6, 4, 2)), random.random((6, 4)) < 0.6
    box = np.tile([0.0, 0.0, 1.0, 2.0], (6, 1))
    table = pairs.keypoint_poses(points, visible, box, tolerance).difference(
        np.arange(6)[:, None], np.arange(6)[None, :]
    )
    for i in range(6):
        for j in range(6):
            far = [float(np.hypot(*((points[i, k] - points[j, k]) / [1, 2])))
                   for k in range(4) if visible[i, k] and visible[j, k]]  # fmt: skip
            most = max(far, default=0.0)
            assert table[i, j] == (pytest.approx(most) if most <= tolerance else np.inf)


def test_every_eligible_pair_is_drawn_as_often(monkeypatch):
    monkeypatch.setattr(pairs, "CHUNK", 4096)
    pool = random_pool(3, 40, (60, 15, 180), 0)
    eligible = plainly(pool)
    drawn = [pair for pair, _ in pairs.random_pairs(pool, np.random.default_rng(0), 1 << 19)]
    counts = Counter(map(tuple, np.concatenate(drawn).tolist()))
    assert sorted(counts) == eligible
    expected = sum(counts.values()) / len(eligible)
    chi = sum((count - expected) ** 2 for count in counts.values()) / expected
    assert chi < len(eligible) + 5 * np.sqrt(2 * len(eligible))  # five deviations


def test_a_pool_among_rows_has_their_pairs_only():
    pool = random_pool(5, 60, (40, 15, 180), 0)
    rows = np.arange(0, 60, 2)
    found, _ = pairs.eligible_pairs(pool.among(rows))
    assert rows[found].tolist() == [[i, j] for i, j in plainly(pool) if i % 2 == j % 2 == 0]


def test_two_objects_of_one_picture_are_no_pair():
    found, _ = pairs.eligible_pairs(Pool(np.array([4, 4, 5]), np.ones((3, 2), dtype=bool), 1))
    assert found.tolist() == [[0, 2], [1, 2]]


def test_objects_without_keypoints_pair_when_none_are_asked_for():
    assert len(pairs.eligible_pairs(Pool(np.arange(3), np.zeros((3, 0), dtype=bool), 0))[0]) == 3
    assert len(pairs.eligible_pairs(Pool(np.arange(3), np.zeros((3, 2), dtype=bool), 1))[0]) == 0


def test_a_category_without_viewpoints_has_no_pairs():
    view = np.full((4, 4), np.nan)
    pool = Pool(np.arange(4), np.ones((4, 1), dtype=bool), 0, pairs.viewpoints(view, 9, 9, 180))
    assert len(pairs.eligible_pairs(pool)[0]) == 0
    assert not list(pairs.random_pairs(pool, np.random.default_rng(0), 1000))


def test_every_two_numbers_each_pair_once():
    low, high = pairs.every_two(np.arange(45))
    assert list(zip(low.tolist(), high.tolist(), strict=True)) == [
        (i, j) for j in range(10) for i in range(j)
    ]
    far = np.array([2**50 - 1, 2**50])
    low, high = pairs.every_two(far)
    assert (high * (high - 1) // 2 + low == far).all()
    assert ((low >= 0) & (low < high)).all()
