"""Two results on the same items: how far apart they are, and whether that could be chance.

The difference of two scores is a weighted sum of the items' differences, T = sum_p w_p d_p, whose
interval comes from drawing images (statistics.py). The test asks how often so large a difference
arises when it is a coin's toss which of the two results is which. Items that share an image do not
toss alone, so there is one coin for each image:

    T* = sum_i e_i x_i,    p = (1 + number of |T*| >= |T|) / (1 + number of tosses).

For objects, and for pairs that share no image with others, x_i is the sum of w_p d_p over the items
that show image i: a randomisation test, exact where the sign of each image's sum is even by chance.
Where pairs share images, such sums would hold every pair's difference twice, and the mean of all
with it. There T* is a wild draw (Wu 1986; for dyads as in statistics.py) whose variance is

    sum_i x_i^2 = V + T^2 / k,

V that of the interval, about the mean of the differences, and T^2 / k what the null hypothesis, a
mean of 0, adds to it: k is the effective number of images, 1 / sum_i share_i^2, share_i the part of
the weights that image i has, or that of picture pairs if it is less. With some ten images that
share all their pairs it finds a difference where there is none in up to 10 of 100 cases, not 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jladkit.errors import JladkitError
from jladkit.evaluators import statistics
from jladkit.evaluators.statistics import (
    CHUNK,
    FLIPS,
    RESAMPLES,
    SEED,
    Interval,
    Part,
    image_sums,
    intervals,
    item_weights,
    numbered,
    pair_keys,
    scales,
)

IMAGES = (("source_image", "target_image"), ("image",))


@dataclass(frozen=True)
class Difference:
    """Two scores of the same `count` items, their difference with its 95 % interval, and the
    p-value of the test that there is none; None where there is no such number."""

    a: float | None
    b: float | None
    value: float | None
    low: float | None
    high: float | None
    p: float | None
    count: int


def compare(
    a_items: pd.DataFrame,
    b_items: pd.DataFrame,
    column: str,
    aggregation: str = "pair-mean",
    *,
    resamples: int = RESAMPLES,
    flips: int = FLIPS,
    seed: int = SEED,
) -> tuple[Difference, dict[str, Difference]]:
    """How much higher `a_items` score than `b_items`, in all and by category.

    Args:
        a_items, b_items: per-item tables of two results, as `evaluate` returns them or writes
            beside a result. Their first column names the item: "pair" for PCK, "object" for IOD.
        column: what to compare.
        aggregation: how the protocol sums items up (PckProtocol).
        resamples: draws of images for the intervals.
        flips: tosses of the test.
        seed: of both.

    Returns:
        The difference a - b over the items that both score, and the same within each category.

    Raises:
        JladkitError: a table lacks a column, or the tables are not about the same items.
    """
    table = matched(a_items, b_items, column)
    labels = sorted(set(table["category"].astype(str)))
    chosen = [table, *(table[table["category"].astype(str) == label] for label in labels)]
    parts = [part_of(own, aggregation) for own in chosen]
    found = intervals(parts, resamples=resamples, seed=seed)
    differences = [
        Difference(
            a=a.value,
            b=b.value,
            value=gap.value,
            low=gap.low,
            high=gap.high,
            p=sign_flip_p(part, flips=flips, seed=seed) if part.varies else None,
            count=gap.count,
        )
        for part, (a, b, gap) in zip(parts, found, strict=True)
    ]
    return differences[0], dict(zip(labels, differences[1:], strict=True))


def paired_difference(
    a_items: pd.DataFrame,
    b_items: pd.DataFrame,
    column: str = "pck@0.1",
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """The mean of a - b over the items that both tables score, with its interval; see `compare`."""
    part = part_of(matched(a_items, b_items, column), "pair-mean")
    return intervals([part], resamples=resamples, seed=seed)[0][-1]


def matched(a_items: pd.DataFrame, b_items: pd.DataFrame, column: str) -> pd.DataFrame:
    """One row for each item that both tables score: category, n, image columns, a and b.

    Raises:
        JladkitError: a table lacks a column, or the tables are not about the same items.
    """
    key = str(a_items.columns[0])
    shown = next((names for names in IMAGES if set(names) <= set(a_items.columns)), None)
    if shown is None:
        raise JladkitError(
            f"The table of {key}s must say which images its items show (image, or source_image "
            f"and target_image), but has {', '.join(map(str, a_items.columns))}. Evaluate again."
        )
    wanted = (key, "category", *shown, column)
    for items in (a_items, b_items):
        missing = [name for name in wanted if name not in items]
        if missing:
            raise JladkitError(
                f"Both tables must have the columns {', '.join(wanted)}, "
                f"but one has {', '.join(map(str, items.columns))}."
            )
    a, b = (items.set_index(key).sort_index() for items in (a_items, b_items))
    if not a.index.equals(b.index):
        raise JladkitError(
            f"Two results can be compared on the same {key}s only: "
            f"one has {len(a)}, the other {len(b)}, and {len(a.index.intersection(b.index))} "
            "are in both. Evaluate both on the same data set and split."
        )
    count = a.get("n", 1)  # some scores are made of nothing that could be counted
    table = a[["category", *shown]].assign(n=count, a=a[column], b=b[column])
    return table.loc[np.isfinite(table["a"]) & np.isfinite(table["b"])]


def part_of(table: pd.DataFrame, aggregation: str) -> Part:
    """What `intervals` reads: columns a, b and a - b of a table of `matched`."""
    weights, groups = item_weights(aggregation, table["n"].to_numpy(), table["category"].to_numpy())
    a, b = table["a"].to_numpy(float), table["b"].to_numpy(float)
    shown = next(names for names in IMAGES if set(names) <= set(table.columns))
    images = table[[*shown]].to_numpy()
    return Part(np.stack([a, b, a - b], axis=1), weights, images, groups)


def sign_flip_p(part: Part, *, flips: int = FLIPS, seed: int = SEED) -> float | None:
    """The two-sided p-value of the test in the module's head, for the last column of `part`; None
    where images cannot tell."""
    (images,), number = numbered([part.images])
    weighted = part.weights * part.scores[:, -1]
    steps = tosses(part, weighted, images, number)
    if steps is None:
        return None
    generator, step = np.random.default_rng(seed), max(1, CHUNK // number)
    total, beyond = abs(float(weighted.sum())), 0
    for start in range(0, flips, step):
        heads = generator.integers(2, size=(min(step, flips - start), number), dtype=np.int8)
        # What is equal but for rounding counts as equal.
        beyond += int((np.abs((2.0 * heads - 1) @ steps) >= total * (1 - 1e-9)).sum())
    return (1 + beyond) / (1 + flips)


def tosses(part: Part, weighted: np.ndarray, images: np.ndarray, number: int) -> np.ndarray | None:
    """(I,) what each image's coin decides about; None where images cannot tell.

    Args:
        part: its last column is tested.
        weighted: (N,) w_p d_p.
        images: (N, m) in 0..number-1.
        number: I.
    """
    if (images[:, 0] == images[:, -1]).all():
        return np.bincount(images[:, 0], weighted, number)
    sums, variance = image_sums(part.influence[:, -1:], images, number)
    if np.isnan(variance[0]):
        return None
    around = (sums * scales(sums, variance))[:, 0]
    share = np.bincount(images.ravel(), np.repeat(part.weights / 2, 2), number)
    _, pair = np.unique(pair_keys(images, number), return_inverse=True)
    units = 1 / max((share**2).sum(), (np.bincount(pair, part.weights) ** 2).sum())
    middle = weighted.sum() ** 2 / units * share**2 / (share**2).sum()
    return np.sqrt(around**2 + middle)


def describe(seed: int = SEED) -> dict[str, Any]:
    """What a comparison says of its intervals and its test."""
    test = {"test": "sign flips, one coin for each image, two-sided", "flips": FLIPS}
    return {**statistics.describe("images"), **test, "seed": seed}


def columns_of(items: Sequence[pd.DataFrame], metric: str) -> list[str]:
    """The columns of `metric` that all tables have, in the first one's order: "METRIC@..." and
    "METRIC:..."."""
    return [
        str(name)
        for name in items[0].columns
        if str(name).startswith((f"{metric}@", f"{metric}:"))
        and all(name in other.columns for other in items)
    ]
