"""Caltech-101 with CNNGeo's 1,515 pairs: polygons and masks of the objects, all for testing.

    ROOT/test_pairs_caltech_with_category.csv        the list of WeakAlign, HPF and DHPF
    ROOT/101_ObjectCategories/<category>/image_0001.jpg
    ROOT/Annotations/<category>/annotation_0001.mat  obj_contour, box_coord; for --annotations mat

ROOT may also hold caltech-101 or Caltech-101 with all of it. A row of the list is source_image,
target_image, class, XA, YA, XB, YB; XA to YB are the vertices of the objects' polygons, numbers
parted by commas, as the code of WeakAlign and HPF reads them (the list itself was not to be had).
A picture with one polygon is one object, in however many rows it stands.

No keypoint has a name here. An object's keypoints are its polygon's vertices, v000, v001 ... in
their order (jladkit/formats/masks.py): they are as many as the polygon has and do not correspond
between source and target. None is visible, so there is no PCK; all have positions, so methods
carry them over, which HPF's measure needs. The mask is the polygon filled, in the frame of the
picture: pixels whose centres lie in it, as `fill_polygon` there says.

The list's numbers are taken as 0-based xy, as WeakAlign and HPF take them when they fill the
polygons, so that the masks are theirs. It may be that they are 1-based: they come from MATLAB,
where CNNGeo filled them as such. The .mat files certainly are: the release's own viewer plots
obj_contour + box_coord([3 1]) over the picture, whose first pixel lies at 1, 1. `--annotations mat`
takes polygons and boxes from them, one less, and counts how many polygons of the list are the same
as they stand, and how many with one less. The box of an object is box_coord then, from the centre
of the first pixel to the last one's; without .mat files the extent of the polygon.

CNNGeo leaves out two of the pairs, whose annotations have fewer than three vertices or cover less
than 1 % of the picture; those who use the list do not. Here a polygon must have three vertices and
cover a pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import click
import numpy as np

from jladkit.builders.about import About
from jladkit.builders.build import check_start
from jladkit.builders.objects import Annotation, Found, Point
from jladkit.builders.official import Listed, build_listed, checked_name, picture_size, read_rows
from jladkit.builders.options import Job, job_options, option
from jladkit.builders.pf_willow import SAME, UNPAIRED, check_annotations, read_mat
from jladkit.errors import JladkitError
from jladkit.formats.masks import encode_mask, fill_polygon, vertex_names

PICTURES, ANNOTATIONS = "101_ObjectCategories", "Annotations"
FOLDERS = ("caltech-101", "Caltech-101")  # as the release calls it, and HPF's copy
LIST = "test_pairs_caltech_with_category.csv"
LIST_URL = f"http://www.di.ens.fr/willow/research/weakalign/other_resources/{LIST}"
ABOUT = About(
    title="Caltech-101",
    url=f"https://data.caltech.edu/records/mzrjq-6wc02, its list of pairs from {LIST_URL}",
    licence="Creative Commons Attribution 4.0; of the list of pairs not stated",
    citation="L. Fei-Fei, R. Fergus, P. Perona: Learning Generative Visual Models from Few "
    "Training Examples. CVPR Workshops 2004. Measures: J. Kim, C. Liu, F. Sha, K. Grauman: "
    "Deformable Spatial Pyramid Matching for Fast Dense Correspondences. CVPR 2013.",
    layout="""
test_pairs_caltech_with_category.csv            the list of pairs, with polygons
101_ObjectCategories/<category>/image_*.jpg     the pictures that it names
Annotations/<category>/annotation_*.mat         only for --annotations mat
""",
    creator="L. Fei-Fei, R. Fergus, P. Perona",
    published="2004",
)
COLUMNS = ("source_image", "target_image", "class", "XA", "YA", "XB", "YB")
TEST = 2
RELEASED = {  # folders of annotations that the release calls otherwise than those of pictures
    "airplanes": "Airplanes_Side_2",
    "Faces": "Faces_2",
    "Faces_easy": "Faces_3",
    "Motorbikes": "Motorbikes_16",
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where polygons and boxes come from: the "list", or the "mat" files."""

    name: str = "caltech101"
    seed: int = 0
    annotations: str = "list"


class Shape(NamedTuple):
    """An object in its picture: its (n, 2) 0-based polygon and its box (4,) x1 y1 x2 y2."""

    polygon: np.ndarray
    box: np.ndarray


class Side(NamedTuple):
    """One side of a row: <category>/<picture>.jpg, and the object in it."""

    image: str
    shape: Shape


def build(root: Path, options: Options, job: Job) -> str:
    """Build a dataset.h5 from Caltech-101; returns the digest of its contents.

    Args:
        root: the folder with the list and 101_ObjectCategories, or one that holds it.
        options: enter the recipe.
        job: output, workers, strictness.

    Raises:
        UsageError: `root` is no folder, or the output exists.
        JladkitError: it has another layout, files are missing, or no pair is left.
    """
    check_start(root, job)
    base, path = find_folder(root)
    listed = Listed(found=Found(strict=job.strict))
    rows = read_rows(path, len(COLUMNS), ", ".join(COLUMNS), parse_row, listed.found)
    told: dict[str, Any] = {"box": "extent of the polygon"}
    if options.annotations == "mat":
        rows, told = annotated(base, rows, listed.found, path)
    add_rows(listed, rows, base / PICTURES, path)
    check_annotations(listed.found, ABOUT, job)
    if not listed.pairs:
        raise JladkitError(f"No pair is left of {path}. Download Caltech-101 and the list again.")
    most: dict[str, int] = {}
    for one in listed.annotations:
        most[one.category] = max(most.get(one.category, 0), len(one.points))
    names = {category: vertex_names(count) for category, count in most.items()}
    return build_listed("caltech101", base / PICTURES, listed, options, job, about=ABOUT,
                        names=names, sided=False, notes=lambda _: told)  # fmt: skip


def find_folder(root: Path) -> tuple[Path, Path]:
    """The folder that holds the pictures' folder, and the list.

    Raises:
        JladkitError: one of the two is not there.
    """
    base = next((p for p in (root / n for n in ("", *FOLDERS)) if (p / PICTURES).is_dir()), None)
    if base is None:
        raise JladkitError(
            f"{root} is not in Caltech-101's layout: expected {PICTURES}/<category>/*.jpg. Give the "
            "folder that 101_ObjectCategories.tar.gz was unpacked into."
        )
    path = next((p / LIST for p in (root, base) if (p / LIST).is_file()), None)
    if path is None:
        raise JladkitError(f"There is no file {base / LIST}. Get the list of pairs: {LIST_URL}")
    return base, path


def parse_row(record: Sequence[str]) -> tuple[Side, Side]:
    """One line of the list; raises ValueError where it is off."""
    if len(record) != len(COLUMNS):
        raise ValueError(f"{len(record)} columns")
    images = [picture_name(cell) for cell in record[:2]]
    if images[0].partition("/")[0] != images[1].partition("/")[0]:
        raise ValueError("its pictures are of two categories")
    shapes = [extent(parse_polygon(record[k], record[k + 1])) for k in (3, 5)]
    return Side(images[0], shapes[0]), Side(images[1], shapes[1])


def picture_name(cell: str) -> str:
    """<category>/<picture>.jpg of a path in the list; raises ValueError where it is none."""
    parts = PurePosixPath(checked_name(cell)).parts
    if len(parts) < 2:
        raise ValueError(f"{cell!r} is in no category's folder")
    return "/".join(parts[-2:])


def parse_polygon(x: str, y: str) -> np.ndarray:
    """(n, 2) xy of two lists of numbers, parted by commas; raises ValueError where they are off."""
    axes = [[float(number) for number in axis.split(",")] for axis in (x, y)]
    if len(axes[0]) != len(axes[1]):
        raise ValueError(f"a polygon of {len(axes[0])} x but {len(axes[1])} y")
    return checked_polygon(np.array(axes).T)


def checked_polygon(xy: np.ndarray) -> np.ndarray:
    """`xy` (n, 2); raises ValueError unless it has three vertices or more, all finite."""
    if len(xy) < 3 or not np.isfinite(xy).all():
        raise ValueError("a polygon must have three vertices or more, all of them finite")
    return xy


def extent(polygon: np.ndarray) -> Shape:
    """A polygon with the box around its vertices."""
    return Shape(polygon, np.concatenate([polygon.min(axis=0), polygon.max(axis=0)]))


def annotated(
    base: Path, rows: Sequence[tuple[Side, Side]], found: Found, where: Path
) -> tuple[list[tuple[Side, Side]], dict[str, Any]]:
    """The rows with the polygons and boxes of the .mat files in place of the list's.

    Args:
        base: holds Annotations/.
        rows: of the list.
        found: takes the files, and the rows that are left out for want of one.
        where: the list, that these are counted for.

    Returns:
        The rows, and facts for the `source` attribute.
    """
    images = sorted({side.image for row in rows for side in row})
    read = {image: read_shape(base, image, found) for image in images}
    kept, same, less = [], 0, 0
    for source, target in rows:
        first, second = read[source.image], read[target.image]
        if first is None or second is None:
            found.skip(UNPAIRED, where)
            continue
        kept.append((Side(source.image, first), Side(target.image, second)))
        for side, shape in ((source, first), (target, second)):
            same += alike(side.shape.polygon, shape.polygon)
            less += alike(side.shape.polygon - 1, shape.polygon)
    return kept, {
        "box": "box_coord of the .mat files",
        "polygons_of_list_like_mat": same,
        "polygons_of_list_like_mat_less_1": less,
        "polygons_of_list": 2 * len(kept),
    }


def alike(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two polygons have the same vertices, but for rounding."""
    return first.shape == second.shape and np.allclose(first, second, rtol=0, atol=SAME)


def read_shape(base: Path, image: str, found: Found) -> Shape | None:
    """What the .mat file of a picture says, or None after it was counted as missing or broken."""
    category, _, picture = image.partition("/")
    file = PurePosixPath(picture).stem.replace("image", "annotation") + ".mat"
    folders = [category, RELEASED.get(category, category)]
    folder = next((f for f in folders if (base / ANNOTATIONS / f).is_dir()), folders[-1])
    name = f"{ANNOTATIONS}/{folder}/{file}"
    content = read_mat(base / name, name, ("obj_contour", "box_coord"), found)
    if content is None:
        return None
    contour, corners = content["obj_contour"], content["box_coord"].ravel()
    try:
        if contour.shape[0] != 2 or corners.shape != (4,):
            raise ValueError("obj_contour must be 2 x n, box_coord y1 y2 x1 x2")
        top, bottom, left, right = corners - 1
        if not (right > left and bottom > top):
            raise ValueError("box_coord must be y1 y2 x1 x2")
        polygon = checked_polygon(contour.T + np.array([left, top]))
    except ValueError as error:
        found.refuse("annotation broken", base / name, f"It is off ({error}). Download it again")
        return None
    return Shape(polygon, np.array([left, top, right, bottom]))


def add_rows(
    listed: Listed, rows: Sequence[tuple[Side, Side]], pictures: Path, where: Path
) -> None:
    """The objects, each once, with their masks, and the pairs of the rows.

    Args:
        listed: takes them.
        rows: of the list.
        pictures: the folder of the pictures, whose sizes the masks have. Of a picture that is
            missing or broken there is no mask; the build says so later.
        where: the list, that a row whose polygon covers nothing is counted for.
    """
    images = sorted({side.image for row in rows for side in row})
    sizes = {image: picture_size(pictures / image) for image in images}
    place: dict[tuple[str, bytes], int] = {}
    seen: dict[str, int] = {}
    listed.masks = []
    for row in rows:
        masks = [side_mask(side, sizes[side.image]) for side in row]
        if None in masks:
            listed.found.refuse("polygon covers no pixel of its picture", where,
                                f"It is the row of {row[0].image} and {row[1].image}")  # fmt: skip
            continue
        ends = []
        for (image, shape), mask in zip(row, masks, strict=True):
            key = (image, shape.polygon.tobytes())
            if key not in place:
                place[key] = len(listed.annotations)
                seen[image] = seen.get(image, -1) + 1
                listed.annotations.append(as_object(image, seen[image], shape))
                listed.masks.append(mask or b"")
            ends.append(place[key])
        listed.pairs.append((ends[0], ends[1], TEST))


def side_mask(side: Side, size: tuple[int, int] | None) -> bytes | None:
    """The encoded mask of one side, b"" where its picture has no size, None where it is empty."""
    if size is None:
        return b""
    mask = fill_polygon(side.shape.polygon, *size)
    return encode_mask(mask) if mask.any() else None


def as_object(image: str, index: int, shape: Shape) -> Annotation:
    """The object of one side; its vertices have positions, but none is visible."""
    names = vertex_names(len(shape.polygon))
    points = {n: Point(float(x), float(y), False)
              for n, (x, y) in zip(names, shape.polygon, strict=True)}  # fmt: skip
    return Annotation(image, index, image.partition("/")[0], points, shape.box, split=TEST)


@click.command("caltech101", short_help="Caltech-101: CNNGeo's pairs with polygons and masks.")
@job_options("caltech101")
@option(
    Options,
    "--annotations",
    click.Choice(["list", "mat"]),
    "list: polygons are those of the list of pairs. mat: polygons and boxes are those of the "
    "release's .mat files.",
)
def command(root: Path, job: Job, **values: Any) -> None:
    """Build from Caltech-101 with CNNGeo's pairs; every pair is for testing, and has masks.

    ROOT holds 101_ObjectCategories and test_pairs_caltech_with_category.csv, and Annotations for
    --annotations mat.

    \b
    jladkit build-dataset caltech101 caltech-101 --out caltech101.h5
    """
    build(root, Options(**values), job)
