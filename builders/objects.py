"""One annotated object, from what a source says about it to its row in dataset.h5."""

import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jladkit.builders import crops
from jladkit.errors import JladkitError

NO_VIEWPOINT = (np.nan, np.nan, np.nan, np.nan)
MIRRORED = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


class Point(NamedTuple):
    """A keypoint: xy of the source picture (NaN where it has none), and the source's own code."""

    x: float
    y: float
    visible: bool
    status: int = -1


NO_POINT = Point(math.nan, math.nan, False)


@dataclass(frozen=True)
class Annotation:
    """What a source says about one object, in pixels of its picture, 0-based pixel centres."""

    image: str  # path below the source's root, with /
    index: int  # which object of that picture's record
    category: str
    points: Mapping[str, Point]
    box: np.ndarray  # (4,) x1 y1 x2 y2 edges; may reach beyond the picture
    viewpoint: Sequence[float] = NO_VIEWPOINT  # azimuth, elevation, theta in degrees, distance
    truncated: int = -1
    occluded: int = -1
    difficult: int = -1
    split: int = -1  # 0 train, 1 val, 2 test where the source decides; -1 where the build does
    mirrored: bool = False  # stored left to right, points and box along; they are told unmirrored

    @property
    def visible(self) -> int:
        """How many of its keypoints are visible."""
        return sum(point.visible for point in self.points.values())


@dataclass(frozen=True)
class Stored:
    """An annotation with the picture that dataset.h5 keeps of it; its box is clipped."""

    annotation: Annotation
    box: np.ndarray  # (4,) in pixels of the source picture
    picture: bytes
    size: tuple[int, int]
    source_size: tuple[int, int]
    to_source: np.ndarray  # (2, 3)


class InputFile(NamedTuple):
    """A file that was read: its name below the root and digest, and how to tell that it changed."""

    name: str
    sha256: str
    path: str
    size: int
    mtime_ns: int


@dataclass
class Found:
    """What some records or pictures of a source gave: objects, what was left out, files read."""

    strict: bool = False
    objects: list[Stored] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)  # reason, file
    missing: list[str] = field(default_factory=list)  # files that should be there
    files: list[InputFile] = field(default_factory=list)

    def add(self, other: "Found") -> None:
        """Take over what `other` found."""
        self.objects += other.objects
        self.left_out += other.left_out
        self.missing += other.missing
        self.files += other.files

    def skip(self, reason: str, where: Path) -> None:
        """Leave something out that the options do not want."""
        self.left_out.append((reason, str(where)))

    def refuse(self, reason: str, where: Path, remedy: str = "") -> None:
        """Leave something out that is broken.

        Raises:
            JladkitError: under --strict.
        """
        if self.strict:
            raise JladkitError(
                f"{where}: {reason}. {remedy or 'Mend or remove it'}, "
                "or build without --strict to leave it out."
            )
        self.left_out.append((reason, str(where)))

    def read(self, path: Path, name: str) -> bytes | None:
        """The bytes of `path`, noted under `name`; None, and counted, where it cannot be read.

        One that is not there is noted as missing, which stops the build unless --allow-missing.
        """
        try:
            if not stat.S_ISREG(
                path.stat().st_mode
            ):  # a pipe would be waited for, a device endless
                self.refuse("no file", path, "A folder, pipe or device stands in its place")
                return None
            with path.open("rb", buffering=0) as file:  # a buffer would be passed by
                raw, state = file.read(), os.fstat(file.fileno())
        except ValueError:  # a NUL, or half a character
            self.refuse("name that no file can have", Path(repr(str(path))))
            return None
        except FileNotFoundError:
            self.missing.append(str(path))
            return None
        except OSError as error:
            self.refuse(
                f"{path.suffix or 'input'} file unreadable",
                path,
                f"Reading it failed: {error.strerror}. Copy it again",
            )
            return None
        self.files.append(noted(raw, name, path, state))
        return raw

    def note(self, raw: bytes, name: str, path: Path) -> None:
        """Note `raw`, a part of the file `path`, under `name`."""
        self.files.append(noted(raw, name, path, path.stat()))


def noted(raw: bytes, name: str, path: Path, state: os.stat_result) -> InputFile:
    """The record of an input."""
    sha256 = hashlib.sha256(raw).hexdigest()
    return InputFile(name, sha256, str(path), state.st_size, state.st_mtime_ns)


@dataclass(frozen=True, kw_only=True)
class CropStyle:
    """How objects are cut out of their pictures, and how they are stored."""

    margin: float
    size: int
    shape: str
    padding: str
    min_side: float
    encoding: str
    quality: int


def store_crops(
    found: Found,
    path: Path,
    annotations: Sequence[Annotation],
    style: CropStyle,
    annotated_size: tuple[int, int] | None,
) -> None:
    """Cut each annotation's window out of the picture they share and add it to `found`.

    Args:
        found: takes the objects and notes what is left out.
        path: the picture.
        annotations: of that picture, all with the same `image`.
        style: how to cut; `min_side` is held against the clipped box's longer side.
        annotated_size: width and height the annotations state, or None.
    """
    raw = found.read(path, annotations[0].image)
    if raw is None:
        return
    opened = open_or_refuse(found, path, raw, annotated_size)
    if opened is None:
        return
    if annotated_size is not None and opened.size != annotated_size:
        found.refuse(
            "picture and annotation differ in size",
            path,
            f"It is {opened.size}, the annotation says {annotated_size}: use the pictures that "
            "belong to the annotations",
        )
        return
    wanted = list(wanted_boxes(found, path, opened, annotations, style.min_side))
    windows = [crops.window_around(box, style.margin, style.shape) for _, box in wanted]
    sizes = [crops.stored_size(window, style.size, style.shape) for window in windows]
    if not wanted:
        return
    shrink = opened.shrink_for(zip(windows, sizes, strict=True))
    image = decode_or_refuse(found, opened, shrink, raw)
    if image is None:
        return
    for (annotation, box), window, size in zip(wanted, windows, sizes, strict=True):
        if keeps_bytes(opened, window, size, style):
            found.objects.append(Stored(annotation, box, raw, size, opened.size, IDENTITY))
            continue
        picture, to_source = crops.cut(image, window, size, style.padding, shrink)
        encoded = crops.encode(picture, style.encoding, style.quality)
        found.objects.append(Stored(annotation, box, encoded, size, opened.size, to_source))


def wanted_boxes(
    found: Found,
    path: Path,
    opened: crops.Opened,
    annotations: Sequence[Annotation],
    min_side: float,
) -> Iterator[tuple[Annotation, np.ndarray]]:
    """The annotations whose boxes, clipped to the picture, are large enough; and these boxes."""
    for annotation in annotations:
        box = crops.clip_box(annotation.box, *opened.size)
        width, height = (box[2:] - box[:2]).tolist()
        finite = all(map(math.isfinite, annotation.box.tolist()))
        if not (finite and width > 0 and height > 0):
            found.refuse("box empty or outside the picture", path)
        elif max(width, height) < min_side:
            found.skip(f"box below {min_side:g} px", path)
        else:
            yield annotation, box


def open_or_refuse(
    found: Found, path: Path, raw: bytes, annotated_size: tuple[int, int] | None = None
) -> crops.Opened | None:
    """The opened picture, or None after it was counted as left out."""
    try:
        return crops.open_picture(path, raw, annotated_size)
    except JladkitError:
        refuse_picture(found, path, raw)
        return None


def decode_or_refuse(
    found: Found, opened: crops.Opened, shrink: int, raw: bytes
) -> Image.Image | None:
    """The decoded picture, or None after it was counted as left out."""
    try:
        return opened.decode(shrink)
    except JladkitError:
        refuse_picture(found, opened.path, raw)
        return None


def refuse_picture(found: Found, path: Path, raw: bytes) -> None:
    """Count the picture whose error is being handled; raise that error under --strict."""
    if found.strict:
        raise  # noqa: PLE0704
    reason = "picture is a web page" if crops.looks_like_html(raw) else "picture broken"
    found.left_out.append((reason, str(path)))


def keeps_bytes(
    opened: crops.Opened, window: crops.Window, size: tuple[int, int], style: CropStyle
) -> bool:
    """True where the window is the whole picture as it is, whose file is stored untouched."""
    whole = crops.Window(0, 0, *opened.size)
    plain = not opened.turned and not opened.image.mode.startswith("I")
    return plain and window == whole and size == opened.size and style.encoding == "jpeg"


def mirrored_name(name: str) -> str:
    """`name` with its words left and right exchanged; words are parted by "_", " " or "-"."""
    return "".join(MIRRORED.get(word, word) for word in re.split(r"([_ -])", name))


def flip_permutation(names: Sequence[str]) -> list[int]:
    """Where each keypoint goes in a mirror picture, by name; -1 where the other side is missing."""
    return [list(names).index(m) if (m := mirrored_name(name)) in names else -1 for name in names]


def iod_pair(names: Sequence[str]) -> tuple[int, int]:
    """The keypoints left_eye and right_eye, or -1 -1."""
    eyes = ("left_eye", "right_eye")
    return (names.index(eyes[0]), names.index(eyes[1])) if set(eyes) <= set(names) else (-1, -1)


def category_arrays(names: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """The category/* fields. `names` gives each category's keypoints, categories in order."""
    most = max((len(row) for row in names.values()), default=0)
    keypoint_names = np.full((len(names), most), "", dtype=object)
    flip = np.full((len(names), most), -1)
    for row, keypoints in enumerate(names.values()):
        keypoint_names[row, : len(keypoints)] = keypoints
        flip[row, : len(keypoints)] = flip_permutation(keypoints)
    return {
        "category/name": np.array(list(names), dtype=object),
        "category/keypoint_names": keypoint_names,
        "category/flip": flip,
        "category/iod_pair": np.array([iod_pair(row) for row in names.values()]).reshape(-1, 2),
    }


def object_arrays(
    objects: Sequence[Stored], names: Mapping[str, Sequence[str]]
) -> dict[str, np.ndarray]:
    """The object/* fields but for pictures and split; points and boxes in the stored pictures.

    Args:
        objects: in the order of their rows.
        names: each category's keypoint names, categories in order.
    """
    count, most = len(objects), max((len(row) for row in names.values()), default=0)
    codes = {name: code for code, name in enumerate(names)}
    rows = {
        name: [*keypoints, *[""] * (most - len(keypoints))] for name, keypoints in names.items()
    }
    listed = (stored.annotation.points.get(name, NO_POINT)
              for stored in objects for name in rows[stored.annotation.category])  # fmt: skip
    numbers, shape = chain.from_iterable(listed), (count, most, len(NO_POINT))
    points = np.fromiter(numbers, float, math.prod(shape)).reshape(shape)
    to_source = np.array([s.to_source for s in objects]).reshape(-1, 2, 3)
    boxes = to_stored(to_source, np.array([s.box for s in objects]).reshape(-1, 2, 2))
    told = [stored.annotation for stored in objects]
    return {
        "object/source_image": np.array([a.image for a in told], dtype=object),
        "object/source_index": np.array([a.index for a in told], dtype=int),
        "object/source_size": np.array([s.source_size for s in objects]).reshape(-1, 2),
        "object/to_source": to_source,
        "object/category": np.array([codes[a.category] for a in told], dtype=int),
        "object/keypoints": to_stored(to_source, points[..., :2]),
        "object/visible": points[..., 2] > 0,
        "object/status": points[..., 3].astype(int),
        "object/box": np.sort(boxes, axis=1).reshape(-1, 4),  # a mirror swaps left and right
        "object/size": np.array([s.size for s in objects]).reshape(-1, 2),
        "object/viewpoint": np.array([a.viewpoint for a in told], dtype=float).reshape(-1, 4),
        "object/truncated": np.array([a.truncated for a in told], dtype=int),
        "object/occluded": np.array([a.occluded for a in told], dtype=int),
        "object/difficult": np.array([a.difficult for a in told], dtype=int),
        "object/split": np.array([a.split for a in told], dtype=int),
    }


def mirror(width: int) -> np.ndarray:
    """The (2, 3) map from xy of a mirrored picture to those of the picture, and back."""
    return np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0]])


def to_stored(to_source: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """(N, n, 2) xy of the source pictures as xy of the stored ones.

    Args:
        to_source: (N, 2, 3) maps from the stored pictures.
        xy: (N, n, 2).
    """
    inverse = np.linalg.inv(to_source[:, :, :2])
    return np.einsum("nij,nkj->nki", inverse, xy - to_source[:, None, :, 2])
