"""MAFL: the 20,000 pictures of CelebA that landmarks are scored on.

    ROOT as for `celeba`, with list_landmarks_align_celeba.txt and MAFL/{training,testing}.txt

The last tenth of the training list is val, as in IMM, whose regression is fitted on the 17,100
before it and scored on the 1,000 of the testing list.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from jladkit.builders import celeba
from jladkit.builders.build import build_crops, check_start
from jladkit.builders.faces import (
    CATEGORY,
    NAMES,
    Face,
    FaceOptions,
    crop_presets,
    read_face,
)
from jladkit.builders.objects import Found
from jladkit.builders.options import Job, job_options, pair_options

ABOUT = celeba.ABOUT
OFFICIAL = "MAFL's testing list is test, the last tenth of its training list val."


@dataclass(frozen=True, kw_only=True)
class Options(FaceOptions):
    """What to keep of each picture, and how to pair."""

    name: str = "mafl"
    split_by: str = "official"


def build(root: Path, options: Options, job: Job) -> str:
    """Build a dataset.h5 from MAFL; returns the digest of its contents.

    Args:
        root: the folder of CelebA, with MAFL's lists.
        options: enter the recipe.
        job: output, workers, strictness.

    Raises:
        UsageError: `root` is no folder, or the output exists.
        JladkitError: it has another layout, a list is broken, or pictures are missing.
    """
    check_start(root, job)
    lists, notes = Found(strict=job.strict), {}
    faces = mafl_faces(root, ("training", "testing"), lists, notes)
    read = partial(read_face, root=root, crop=options.crop, encoding=options.encoding,
                   quality=options.quality, strict=job.strict)  # fmt: skip
    return build_crops("mafl", faces, read, lambda _: None, options, job, about=ABOUT,
                       names={CATEGORY: NAMES}, lists=lists, notes=celeba.tell(notes))  # fmt: skip


def mafl_faces(
    root: Path, parts: tuple[str, ...], lists: Found, notes: dict[str, str]
) -> list[Face]:
    """The faces of MAFL's lists that are there and have landmarks, with their official splits.

    Args:
        root: the folder of CelebA.
        parts: "training", "testing" or both.
        lists: takes the lists as inputs, and what is missing or left out.
        notes: takes what differs from the official lists.
    """
    folder = celeba.find(root, celeba.PICTURES).relative_to(root).as_posix()
    faces = []
    for part in parts:
        names = celeba.mafl_names(root, part, lists, notes)
        training = len(names) - round(0.1 * len(names)) if part == "training" else 0
        for number, name in enumerate(names):
            split = 2 if part == "testing" else int(number >= training)
            faces.append(Face(f"{folder}/{name}", (), split))
    return celeba.with_points(root, celeba.present(root, faces, lists), lists, notes, wanted=True)


@click.command("mafl", short_help="MAFL: CelebA's faces that landmarks are scored on.")
@job_options("mafl")
@crop_presets(Options)
@pair_options(Options, official=OFFICIAL)
def command(root: Path, job: Job, **values: Any) -> None:
    """Build from MAFL, whose pictures and points are CelebA's.

    ROOT holds img_align_celeba, list_landmarks_align_celeba.txt and MAFL/{training,testing}.txt.
    Pairs are drawn at random within each split.

    \b
    jladkit build-dataset mafl CelebA --out mafl.h5 --crop imm-128
    """
    build(root, Options(**values), job)
