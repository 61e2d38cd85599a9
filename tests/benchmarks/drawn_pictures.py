"""A data set of JPEG pictures with as much detail as photographs, drawn here."""

import io
from pathlib import Path

import numpy as np
from drawn import drawn_arrays
from PIL import Image, ImageFilter

from jladkit.formats.dataset import write_dataset


def written(path: Path, objects: int = 400, side: int = 256, categories: int = 20) -> Path:
    """Write a dataset.h5 of blurred noise, `side` pixels a side, and return its path."""
    random = np.random.default_rng(0)
    arrays = drawn_arrays(objects=objects, categories=categories)
    encoded = []
    for _ in range(objects):
        noise = random.integers(0, 256, (side, side, 3)).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1.5)).save(
            buffer, "JPEG", quality=95
        )
        encoded.append(buffer.getvalue())
    ends = np.cumsum([len(e) for e in encoded])
    arrays["object/image_bytes"] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    arrays["object/image_span"] = np.stack([ends - [len(e) for e in encoded], ends], axis=1)
    arrays["object/size"] = np.full((objects, 2), side)
    write_dataset(path, arrays, name="noise", recipe={}, source={})
    return path
