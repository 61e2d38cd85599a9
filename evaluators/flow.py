"""Flow accuracy: the share of an object's pixels that a dense field sends near enough.

For a pair with true flow, each pixel of the source where that is known has an endpoint error: the
distance in the target's picture between where the prediction sends it and where it belongs. It is
right when the error is at most alpha times the extent. Source: Taniai, Sinha, Sato (CVPR 2016) and
their evaluation kit for TSS; alpha 0.05 is the number that tables give. Later papers call the same
number PCK.

A prediction has a field on a grid of cells (predictions.h5, pair/flow); `pixel_field` says what it
says of each pixel. The kit resizes coarser fields alike: the sample results that come with it
score here as they do there, within 0.00004 at all fifty thresholds.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from jladkit.errors import JladkitError
from jladkit.evaluators.dense import fields_of, pixel_field
from jladkit.evaluators.dense_protocols import FLOW_PROTOCOLS
from jladkit.evaluators.items import IMAGES, pair_columns, rows_in_order
from jladkit.evaluators.pck import check_alphas
from jladkit.evaluators.protocols import find
from jladkit.evaluators.statistics import describe, summary
from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import Predictions, provenance
from jladkit.formats.result import Result

ALPHAS = (0.05,)
CURVE = tuple(step / 100 for step in range(1, 51))  # the thresholds of the kit


def endpoint_errors(predicted: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """The endpoint error of every pixel whose true flow is known.

    Args:
        predicted: (H, W, 2) xy in the target's picture that each pixel of the source is sent to;
            NaN where not known.
        flow: (H, W, 2) true displacement in pixels from each pixel of the source; NaN where not
            known.

    Returns:
        (n,) pixels of the target's picture; infinite where there is no prediction.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != flow.shape:
        raise ValueError(f"predicted is {predicted.shape}, flow {flow.shape}; both are (H, W, 2).")
    y, x = np.nonzero(np.isfinite(flow).all(axis=-1))
    wrong = predicted[y, x] - (np.stack([x, y], axis=1) + flow[y, x].astype(float))
    distance = np.hypot(wrong[:, 0], wrong[:, 1])
    return np.where(np.isfinite(distance), distance, np.inf)


def accuracy(errors: np.ndarray, extent: float, alphas: Sequence[float]) -> np.ndarray:
    """(A,) the share of `errors` (n,) that are at most alpha x `extent`; NaN when there is none."""
    if not len(errors):
        return np.full(len(alphas), np.nan)
    # Divided, as in pck: an error of exactly a twentieth of the extent is then the alpha 0.05.
    shares = np.sort(errors / extent)
    return np.searchsorted(shares, np.asarray(alphas), side="right") / len(shares)


def evaluate(
    data: Dataset,
    predictions: Predictions,
    protocol: str | None = None,
    alphas: Sequence[float] | None = None,
) -> tuple[Result, pd.DataFrame]:
    """Score dense fields against the true flow of pairs.

    Args:
        data: the data set the predictions were made from; its pairs have flow.
        predictions: of one split, with dense fields.
        protocol: name of a preset in FLOW_PROTOCOLS; None is the first, tss.
        alphas: tolerances in (0, 1] as shares of the protocol's extent; None is ALPHAS.

    Returns:
        The result, one row an alpha, values as shares in [0, 1]; and a table with one row a pair
        in file order: the columns of `pair_columns`, n (pixels that count), extent (pixels), epe (mean endpoint error in pixels, infinite where a pixel
        has no prediction) and one column "flow@ALPHA" each. NaN where a pair has no pixel.

    Raises:
        UsageError: unknown protocol, or an alpha outside (0, 1].
        JladkitError: the predictions have no field or not all pairs, or no pair has true flow.
    """
    preset = find(FLOW_PROTOCOLS, protocol, "flow")
    tolerances = check_alphas(ALPHAS if alphas is None else alphas)
    rows, order = rows_in_order(data, predictions)
    fields = fields_of(predictions, preset.direction)
    source, target = data.pair_source[rows], data.pair_target[rows]
    extent = data.object_size[target].max(axis=1).astype(float)
    wanted = [*tolerances, *CURVE]
    scores = np.full((len(rows), len(wanted)), np.nan)
    count, lost, epe = np.zeros(len(rows), int), 0, np.full(len(rows), np.nan)
    for place, row in enumerate(rows):
        flow = data.flow(int(row))
        if flow is None:
            continue
        sizes = data.object_size[source[place]], data.object_size[target[place]]
        errors = endpoint_errors(pixel_field(fields[order[place]], *sizes), flow)
        scores[place] = accuracy(errors, extent[place], wanted)
        count[place] = len(errors)
        lost += int(np.isinf(errors).sum())
        epe[place] = errors.mean() if len(errors) else np.nan
    if not count.any():
        raise JladkitError(
            f"No pair of the {predictions.split} split of {data.path} has true flow, so there is "
            "nothing to score. Sources with flow: tss."
        )
    items = pd.DataFrame(
        {
            **pair_columns(data, rows),
            "n": count,
            "extent": extent,
            "epe": epe,
            **{f"flow@{a:g}": scores[:, i] for i, a in enumerate(tolerances)},
        }
    )
    scored = scores[count > 0]
    return Result(
        **provenance(data, predictions),
        metric="flow",
        protocol=asdict(preset),
        results=[
            result_row(alpha, scores[:, column], items) for column, alpha in enumerate(tolerances)
        ],
        statistics=describe("images"),
        curve={"alpha": list(CURVE), "value": scored[:, len(tolerances) :].mean(axis=0).tolist()},
        seconds_per_item=predictions.seconds_per_item.get("flow"),
        notes=notes(fields, lost, int(count.sum())),
    ), items


def result_row(alpha: float, scores: np.ndarray, items: pd.DataFrame) -> dict[str, Any]:
    """A row of the result, from scores (P,) of pairs and their table of items."""
    count = items["n"].to_numpy()
    seen = count > 0
    return {
        "metric": "flow",
        "alpha": alpha,
        **summary(scores, items[IMAGES].to_numpy(), items["category"].to_numpy()),
        "unit": "share",
        "higher_is_better": True,
        "pixels": int(count.sum()),
        "pooled": float((scores[seen] * count[seen]).sum() / count.sum()),
    }


def notes(fields: np.ndarray, lost: int, total: int) -> list[str]:
    """What a reader of the score must know, as sentences."""
    height, width = fields.shape[2:]
    found = [f"The fields were predicted for {width} x {height} cells of each picture."]
    if lost:
        found.append(f"{lost} of {total} pixels have no prediction and count as wrong.")
    return found
