"""predictions.h5: what a method said about one split. Scores are computed from this file alone.

Frames as in dataset.h5: xy in pixels of the stored picture. A file has one part or both.

    pair/row       (P,) rows of the data set's pair/*, in its file order
    pair/points    (P, K, 2) where each keypoint of the source object lies in the target's
                   picture; NaN where the source has no such keypoint
    pair/log_sigma (P, K) optional: how unsure the method is of each of pair/points, as the log of
                   sigma; finite, or NaN where it says nothing. More is less sure, the scale is the
                   method's own
    pair/points_back  (P, K, 2) optional, the other way round: where each keypoint of the target
                   object lies in the source's picture
    pair/flow      (P, 2, h, w) optional: for cells spread evenly over the source's picture (row
                   first, cell centres), the xy in the target's picture; NaN where not known
    pair/flow_back (P, 2, h', w') optional, the other way round: for cells spread evenly over the
                   target's picture, the xy in the source's
    object/row     (M,) rows of the data set's object/*: the split's objects and, since a
                   regressor must be fitted on something, those of train
    object/points  (M, L, 2) the L landmarks found in each object's picture

Attributes: method, config, split, dataset (name), dataset_digest, seconds_per_item,
peak_memory (bytes), environment, created; shard ("0/4") of a part that jladkit.formats.prediction_shards
puts together with the others. What others may leave out, and the CSVs that they may
write in its place, jladkit.formats.outside says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset
from jladkit.formats.files import (
    Field,
    digest_of,
    opened,
    read_arrays,
    read_json_attr,
    read_text_attr,
    to_json,
    write_arrays,
    written_aside,
)

FORMAT = "jladkit-predictions"
SCHEMA = 1
REMEDY = "jladkit predict --data FILE --split test (--method NAME | --checkpoint FILE) --out FILE"
FIELDS = {
    "pair/row": Field("i", ("P",), optional=True),
    "pair/points": Field("f", ("P", "K", 2), optional=True),
    "pair/log_sigma": Field("f", ("P", "K"), optional=True),
    "pair/points_back": Field("f", ("P", "K", 2), optional=True),
    "pair/flow": Field("f", ("P", 2, "h", "w"), optional=True),
    "pair/flow_back": Field("f", ("P", 2, "h'", "w'"), optional=True),
    "object/row": Field("i", ("M",), optional=True),
    "object/points": Field("f", ("M", "L", 2), optional=True),
}


@dataclass(frozen=True)
class Predictions:
    """The contents of a predictions.h5; the module's table gives shapes and frames."""

    method: str
    config: Mapping[str, Any]
    split: str
    dataset: str
    dataset_digest: str
    environment: Mapping[str, Any]
    created: str
    pair_row: np.ndarray | None = None
    pair_points: np.ndarray | None = None
    pair_log_sigma: np.ndarray | None = None
    pair_points_back: np.ndarray | None = None
    pair_flow: np.ndarray | None = None
    pair_flow_back: np.ndarray | None = None
    object_row: np.ndarray | None = None
    object_points: np.ndarray | None = None
    seconds_per_item: Mapping[str, float] = field(default_factory=dict)
    peak_memory: int = 0
    shard: str = ""


def write_predictions(path: Path, predictions: Predictions, *, overwrite: bool = True) -> None:
    """Write a whole predictions.h5, or nothing."""
    parts = arrays_of(predictions)
    with written_aside(path, overwrite=overwrite) as aside, h5py.File(aside, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["schema"] = SCHEMA
        for name in ("method", "split", "dataset", "dataset_digest", "created", "peak_memory"):
            file.attrs[name] = getattr(predictions, name)
        for name in ("config", "environment", "seconds_per_item"):
            file.attrs[name] = to_json(dict(getattr(predictions, name)))
        if predictions.shard:
            file.attrs["shard"] = predictions.shard
        write_arrays(file, parts)


def arrays_of(predictions: Predictions) -> dict[str, np.ndarray]:
    """The arrays that `predictions` has, under the names of this module's table."""
    found = {name: getattr(predictions, name.replace("/", "_")) for name in FIELDS}
    return {name: array for name, array in found.items() if array is not None}


def digest_of_predictions(predictions: Predictions) -> str:
    """SHA-256 over what was predicted: the same points give the same digest on every machine."""
    return digest_of(arrays_of(predictions))


def provenance(data: Dataset, predictions: Predictions) -> dict[str, Any]:
    """What every result says of where it comes from, as the fields of a Result."""
    return {
        "method": predictions.method,
        "split": predictions.split,
        "dataset": data.name,
        "dataset_digest": data.digest,
        "config": dict(predictions.config),
        "environment": dict(predictions.environment),
        "created": predictions.created,
        "predictions_digest": digest_of_predictions(predictions),
        "peak_memory": predictions.peak_memory,
    }


def open_predictions(path: Path) -> Predictions:
    """Read a predictions.h5 and check every field of it.

    Raises:
        JladkitError: the file is missing, of another format or schema, or a field is off.
    """
    with opened(path, FORMAT, SCHEMA, REMEDY) as file:
        arrays = read_arrays(file, FIELDS)
        for part in ("pair", "object"):
            if (f"{part}/row" in arrays) != (f"{part}/points" in arrays):
                raise JladkitError(
                    f"{path}: {part}/row and {part}/points must come together. Run: {REMEDY}"
                )
        for name in ("pair/log_sigma", "pair/points_back"):
            if name in arrays and "pair/row" not in arrays:
                raise JladkitError(f"{path}: {name} needs pair/row. Run: {REMEDY}")
        check_log_sigma(path, arrays.get("pair/log_sigma"))
        seconds = read_json_attr(file, "seconds_per_item")
        memory = file.attrs.get("peak_memory", 0)
        if not all(isinstance(n, Real) and isfinite(n) for n in (memory, *seconds.values())):
            raise JladkitError(
                f"{path}: seconds_per_item and peak_memory must be numbers. Run: {REMEDY}"
            )
        return Predictions(
            method=read_text_attr(file, "method"),
            config=read_json_attr(file, "config"),
            split=read_text_attr(file, "split"),
            dataset=read_text_attr(file, "dataset"),
            dataset_digest=read_text_attr(file, "dataset_digest"),
            environment=read_json_attr(file, "environment"),
            created=read_text_attr(file, "created"),
            pair_row=arrays.get("pair/row"),
            pair_points=arrays.get("pair/points"),
            pair_log_sigma=arrays.get("pair/log_sigma"),
            pair_points_back=arrays.get("pair/points_back"),
            pair_flow=arrays.get("pair/flow"),
            pair_flow_back=arrays.get("pair/flow_back"),
            object_row=arrays.get("object/row"),
            object_points=arrays.get("object/points"),
            seconds_per_item=seconds,
            peak_memory=int(memory),
            shard=read_text_attr(file, "shard") if "shard" in file.attrs else "",
        )


def check_log_sigma(path: Path, log_sigma: np.ndarray | None) -> None:
    """Raise JladkitError when there is infinity in pair/log_sigma."""
    if log_sigma is not None and np.isinf(log_sigma).any():
        raise JladkitError(
            f"{path}: pair/log_sigma must be finite, or NaN where nothing is said, but is infinite "
            f"for {int(np.isinf(log_sigma).sum())} of {log_sigma.size} points."
        )


def check_belongs(path: Path, predictions: Predictions, data: Dataset, split: str) -> None:
    """Raise JladkitError unless `predictions` were made from `data` and for `split`."""
    if predictions.shard:
        raise JladkitError(
            f"{path} is the shard {predictions.shard} of a split's predictions. Put all together: "
            "jladkit merge-predictions FILES --out FILE"
        )
    if predictions.dataset_digest != data.digest:
        raise JladkitError(
            f"{path} was made from {predictions.dataset} with digest "
            f"{predictions.dataset_digest[:12]}, but {data.path} has {data.digest[:12]}. "
            "Predict anew, or give the data set it was made from."
        )
    if predictions.split != split:
        raise JladkitError(f"{path} is about the split {predictions.split}, not {split}.")
    width = data.object_keypoints.shape[1]
    for points in (predictions.pair_points, predictions.pair_points_back):
        if points is not None and points.shape[1] != width:
            raise JladkitError(
                f"{path} has {points.shape[1]} keypoints a pair, but {data.path} has {width}."
            )
    for rows, limit, what in (
        (predictions.pair_row, len(data.pair_source), "pair"),
        (predictions.object_row, len(data.object_category), "object"),
    ):
        if rows is not None and rows.size and not (rows.min() >= 0 and rows.max() < limit):
            raise JladkitError(f"{path}: {what}/row names rows that {data.path} does not have.")
