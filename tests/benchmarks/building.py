"""Builds, against a bare loop that only decodes, cuts, resizes and encodes the same objects.

Wanted, with 2 processes: at least 0.9 of the bare loop's rate, and at least 1.7 times the rate of
the bare loop in one process. Builds the folders `cars` (in PASCAL3D+'s layout) and `animals` (in
COCO's) below the one that JLADKIT_SHARED_DATA names; without it, 1,500 pictures drawn here.
"""

import io
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
from PIL import Image
from timing import show, take_turns

from jladkit.builders import coco, crops, pascal3d, synthetic
from jladkit.builders.options import Job
from jladkit.formats.dataset import Dataset, open_dataset

Cut = tuple[tuple[int, int, int], int]  # left, top and side of a square, and the side to store
PROCESSES = 2
STEP = 32  # pictures a call, for the bare loop


def bare(task: list[tuple[Path, list[Cut]]]) -> int:
    """Decode, cut, resize and encode, as one writes it first; returns the bytes that came out."""
    total = 0
    for path, cuts in task:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        height, width = pixels.shape[:2]
        for (left, top, side), size in cuts:
            x1, y1, x2, y2 = max(left, 0), max(top, 0), left + side, top + side
            missing = ((y1 - top, max(y2 - height, 0)), (x1 - left, max(x2 - width, 0)), (0, 0))
            square = np.pad(pixels[y1 : max(y2, 0), x1 : max(x2, 0)], missing, "edge")
            crop = Image.fromarray(square).resize((size, size), Image.Resampling.BICUBIC)
            stream = io.BytesIO()
            crop.save(stream, "JPEG", quality=crops.QUALITY)
            total += stream.tell()
    return total


def bare_loop(pictures: Path, data: Dataset, processes: int) -> None:
    """The objects of `data`, anew from their pictures below `pictures`."""
    cuts: dict[str, list[Cut]] = defaultdict(list)
    for name, matrix, size in zip(
        data.object_source_image, data.object_to_source, data.object_size[:, 0].tolist(),
        strict=True,
    ):  # fmt: skip
        scale = matrix[0, 0]
        left, top = (round(matrix[axis, 2] + 0.5 - 0.5 * scale) for axis in (0, 1))
        cuts[str(name)].append(((left, top, round(size * scale)), size))
    tasks = [(pictures / name, parts) for name, parts in sorted(cuts.items())]
    groups = [tasks[start : start + STEP] for start in range(0, len(tasks), STEP)]
    joblib.Parallel(n_jobs=processes)(joblib.delayed(bare)(group) for group in groups)


def measure(name: str, pictures: Path, out: Path, build: Callable[[int], object]) -> None:
    """Time one source and print its ratios."""
    build(PROCESSES)
    data = open_dataset(out)
    seconds = take_turns(
        {
            "jladkit, 2 processes": lambda: build(PROCESSES),
            "bare loop, 2 processes": lambda: bare_loop(pictures, data, PROCESSES),
            "bare loop, 1 process": lambda: bare_loop(pictures, data, 1),
        },
        rounds=3,
    )
    show(
        f"{name}: {len(data.object_category)} objects",
        seconds,
        {
            "rate of jladkit / bare loop (wanted: 0.9)": (
                "bare loop, 2 processes", "jladkit, 2 processes"),
            "rate of jladkit / one process (wanted: 1.7)": (
                "bare loop, 1 process", "jladkit, 2 processes"),
        },
    )  # fmt: skip
    rate = len(data.object_category) / seconds["jladkit, 2 processes"]
    print(f"  {'objects a second':<44}{rate:10.0f}")


def main() -> None:
    shared = os.environ.get("JLADKIT_SHARED_DATA")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "a.h5"

        def job(workers: int) -> Job:
            return Job(out=out, workers=workers, overwrite=True)

        if shared is None:
            root, options = Path(folder) / "drawn", synthetic.Options(images=125, faces=0)
            synthetic.draw(root, options, workers=PROCESSES)
            views = pascal3d.Options()
            measure("drawn objects", root, out, lambda n: pascal3d.build(root, views, job(n)))
            return
        cars, animals = Path(shared) / "cars", Path(shared) / "animals"
        views = pascal3d.Options(min_keypoints=0)
        measure("cars", cars, out, lambda n: pascal3d.build(cars, views, job(n)))
        poses = coco.Options(pose_tolerance=0.4)
        pictures = animals / "images"
        measure("animals", pictures, out, lambda n: coco.build(animals, poses, job(n)))


if __name__ == "__main__":
    main()
