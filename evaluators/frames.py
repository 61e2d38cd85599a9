"""What a PCK protocol measures in, and by: pictures' frames, and the lengths alpha is a share of.

Only differences of points are ever taken, so where a frame's origin lies does not matter, with
one exception that says so.
"""

import numpy as np

from jladkit.errors import JladkitError
from jladkit.evaluators.pck_protocols import PckProtocol
from jladkit.formats.dataset import Dataset

PAD = -1.0  # what willow-padded-bug fills keypoints up with
BASE = 1.0  # the first pixel of the files that it reads


def rounded(points: np.ndarray, protocol: PckProtocol) -> np.ndarray:
    """True keypoints (..., 2) as the protocol reads them."""
    if protocol.rounding == "none":
        return points
    return np.round(points) if protocol.rounding == "round" else np.floor(points)


def landing(source: np.ndarray, target: np.ndarray, protocol: PckProtocol) -> np.ndarray:
    """The objects (P,) in whose pictures keypoints are compared."""
    return target if protocol.direction == "source->target" else source


def scale(
    data: Dataset, objects: np.ndarray, landed: np.ndarray, protocol: PckProtocol
) -> np.ndarray:
    """(P, 2) how many pixels of the protocol's frame a pixel of each object's picture is, along
    its rows and along its columns.

    In the frame "longer-side" the pixels of the pictures of `landed` (P,) are taken as they are:
    distances and extents would be scaled alike, and a distance that is alpha times the extent must
    not become more or less than that by rounding.
    """
    size = data.object_size[objects].astype(float)
    if protocol.frame == "square":
        return float(protocol.side or 0) / size
    if protocol.frame == "longer-side":
        factor = data.object_size[landed].max(axis=1) / size.max(axis=1)
        return np.repeat(factor[:, None], 2, axis=1)
    if protocol.frame == "original":
        return np.linalg.norm(data.object_to_source[objects][:, :, :2], axis=1)
    return np.ones_like(size)


def in_frame(
    data: Dataset,
    objects: np.ndarray,
    landed: np.ndarray,
    points: np.ndarray,
    protocol: PckProtocol,
) -> np.ndarray:
    """`points` (P, K, 2) of the stored pictures of `objects` (P,), in the frame but for its
    origin; `landed` as `scale` has it."""
    if protocol.frame == "stored":
        return points
    if protocol.frame == "original":
        return points @ data.object_to_source[objects][:, :, :2].swapaxes(1, 2)
    return points * scale(data, objects, landed, protocol)[:, None, :]


def extents(
    data: Dataset,
    source: np.ndarray,
    target: np.ndarray,
    visible: np.ndarray,
    protocol: PckProtocol,
) -> np.ndarray:
    """(P,) the length alpha is a share of.

    Args:
        source, target: (P,) rows of object/*.
        visible: (P, K) bool, the keypoints that count.

    Raises:
        JladkitError: an object's box has no size.
    """
    what, landed = protocol.extent, landing(source, target, protocol)
    if what == "side" and protocol.frame == "square":
        return np.full(len(target), float(protocol.side or 0))
    if what == "side":
        return data.object_size[landed].max(axis=1).astype(float)
    objects = source if "source" in what else target
    factor = scale(data, objects, landed, protocol)
    if what.endswith("-box"):
        sides = box_extents(data, objects, factor, protocol)
        scored = np.nonzero(visible.any(axis=1))[0]
        return np.full(len(sides), sides[scored[-1]]) if what == "last-source-box" else sides
    if what.endswith("-picture"):
        if protocol.frame == "original":
            return data.object_source_size[objects].max(axis=1).astype(float)
        return (data.object_size[objects] * factor).max(axis=1)
    points = rounded(data.object_keypoints[objects], protocol)
    if what == "target-keypoints-padded":
        # The one place where the origin counts: coordinates from 1, as the files have them.
        points = in_frame(data, objects, landed, points + BASE, protocol)
        padded = np.full((len(points), 1, 2), PAD)
        visible = np.hstack([visible, visible.any(axis=1, keepdims=True)])
        return keypoint_extents(np.concatenate([points, padded], axis=1), visible)
    return keypoint_extents(in_frame(data, objects, landed, points, protocol), visible)


def box_extents(
    data: Dataset, objects: np.ndarray, factor: np.ndarray, protocol: PckProtocol
) -> np.ndarray:
    """(P,) the longer side of each object's box, `factor` (P, 2) being its `scale`; raises
    JladkitError for a box without a size."""
    box = data.object_box[objects]
    sides = ((box[:, 2:] - box[:, :2]) * factor).max(axis=1)
    if not (sides > 0).all():
        row = int(objects[~(sides > 0)][0])
        raise JladkitError(
            f"{data.path}: the box of object {row} has no size, and {protocol.name} measures by it."
        )
    return sides


def keypoint_extents(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """(P,) the longer side of the extent of each pair's visible `points` (P, K, 2); 0 for one
    keypoint, and for none."""
    shown = visible[..., None]
    low = np.min(points, axis=1, initial=np.inf, where=shown)
    high = np.max(points, axis=1, initial=-np.inf, where=shown)
    return np.maximum((high - low).max(axis=1), 0.0)
