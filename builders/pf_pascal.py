"""PF-PASCAL with the pair lists of NCNet and WeakAlign: official splits, pictures untouched.

    ROOT/image_pairs/{train,val,test}_pairs.csv     source_image,target_image,class[,flip|,XA,...]
    ROOT/PF-dataset-PASCAL/JPEGImages/*.jpg         as the lists name them

Only test rows have keypoints; they belong to the pair, have no names and come in the same order
on both sides, so every test row makes two objects. The other rows make one object for each
picture and class. The lists hold no boxes: the box of an object is the extent of its keypoints,
as the `pf` protocol takes it, and the whole picture where there are none.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from jladkit.builders.about import About
from jladkit.builders.build import check_start
from jladkit.builders.objects import Annotation, Found, Point
from jladkit.builders.official import WHOLE, Listed, build_listed, checked_name, input_file
from jladkit.builders.options import Job, job_options
from jladkit.errors import JladkitError
from jladkit.formats.dataset import SPLITS

ABOUT = About(
    title="PF-PASCAL",
    url="https://www.di.ens.fr/willow/research/proposalflow/",
    licence="not stated; the pictures are PASCAL VOC's, from Flickr, for research",
    citation="B. Ham, M. Cho, C. Schmid, J. Ponce: Proposal Flow: Semantic Correspondences from "
    "Object Proposals. TPAMI 2017.",
    layout="""
image_pairs/{train,val,test}_pairs.csv     as NCNet and WeakAlign hand them out
PF-dataset-PASCAL/JPEGImages/*.jpg         the pictures that they name
""",
)
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
    listed = Listed(found=Found(strict=job.strict))
    rows = [row for split in range(3) for row in read_list(root, split, listed.found)]
    if not rows:
        raise JladkitError(
            f"The lists below {root / 'image_pairs'} have no row that can be used. "
            "Download them again."
        )
    add_rows(listed, rows)
    most = max(len(row.points[0]) for row in rows)
    names = {category: [point_name(k) for k in range(most)] for category in CLASSES}
    return build_listed("pf-pascal", root, listed, options, job, about=ABOUT, names=names,
                        sided=False, notes=overlap)  # fmt: skip


def overlap(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """How much of the test list stands in the train list, in either direction."""
    image = arrays["object/source_image"]
    sides = list(zip(image[arrays["pair/source"]], image[arrays["pair/target"]], strict=True))
    train, test = ([frozenset(pair) for pair, s in zip(sides, arrays["pair/split"], strict=True)
                    if s == split] for split in (0, 2))  # fmt: skip
    return {
        "box": "extent of the keypoints, or the whole picture",
        "test_pairs_in_train": sum(pair in set(train) for pair in test),
        "test_pairs_distinct": len(set(test)),
    }


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
    raw = input_file(path, path.relative_to(root).as_posix(), found)
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


def parse_points(x: str, y: str) -> np.ndarray:
    """(n, 2) 0-based xy of two lists of 1-based numbers, parted by semicolons."""
    axes = [[float(value) for value in axis.split(";")] for axis in (x, y)]
    if len(axes[0]) != len(axes[1]) or not np.isfinite(np.hstack(axes)).all():
        raise ValueError("keypoints must be as many finite x as y")
    return np.array(axes).T - 1


def add_rows(listed: Listed, rows: Sequence[Row]) -> None:
    """The objects and pairs of the rows; a test row makes objects of its own."""
    known: dict[tuple[int, str, str], int] = {}
    for row in rows:
        sides = []
        for image, points in zip(row.images, row.points, strict=True):
            key = (row.split, row.category, image)
            if len(points) or key not in known:
                known[key] = len(listed.annotations)
                listed.annotations.append(as_object(row, image, points, known[key]))
            sides.append(known[key])
        listed.pairs.append((sides[0], sides[1], row.split))


def point_name(k: int) -> str:
    """The name of the keypoint in place `k`."""
    return f"kp{k:02d}"


def as_object(row: Row, image: str, points: np.ndarray, index: int) -> Annotation:
    """One side of a row; all its keypoints are visible."""
    box = WHOLE
    if len(np.unique(points, axis=0)) > 1:
        box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    told = {point_name(k): Point(float(x), float(y), True) for k, (x, y) in enumerate(points)}
    return Annotation(image, index, row.category, told, box, split=row.split)


@click.command("pf-pascal", short_help="PF-PASCAL with the official pairs.")
@job_options("pf-pascal")
def command(root: Path, job: Job, **values: Any) -> None:
    """Build from PF-PASCAL with the official pairs.

    ROOT holds image_pairs/{train,val,test}_pairs.csv, as NCNet and WeakAlign hand them out, and
    the pictures that they name.

    \b
    jladkit build-dataset pf-pascal pf-pascal --out pf_pascal.h5
    """
    build(root, Options(**values), job)
