"""What it costs in pixels that large JPEGs are shrunk by their decoder: grey levels of 255, against
cutting the same crop from the fully decoded picture.

Of the first 300 pictures of the folder `cars` below the one that JLADKIT_SHARED_DATA names; without
it, of 100 pictures drawn here.
"""

import os
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from jladkit.builders import crops, synthetic

SIDES = (128, 64)  # of the stored crops


def differences(path: Path, side: int) -> tuple[int, np.ndarray]:
    """How many times smaller a picture is decoded for a crop of all of it, and (h, w, 3) by how
    much the crop's pixels differ for that."""
    raw = path.read_bytes()
    size = crops.open_picture(path, raw).size
    whole = crops.Window(0, 0, *size)
    stored = crops.stored_size(whole, side, "aspect")
    shrink = crops.open_picture(path, raw).shrink_for([(whole, stored)])
    pictures = [
        crops.cut(crops.open_picture(path, raw).decode(k), whole, stored, shrink=k)[0]
        for k in (1, shrink)
    ]
    full, shrunk = (np.asarray(picture, dtype=float) for picture in pictures)
    return shrink, np.abs(full - shrunk)


def main() -> None:
    shared = os.environ.get("JLADKIT_SHARED_DATA")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(shared or folder) / "cars" / "Images" / "car_imagenet"
        if shared is None:
            options = synthetic.Options(images=100, faces=0, category=("car",), picture_size=640)
            synthetic.draw(Path(folder) / "cars", options)
        paths = sorted(root.iterdir())[:300]
        print("\nShrunk by the decoder: grey levels from the fully decoded picture")
        for side in SIDES:
            found = defaultdict(list)
            for path in paths:
                shrink, off = differences(path, side)
                found[shrink].append((off.mean(), off.max()))
            for shrink, rows in sorted(found.items()):
                mean, most = np.array(rows).T
                print(f"  to {side} px, {shrink} times, {len(rows)} pictures: {mean.mean():.2f} on average, "
                      f"{np.percentile(most, 95):.0f} at the worst pixel (95 % of pictures)")  # fmt: skip


if __name__ == "__main__":
    main()
