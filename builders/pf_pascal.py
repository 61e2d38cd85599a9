"""PF-PASCAL with the pair lists of NCNet and WeakAlign: official splits, pictures untouched.

    ROOT/image_pairs/{train,val,test}_pairs.csv     source_image,target_image,class[,flip|,XA,...]
    ROOT/PF-dataset-PASCAL/JPEGImages/*.jpg         as the lists name them
    ROOT/PF-dataset-PASCAL/Annotations/<category>/*.mat     kps, bbox; only for --annotations mat

The train list has every pair twice, the second time mirrored (flip is 1); --mirrored keeps both.

In the lists only test rows have keypoints; they belong to the pair, have no names and come in the
same order on both sides, so every test row makes two objects. The other rows make one object for
each picture and class. The lists hold no boxes: the box of an object is the extent of its
keypoints, as the `pf` protocol takes it, and the whole picture where there are none.

The .mat files of the original release have an object's keypoints in the places of its category,
NaN where it has none (kps, n x 2, 1-based), and its box (bbox, 1-based from first to last pixel).
With them every row gets keypoints, and one object stands for each picture and class of a split.
Their box is stored from the first pixel's centre to the last one's, so that its sides are x2 - x1
and y2 - y1, as those who measure by it do.

The test list repeats pairs of the other two: of its 299, 95 are in the train list and 35 more in
the val list, counted in either direction (--clean).
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import click
import numpy as np

from jladkit.builders.about import About
from jladkit.builders.build import check_start
from jladkit.builders.objects import Annotation, Found, Point
from jladkit.builders.official import WHOLE, Listed, build_listed, checked_name, input_file
from jladkit.builders.options import Job, job_options, option
from jladkit.builders.pf_willow import SAME, UNPAIRED, as_points, check_annotations, read_mat
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
PF-dataset-PASCAL/Annotations/*/*.mat      only for --annotations mat
""",
    creator="B. Ham, M. Cho, C. Schmid, J. Ponce",
    published="2017",
)
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
JLAD = (
    "aeroplane", "bicycle", "boat", "bottle", "bus", "car", "chair", "diningtable", "motorbike",
    "sofa", "train", "tvmonitor",
)  # fmt: skip
COLUMNS = ("source_image", "target_image", "class")
MIRRORED = "row mirrored (flip is 1), the plain one is kept (--mirrored keeps both)"
UNWANTED = "row of a category outside --categories jlad"
REPEATED = "test row that repeats a pair of another list (--clean)"
CLEAN = {"none": (), "train": (0,), "train-val": (0, 1)}  # lists that test must not repeat
NOWHERE = np.zeros((0, 2))


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where keypoints come from, and which rows of the lists are left out."""

    name: str = "pf-pascal"
    seed: int = 0
    annotations: str = "lists"
    categories: str = "all"
    clean: str = "none"
    mirrored: bool = False


@dataclass(frozen=True)
class Row:
    """One row of a list that is to become a pair; points are (n, 2) 0-based xy, or empty."""

    split: int
    category: str
    images: tuple[str, str]
    points: tuple[np.ndarray, np.ndarray]
    line: int
    mirrored: bool = False

    @property
    def pair(self) -> frozenset[str]:
        """Its two pictures, in either direction."""
        return frozenset(self.images)


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
    found = listed.found
    rows = [r for split in range(3) for r in read_list(root, split, found, options.mirrored)]
    if not rows:
        raise JladkitError(
            f"The lists below {root / 'image_pairs'} have no row that can be used. "
            "Download them again."
        )
    rows = wanted(rows, root, options, listed.found)
    if not rows:
        raise JladkitError(
            f"The lists below {root / 'image_pairs'} have no row of the 12 categories. Leave "
            "--categories jlad out."
        )
    if options.annotations == "mat":
        names, told = add_annotated(listed, rows, root, job)
    else:
        add_rows(listed, rows)
        most = max(len(row.points[0]) for row in rows)
        names = {category: [point_name(k) for k in range(most)] for category in CLASSES}
        told = {"box": "extent of the keypoints, or the whole picture"}
    return build_listed("pf-pascal", root, listed, options, job, about=ABOUT, names=names,
                        sided=False, notes=partial(overlap, told))  # fmt: skip


def wanted(rows: Sequence[Row], root: Path, options: Options, found: Found) -> list[Row]:
    """The rows that `categories` and `clean` let through, which count what they leave out."""
    others = {row.pair for row in rows if row.split in CLEAN[options.clean]}
    kept = []
    for row in rows:
        if options.categories == "jlad" and row.category not in JLAD:
            found.skip(UNWANTED, list_path(root, row.split))
        elif row.split == 2 and row.pair in others:
            found.skip(REPEATED, list_path(root, row.split))
        else:
            kept.append(row)
    return kept


def overlap(told: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """How much of the test list stands in the train list, in either direction; and `told`."""
    image = arrays["object/source_image"]
    sides = list(zip(image[arrays["pair/source"]], image[arrays["pair/target"]], strict=True))
    train, test = ([frozenset(pair) for pair, s in zip(sides, arrays["pair/split"], strict=True)
                    if s == split] for split in (0, 2))  # fmt: skip
    return {
        **told,
        "test_pairs_in_train": sum(pair in set(train) for pair in test),
        "test_pairs_distinct": len(set(test)),
    }


def list_path(root: Path, split: int) -> Path:
    """The list of a split."""
    return root / "image_pairs" / f"{SPLITS[split]}_pairs.csv"


def read_list(root: Path, split: int, found: Found, mirrored: bool = False) -> list[Row]:
    """The rows of one list, with or without the mirrored ones.

    Raises:
        JladkitError: it is missing, has other columns, or (under --strict) a broken row.
    """
    path = list_path(root, split)
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
        if record.get("flip") == "1" and not mirrored:
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
    points = (NOWHERE, NOWHERE)
    if split == 2:
        points = (
            parse_points(record["XA"], record["YA"]),
            parse_points(record["XB"], record["YB"]),
        )
        if points[0].shape != points[1].shape:
            raise ValueError(f"{len(points[0])} keypoints in A but {len(points[1])} in B")
    flip = record.get("flip") == "1"
    return Row(split, CLASSES[number - 1], images, points, line, mirrored=flip)


def parse_points(x: str, y: str) -> np.ndarray:
    """(n, 2) 0-based xy of two lists of 1-based numbers, parted by semicolons."""
    axes = [[float(value) for value in axis.split(";")] for axis in (x, y)]
    if len(axes[0]) != len(axes[1]) or not np.isfinite(np.hstack(axes)).all():
        raise ValueError("keypoints must be as many finite x as y")
    return np.array(axes).T - 1


def add_rows(
    listed: Listed, rows: Sequence[Row], told: Mapping[tuple[str, str], Annotation] | None = None
) -> None:
    """The objects and pairs of the rows; a row with keypoints makes objects of its own.

    Args:
        listed: takes them.
        rows: whose pictures are all in `told`, where that is given.
        told: category and picture to what its .mat file says.
    """
    known: dict[tuple[int, str, str, bool], int] = {}
    for row in rows:
        sides = []
        for image, points in zip(row.images, row.points, strict=True):
            key = (row.split, row.category, image, row.mirrored)
            if len(points) or key not in known:
                known[key] = len(listed.annotations)
                one = as_object(row, image, points) if told is None else told[key[1:3]]
                one = replace(one, index=known[key], split=row.split, mirrored=row.mirrored)
                listed.annotations.append(one)
            sides.append(known[key])
        listed.pairs.append((sides[0], sides[1], row.split))


def point_name(k: int) -> str:
    """The name of the keypoint in place `k`."""
    return f"kp{k:02d}"


def as_object(row: Row, image: str, points: np.ndarray) -> Annotation:
    """One side of a row; all its keypoints are visible."""
    box = WHOLE
    if len(np.unique(points, axis=0)) > 1:
        box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    return Annotation(image, 0, row.category, slots(points), box)


def slots(xy: np.ndarray) -> dict[str, Point]:
    """Keypoints of (n, 2) xy by the names of their places."""
    return as_points([point_name(k) for k in range(len(xy))], xy)


def add_annotated(
    listed: Listed, rows: Sequence[Row], root: Path, job: Job
) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """The objects and pairs of the rows, with keypoints and boxes of the .mat files.

    Args:
        listed: takes them.
        rows: of all lists.
        root: what the pictures are below.
        job: whether .mat files may be missing.

    Returns:
        Each category's keypoint names, and facts for the `source` attribute: among them how many
        test rows say other keypoints than the .mat files, which decide.

    Raises:
        JladkitError: .mat files are missing and that was not allowed, or no row is left.
    """
    keys = sorted({(row.category, image) for row in rows for image in row.images})
    read = {key: read_annotation(root, *key, listed.found) for key in keys}
    check_annotations(listed.found, ABOUT, job)
    told = {key: one for key, one in read.items() if one is not None}
    there = []
    for row in rows:
        if all((row.category, image) in told for image in row.images):
            there.append(row)
        else:
            listed.found.skip(UNPAIRED, list_path(root, row.split))
    if not there:
        raise JladkitError(f"No row is left: of each, a .mat file below {root} is broken.")
    add_rows(listed, [replace(row, points=(NOWHERE, NOWHERE)) for row in there], told)
    names: dict[str, list[str]] = {}
    for (category, _), one in told.items():
        names[category] = max(names.get(category, []), sorted(one.points), key=len)
    unlike = sum(row.split == 2 and is_unlike(row, told) for row in there)
    return names, {"box": "bbox of the .mat files", "test_pairs_unlike_mat": unlike}


def read_annotation(root: Path, category: str, image: str, found: Found) -> Annotation | None:
    """What the .mat file of a picture says, or None after it was counted as missing or broken."""
    path = PurePosixPath(image)
    name = (path.parent.parent / "Annotations" / category / f"{path.stem}.mat").as_posix()
    content = read_mat(root / name, name, ("kps", "bbox"), found)
    if content is None:
        return None
    kps, box = content["kps"] - 1, content["bbox"].ravel() - 1
    whole = box.shape == (4,) and np.isfinite(box).all() and (box[2:] > box[:2]).all()
    if not whole or kps.shape[1] != 2:
        found.refuse("annotation broken", root / name, "kps must be n x 2, bbox x1 y1 x2 y2")
        return None
    flags = [as_flag(content.get(flag)) for flag in ("truncated", "occluded", "difficult")]
    return Annotation(image, 0, category, slots(kps), box,
                      truncated=flags[0], occluded=flags[1], difficult=flags[2])  # fmt: skip


def as_flag(value: Any) -> int:
    """0 or 1 of an array with one number; -1 where there is none."""
    numbers = np.asarray(value).ravel()
    return int(numbers[0] > 0) if numbers.size == 1 and numbers.dtype.kind in "biuf" else -1


def is_unlike(row: Row, told: Mapping[tuple[str, str], Annotation]) -> bool:
    """True where a row's keypoints are not those that both its pictures' .mat files have."""
    first, second = (told[row.category, image].points for image in row.images)
    common = [n for n in first if n in second and first[n].visible and second[n].visible]
    true = np.array([[side[n][:2] for n in common] for side in (first, second)], dtype=float)
    listed = np.array(row.points)
    return true.shape != listed.shape or not np.allclose(true, listed, rtol=0, atol=SAME)


@click.command("pf-pascal", short_help="PF-PASCAL with the official pairs.")
@job_options("pf-pascal")
@option(
    Options,
    "--annotations",
    click.Choice(["lists", "mat"]),
    "lists: only test pairs have keypoints, and no object a box of its own. mat: the original "
    "release's .mat files give every object its keypoints and box.",
)
@option(
    Options,
    "--categories",
    click.Choice(["all", "jlad"]),
    "jlad: the 12 of JLAD's Table 3, which are PASCAL3D+'s; 206 of the 299 test pairs.",
)
@option(
    Options,
    "--clean",
    click.Choice(list(CLEAN)),
    "Leave out the test pairs that stand, in either direction, in the train list (204 of 299 "
    "stay), or in the train or val list (169 stay).",
)
@click.option("--mirrored", is_flag=True,
              help="Keep the train list's mirrored rows too, as NCNet and WeakAlign train: pictures "
              "and points left to right, so that a keypoint's name no longer tells its side.")  # fmt: skip
def command(root: Path, job: Job, **values: Any) -> None:
    """Build from PF-PASCAL with the official pairs.

    ROOT holds image_pairs/{train,val,test}_pairs.csv, as NCNet and WeakAlign hand them out, and
    the pictures that they name.

    \b
    jladkit build-dataset pf-pascal pf-pascal --out pf_pascal.h5
    jladkit build-dataset pf-pascal pf-pascal --out pf_jlad.h5 --categories jlad --clean train
    """
    build(root, Options(**values), job)
