"""Data sets with given pairs, drawn for tests, each in the on-disk layout of its release."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from tests.builders.layouts import picture

WILLOW = "PF-dataset-WILLOW"
SPAIR_LINES = {
    "trn": ["000001-a-b:cat", "000002-b-a:cat"],
    "val": ["000003-c-d:dog"],
    "test": ["000004-e-f:dog", "000005-c-e:dog"],
}


def willow_points(number: int) -> np.ndarray:
    """(10, 2) 0-based xy of the picture with this number: a slanted row of points."""
    k = np.arange(10.0)
    return np.stack([5 + number + 6 * k, 3 + 2 * number + 4 * k], axis=1)


def write_willow(folder: Path, number: int, points: np.ndarray | None = None) -> None:
    """Picture <number>.png with its 1-based .mat."""
    points = willow_points(number) if points is None else points
    picture(folder / f"p{number}.png")
    savemat(folder / f"p{number}.mat", {"pts_coord": points.T + 1})


def willow_root(root: Path, counts: dict[str, int] | None = None, inside: str = WILLOW) -> Path:
    """A release with so many pictures in each folder."""
    for folder, count in (counts or {"car(S)": 3, "duck(S)": 2}).items():
        for number in range(count):
            write_willow(root / inside / folder, number)
    return root


def willow_row(folder: str, first: int, second: int, shift: float = 0.0) -> str:
    """A row of CNNGeo's list; `shift` moves the second picture's keypoints to the right."""
    points = [willow_points(first) + 1, willow_points(second) + 1 + [shift, 0]]
    numbers = np.concatenate([side.T.ravel() for side in points])
    names = [f"PF-dataset/{folder}/p{n}.png" for n in (first, second)]
    return ",".join([*names, *(f"{number:.6f}" for number in numbers)])


def write_willow_list(path: Path, rows: Sequence[str]) -> None:
    """A list with its heading."""
    ends = [f"{axis}{k}" for side in "AB" for axis in (f"X{side}", f"Y{side}")
            for k in range(1, 11)]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([",".join(["imageA", "imageB", *ends]), *rows]) + "\n")


def spair_image(category: str, **changes: Any) -> dict[str, Any]:
    """What an ImageAnnotation says; `changes` replace fields."""
    points: dict[str, list[int] | None] = {str(k): None for k in range(30)}
    points |= {"0": [10, 20], "2": [30, 40], "11": [50, 25]}
    return {
        "filename": "x.jpg",
        "image_width": 80,
        "image_height": 60,
        "image_depth": 3,
        "category": category,
        "pose": "Unspecified",
        "truncated": 0,
        "occluded": 0,
        "difficult": 0,
        "bndbox": [5, 6, 65, 56],
        "kps": points,
        "azimuth_id": 3,
        **changes,
    }


def write_spair_image(root: Path, category: str, name: str, **changes: Any) -> None:
    """A picture and its ImageAnnotation."""
    picture(root / f"JPEGImages/{category}/{name}.jpg")
    path = root / f"ImageAnnotation/{category}/{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(spair_image(category, filename=f"{name}.jpg", **changes)))


def write_spair_pair(root: Path, split: str, line: str, **changes: Any) -> None:
    """A PairAnnotation, as the ImageAnnotations give it; `changes` replace fields."""
    pair, _, category = line.partition(":")
    _, *names = pair.split("-")
    images = [json.loads((root / f"ImageAnnotation/{category}/{name}.json").read_text())
              for name in names]  # fmt: skip
    common = [k for k in images[0]["kps"] if all(image["kps"][k] for image in images)]
    told: dict[str, Any] = {"category": category, "filename": line, "kps_ids": common}
    for side, image in zip(("src", "trg"), images, strict=True):
        told |= {f"{side}_kps": [image["kps"][k] for k in common],
                 f"{side}_bndbox": image["bndbox"]}  # fmt: skip
    path = root / f"PairAnnotation/{split}/{line}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**told, **changes}))


def spair_root(root: Path, lines: dict[str, list[str]] | None = None) -> Path:
    """A release with the pictures a, b of cats and c to f of dogs, and the same lists twice."""
    for category, names in {"cat": "ab", "dog": "cdef"}.items():
        for name in names:
            write_spair_image(root, category, name)
    for split, rows in (lines or SPAIR_LINES).items():
        for layout in ("large", "small"):
            path = root / f"Layout/{layout}/{split}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{row}\n" for row in rows))
    return root


def write_pascal_mat(
    root: Path, category: str, name: str, points: Sequence[Sequence[float]], **changes: Any
) -> Path:
    """A .mat file of PF-PASCAL's original release; returns its path.

    Args:
        root: holds PF-dataset-PASCAL.
        category: its folder.
        name: the picture's, without .jpg.
        points: 0-based xy, NaN for none.
        changes: replace or add fields.
    """
    path = root / f"PF-dataset-PASCAL/Annotations/{category}/{name}.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {"kps": np.array(points) + 1, "bbox": [[6.0, 4.0, 71.0, 56.0]], "class": category}
    savemat(path, {**fields, **changes})
    return path
