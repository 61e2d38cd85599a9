"""Which two objects may be paired: enough keypoints in common, and poses that agree.

Every function works on one category and in blocks of rows, so memory stays small.
"""

from collections.abc import Callable

import numpy as np

BLOCK = 64
MOST_OBJECTS = 5000  # of a category that are searched for pairs; of more, a seeded draw

Agreement = Callable[[slice], np.ndarray]  # rows of a block -> (block, n) bool


def viewpoints_agree(viewpoint: np.ndarray, azimuth: float, elevation: float) -> Agreement:
    """Agreement of azimuth (which wraps around at 360) and elevation, each within its tolerance.

    Args:
        viewpoint: (n, 4) azimuth, elevation, theta, distance; NaN agrees with nothing.
        azimuth, elevation: tolerances in degrees; a difference equal to one agrees.
    """

    def agree(block: slice) -> np.ndarray:
        turn = np.abs(viewpoint[block, None, 0] - viewpoint[None, :, 0]) % 360
        tilt = np.abs(viewpoint[block, None, 1] - viewpoint[None, :, 1])
        return (np.minimum(turn, 360 - turn) <= azimuth) & (tilt <= elevation)

    return agree


def poses_agree(
    keypoints: np.ndarray, visible: np.ndarray, box: np.ndarray, tolerance: float
) -> Agreement:
    """Agreement of pose: every keypoint visible in both lies at about the same place in the box.

    Keypoints are measured in their own box, 0 to 1 across and 0 to 1 down; the farthest of the
    common ones decides, not their mean, so that one leg in the air is enough to differ.

    Args:
        keypoints: (n, K, 2) xy, any frame shared with `box`.
        visible: (n, K) bool.
        box: (n, 4) x1 y1 x2 y2.
        tolerance: as a share of the box's sides; a distance equal to it agrees.
    """
    inside = (keypoints - box[:, None, :2]) / (box[:, None, 2:] - box[:, None, :2])
    inside = np.where(visible[..., None], inside, 0.0)

    def agree(block: slice) -> np.ndarray:
        apart = np.zeros((len(inside[block]), len(inside)))
        for k in range(inside.shape[1]):
            squared = ((inside[block, None, k] - inside[None, :, k]) ** 2).sum(axis=-1)
            both = visible[block, None, k] & visible[None, :, k]
            np.maximum(apart, np.where(both, squared, 0.0), out=apart)
        return apart <= tolerance**2

    return agree


def candidate_pairs(
    images: np.ndarray, visible: np.ndarray, min_common: int, agree: Agreement | None = None
) -> np.ndarray:
    """Every unordered pair of a category's objects that may be used.

    Args:
        images: (n,) number of the source picture; two objects of one picture are no pair.
        visible: (n, K) bool.
        min_common: fewest keypoints visible in both.
        agree: further condition, or none.

    Returns:
        (M, 2) int, first < second, in order.
    """
    n = len(images)
    shown = visible.astype(np.float32)
    order = np.arange(n)
    found = [np.zeros((0, 2), dtype=np.int64)]
    for start in range(0, n, BLOCK):
        block = slice(start, min(start + BLOCK, n))
        good = (shown[block] @ shown.T >= min_common) & (images[block, None] != images[None])
        good &= order[block, None] < order[None]
        if agree is not None:
            good &= agree(block)
        found.append(np.argwhere(good) + np.array([start, 0]))
    return np.concatenate(found)


def common_keypoints(visible: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(P,) how many keypoints are visible in both objects of each pair; `visible` is (N, K)."""
    return (visible[source] & visible[target]).sum(axis=1)
