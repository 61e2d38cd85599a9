"""SPair-71k in its official layout: pictures whole, pairs and splits those of the lists.

    ROOT/Layout/{large,small}/{trn,val,test}.txt     000001-<source>-<target>:<category>
    ROOT/ImageAnnotation/<category>/<picture>.json   keypoints by number, box, flags
    ROOT/JPEGImages/<category>/<picture>.jpg
    ROOT/PairAnnotation/{trn,val,test}/<line>.json   read only to check (--check-pairs)

The keypoints of a pair are those that both pictures have, so its own file says nothing new of
them; 1,800 files are read in place of 70,958.

Keypoints are whole pixels, taken as 0-based: the devkit draws them as they are. Boxes are PASCAL
VOC's, 1-based from first to last pixel; they are stored from the first pixel's centre to the
last one's, so that their sides are x2 - x1 and y2 - y1, which SPair's PCK is measured by.

Viewpoints are not stored. `azimuth_id` counts eight sectors around the object, but the devkit does
not say which of them is the front, nor which way they turn; `pose` is a word, or "Unspecified".
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from jladkit.builders.about import About
from jladkit.builders.build import check_start
from jladkit.builders.crops import looks_like_html
from jladkit.builders.objects import Annotation, Found, Point
from jladkit.builders.official import Listed, build_listed, input_file
from jladkit.builders.options import Job, job_options, option
from jladkit.builders.pf_willow import UNPAIRED, check_annotations
from jladkit.errors import JladkitError

RELEASE = "SPair-71k"
ABOUT = About(
    title="SPair-71k",
    url="https://cvlab.postech.ac.kr/research/SPair-71k/",
    licence="the terms of use of PASCAL VOC and Flickr, where its pictures come from",
    citation="J. Min, J. Lee, J. Ponce, M. Cho: SPair-71k: A Large-scale Benchmark for Semantic "
    "Correspondence. arXiv:1908.10543, 2019.",
    layout="""
Layout/{large,small}/{trn,val,test}.txt    the lists of pairs
ImageAnnotation/<category>/*.json          keypoints, box and flags of each picture
JPEGImages/<category>/*.jpg                the pictures
PairAnnotation/{trn,val,test}/*.json       only for --check-pairs
""",
    creator="J. Min, J. Lee, J. Ponce, M. Cho",
    published="2019",
)
LISTS = ("trn", "val", "test")
PART = r"[^-:/\\.\0][^-:/\\\0]*"  # of a line: a name, that leads to no other folder
LINE = re.compile(rf"{PART}-({PART})-({PART}):({PART})")
LAYOUTS = ("large", "small")
FLAGS = ("truncated", "occluded", "difficult")
UNLIKE = "pair unlike its PairAnnotation"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which lists, and whether to hold each pair against its own annotation file."""

    name: str = "spair"
    seed: int = 0
    layout: str = "large"
    check_pairs: bool = False


class Row(NamedTuple):
    """A line of a list: the split, the category, and the source's and target's names."""

    split: int
    category: str
    names: tuple[str, str]
    line: str

    @property
    def keys(self) -> list[tuple[str, str, int]]:
        """What tells its two objects from all others."""
        return [(self.category, name, self.split) for name in self.names]


@dataclass(frozen=True)
class Told:
    """An ImageAnnotation: the object (of no split yet), and the picture's width and height."""

    annotation: Annotation
    size: tuple[int, int]


def build(root: Path, options: Options, job: Job) -> str:
    """Build a dataset.h5 from SPair-71k; returns the digest of its contents.

    Args:
        root: the folder SPair-71k, or the folder that holds it.
        options: enter the recipe.
        job: output, workers, strictness.

    Raises:
        UsageError: `root` is no folder, or the output exists.
        JladkitError: it has another layout, files are missing, or no pair is left.
    """
    check_start(root, job)
    if not (root / "Layout").is_dir() and (root / RELEASE).is_dir():
        root = root / RELEASE
    listed = Listed(found=Found(strict=job.strict))
    rows = [r for split in range(3) for r in read_list(root, options.layout, split, listed.found)]
    pictures = sorted({(row.category, name) for row in rows for name in row.names})
    read = {key: read_object(root, *key, listed.found) for key in pictures}
    told = {key: one for key, one in read.items() if one is not None}
    add_rows(listed, rows, told, root, options)
    check_annotations(listed.found, ABOUT, job)
    if not listed.pairs:
        raise JladkitError(
            f"No pair is left of the lists in {root / 'Layout' / options.layout}: they are empty, "
            "or the annotations they name are missing or broken. Download SPair-71k again."
        )
    sizes = {one.annotation.image: one.size for one in told.values()}

    def notes(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {
            "box": "from the centre of the first pixel to that of the last",
            "pair_annotations": "hold the same keypoints" if options.check_pairs else "not read",
            **doubts(arrays, sizes, job.strict),
        }

    return build_listed("spair", root, listed, options, job, about=ABOUT,
                        names=category_names(told), sided=False, notes=notes)  # fmt: skip


def read_list(root: Path, layout: str, split: int, found: Found) -> list[Row]:
    """The lines of one list.

    Raises:
        JladkitError: it is missing, no text, or (under --strict) a line is broken.
    """
    name = f"Layout/{layout}/{LISTS[split]}.txt"
    path = root / name
    if not path.is_file():
        raise JladkitError(
            f"There is no file {path}. Give the unpacked {RELEASE} folder, which holds "
            "Layout/, ImageAnnotation/ and JPEGImages/."
        )
    try:
        lines = input_file(path, name, found).decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise JladkitError(f"{path} is no text: {error}. Download it again.") from error
    rows = []
    for number, line in enumerate(map(str.strip, lines), start=1):
        match = LINE.fullmatch(line)
        if match:
            rows.append(Row(split, match[3], (match[1], match[2]), line))
        elif line:
            found.refuse(
                "line broken",
                path,
                f"Line {number} must be <number>-<source>-<target>:<category>, but is {line!r}",
            )
    return rows


def read_object(root: Path, category: str, picture: str, found: Found) -> Told | None:
    """The object of a picture, or None after it was counted as missing or broken."""
    name = f"ImageAnnotation/{category}/{picture}.json"
    content = read_json(root / name, name, found)
    if content is None:
        return None
    try:
        return parse_object(content, category, picture)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        found.refuse("annotation broken", root / name, f"It is off ({error!r}). Download it again")
        return None


def read_json(path: Path, name: str, found: Found) -> Any:
    """The content of a JSON file, or None after it was counted as missing or broken."""
    raw = found.read(path, name)
    if raw is None:
        return None
    if looks_like_html(raw):
        found.refuse("annotation is a web page", path, "Download the file itself")
        return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        found.refuse("annotation broken", path, f"It is not JSON ({error}). Download it again")
        return None


def parse_object(content: Mapping[str, Any], category: str, picture: str) -> Told:
    """An ImageAnnotation; raises KeyError, ValueError and the like where it is off."""
    if content["category"] != category:
        raise ValueError(f"its category is {content['category']!r}")
    points = {}
    for number, xy in content["kps"].items():
        there = xy is not None
        at = np.array(xy if there else [np.nan, np.nan], dtype=float)
        if at.shape != (2,) or there != bool(np.isfinite(at).all()):
            raise ValueError(f"keypoint {number} is {xy!r}")
        points[keypoint_name(number)] = Point(float(at[0]), float(at[1]), there)
    box = np.array(content["bndbox"], dtype=float) - 1
    if box.shape != (4,) or not (np.isfinite(box).all() and (box[2:] > box[:2]).all()):
        raise ValueError(f"bndbox is {content['bndbox']!r}")
    truncated, occluded, difficult = (int(content[flag]) for flag in FLAGS)
    annotation = Annotation(
        f"JPEGImages/{category}/{picture}.jpg", 0, category, points, box,
        truncated=truncated, occluded=occluded, difficult=difficult,
    )  # fmt: skip
    return Told(annotation, (int(content["image_width"]), int(content["image_height"])))


def keypoint_name(number: str) -> str:
    """The name of the keypoint with a number."""
    return f"kp{int(number):02d}"


def category_names(told: Mapping[tuple[str, str], Told]) -> dict[str, list[str]]:
    """Each category's keypoints: those that any of its objects has, in order of number."""
    names: dict[str, set[str]] = {}
    for (category, _), one in told.items():
        seen = {name for name, point in one.annotation.points.items() if point.visible}
        names.setdefault(category, set()).update(seen)
    return {category: sorted(seen) for category, seen in names.items()}


def add_rows(
    listed: Listed,
    rows: Sequence[Row],
    told: Mapping[tuple[str, str], Told],
    root: Path,
    options: Options,
) -> None:
    """The objects, in order of category, picture and split, and the pairs of the rows."""
    keys = sorted({key for row in rows for key in row.keys if key[:2] in told})
    place = {key: number for number, key in enumerate(keys)}
    listed.annotations += [replace(told[c, name].annotation, split=s) for c, name, s in keys]
    for row in rows:
        where = root / "Layout" / options.layout / f"{LISTS[row.split]}.txt"
        if not all(key in place for key in row.keys):
            listed.found.skip(UNPAIRED, where)
        elif not options.check_pairs or agrees(row, told, root, listed.found):
            source, target = (place[key] for key in row.keys)
            listed.pairs.append((source, target, row.split))


def agrees(row: Row, told: Mapping[tuple[str, str], Told], root: Path, found: Found) -> bool:
    """True where a pair's own file holds the keypoints and boxes of its two pictures.

    Where it does not, is missing or broken, the pair is counted as left out.
    """
    name = f"PairAnnotation/{LISTS[row.split]}/{row.line}.json"
    content = read_json(root / name, name, found)
    if content is None:
        return False
    sides = [told[row.category, picture].annotation for picture in row.names]
    common = [n for n in sorted(sides[0].points)
              if all(n in one.points and one.points[n].visible for one in sides)]  # fmt: skip
    try:
        order = np.argsort([int(number) for number in content["kps_ids"]])
        same = [keypoint_name(content["kps_ids"][k]) for k in order] == common
        for one, key in zip(sides, ("src", "trg"), strict=True):
            xy = np.array(content[f"{key}_kps"], dtype=float).reshape(-1, 2)[order]
            true = np.array([one.points[n][:2] for n in common]).reshape(-1, 2)
            box = np.array(content[f"{key}_bndbox"], dtype=float) - 1
            same = same and np.array_equal(xy, true) and np.array_equal(box, one.box)
    except (IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        found.refuse("annotation broken", root / name, f"It is off ({error!r}). Download it again")
        return False
    if not same:
        found.refuse(UNLIKE, root / name, "Its keypoints or boxes are not its pictures'")
    return same


def doubts(
    arrays: Mapping[str, np.ndarray], sizes: Mapping[str, tuple[int, int]], strict: bool
) -> dict[str, int]:
    """Facts that tell whether the annotations were read right.

    Args:
        arrays: object/* of the file.
        sizes: each picture's width and height as its annotation states them.
        strict: raise where a picture has another size.

    Returns:
        How many pictures have another size, and how many visible keypoints lie on the first
        row or column, or one behind the last; 1-based keypoints would leave the former empty.

    Raises:
        JladkitError: a picture has another size, under --strict.
    """
    source, size = arrays["object/source_image"], arrays["object/source_size"]
    stated = np.array([sizes[str(image)] for image in source])
    off = sorted({str(image) for image in source[(stated != size).any(axis=1)]})
    if strict and off:
        raise JladkitError(
            f"The annotation of {off[0]} states another size than the picture has. Use the "
            "pictures that belong to the annotations, or build without --strict."
        )
    xy, seen = arrays["object/keypoints"], arrays["object/visible"]
    return {
        "pictures_of_another_size": len(off),
        "keypoints_at_0": int((seen & (xy == 0).any(axis=-1)).sum()),
        "keypoints_beyond": int((seen & (xy >= size[:, None]).any(axis=-1)).sum()),
    }


@click.command("spair", short_help="SPair-71k with the official pairs.")
@job_options("spair")
@option(Options, "--layout", click.Choice(LAYOUTS), "Whose lists: 70,958 pairs or a part of them.")
@click.option("--check-pairs", is_flag=True,
              help="Read the PairAnnotation of every pair too, and leave out those whose keypoints "
              "or boxes differ from their pictures'.")  # fmt: skip
def command(root: Path, job: Job, **values: Any) -> None:
    """Build from SPair-71k with the official pairs.

    ROOT is the unpacked folder SPair-71k, or the folder that holds it.

    \b
    jladkit build-dataset spair SPair-71k --out spair.h5
    """
    build(root, Options(**values), job)
