"""JLAD: the paper's data set, of PASCAL3D+'s twelve categories and MAFL's faces, in one file.

    PASCAL3D   as for `pascal3d`
    CELEBA     as for `mafl`

Objects come in pairs whose viewpoints agree, about 1,000 a category, faces in random ones. MAFL's
test pictures stay out. Train, val and test are 70/20/10 of the pairs. The paper splits the pairs
(--split-by pair), which puts one picture on both sides; by default no picture is in two splits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from jladkit.builders import celeba, mafl, pascal3d
from jladkit.builders.about import About
from jladkit.builders.build import build_crops, check_start
from jladkit.builders.faces import CATEGORY, CROPS, NAMES, Face, read_face
from jladkit.builders.objects import Found
from jladkit.builders.options import Job, crop_options, job_options, option, pair_options
from jladkit.builders.pairs import Poses

ABOUT = About(
    title="JLAD (PASCAL3D+ and MAFL)",
    url=f"{pascal3d.ABOUT.url} and {celeba.ABOUT.url}",
    licence=f"PASCAL3D+: {pascal3d.ABOUT.licence}. CelebA: {celeba.ABOUT.licence}",
    citation="S. Jeon, D. Min, S. Kim, K. Sohn: Joint Learning of Semantic Alignment and Object "
    f"Landmark Detection. ICCV 2019. {pascal3d.ABOUT.citation} {celeba.ABOUT.citation}",
    layout=f"""
PASCAL3D:
{pascal3d.ABOUT.layout.strip()}
CELEBA:
{celeba.ABOUT.layout.strip()}
""",
    creator="S. Jeon, D. Min, S. Kim, K. Sohn",
    published="2019",
)
Unit = str | Face  # a record of PASCAL3D+, or a face


@dataclass(frozen=True, kw_only=True)
class Options(pascal3d.Options):
    """What `pascal3d` takes, and the crop of faces."""

    name: str = "jlad"
    face_crop: str = "full"


def build(pascal: Path, faces: Path, options: Options, job: Job) -> str:
    """Build a dataset.h5 from PASCAL3D+ and MAFL; returns the digest of its contents.

    Args:
        pascal: PASCAL3D+'s folder, or the folder that holds it.
        faces: CelebA's folder, with MAFL's lists.
        options: what to keep and how to pair; they enter the recipe.
        job: output, workers, strictness.

    Raises:
        UsageError: one of the roots is no folder, a category is not there, or the output exists.
        JladkitError: a root has another layout, files are missing, or nothing is left.
    """
    check_start(pascal, job)
    check_start(faces, job)
    if not (pascal / "Annotations").is_dir() and (pascal / pascal3d.RELEASE).is_dir():
        pascal = pascal / pascal3d.RELEASE
    lists, notes, units = Found(strict=job.strict), {}, []
    wanted = [name for name in options.category if name != CATEGORY]
    if wanted or not options.category:
        units += pascal3d.list_records(pascal, tuple(wanted), options.part)
    if not options.category or CATEGORY in options.category:
        units += [face._replace(split=-1)
                  for face in mafl.mafl_faces(faces, ("training",), lists, notes)]  # fmt: skip
    read = partial(read_unit, pascal=pascal, faces=faces, options=options, strict=job.strict)
    return build_crops("jlad", units, read, partial(agreement, options), options, job, about=ABOUT,
                       names={CATEGORY: NAMES}, lists=lists, notes=celeba.tell(notes))  # fmt: skip


def read_unit(unit: Unit, *, pascal: Path, faces: Path, options: Options, strict: bool) -> Found:
    """Read one record of PASCAL3D+, or one face."""
    if isinstance(unit, str):
        return pascal3d.read_record(unit, root=pascal, options=options, strict=strict)
    return read_face(unit, root=faces, crop=options.face_crop, encoding=options.encoding,
                     quality=options.quality, strict=strict)  # fmt: skip


def agreement(options: Options, fields: Mapping[str, np.ndarray]) -> Poses | None:
    """The condition on a category's viewpoints; None for faces, which have none."""
    if np.isnan(fields["object/viewpoint"]).all():
        return None
    return pascal3d.agreement(options, fields)


@click.command("jlad", short_help="The paper's data set: PASCAL3D+ and MAFL in one file.")
@job_options("jlad", ("pascal", "celeba_root"))
@crop_options(Options)
@pair_options(Options)
@option(Options, "--face-crop", click.Choice(list(CROPS)),
        "Which part of an aligned face to keep: all of it, or what a paper takes.")  # fmt: skip
@pascal3d.record_options
def command(pascal: Path, celeba_root: Path, job: Job, **values: Any) -> None:
    """Build the paper's data set from PASCAL3D+ and MAFL.

    PASCAL is the unpacked PASCAL3D+_release1.1, CELEBA_ROOT the folder with img_align_celeba,
    list_landmarks_align_celeba.txt and MAFL/{training,testing}.txt.

    \b
    jladkit build-dataset jlad PASCAL3D+_release1.1 CelebA --out jlad.h5
    """
    build(pascal, celeba_root, Options(**values), job)
