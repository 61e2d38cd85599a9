"""Sparsification: does PCK rise when the points that a method is unsure of are left out?

All scored points are ordered by log sigma, surest first, and PCK is taken of the surest share s of
them, from 100 % down to 5 %. It is pooled over points: at 100 % it is the protocol's pooled mean,
whatever its headline. Points of one log sigma are told apart by nothing, so that each of them counts
with their mean; between two points the curve is read linearly. Two curves bound what can be won:

    random  keeps any points: the PCK of all of them, P, at every share;
    oracle  orders by the true error, so that right points come first: min(1, P / s).

Measures:

    gain      1 - AUSE / AUSE of random: the share of what can be won that sigma wins. 1 for an order
              by the true error, 0 on average for a random one, below 0 for one that misleads.
    ause      area between the oracle and the curve, by the trapezoid rule over the shares shown,
              divided by their range: the mean loss of PCK. "Area under the sparsification error" of
              Ilg et al. (ECCV 2018), with PCK for their end-point error. Depends on P, as gain
              does far less: compare methods by gain.
    spearman  rank correlation of log sigma and error, over all points, without a tolerance.

None is a sum of items' scores, so that the influences of statistics.py cannot be read off. Its
variance can still be had, by two plain bootstraps. In the first, images are drawn with replacement
and a pair counts with the product of how often its two came (the "pigeonhole" bootstrap of Owen,
Annals of Applied Statistics 2007); with U and W of statistics.py its variance is
sum_i U_i^2 + sum_e W_e^2. In the second, pairs of images are drawn: sum_e W_e^2. What the variance
should be, V = sum_i U_i^2 - sum_e W_e^2, is the first less twice the second, and no less than the
second. The deviations of the first are scaled to V, and their 2.5th and 97.5th percentile bound the
interval. Left as they are, they are up to sqrt(3) times too wide; so scaled, 95 % intervals held the
truth in 94 to 98 of 100 drawn cases of 60 to 200 images. Draws in which a measure does not
exist are left out of its interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.integrate import trapezoid

from jladkit.errors import JladkitError, UsageError
from jladkit.evaluators.items import IMAGES, pair_columns, rows_in_order
from jladkit.evaluators.pck import check_alphas, measured
from jladkit.evaluators.pck_protocols import PCK_PROTOCOLS, PckProtocol
from jladkit.evaluators.protocols import find
from jladkit.evaluators.statistics import RESAMPLES, SEED, bounds, describe
from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import Predictions, provenance
from jladkit.formats.result import Result

ALPHA = 0.1
KEPT = tuple(
    step / 20 for step in range(20, 0, -1)
)  # shares of the points, from all to a twentieth
MEASURES = {  # unit, and whether more is better
    "gain": ("the gain that the oracle has over random", True),
    "ause": ("PCK, mean over the shares kept", False),
    "spearman": ("rank correlation", True),
}
SAME = "log sigma is the same at every point, so nothing is ordered by it: the curve is random's."
DIRECTION = (
    "{} carries the targets' keypoints to the sources, but log sigma is about those of the sources "
    "carried to the targets. Give a protocol that goes that way: {}."
)


@dataclass(frozen=True)
class Ranking:
    """N points in ascending order of a key, and what is needed to rank them with any weights.

    Attributes:
        order: (N,) which point stands at each place.
        last: (G,) the place of the last point of each group with one key.
        group: (N,) the group of each point.
    """

    order: np.ndarray
    last: np.ndarray
    group: np.ndarray

    def summed(self, values: np.ndarray) -> np.ndarray:
        """(G + 1,) the sum of `values` (N,) up to the end of each group, from 0 on."""
        return np.concatenate([[0.0], values[self.order].cumsum()[self.last]])

    def ranks(self, weights: np.ndarray) -> np.ndarray:
        """(N,) the mean rank of each point, when it stands there `weights` (N,) times."""
        ends = self.summed(weights)
        return ((ends[1:] + ends[:-1]) / 2)[self.group]


def ranking(keys: np.ndarray) -> Ranking:
    """The `Ranking` by `keys` (N,), finite."""
    order = np.argsort(keys, kind="stable")
    values = keys[order]
    new = np.append(values[1:] != values[:-1], True)
    group = np.empty(len(keys), dtype=np.int64)
    group[order] = np.cumsum(new) - new
    return Ranking(order, np.nonzero(new)[0], group)


def sparsification(
    by_key: Ranking, right: np.ndarray, weights: np.ndarray, kept: Sequence[float] = KEPT
) -> np.ndarray:
    """(S,) PCK of the surest points, at each share of the whole weight that is `kept`.

    Args:
        by_key: the points, surest first.
        right: (N,) bool.
        weights: (N,) not negative, not all 0.
        kept: S shares in (0, 1].
    """
    at = np.asarray(kept) * weights.sum()
    return np.interp(at, by_key.summed(weights), by_key.summed(weights * right)) / at


def oracle(pck: float, kept: Sequence[float] = KEPT) -> np.ndarray:
    """(S,) the curve of an order by the true error, where `pck` of all points are right."""
    return np.minimum(1, pck / np.asarray(kept))


def ause(curve: np.ndarray, best: np.ndarray, kept: Sequence[float] = KEPT) -> float:
    """The mean distance of `curve` (S,) below `best` (S,), by the trapezoid rule over `kept`."""
    # No curve lies above the oracle's, but by rounding.
    return max(0.0, float(trapezoid(curve - best, kept) / (kept[0] - kept[-1])))


def spearman(by_key: Ranking, by_error: Ranking, weights: np.ndarray) -> float:
    """Spearman's rank correlation of two keys, ties at their mean rank; NaN where one is constant.

    Args:
        by_key, by_error: the same N points by either key.
        weights: (N,) how often each point stands there.
    """
    ranks = np.stack([by_key.ranks(weights), by_error.ranks(weights)])
    ranks = ranks - (ranks @ weights / weights.sum())[:, None]
    (a, both), (_, b) = (ranks * weights) @ ranks.T
    return float(both / np.sqrt(a * b)) if a > 0 and b > 0 else float("nan")


@dataclass(frozen=True)
class Points:
    """N scored points.

    Attributes:
        log_sigma, error: (N,) finite.
        right: (N,) bool.
        images: (N, 2) numbers of the two pictures.
    """

    log_sigma: np.ndarray
    error: np.ndarray
    right: np.ndarray
    images: np.ndarray

    def only(self, chosen: np.ndarray) -> "Points":
        """Those of them that are `chosen` (N,)."""
        return Points(*(array[chosen] for array in vars(self).values()))


def scores(
    by_key: Ranking, by_error: Ranking, right: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The measures (3,) in the order of MEASURES, and the curve (S,); NaN where one does not exist."""
    curve = sparsification(by_key, right, weights)
    best = oracle(curve[0])
    own, random = ause(curve, best), ause(np.full_like(curve, curve[0]), best)
    gain = 1 - own / random if random > 0 else np.nan
    return np.array([gain, own, spearman(by_key, by_error, weights)]), curve


def by_images(images: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(N,) how often an item counts: the product for its two `images` (N, 2) of how often each was
    `drawn` (I,); where both are one, as often as that."""
    first, last = images[:, 0], images[:, 1]
    return drawn[first] * np.where(first == last, 1, drawn[last])


def by_pairs(images: np.ndarray, pair: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(N,) how often an item counts: as often as its `pair` (N,) of images was `drawn`; once where
    both `images` (N, 2) are one."""
    return np.where(images[:, 0] == images[:, 1], 1, drawn[pair])


def with_intervals(
    parts: Sequence[Points], *, resamples: int = RESAMPLES, seed: int = SEED
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The measures and the curve of each part with their intervals, all from the same draws.

    Args:
        parts: none of them empty.
        resamples, seed: of each of the two bootstraps.

    Returns:
        For each part (3, 3) and (3, S): value, low and high of the measures and of the curve; NaN
        where there is no such number, low and high too where all points show the same two images.
    """
    sizes = np.cumsum([len(part.right) for part in parts])[:-1]
    _, flat = np.unique(np.concatenate([part.images for part in parts]), return_inverse=True)
    images = np.sort(flat.reshape(-1, 2), axis=1)
    pairs, pair = np.unique(images, axis=0, return_inverse=True)
    ranked = [(ranking(part.log_sigma), ranking(part.error), part.right) for part in parts]
    own = [np.concatenate(scores(*one, np.ones(len(one[2])))) for one in ranked]
    varies = [bool((code != code[0]).any()) for code in np.split(images, sizes)]
    generator = np.random.default_rng(seed)

    def moved(number: int, weigh: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
        """Each part's numbers (R, A) when 0..number-1 are drawn; NaN where they do not exist."""
        found = [np.full((resamples, len(one)), np.nan) for one in own]
        for draw in range(resamples if any(varies) else 0):
            drawn = np.bincount(generator.integers(number, size=number), minlength=number)
            weights = np.split(weigh(drawn).astype(float), sizes)
            for place, one in enumerate(ranked):
                if varies[place] and weights[place].any():
                    found[place][draw] = np.concatenate(scores(*one, weights[place]))
        return found

    first = moved(int(images.max()) + 1, lambda drawn: by_images(images, drawn))
    second = moved(len(pairs), lambda drawn: by_pairs(images, pair.reshape(-1), drawn))
    told = [np.stack([one, *ends(one, a, b)]) for one, a, b in zip(own, first, second, strict=True)]
    return [(one[:, : len(MEASURES)], one[:, len(MEASURES) :]) for one in told]


def ends(values: np.ndarray, by_image: np.ndarray, by_pair: np.ndarray) -> np.ndarray:
    """(2, A) the 95 % intervals of `values` (A,), from how they came out in either bootstrap (R, A),
    as this module's head says; NaN where a value, or all of its draws, do not exist."""
    low_high = np.full((2, len(values)), np.nan)
    for column, value in enumerate(values):
        first, second = (
            draws[~np.isnan(draws[:, column]), column] for draws in (by_image, by_pair)
        )
        if np.isnan(value) or not len(first) or not len(second):
            continue
        plain, floor = first.var(), second.var()
        scale = np.sqrt(max(plain - 2 * floor, floor) / plain) if plain > 0 else 0.0
        # Never further than the draws themselves, so that no end leaves a measure's range.
        low_high[:, column] = bounds(value + min(scale, 1.0) * (first - value))
    return low_high


def evaluate(
    data: Dataset,
    predictions: Predictions,
    protocol: str | PckProtocol | None = None,
    alphas: Sequence[float] | None = None,
) -> tuple[Result, pd.DataFrame]:
    """Score what a method says of how unsure it is.

    Args:
        data: the data set the predictions were made from.
        predictions: of one split, with log sigma for every point that counts.
        protocol: name of a preset in PCK_PROTOCOLS that goes from source to target, or one of your
            own; None is the first, jlad.
        alphas: one tolerance in (0, 1]; None is ALPHA.

    Returns:
        The result, one row a measure, gain first; `curve` holds kept, value, oracle and random as
        shares in [0, 1], and low and high of value. And a table with one row a point: the columns
        of `pair_columns`, keypoint, log_sigma, error (share of the extent) and right.

    Raises:
        UsageError: unknown protocol, one that goes from target to source, or not one alpha.
        JladkitError: the predictions are incomplete, say nothing of sigma, or do not fit the data.
    """
    own = isinstance(protocol, PckProtocol)
    preset = protocol if own else find(PCK_PROTOCOLS, protocol, "sparsification")
    if preset.direction != "source->target":
        there = [name for name, one in PCK_PROTOCOLS.items() if one.direction == "source->target"]
        raise UsageError(DIRECTION.format(preset.name, ", ".join(there)))
    tolerances = check_alphas([ALPHA] if alphas is None else alphas)
    if len(tolerances) != 1:
        raise UsageError(f"Sparsification is at one --alpha. Got {len(tolerances)}.")
    (alpha,) = tolerances
    rows, errors, _ = measured(data, predictions, preset)
    log_sigma = log_sigma_of(data, predictions, ~np.isnan(errors))
    items = table(data, rows, errors, log_sigma, alpha, preset)
    points = Points(
        items["log_sigma"].to_numpy(),
        items["error"].to_numpy(),
        items["right"].to_numpy(),
        items[IMAGES].to_numpy(),
    )
    category = items["category"].to_numpy()
    names = [str(name) for name in np.unique(category.astype(str))]
    (whole, curve), *by_category = with_intervals(
        [points, *(points.only(category == name) for name in names)]
    )
    counts = [int((category == name).sum()) for name in names]
    same = bool((points.log_sigma == points.log_sigma[0]).all())
    return Result(
        **provenance(data, predictions),
        metric="sparsification",
        protocol=asdict(preset),
        results=[
            {
                "metric": "sparsification",
                "measure": measure,
                "alpha": alpha,
                "unit": unit,
                "higher_is_better": more,
                **interval(whole[:, column], len(items)),
                "pairs": int(items["pair"].nunique()),
                "categories": {
                    name: interval(own[:, column], count)
                    for name, count, (own, _) in zip(names, counts, by_category, strict=True)
                },
            }
            for column, (measure, (unit, more)) in enumerate(MEASURES.items())
        ],
        statistics=describe("images, and pairs of them for the width"),
        curve=curve_record(curve),
        seconds_per_item=predictions.seconds_per_item.get("pair"),
        notes=[SAME] if same else [],
    ), items


def log_sigma_of(data: Dataset, predictions: Predictions, scored: np.ndarray) -> np.ndarray:
    """(P, K) log sigma of the split's pairs in file order.

    Args:
        scored: (P, K) bool, the points that count.

    Raises:
        JladkitError: there is none, or not of every point that counts.
    """
    found = predictions.pair_log_sigma
    if found is None:
        raise JladkitError(
            f"The predictions of {predictions.method} do not say how unsure it is of its points "
            "(pair/log_sigma). jladkit/methods.py has what a method must offer for that "
            "(UnsureMatcher), jladkit/formats/outside.py how a file of others says it."
        )
    _, order = rows_in_order(data, predictions)
    log_sigma = found[order].astype(float)
    absent = int((scored & ~np.isfinite(log_sigma)).sum())
    if absent:
        raise JladkitError(
            f"The predictions of {predictions.method} must have a finite log sigma at each of the "
            f"{int(scored.sum())} points that count, but lack {absent}."
        )
    return log_sigma


def table(
    data: Dataset,
    rows: np.ndarray,
    errors: np.ndarray,
    log_sigma: np.ndarray,
    alpha: float,
    protocol: PckProtocol,
) -> pd.DataFrame:
    """One row for each point that counts, pair by pair in file order."""
    pair, keypoint = np.nonzero(~np.isnan(errors))
    error = errors[pair, keypoint]
    right = error <= alpha if protocol.comparator == "<=" else error < alpha
    return pd.DataFrame(
        {
            **pair_columns(data, rows[pair]),
            "keypoint": keypoint,
            "log_sigma": log_sigma[pair, keypoint],
            "error": error,
            "right": right,
        }
    )


def interval(told: np.ndarray, count: int) -> dict[str, Any]:
    """value, low and high of `told` (3,) and the count, as a result has them; NaN becomes null."""
    keys = ("value", "low", "high")
    numbers = {key: None if np.isnan(n) else float(n) for key, n in zip(keys, told, strict=True)}
    return {**numbers, "count": count}


def curve_record(told: np.ndarray) -> dict[str, Any]:
    """A result's curve from value, low and high (3, S) of PCK at the shares KEPT."""
    value, low, high = told
    record = {
        "kept": list(KEPT),
        "value": value.tolist(),
        "oracle": oracle(value[0]).tolist(),
        "random": [float(value[0])] * len(KEPT),
    }
    if not np.isnan(low).any():
        record |= {"low": low.tolist(), "high": high.tolist()}
    return record
