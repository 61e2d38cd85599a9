"""PASCAL3D+ (release 1.1), or anything in its layout: boxes, anchors, viewpoints.

    ROOT/Annotations/<category>_<part>/<id>.mat    a struct `record`, MATLAB v7 or older
    ROOT/Images/<category>_<part>/<id>.jpg|.JPEG
    ROOT/Image_sets/<category>_imagenet_{train,val}.txt      on request

Parts are pascal and imagenet. Coordinates on disk are 1-based; a box names its first and last
pixel. JLAD's objects come from here. By default an object stays if its class is its folder's, its
viewpoint is fine (not coarse, not the all-zero placeholder), it is neither truncated nor occluded
nor difficult, its box is large enough and three of its anchors are visible.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import click
import numpy as np

from jladkit.builders.about import About
from jladkit.builders.build import build_crops, check_start
from jladkit.builders.crops import looks_like_html
from jladkit.builders.matlab import load_mat
from jladkit.builders.objects import Annotation, Found, Point, store_crops
from jladkit.builders.options import (
    CropOptions,
    Job,
    crop_options,
    default,
    job_options,
    pair_options,
    stacked,
)
from jladkit.builders.pairs import Poses, viewpoints
from jladkit.errors import JladkitError, UsageError

RELEASE = "PASCAL3D+_release1.1"
ABOUT = About(
    title="PASCAL3D+",
    url="https://cvgl.stanford.edu/projects/pascal3d.html",
    licence="not stated; the pictures are PASCAL VOC's and ImageNet's, for research",
    citation="Y. Xiang, R. Mottaghi, S. Savarese: Beyond PASCAL: A Benchmark for 3D Object "
    "Detection in the Wild. WACV 2014.",
    layout="""
Annotations/<category>_imagenet/*.mat     and _pascal
Images/<category>_imagenet/*.JPEG         and _pascal/*.jpg
""",
    creator="Y. Xiang, R. Mottaghi, S. Savarese",
    published="2014",
)
SETS = "Image_sets"
VOC_SETS = "PASCAL/VOCdevkit/VOC2012/ImageSets/Main"
EVERY: Mapping[str, int] = {}  # records: none has a split of its own
PARTS = ("imagenet", "pascal")
KEEP = ("truncated", "occluded", "difficult", "coarse", "zero-viewpoint")
ENDINGS = ("", ".JPEG", ".jpg", ".jpeg", ".JPG", ".png")


@dataclass(frozen=True, kw_only=True)
class Options(CropOptions):
    """What to keep of PASCAL3D+, and how alike the viewpoints of a pair must be."""

    name: str = "pascal3d"
    part: tuple[str, ...] = PARTS
    keep: tuple[str, ...] = ()
    visibility: str = "status1"
    azimuth_tolerance: float = 20.0
    elevation_tolerance: float = 10.0
    theta_tolerance: float = 180.0


def build(root: Path, options: Options, job: Job) -> str:
    """Build a dataset.h5 from PASCAL3D+; returns the digest of its contents.

    Args:
        root: the release's folder, or the folder that holds it.
        options: what to keep and how to pair; they enter the recipe.
        job: output, workers, strictness.

    Raises:
        UsageError: `root` is no folder, a category is not there, or the output exists.
        JladkitError: it has another layout, or nothing is left.
    """
    check_start(root, job)
    if not (root / "Annotations").is_dir() and (root / RELEASE).is_dir():
        root = root / RELEASE
    records, sets = list_records(root, options.category, options.part), {}
    if options.split_by == "official":
        sets = image_sets(root, sorted({PurePosixPath(name).parent.name for name in records}))
        records = [name for name in records if name in sets]
    read = partial(read_record, root=root, options=options, strict=job.strict, sets=sets)
    return build_crops(
        "pascal3d", records, read, partial(agreement, options), options, job, about=ABOUT
    )


def agreement(options: Options, fields: Mapping[str, np.ndarray]) -> Poses:
    """The condition on a category's viewpoints."""
    return viewpoints(
        fields["object/viewpoint"],
        options.azimuth_tolerance,
        options.elevation_tolerance,
        options.theta_tolerance,
    )


def list_records(root: Path, categories: Sequence[str], parts: Sequence[str]) -> list[str]:
    """The .mat files of categories (none: of all) and parts, below `root`, in order of name.

    Raises:
        UsageError: a wanted category has no folder.
        JladkitError: there are no such folders, or no records in them.
    """
    folders = [
        folder
        for folder in sorted((root / "Annotations").glob("*_*"))
        if folder.is_dir() and folder.name.rpartition("_")[2] in PARTS
    ]
    if not folders or not (root / "Images").is_dir():
        raise JladkitError(
            f"{root} is not in PASCAL3D+'s layout: expected Annotations/<category>_imagenet/*.mat "
            "and Images/<category>_imagenet/*.JPEG (or _pascal) below it. Give the unpacked "
            f"{RELEASE} folder."
        )
    known = sorted({folder.name.rpartition("_")[0] for folder in folders})
    missing = sorted(set(categories) - set(known))
    if missing:
        raise UsageError(f"No category {', '.join(missing)} in {root}. Known: {', '.join(known)}.")
    wanted = [
        folder
        for folder in folders
        if folder.name.rpartition("_")[0] in (categories or known)
        and folder.name.rpartition("_")[2] in parts
    ]
    records = [f"{f.name}/{p.name}" for f in wanted for p in sorted(f.glob("*.mat"))]
    if not records:
        raise JladkitError(
            f"No records under {root}: expected Annotations/{known[0]}_{parts[0]}/*.mat."
        )
    return records


def image_sets(root: Path, folders: Sequence[str]) -> dict[str, int]:
    """The split of each record that an official image set names; others are not in it.

    Records of a val set are for testing (2). Those of a train set are for training and validation
    (-1), among which the build divides them.

    Args:
        root: the release's folder.
        folders: <category>_<part> of the records.

    Raises:
        JladkitError: an image set is missing, or cannot be read.
    """
    sets: dict[str, int] = {}
    for folder in folders:
        category, _, part = folder.rpartition("_")
        below, stem = (VOC_SETS, category) if part == "pascal" else (SETS, folder)
        for name, split in (("train", -1), ("val", 2)):
            path = root / below / f"{stem}_{name}.txt"
            try:
                lines = path.read_text(encoding="utf-8").split("\n")
            except (OSError, UnicodeDecodeError) as error:
                raise JladkitError(
                    f"{path} cannot be read ({error}). --split-by official needs the release's "
                    f"image sets: {SETS}/ and, for the pascal part, {VOC_SETS}/."
                ) from error
            words = [line.split() for line in lines if line.strip()]
            # VOC's sets list every picture and mark those without the category with -1.
            named = [word[0] for word in words if word[1:] != ["-1"]]
            sets |= {f"{folder}/{one}.mat": split for one in named}
    return sets


def read_record(
    name: str, *, root: Path, options: Options, strict: bool, sets: Mapping[str, int] = EVERY
) -> Found:
    """Read one record and crop the objects that the options want.

    Args:
        name: the .mat file below Annotations.
        root: the release's folder.
        options: what to keep.
        strict: raise at what is broken.
        sets: the split of each record, where it is given.
    """
    found = Found(strict=strict)
    path = root / "Annotations" / name
    raw = found.read(path, f"Annotations/{name}")
    record = parse_record(raw, path, found) if raw is not None else None
    if record is None:
        return found
    folder = PurePosixPath(name).parent.name
    picture = find_picture(root / "Images" / folder, record, path.stem)
    wanted = wanted_objects(record, folder, picture.name, path, options, found)
    annotations = [replace(one, split=sets.get(name, -1)) for one in wanted]
    if annotations:
        store_crops(found, picture, annotations, options.style, record_size(record))
    return found


def parse_record(raw: bytes, path: Path, found: Found) -> Any:
    """The struct `record` of a .mat file, or None after it was counted as broken."""
    if looks_like_html(raw):
        found.refuse("record is a web page", path, "Download the .mat file itself")
        return None
    try:
        record = load_mat(raw, squeeze_me=True, struct_as_record=False)["record"]
    except NotImplementedError:
        found.refuse("record is MATLAB v7.3", path, "Save it again in MATLAB with -v7")
        return None
    except Exception as error:  # noqa: BLE001, loadmat raises nearly anything at broken bytes
        found.refuse("record broken", path, f"Reading it failed ({error}). Copy it again")
        return None
    if not hasattr(record, "_fieldnames") or not hasattr(record, "objects"):
        found.refuse("record has no objects", path)
        return None
    return record


def wanted_objects(
    record: Any, folder: str, picture: str, path: Path, options: Options, found: Found
) -> Iterator[Annotation]:
    """The objects of a record that pass the filters, which count what they leave out."""
    category = folder.rpartition("_")[0]
    for index, thing in enumerate(np.atleast_1d(record.objects)):
        named = text(thing, "class")
        if not named:
            found.refuse("object without a class", path)
            continue
        if named != category:
            found.skip("of another class", path)
            continue
        viewpoint = getattr(thing, "viewpoint", None)
        if not hasattr(viewpoint, "_fieldnames"):
            found.refuse("viewpoint empty", path)
            continue
        angles, flaw = read_viewpoint(viewpoint)
        flags = {flag: whole(thing, flag, 0) for flag in KEEP[:3]}
        unwanted = [flag for flag in (*[k for k, on in flags.items() if on], flaw)
                    if flag and flag not in options.keep]  # fmt: skip
        box = numbers(thing, "bbox")
        if "incomplete" in unwanted:
            found.refuse("viewpoint incomplete", path)
        elif unwanted:
            found.skip(REASONS[unwanted[0]], path)
        elif box.size != 4:
            found.refuse("box missing", path)
        else:
            points = read_anchors(getattr(thing, "anchors", None), options.visibility)
            annotation = Annotation(
                image=f"Images/{folder}/{picture}",
                index=index,
                category=category,
                points=points,
                box=box - [1.5, 1.5, 0.5, 0.5],  # 1-based first and last pixel to 0-based edges
                viewpoint=angles,
                truncated=flags["truncated"],
                occluded=flags["occluded"],
                difficult=flags["difficult"],
            )
            if annotation.visible < options.min_keypoints:
                found.skip(f"fewer than {options.min_keypoints} visible keypoints", path)
            else:
                yield annotation


REASONS = {
    "truncated": "truncated",
    "occluded": "occluded",
    "difficult": "difficult",
    "coarse": "viewpoint coarse only",
    "zero-viewpoint": "viewpoint all zero, a placeholder",
}


def read_viewpoint(viewpoint: Any) -> tuple[tuple[float, float, float, float], str]:
    """Azimuth, elevation, theta in degrees and distance; and what is wrong with them, or "".

    A distance of 0 marks an object of which only the coarse view was annotated.
    """
    azimuth, elevation = number(viewpoint, "azimuth"), number(viewpoint, "elevation")
    theta, distance = number(viewpoint, "theta", 0.0), number(viewpoint, "distance")
    coarse = number(viewpoint, "azimuth_coarse"), number(viewpoint, "elevation_coarse")
    if distance == 0 or not np.isfinite([azimuth, elevation]).all():
        flaw = "coarse" if np.isfinite(coarse).all() else "incomplete"
        return (*coarse, 0.0, np.nan), flaw
    flaw = "zero-viewpoint" if azimuth == elevation == theta == 0 else ""
    return (azimuth, elevation, theta, distance), flaw


def read_anchors(anchors: Any, visibility: str) -> dict[str, Point]:
    """Keypoints by name, 0-based; {} where the struct is empty.

    Args:
        anchors: the struct.
        visibility: "status1" counts status 1 as visible, "location" whatever has a location.
    """
    points = {}
    for name in getattr(anchors, "_fieldnames", []):
        anchor = getattr(anchors, name)
        location, code = numbers(anchor, "location"), whole(anchor, "status", -1)
        there = location.size == 2 and bool(np.isfinite(location).all())
        x, y = location - 1 if there else (np.nan, np.nan)
        visible = there and (visibility == "location" or code == 1)
        points[name] = Point(float(x), float(y), visible, code)
    return points


def find_picture(folder: Path, record: Any, stem: str) -> Path:
    """The record's picture: under the name it gives, else under its own with a usual ending."""
    given = PurePosixPath(text(record, "filename").replace("\\", "/")).name
    names = [given + ending for ending in ENDINGS if given] + [stem + end for end in ENDINGS[1:]]
    there = (folder / name for name in names if is_file(folder / name))
    return next(there, folder / (given or f"{stem}.JPEG"))


def is_file(path: Path) -> bool:
    """Whether there is a file; not where its name is longer than names may be."""
    try:
        return path.is_file()
    except OSError:
        return False


def record_size(record: Any) -> tuple[int, int] | None:
    """Width and height that the record states (`imgsize`, or VOC's `size`), or None."""
    size = numbers(record, "imgsize")
    if size.size < 2:
        voc = getattr(record, "size", None)
        size = np.array([number(voc, "width"), number(voc, "height")])
    return (int(size[0]), int(size[1])) if np.isfinite(size[:2]).all() else None


def numbers(struct: Any, name: str) -> np.ndarray:
    """A field as a flat float array, cast before any arithmetic (MATLAB's uint8 would overflow)."""
    try:
        return np.asarray(getattr(struct, name, []), dtype=float).ravel()
    except (TypeError, ValueError):
        return np.zeros(0)


def number(struct: Any, name: str, missing: float = np.nan) -> float:
    """A field as one float; `missing` where it is absent or empty."""
    values = numbers(struct, name)
    return float(values[0]) if values.size else missing


def whole(struct: Any, name: str, missing: int) -> int:
    """A field as one small whole number; `missing` where it is none."""
    value = number(struct, name)
    return int(value) if abs(value) < 128 else missing  # NaN is not below anything


def text(struct: Any, name: str) -> str:
    """A field as text; "" where it is absent or empty."""
    values = np.atleast_1d(getattr(struct, name, ""))
    return str(values.ravel()[0]) if values.size else ""


tolerance_options = stacked([
    click.option(f"--{angle}-tolerance", type=click.FloatRange(0, 180), show_default=True,
                 default=default(Options, f"{angle}_tolerance"),
                 help=f"Degrees by which the {name} of a pair may differ.")
    for angle, name in (("azimuth", "azimuths"), ("elevation", "elevations"),
                        ("theta", "in-plane rotations"))
])  # fmt: skip

record_options = stacked([
    click.option("--part", multiple=True, type=click.Choice(PARTS), default=PARTS, show_default=True,
                 help="Which parts to read; repeat for more."),
    click.option("--keep", multiple=True, type=click.Choice(KEEP),
                 help="Keep such objects, left out by default; repeat for more."),
    click.option("--visibility", type=click.Choice(["status1", "location"]), show_default=True,
                 default=default(Options, "visibility"),
                 help="Visible is an anchor with status 1, or every one with a location."),
    tolerance_options,
])  # fmt: skip


@click.command("pascal3d", short_help="PASCAL3D+ or data in its layout.")
@job_options("pascal3d")
@crop_options(Options)
@pair_options(
    Options, official="the release's val image sets are test, its train sets train and val."
)
@record_options
def command(root: Path, job: Job, **values: Any) -> None:
    """Build from PASCAL3D+, or from data in its layout.

    ROOT is the unpacked PASCAL3D+_release1.1, or the folder that holds it: Annotations/ and
    Images/ with a folder <category>_imagenet or <category>_pascal for each category.

    \b
    jladkit build-dataset pascal3d PASCAL3D+_release1.1 --out jlad.h5
    jladkit build-dataset pascal3d cars --out cars.h5 --min-keypoints 0
    """
    build(root, Options(**values), job)
