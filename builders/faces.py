"""What the sources of faces share: five points, the published crops of aligned CelebA, reading.

"Left" is what lies left in the picture, as in CelebA's and MTFL's lists: the person's right eye is
left_eye. Aligned pictures have no boxes; an object's box is its whole stored picture.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from jladkit.builders import crops
from jladkit.builders.crops import ENCODINGS, QUALITY, Window
from jladkit.builders.objects import (
    IDENTITY,
    Annotation,
    Found,
    Point,
    Stored,
    decode_or_refuse,
    open_or_refuse,
)
from jladkit.builders.options import PairOptions, option, stacked

CATEGORY = "face"
NAMES = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
ALIGNED = (178, 218)  # width and height of every picture of aligned CelebA

# The parts of an aligned picture that papers train and score on, and the size they bring it to.
# They resize the picture and then cut its middle; here the same part is cut and resized at once,
# which resamples once instead of twice and keeps the centres of pixels where they belong.
CROPS: dict[str, tuple[Window, tuple[int, int]] | None] = {
    "full": None,
    # to 100 x 100, of which the middle 80 x 80: FPE and StrucRep
    "strucrep-80": (Window(17.8, 21.8, 142.4, 174.4), (80, 80)),
    # to 160 x 160, of which the middle 128 x 128: IMM; the same part
    "imm-128": (Window(17.8, 21.8, 142.4, 174.4), (128, 128)),
    # rows 30 to 207, to 100 x 100, of which the middle 70 x 70: DEIL and DVE; keeps the aspect
    "dve-70": (Window(26.7, 56.7, 124.6, 124.6), (70, 70)),
}


@dataclass(frozen=True, kw_only=True)
class FaceOptions(PairOptions):
    """What every source of faces shares."""

    crop: str = "full"
    encoding: str = "jpeg"
    quality: int = QUALITY


class Face(NamedTuple):
    """One picture of a face: its path below the root, ten numbers x1 y1 x2 ... or none, split."""

    image: str
    points: tuple[float, ...]  # 0-based pixels, in the order of NAMES; () where not annotated
    split: int  # 0, 1, 2, or -1 where the build decides


def crop_presets(
    options: type[FaceOptions],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options behind FaceOptions' own fields."""
    return stacked([
        option(options, "--crop", click.Choice(list(CROPS)),
               "Which part of an aligned picture to keep: all of it, or what a paper takes."),
        option(options, "--encoding", click.Choice(list(ENCODINGS)),
               "How cropped pictures are stored; png and raw keep every bit."),
        option(options, "--quality", click.IntRange(1, 100), "Of a stored JPEG."),
    ])  # fmt: skip


def read_face(
    face: Face, *, root: Path, crop: str, encoding: str, quality: int, strict: bool
) -> Found:
    """Read one picture and cut it as the preset says.

    Args:
        face: which.
        root: what its `image` is below.
        crop: a key of CROPS. All but "full" want a picture of 178 x 218 pixels.
        encoding, quality: as in crops.encode; with "full" and "jpeg" the file's bytes stay.
        strict: raise at what is broken.
    """
    found = Found(strict=strict)
    path = root / face.image
    raw = found.read(path, face.image)
    if raw is not None:
        store_face(found, face, path, raw, crop, encoding, quality)
    return found


def store_face(
    found: Found, face: Face, path: Path, raw: bytes, crop: str, encoding: str, quality: int
) -> None:
    """Add the face whose picture's bytes are `raw` to `found`, or count it as left out."""
    opened = open_or_refuse(found, path, raw)
    image = decode_or_refuse(found, opened, 1, raw) if opened is not None else None
    if opened is None or image is None:
        return
    preset = CROPS[crop]
    if preset is not None and image.size != ALIGNED:
        found.refuse("picture is not 178 x 218", path, "Give the aligned pictures, or --crop full")
        return
    window, size = preset or (Window(0, 0, *image.size), image.size)
    picture, to_source = raw, IDENTITY
    if preset is not None:
        cut, to_source = crops.cut(image, window, size)
        picture = crops.encode(cut, encoding, quality)
    elif opened.turned or encoding != "jpeg" or opened.image.mode.startswith("I"):
        picture = crops.encode(image, encoding, quality)
    left, top, width, height = window
    box = np.array([left, top, left + width, top + height]) - 0.5
    annotation = Annotation(face.image, 0, CATEGORY, named(face.points), box, split=face.split)
    found.objects.append(Stored(annotation, box, picture, size, image.size, to_source))


def named(points: Sequence[float]) -> dict[str, Point]:
    """The points by name; {} for a face without."""
    pairs = zip(points[::2], points[1::2], strict=True)
    return {name: Point(x, y, True) for name, (x, y) in zip(NAMES, pairs, strict=False)}
