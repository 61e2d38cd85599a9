"""A method on somebody's own photographs, without a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from jladkit.errors import JladkitError, UsageError, did_you_mean
from jladkit.formats.pictures import open_encoded
from jladkit.methods import EncodedUnsureMatcher, LandmarkDetector, Matcher, UnsureMatcher
from jladkit.model.correlation import local_similarity, window_inside
from jladkit.model.joint import JointNet
from jladkit.training.loading import as_floats, from_square, squashed, to_square
from jladkit.training.prediction import centres

CELLS = 64  # of the dense field that warps the target's picture
CPU = torch.device("cpu")
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Match:
    """What a method says of two pictures.

    Attributes:
        points: (N, 2) xy in pixels of the source.
        moved: (N, 2) where they lie in the target, in its pixels.
        log_sigma: (N,) how unsure it is of each; None of a method that does not say.
        field: (CELLS, CELLS, 2) xy in pixels of the target for cells over the source.
        field_log_sigma: (CELLS, CELLS), or None.
    """

    points: Points
    moved: Points
    log_sigma: Points | None
    field: Points
    field_log_sigma: Points | None


@dataclass(frozen=True)
class Similarity:
    """What the self-similarity of a picture is at M of its points.

    Attributes:
        maps: (M, 2r+1, 2r+1) each window divided by its norm, (3) of a picture with itself; row
            first; NaN off the map of features.
        boxes: (M, 4) x1, y1, x2, y2 of the windows' edges in pixels of the picture.
    """

    maps: Points
    boxes: Points


def open_picture(path: Path) -> Image.Image:
    """A photograph as RGB, turned as its camera says.

    Raises:
        JladkitError: there is none, or it is no picture.
    """
    try:
        with path.open("rb") as file, open_encoded(file) as image:
            upright: Image.Image = ImageOps.exif_transpose(image)
            return upright.convert("RGB")
    except FileNotFoundError as error:
        raise JladkitError(f"There is no file {path}.") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise JladkitError(
            f"{path} must be a picture, and cannot be read as one: {error}"
        ) from error


def match(
    method: Any,
    source: Image.Image,
    target: Image.Image,
    points: Points,
    category: str,
    device: torch.device = CPU,
) -> Match:
    """Carry points, and a dense field, from one picture to another.

    Args:
        method: a Matcher (jladkit.methods).
        source, target: RGB.
        points: (N, 2) xy in pixels of the source.
        category: the name of what both show; most methods do not ask.
        device: where the method is.

    Raises:
        UsageError: the method does not match.
    """
    if not isinstance(method, Matcher):
        raise UsageError(f"The method {getattr(method, 'name', method)} does not match pictures.")
    size = method.size
    own = torch.from_numpy(to_square(points[None], sizes([source]), size)).float()
    asked = torch.cat([own, centres(CELLS, size)[None]], dim=1).to(device)
    pair = as_batch(source, size, device), as_batch(target, size, device), asked, [category]
    log_sigma: Tensor | None = None
    with torch.inference_mode():
        if isinstance(method, UnsureMatcher):
            moved, log_sigma = method.transfer_with_log_sigma(*pair)
        elif isinstance(method, EncodedUnsureMatcher):
            first, second = method.encode(pair[0]), method.encode(pair[1])
            moved, log_sigma = method.transfer_encoded_with_log_sigma(
                first, second, asked, [category]
            )
        else:
            moved = method.transfer(*pair)
    ends = from_square(moved.double().cpu().numpy(), sizes([target]), size)[0]
    unsure = None if log_sigma is None else log_sigma[0].double().cpu().numpy()
    n = len(points)
    return Match(
        points=points,
        moved=ends[:n],
        log_sigma=None if unsure is None else unsure[:n],
        field=ends[n:].reshape(CELLS, CELLS, 2),
        field_log_sigma=None if unsure is None else unsure[n:].reshape(CELLS, CELLS),
    )


def detect(
    method: Any, images: Sequence[Image.Image], category: str, device: torch.device = CPU
) -> Points:
    """(B, K, 2) landmarks, xy in pixels of each picture.

    Raises:
        UsageError: the method finds no landmarks, or not those of this category.
    """
    if not isinstance(method, LandmarkDetector):
        raise UsageError(f"The method {getattr(method, 'name', method)} finds no landmarks.")
    known = getattr(method, "categories", None)
    if known is not None and not category and len(known) == 1:
        category = known[0]
    if known is not None and category not in known:
        raise UsageError(
            f"--category must be one of {', '.join(known)}, not {category!r}."
            f"{did_you_mean(category, known)}"
        )
    found: list[Points] = []
    with torch.inference_mode():
        for image in images:
            points = method.detect(as_batch(image, method.size, device), [category])
            found.append(from_square(points.double().cpu().numpy(), sizes([image]), method.size))
    return np.concatenate(found)


def self_similarity(
    method: Any, image: Image.Image, points: Points, device: torch.device = CPU
) -> Similarity:
    """The self-similarity maps of the cells that points (M, 2) of a picture lie in.

    Raises:
        UsageError: the method has none.
    """
    net = getattr(method, "net", None)
    if not isinstance(net, JointNet):
        raise UsageError(
            f"The method {getattr(method, 'name', method)} has no self-similarity. Give the "
            "--checkpoint of a joint training."
        )
    size, radius = method.size, net.config.radius
    with torch.inference_mode():
        features = net.features(as_batch(image, size, device))
        volume = local_similarity(features, features, radius)[0]
        cells = volume.shape[-1]
        inside = window_inside(cells, cells, radius, device)
        volume = volume.float().masked_fill(~inside, float("nan")).cpu().numpy()
    square = to_square(points[None], sizes([image]), size)[0]
    at = np.clip(np.floor((square + 0.5) * cells / size), 0, cells - 1).astype(int)
    side = 2 * radius + 1
    maps = np.stack([volume[:, y, x].reshape(side, side) for x, y in at])
    # The window's edges, in cells from the picture's corner, then in its pixels.
    edges = np.concatenate([at - radius, at + radius + 1], axis=1)
    return Similarity(maps, edges / cells * np.tile(image.size, 2) - 0.5)


def as_batch(image: Image.Image, size: int, device: torch.device) -> Tensor:
    """(1, 3, size, size) float RGB in [0, 1]."""
    return as_floats(squashed(image, size)[None].to(device))


def sizes(images: Sequence[Image.Image]) -> NDArray[np.int32]:
    """(B, 2) width and height."""
    return np.array([image.size for image in images], dtype=np.int32)
