"""Linear maps between points, by least squares or ridge regression, on what is visible.

All of it in float64. The constant term of a map with a bias is never penalised, so that a ridge
without end gives the average of the targets.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Penalty = Literal["absolute", "relative", "leave-one-out"]
# What leave-one-out chooses among, as shares of the largest variance: half decades, and no map.
RIDGES = (*(10.0 ** (step / 2) for step in range(-12, 3)), np.inf)


@dataclass(frozen=True)
class Fit:
    """A map of F features to T targets.

    Attributes:
        weights: (F, T), or (F + 1, T) with the constant term last.
        rank: how many dimensions the features span, the constant one of a bias included.
        ridge: the penalty it was fitted with, in its own terms: the weight of the squared
            coefficients, or that as a share of the largest variance; inf where leave-one-out
            preferred the average to every map.
    """

    weights: np.ndarray
    rank: int
    ridge: float


@dataclass(frozen=True)
class Mapped:
    """Points that a map for each group of targets gives.

    Attributes:
        points: (m, K, 2); NaN for a target without a map.
        count: (K,) rows that each target was visible in.
        rank: (K,) of each target's fit; -1 without one.
        ridge: (K,) of each target's fit; NaN without one.
    """

    points: np.ndarray
    count: np.ndarray
    rank: np.ndarray
    ridge: np.ndarray


def with_bias(features: np.ndarray, bias: bool) -> np.ndarray:
    """`features` (n, F), with a column of ones after them if there is a bias."""
    return np.hstack([features, np.ones((len(features), 1))]) if bias else features


def unknowns(features: int, bias: bool) -> int:
    """How many coefficients a map has for each target."""
    return features + bias


def least_squares(features: np.ndarray, targets: np.ndarray, bias: bool = False) -> Fit:
    """The map that makes `features` (n, F) nearest to `targets` (n, T).

    Where several are equally near, the one with the smallest coefficients.
    """
    extended = with_bias(np.asarray(features, np.float64), bias)
    weights, _, rank, _ = np.linalg.lstsq(extended, np.asarray(targets, np.float64), rcond=None)
    return Fit(weights, int(rank), 0.0)


def ridge_regression(
    features: np.ndarray, targets: np.ndarray, bias: bool, penalty: Penalty, ridge: float | None
) -> Fit:
    """The map with the least sum of squared residuals and penalised squared coefficients.

    Args:
        features: (n, F).
        targets: (n, 2K) xy of K points.
        bias: whether there is a constant term, which is not penalised.
        penalty: "absolute" weighs the squares by `ridge`; "relative" by `ridge` times the largest
            entry of X'X (of the centred features, with a bias), so that the features' unit does
            not matter; "leave-one-out" likewise, by that one of RIDGES with the least mean distance of
            a point from what the other rows' map says of it.
        ridge: above 0; None with "leave-one-out".
    """
    x, y = np.asarray(features, np.float64), np.asarray(targets, np.float64)
    centre, offset = (x.mean(axis=0), y.mean(axis=0)) if bias else (0.0 * x[0], 0.0 * y[0])
    x, y = x - centre, y - offset
    basis, lengths, axes = np.linalg.svd(x, full_matrices=False)
    along = basis.T @ y
    largest = float((x**2).sum(axis=0).max())
    if penalty == "leave-one-out":
        free = 1 / len(x) if bias else 0.0
        errors = [
            left_out_error(basis, gains_of(lengths, r * largest), along, y, free) for r in RIDGES
        ]
        # The largest of equals: the least that is claimed.
        ridge = max(r for r, e in zip(RIDGES, errors, strict=True) if e <= min(errors))
    assert ridge is not None
    weight = ridge if penalty == "absolute" else ridge * largest
    gains = gains_of(lengths, weight)
    scaled = np.divide(gains, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    weights = axes.T @ (scaled[:, None] * along)
    tolerance = lengths.max(initial=0.0) * max(x.shape) * np.finfo(float).eps
    rank = int((lengths > tolerance).sum()) + bias
    constant = (offset - centre @ weights)[None] if bias else np.empty((0, y.shape[1]))
    return Fit(np.concatenate([weights, constant]), rank, ridge)


def gains_of(lengths: np.ndarray, weight: float) -> np.ndarray:
    """(F,) what a ridge of this weight leaves of each principal direction, 0 to 1."""
    squares = lengths**2
    if np.isnan(weight) or np.isinf(weight):  # inf times a largest variance of 0 is NaN
        return np.zeros_like(squares)
    return np.divide(squares, squares + weight, out=np.zeros_like(squares), where=squares > 0)


def left_out_error(
    basis: np.ndarray, gains: np.ndarray, along: np.ndarray, targets: np.ndarray, free: float
) -> float:
    """Mean distance of the points of a row from what a fit without that row says of them.

    In closed form: the residual of the fit with all rows over 1 - the row's leverage.

    Args:
        basis: (n, F) orthonormal columns that span the features.
        gains: (F,) of `gains_of`.
        along: (F, 2K) `targets` in that basis.
        targets: (n, 2K), less their mean if there is a bias.
        free: leverage that every row has by the bias, 1 / n or 0.
    """
    leverage = free + (basis**2) @ gains
    with np.errstate(divide="ignore", invalid="ignore"):
        left = (targets - basis @ (gains[:, None] * along)) / (1 - leverage)[:, None]
    distance = np.linalg.norm(left.reshape(len(left), -1, 2), axis=-1)
    # A row that alone decides about a direction cannot be left out: no evidence for this ridge.
    return float(np.where(np.isnan(distance), np.inf, distance).mean())


def least_rows(features: int, bias: bool, ridged: bool) -> int:
    """How many rows a map must be fitted on.

    Without a ridge as many as it has unknowns: with fewer, it meets every row exactly, whatever
    the features, and is one of many. A ridge makes it one; two rows are then the fewest that can
    tell about a slope, or that one can be left out of.
    """
    return 2 if ridged else unknowns(features, bias)


def map_points(
    features: np.ndarray,
    points: np.ndarray,
    visible: np.ndarray,
    new: np.ndarray,
    *,
    bias: bool,
    penalty: Penalty,
    ridge: float | None,
    least: int,
) -> Mapped:
    """Fit a map to each point on the rows where it is visible, and apply it to `new`.

    Points that are visible in the same rows share a factorisation, and with "leave-one-out" the
    choice of a ridge.

    Args:
        features: (n, F).
        points: (n, K, 2), read only where visible.
        visible: (n, K) bool.
        new: (m, F).
        bias, penalty, ridge: as `ridge_regression` has them; a ridge of 0 is plain least squares.
        least: a point that is visible in fewer rows gets no map.
    """
    number = visible.shape[1]
    found = np.full((len(new), number, 2), np.nan)
    count, rank = visible.sum(axis=0), np.full(number, -1)
    ridges = np.full(number, np.nan)
    extended = with_bias(np.asarray(new, np.float64), bias)
    for members in alike(visible):
        rows = np.flatnonzero(visible[:, members[0]])
        if len(rows) < max(least, 1):
            continue
        own = features[rows]
        targets = points[rows[:, None], members].reshape(len(own), 2 * len(members))
        fit = (
            least_squares(own, targets, bias)
            if ridge == 0
            else ridge_regression(own, targets, bias, penalty, ridge)
        )
        found[:, members] = (extended @ fit.weights).reshape(len(new), len(members), 2)
        rank[members], ridges[members] = fit.rank, fit.ridge
    return Mapped(found, count, rank, ridges)


def alike(visible: np.ndarray) -> list[list[int]]:
    """The points that are visible in the same rows, together; `visible` (n, K)."""
    groups: dict[bytes, list[int]] = {}
    for place, column in enumerate(np.packbits(visible, axis=0).T):
        groups.setdefault(column.tobytes(), []).append(place)
    return list(groups.values())
