"""What predictions say of the keypoints that a PCK protocol carries over, pair by pair."""

import numpy as np

from jladkit.errors import JladkitError
from jladkit.evaluators.items import rows_in_order
from jladkit.evaluators.pck_protocols import PckProtocol
from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import Predictions


def pairs_and_points(
    data: Dataset, predictions: Predictions, protocol: PckProtocol
) -> tuple[np.ndarray, np.ndarray]:
    """The split's rows of pair/* (P,) in file order, and where the keypoints that the protocol
    carries over were predicted (P, K, 2).

    Raises:
        JladkitError: the predictions hold no pairs, or not exactly those of the split, or were
            not carried in the protocol's direction.
    """
    if predictions.pair_row is None or predictions.pair_points is None:
        raise JladkitError(
            f"The predictions of {predictions.method} hold no transferred keypoints, so they have "
            "no PCK. Predict with a method that matches pairs."
        )
    rows, order = rows_in_order(data, predictions)
    points = predictions.pair_points
    for given in (points, predictions.pair_points_back):
        if given is not None and given.shape[1:] != data.object_keypoints.shape[1:]:
            raise JladkitError(
                f"The predictions of {predictions.method} have {given.shape[1]} keypoints a pair, "
                f"but {data.path} has {data.object_keypoints.shape[1]}."
            )
    if protocol.direction == "target->source":
        return rows, points_back(data, predictions, rows, order, protocol)
    return rows, points[order].astype(float)


def points_back(
    data: Dataset,
    predictions: Predictions,
    rows: np.ndarray,
    order: np.ndarray,
    protocol: PckProtocol,
) -> np.ndarray:
    """(P, K, 2) the targets' keypoints carried to the sources: what the predictions say of that,
    or, where the split has every pair both ways, what they say of the pairs the other way.

    Raises:
        JladkitError: neither is there.
    """
    if predictions.pair_points_back is not None:
        return predictions.pair_points_back[order].astype(float)
    number = len(data.object_category)
    source, target = data.pair_source[rows].astype(np.int64), data.pair_target[rows]
    there, back = source * number + target, target.astype(np.int64) * number + source
    _, first, places = np.unique(there, return_index=True, return_inverse=True)
    other = np.full(len(first), -1)
    _, a, b = np.intersect1d(there[first], back[first], return_indices=True)
    other[b] = first[a]
    if (other < 0).any() or predictions.pair_points is None:
        raise JladkitError(
            f"{protocol.name} carries the targets' keypoints to the sources, which the predictions "
            f"of {predictions.method} do not hold, and {data.path} has not every pair of the "
            f"{predictions.split} split both ways. `jladkit predict` stores both directions."
        )
    return predictions.pair_points[order][other[places]].astype(float)


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
