"""Intervals by the bootstrap: how far a mean would move with other pairs, or other images.

Items (pairs for PCK, images for IOD) are drawn with replacement, 2,000 times, and the 2.5th and
97.5th percentile of the means bound the 95 % interval (Efron's percentile bootstrap). Draws are
not stratified, except that a mean over categories draws within each; a category of one item does
not vary then, and that interval is too narrow where there are many such. Pairs that share an image
are not independent, which this does not account for: where many do, true intervals are wider.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jladkit.errors import JladkitError

RESAMPLES = 2000
SEED = 0
LEVEL = 0.95
CHUNK = 1 << 22  # drawn values held at once


@dataclass(frozen=True)
class Interval:
    """A mean over `count` items with its 95 % interval; None where there is no such number."""

    value: float | None
    low: float | None
    high: float | None
    count: int


def describe(items: str) -> dict[str, Any]:
    """What a result says of its intervals, `items` being what was drawn ("pairs", "images")."""
    return {
        "interval": "percentile bootstrap",
        "level": LEVEL,
        "resampled": items,
        "resamples": RESAMPLES,
        "seed": SEED,
    }


def bootstrap_means(
    values: np.ndarray, *, resamples: int = RESAMPLES, seed: int = SEED
) -> np.ndarray:
    """Means of `resamples` draws of as many items as there are.

    Args:
        values: (N, ...) one row an item, finite, N at least 1. Columns share their draws.
        resamples: R, how many.
        seed: of the draws; the same seed and N give the same draws.

    Returns:
        (R, ...) the mean of each draw.
    """
    values = np.asarray(values, dtype=float)
    items, generator = len(values), np.random.default_rng(seed)
    columns = values.reshape(items, -1)
    step = max(1, CHUNK // items)
    means: list[np.ndarray] = []
    for first in range(0, resamples, step):
        drawn = generator.integers(items, size=(min(step, resamples - first), items))
        # How often each item came, times its values: one product for all columns.
        places = drawn + items * np.arange(len(drawn))[:, None]
        often = np.bincount(places.ravel(), minlength=places.size).reshape(places.shape)
        means.append(often @ columns / items)
    return np.concatenate(means).reshape(resamples, *values.shape[1:])


def bounds(means: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """(low, high), each (...): the percentiles that enclose `level` of `means` (R, ...)."""
    tail = 50 * (1 - level)
    low, high = np.percentile(means, [tail, 100 - tail], axis=0)
    return low, high


def intervals_of_means(
    values: np.ndarray, *, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[list[Interval], np.ndarray]:
    """The mean of each column with its interval, all columns from the same draws.

    One item has a mean but no interval; none has neither.

    Args:
        values: (N, A) one row an item; a row with a NaN is left out.
        resamples, seed: of the bootstrap.

    Returns:
        A intervals, and the means (R, A) they come from, (0, A) without items.
    """
    rows = np.asarray(values, dtype=float)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if len(rows) == 0:
        return [Interval(None, None, None, 0)] * values.shape[1], rows
    draws = bootstrap_means(rows, resamples=resamples, seed=seed)
    means = rows.mean(axis=0).tolist()
    if len(rows) == 1:
        return [Interval(mean, None, None, 1) for mean in means], draws
    ends = np.stack(bounds(draws)).T.tolist()
    return [
        Interval(mean, low, high, len(rows)) for mean, (low, high) in zip(means, ends, strict=True)
    ], draws


def interval_of_mean(
    values: np.ndarray, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """The mean of the finite ones among `values` (N,), with its interval."""
    column = np.asarray(values, dtype=float)[:, None]
    return intervals_of_means(column, resamples=resamples, seed=seed)[0][0]


def paired_difference(
    a_items: pd.DataFrame,
    b_items: pd.DataFrame,
    column: str = "pck@0.1",
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """How much higher `a_items` score than `b_items` on the same items, with its interval.

    Args:
        a_items, b_items: per-item tables of two results, as `evaluate` returns them or writes
            beside a result. Their first column names the item: "pair" for PCK, "object" for IOD.
        column: what to compare.
        resamples, seed: of the bootstrap, which draws items with both their scores.

    Returns:
        Mean of a - b over the items that both score; an interval apart from 0 means that the
        order of the two would hold on other items of the kind.

    Raises:
        JladkitError: a table lacks the column, or the tables are not about the same items.
    """
    key = str(a_items.columns[0])
    for items in (a_items, b_items):
        if column not in items or key not in items:
            raise JladkitError(
                f"Both tables must have the columns {key} and {column}, "
                f"but one has {', '.join(map(str, items.columns))}."
            )
    a, b = (items.set_index(key)[column].sort_index() for items in (a_items, b_items))
    if not a.index.equals(b.index):
        raise JladkitError(
            f"Two results can be compared on the same {key}s only: "
            f"one has {len(a)}, the other {len(b)}, and {len(a.index.intersection(b.index))} "
            "are in both. Evaluate both on the same data set and split."
        )
    return interval_of_mean(a.to_numpy() - b.to_numpy(), resamples=resamples, seed=seed)
