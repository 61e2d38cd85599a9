"""COCO keypoints: one JSON with images, annotations and categories, and a folder of pictures.

People bring their own data this way. Coordinates are 0-based; a box is x, y, width, height from
the picture's corner. A keypoint's v is 2 visible, 1 annotated but hidden, 0 absent; it is stored
as the status. There are no viewpoints, so pairs are drawn at random, or among those whose
keypoints lie alike in their boxes (--pose-tolerance).
"""

import hashlib
import json
import math
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import click
import numpy as np

from jladkit.builders.about import About
from jladkit.builders.build import build_crops, check_start
from jladkit.builders.objects import Annotation, Found, InputFile, Point, store_crops
from jladkit.builders.options import CropOptions, Job, crop_options, job_options, pair_options
from jladkit.builders.pairs import Poses, keypoint_poses
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.files import is_unicode

ABOUT = About(
    title="A data set in COCO's layout",
    url="your own copy; COCO itself is at https://cocodataset.org",
    licence="as its owner states it",
    citation="as its owner states it; the layout is of T.-Y. Lin et al.: Microsoft COCO: Common "
    "Objects in Context. ECCV 2014.",
    layout="""
*.json or annotations/*.json     one file of COCO keypoints
images/                          the pictures that its file_name fields name
""",
)
CODES = frozenset((0, 1, 2))  # of a keypoint: absent, hidden, visible
NOWHERE = {float(code): Point(math.nan, math.nan, False, code) for code in CODES}
VISIBLE = 2
IMAGE_FOLDERS = ("images", "Images", "")  # where pictures usually lie below ROOT

Record = Mapping[str, Any]
Unit = tuple[Record, list[Record]]  # an image and its annotations


@dataclass(frozen=True, kw_only=True)
class Options(CropOptions):
    """Which JSON and pictures, and how alike the poses of a pair must be (None: anyhow)."""

    name: str = "coco"
    annotations: str | None = None
    images: str | None = None
    pose_tolerance: float | None = None


def build(root: Path, options: Options, job: Job) -> str:
    """Build a dataset.h5 from COCO keypoints; returns the digest of its contents.

    Args:
        root: the folder that `annotations` and `images` are relative to.
        options: what to keep and how to pair; they enter the recipe.
        job: output, workers, strictness.

    Raises:
        UsageError: a folder or category is not there, or the output exists.
        JladkitError: the JSON is not COCO keypoints, or nothing is left.
    """
    check_start(root, job)
    path = find_json(root, options)
    folder = find_images(root, options)
    content, digest = read_json(path)
    names = category_names(content, path, options)
    units = group_by_image(content, path)
    read = partial(read_image, folder=folder, names=names, json_path=path, options=options,
                   strict=job.strict)  # fmt: skip
    recipe = replace(options, annotations=below(path, root), images=below(folder, root))
    return build_crops(
        "coco", units, read, partial(agreement, options), recipe, job,
        names={name: keypoints for name, keypoints in names.values()},
        lists=Found(files=[InputFile("annotations", digest, "", 0, 0)]), about=ABOUT,
    )  # fmt: skip


def agreement(options: Options, fields: Mapping[str, np.ndarray]) -> Poses | None:
    """The condition on a category's poses, or None where any two will do."""
    if options.pose_tolerance is None:
        return None
    return keypoint_poses(
        fields["object/keypoints"],
        fields["object/visible"],
        fields["object/box"],
        options.pose_tolerance,
    )


def below(path: Path, root: Path) -> str:
    """`path` as it enters the recipe: relative to `root`, or its last name; never of a machine."""
    resolved, base = path.resolve(), root.resolve()
    return resolved.relative_to(base).as_posix() if resolved.is_relative_to(base) else path.name


def find_json(root: Path, options: Options) -> Path:
    """The annotation file: the one that is given, or the only JSON of ROOT or ROOT/annotations.

    Raises:
        UsageError: there is none, or more than one.
    """
    if options.annotations is not None:
        path = root / options.annotations
        if not os.path.isfile(path):  # Path.is_file raises an error at a name that is too long
            raise UsageError(f"There is no file {path}. --annotations is relative to ROOT.")
        return path
    there = [*root.glob("*.json"), *root.glob("annotations/*.json")]
    found = sorted(path for path in there if path.is_file() or path.is_dir())  # no pipe
    if len(found) == 1:
        return found[0]
    what = ", ".join(below(path, root) for path in found) or "none"
    raise UsageError(
        f"Expected one JSON in {root} or {root / 'annotations'}, found {what}. "
        "Name it with --annotations."
    )


def find_images(root: Path, options: Options) -> Path:
    """The folder of the pictures.

    Raises:
        UsageError: the given one does not exist.
    """
    names = IMAGE_FOLDERS if options.images is None else (options.images,)
    for name in names:
        if os.path.isdir(root / name):
            return root / name
    raise UsageError(f"There is no folder {root / names[0]}. --images is relative to ROOT.")


def read_json(path: Path) -> tuple[Record, str]:
    """The JSON's content, which must have images, annotations and categories; and its SHA-256.

    Raises:
        JladkitError: it cannot be read, is not JSON, or has another layout.
    """
    try:
        raw = path.read_bytes()
        content = json.loads(raw)
    except OSError as error:
        raise JladkitError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise JladkitError(
            f"{path} is not JSON ({error}). Download the annotations again."
        ) from error
    lists = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) and all(isinstance(e, dict) for e in content[key])
        for key in lists
    ):
        raise JladkitError(
            f"{path} is not in COCO's layout: expected lists of records under {', '.join(lists)}."
        )
    return content, hashlib.sha256(raw).hexdigest()


def identity(record: Record, field: str = "id") -> int | str | None:
    """The id in a field; None where it is absent or can be none."""
    value = record.get(field)
    return value if isinstance(value, int | str) else None


def category_names(
    content: Record, path: Path, options: Options
) -> dict[Any, tuple[str, list[str]]]:
    """Category id to its name and keypoint names, for the wanted categories.

    Raises:
        UsageError: a wanted category is not there.
        JladkitError: none has keypoints, a record is not whole, or a name stands twice.
    """
    names: dict[Any, tuple[str, list[str]]] = {}
    for record in content["categories"]:
        name, keypoints = record.get("name"), record.get("keypoints")
        if identity(record) is None or not isinstance(name, str):
            raise JladkitError(f"{path}: a category must have an id and a name, but is {record}.")
        if not isinstance(keypoints, list) or not keypoints:
            continue
        words = [str(keypoint) for keypoint in keypoints]
        if any("\0" in word or not is_unicode(word) for word in [name, *words]):
            raise JladkitError(
                f"{path}: the category {name!r} has a NUL character, or half a one, in its names."
            )
        if "" in words or len(set(words)) < len(words) or name in {n for n, _ in names.values()}:
            raise JladkitError(
                f"{path}: the category {name} must come once, and each of its keypoints must have "
                f"a name of its own, but they are {words}."
            )
        names[record["id"]] = (name, words)
    if not names:
        raise JladkitError(
            f"{path} names no keypoints: give a keypoints file (such as "
            "person_keypoints_train2017.json), whose categories list them."
        )
    known = sorted({name for name, _ in names.values()})
    missing = sorted(set(options.category) - set(known))
    if missing:
        raise UsageError(f"No category {', '.join(missing)} in {path}. Known: {', '.join(known)}.")
    return {k: v for k, v in names.items() if v[0] in (options.category or known)}


def group_by_image(content: Record, path: Path) -> list[Unit]:
    """Every image that has annotations, with them, in order of file name.

    Raises:
        JladkitError: an image has no id or file_name, or there is no annotation at all.
    """
    for image in content["images"]:
        if identity(image) is None or not isinstance(image.get("file_name"), str):
            raise JladkitError(f"{path}: an image must have an id and a file_name, but is {image}.")
    images = {image["id"]: image for image in content["images"]}
    groups: dict[Any, list[Record]] = defaultdict(list)
    for annotation in content["annotations"]:
        groups[identity(annotation, "image_id")].append(annotation)
    if not groups:
        raise JladkitError(f"{path} has no annotations.")
    units = [(images.get(key, {}), group) for key, group in groups.items()]
    return sorted(units, key=lambda unit: unit[0].get("file_name", ""))


def read_image(
    unit: Unit,
    *,
    folder: Path,
    names: Mapping[Any, tuple[str, list[str]]],
    json_path: Path,
    options: Options,
    strict: bool,
) -> Found:
    """Crop the wanted objects of one image."""
    image, records = unit
    found = Found(strict=strict)
    name = image.get("file_name", "")
    path = PurePosixPath(name.replace("\\", "/"))
    if not name:
        for _ in records:
            found.refuse("annotation of an image that is not listed", json_path)
        return found
    if "\0" in name or not is_unicode(name):
        found.refuse("file_name that no file can have", json_path)
        return found
    if path.is_absolute() or ".." in path.parts:
        found.refuse("file_name leads out of the picture folder", folder / path)
        return found
    annotations = []
    for index, record in enumerate(records):
        annotation = read_annotation(record, index, path.as_posix(), names, json_path, found)
        if annotation is not None and annotation.visible < options.min_keypoints:
            found.skip(f"fewer than {options.min_keypoints} visible keypoints", json_path)
        elif annotation is not None:
            annotations.append(annotation)
    if annotations:
        store_crops(found, folder / path, annotations, options.style, stated_size(image))
    return found


def stated_size(image: Record) -> tuple[int, int] | None:
    """Width and height as the JSON has them, or None where it does not say."""
    width, height = image.get("width"), image.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def read_annotation(
    record: Record,
    index: int,
    image: str,
    names: Mapping[Any, tuple[str, list[str]]],
    path: Path,
    found: Found,
) -> Annotation | None:
    """One annotation, or None after it was counted as left out."""
    if identity(record, "category_id") not in names:
        found.skip("of another category, or one without keypoints", path)
        return None
    if record.get("iscrowd"):
        found.skip("a crowd", path)
        return None
    category, keypoints = names[record["category_id"]]
    try:
        flat = [float(value) for value in record.get("keypoints", [])]
        box = np.array(record["bbox"], dtype=float).reshape(4).tolist()
    except (KeyError, TypeError, ValueError, OverflowError):
        flat, box = [], [math.nan] * 4
    codes = flat[2::3]
    whole = len(flat) == 3 * len(keypoints) and CODES.issuperset(codes)
    if not whole or not all(map(math.isfinite, box)):
        found.refuse(
            "annotation broken", path,
            f"Give annotation {record.get('id')} a bbox of four numbers and {3 * len(keypoints)} "
            "numbers of keypoints, every third 0, 1 or 2",
        )  # fmt: skip
        return None
    points = {}
    for keypoint, x, y, code in zip(keypoints, flat[::3], flat[1::3], codes, strict=True):
        if code > 0 and math.isfinite(x) and math.isfinite(y):
            points[keypoint] = Point(x, y, code == VISIBLE, int(code))
        else:
            points[keypoint] = NOWHERE[code]
    x, y, width, height = box[0] - 0.5, box[1] - 0.5, *box[2:]
    return Annotation(image, index, category, points, np.array([x, y, x + width, y + height]))


@click.command("coco", short_help="Any COCO-keypoints JSON with its pictures.")
@job_options("coco")
@crop_options(Options)
@pair_options(Options)
@click.option("--annotations", metavar="FILE", help="The JSON, relative to ROOT.  "
              "[default: the only one in ROOT or ROOT/annotations]")  # fmt: skip
@click.option("--images", metavar="DIR", help="The folder that file_name is relative to, itself "
              "relative to ROOT.  [default: ROOT/images, else ROOT]")  # fmt: skip
@click.option("--pose-tolerance", type=click.FloatRange(min=0, min_open=True), metavar="T",
              help="Pair only objects whose common visible keypoints all lie within T of each "
              "other, as a share of the box's sides. Used for choosing pairs, nothing else.  "
              "[default: pairs at random]")  # fmt: skip
def command(root: Path, job: Job, **values: Any) -> None:
    """Build from any COCO-keypoints JSON.

    ROOT holds the JSON and the pictures. To bring your own data, write such a JSON: categories
    with `keypoints` (their names), annotations with `bbox` and `keypoints`.

    \b
    jladkit build-dataset coco animals --out animals.h5 --pose-tolerance 0.3
    jladkit build-dataset coco coco2017 --out people.h5 --images val2017 \\
        --annotations annotations/person_keypoints_val2017.json
    """
    build(root, Options(**values), job)
