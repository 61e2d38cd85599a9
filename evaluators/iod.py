"""IOD: how well discovered landmarks tell where the annotated keypoints are.

A linear map from an object's L landmarks to its keypoints is fitted on one set of objects and
scored on another; the error is a share of the distance between the eyes (inter-ocular distance,
hence the name) or, for objects without eyes, of the longer side of their box. Source: Thewlis et
al. (ICCV 2017); iod_protocols.py says whose reading each preset is. The fit's origin, bias, ridge
and rows move the number, so every preset stands in every result, the asked one first.

The backward error is that of a map from keypoints to landmarks (Sanchez and Tzimiropoulos,
NeurIPS 2019). Alone it says little, for landmarks that never move are met without an error; so
three numbers stand beside it: its floor, which is how far the landmarks move; the share of those
moves that keypoints explain; and how far an object's landmarks lie apart.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from jladkit.errors import JladkitError, UsageError
from jladkit.evaluators.iod_errors import Errors, mean_of, number
from jladkit.evaluators.iod_fitting import Objects, Regression, backward, forward
from jladkit.evaluators.iod_frames import normalisers, unit_of
from jladkit.evaluators.iod_protocols import IOD_PROTOCOLS, IodProtocol, alike
from jladkit.evaluators.items import pictures
from jladkit.evaluators.protocols import find
from jladkit.evaluators.regression import least_rows
from jladkit.evaluators.statistics import describe, summary
from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import Predictions, provenance
from jladkit.formats.result import Result

PROTOCOLS = IOD_PROTOCOLS  # where `jladkit evaluate --protocol all` finds them
FLOOR = (
    "The floor is the mean error of the fitted keypoints' average in the frame of the box (train's, "
    "where the fit is on the scored objects), scored on the same keypoints."
)
BACKWARD = (
    "Backward: from keypoints to landmarks. Its floor is how far landmarks are from their mean "
    "place in the picture, so that it is 0 for landmarks that never move; explained is the share "
    "of these moves (squared) that keypoints tell, apart how far landmarks lie from the middle "
    "of their object's. Landmarks that follow the object have a high share and a floor and an apart "
    "well above 0."
)
HARDLY = 0.01  # of the normaliser


def objects_and_landmarks(data: Dataset, predictions: Predictions) -> Objects:
    """The landmarks by row of object/*, the rows of train that have some, the rows of the split.

    Raises:
        JladkitError: the predictions hold no landmarks, lack objects of the split, hold one
            twice, or a position is not finite.
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
    if not np.isfinite(points).all():
        row = int(rows[~np.isfinite(points).all(axis=(1, 2))][0])
        raise JladkitError(f"{who} have a landmark of object {row} without a position.")
    landmarks = np.full((len(data.object_category), *points.shape[1:]), np.nan)
    landmarks[rows] = points
    return Objects(data, landmarks, np.intersect1d(train, rows), scored)


def evaluate(
    data: Dataset,
    predictions: Predictions,
    protocol: str | IodProtocol | None = None,
    alphas: Sequence[float] | None = None,
) -> tuple[Result, pd.DataFrame]:
    """Score discovered landmarks by regression onto the annotated keypoints.

    Args:
        data: the data set the predictions were made from.
        predictions: landmarks of the objects of one split and of train, in pixels of the stored
            pictures.
        protocol: name of a preset in IOD_PROTOCOLS, or a protocol of your own; None is the first
            preset, imm. The other presets follow it as further rows, with its normaliser and its
            draws; those that cannot be fitted are named in the notes.
        alphas: must be None; the signature is that of every metric.

    Returns:
        The result, one row a preset, values as shares of the normaliser, each with its floor and
        its backward error, and the first by keypoint too. And a table with one row an object of
        the split in file order: object (row of object/*), category, image (a number for each
        source picture), n (keypoints scored under the asked preset), normaliser (pixels), floor,
        backward, and one column "iod:PRESET" each. NaN where an object has no score.

    Raises:
        UsageError: unknown protocol, or alphas given.
        JladkitError: the predictions are incomplete, or there are fewer objects to fit on than
            the map needs.
    """
    if alphas is not None:
        raise UsageError("IOD has no alpha: leave --alpha out, or score --metric pck.")
    own = isinstance(protocol, IodProtocol)
    asked = protocol if own else find(IOD_PROTOCOLS, protocol, "iod")
    objects = objects_and_landmarks(data, predictions)
    scored = objects.scored
    normaliser = normalisers(data, scored, asked.normaliser)
    image = pictures(data)[0][scored]
    category = np.array(data.categories, dtype=object)[data.object_category[scored]]
    first, head, fit = preset_row(objects, asked, normaliser, image, category)
    check_scored(objects, asked, fit, head, predictions.split)
    add_keypoints(first, data, scored, head)
    rows, columns, refused = [first], {f"iod:{asked.name}": mean_of(head.images)}, []
    for preset in alike(asked):
        try:
            row, errors, _ = preset_row(objects, preset, normaliser, image, category)
        except JladkitError as error:
            refused.append(f"{preset.name} is not in the table. {error}")
            continue
        rows.append(row)
        columns[f"iod:{preset.name}"] = mean_of(errors.images)
    items = pd.DataFrame(
        {
            "object": scored,
            "category": category,
            "image": image,
            "n": head.scored,
            "normaliser": normaliser,
            "floor": mean_of(head.floors),
            **columns,
        }
    )
    unit = first["unit"]
    return Result(
        **provenance(data, predictions),
        metric="iod",
        protocol=asdict(replace(asked, summary=f"{asked.summary}; share of the {unit}")),
        results=rows,
        statistics=describe("images"),
        seconds_per_item=predictions.seconds_per_item.get("object"),
        notes=[FLOOR, BACKWARD, *notes(objects, asked, fit, first), *refused],
    ), items


def preset_row(
    objects: Objects,
    protocol: IodProtocol,
    normaliser: np.ndarray,
    image: np.ndarray,
    category: np.ndarray,
) -> tuple[dict[str, Any], Errors, Regression]:
    """A preset's row of the result, and the errors and fits behind it.

    Args:
        objects: what is regressed.
        protocol: how.
        normaliser: (n,) pixels.
        image: (n,) the number of each scored object's source picture.
        category: (n,) names.

    Raises:
        JladkitError: there is nothing to fit on.
    """
    data, scored = objects.data, objects.scored
    fit = forward(objects, protocol)
    errors = Errors.of(fit, data.object_keypoints[scored], data.object_visible[scored], normaliser)
    row = {
        "metric": "iod",
        "variant": protocol.name,
        "summary": protocol.summary,
        **with_floors(errors, image, category),
        "unit": unit_of(data, scored, protocol.normaliser),
        "higher_is_better": False,
        "landmarks": objects.landmarks.shape[1],
        "fitted_on": fit.fitted_on,
        "keypoints": len(fit.mapped),
        "backward": backward_of(objects, protocol, normaliser, image, category),
    }
    if protocol.repeats > 1:
        means = mean_of(errors.images, axis=1)
        row["repeats"] = {
            "values": [number(mean) for mean in means],
            "deviation": number(means.std(ddof=1)),
            "seed": protocol.seed,
        }
    return row, errors, fit


def with_floors(errors: Errors, image: np.ndarray, category: np.ndarray) -> dict[str, Any]:
    """The means of `errors` as a row of the result has them, each with that of its floor."""
    images, floors = mean_of(errors.images), mean_of(errors.floors)
    found = summary(images, image, category)
    below = summary(floors, image, category, resamples=1)  # only its means are read
    for name, own in found["categories"].items():
        own["floor"] = below["categories"].get(name, {"value": None})["value"]
    return {**found, "floor": below["value"]}


def backward_of(
    objects: Objects,
    protocol: IodProtocol,
    normaliser: np.ndarray,
    image: np.ndarray,
    category: np.ndarray,
) -> dict[str, Any]:
    """The backward error of a preset, by the same means and with the same draws; iod_fitting.py
    says how it is fitted.

    Besides what every mean has: floor; explained; apart, the mean distance of an object's
    landmarks from their middle; and by category also keypoints, the names of those that the map
    reads (iod_fitting.shown_together), all of which an object must show to count.
    """
    data, landmarks = objects.data, objects.landmarks[objects.scored]
    fit, used = backward(objects, protocol)
    every = np.ones(landmarks.shape[:2], dtype=bool)
    errors = Errors.of(fit, landmarks, every, normaliser)
    found = with_floors(errors, image, category)
    spread = np.linalg.norm(landmarks - landmarks.mean(axis=1, keepdims=True), axis=-1)
    apart = spread.mean(axis=1) / normaliser
    for code, members in used.items():
        name = data.categories[code]
        if name in found["categories"]:
            rows = category == name
            found["categories"][name] |= {
                "explained": errors.explained(rows),
                "apart": number(mean_of(apart[rows])),
                "keypoints": [data.keypoint_names[code][member] for member in members],
            }
    return {**found, "explained": errors.explained(), "apart": number(mean_of(apart))}


def check_scored(
    objects: Objects, asked: IodProtocol, fit: Regression, errors: Errors, split: str
) -> None:
    """Raise JladkitError if nothing could be fitted, or nothing divided by."""
    data, scored = objects.data, objects.scored
    number_of = objects.landmarks.shape[1]
    said = np.isfinite(fit.points).all(axis=-1).any(axis=0)
    shown = (data.object_visible[scored] & said).any()
    if not shown and asked.ridged and asked.fitted_on != "scored":
        raise JladkitError(
            f"{asked.name} fits a keypoint on at least 2 objects of its category that show it, but "
            f"no keypoint of {data.path} that the {split} split shows is visible in so many. "
            "Give more objects to fit on."
        )
    if not shown:
        raise JladkitError(
            f"K = {number_of} landmarks make {fit.unknowns} unknowns a coordinate "
            f"under {asked.name}, more than the objects to fit on: no "
            f"keypoint of {data.path} that the {split} split shows is visible in so "
            "many objects of its category. Use fewer landmarks, more objects to fit on, or a "
            "protocol with a ridge, such as recommended."
        )
    if not np.isfinite(errors.images).any():
        lacking = (
            "shows both eyes, so there is no inter-ocular distance"
            if asked.normaliser == "iod-pair-or-box"
            else f"has a {unit_of(data, scored, asked.normaliser)}, so there is nothing"
        )
        raise JladkitError(f"No object of the {split} split of {data.path} {lacking} to divide by.")


def add_keypoints(row: dict[str, Any], data: Dataset, scored: np.ndarray, errors: Errors) -> None:
    """Add to each category of a row {keypoint: value, floor, count (images)} as "keypoints"."""
    points, floors = mean_of(errors.points), mean_of(errors.floor_points)
    for name, own in row["categories"].items():
        code = data.categories.index(name)
        rows = data.object_category[scored] == code
        own["keypoints"] = {
            keypoint: {
                "value": number(mean_of(points[rows, place])),
                "floor": number(mean_of(floors[rows, place])),
                "count": int(np.isfinite(points[rows, place]).sum()),
            }
            for place, keypoint in enumerate(data.keypoint_names[code])
        }


def notes(objects: Objects, asked: IodProtocol, fit: Regression, row: dict[str, Any]) -> list[str]:
    """What a reader of the asked preset's score must know, as sentences."""
    data, found = objects.data, []
    left_out = [
        f"{data.categories[code]} {data.keypoint_names[code][point]} ({count})"
        for (code, point), count in sorted(fit.counts.items())
        if (code, point) not in fit.mapped
    ]
    if left_out:
        ridged = asked.ridged and asked.fitted_on != "scored"
        least = least_rows(fit.unknowns - asked.bias, asked.bias, ridged)
        what = f"a map needs ({least})" if ridged else f"the map has unknowns ({least})"
        found.append(
            f"{asked.name}: {len(left_out)} of {len(fit.counts)} keypoints are not scored, for "
            f"they are visible in fewer fitted objects (in brackets) than {what}: "
            f"{', '.join(left_out)}."
        )
    if fit.ranks:
        spans = ", ".join(f"{data.categories[code]} {rank}" for code, rank in fit.ranks.items())
        how = "" if asked.ridged else ", so the smallest of many equal maps is taken"
        found.append(
            f"{asked.name}: the landmarks are linearly dependent{how}; dimensions they span, of "
            f"{fit.unknowns}: {spans}."
        )
    if fit.averaged:
        found.append(
            f"{asked.name}: for {len(fit.averaged)} of {len(fit.mapped)} keypoints no map does "
            "better on objects left out of the fit than the keypoint's average, which is taken."
        )
    if asked.repeats > 1:
        found.append(
            f"{asked.name}: an image's error is the mean over {asked.repeats} draws of what is "
            f"fitted on (seed {asked.seed}), and the interval is for other images, not other draws."
        )
    return [*found, *warnings(row)]


def warnings(row: dict[str, Any]) -> list[str]:
    """What the backward error says of a detector that does not detect."""
    back, found = row["backward"], []
    if back["floor"] is not None and back["floor"] < HARDLY:
        found.append(
            f"The landmarks hardly move: they are {100 * back['floor']:.2g} % of the "
            f"{row['unit']} from their mean place in the picture."
        )
    if back["apart"] is not None and back["apart"] < HARDLY:
        found.append(
            f"The landmarks of an object lie in one place: {100 * back['apart']:.2g} % of the "
            f"{row['unit']} apart."
        )
    return found
