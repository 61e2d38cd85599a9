"""One annotated object, from what a source says about it to its row in dataset.h5."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    split: int = 0


@dataclass
class Found:
    """What one record or picture of a source gave: objects, what was left out, files read."""

    strict: bool = False
    objects: list[Stored] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)  # reason, file
    files: list[tuple[str, str]] = field(default_factory=list)  # name below the root, SHA-256

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
        """The bytes of `path`, noted under `name`; None, and counted, where there are none."""
        try:
            raw = path.read_bytes()
        except OSError as error:
            self.refuse(
                f"{path.suffix or 'input'} file missing or unreadable",
                path,
                f"Reading it failed: {error.strerror}. Copy it again",
            )
            return None
        self.files.append((name, hashlib.sha256(raw).hexdigest()))
        return raw


def store_crops(
    found: Found,
    path: Path,
    annotations: Sequence[Annotation],
    *,
    margin: float,
    size: int,
    padding: str,
    min_side: float,
    annotated_size: tuple[int, int] | None,
) -> None:
    """Cut each annotation's square out of the picture they share and add it to `found`.

    Args:
        found: takes the objects and notes what is left out.
        path: the picture.
        annotations: of that picture, all with the same `image`.
        margin, size, padding: as in crops.square_window and crops.cut.
        min_side: least pixels of the clipped box's longer side.
        annotated_size: width and height the annotations state, or None.
    """
    raw = found.read(path, annotations[0].image)
    if raw is None:
        return
    try:
        image, turned = crops.read_picture(path, raw, annotated_size)
    except JladkitError:
        if found.strict:
            raise
        reason = "picture is a web page" if crops.looks_like_html(raw) else "picture broken"
        found.left_out.append((reason, str(path)))
        return
    if annotated_size is not None and image.size != annotated_size:
        found.refuse(
            "picture and annotation differ in size",
            path,
            f"It is {image.size}, the annotation says {annotated_size}: use the pictures that "
            "belong to the annotations",
        )
        return
    for annotation in annotations:
        box = crops.clip_box(annotation.box, *image.size)
        sides = box[2:] - box[:2]
        if not (np.isfinite(annotation.box).all() and (sides > 0).all()):
            found.refuse("box empty or outside the picture", path)
        elif sides.max() < min_side:
            found.skip(f"box below {min_side:g} px", path)
        else:
            window = crops.square_window(box, margin)
            found.objects.append(store(annotation, box, image, raw, turned, window, size, padding))


def store(
    annotation: Annotation,
    box: np.ndarray,
    image: Image.Image,
    raw: bytes,
    turned: bool,
    window: tuple[int, int, int],
    size: int,
    padding: str,
) -> Stored:
    """Cut one window; a window that is the whole picture keeps the file's own bytes."""
    left, top, side = window
    if not turned and window == (0, 0, image.width) and image.height == side <= size:
        return Stored(annotation, box, raw, image.size, image.size, IDENTITY)
    square, to_source = crops.cut(image, left, top, side, size, padding)
    return Stored(annotation, box, crops.encode(square), square.size, image.size, to_source)


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
    """The object/* fields, points and boxes carried into the stored pictures.

    Args:
        objects: in the order of their rows. Equal pictures are kept once.
        names: each category's keypoint names, categories in order.
    """
    count, most = len(objects), max((len(row) for row in names.values()), default=0)
    categories = list(names)
    keypoints = np.full((count, most, 2), np.nan)
    visible = np.zeros((count, most), dtype=bool)
    status = np.full((count, most), -1)
    box = np.zeros((count, 4))
    for row, stored in enumerate(objects):
        for k, name in enumerate(names[stored.annotation.category]):
            point = stored.annotation.points.get(name)
            if point is not None:
                keypoints[row, k] = point.x, point.y
                visible[row, k], status[row, k] = point.visible, point.status
        keypoints[row] = crops.to_stored(stored.to_source, keypoints[row])
        box[row] = crops.to_stored(stored.to_source, stored.box.reshape(2, 2)).ravel()
    image_bytes, image_span = shared_bytes([stored.picture for stored in objects])
    told = [stored.annotation for stored in objects]
    return {
        "object/image_bytes": image_bytes,
        "object/image_span": image_span,
        "object/source_image": np.array([a.image for a in told], dtype=object),
        "object/source_index": np.array([a.index for a in told], dtype=int),
        "object/source_size": np.array([s.source_size for s in objects]).reshape(-1, 2),
        "object/to_source": np.array([s.to_source for s in objects]).reshape(-1, 2, 3),
        "object/category": np.array([categories.index(a.category) for a in told], dtype=int),
        "object/keypoints": keypoints,
        "object/visible": visible,
        "object/status": status,
        "object/box": box,
        "object/size": np.array([s.size for s in objects]).reshape(-1, 2),
        "object/viewpoint": np.array([a.viewpoint for a in told], dtype=float).reshape(-1, 4),
        "object/truncated": np.array([a.truncated for a in told], dtype=int),
        "object/occluded": np.array([a.occluded for a in told], dtype=int),
        "object/difficult": np.array([a.difficult for a in told], dtype=int),
        "object/split": np.array([s.split for s in objects], dtype=int),
    }


def shared_bytes(pictures: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """All pictures behind one another, equal ones once; and the (N, 2) bytes of each."""
    spans: dict[bytes, tuple[int, int]] = {}
    end = 0
    for picture in pictures:
        if picture not in spans:
            spans[picture] = (end, end + len(picture))
            end += len(picture)
    flat = np.frombuffer(b"".join(spans), dtype=np.uint8)
    return flat, np.array([spans[picture] for picture in pictures]).reshape(-1, 2)
