"""Small sources drawn for tests, each in the on-disk layout that its builder reads."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from jladkit.builders import coco, pascal3d
from jladkit.builders.options import Job
from jladkit.formats.dataset import Dataset, open_dataset

ANCHORS = ("left_wheel", "right_wheel", "roof", "nose")
EMPTY = np.zeros((0, 0))
HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"


def picture(path: Path, width: int = 80, height: int = 60, mode: str = "RGB") -> None:
    """A picture with a soft gradient."""
    x, y = np.meshgrid(np.linspace(40, 200, width), np.linspace(60, 180, height))
    pixels = np.stack([x, y, (x + y) / 2], axis=-1).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)


def anchor(x: float, y: float, status: int = 1) -> dict[str, Any]:
    """An anchor at the 0-based xy, as PASCAL3D+ writes it: 1-based."""
    return {"location": np.array([x + 1, y + 1]), "status": status}


def thing(**changes: Any) -> dict[str, Any]:
    """An object of class car that passes every filter; `changes` replace fields."""
    points = {name: anchor(20 + 5 * k, 20 + 3 * k) for k, name in enumerate(ANCHORS)}
    return {
        "class": "car",
        "bbox": np.array([11.0, 11.0, 60.0, 50.0]),
        "truncated": 0,
        "occluded": 0,
        "difficult": 0,
        "anchors": points,
        "viewpoint": viewpoint(),
        **changes,
    }


def viewpoint(**changes: Any) -> dict[str, Any]:
    """A complete viewpoint; `changes` replace fields."""
    return {
        "azimuth_coarse": 45.0,
        "elevation_coarse": 0.0,
        "azimuth": 40.0,
        "elevation": 5.0,
        "theta": 1.0,
        "distance": 7.0,
        **changes,
    }


def write_record(root: Path, name: str, *things: dict[str, Any], **changes: Any) -> Path:
    """Annotations/<name>.mat with `things`, and its 80 x 60 picture; returns the .mat's path.

    Args:
        root: the release's folder.
        name: <category>_<part>/<id>.
        things: the record's objects.
        changes: replace fields of the record.
    """
    objects = np.empty((1, len(things)), dtype=[(key, object) for key in thing()])
    for place, one in enumerate(things):
        objects[0, place] = tuple(one[key] for key in thing())
    stem = name.rpartition("/")[2]
    record = {"filename": f"{stem}.JPEG", "imgsize": [80.0, 60.0, 3.0], "objects": objects}
    path = root / "Annotations" / f"{name}.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"record": {**record, **changes}}, do_compression=True)
    picture(root / "Images" / f"{name}.JPEG")
    return path


def pascal3d_root(root: Path, count: int = 8, category: str = "car") -> Path:
    """A release of one category: `count` records with one object each, azimuths alike."""
    for i in range(count):
        view = viewpoint(azimuth=float(i % 4))
        one = thing(viewpoint=view, **{"class": category})
        write_record(root, f"{category}_imagenet/n{i:03}", one)
    return root


def build_pascal3d(root: Path, out: Path, strict: bool = False, **options: Any) -> Dataset:
    """Build with the pascal3d builder and open the result."""
    pascal3d.build(root, pascal3d.Options(**options), Job(out=out, strict=strict))
    return open_dataset(out)


def coco_content(count: int = 10) -> dict[str, Any]:
    """COCO keypoints of `count` pictures with one animal each, every other facing left."""
    names = ["left_eye", "right_eye", "nose", "tail"]
    images, annotations = [], []
    for i in range(count):
        nose, tail = (20, 60) if i % 2 else (60, 20)
        points = [nose, 20, 2, nose + 2, 20, 2, nose, 30, 2, tail, 40, 2]
        images.append({"id": i, "file_name": f"{i:02}.jpg", "width": 80, "height": 60})
        annotations.append(
            {"id": i, "image_id": i, "category_id": 1, "bbox": [10, 10, 60, 40],
             "iscrowd": 0, "keypoints": points}
        )  # fmt: skip
    categories = [{"id": 1, "name": "cat", "keypoints": names}]
    return {"images": images, "annotations": annotations, "categories": categories}


def coco_root(root: Path, content: dict[str, Any] | None = None) -> Path:
    """A folder with annotations.json and images/."""
    content = content or coco_content()
    for image in content["images"]:
        picture(root / "images" / image["file_name"])
    (root / "annotations.json").write_text(json.dumps(content))
    return root


def build_coco(root: Path, out: Path, strict: bool = False, **options: Any) -> Dataset:
    """Build with the coco builder and open the result."""
    coco.build(root, coco.Options(**options), Job(out=out, strict=strict))
    return open_dataset(out)
