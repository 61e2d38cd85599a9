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

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.pictures import open_encoded
from jladkit.methods import EncodedUnsureMatcher, LandmarkDetector, Matcher, UnsureMatcher
from jladkit.training.loading import as_floats, from_square, squashed, to_square
from jladkit.training.prediction import centres

CELLS = 64  # of the dense field that warps the target's picture
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
    method: Any, source: Image.Image, target: Image.Image, points: Points, category: str
) -> Match:
    """Carry points, and a dense field, from one picture to another.

    Args:
        method: a Matcher (jladkit.methods).
        source, target: RGB.
        points: (N, 2) xy in pixels of the source.
        category: the name of what both show; most methods do not ask.

    Raises:
        UsageError: the method does not match.
    """
    if not isinstance(method, Matcher):
        raise UsageError(f"The method {getattr(method, 'name', method)} does not match pictures.")
    size = method.size
    own = torch.from_numpy(to_square(points[None], sizes([source]), size)).float()
    asked = torch.cat([own, centres(CELLS, size)[None]], dim=1)
    pair = (as_batch([source], size), as_batch([target], size), asked, [category])
    log_sigma: Tensor | None = None
    with torch.inference_mode():
        if isinstance(method, UnsureMatcher):
            moved, log_sigma = method.transfer_with_log_sigma(*pair)
        elif isinstance(method, EncodedUnsureMatcher):
            first, second = (method.encode(images) for images in pair[:2])
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


def detect(method: Any, images: Sequence[Image.Image], category: str) -> Points:
    """(B, K, 2) landmarks, xy in pixels of each picture.

    Raises:
        UsageError: the method finds no landmarks, or not those of this category.
    """
    if not isinstance(method, LandmarkDetector):
        raise UsageError(f"The method {getattr(method, 'name', method)} finds no landmarks.")
    known = getattr(method, "categories", None)
    if known is not None and category not in known:
        raise UsageError(f"--category must be one of {', '.join(known)}, not {category!r}.")
    found: list[Points] = []
    with torch.inference_mode():
        for image in images:
            points = method.detect(as_batch([image], method.size), [category])
            found.append(from_square(points.double().cpu().numpy(), sizes([image]), method.size))
    return np.concatenate(found)


def as_batch(images: Sequence[Image.Image], size: int) -> Tensor:
    """(B, 3, size, size) float RGB in [0, 1]."""
    return as_floats(torch.stack([squashed(image, size) for image in images]))


def sizes(images: Sequence[Image.Image]) -> NDArray[np.int32]:
    """(B, 2) width and height."""
    return np.array([image.size for image in images], dtype=np.int32)
