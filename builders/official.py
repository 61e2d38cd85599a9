"""Data sets whose pairs are given: pictures stay whole, pairs and splits are those of the lists.

Their builders read the lists into a `Listed`; what follows is the same for all.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
from PIL import ImageOps

from jladkit.builders import crops
from jladkit.builders.about import About
from jladkit.builders.build import Read, check_any, gather, read_all, write
from jladkit.builders.objects import (
    IDENTITY,
    Annotation,
    Found,
    Stored,
    category_arrays,
    decode_or_refuse,
    mirror,
    object_arrays,
    open_or_refuse,
)
from jladkit.builders.options import Job
from jladkit.builders.pairs import common_keypoints
from jladkit.builders.shards import Pictures
from jladkit.errors import JladkitError
from jladkit.formats.files import Pieces

Row = TypeVar("Row")
WHOLE = np.full(4, np.nan)  # the box of an object that is its whole picture


@dataclass
class Listed:
    """What a source's lists say, before any picture is opened.

    `annotations` carry their split; a box of NaN stands for the whole picture. `pairs` are rows of
    `annotations` and the split. `masks`, where a source has them, are 1-bit PNGs in the order of
    `annotations`, b"" for none. `flow`, where a source has it, reads the (H, W, 2) float32 flow
    of a pair, given its row in `pairs`. Masks and flow are those of the pictures as they will be
    stored; keypoints and boxes those of the files.
    """

    annotations: list[Annotation] = field(default_factory=list)
    pairs: list[tuple[int, int, int]] = field(default_factory=list)
    masks: list[bytes] | None = None
    flow: Callable[[int], np.ndarray] | None = None
    found: Found = field(default_factory=Found)  # what was left out, and the lists' files


def build_listed(
    builder: str,
    root: Path,
    listed: Listed,
    options: Any,
    job: Job,
    *,
    about: About,
    names: Mapping[str, Sequence[str]],
    sided: bool = True,
    notes: Callable[[Mapping[str, np.ndarray]], Mapping[str, Any]] | None = None,
) -> str:
    """Build a dataset.h5 of whole pictures and the listed pairs, in the lists' order.

    Args:
        builder: the source's name.
        root: what the annotations' `image` is below.
        listed: objects and pairs. Pairs whose pictures are missing are left out and counted.
        options: a dataclass with `name`; enters the recipe whole.
        job: output, workers, strictness.
        about: the source's facts.
        names: each category's keypoint names.
        sided: False where the names say nothing of left and right: no flip permutation is stored.
        notes: gives further facts for the `source` attribute, from the arrays.

    Returns:
        The digest of the contents.

    Raises:
        JladkitError: pictures are missing and that was not allowed, or no pair is left.
    """
    pictures = sorted({picture_of(annotation) for annotation in listed.annotations})
    read = partial(read_whole, root=root, strict=job.strict)
    with read_all(pictures, read, options, about, job) as found:
        found.rest.left_out += listed.found.left_out
        found.rest.files += listed.found.files
        found.rest.missing += listed.found.missing
        arrays, pictures = listed_arrays(found, listed, names)
        if not sided:
            arrays["category/flip"] = np.full_like(arrays["category/flip"], -1)
        told = notes(arrays) if notes is not None else {}
        return write(builder, arrays, pictures, found, options, job, about, told)


def picture_of(annotation: Annotation) -> tuple[str, bool]:
    """The picture that an annotation's object is stored with: its path, and whether mirrored."""
    return annotation.image, annotation.mirrored


def read_whole(picture: tuple[str, bool], *, root: Path, strict: bool) -> Found:
    """A picture as it is in its file, encoded anew only where that is needed to see it right."""
    name, mirrored = picture
    found = Found(strict=strict)
    raw = found.read(root / name, name)
    opened = open_or_refuse(found, root / name, raw) if raw is not None else None
    image = decode_or_refuse(found, opened, 1, raw) if opened is not None and raw else None
    if raw is None or opened is None or image is None:
        return found
    plain = not opened.turned and not opened.image.mode.startswith("I") and not mirrored
    encoding = "png" if opened.image.format == "PNG" else "jpeg"  # what had no loss keeps none
    shown = ImageOps.mirror(image) if mirrored else image
    stored = raw if plain else crops.encode(shown, encoding)
    annotation = Annotation(name, int(mirrored), "", {}, WHOLE)
    found.objects.append(Stored(annotation, WHOLE, stored, image.size, image.size, IDENTITY))
    return found


def picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture; None where it is missing or broken, which is said later."""
    try:
        return crops.open_picture(path, path.read_bytes()).size if path.is_file() else None
    except (OSError, JladkitError):
        return None


def listed_arrays(
    found: Read, listed: Listed, names: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Any], Pictures]:
    """Every field of the file but the pictures, and where these lie."""
    read, lying = gather(found, None)
    keys = zip(read["object/source_image"], read["object/source_index"], strict=True)
    pictures = {(str(image), bool(index)): row for row, (image, index) in enumerate(keys)}
    rows = [row for row, a in enumerate(listed.annotations) if picture_of(a) in pictures]
    check_any(rows, found.rest)
    place = {row: new for new, row in enumerate(rows)}
    kept = [k for k, (a, b, _) in enumerate(listed.pairs) if a in place and b in place]
    if len(kept) < len(listed.pairs):
        lost = len(listed.pairs) - len(kept)
        found.rest.left_out += [("pair whose pictures are not here", "")] * lost
    if listed.pairs and not kept:
        raise JladkitError("No pair is left: of each, a picture is missing or broken.")
    used = sorted({listed.annotations[row].category for row in rows})
    kept_annotations = [listed.annotations[row] for row in rows]
    own = [pictures[picture_of(annotation)] for annotation in kept_annotations]
    objects = [
        placed(annotation, read["object/size"][row])
        for annotation, row in zip(kept_annotations, own, strict=True)
    ]
    arrays: dict[str, Any] = category_arrays({c: names[c] for c in used})
    arrays |= object_arrays(objects, {c: names[c] for c in used})
    pairs = np.array([listed.pairs[k] for k in kept], dtype=int).reshape(-1, 3)
    source, target = (np.array([place[row] for row in pairs[:, side]], dtype=int)
                      for side in (0, 1))  # fmt: skip
    arrays |= {
        "pair/source": source,
        "pair/target": target,
        "pair/category": arrays["object/category"][source],
        "pair/split": pairs[:, 2],
        "pair/common": common_keypoints(arrays["object/visible"], source, target),
    }
    if listed.masks is not None:
        arrays |= spanned([listed.masks[row] for row in rows], "object/mask")
    if listed.flow is not None:
        arrays |= flows(kept, listed.flow, arrays["object/size"][source])
    return arrays, lying.take(own)


def placed(annotation: Annotation, size: Sequence[int] | np.ndarray) -> Stored:
    """The annotation in its whole picture, whose bytes lie elsewhere."""
    width, height = int(size[0]), int(size[1])
    whole = np.array([-0.5, -0.5, width - 0.5, height - 0.5])
    box = annotation.box if np.isfinite(annotation.box).all() else whole
    to_source = mirror(width) if annotation.mirrored else IDENTITY
    return Stored(annotation, box, b"", (width, height), (width, height), to_source)


def spanned(parts: Sequence[bytes], field: str) -> dict[str, np.ndarray]:
    """`parts` behind one another, as FIELD_bytes, and their first and last+1 byte, as FIELD_span."""
    ends = np.cumsum([0] + [len(part) for part in parts])
    return {
        f"{field}_bytes": np.frombuffer(b"".join(parts), dtype=np.uint8),
        f"{field}_span": np.stack([ends[:-1], ends[1:]], axis=1),
    }


def flows(
    kept: Sequence[int], flow: Callable[[int], np.ndarray], sizes: np.ndarray
) -> dict[str, Any]:
    """The pair/flow fields, read pair by pair while they are written.

    Args:
        kept: which rows to give `flow`.
        flow: gives (H, W, 2).
        sizes: (P, 2) width and height of each pair's source picture.
    """
    ends = np.cumsum([0, *(sizes[:, 0] * sizes[:, 1])])

    def make() -> Any:
        for k, (width, height) in zip(kept, sizes, strict=True):
            field = flow(k)
            if field.shape != (height, width, 2):
                raise JladkitError(
                    f"The flow of pair {k} must be {width}x{height} pixels like its source "
                    f"picture, but is {field.shape[1]}x{field.shape[0]}. Download it again."
                )
            yield field.reshape(-1, 2).astype(np.float32)

    return {
        "pair/flow": Pieces((int(ends[-1]), 2), np.dtype(np.float32), make),
        "pair/flow_span": np.stack([ends[:-1], ends[1:]], axis=1),
    }


def input_file(path: Path, name: str, found: Found) -> bytes:
    """The bytes of a list, noted as an input.

    Raises:
        JladkitError: it is missing or cannot be read.
    """
    raw = found.read(path, name)
    if raw is None:
        raise JladkitError(f"There is no file {path}, or it cannot be read.")
    if crops.looks_like_html(raw):
        raise JladkitError(f"{path} is a web page saved as a data file. Download the file itself.")
    return raw


def read_rows(
    path: Path, columns: int, told: str, parse: Callable[[Sequence[str]], Row], found: Found
) -> list[Row]:
    """The rows of a list of pairs: a CSV file with a heading.

    Args:
        path: the list.
        columns: how many the heading has.
        told: what they are, in words.
        parse: reads one row, which may have another length, and raises ValueError where it is off.
        found: takes the list, and the rows that are broken.

    Raises:
        JladkitError: it is no such list, or (under --strict) a row is broken.
    """
    raw = input_file(path, path.name, found)
    try:
        head, *records = list(csv.reader(raw.decode("utf-8-sig").splitlines())) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise JladkitError(f"{path} cannot be read as CSV: {error}. Download it again.") from error
    if len(head) != columns:
        raise JladkitError(
            f"{path} must have {columns} columns ({told}), but has {len(head)}. Download it again."
        )
    rows = []
    for line, record in enumerate(records, start=2):
        try:
            rows.append(parse(record))
        except ValueError as error:
            found.refuse("row broken", path, f"Line {line} is off ({error})")
    return rows


def checked_name(name: str) -> str:
    """`name`, which must lead to a file below ROOT.

    Raises:
        ValueError: it does not.
    """
    path = PurePosixPath(name)
    if not name or "\0" in name or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{name!r} is no picture below ROOT")
    return path.as_posix()
