"""Pictures without annotations, to warp for synthetic pretraining: objects without keypoints or pairs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from jladkit.builders.about import About
from jladkit.builders.build import check_missing, gather, read_all, write
from jladkit.builders.crops import ENCODINGS, QUALITY
from jladkit.builders.objects import Annotation, CropStyle, Found, store_crops
from jladkit.builders.options import Job, check_split, option, stacked
from jladkit.builders.splits import random_images

EVERYTHING = np.array([-0.5, -0.5, 1e6, 1e6])  # a box that is clipped to whatever picture


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """How pictures are stored and split; they enter the recipe."""

    name: str
    seed: int = 0
    size: int = 512  # room for warps: networks look at 256 px or less of it
    encoding: str = "jpeg"
    quality: int = QUALITY
    min_side: float = 64.0
    split: tuple[int, int, int] = (90, 10, 0)

    def __post_init__(self) -> None:
        check_split(self.split)

    @property
    def style(self) -> CropStyle:
        """The whole picture in its own shape."""
        return CropStyle(
            margin=0.0, size=self.size, shape="aspect", padding="edge", min_side=self.min_side,
            encoding=self.encoding, quality=self.quality,
        )  # fmt: skip


class Picture(NamedTuple):
    """A picture below the root: its path with /, its category, its split or -1 to draw one."""

    image: str
    category: str
    split: int = -1


def build_images(
    builder: str,
    root: Path,
    pictures: Sequence[Picture],
    options: ImageOptions,
    job: Job,
    *,
    about: About,
    lists: Found | None = None,
    notes: Mapping[str, Any] | None = None,
) -> str:
    """Build a dataset.h5 of whole pictures; returns the digest of its contents.

    Args:
        builder: the source's name.
        root: what the pictures' paths are below.
        pictures: which.
        options: enter the recipe whole.
        job: output, workers, strictness.
        about: the source's facts.
        lists: what was read and left out before the pictures.
        notes: further facts for the `source` attribute.

    Raises:
        JladkitError: pictures are missing and that was not allowed, or none is left.
    """
    lists = lists or Found()
    check_missing(lists.missing, about, job)
    read = partial(read_picture, root=root, style=options.style, strict=job.strict)
    with read_all(sorted(pictures), read, options, about, job) as found:
        found.rest.add(lists)
        arrays, lying = gather(found, None)
        arrays |= without_pairs(arrays, options)
        return write(builder, arrays, lying, found, options, job, about, notes)


def read_picture(picture: Picture, *, root: Path, style: CropStyle, strict: bool) -> Found:
    """Read one picture, shrunk if it is larger than wanted, else as it is."""
    found = Found(strict=strict)
    whole = Annotation(picture.image, 0, picture.category, {}, EVERYTHING, split=picture.split)
    store_crops(found, root / picture.image, [whole], style, None)
    return found


def without_pairs(arrays: Mapping[str, np.ndarray], options: ImageOptions) -> dict[str, np.ndarray]:
    """object/split, drawn where the source gives none, and pair/* fields of no pairs."""
    image = np.unique(arrays["object/source_image"].astype(str), return_inverse=True)[1]
    told = arrays["object/split"]
    fixed = dict(zip(image[told >= 0].tolist(), told[told >= 0].tolist(), strict=True))
    rng = np.random.default_rng(options.seed)
    nothing = np.zeros(0, dtype=int)
    fields = ("source", "target", "category", "split", "common")
    return {
        "object/split": random_images(image, options.split, rng, fixed),
        **{f"pair/{field}": nothing for field in fields},
    }


def image_options(
    options: type[ImageOptions],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options behind ImageOptions' fields (but name and seed)."""
    return stacked([
        option(options, "--size", click.IntRange(16, 4096),
               "Longest side of a stored picture; larger ones are shrunk, none is enlarged."),
        option(options, "--encoding", click.Choice(list(ENCODINGS)),
               "How pictures that are shrunk are stored; with png and raw, all of them."),
        option(options, "--quality", click.IntRange(1, 100), "Of a stored JPEG."),
        option(options, "--min-side", click.FloatRange(min=0),
               "Leave out pictures whose longer side is below this many pixels."),
        option(options, "--split", click.IntRange(0, 10**9),
               "Shares of the pictures: train, val, test.", nargs=3),
    ])  # fmt: skip
