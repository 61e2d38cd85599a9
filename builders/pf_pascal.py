"""PF-PASCAL with the pair lists of NCNet and WeakAlign: official splits, pictures untouched.

    ROOT/image_pairs/{train,val,test}_pairs.csv     source_image,target_image,class[,flip|,XA,...]
    ROOT/PF-dataset-PASCAL/JPEGImages/*.jpg         as the lists name them

Only test rows have keypoints; they belong to the pair, have no names and come in the same order
on both sides, so every test row makes two objects. The other rows make one object for each
picture and class. The lists hold no boxes: the box of an object is the extent of its keypoints,
as the `pf` protocol takes it, and the whole picture where there are none.
"""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import click
import numpy as np

from jladkit.builders import crops
from jladkit.builders.build import Job, check_start, job_options, read_all, write
from jladkit.builders.objects import (
    IDENTITY,
    Annotation,
    Found,
    Point,
    Stored,
    category_arrays,
    object_arrays,
)
from jladkit.builders.pairs import common_keypoints
from jladkit.errors import JladkitError
from jladkit.formats.dataset import SPLITS

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
COLUMNS = ("source_image", "target_image", "class")
MIRRORED = "row mirrored (flip is 1), the plain one is kept"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What enters the recipe. The lists decide everything else."""

    name: str = "pf-pascal"
    seed: int = 0


@dataclass(frozen=True)
class Row:
    """One row of a list that is to become a pair; points are (n, 2) 0-based xy, or empty."""

    split: int
    category: str
    images: tuple[str, str]
    points: tuple[np.ndarray, np.ndarray]
    line: int


def build(root: Path, options: Options, job: Job) -> str:
    """Build a dataset.h5 from PF-PASCAL; returns the digest of its contents.

    Args:
        root: the folder with image_pairs/ and PF-dataset-PASCAL/.
        options: enter the recipe.
        job: output, workers, strictness.

    Raises:
        UsageError: `root` is no folder, or the output exists.
        JladkitError: it has another layout, a list is broken, or no row is left.
    """
    check_start(root, job)
    lists = Found(strict=job.strict)
    rows = [row for split in range(3) for row in read_list(root, split, lists)]
    if not rows:
        raise JladkitError(
            f"The lists below {root / 'image_pairs'} have no row that can be used. "
            "Download them again."
        )
    names = sorted({image for row in rows for image in row.images})
    found = read_all(names, partial(read_whole, root=root, strict=job.strict), job)
    pictures = {stored.annotation.image: stored for stored in found.objects}
    present = [row for row in rows if set(row.images) <= pictures.keys()]
    found.left_out += lists.left_out
    found.files += lists.files
    for row in rows:
        if not set(row.images) <= pictures.keys():
            found.skip(f"row of {SPLITS[row.split]} whose pictures are not here", root)
    if not present:
        raise JladkitError(
            f"No row's pictures are under {root}: expected {rows[0].images[0]} and others."
        )
    arrays = pair_up(present, pictures)
    train, test = ({frozenset(r.images) for r in present if r.split == s} for s in (0, 2))
    tested = [frozenset(r.images) for r in present if r.split == 2]
    notes = {
        "box": "extent of the keypoints, or the whole picture",
        "test_pairs_in_train": sum(pair in train for pair in tested),
        "test_pairs_distinct": len(test),
    }
    digest = write("pf-pascal", arrays, found, asdict(options), job, notes)
    if notes["test_pairs_in_train"]:
        click.echo(
            f"{notes['test_pairs_in_train']} of {len(tested)} test pairs stand in the train list "
            "too (in either direction): the official lists leak.",
            err=True,
        )
    return digest


def read_list(root: Path, split: int, found: Found) -> list[Row]:
    """The rows of one list, without the mirrored ones.

    Raises:
        JladkitError: it is missing, has other columns, or (under --strict) a broken row.
    """
    path = root / "image_pairs" / f"{SPLITS[split]}_pairs.csv"
    if not path.is_file():
        raise JladkitError(
            f"There is no file {path}. Expected image_pairs/{{train,val,test}}_pairs.csv, the "
            "lists that NCNet and WeakAlign use, below ROOT."
        )
    raw = found.read(path, path.relative_to(root).as_posix()) or b""
    try:
        reader = csv.DictReader(raw.decode("utf-8-sig").splitlines())
        records = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise JladkitError(f"{path} cannot be read as CSV: {error}. Download it again.") from error
    wanted = (*COLUMNS, "XA", "YA", "XB", "YB") if split == 2 else COLUMNS
    missing = [column for column in wanted if column not in (reader.fieldnames or [])]
    if missing:
        raise JladkitError(
            f"{path} must have the columns {','.join(wanted)}; {','.join(missing)} missing. "
            "Download it again."
        )
    rows = []
    for line, record in enumerate(records, start=2):
        if record.get("flip") == "1":
            found.skip(MIRRORED, path)
            continue
        try:
            rows.append(parse_row(record, split, line))
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            found.refuse("row broken", path, f"Line {line} is off ({error})")
    return rows


def parse_row(record: dict[str, str], split: int, line: int) -> Row:
    """One record as a Row; raises ValueError and the like where it is off."""
    number = int(record["class"])
    if not 1 <= number <= len(CLASSES):
        raise ValueError(f"class must be 1..{len(CLASSES)}, but is {number}")
    images = (checked_name(record["source_image"]), checked_name(record["target_image"]))
    points = (np.zeros((0, 2)), np.zeros((0, 2)))
    if split == 2:
        points = (
            parse_points(record["XA"], record["YA"]),
            parse_points(record["XB"], record["YB"]),
        )
        if points[0].shape != points[1].shape:
            raise ValueError(f"{len(points[0])} keypoints in A but {len(points[1])} in B")
    return Row(split, CLASSES[number - 1], images, points, line)


def checked_name(name: str) -> str:
    """`name`, which must lead to a file below ROOT."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{name!r} is no picture below ROOT")
    return path.as_posix()


def parse_points(x: str, y: str) -> np.ndarray:
    """(n, 2) 0-based xy of two lists of 1-based numbers, parted by semicolons."""
    axes = [[float(value) for value in axis.split(";")] for axis in (x, y)]
    if len(axes[0]) != len(axes[1]) or not np.isfinite(np.hstack(axes)).all():
        raise ValueError("keypoints must be as many finite x as y")
    return np.array(axes).T - 1


def read_whole(name: str, *, root: Path, strict: bool) -> Found:
    """A picture as it is in its file, turned and encoded anew only where EXIF demands it.

    An absent one is not refused here: the rows that want it are counted.
    """
    found = Found(strict=strict)
    path = root / name
    if not path.is_file():
        if strict:
            raise JladkitError(
                f"There is no picture {path}, which a list names. Unpack PF-PASCAL's pictures "
                "into ROOT, or build without --strict to leave its rows out."
            )
        return found
    raw = found.read(path, name)
    if raw is None:
        return found
    try:
        image, turned = crops.read_picture(path, raw)
    except JladkitError:
        if strict:
            raise
        found.left_out.append(("picture broken", str(path)))
        return found
    size = image.size
    box = np.array([-0.5, -0.5, size[0] - 0.5, size[1] - 0.5])
    picture = crops.encode(image) if turned else raw
    annotation = Annotation(name, 0, "", {}, box)
    found.objects.append(Stored(annotation, box, picture, size, size, IDENTITY))
    return found


def pair_up(rows: Sequence[Row], pictures: dict[str, Stored]) -> dict[str, np.ndarray]:
    """Every field of the file: objects and the pairs between them, both in the lists' order."""
    objects: list[Stored] = []
    known: dict[tuple[int, str, str], int] = {}
    sides: list[tuple[int, int]] = []
    for row in rows:
        numbers = []
        for image, points in zip(row.images, row.points, strict=True):
            key = (row.split, row.category, image)
            if len(points) or key not in known:
                known[key] = len(objects)
                objects.append(as_object(row, image, points, len(objects), pictures[image]))
            numbers.append(known[key])
        sides.append((numbers[0], numbers[1]))
    most = max(len(row.points[0]) for row in rows)
    names = {c: [point_name(k) for k in range(most)] for c in sorted({r.category for r in rows})}
    arrays = {**category_arrays(names), **object_arrays(objects, names)}
    arrays["category/flip"] = np.full_like(arrays["category/flip"], -1)  # nameless: sides unknown
    source, target = np.array(sides).T
    visible = arrays["object/visible"]
    return arrays | {
        "pair/source": source,
        "pair/target": target,
        "pair/category": arrays["object/category"][source],
        "pair/split": np.array([row.split for row in rows]),
        "pair/common": common_keypoints(visible, source, target),
    }


def point_name(k: int) -> str:
    """The name of the keypoint in place `k`."""
    return f"kp{k:02d}"


def as_object(row: Row, image: str, points: np.ndarray, index: int, picture: Stored) -> Stored:
    """One side of a row; all its keypoints are visible."""
    box = picture.box
    if len(np.unique(points, axis=0)) > 1:
        box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    told = {point_name(k): Point(float(x), float(y), True) for k, (x, y) in enumerate(points)}
    annotation = Annotation(image, index, row.category, told, box)
    return Stored(
        annotation, box, picture.picture, picture.size, picture.source_size, IDENTITY, row.split
    )


@click.command("pf-pascal", short_help="PF-PASCAL with the official pairs.")
@job_options("pf-pascal")
def command(
    root: Path, out: Path, workers: int, overwrite: bool, strict: bool, **values: Any
) -> None:
    """Build from PF-PASCAL with the official pairs.

    ROOT holds image_pairs/{train,val,test}_pairs.csv, as NCNet and WeakAlign hand them out, and
    the pictures that they name. Rows whose pictures are absent are counted and left out.

    \b
    jladkit build-dataset pf-pascal pf-pascal --out pf_pascal.h5
    """
    job = Job(out=out, workers=workers, overwrite=overwrite, strict=strict)
    build(root, Options(**values), job)
