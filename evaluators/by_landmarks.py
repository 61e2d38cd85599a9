"""Landmarks as a matcher: keypoints carried by a spline through the landmarks of both pictures.

What landmarks know of alignment, in the unit of alignment. It makes an aligner of any system that
finds landmarks, and it says what (10) of the joint method can teach the field: nothing, where
landmarks carry keypoints less well than the field does.
"""

from dataclasses import replace

import numpy as np
from scipy.interpolate import RBFInterpolator

from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import Predictions

SMOOTHING = 0.01  # of the spline; between 0.001 and 0.1 PCK was seen to move by 1 point at most
SPREAD = 1e-3  # of the picture's side: landmarks nearer to a common line give no affine part


def carried_by_landmarks(data: Dataset, predictions: Predictions) -> Predictions:
    """Predictions whose keypoints are carried by the landmarks of `predictions`, both ways.

    For each pair, the smoothed thin-plate spline that takes the landmarks of the one object to those
    of the other, in pictures squashed to a square. Landmarks that are NaN in either picture take no
    part. Fewer than three others, or others on a line, move all keypoints by their mean shift.

    Args:
        data: the data set that the predictions are about.
        predictions: with landmarks of both objects of every pair of their split.

    Returns:
        Of the method NAME-landmarks, with pair_points and pair_points_back in pixels of the stored
        pictures, NaN where an object has no such keypoint.

    Raises:
        JladkitError: there are no landmarks or no pairs, or the objects of a pair have no landmark
            in common.
    """
    pairs = data.pairs(predictions.split)
    if predictions.object_row is None or predictions.object_points is None:
        raise JladkitError(
            f"The predictions of {predictions.method} hold no landmarks. Predict with a method that "
            "finds some."
        )
    if not len(pairs):
        raise JladkitError(f"{data.path} has no pairs in the {predictions.split} split.")
    found = np.full((len(data.object_category), *predictions.object_points.shape[1:]), np.nan)
    found[predictions.object_row] = predictions.object_points
    size = data.object_size[:, None].astype(float)
    landmarks, keypoints = ((xy + 0.5) / size for xy in (found, data.object_keypoints))
    source, target = data.pair_source[pairs], data.pair_target[pairs]
    both = ~np.isnan(landmarks[source] + landmarks[target]).any(axis=2)  # (P, L)
    without = int((~both.any(axis=1)).sum())
    if without:
        raise JladkitError(
            f"The predictions of {predictions.method} hold no landmark that both objects have for "
            f"{without} of the {len(pairs)} pairs of the {predictions.split} split of {data.path}."
        )

    def carried(start: np.ndarray, end: np.ndarray) -> np.ndarray:
        moved = [
            carry(landmarks[a][seen], landmarks[b][seen], keypoints[a])
            for a, b, seen in zip(start, end, both, strict=True)
        ]
        return np.stack(moved) * size[end] - 0.5

    return replace(
        predictions,
        method=f"{predictions.method}-landmarks",
        config={**predictions.config, "carried by": {"landmarks": True, "smoothing": SMOOTHING}},
        pair_row=pairs,
        pair_points=carried(source, target),
        pair_points_back=carried(target, source),
        pair_log_sigma=None,
        pair_flow=None,
        pair_flow_back=None,
        object_row=None,
        object_points=None,
    )


def carry(source: np.ndarray, target: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (N, 2) moved as the landmarks (L, 2) of source move to those of target; NaN stays NaN."""
    moved, there = np.full_like(points, np.nan), ~np.isnan(points).any(axis=1)
    if not there.any():
        return moved
    if len(source) < 3 or np.linalg.svd(source - source.mean(axis=0))[1][1] < SPREAD:
        moved[there] = points[there] + (target - source).mean(axis=0)
    else:
        spline = RBFInterpolator(source, target, kernel="thin_plate_spline", smoothing=SMOOTHING)
        moved[there] = spline(points[there])
    return moved
