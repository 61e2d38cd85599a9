"""PCK, the percentage of correct keypoints: transferred keypoints that land near enough.

Everything here is a reduction of one array: each keypoint's distance from the truth as a share of
its pair's extent. Sources: Yang and Ramanan (PAMI 2013) for the measure; pck_protocols.py for whose
reading of it each preset is.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from jladkit.errors import JladkitError, UsageError
from jladkit.evaluators.pck_protocols import PCK_PROTOCOLS, PckProtocol
from jladkit.evaluators.protocols import find
from jladkit.evaluators.statistics import bounds, describe, intervals_of_means
from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import Predictions, digest_of_predictions
from jladkit.formats.result import Result

ALPHAS = (0.05, 0.1, 0.15)
CURVE = tuple(step / 100 for step in range(1, 21))


def pck(
    predicted: np.ndarray, true: np.ndarray, visible: np.ndarray, extent: np.ndarray
) -> np.ndarray:
    """Each keypoint's distance from the truth as a share of its pair's extent.

    A keypoint is right at alpha when its share is at most alpha; the functions below count.

    Args:
        predicted: (P, K, 2) xy, in any frame.
        true: (P, K, 2) xy, same frame.
        visible: (P, K) bool; False leaves a keypoint out, whatever its coordinates.
        extent: (P,) the length that alpha is a share of, in pixels of that frame; positive.

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
    distance = np.hypot(
        predicted[..., 0] - true[..., 0],
        predicted[..., 1] - true[..., 1],
        out=np.full(visible.shape, np.nan),
        where=visible,
    )
    # Divided rather than compared with alpha * extent: a distance of exactly a tenth of the
    # extent then rounds to the same 0.1 that alpha is, and counts as the protocols want.
    return distance / extent[:, None]


def correct(errors: np.ndarray, alphas: Sequence[float]) -> np.ndarray:
    """(P, A) how many keypoints of each pair are right, from `errors` (P, K) of `pck`."""
    return np.stack([(errors <= alpha).sum(axis=1) for alpha in alphas], axis=1)


def per_pair(errors: np.ndarray, alphas: Sequence[float]) -> np.ndarray:
    """(P, A) the share of each pair's keypoints that are right; NaN for a pair without any."""
    count = np.isfinite(errors).sum(axis=1)[:, None]
    return np.where(count > 0, correct(errors, alphas) / np.maximum(count, 1), np.nan)


def pooled(errors: np.ndarray, alphas: Sequence[float]) -> np.ndarray:
    """(A,) right keypoints of all pairs over all keypoints; NaN when there is none."""
    count = np.isfinite(errors).sum()
    return correct(errors, alphas).sum(axis=0) / (count if count else np.nan)


def mean_over_pairs(scores: np.ndarray) -> np.ndarray:
    """(A,) the mean of `scores` (P, A) of `per_pair`, pairs without a keypoint left out."""
    counted = scores[np.isfinite(scores).all(axis=1)]
    return counted.mean(axis=0) if len(counted) else np.full(scores.shape[1], np.nan)


def mean_over_categories(scores: np.ndarray, category: np.ndarray) -> np.ndarray:
    """(A,) the mean over categories of the mean over each one's pairs.

    Args:
        scores: (P, A) of `per_pair`.
        category: (P,) a label for each pair. One whose pairs all lack keypoints is left out.
    """
    means = [mean_over_pairs(scores[category == label]) for label in np.unique(category)]
    return mean_over_pairs(np.array(means).reshape(-1, scores.shape[1]))


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


def extents(data: Dataset, target: np.ndarray, protocol: PckProtocol) -> np.ndarray:
    """(P,) the length alpha is a share of, for the pairs with these `target` objects (P,).

    Raises:
        JladkitError: an object's box has no size.
    """
    if protocol.side is not None:
        return np.full(len(target), float(protocol.side))
    box = data.object_box[target]
    extent = (box[:, 2:] - box[:, :2]).max(axis=1)
    if not (extent > 0).all():
        row = int(target[~(extent > 0)][0])
        raise JladkitError(
            f"{data.path}: the box of object {row} has no size, and {protocol.name} measures by it."
        )
    return extent


def in_frame(
    data: Dataset, target: np.ndarray, points: np.ndarray, protocol: PckProtocol
) -> np.ndarray:
    """`points` (P, K, 2) of the targets' stored pictures, scaled to the frame of `protocol`.

    Where the frame's origin lies does not matter, for only differences are taken.
    """
    if protocol.side is None:
        return points
    return points * (protocol.side / data.object_size[target])[:, None, :]


def pairs_and_points(data: Dataset, predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """The split's rows of pair/* (P,) in file order, and what was predicted for each (P, K, 2).

    Raises:
        JladkitError: the predictions hold no pairs, or not exactly those of the split.
    """
    if predictions.pair_row is None or predictions.pair_points is None:
        raise JladkitError(
            f"The predictions of {predictions.method} hold no transferred keypoints, so they have "
            "no PCK. Predict with a method that matches pairs."
        )
    rows = data.pairs(predictions.split)
    order = np.argsort(predictions.pair_row, kind="stable")
    if not np.array_equal(predictions.pair_row[order], rows):
        found = len(np.intersect1d(predictions.pair_row, rows))
        raise JladkitError(
            f"The predictions of {predictions.method} must hold each of the {len(rows)} pairs of "
            f"the {predictions.split} split once; they hold {len(order)} rows, among them {found} "
            "of those pairs."
        )
    if not len(rows):
        raise JladkitError(f"{data.path} has no pairs in the {predictions.split} split.")
    points = predictions.pair_points[order].astype(float)
    if points.shape[1:] != data.object_keypoints.shape[1:]:
        raise JladkitError(
            f"The predictions of {predictions.method} have {points.shape[1]} keypoints a pair, "
            f"but {data.path} has {data.object_keypoints.shape[1]}."
        )
    return rows, points


def check_complete(
    data: Dataset, rows: np.ndarray, points: np.ndarray, visible: np.ndarray, method: str
) -> None:
    """Raise JladkitError when a keypoint that counts has no prediction.

    To count it as missed would let a method look worse for a fault of its file, and to leave it
    out would let it look better by keeping silent where it is unsure.
    """
    absent = visible & ~np.isfinite(points).all(axis=-1)
    if absent.any():
        pair, keypoint = np.argwhere(absent)[0]
        category = int(data.pair_category[rows[pair]])
        raise JladkitError(
            f"The predictions of {method} lack keypoint {keypoint} "
            f"({data.keypoint_names[category][keypoint]}) of pair {pair} "
            f"({data.categories[category]}), which is visible in both images; "
            f"{int(absent.sum())} are lacking in all. Give every such keypoint a position."
        )


def evaluate(
    data: Dataset,
    predictions: Predictions,
    protocol: str | None = None,
    alphas: Sequence[float] | None = None,
) -> tuple[Result, pd.DataFrame]:
    """Score transferred keypoints.

    A keypoint counts when it is visible in both objects of its pair. A pair without any has no
    score; such pairs are left out of every mean and counted in `left_out`.

    Args:
        data: the data set the predictions were made from.
        predictions: of one split, in pixels of the stored pictures.
        protocol: name of a preset in PCK_PROTOCOLS; None is the first, jlad.
        alphas: tolerances in (0, 1] as shares of the protocol's extent; None is ALPHAS.

    Returns:
        The result, one row an alpha, values as shares in [0, 1]; and a table with one row a pair
        in file order: pair (row of pair/*), category, source, target (rows of object/*), n
        (keypoints that count) and one column "pck@ALPHA" each, NaN where n is 0.

    Raises:
        UsageError: unknown protocol, or an alpha outside (0, 1].
        JladkitError: the predictions are incomplete or do not fit the data set.
    """
    preset = find(PCK_PROTOCOLS, protocol, "pck")
    tolerances = check_alphas(ALPHAS if alphas is None else alphas)
    rows, points = pairs_and_points(data, predictions)
    source, target = data.pair_source[rows], data.pair_target[rows]
    visible = data.object_visible[source] & data.object_visible[target]
    check_complete(data, rows, points, visible, predictions.method)
    errors = pck(
        in_frame(data, target, points, preset),
        in_frame(data, target, data.object_keypoints[target], preset),
        visible,
        extents(data, target, preset),
    )
    if not visible.any():
        raise JladkitError(
            f"No pair of the {predictions.split} split of {data.path} has a keypoint that is "
            "visible in both images, so there is nothing to score."
        )
    scores = per_pair(errors, tolerances)
    category = np.array(data.categories, dtype=object)[data.pair_category[rows]]
    items = pd.DataFrame(
        {
            "pair": rows,
            "category": category,
            "source": source,
            "target": target,
            "n": visible.sum(axis=1),
            **{f"pck@{a:g}": scores[:, i] for i, a in enumerate(tolerances)},
        }
    )
    return Result(
        method=predictions.method,
        metric="pck",
        protocol=asdict(preset),
        split=predictions.split,
        dataset=data.name,
        dataset_digest=data.digest,
        results=result_rows(errors, scores, category, tolerances),
        config=dict(predictions.config),
        environment=dict(predictions.environment),
        created=predictions.created,
        predictions_digest=digest_of_predictions(predictions),
        statistics=describe("pairs"),
        curve={
            "alpha": list(CURVE),
            "value": mean_over_pairs(per_pair(errors, CURVE)).tolist(),
        },
        seconds_per_item=predictions.seconds_per_item.get("pair"),
        peak_memory=predictions.peak_memory,
    ), items


def result_rows(
    errors: np.ndarray, scores: np.ndarray, category: np.ndarray, alphas: Sequence[float]
) -> list[dict[str, Any]]:
    """The rows of a result: every reduction at each alpha, with intervals.

    Args:
        errors: (P, K) of `pck`.
        scores: (P, A) of `per_pair`.
        category: (P,) names.
        alphas: A tolerances.
    """
    counted = np.isfinite(scores).all(axis=1)
    names = [str(name) for name in np.unique(category[counted].astype(str))]
    overall, _ = intervals_of_means(scores)
    # Each category draws its own pairs, so the mean of their draws bounds the mean of categories.
    own = [
        intervals_of_means(scores[category == name], seed=number)
        for number, name in enumerate(names)
    ]
    low, high = bounds(np.mean([draws for _, draws in own], axis=0))
    together = pooled(errors, alphas)
    by_category = mean_over_categories(scores[counted], category[counted].astype(str))
    return [
        {
            "metric": "pck",
            "alpha": alpha,
            **asdict(overall[column]),
            "unit": "share",
            "higher_is_better": True,
            "left_out": int((~counted).sum()),
            "points": int(np.isfinite(errors).sum()),
            "pooled": float(together[column]),
            "category_mean": float(by_category[column]),
            "category_mean_low": float(low[column]),
            "category_mean_high": float(high[column]),
            "categories": {
                name: asdict(intervals[column])
                for name, (intervals, _) in zip(names, own, strict=True)
            },
        }
        for column, alpha in enumerate(alphas)
    ]
