"""MTFL in its list layout, with the AFLW faces of its testing list; from a folder or a tar.

    ROOT/training.txt, testing.txt      path x1 x2 x3 x4 x5 y1 y2 y3 y4 y5 [attributes]
    ROOT/<path>                         the pictures; or all of it in one .tar

Points are those of faces.NAMES, in pixels counted from 1, as in MATLAB (DVE's reader subtracts 1).
The two lists were cropped differently, so that a regression fitted on one must not be scored on
the other: build them one at a time, or `all` to learn from one without annotations and score on
the other.
"""

import os
import tarfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import click
import numpy as np

from jladkit.builders.about import About
from jladkit.builders.build import build_crops
from jladkit.builders.crops import looks_like_html
from jladkit.builders.faces import CATEGORY, NAMES, Face, store_face
from jladkit.builders.objects import Found
from jladkit.builders.official import checked_name
from jladkit.builders.options import Job, PairOptions, job_options, option, pair_options
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.files import check_output

ABOUT = About(
    title="MTFL, with AFLW",
    url="https://mmlab.ie.cuhk.edu.hk/projects/TCDCN.html",
    licence="for research; AFLW's pictures have terms of their own",
    citation="Z. Zhang, P. Luo, C. C. Loy, X. Tang: Facial Landmark Detection by Deep Multi-task "
    "Learning. ECCV 2014. AFLW: M. Koestinger, P. Wohlhart, P. M. Roth, H. Bischof: Annotated "
    "Facial Landmarks in the Wild. ICCV Workshops 2011.",
    layout="""
training.txt and testing.txt     path x1 x2 x3 x4 x5 y1 y2 y3 y4 y5
AFLW/*.jpg, lfw_5590/*.jpg ...   the pictures that they name; or all of it in one .tar
""",
    creator="Z. Zhang, P. Luo, C. C. Loy, X. Tang",
    published="2014",
)
FILES = {"train": "training.txt", "aflw": "testing.txt"}
LISTS = (*FILES, "all")


@dataclass(frozen=True, kw_only=True)
class Options(PairOptions):
    """Which list, and how to pair."""

    name: str = "mtfl"
    list: str = "aflw"


class Place(NamedTuple):
    """Where a file lies: in a file of its own, or from `first` in a tar for `size` bytes."""

    path: Path
    first: int = 0
    size: int = -1


def build(root: Path, options: Options, job: Job) -> str:
    """Build a dataset.h5 from MTFL; returns the digest of its contents.

    Args:
        root: the folder, the tar, or a folder that holds one tar and no list.
        options: enter the recipe. The list `all` has official splits: AFLW is test.
        job: output, workers, strictness.

    Raises:
        UsageError: `root` does not exist, or the output exists.
        JladkitError: it has another layout, a list is broken, or pictures are missing.
    """
    if not root.exists():
        raise UsageError(f"There is no {root}. ROOT must be MTFL's folder or its tar.")
    check_output(job.out, overwrite=job.overwrite)
    places = find_files(root)
    lists = Found(strict=job.strict)
    parts = list(FILES) if options.list == "all" else [options.list]
    if options.list == "all":
        options = replace(options, split_by="official")
    units = []
    for part in parts:
        split = 2 if options.list == "all" and part == "aflw" else -1
        for face in read_list(FILES[part], places, lists, root, split):
            place = places.get(face.image)
            if place is None:
                lists.missing.append(f"{root}: {face.image}")
            else:
                units.append((face, place))
    return build_crops("mtfl", units, partial(read_unit, strict=job.strict), lambda _: None,
                       options, job, about=ABOUT, names={CATEGORY: NAMES}, lists=lists)  # fmt: skip


def find_files(root: Path) -> dict[str, Place]:
    """Every file of the release by its path in it.

    Raises:
        JladkitError: the lists are not there, or the tar is broken.
    """
    tars = [root] if root.is_file() else sorted(root.glob("*.tar"))
    if root.is_dir() and any((root / name).is_file() for name in FILES.values()):
        return {path.relative_to(root).as_posix(): Place(path)
                for path in root.rglob("*") if path.is_file()}  # fmt: skip
    if len(tars) != 1:
        raise JladkitError(
            f"{root} is not in MTFL's layout: expected training.txt and testing.txt, or one .tar "
            f"that holds them, but it has {len(tars)} tars. MTFL is to be had from {ABOUT.url}."
        )
    try:
        with tarfile.open(tars[0], "r:") as tar:
            return {
                PurePosixPath(member.name).as_posix(): Place(
                    tars[0], member.offset_data, member.size
                )
                for member in tar
                if member.isfile()
            }
    except (tarfile.TarError, OSError, EOFError) as error:
        raise JladkitError(
            f"{tars[0]} is no plain tar ({error}). Copy it again, or unpack it and give the folder."
        ) from error


def read_place(place: Place, name: str, found: Found) -> bytes | None:
    """The bytes of a file, noted under `name`; None, and counted, where they cannot be read."""
    if place.size < 0:
        return found.read(place.path, name)
    try:
        with place.path.open("rb") as file:
            there = os.fstat(file.fileno()).st_size - place.first  # a header may claim any size
            file.seek(place.first)
            raw = file.read(min(place.size, max(there, 0)))
    except OSError as error:
        found.refuse("tar unreadable", place.path, f"Reading it failed: {error.strerror}")
        return None
    if len(raw) < place.size:
        found.refuse("tar truncated", place.path, "Copy it again")
        return None
    found.note(raw, name, place.path)
    return raw


def read_list(
    name: str, places: dict[str, Place], lists: Found, root: Path, split: int
) -> list[Face]:
    """The faces of a list.

    Raises:
        JladkitError: it is missing or no text, or (under --strict) a row is broken.
    """
    raw = read_place(places[name], name, lists) if name in places else None
    if raw is None:
        raise JladkitError(f"There is no {name} in {root}. It is to be had from {ABOUT.url}.")
    if looks_like_html(raw):
        raise JladkitError(f"{root}: {name} is a web page. Download the list itself.")
    faces = []
    for number, line in enumerate(raw.decode("utf-8", "replace").split("\n"), start=1):
        words = line.split()
        if not words:
            continue
        try:
            image = checked_name(words[0].replace("\\", "/"))
            values = np.array([float(word) for word in words[1:11]]).reshape(2, 5)
            if not np.isfinite(values).all():
                raise ValueError("a number is not finite")
        except ValueError as error:
            lists.refuse("row broken", root, f"{name}, line {number}: {error}")
            continue
        points = tuple((values.T - 1).ravel().tolist())
        faces.append(Face(image, points, split))
    return faces


def read_unit(unit: tuple[Face, Place], *, strict: bool) -> Found:
    """Read one picture, which stays as it is."""
    face, place = unit
    found = Found(strict=strict)
    raw = read_place(place, face.image, found)
    if raw is not None:
        path = place.path if place.size < 0 else place.path / face.image
        store_face(found, face, path, raw, "full", "jpeg", 95)
    return found


@click.command("mtfl", short_help="MTFL's faces, with those of AFLW that are its test list.")
@job_options("mtfl")
@option(Options, "--list", click.Choice(LISTS),
        "train: MTFL's training list. aflw: its testing list, AFLW's faces. all: both, with the "
        "official splits (AFLW is test).")  # fmt: skip
@pair_options(Options)
def command(root: Path, job: Job, **values: Any) -> None:
    """Build from MTFL, or from its AFLW faces alone.

    ROOT is the folder with training.txt, testing.txt and the pictures, or a .tar of it.

    \b
    jladkit build-dataset mtfl MTFL --out aflw.h5
    """
    build(root, Options(**values), job)
