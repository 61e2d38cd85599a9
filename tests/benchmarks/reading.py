"""Random reads from dataset.h5 through the torch data set, against decoding from memory.

Wanted: at least 0.8 of the rate of decoding the same bytes from memory. Give the path of a
dataset.h5 to measure that one; else 400 noisy pictures of 256 px are written first.
"""

import io
import sys
import tempfile
from pathlib import Path

import numpy as np
from drawn_pictures import written
from PIL import Image
from timing import show, take_turns

from jladkit.formats.dataset import open_dataset
from jladkit.training.loading import Images, squashed

SIDE = 256


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        given = Path(sys.argv[1]) if len(sys.argv) > 1 else written(Path(folder) / "noise.h5")
        data = open_dataset(given)
        rows = np.random.default_rng(0).permutation(len(data.object_category))[:400]
        images = Images(data, rows, SIDE)
        memory = [data.encoded(int(row)) for row in rows]

        def through_file() -> None:
            for index in range(len(images)):
                images[index]

        def from_memory() -> None:
            for encoded in memory:
                squashed(Image.open(io.BytesIO(encoded)).convert("RGB"), SIDE)

        seconds = take_turns({"dataset.h5": through_file, "memory": from_memory}, rounds=5)
    show(
        f"{len(rows)} random reads, decoded and squashed to {SIDE} px",
        seconds,
        {"rate of dataset.h5 / memory (wanted: 0.8 or more)": ("memory", "dataset.h5")},
    )
    print(f"  {'pictures a second':<44}{len(rows) / seconds['dataset.h5']:10.0f}")


if __name__ == "__main__":
    main()
