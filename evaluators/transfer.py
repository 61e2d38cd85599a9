"""Label transfer: how well an object's outline, carried from source to target, fits the target's.

Three measures in two variants, which give other numbers and have names of their own. The measures
are those of Kim et al. (DSP, CVPR 2013) on Caltech-101; protocols say whose reading a preset is.

`rocco-masks` needs for each pixel of the target where it comes from in the source: the field from
target to source (predictions.h5, pair/flow_back). Nothing is scattered and nothing inverted. The
source's mask is read there bilinearly, zeros around it, and what is above 0.5 is the object.

`hpf-polygons` needs the vertices of the source's polygon, carried to the target (pair/points).

Localisation error, only with `rocco-masks`: for every pixel of the target, background too, that is
sent strictly inside the source's picture (between the centres of its outermost pixels),
|x - x'| + |y - y'|, where x = (column + 1 - left) / width in the frame of the target mask's extent
in whole pixels, and x' the same of the place in the source, cut to its pixel. The + 1 is
WeakAlign's: its columns count from 1, its left from 0. Between objects of different width it
shifts x against x', and is kept because published numbers have it. The code of DSP, and of CNNGeo
in MATLAB, counts both from 1; those numbers differ a little.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import map_coordinates

from jladkit.errors import JladkitError, UsageError
from jladkit.evaluators.dense import fields_of, pixel_field
from jladkit.evaluators.dense_protocols import TRANSFER_PROTOCOLS, TransferProtocol
from jladkit.evaluators.items import IMAGES, pair_columns, rows_in_order
from jladkit.evaluators.protocols import find
from jladkit.evaluators.statistics import describe, summary
from jladkit.formats.dataset import Dataset
from jladkit.formats.masks import fill_polygon, is_polygon
from jladkit.formats.predictions import Predictions, provenance
from jladkit.formats.result import Result

MEASURES = {  # unit, and whether more is better
    "lt-acc": ("share of the target's pixels", True),
    "iou": ("intersection over union", True),
    "loc-err": ("sides of the object's extent", False),
}
Scores = dict[str, float]


def label_transfer_accuracy(carried: np.ndarray, true: np.ndarray) -> float:
    """The share of pixels, background too, that two (H, W) bool masks agree on."""
    return float((carried == true).mean())


def intersection_over_union(carried: np.ndarray, true: np.ndarray) -> float:
    """Pixels in both of two (H, W) bool masks over those in either; NaN where both are empty."""
    either = (carried | true).sum()
    return float((carried & true).sum() / either) if either else float("nan")


def warped_mask(source: np.ndarray, field: np.ndarray) -> np.ndarray:
    """The source's mask as the target's pixels read it.

    Args:
        source: (H', W') bool.
        field: (H, W, 2) xy in the source's picture for each pixel of the target; NaN reads nothing.

    Returns:
        (H, W) bool: above 0.5 when read bilinearly, zeros around the source's picture.
    """
    at = np.nan_to_num(field, nan=-9.0, posinf=-9.0, neginf=-9.0)
    read = map_coordinates(
        source.astype(float), (at[..., 1], at[..., 0]), order=1, mode="grid-constant", cval=0.0
    )
    return read > 0.5


def localisation_error(source: np.ndarray, target: np.ndarray, field: np.ndarray) -> float:
    """How far places relative to the objects' extents move, as this module's head says.

    Args:
        source: (H', W') bool, not empty.
        target: (H, W) bool, not empty.
        field: (H, W, 2) xy in the source's picture for each pixel of the target.

    Returns:
        The mean over the target's pixels that are sent inside; NaN when there is none.
    """
    last = np.array(source.shape[::-1]) - 1
    y, x = np.nonzero(((field > 0) & (field < last)).all(axis=-1))
    if not len(x):
        return float("nan")
    moved = relative(source, field[y, x].astype(int)) - relative(target, np.stack([x, y], axis=1))
    return float(np.abs(moved).sum(axis=1).mean())


def relative(mask: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """`xy` (n, 2) of pixels in the frame of a mask's extent; WeakAlign's, one pixel off."""
    rows, columns = np.nonzero(mask)
    low = np.array([columns.min(), rows.min()])
    return (xy + 1 - low) / (np.array([columns.max(), rows.max()]) - low + 1)


def mask_scores(source: np.ndarray, target: np.ndarray, field: np.ndarray) -> Scores:
    """The measures of `rocco-masks` for one pair; see `localisation_error` for shapes."""
    carried = warped_mask(source, field)
    return {
        "lt-acc": label_transfer_accuracy(carried, target),
        "iou": intersection_over_union(carried, target),
        "loc-err": localisation_error(source, target, field),
    }


def polygon_scores(
    carried: np.ndarray, true: np.ndarray, size: np.ndarray, side: int | None
) -> Scores:
    """The measures of `hpf-polygons` for one pair.

    Args:
        carried: (n, 2) the source's vertices in the target's picture, in order.
        true: (m, 2) the target's vertices.
        size: (2,) width and height of the target's picture.
        side: most that its longer side may have; larger ones are scaled down, polygons along.
    """
    # As torch divides a number by a single-precision tensor, which decides whether the longer side
    # becomes 300 or 299.
    scale = np.float32(1)
    if side is not None and size.max() > side:
        scale = np.float32(side) * (np.float32(1) / np.float32(size.max()))
    width, height = (int(np.float32(length) * scale) for length in size)
    masks = [fill_polygon(xy * float(scale), width, height) for xy in (carried, true)]
    return {
        "lt-acc": label_transfer_accuracy(*masks),
        "iou": intersection_over_union(*masks),
    }


def masks_of(data: Dataset, row: int) -> np.ndarray:
    """(H, W) bool mask of an object.

    Raises:
        JladkitError: it has none, or an empty one.
    """
    mask = data.mask(row)
    if mask is None or not mask.any():
        raise JladkitError(
            f"{data.path}: object {row} has no mask, which this protocol needs. "
            "Sources with masks: caltech101, tss."
        )
    return mask


def score_masks(
    data: Dataset, predictions: Predictions, preset: TransferProtocol
) -> Callable[[int, int], Scores]:
    """The scores of a pair, given its row of pair/* and its place in the predictions."""
    fields = fields_of(predictions, preset.direction)

    def scores(row: int, place: int) -> Scores:
        source, target = int(data.pair_source[row]), int(data.pair_target[row])
        field = pixel_field(fields[place], data.object_size[target], data.object_size[source])
        return mask_scores(masks_of(data, source), masks_of(data, target), field)

    return scores


def score_polygons(
    data: Dataset, predictions: Predictions, preset: TransferProtocol
) -> Callable[[int, int], Scores]:
    """As `score_masks`.

    Raises:
        JladkitError: the keypoints are no polygons' vertices, or none were carried over.
    """
    points = predictions.pair_points
    named = [n for n, k in zip(data.categories, data.keypoint_names, strict=True) if not is_polygon(k)]  # fmt: skip
    if named or points is None:
        why = f"the keypoints of {named[0]} in {data.path} are none" if named else "they have none"
        raise JladkitError(
            f"The predictions of {predictions.method} must hold carried vertices of polygons, but "
            f"{why}. Sources with polygons: caltech101."
        )

    def scores(row: int, place: int) -> Scores:
        source, target = int(data.pair_source[row]), int(data.pair_target[row])
        told = np.isfinite(data.object_keypoints[source]).all(axis=-1)
        carried = points[place][told].astype(float)
        if not np.isfinite(carried).all():
            lost = int((~np.isfinite(carried).all(axis=-1)).sum())
            raise JladkitError(
                f"The predictions of {predictions.method} lack {lost} of the {len(carried)} "
                f"vertices of pair {row}. Give every one a position."
            )
        true = data.object_keypoints[target]
        true = true[np.isfinite(true).all(axis=-1)]
        return polygon_scores(carried, true, data.object_size[target], preset.side)

    return scores


def evaluate(
    data: Dataset,
    predictions: Predictions,
    protocol: str | None = None,
    alphas: Sequence[float] | None = None,
) -> tuple[Result, pd.DataFrame]:
    """Score how outlines are carried from source to target.

    Args:
        data: the data set the predictions were made from; with masks, or with polygons.
        predictions: of one split, with what the protocol needs.
        protocol: name of a preset in TRANSFER_PROTOCOLS; None is the first, rocco-masks.
        alphas: must be None; the signature is that of every metric.

    Returns:
        The result, one row a measure; and a table with one row a pair in file order: the
        columns of `pair_columns` and one column "transfer:MEASURE" each, NaN where a pair has no
        score.

    Raises:
        UsageError: unknown protocol, or alphas given.
        JladkitError: the predictions lack what the protocol needs, or not all pairs are in them.
    """
    if alphas is not None:
        raise UsageError("Label transfer has no alpha: leave --alpha out.")
    preset = find(TRANSFER_PROTOCOLS, protocol, "transfer")
    rows, order = rows_in_order(data, predictions)
    scorer = score_masks if preset.carried == "mask" else score_polygons
    scores = scorer(data, predictions, preset)
    found = [scores(int(row), int(place)) for row, place in zip(rows, order, strict=True)]
    items = pd.DataFrame(
        {
            **pair_columns(data, rows),
            **{f"transfer:{name}": [one[name] for one in found] for name in preset.measures},
        }
    )
    timed = "pair" if preset.carried == "polygon" else "flow_back"
    return Result(
        **provenance(data, predictions),
        metric="transfer",
        protocol=asdict(preset),
        results=[result_row(name, items) for name in preset.measures],
        statistics=describe("images"),
        seconds_per_item=predictions.seconds_per_item.get(timed),
        notes=notes(predictions, preset),
    ), items


def result_row(measure: str, items: pd.DataFrame) -> dict[str, Any]:
    """A row of the result, from the table of items."""
    scores = items[f"transfer:{measure}"].to_numpy(float)
    unit, more = MEASURES[measure]
    return {
        "metric": "transfer",
        "measure": measure,
        **summary(scores, items[IMAGES].to_numpy(), items["category"].to_numpy()),
        "unit": unit,
        "higher_is_better": more,
    }


def notes(predictions: Predictions, preset: TransferProtocol) -> list[str]:
    """What a reader of the score must know, as sentences."""
    if preset.carried == "polygon":
        return []
    height, width = fields_of(predictions, preset.direction).shape[2:]
    return [f"The fields were predicted for {width} x {height} cells of each picture."]
