"""PCK, the percentage of correct keypoints: transferred keypoints that land near enough.

Everything here is a reduction of one array: each keypoint's distance from the truth as a share of
its pair's extent. Sources: Yang and Ramanan (PAMI 2013) for the measure; pck_protocols.py for whose
reading of it each preset is; statistics.py for the intervals.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import pandas as pd

from jladkit.errors import JladkitError, UsageError
from jladkit.evaluators.carried import check_complete, pairs_and_points
from jladkit.evaluators.frames import extents, in_frame, landing, rounded
from jladkit.evaluators.items import IMAGES, pair_columns
from jladkit.evaluators.pck_protocols import PCK_PROTOCOLS, PckProtocol
from jladkit.evaluators.protocols import find
from jladkit.evaluators.statistics import Part, describe, intervals, item_weights, weighted_sum
from jladkit.evaluators.strata import Stratum, strata
from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import Predictions, provenance
from jladkit.formats.result import Result

ALPHAS = (0.05, 0.1, 0.15)
CURVE = tuple(step / 100 for step in range(1, 21))
NO_EXTENT = (
    "{} pairs have an extent of 0, for their keypoints lie in one place; there only a keypoint that "
    "is met exactly is right."
)
BLOCK = 1024  # pairs
# A share this near to alpha is alpha. Squashing a picture leaves a distance of exactly alpha times
# the extent some 1e-15 too long or too short, and the comparator is to decide, not chance.
TIE = 1e-12
MEANS = {"pair_mean": "pair-mean", "pooled": "pooled", "category_mean": "category-mean"}
PROTOCOLS = PCK_PROTOCOLS  # where `jladkit evaluate --protocol all` finds them


def pck(
    predicted: np.ndarray, true: np.ndarray, visible: np.ndarray, extent: np.ndarray
) -> np.ndarray:
    """Each keypoint's distance from the truth as a share of its pair's extent.

    A keypoint is right at alpha when its share is at most alpha, or below it, as the protocol's
    comparator says; the functions below count.

    Args:
        predicted: (P, K, 2) xy, in any frame.
        true: (P, K, 2) xy, same frame.
        visible: (P, K) bool; False leaves a keypoint out, whatever its coordinates.
        extent: (P,) the length that alpha is a share of, in pixels of that frame. Where it is 0
            (the extent of a single keypoint), only a keypoint that is met exactly is right.

    Returns:
        (P, K) shares; NaN where a keypoint is left out.

    Raises:
        ValueError: the shapes do not fit.
    """
    if predicted.shape != true.shape or predicted.shape != (*visible.shape, 2):
        raise ValueError(
            f"predicted is {predicted.shape}, true {true.shape}, visible {visible.shape}; "
            "they are (P, K, 2), (P, K, 2) and (P, K)."
        )
    share = np.empty(visible.shape)
    # What is left out may be anything, infinite too. Block by block, for then all of this stays
    # in the processor's cache.
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        for start in range(0, len(share), BLOCK):
            block = slice(start, start + BLOCK)
            own, length = share[block], extent[block, None]
            offset = predicted[block] - true[block]
            x, y = offset[..., 0], offset[..., 1]
            np.multiply(x, x, out=own)
            own += y * y
            np.sqrt(own, out=own)
            met = (own == 0) & (length == 0)
            own /= length
            own[met] = 0
            np.copyto(own, np.nan, where=~visible[block])
    return share


def correct(
    errors: np.ndarray, alphas: Sequence[float], comparator: Literal["<=", "<"] = "<="
) -> np.ndarray:
    """(P, A) how many keypoints of each pair are right, from `errors` (P, K) of `pck`; what is
    nearer to an alpha than TIE is right if the comparator is "<="."""
    near, tie = (np.less_equal, TIE) if comparator == "<=" else (np.less, -TIE)
    return np.stack([true_per_row(near(errors, alpha + tie)) for alpha in alphas], axis=1)


def per_pair(
    errors: np.ndarray, alphas: Sequence[float], comparator: Literal["<=", "<"] = "<="
) -> np.ndarray:
    """(P, A) the share of each pair's keypoints that are right; NaN for a pair without any."""
    count, right = counted(errors)[:, None], correct(errors, alphas, comparator)
    return np.divide(right, count, out=np.full(right.shape, np.nan), where=count > 0)


def counted(errors: np.ndarray) -> np.ndarray:
    """(P,) how many keypoints of each pair count."""
    return true_per_row(~np.isnan(errors))


def true_per_row(mask: np.ndarray) -> np.ndarray:
    """(P,) how many of each row of `mask` (P, K) are true; a product, which is three times as fast
    as a sum along short rows, and exact up to 16 million."""
    return (mask.astype(np.float32) @ np.ones(mask.shape[1], np.float32)).astype(np.int64)


def aggregate(
    scores: np.ndarray, count: np.ndarray, category: np.ndarray, aggregation: str
) -> np.ndarray:
    """(A,) what a protocol calls its score; pairs without a keypoint stay out of it.

    Args:
        scores: (P, A) of `per_pair`.
        count: (P,) of `counted`.
        category: (P,) a label for each pair.
        aggregation: a name that PckProtocol knows.
    """
    kept = count > 0
    if not kept.any():
        return np.full(scores.shape[1], np.nan)
    weights, _ = item_weights(aggregation, count[kept], category[kept])
    return weighted_sum(weights, scores[kept])


def curve_and_area(
    errors: np.ndarray, category: np.ndarray, protocol: PckProtocol, alphas: Sequence[float] = CURVE
) -> tuple[np.ndarray, float]:
    """The score at each of `alphas` (rising), and its mean over all alphas from 0 to the last.

    The area is exact, not a sum over `alphas`: a keypoint with the error e adds 1 - e / last to
    it, or nothing where e is larger.
    """
    count = counted(errors)
    kept = count > 0
    weights, _ = item_weights(protocol.aggregation, count[kept], category[kept])
    shown = ~np.isnan(errors[kept])
    share = errors[kept][shown]
    weight = np.repeat(weights / count[kept], count[kept])
    side, tie = ("left", TIE) if protocol.comparator == "<=" else ("right", -TIE)
    first = np.searchsorted(np.add(alphas, tie), share, side=side)
    right = np.bincount(first, weight, len(alphas) + 1)[:-1]
    return np.minimum(right.cumsum(), 1), float(weight @ np.maximum(1 - share / alphas[-1], 0))


def check_alphas(alphas: Sequence[float]) -> list[float]:
    """`alphas` without repetitions.

    Raises:
        UsageError: one of them is not in (0, 1].
    """
    for alpha in alphas:
        if not 0 < alpha <= 1:
            shares = (alpha / 100, alpha / 10 ** len(str(int(alpha)))) if 1 < alpha < 1e3 else ()
            meant = next((share for share in shares if 0.01 < share <= 0.5), None)
            hint = f"; did you mean {meant:g}?" if meant else ", a share of the extent."
            raise UsageError(f"alpha must be in (0, 1]. Got {alpha:g}{hint}")
    return list(dict.fromkeys(float(alpha) for alpha in alphas))


def measured(
    data: Dataset, predictions: Predictions, protocol: PckProtocol
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every keypoint's error under a protocol, before any mean is taken.

    Returns:
        The split's rows of pair/* (P,) in file order; (P, K) distances as shares of the extent,
        NaN for keypoints that are not visible in both objects; (P,) the extents.

    Raises:
        JladkitError: the predictions are incomplete or do not fit the data set.
    """
    rows, points = pairs_and_points(data, predictions, protocol)
    source, target = data.pair_source[rows], data.pair_target[rows]
    visible = data.object_visible[source] & data.object_visible[target]
    if not visible.any():
        raise JladkitError(
            f"No pair of the {predictions.split} split of {data.path} has a keypoint that is "
            "visible in both images, so there is nothing to score."
        )
    check_complete(data, rows, points, visible, predictions.method)
    landed = landing(source, target, protocol)
    true = rounded(data.object_keypoints[landed], protocol)
    extent = extents(data, source, target, visible, protocol)
    there, true = (in_frame(data, landed, landed, xy, protocol) for xy in (points, true))
    return rows, pck(there, true, visible, extent), extent


def evaluate(
    data: Dataset,
    predictions: Predictions,
    protocol: str | PckProtocol | None = None,
    alphas: Sequence[float] | None = None,
) -> tuple[Result, pd.DataFrame]:
    """Score transferred keypoints.

    A keypoint counts when it is visible in both objects of its pair. A pair without any has no
    score; such pairs are left out of every mean and counted in `left_out`.

    Args:
        data: the data set the predictions were made from.
        predictions: of one split, in pixels of the stored pictures.
        protocol: name of a preset in PCK_PROTOCOLS, or a protocol of your own; None is the first
            preset, jlad.
        alphas: tolerances in (0, 1] as shares of the protocol's extent; None is ALPHAS.

    Returns:
        The result, one row an alpha, values as shares in [0, 1]: the protocol's own headline, the
        three usual means, each category, and each stratum of strata.py. And a table with one row
        a pair in file order: pair (row of pair/*), category, source, target (rows of object/*),
        source_image, target_image (a number for each source picture), n (keypoints that count)
        and one column "pck@ALPHA" each, NaN where n is 0.

    Raises:
        UsageError: unknown protocol, or an alpha outside (0, 1].
        JladkitError: the predictions are incomplete or do not fit the data set.
    """
    own = isinstance(protocol, PckProtocol)
    preset = protocol if own else find(PCK_PROTOCOLS, protocol, "pck")
    tolerances = check_alphas(ALPHAS if alphas is None else alphas)
    rows, errors, extent = measured(data, predictions, preset)
    columns = pair_columns(data, rows)
    category, images = columns["category"], np.stack([columns[name] for name in IMAGES], axis=1)
    scores = per_pair(errors, tolerances, preset.comparator)
    curve, area = curve_and_area(errors, category, preset)
    count = counted(errors)
    number = int(((extent == 0) & (count > 0)).sum())
    items = pd.DataFrame(
        {
            **columns,
            "n": count,
            **{f"pck@{a:g}": scores[:, i] for i, a in enumerate(tolerances)},
        }
    )
    return Result(
        **provenance(data, predictions),
        metric="pck",
        protocol=asdict(preset),
        results=result_rows(errors, images, category, tolerances, preset, strata(data, rows)),
        statistics=describe("images"),
        curve={
            "alpha": list(CURVE),
            "value": curve.tolist(),
            "area": area,
            "area_from": 0.0,
            "area_to": CURVE[-1],
        },
        seconds_per_item=predictions.seconds_per_item.get("pair"),
        notes=[NO_EXTENT.format(number)] if number else [],
    ), items


def result_rows(
    errors: np.ndarray,
    images: np.ndarray,
    category: np.ndarray,
    alphas: Sequence[float],
    protocol: PckProtocol,
    sorted_by: Sequence[Stratum] = (),
) -> list[dict[str, Any]]:
    """The rows of a result: every reduction at each alpha, with intervals.

    Args:
        errors: (P, K) of `pck`.
        images: (P, 2) the number of each pair's two pictures.
        category: (P,) names.
        alphas: A tolerances.
        protocol: its comparator and aggregation are read.
        sorted_by: the strata to tell the score for.
    """
    count, scores = counted(errors), per_pair(errors, alphas, protocol.comparator)
    kept = count > 0
    labels, codes = np.unique(category.astype(str), return_inverse=True)

    def part(chosen: np.ndarray, aggregation: str = protocol.aggregation) -> Part:
        chosen = chosen & kept
        weights, groups = item_weights(aggregation, count[chosen], codes[chosen])
        return Part(scores[chosen], weights, images[chosen], groups)

    def keypoints(chosen: np.ndarray) -> Part:
        pair = np.nonzero(chosen & ~np.isnan(errors))
        right = per_pair(errors[pair][:, None], alphas, protocol.comparator)
        return Part(right, np.full(len(right), 1 / max(len(right), 1)), images[pair[0]])

    parts: dict[tuple[str, ...], Part] = {("value",): part(kept)}
    parts |= {(mean,): part(kept, aggregation) for mean, aggregation in MEANS.items()}
    for code, name in enumerate(labels):
        if (codes[kept] == code).any():
            parts["categories", str(name)] = part(codes == code)
    for stratum in sorted_by:
        for code, name in enumerate(stratum.classes):
            chosen = stratum.codes == code
            own = part(chosen) if chosen.ndim == 1 else keypoints(chosen)
            if len(own.weights):
                parts[stratum.name, name] = own
    found = dict(zip(parts, intervals([*parts.values()], within=(0, 1)), strict=True))

    def below(top: str, column: int) -> dict[str, Any]:
        return {path[1]: asdict(own[column]) for path, own in found.items()
                if path[0] == top and len(path) == 2}  # fmt: skip

    rows: list[dict[str, Any]] = []
    for column, alpha in enumerate(alphas):
        row = {
            "metric": "pck",
            "alpha": alpha,
            "unit": "share",
            "higher_is_better": True,
            **asdict(found["value",][column]),
            "left_out": int((~kept).sum()),
            "points": int(count.sum()),
            "categories": below("categories", column),
            "strata": {stratum.name: below(stratum.name, column) for stratum in sorted_by},
        }
        for mean in MEANS:
            own = found[mean,][column]
            row |= {mean: own.value, f"{mean}_low": own.low, f"{mean}_high": own.high}
        rows.append(row)
    return rows
