"""Masks: how one is stored, and how a polygon becomes one.

Some data sets draw an object as a polygon. Its vertices are keypoints of the object, called v000,
v001 ... in their order: not visible, for a vertex means nothing on another object and has no score
of its own, but with a position, so that methods carry them along.
"""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from jladkit.formats.pictures import open_encoded


def encode_mask(mask: np.ndarray) -> bytes:
    """(H, W) bool as a 1-bit PNG, white where it is True."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(mask, dtype=bool)).save(stream, "PNG")
    return stream.getvalue()


def decode_mask(raw: bytes) -> np.ndarray:
    """The inverse of `encode_mask`; Pillow's errors are raised where `raw` is no picture."""
    return np.asarray(open_encoded(raw).convert("1"))


def vertex_names(count: int) -> list[str]:
    """What the vertices of a polygon are called as keypoints."""
    return [f"v{k:03d}" for k in range(count)]


def is_polygon(names: Sequence[str]) -> bool:
    """Whether a category's keypoints are the vertices of its objects' polygons."""
    return len(names) > 0 and list(names) == vertex_names(len(names))


def fill_polygon(xy: np.ndarray, width: int, height: int) -> np.ndarray:
    """The pixels whose centres lie in a polygon, by the even-odd rule.

    A pixel is inside when a ray to its right crosses an odd number of edges. An edge holds its
    upper end and not its lower one, so that polygons which share an edge share no pixel: a centre
    on a left or upper edge is inside, one on a right or lower edge is not. So did
    skimage.draw.polygon until the end of 2020 (its pull request 5029), with which WeakAlign's and
    HPF's scores were made; since then it counts all edges in.

    Args:
        xy: (n, 2) finite vertices in order, the last joined to the first; they may lie beyond the
            picture. Fewer than three cover nothing.
        width, height: of the picture.

    Returns:
        (height, width) bool.
    """
    x, y = np.asarray(xy, dtype=float).reshape(-1, 2).T
    before_x, before_y = np.roll(x, 1), np.roll(y, 1)
    rows = np.arange(height)[:, None]
    spans = ((y <= rows) & (rows < before_y)) | ((before_y <= rows) & (rows < y))
    row, edge = np.nonzero(spans)
    rise = before_y[edge] - y[edge]
    crossing = (before_x[edge] - x[edge]) * (row - y[edge]) / rise + x[edge]
    # A crossing turns every pixel to its left, columns 0 to last - 1, over.
    last = np.clip(np.ceil(crossing), 0, width).astype(int)
    turned = np.zeros((height, width + 1), dtype=int)
    np.add.at(turned, (row, last), 1)
    to_the_right = turned.sum(axis=1, keepdims=True) - turned.cumsum(axis=1)
    return to_the_right[:, :width] % 2 == 1
