"""A small data set for tests: pictures of one bright dot in each quarter, drawn here."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jladkit.formats.dataset import write_dataset

NAMES = ["left_eye", "right_eye", "nose"]
SIDE = 48


def drawn_arrays(objects: int = 12, categories: int = 1, seed: int = 0) -> dict[str, Any]:
    """Every field of dataset.h5. Splits go 0, 1, 2, 0, 1, 2 ...; pairs join neighbours in one.

    Each picture is SIDE x SIDE + 8 pixels, with three dots where its keypoints are.
    """
    random = np.random.default_rng(seed)
    pictures, keypoints = [], []
    height = SIDE + 8
    for _ in range(objects):
        points = np.array([[12, 15], [35, 15], [24, 38]]) + random.uniform(-5, 5, (3, 2))
        picture = random.integers(0, 60, (height, SIDE, 3)).astype(np.uint8)
        for (x, y), colour in zip(points.round().astype(int), np.eye(3), strict=True):
            picture[y - 2 : y + 3, x - 2 : x + 3] = (255 * colour).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        pictures.append(buffer.getvalue())
        keypoints.append(points)
    ends = np.cumsum([len(p) for p in pictures])
    split = np.arange(objects) // categories % 3
    category = np.arange(objects) % categories
    pairs = [
        (a, b)
        for a in range(objects)
        for b in range(objects)
        if a != b and split[a] == split[b] and category[a] == category[b]
    ]
    source, target = np.array(pairs).T
    return {
        "category/name": np.array([f"kind{c}" for c in range(categories)], dtype=object),
        "category/keypoint_names": np.array([NAMES] * categories, dtype=object),
        "category/flip": np.array([[1, 0, 2]] * categories),
        "category/iod_pair": np.array([[0, 1]] * categories),
        "object/image_bytes": np.frombuffer(b"".join(pictures), dtype=np.uint8),
        "object/image_span": np.stack([ends - [len(p) for p in pictures], ends], axis=1),
        "object/source_image": np.array(
            [f"pictures/{i}.png" for i in range(objects)], dtype=object
        ),
        "object/source_index": np.zeros(objects),
        "object/source_size": np.tile([SIDE, height], (objects, 1)),
        "object/to_source": np.tile(np.eye(2, 3), (objects, 1, 1)),
        "object/category": category,
        "object/keypoints": np.array(keypoints),
        "object/visible": np.ones((objects, 3), dtype=bool),
        "object/status": np.full((objects, 3), -1),
        "object/box": np.tile([-0.5, -0.5, SIDE - 0.5, height - 0.5], (objects, 1)),
        "object/size": np.tile([SIDE, height], (objects, 1)),
        "object/viewpoint": np.full((objects, 4), np.nan),
        "object/truncated": np.full(objects, -1),
        "object/occluded": np.full(objects, -1),
        "object/difficult": np.full(objects, -1),
        "object/split": split,
        "pair/source": source,
        "pair/target": target,
        "pair/category": category[source],
        "pair/split": split[source],
        "pair/common": np.full(len(pairs), 3),
    }


def drawn_dataset(path: Path, **options: Any) -> Path:
    """Write `drawn_arrays` as a dataset.h5 and return its path."""
    write_dataset(
        path,
        drawn_arrays(**options),
        name=path.stem,
        recipe={"builder": "drawn", "seed": options.get("seed", 0)},
        source={"digest": "", "counts": {}, "left_out": {}},
    )
    return path
