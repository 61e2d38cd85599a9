"""IOD: how well discovered landmarks tell where the annotated keypoints are.

A linear map from an object's L landmarks to its keypoints is fitted on one set of objects and
scored on another; the error is a share of the distance between the eyes (inter-ocular distance,
hence the name) or, for objects without eyes, of the longer side of their box. Source: Thewlis et
al. (ICCV 2017); iod_protocols.py says whose reading each preset is. The fit's origin, bias and rows
move the number, so every preset stands in every result, the asked one first.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from jladkit.errors import JladkitError, UsageError
from jladkit.evaluators.iod_protocols import IOD_PROTOCOLS, IodProtocol
from jladkit.evaluators.items import pictures
from jladkit.evaluators.protocols import find
from jladkit.evaluators.statistics import describe, summary
from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import Predictions, provenance
from jladkit.formats.result import Result

EYES = "inter-ocular distance"
BOX = "longer side of the box"
FLOOR = (
    "The floor is the mean error of the training keypoints' average in the frame of the box, "
    "scored on the same keypoints."
)


def fit_linear(features: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, int]:
    """The matrix W (F, T) that makes features @ W nearest to targets, in float64.

    Where several are equally near, the one with the smallest coefficients.

    Args:
        features: (n, F).
        targets: (n, T).

    Returns:
        W and the rank of `features`; a rank below F says that some landmarks never move apart.
    """
    weights, _, rank, _ = np.linalg.lstsq(
        features.astype(np.float64), targets.astype(np.float64), rcond=None
    )
    return weights, int(rank)


@dataclass(frozen=True)
class Regression:
    """What one linear map per category and keypoint predicted.

    Attributes:
        points: (n, K, 2) the scored objects' keypoints in pixels of their stored pictures; NaN
            where no map could be fitted.
        unknowns: coefficients of a map, for each coordinate.
        keypoints: how many keypoints the scored objects' categories have.
        left_out: those without a map, in words, with the number of objects they are visible in.
        ranks: by category, the least number of dimensions its landmarks span in a fit.
    """

    points: np.ndarray
    unknowns: int
    keypoints: int
    left_out: list[str]
    ranks: dict[str, int]

    def notes(self, preset: str) -> list[str]:
        """What a reader of the score must know, as sentences."""
        found: list[str] = []
        if self.left_out:
            found.append(
                f"{preset}: {len(self.left_out)} of {self.keypoints} keypoints are not scored, for "
                f"they are visible in fewer fitted objects (in brackets) than the map has unknowns "
                f"({self.unknowns}): {', '.join(self.left_out)}."
            )
        deficient = {name: rank for name, rank in self.ranks.items() if rank < self.unknowns}
        if deficient:
            spans = ", ".join(f"{name} {rank}" for name, rank in deficient.items())
            found.append(
                f"{preset}: the landmarks are linearly dependent, so the smallest of many equal "
                f"maps is taken; dimensions they span, of {self.unknowns}: {spans}."
            )
        return found


def regress(
    data: Dataset,
    landmarks: np.ndarray,
    fitted: np.ndarray,
    scored: np.ndarray,
    protocol: IodProtocol,
) -> Regression:
    """Fit landmarks to keypoints on `fitted`, category by category, and apply to `scored`.

    Each keypoint has its own fit on the objects where it is visible. One with fewer of those than
    the map has unknowns would be met exactly, whatever the landmarks; it gets no map.

    Args:
        data: the data set.
        landmarks: (N, L, 2) xy in pixels of each object's stored picture, by row of object/*;
            read only where `fitted` and `scored` point.
        fitted, scored: rows of object/*.
        protocol: frame and bias.
    """
    features = in_frame(data, landmarks.astype(float), protocol).reshape(len(landmarks), -1)
    if protocol.bias:
        features = np.hstack([features, np.ones((len(features), 1))])
    keypoints = in_frame(data, data.object_keypoints, protocol)
    visible, category = data.object_visible, data.object_category
    unknowns, total = features.shape[1], 0
    found = np.full_like(keypoints, np.nan)
    left_out: list[str] = []
    ranks: dict[str, int] = {}
    for code in np.unique(category[scored]):
        name, names = data.categories[code], data.keypoint_names[code]
        members, into = fitted[category[fitted] == code], scored[category[scored] == code]
        total += len(names)
        for keypoint, keypoint_name in enumerate(names):
            rows = members[visible[members, keypoint]]
            if len(rows) < unknowns:
                left_out.append(f"{name} {keypoint_name} ({len(rows)})")
                continue
            weights, rank = fit_linear(features[rows], keypoints[rows, keypoint])
            ranks[name] = min(rank, ranks.get(name, rank))
            found[into, keypoint] = features[into] @ weights
    points = to_pixels(data, found, protocol)[scored]
    return Regression(points, unknowns, total, left_out, ranks)


def origin_and_scale(data: Dataset, protocol: IodProtocol) -> tuple[np.ndarray, np.ndarray]:
    """((N, 1, 2), (N, 1, 1)): what is taken from xy of each picture, and what divides the rest."""
    size = data.object_size.astype(float)
    origin = (size - 1) / 2 if protocol.frame == "centre" else np.zeros_like(size)
    return origin[:, None], size.max(axis=1)[:, None, None]


def in_frame(data: Dataset, points: np.ndarray, protocol: IodProtocol) -> np.ndarray:
    """`points` (N, M, 2) in pixels of each object's picture, in the frame of `protocol`."""
    origin, scale = origin_and_scale(data, protocol)
    return (points - origin) / scale


def to_pixels(data: Dataset, points: np.ndarray, protocol: IodProtocol) -> np.ndarray:
    """The inverse of `in_frame`."""
    origin, scale = origin_and_scale(data, protocol)
    return points * scale + origin


def mean_shape(data: Dataset, train: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """Where the keypoints are on average: what a detector that sees nothing can say.

    Args:
        data: the data set.
        train: rows of object/* to average, each in the frame of its own box.
        scored: rows of object/* whose boxes the average is laid into.

    Returns:
        (n, K, 2) xy in pixels of the scored objects' pictures; NaN for a keypoint that no
        training object of the category shows.
    """
    corner, size = data.object_box[:, None, :2], np.diff(data.object_box.reshape(-1, 2, 2), axis=1)
    inside = (data.object_keypoints - corner) / size
    means = np.full((len(data.categories), *inside.shape[1:]), np.nan)
    for index in np.unique(data.object_category[train]):
        rows = train[data.object_category[train] == index]
        counts = data.object_visible[rows].sum(axis=0)[:, None]
        total = np.where(data.object_visible[rows][..., None], inside[rows], 0).sum(axis=0)
        means[index] = np.divide(total, counts, out=np.full(total.shape, np.nan), where=counts > 0)
    return means[data.object_category[scored]] * size[scored] + corner[scored]


def normalisers(data: Dataset, rows: np.ndarray) -> np.ndarray:
    """(n,) the length that errors of these objects are a share of, in pixels.

    The distance of the category's two eyes where it names such a pair, NaN unless both are
    visible and apart; the longer side of the box where it does not.
    """
    box = data.object_box[rows]
    lengths = (box[:, 2:] - box[:, :2]).max(axis=1)
    pair = data.category_iod_pair[data.object_category[rows]]
    eyed = (pair >= 0).all(axis=1)
    at = np.arange(len(rows))
    left, right = (data.object_keypoints[rows][at, pair[:, side]] for side in (0, 1))
    both = data.object_visible[rows][at[:, None], pair].all(axis=1)
    lengths = np.where(eyed, np.where(both, np.hypot(*(left - right).T), np.nan), lengths)
    return np.where(lengths > 0, lengths, np.nan)


def image_errors(
    predicted: np.ndarray, true: np.ndarray, visible: np.ndarray, normaliser: np.ndarray
) -> np.ndarray:
    """Each image's mean error over its visible keypoints, as a share of its normaliser.

    Args:
        predicted: (n, K, 2) xy; NaN leaves a keypoint out.
        true: (n, K, 2) xy, same frame.
        visible: (n, K) bool.
        normaliser: (n,) in pixels of that frame; NaN leaves an image out.

    Returns:
        (n,); NaN for an image without a keypoint or without a normaliser.
    """
    used = visible & np.isfinite(predicted).all(axis=-1)
    distance = np.where(used, np.linalg.norm(predicted - true, axis=-1), 0.0)
    count = used.sum(axis=1)
    mean = np.divide(distance.sum(axis=1), count, out=np.full(len(count), np.nan), where=count > 0)
    return mean / normaliser


def objects_and_landmarks(
    data: Dataset, predictions: Predictions
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(landmarks (N, L, 2) by row of object/*, rows of train that have some, rows of the split).

    Raises:
        JladkitError: the predictions hold no landmarks, lack objects of the split or all of
            train, hold one twice, or a position is not finite.
    """
    who = f"The predictions of {predictions.method}"
    rows, points = predictions.object_row, predictions.object_points
    if rows is None or points is None or not points.shape[1]:
        raise JladkitError(
            f"{who} hold no landmarks, so they have no IOD. Predict with a landmark detector."
        )
    scored, train = data.objects(predictions.split), data.objects("train")
    if not len(scored):
        raise JladkitError(f"{data.path} has no objects in the {predictions.split} split.")
    if len(np.unique(rows)) != len(rows):
        raise JladkitError(f"{who} hold an object twice; each must come once.")
    absent = np.setdiff1d(scored, rows)
    if len(absent):
        raise JladkitError(
            f"{who} must hold landmarks for each of the {len(scored)} objects of the "
            f"{predictions.split} split; {len(absent)} are missing, the first is object "
            f"{absent[0]}."
        )
    train = np.intersect1d(train, rows)
    if not len(train):
        raise JladkitError(
            f"{who} hold no landmarks of training objects, on which the regression is fitted. "
            f"Predict those too, or build {data.path} with a train split."
        )
    if not np.isfinite(points).all():
        row = int(rows[~np.isfinite(points).all(axis=(1, 2))][0])
        raise JladkitError(f"{who} have a landmark of object {row} without a position.")
    landmarks = np.full((len(data.object_category), *points.shape[1:]), np.nan)
    landmarks[rows] = points
    return landmarks, train, scored


def evaluate(
    data: Dataset,
    predictions: Predictions,
    protocol: str | None = None,
    alphas: Sequence[float] | None = None,
) -> tuple[Result, pd.DataFrame]:
    """Score discovered landmarks by regression onto the annotated keypoints.

    Args:
        data: the data set the predictions were made from.
        predictions: landmarks of the objects of one split and of train, in pixels of the stored
            pictures.
        protocol: name of a preset in IOD_PROTOCOLS; None is the first, imm. The others follow it
            as further rows.
        alphas: must be None; the signature is that of every metric.

    Returns:
        The result, one row a preset, values as shares of the normaliser; and a table with one
        row an object of the split in file order: object (row of object/*), category, image (a
        number for each source picture), n (keypoints scored under the asked preset), normaliser (pixels), floor, and one column
        "iod:PRESET" each. NaN where an object has no score.

    Raises:
        UsageError: unknown protocol, or alphas given.
        JladkitError: the predictions are incomplete, or there are fewer training objects than the
            map has unknowns.
    """
    if alphas is not None:
        raise UsageError("IOD has no alpha: leave --alpha out, or score --metric pck.")
    asked = find(IOD_PROTOCOLS, protocol, "iod")
    landmarks, train, scored = objects_and_landmarks(data, predictions)
    visible, true = data.object_visible[scored], data.object_keypoints[scored]
    normaliser = normalisers(data, scored)
    category = np.array(data.categories, dtype=object)[data.object_category[scored]]
    floor_points = mean_shape(data, train, scored)

    presets = [asked, *(p for name, p in IOD_PROTOCOLS.items() if name != asked.name)]
    fits = [
        regress(data, landmarks, scored if p.fitted_on == "scored" else train, scored, p)
        for p in presets
    ]
    if not (visible & np.isfinite(fits[0].points).all(axis=-1)).any():
        raise JladkitError(
            f"K = {landmarks.shape[1]} landmarks make {fits[0].unknowns} unknowns a coordinate "
            f"under {asked.name}, more than the objects to fit on: no "
            f"keypoint of {data.path} that the {predictions.split} split shows is visible in so "
            "many objects of its category. Use fewer landmarks or more training objects."
        )
    errors = [image_errors(fit.points, true, visible, normaliser) for fit in fits]
    # The floor is scored on the very keypoints that the preset scores.
    floors = [
        image_errors(
            np.where(np.isfinite(fit.points), floor_points, np.nan), true, visible, normaliser
        )
        for fit in fits
    ]
    if not np.isfinite(errors[0]).any():
        raise JladkitError(
            f"No object of the {predictions.split} split of {data.path} shows both eyes, so there "
            "is no inter-ocular distance to divide by."
        )
    image = pictures(data)[0][scored]
    items = pd.DataFrame(
        {
            "object": scored,
            "category": category,
            "image": image,
            "n": (visible & np.isfinite(fits[0].points).all(axis=-1)).sum(axis=1),
            "normaliser": normaliser,
            "floor": floors[0],
            **{f"iod:{p.name}": e for p, e in zip(presets, errors, strict=True)},
        }
    )
    unit = unit_of(data, scored)
    return Result(
        **provenance(data, predictions),
        metric="iod",
        protocol=asdict(replace(asked, summary=f"{asked.summary}; share of the {unit}")),
        results=[
            {
                "metric": "iod",
                "variant": p.name,
                "summary": p.summary,
                **with_floors(e, f, image, category),
                "unit": unit,
                "higher_is_better": False,
                "landmarks": landmarks.shape[1],
                "fitted_on": len(scored if p.fitted_on == "scored" else train),
                "keypoints": fit.keypoints - len(fit.left_out),
            }
            for p, fit, e, f in zip(presets, fits, errors, floors, strict=True)
        ],
        statistics=describe("images"),
        seconds_per_item=predictions.seconds_per_item.get("object"),
        notes=[
            FLOOR,
            *fits[0].notes(asked.name),
        ],
    ), items


def unit_of(data: Dataset, rows: np.ndarray) -> str:
    """What errors of these objects are a share of."""
    pair = data.category_iod_pair[np.unique(data.object_category[rows])]
    eyed = (pair >= 0).all(axis=1)
    if eyed.all():
        return EYES
    return f"{EYES} where a category has eyes, else {BOX}" if eyed.any() else BOX


def with_floors(
    errors: np.ndarray, floors: np.ndarray, image: np.ndarray, category: np.ndarray
) -> dict[str, Any]:
    """The means of `errors` (n,) as a row of the result has them, each with that of `floors`."""
    found, below = (summary(values, image, category) for values in (errors, floors))
    for name, own in found["categories"].items():
        own["floor"] = below["categories"].get(name, {"value": None})["value"]
    return {**found, "floor": below["value"]}
