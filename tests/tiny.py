"""A small data set made of arrays, for tests of whatever reads one."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jladkit.formats.dataset import Dataset, open_dataset, write_dataset
from jladkit.formats.predictions import Predictions

NAMES = [["left_wheel", "right_wheel", "roof", "light"], ["left_eye", "right_eye", "nose", ""]]
EYES = [[-1, -1], [0, 1]]


def png(width: int, height: int, generator: np.random.Generator) -> bytes:
    """A small noisy picture."""
    pixels = generator.integers(0, 255, (height, width, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def tiny_arrays(objects: int = 60, seed: int = 0) -> dict[str, np.ndarray]:
    """Two categories ("car" with four keypoints, "face" with eyes), pictures of any aspect.

    Every third object is in test; every object is the source of one pair of its category and
    split. One keypoint in eight is not visible, faces' eyes always are.
    """
    generator = np.random.default_rng(seed)
    row = np.arange(objects)
    category = row % 2
    size = generator.integers(24, 64, (objects, 2))
    keypoints = generator.uniform(0.1, 0.9, (objects, 4, 2)) * size[:, None]
    visible = generator.random((objects, 4)) < 0.875
    visible[category == 1, :2] = True
    keypoints[category == 1, 3] = np.nan
    visible[category == 1, 3] = False
    split = np.where(row // 2 % 3 == 2, 2, 0)
    target = np.empty(objects, dtype=int)
    for code in (0, 1):
        for part in (0, 2):
            members = row[(category == code) & (split == part)]
            target[members] = np.roll(members, 1)
    pictures = [png(int(w), int(h), generator) for w, h in size]
    ends = np.cumsum([len(picture) for picture in pictures])
    box = np.concatenate([np.full((objects, 2), 1.5), size - 3.5], axis=1)
    return {
        "category/name": np.array(["car", "face"], dtype=object),
        "category/keypoint_names": np.array(NAMES, dtype=object),
        "category/flip": np.array([[1, 0, 2, 3], [1, 0, 2, -1]]),
        "category/iod_pair": np.array(EYES),
        "object/image_bytes": np.frombuffer(b"".join(pictures), np.uint8),
        "object/image_span": np.stack([ends - [len(p) for p in pictures], ends], axis=1),
        "object/source_image": np.array([f"{i:03}.png" for i in row], dtype=object),
        "object/source_index": np.zeros(objects, int),
        "object/source_size": size * 2 + 10,
        # The stored picture is a crop at (5, 5) of a source twice as large.
        "object/to_source": np.tile([[2.0, 0.0, 5.0], [0.0, 2.0, 5.0]], (objects, 1, 1)),
        "object/category": category,
        "object/keypoints": keypoints,
        "object/visible": visible,
        "object/status": visible.astype(int),
        "object/box": box,
        "object/size": size,
        "object/viewpoint": np.full((objects, 4), np.nan),
        "object/truncated": np.zeros(objects, int),
        "object/occluded": np.zeros(objects, int),
        "object/difficult": np.zeros(objects, int),
        "object/split": split,
        "pair/source": row,
        "pair/target": target,
        "pair/category": category,
        "pair/split": split,
        "pair/common": (visible & visible[target]).sum(axis=1),
    }


def tiny_dataset(path: Path, **changes: np.ndarray) -> Dataset:
    """`tiny_arrays` as an open data set; `changes` replace fields, "/" spelled "_" as in Dataset."""
    arrays = tiny_arrays()
    for name, array in changes.items():
        arrays[name.replace("_", "/", 1)] = array
    write_dataset(path, arrays, name="tiny", recipe={"builder": "tiny"}, source={})
    return open_dataset(path)


def true_points(data: Dataset, split: str = "test", back: bool = False) -> np.ndarray:
    """(P, K, 2) the targets' keypoints, where their sources have one too; `back` the sources'."""
    rows = data.pairs(split)
    ends = [data.object_keypoints[end[rows]] for end in (data.pair_source, data.pair_target)]
    carried, landed = ends[::-1] if back else ends
    return np.where(np.isfinite(carried), landed, np.nan)


def predicted(data: Dataset, split: str = "test", **parts: Any) -> Predictions:
    """Predictions of a method called "oracle": the truth, but for what `parts` replace."""
    rows = data.pairs(split)
    objects = np.union1d(data.objects("train"), data.objects(split))
    given: dict[str, Any] = {
        "method": "oracle",
        "config": {"seed": 0},
        "split": split,
        "dataset": data.name,
        "dataset_digest": data.digest,
        "environment": {"jladkit": "0.1.0"},
        "created": "2020-01-01T00:00:00+00:00",
        "pair_row": rows,
        "pair_points": true_points(data, split),
        "object_row": objects,
        "object_points": np.nan_to_num(data.object_keypoints[objects]),
        "seconds_per_item": {"pair": 0.01, "object": 0.02},
    }
    return Predictions(**{**given, **parts})
