"""PF-WILLOW: ten folders of ten pictures with ten keypoints each, all of it for testing.

    ROOT/PF-dataset-WILLOW/<folder>/<picture>.png    also PF-dataset/, or ROOT is that folder
    ROOT/PF-dataset-WILLOW/<folder>/<picture>.mat    pts_coord: 2 x 10, x then y, 1-based
    ROOT/test_pairs_pf.csv                           the list of CNNGeo, or test_pairs.csv

The original benchmark pairs each picture with the nine others of its folder, in both orders; the
list spells the same out. A row of the list is two pictures, then 10 x, 10 y, 10 x, 10 y. The
keypoints come from the .mat files all the same, one object for each picture.

A box is the extent of an object's keypoints, as in the original benchmark. Some later code takes
the extent after filling the keypoints up with -1, which makes every tolerance too wide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import click
import numpy as np

from jladkit.builders.about import About
from jladkit.builders.build import check_missing, check_start
from jladkit.builders.crops import looks_like_html
from jladkit.builders.matlab import load_mat
from jladkit.builders.objects import Annotation, Found, Point
from jladkit.builders.official import Listed, build_listed, checked_name, read_rows
from jladkit.builders.options import Job, job_options
from jladkit.errors import JladkitError, UsageError

ABOUT = About(
    title="PF-WILLOW",
    url="https://www.di.ens.fr/willow/research/proposalflow/",
    licence="not stated; its authors' code, which comes with it, is for academic use only",
    citation="B. Ham, M. Cho, C. Schmid, J. Ponce: Proposal Flow. CVPR 2016.",
    layout="""
PF-dataset-WILLOW/<folder>/*.png     and a .mat beside each; the folder may also be PF-dataset
test_pairs_pf.csv                    the list of pairs, where you have it
""",
    creator="B. Ham, M. Cho, C. Schmid, J. Ponce",
    published="2016",
)
FOLDERS = ("PF-dataset-WILLOW", "PF-dataset", "")  # as the code's copy, the archive, others have it
LISTS = ("test_pairs_pf.csv", "test_pairs.csv")
KEYPOINTS = tuple(f"part_{letter}" for letter in "ABCDEFGHIJ")  # the benchmark's own names
COLUMNS = 2 + 4 * len(KEYPOINTS)
TOLD = "two pictures, then 10 x and 10 y of each"
TEST = 2
SAME = 0.01  # px; what rounding may change in a list
UNPAIRED = "pair without annotations"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Whether a list or the folders give the pairs: "list", "all"; None: the list, if there."""

    name: str = "pf-willow"
    seed: int = 0
    pairs: str | None = None


def build(root: Path, options: Options, job: Job) -> str:
    """Build a dataset.h5 from PF-WILLOW; returns the digest of its contents.

    Args:
        root: the folder with PF-dataset-WILLOW, or that folder.
        options: enter the recipe; `pairs` as it was found.
        job: output, workers, strictness.

    Raises:
        UsageError: `root` is no folder, there is no list where one was wanted, or the output
            exists.
        JladkitError: it has another layout, files are missing, or no pair is left.
    """
    check_start(root, job)
    folder = find_folder(root)
    path = find_list(root, folder) if options.pairs != "all" else None
    if options.pairs == "list" and path is None:
        raise UsageError(f"There is no {' or '.join(LISTS)} in {root}. Leave --pairs list out.")
    listed = Listed(found=Found(strict=job.strict))
    if path is not None:
        rows = read_rows(path, COLUMNS, TOLD, parse_row, listed.found)
    else:
        rows = all_pairs(folder)
    unlike = add_rows(listed, rows, folder, path or folder)
    check_annotations(listed.found, ABOUT, job)
    if not listed.pairs:
        raise JladkitError(f"No pair is left of {path or folder}. Download PF-WILLOW again.")
    told = {"box": "extent of the keypoints", "pairs_unlike_mat": unlike}
    names = {a.category: KEYPOINTS for a in listed.annotations}
    recipe = replace(options, pairs="all" if path is None else "list")
    return build_listed("pf-willow", folder, listed, recipe, job, about=ABOUT, names=names,
                        sided=False, notes=lambda _: told)  # fmt: skip


def find_folder(root: Path) -> Path:
    """The folder that holds the folders of pictures.

    Raises:
        JladkitError: there is none.
    """
    for name in FOLDERS:
        if picture_folders(root / name):
            return root / name
    raise JladkitError(
        f"{root} is not in PF-WILLOW's layout: expected PF-dataset-WILLOW/<folder>/*.mat with a "
        ".png beside each. Give the folder that PF-dataset.zip was unpacked into."
    )


def picture_folders(folder: Path) -> list[Path]:
    """The folders directly below `folder` with .mat files, in order of name."""
    below = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in below if path.is_dir() and any(files(path, "*.mat"))]


def files(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder but the hidden ones, which archives from a Mac are full of."""
    return [path for path in folder.glob(pattern) if not path.name.startswith(".")]


def find_list(root: Path, folder: Path) -> Path | None:
    """The list of pairs, or None."""
    places = [base / name for base in (root, root / "image_pairs", folder) for name in LISTS]
    return next((path for path in places if path.is_file()), None)


@dataclass(frozen=True)
class Row:
    """Two pictures (<folder>/<picture>.png), and (2, 10, 2) 0-based xy where a list says them."""

    images: tuple[str, str]
    points: np.ndarray | None = None


def all_pairs(folder: Path) -> list[Row]:
    """Every picture of a folder with every other one, in order of name."""
    rows = []
    for path in picture_folders(folder):
        stems = sorted({p.stem for end in ("*.png", "*.mat") for p in files(path, end)})
        names = [f"{path.name}/{stem}.png" for stem in stems]
        rows += [Row((a, b)) for a in names for b in names if a != b]
    return rows


def parse_row(record: Sequence[str]) -> Row:
    """One line of a list; raises ValueError where it is off."""
    if len(record) != COLUMNS:
        raise ValueError(f"{len(record)} columns")
    first, second = (picture_name(cell) for cell in record[:2])
    if first.rpartition("/")[0] != second.rpartition("/")[0]:
        raise ValueError("its pictures lie in two folders")
    points = np.array(record[2:], dtype=float).reshape(2, 2, len(KEYPOINTS))
    return Row((first, second), points.transpose(0, 2, 1) - 1)


def picture_name(cell: str) -> str:
    """<folder>/<picture>.png of a path in a list; raises ValueError where it is none."""
    parts = PurePosixPath(checked_name(cell)).parts
    if len(parts) < 2:
        raise ValueError(f"{cell!r} is in no folder")
    return "/".join(parts[-2:])


def add_rows(listed: Listed, rows: Sequence[Row], folder: Path, where: Path) -> int:
    """The objects and pairs of the rows.

    Args:
        listed: takes them.
        rows: of a list, or all pairs.
        folder: holds the pictures' folders.
        where: the list, or the folder, that a row left out is counted for.

    Returns:
        How many rows say other keypoints than the .mat files, which decide.
    """
    images = sorted({image for row in rows for image in row.images})
    read = {image: read_object(folder, image, listed.found) for image in images}
    there = {image: told for image, told in read.items() if told is not None}
    place = {image: number for number, image in enumerate(there)}
    listed.annotations += there.values()
    unlike = 0
    for row in rows:
        if not all(image in there for image in row.images):
            listed.found.skip(UNPAIRED, where)
            continue
        source, target = (place[image] for image in row.images)
        listed.pairs.append((source, target, TEST))
        true = np.array([xy_of(there[image]) for image in row.images])
        unlike += row.points is not None and not np.allclose(
            row.points, true, rtol=0, atol=SAME, equal_nan=True
        )
    return unlike


def xy_of(told: Annotation) -> np.ndarray:
    """(10, 2) xy of an object's keypoints."""
    return np.array([(told.points[name].x, told.points[name].y) for name in KEYPOINTS])


def read_object(folder: Path, image: str, found: Found) -> Annotation | None:
    """The object of a picture, or None after it was counted as missing or broken."""
    name = PurePosixPath(image).with_suffix(".mat").as_posix()
    content = read_mat(folder / name, name, ("pts_coord",), found)
    if content is None:
        return None
    xy = content["pts_coord"].T - 1
    known = xy[np.isfinite(xy).all(axis=-1)]
    if xy.shape != (len(KEYPOINTS), 2) or len(np.unique(known, axis=0)) < 2:
        found.refuse("annotation broken", folder / name, "pts_coord must be 2 x 10 numbers")
        return None
    box = np.concatenate([known.min(axis=0), known.max(axis=0)])
    points = as_points(KEYPOINTS, xy)
    return Annotation(image, 0, image.rpartition("/")[0], points, box, split=TEST)


def as_points(names: Sequence[str], xy: np.ndarray) -> dict[str, Point]:
    """Keypoints by name of their (n, 2) xy; those that are not finite are not visible."""
    points = {}
    for name, at in zip(names, xy, strict=True):
        known = bool(np.isfinite(at).all())
        x, y = at if known else (np.nan, np.nan)
        points[name] = Point(float(x), float(y), known)
    return points


def read_mat(
    path: Path, name: str, fields: Sequence[str], found: Found
) -> Mapping[str, np.ndarray] | None:
    """The arrays of a .mat file, or None after it was counted as missing or broken.

    Args:
        path: the file.
        name: what it is noted as.
        fields: what must be in it, as arrays of numbers with two axes; they come as floats.
        found: takes the file, or what is wrong with it.
    """
    raw = found.read(path, name)
    if raw is None:
        return None
    if looks_like_html(raw):
        found.refuse("annotation is a web page", path, "Download the .mat file itself")
        return None
    try:
        content = load_mat(raw)
        return {**content, **{key: as_numbers(content[key]) for key in fields}}
    except NotImplementedError:
        found.refuse("annotation is MATLAB v7.3", path, "Save it again in MATLAB with -v7")
    except Exception as error:  # noqa: BLE001, loadmat raises nearly anything at broken bytes
        found.refuse("annotation broken", path, f"Reading it failed ({error!r}). Copy it again")
    return None


def as_numbers(array: np.ndarray) -> np.ndarray:
    """`array` as floats; raises ValueError where it has not two axes."""
    if array.ndim != 2:
        raise ValueError(f"an array has {array.ndim} axes in place of two")
    return array.astype(float)


def check_annotations(found: Found, about: About, job: Job) -> None:
    """Count the annotation files that are missing as left out.

    Raises:
        JladkitError: there are some, and that was not allowed.
    """
    check_missing(found.missing, about, job)
    found.left_out += [("annotation file missing", name) for name in found.missing]
    found.missing = []


@click.command("pf-willow", short_help="PF-WILLOW: every two pictures of a folder.")
@job_options("pf-willow")
@click.option("--pairs", type=click.Choice(["list", "all"]),
              help="list: those of test_pairs_pf.csv or test_pairs.csv, in its order. all: every "
              "two pictures of a folder, both ways.  [default: list, if there is one]")  # fmt: skip
def command(root: Path, job: Job, **values: Any) -> None:
    """Build from PF-WILLOW; every pair is for testing.

    ROOT holds PF-dataset-WILLOW (or PF-dataset), with a folder of .png and .mat files for each of
    the ten categories, and the list of pairs, where you have it.

    \b
    jladkit build-dataset pf-willow pf-willow --out pf_willow.h5
    """
    build(root, Options(**values), job)
