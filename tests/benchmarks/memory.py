"""Peak memory of a build with 2,000 and with 20,000 objects, each process for itself.

Wanted: it does not grow with the pictures. What is kept of an object in memory is a row of
numbers, under a kilobyte; its picture is not.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, PICTURES = 160, 50


def draw(root: Path, objects: int) -> None:
    """A COCO folder: noise, with a box of its own for each object, so that all crops differ."""
    random = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    for k in range(PICTURES):
        noise = random.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / "images" / f"{k:05}.jpg", quality=90)
    for k in range(PICTURES, objects):
        os.link(root / "images" / f"{k % PICTURES:05}.jpg", root / "images" / f"{k:05}.jpg")
    images = [{"id": k, "file_name": f"{k:05}.jpg", "width": SIDE, "height": SIDE}
              for k in range(objects)]  # fmt: skip
    boxes = np.column_stack([random.uniform(0, 40, (objects, 2)),
                             random.uniform(60, 110, (objects, 2))]).tolist()  # fmt: skip
    annotations = [
        {"id": k, "image_id": k, "category_id": 1, "bbox": box,
         "keypoints": [v for x in (50, 70, 90) for v in (x, x, 2)]}
        for k, box in enumerate(boxes)
    ]  # fmt: skip
    categories = [{"id": 1, "name": "noise", "keypoints": ["a", "b", "c"]}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations.json").write_text(json.dumps(content))


def main() -> None:
    print("\nPeak memory of the largest process of a build")
    with tempfile.TemporaryDirectory() as folder:
        for objects in (2_000, 20_000):
            root, out = Path(folder) / str(objects), Path(folder) / f"{objects}.h5"
            draw(root, objects)
            command = [sys.executable, "-m", "jladkit", "build-dataset", "coco", str(root),
                       "--out", str(out), "--workers", "2"]  # fmt: skip
            subprocess.run(command, check=True, capture_output=True)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            size = out.stat().st_size / 1e6
            print(f"  {f'{objects:,} objects, a file of {size:.0f} MB':<44}{peak:10.0f} MB")


if __name__ == "__main__":
    main()
