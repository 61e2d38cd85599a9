import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jladkit.evaluators.regression import (
    RIDGES,
    Penalty,
    least_rows,
    least_squares,
    map_points,
    ridge_regression,
    with_bias,
)

seeds = st.integers(0, 10_000)


def drawn(seed, rows=30, features=4, points=3):
    """Features (n, F), targets (n, 2K) that follow them with noise, and what is visible (n, K)."""
    random = np.random.default_rng(seed)
    x = random.normal(3, 1, (rows, features))
    y = x @ random.normal(size=(features, 2 * points)) + random.normal(5, 1, (rows, 2 * points))
    return x, y, random.random((rows, points)) < 0.7


def said(fit, x, bias):
    return with_bias(x, bias) @ fit.weights


def test_least_squares_gives_the_rank_and_the_smallest_map():
    features = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    fit = least_squares(features, np.array([[2.0], [4.0], [6.0]]))
    assert (fit.rank, fit.ridge) == (1, 0)
    np.testing.assert_allclose(fit.weights, [[1.0], [1.0]])


def test_a_line_through_two_points_is_found_by_hand():
    fit = least_squares(np.array([[1.0], [3.0]]), np.array([[5.0], [9.0]]), bias=True)
    assert fit.rank == 2
    np.testing.assert_allclose(fit.weights, [[2.0], [3.0]])


def test_a_ridge_shrinks_a_slope_as_computed_by_hand():
    # Centred: x -1 0 1, y -4 0 4; 8 / (2 + 2) = 2 with the absolute ridge 2, the relative one 1.
    x, y = np.array([[1.0], [2], [3]]), np.repeat([[1.0], [5], [9]], 2, axis=1)
    cases: list[tuple[Penalty, float]] = [("absolute", 2.0), ("relative", 1.0)]
    for penalty, ridge in cases:
        fit = ridge_regression(x, y, True, penalty, ridge)
        np.testing.assert_allclose(fit.weights, [[2, 2], [1, 1]])
        assert (fit.rank, fit.ridge) == (2, ridge)
    # Without a bias: (1 + 10 + 27) / (1 + 4 + 9 + 5) = 2.
    fit = ridge_regression(x, y, False, "absolute", 5.0)
    np.testing.assert_allclose(fit.weights, [[2, 2]])
    assert fit.rank == 1


@settings(max_examples=25)
@given(seeds, st.booleans(), st.sampled_from([1e-5, 0.1, 10.0]))
def test_a_ridge_is_the_naive_formula(seed, bias, ridge):
    x, y, _ = drawn(seed)
    x0, y0 = (x.mean(axis=0), y.mean(axis=0)) if bias else (0, 0)
    gram = (x - x0).T @ (x - x0)
    cases: list[tuple[Penalty, float]] = [
        ("absolute", ridge),
        ("relative", ridge * gram.max()),
    ]
    for penalty, weight in cases:
        naive = np.linalg.solve(gram + weight * np.eye(len(gram)), (x - x0).T @ (y - y0))
        fit = ridge_regression(x, y, bias, penalty, ridge)
        np.testing.assert_allclose(said(fit, x, bias), (x - x0) @ naive + y0, rtol=1e-7)


@settings(max_examples=15)
@given(seeds, st.booleans(), st.sampled_from([5, 12]))
def test_leave_one_out_chooses_what_leaving_out_one_by_one_does(seed, bias, rows):
    x, y, _ = drawn(seed, rows=rows)
    centre = x.mean(axis=0) if bias else 0
    largest = ((x - centre) ** 2).sum(axis=0).max()
    errors = []
    for ridge in RIDGES:
        away = []
        for row in range(rows):
            rest = np.delete(np.arange(rows), row)
            if np.isinf(ridge):
                guess = y[rest].mean(axis=0) if bias else 0 * y[row]
            else:
                fit = ridge_regression(x[rest], y[rest], bias, "absolute", ridge * largest)
                guess = said(fit, x[[row]], bias)[0]
            away.append(np.linalg.norm((guess - y[row]).reshape(-1, 2), axis=1).mean())
        errors.append(np.mean(away))
    found = ridge_regression(x, y, bias, "leave-one-out", None).ridge
    assert errors[RIDGES.index(found)] == pytest.approx(min(errors), rel=1e-6)


def test_features_that_tell_nothing_leave_the_average():
    random = np.random.default_rng(1)
    x, y = random.normal(size=(40, 30)), random.normal(size=(40, 2))
    fit = ridge_regression(x, y, True, "leave-one-out", None)
    assert fit.ridge >= 1
    still = ridge_regression(np.ones((5, 3)), y[:5], True, "leave-one-out", None)
    assert (still.ridge, still.rank) == (np.inf, 1)
    np.testing.assert_allclose(said(still, np.ones((2, 3)), True), [y[:5].mean(axis=0)] * 2)


@pytest.mark.parametrize("ridge", [0.0, 1e-3, None])
def test_points_seen_in_the_same_rows_have_the_maps_they_have_alone(ridge):
    x, y, visible = drawn(3)
    visible[:, 1] = visible[:, 0]
    points, new = y.reshape(-1, 3, 2), drawn(4)[0]
    penalty = "leave-one-out" if ridge is None else "relative"
    how = {"bias": True, "penalty": penalty, "ridge": ridge, "least": 5}
    found = map_points(x, points, visible, new, **how)
    for point in (0, 1, 2):
        rows = visible[:, point]
        # With leave-one-out, points that are visible in the same rows choose together.
        if ridge is None and point < 2:
            both = ridge_regression(x[rows], y[rows][:, :4], True, penalty, None)
            expected = said(both, new, True)[:, 2 * point : 2 * point + 2]
        elif ridge == 0:
            naive = np.linalg.lstsq(with_bias(x[rows], True), points[rows, point], rcond=None)[0]
            expected = with_bias(new, True) @ naive
        else:
            fit = ridge_regression(x[rows], points[rows, point], True, penalty, ridge)
            expected = said(fit, new, True)
        np.testing.assert_allclose(found.points[:, point], expected, rtol=1e-9)
    assert found.count.tolist() == visible.sum(axis=0).tolist()


def test_what_is_not_visible_is_not_read_and_too_few_rows_give_no_map():
    x, y, visible = drawn(3)
    visible[4:, 2] = False
    points = y.reshape(-1, 3, 2)
    wild = np.where(visible[..., None], points, np.nan)
    how = {"bias": False, "penalty": "absolute", "ridge": 0.0, "least": 5}
    found = map_points(x, wild, visible, x, **how)
    np.testing.assert_array_equal(found.points, map_points(x, points, visible, x, **how).points)
    assert np.isnan(found.points[:, 2]).all() and np.isfinite(found.points[:, :2]).all()
    assert found.rank.tolist() == [4, 4, -1]


def test_a_map_needs_its_unknowns_and_a_ridge_two_rows():
    assert [least_rows(20, bias, False) for bias in (False, True)] == [20, 21]
    assert least_rows(20, True, True) == 2


@pytest.mark.parametrize("ridge", [0, None])
def test_maps_applied_to_no_rows_give_no_points(ridge):
    x, y, visible = drawn(0)
    found = map_points(x, y.reshape(30, 3, 2), visible, np.empty((0, 4)), bias=True,
                       penalty="leave-one-out" if ridge is None else "absolute", ridge=ridge,
                       least=2)  # fmt: skip
    assert found.points.shape == (0, 3, 2)
    assert found.count.tolist() == visible.sum(axis=0).tolist()
