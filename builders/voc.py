"""PASCAL VOC's pictures without their annotations, for synthetic pretraining.

    ROOT/JPEGImages/*.jpg
    ROOT/ImageSets/Segmentation/{train,val}.txt      2012: 1,464 and 1,449; or Main

ROOT is VOC2012 (or another year), VOCdevkit, or the folder that holds it. The joint method's paper
warps the pictures of 2012's segmentation sets. VOC's own train and val are train and val here.

PF-PASCAL and PASCAL3D+ are made of these pictures, so some of what a method is pretrained on may
be what it is tested on; --without leaves them out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import click
import numpy as np

from jladkit.builders.about import About
from jladkit.builders.build import check_start
from jladkit.builders.images import ImageOptions, Picture, build_images, image_options
from jladkit.builders.objects import Found, InputFile
from jladkit.builders.official import checked_name, input_file
from jladkit.builders.options import Job, job_options, option
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset, open_dataset

ABOUT = About(
    title="PASCAL VOC",
    url="http://host.robots.ox.ac.uk/pascal/VOC/",
    licence="not stated; the pictures are from Flickr, under its terms of use",
    citation="M. Everingham, L. Van Gool, C. K. I. Williams, J. Winn, A. Zisserman: The PASCAL "
    "Visual Object Classes (VOC) Challenge. IJCV 2010.",
    layout="""
JPEGImages/*.jpg                          the pictures
ImageSets/Segmentation/{train,val}.txt    or ImageSets/Main/{train,val}.txt
""",
    creator="M. Everingham, L. Van Gool, C. K. I. Williams, J. Winn, A. Zisserman",
    published="2010",
)
SETS = {"segmentation": "Segmentation", "main": "Main", "all": None}
PICTURES = "JPEGImages"
SEEN = "picture of the val or test split of --without"


@dataclass(frozen=True, kw_only=True)
class Options(ImageOptions):
    """Which of VOC's image sets."""

    name: str = "voc"
    set: str = "segmentation"


def build(root: Path, options: Options, job: Job, without: Sequence[Path] = ()) -> str:
    """Build a dataset.h5 from VOC's pictures; returns the digest of its contents.

    Args:
        root: VOC2012, VOCdevkit, or the folder that holds it.
        options: enter the recipe.
        job: output, workers, strictness.
        without: dataset.h5 files; pictures called like one of their val or test splits stay out.

    Raises:
        UsageError: `root` is no folder, or the output exists.
        JladkitError: it has another layout, or pictures are missing.
    """
    check_start(root, job)
    root = find_root(root)
    found = Found(strict=job.strict)
    others = [open_dataset(path) for path in without]
    seen = {stem for data in others for stem in held_out(data)}
    found.files += [InputFile(f"{data.name} (--without)", data.digest, "", 0, 0) for data in others]
    pictures = []
    for picture in listed(root, options.set, found):
        if PurePosixPath(picture.image).stem in seen:
            found.skip(SEEN, root / picture.image)
        else:
            pictures.append(picture)
    notes = {"without": [data.name for data in others]}
    return build_images("voc", root, pictures, options, job, about=ABOUT, lists=found, notes=notes)


def find_root(root: Path) -> Path:
    """The folder that holds JPEGImages.

    Raises:
        UsageError: several years are there.
        JladkitError: none is.
    """
    if (root / PICTURES).is_dir():
        return root
    years = sorted(path.parent for below in ("VOC20*", "VOCdevkit/VOC20*")
                   for path in root.glob(f"{below}/{PICTURES}"))  # fmt: skip
    if len(years) > 1:
        raise UsageError(f"{root} holds {', '.join(y.name for y in years)}; give one of them.")
    if not years:
        raise JladkitError(
            f"{root} is not in PASCAL VOC's layout: expected JPEGImages/*.jpg and ImageSets/ below "
            f"it. Give the folder VOC2012. It is to be had from {ABOUT.url}."
        )
    return years[0]


def listed(root: Path, name: str, found: Found) -> list[Picture]:
    """The pictures of an image set, each with its official split; or all there are.

    Raises:
        JladkitError: a list is missing or no text, or (under --strict) a line is broken.
    """
    folder = SETS[name]
    if folder is None:
        return [
            Picture(f"{PICTURES}/{path.name}", "image") for path in (root / PICTURES).glob("*.jpg")
        ]
    pictures = []
    for split, part in enumerate(("train", "val")):
        below = f"ImageSets/{folder}/{part}.txt"
        raw = input_file(root / below, below, found)
        try:
            lines = raw.decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise JladkitError(f"{root / below} is no text ({error}). Unpack it again.") from error
        for number, line in enumerate(map(str.strip, lines), start=1):
            if not line:
                continue
            try:
                stem = checked_name(line)
            except ValueError as error:
                found.refuse("line broken", root / below, f"Line {number}: {error}")
                continue
            pictures.append(Picture(f"{PICTURES}/{stem}.jpg", "image", split))
    return pictures


def held_out(data: Dataset) -> set[str]:
    """The names, without ending, of the pictures of a data set's val and test splits."""
    names = data.object_source_image[np.asarray(data.object_split) > 0]
    return {PurePosixPath(str(name)).stem for name in names}


@click.command("voc", short_help="PASCAL VOC's pictures, without annotations.")
@job_options("voc")
@option(Options, "--set", click.Choice(list(SETS)),
        "Which pictures: those of the segmentation sets, of the main sets, or every one (then "
        "--split divides them).")  # fmt: skip
@click.option("--without", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
              help="Leave out the pictures that a dataset.h5, such as PF-PASCAL's, has in val or "
              "test; repeat for more.")  # fmt: skip
@image_options(Options)
def command(root: Path, job: Job, without: tuple[Path, ...], **values: Any) -> None:
    """Build from PASCAL VOC's pictures, for synthetic pretraining.

    ROOT is VOC2012, VOCdevkit, or the folder that holds it.

    \b
    jladkit build-dataset voc VOCdevkit/VOC2012 --out voc.h5 --without pf_pascal.h5
    """
    build(root, Options(**values), job, without)
