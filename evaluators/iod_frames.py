"""What IOD regresses in, and what its errors are shares of.

All points come and go in pixels of each object's stored picture.
"""

import numpy as np

from jladkit.errors import JladkitError
from jladkit.evaluators.iod_protocols import NORMALISERS, PAIR_OR_BOX, Frame, pair_of
from jladkit.formats.dataset import Dataset

EYES = "inter-ocular distance"
BOX = NORMALISERS["box-longer-side"]


def origin_and_scale(data: Dataset, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """((N, 1, 2), (N, 1, 1 or 2)): what is taken from xy of each picture, and what divides the
    rest. Boxes that are empty in one direction have the scale 1 there."""
    size = data.object_size.astype(float)
    if frame == "box":
        corner, sides = data.object_box[:, :2], np.diff(data.object_box.reshape(-1, 2, 2), axis=1)
        return corner[:, None], np.where(sides > 0, sides, 1.0)
    if frame == "unit":
        return ((size - 1) / 2)[:, None], (size / 2)[:, None]
    origin = (size - 1) / 2 if frame == "centre" else np.zeros_like(size)
    return origin[:, None], size.max(axis=1)[:, None, None]


def in_frame(data: Dataset, points: np.ndarray, frame: Frame) -> np.ndarray:
    """`points` (N, M, 2) in pixels of each object's picture, in `frame`."""
    origin, scale = origin_and_scale(data, frame)
    return (points - origin) / scale


def to_pixels(data: Dataset, points: np.ndarray, frame: Frame, rows: np.ndarray) -> np.ndarray:
    """The inverse of `in_frame`, for `points` (n, M, 2) of the objects `rows` (n,)."""
    origin, scale = origin_and_scale(data, frame)
    return points * scale[rows] + origin[rows]


def mean_points(
    data: Dataset,
    points: np.ndarray,
    visible: np.ndarray,
    train: np.ndarray,
    scored: np.ndarray,
    frame: Frame,
) -> np.ndarray:
    """Where a category's points are on average, in `frame`: what is known without a look.

    Args:
        data: the data set.
        points: (N, M, 2) xy in pixels of each object's picture.
        visible: (N, M) bool, which of them count.
        train: rows of object/* to average.
        scored: rows of object/* to lay the average into.
        frame: of the average.

    Returns:
        (n, M, 2) xy in pixels of the scored objects' pictures; NaN for a point that no training
        object of the category shows.
    """
    inside = in_frame(data, points, frame)
    means = np.full((len(data.categories), *inside.shape[1:]), np.nan)
    for index in np.unique(data.object_category[train]):
        rows = train[data.object_category[train] == index]
        counts = visible[rows].sum(axis=0)[:, None]
        total = np.where(visible[rows][..., None], inside[rows], 0).sum(axis=0)
        means[index] = np.divide(total, counts, out=np.full(total.shape, np.nan), where=counts > 0)
    return to_pixels(data, means[data.object_category[scored]], frame, scored)


def mean_shape(data: Dataset, train: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """(n, K, 2) where the keypoints of `train` are on average inside their boxes, laid into those
    of `scored`: the floor of IOD. See `mean_points`."""
    return mean_points(data, data.object_keypoints, data.object_visible, train, scored, "box")


def normalisers(data: Dataset, rows: np.ndarray, normaliser: str = PAIR_OR_BOX) -> np.ndarray:
    """(n,) the length that errors of these objects are a share of, in pixels.

    With "iod-pair-or-box" the distance of the category's two eyes where it names such a pair, NaN
    unless both are visible and apart; the longer side of the box where it does not. NaN too where
    another normaliser has no length: a named keypoint is not visible, or an extent is 0.

    Raises:
        JladkitError: a named keypoint is none of a category's.
    """
    pair = pair_of(normaliser)
    if pair is not None:
        return positive(distances(data, rows, named_pair(data, rows, pair)))
    sides = np.diff(data.object_box[rows].reshape(-1, 2, 2), axis=1)[:, 0]
    if normaliser == "image":
        return positive(data.object_size[rows].max(axis=1).astype(float))
    if normaliser in ("keypoint-extent", "sqrt-keypoint-area"):
        sides = extent_sides(data, rows)
    if normaliser == "box-diagonal":
        return positive(np.hypot(*sides.T))
    if normaliser.startswith("sqrt-"):
        return positive(np.sqrt(sides.prod(axis=1)))
    longer = sides.max(axis=1)
    if normaliser != PAIR_OR_BOX:
        return positive(longer)
    eyes = data.category_iod_pair[data.object_category[rows]]
    return positive(np.where((eyes >= 0).all(axis=1), distances(data, rows, eyes), longer))


def positive(lengths: np.ndarray) -> np.ndarray:
    """`lengths` with NaN for those that nothing can be a share of."""
    return np.where(lengths > 0, lengths, np.nan)


def distances(data: Dataset, rows: np.ndarray, pair: np.ndarray) -> np.ndarray:
    """(n,) how far apart two keypoints `pair` (n, 2) of each object are; NaN unless both are
    visible."""
    at = np.arange(len(rows))
    left, right = (data.object_keypoints[rows][at, pair[:, side]] for side in (0, 1))
    both = data.object_visible[rows][at[:, None], pair].all(axis=1)
    return np.where(both, np.hypot(*(left - right).T), np.nan)


def named_pair(data: Dataset, rows: np.ndarray, pair: tuple[str, str]) -> np.ndarray:
    """(n, 2) which keypoints of its category each object's pair is.

    Raises:
        JladkitError: a category lacks one of them.
    """
    places = np.zeros((len(data.categories), 2), dtype=int)
    for code in np.unique(data.object_category[rows]):
        names = list(data.keypoint_names[code])
        missing = [name for name in pair if name not in names]
        if missing:
            raise JladkitError(
                f"The normaliser {','.join(pair)} needs both keypoints in every scored category, "
                f"but {data.categories[code]} of {data.path} has no {' and no '.join(missing)}. "
                f"It has {', '.join(names)}."
            )
        places[code] = [names.index(name) for name in pair]
    return places[data.object_category[rows]]


def extent_sides(data: Dataset, rows: np.ndarray) -> np.ndarray:
    """(n, 2) width and height of the visible keypoints' extent, at least 0."""
    shown = data.object_visible[rows][..., None]
    points = data.object_keypoints[rows]
    low = np.where(shown, points, np.inf).min(axis=1)
    high = np.where(shown, points, -np.inf).max(axis=1)
    return np.maximum(high - low, 0)


def unit_of(data: Dataset, rows: np.ndarray, normaliser: str = PAIR_OR_BOX) -> str:
    """What errors of these objects are a share of, in words."""
    pair = pair_of(normaliser)
    if pair is not None:
        return f"distance of {pair[0]} and {pair[1]}"
    if normaliser != PAIR_OR_BOX:
        return NORMALISERS[normaliser]
    eyed = (data.category_iod_pair[np.unique(data.object_category[rows])] >= 0).all(axis=1)
    if eyed.all():
        return EYES
    return NORMALISERS[PAIR_OR_BOX] if eyed.any() else BOX
