"""CelebA, aligned: pictures of faces to learn from without annotations, minus those of MAFL.

    ROOT/img_align_celeba/000001.jpg ...              or below ROOT/Img
    ROOT/list_landmarks_align_celeba.txt              or below ROOT/Anno; points are stored where
                                                      it lists them, and may be absent
    ROOT/list_eval_partition.txt                      or below ROOT/Eval; for the lists named train
    ROOT/MAFL/training.txt, testing.txt               for the lists that leave MAFL out

MAFL's test pictures are spread over all of CelebA's own splits, 808 of them in its train split, so
a method that is to be scored on MAFL must be trained on a list that leaves them out.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from jladkit.builders.about import About
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
from jladkit.builders.official import input_file
from jladkit.builders.options import Job, job_options, option, pair_options
from jladkit.errors import JladkitError

ABOUT = About(
    title="CelebA",
    url="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (MAFL's lists: "
    "https://github.com/zhzhanp/TCDCN-face-alignment/tree/master/MAFL)",
    licence="for non-commercial research; the pictures may not be given on",
    citation="Z. Liu, P. Luo, X. Wang, X. Tang: Deep Learning Face Attributes in the Wild. ICCV "
    "2015. MAFL: Z. Zhang, P. Luo, C. C. Loy, X. Tang: Learning Deep Representation for Face "
    "Alignment with Auxiliary Attributes. TPAMI 2016.",
    layout="""
img_align_celeba/000001.jpg ...           202,599 pictures of 178 x 218 pixels (also below Img/)
list_landmarks_align_celeba.txt           (also below Anno/)
list_eval_partition.txt                   (also below Eval/)
MAFL/training.txt and MAFL/testing.txt    19,000 and 1,000 names
""",
    creator="Z. Liu, P. Luo, X. Wang, X. Tang",
    published="2015",
)
PICTURES = "img_align_celeba"
LANDMARKS = "list_landmarks_align_celeba.txt"
PARTITION = "list_eval_partition.txt"
PLACES = ("", "Img", "Anno", "Eval")
MAFL = {"training": 19_000, "testing": 1_000}  # lists and their official lengths
# Named lists: (whether only CelebA's train split, which MAFL lists are left out, official length)
LISTS: dict[str, tuple[bool, tuple[str, ...], int]] = {
    "train-minus-mafl-test": (True, ("testing",), 161_962),  # IMM, StrucRep
    "train-minus-mafl": (True, ("training", "testing"), 146_501),  # DVE
    "all-minus-mafl-test": (False, ("testing",), 201_599),
    "all-minus-mafl": (False, ("training", "testing"), 182_599),
    "all": (False, (), 202_599),
}
# Digests of the official files. Git's own, for MAFL's lists, of which only the start is known.
LANDMARKS_MD5 = "cc24ecafdb5b50baae59b03474781f8c"
MAFL_GIT = {"training": "c0c0c60", "testing": "299e0f9"}


@dataclass(frozen=True, kw_only=True)
class Options(FaceOptions):
    """Which pictures; what to keep of each."""

    name: str = "celeba"
    list: str = "train-minus-mafl-test"
    min_common: int = 0  # to learn from pictures, points are not needed
    split: tuple[int, int, int] = (90, 10, 0)


def build(root: Path, options: Options, job: Job) -> str:
    """Build a dataset.h5 from CelebA; returns the digest of its contents.

    Args:
        root: the folder with img_align_celeba.
        options: enter the recipe.
        job: output, workers, strictness.

    Raises:
        UsageError: `root` is no folder, or the output exists.
        JladkitError: it has another layout, a list is broken, or pictures are missing.
    """
    check_start(root, job)
    lists = Found(strict=job.strict)
    names, notes = listed_names(root, options.list, lists)
    faces = [Face(name, (), -1) for name in names]
    faces = with_points(root, present(root, faces, lists), lists, notes, wanted=False)
    read = partial(read_face, root=root, crop=options.crop, encoding=options.encoding,
                   quality=options.quality, strict=job.strict)  # fmt: skip
    return build_crops("celeba", faces, read, lambda _: None, options, job, about=ABOUT,
                       names={CATEGORY: NAMES}, lists=lists, notes=tell(notes))  # fmt: skip


def listed_names(root: Path, wanted: str, lists: Found) -> tuple[list[str], dict[str, str]]:
    """The pictures of a named list, as paths below `root`; and what is to be said of the lists."""
    train_only, without, official = LISTS[wanted]
    folder = find(root, PICTURES)
    notes: dict[str, str] = {}
    if train_only:
        names = train_names(find(root, PARTITION), root, lists)
    else:
        names = sorted(name for name in os.listdir(folder) if name.endswith((".jpg", ".png")))
    left = {name for part in without for name in mafl_names(root, part, lists, notes)}
    names = [name for name in names if name not in left]
    if len(names) != official:
        notes[wanted] = f"has {len(names)} pictures here, officially {official}"
    below = folder.relative_to(root).as_posix()
    return [f"{below}/{name}" for name in names], notes


def find(root: Path, name: str) -> Path:
    """A file or folder of the release, at the root or where the release has it.

    Raises:
        JladkitError: it is in none of these places.
    """
    for place in PLACES:
        if (root / place / name).exists():
            return root / place / name
    raise JladkitError(
        f"There is no {name} below {root}, nor below its {', '.join(PLACES[1:])}. CelebA is to be "
        f"had from {ABOUT.url}."
    )


def lines_of(path: Path, root: Path, lists: Found) -> list[str]:
    """The lines of a list, which is noted as an input.

    Raises:
        JladkitError: it is missing, a web page, or no text.
    """
    raw = input_file(path, path.relative_to(root).as_posix(), lists)
    try:
        return raw.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise JladkitError(f"{path} is no text ({error}). Download it again.") from error


def train_names(path: Path, root: Path, lists: Found) -> list[str]:
    """The pictures of CelebA's train split (0 in the list of partitions)."""
    rows = [line.split() for line in lines_of(path, root, lists) if line.strip()]
    broken = [row for row in rows if len(row) != 2 or row[1] not in ("0", "1", "2")]
    if broken:
        raise JladkitError(
            f"{path}: a line must be a name and 0, 1 or 2, but one is {' '.join(broken[0])!r}. "
            "Download it again."
        )
    return checked(path, [name for name, part in rows if part == "0"])


def checked(path: Path, names: list[str]) -> list[str]:
    """`names`, which a list gives and which must be those of files in the folder of pictures.

    Raises:
        JladkitError: one leads elsewhere.
    """
    strange = [n for n in names if "/" in n or "\0" in n or n in (".", "..")]
    if strange:
        raise JladkitError(f"{path}: {strange[0]!r:.80} is no file name. Download it again.")
    return names


def mafl_names(root: Path, part: str, lists: Found, notes: dict[str, str]) -> list[str]:
    """MAFL's training or testing names, in the list's order."""
    path = root / "MAFL" / f"{part}.txt"
    if not path.is_file():
        raise JladkitError(
            f"There is no file {path}. MAFL's lists, training.txt and testing.txt, belong into "
            f"{root / 'MAFL'}; they are to be had from {ABOUT.url}."
        )
    names = checked(path, [n.strip() for n in lines_of(path, root, lists) if n.strip()])
    # Git's digest of a file; the official lists end without a new line.
    raw = "\n".join(names).encode()
    if not hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest().startswith(MAFL_GIT[part]):
        notes[path.name] = (
            f"differs from the official list of {MAFL[part]} names: it has {len(names)}"
        )
    return names


def present(root: Path, faces: Sequence[Face], lists: Found) -> list[Face]:
    """The faces whose pictures are there; the others are noted as missing."""
    # Names as plain text: a Path for each of 200,000 would take seconds.
    folders = {face.image.rpartition("/")[0] for face in faces}
    there = {folder: set(os.listdir(root / folder)) for folder in folders}
    kept = []
    for face in faces:
        folder, _, name = face.image.rpartition("/")
        if name in there[folder]:
            kept.append(face)
        else:
            lists.missing.append(str(root / face.image))
    return kept


def with_points(
    root: Path, faces: Sequence[Face], lists: Found, notes: dict[str, str], *, wanted: bool
) -> list[Face]:
    """The faces with the points of the landmark list.

    Args:
        root: the folder of the release.
        faces: without points.
        lists: takes the list as an input, and what is left out.
        notes: takes a line if the list is not the official one.
        wanted: whether to leave out faces that the list does not have. If not, they come without
            points, and there need be no list.
    """
    try:
        path = find(root, LANDMARKS)
    except JladkitError:
        if wanted:
            raise
        return list(faces)
    points = read_landmarks(path, root, lists, notes)
    kept = []
    for face in faces:
        own = points.get(face.image.rpartition("/")[2], ())
        if wanted and not own:
            lists.skip(f"no landmarks in {LANDMARKS}", root / face.image)
        else:
            kept.append(face._replace(points=own))
    return kept


def read_landmarks(
    path: Path, root: Path, lists: Found, notes: dict[str, str]
) -> dict[str, tuple[float, ...]]:
    """Name to ten numbers, x and y of each of NAMES, of list_landmarks_align_celeba.txt.

    Its pixels are taken as 0-based, as every public reader takes them.

    Raises:
        JladkitError: a line is broken, or the list is shorter than it says.
    """
    lines = lines_of(path, root, lists)
    raw = "\n".join(lines).encode()
    if hashlib.md5(raw).hexdigest() != LANDMARKS_MD5:
        notes[path.name] = "differs from the official file"
    points = {}
    for number, line in enumerate(lines[2:], start=3):
        words = line.split()
        if not words:
            continue
        try:
            values = tuple(float(word) for word in words[1:])
        except ValueError:
            values = ()
        if len(values) != 10:
            raise JladkitError(
                f"{path}, line {number}: expected a name and ten numbers, found {line.strip()!r}. "
                "Download it again."
            )
        points[words[0]] = values
    count = lines[0].strip()
    if not count.isdigit() or int(count) != len(points):
        raise JladkitError(
            f"{path} must list as many faces as its first line says, but that is {count!r} and it "
            f"lists {len(points)}. Download it again."
        )
    return points


def tell(notes: dict[str, str]) -> dict[str, Any]:
    """Say on standard error what differs from the official lists; as notes for the file."""
    for name, note in notes.items():
        click.echo(f"{name} {note}.", err=True)
    return {"unofficial": notes} if notes else {}


@click.command("celeba", short_help="CelebA's aligned faces, without MAFL's test faces.")
@job_options("celeba")
@option(Options, "--list", click.Choice(list(LISTS)),
        "Which pictures. train: CelebA's train split. minus-mafl-test: without MAFL's test "
        "pictures. minus-mafl: without any of MAFL's.")  # fmt: skip
@crop_presets(Options)
@pair_options(Options)
def command(root: Path, job: Job, **values: Any) -> None:
    """Build from aligned CelebA: faces to learn from without annotations.

    ROOT holds img_align_celeba, list_eval_partition.txt and MAFL/{training,testing}.txt; points
    are stored for the pictures that list_landmarks_align_celeba.txt lists, if it is there. Pairs
    are drawn at random. To score landmarks, build `mafl`.

    \b
    jladkit build-dataset celeba CelebA --out celeba.h5 --crop imm-128
    """
    build(root, Options(**values), job)
