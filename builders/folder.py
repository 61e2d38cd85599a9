"""A folder of pictures without annotations, for synthetic pretraining.

ROOT/**/*.jpg, .png ...     a picture's category is the first folder below ROOT, or `image`
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from jladkit.builders.about import About
from jladkit.builders.build import check_start
from jladkit.builders.images import ImageOptions, Picture, build_images, image_options
from jladkit.builders.options import Job, job_options
from jladkit.errors import JladkitError

ABOUT = About(
    title="A folder of pictures",
    url="your own copy",
    licence="as its owner states it",
    citation="as its owner states it",
    layout="""
**/*.jpg, .jpeg, .png, .webp, .bmp, .gif, .tif, .ppm     a folder directly below ROOT is a category
""",
)
ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"}
NO_FOLDER = "image"  # the category of pictures that lie directly below ROOT


@dataclass(frozen=True, kw_only=True)
class Options(ImageOptions):
    """What ImageOptions has, under another name."""

    name: str = "folder"


def build(root: Path, options: Options, job: Job) -> str:
    """Build a dataset.h5 from a folder of pictures; returns the digest of its contents.

    Raises:
        UsageError: `root` is no folder, or the output exists.
        JladkitError: there is no picture in it.
    """
    check_start(root, job)
    pictures = [
        Picture(path.relative_to(root).as_posix(), category_of(path.relative_to(root)))
        for path in root.rglob("*")
        if path.suffix.lower() in ENDINGS and path.is_file() and not path.name.startswith(".")
    ]
    if not pictures:
        raise JladkitError(
            f"There is no picture in {root} or below: expected files that end in "
            f"{', '.join(sorted(ENDINGS))}."
        )
    return build_images("folder", root, pictures, options, job, about=ABOUT)


def category_of(path: Path) -> str:
    """The first folder of a picture's path below the root."""
    return path.parts[0] if len(path.parts) > 1 else NO_FOLDER


@click.command("folder", short_help="Any folder of pictures, without annotations.")
@job_options("folder")
@image_options(Options)
def command(root: Path, job: Job, **values: Any) -> None:
    """Build from any folder of pictures, for synthetic pretraining.

    ROOT is searched with all its folders; those directly below it are categories.

    \b
    jladkit build-dataset folder photographs --out photographs.h5
    """
    build(root, Options(**values), job)
