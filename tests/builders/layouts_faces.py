"""Small sources of faces drawn for tests, in the layouts of CelebA, MAFL and MTFL."""

import tarfile
from pathlib import Path

import numpy as np

from tests.builders.layouts import picture

HEADER = ("lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y "
          "rightmouth_x rightmouth_y")  # fmt: skip


def points_of(number: int) -> list[int]:
    """Ten numbers, x1 y1 x2 y2 ..., of the face with this number: like aligned CelebA's."""
    return [69 + number % 3, 109, 106, 113 - number % 2, 77, 142, 73, 152, 108, 154]


def celeba_root(root: Path, count: int = 40, *, train: int = 30, test: int = 6) -> Path:
    """Pictures 1 to `count`; MAFL's training list has the first `train`, its testing list the next
    `test`; every fourth picture is in CelebA's val split."""
    names = [f"{i:06}.jpg" for i in range(1, count + 1)]
    for name in names:
        picture(root / "img_align_celeba" / name, 178, 218)
    rows = [f"{name}  " + " ".join(f"{v:3d}" for v in points_of(i)) for i, name in enumerate(names)]
    text = "\n".join([str(count), HEADER, *rows]) + "\n"
    (root / "list_landmarks_align_celeba.txt").write_text(text)
    partition = "".join(f"{name} {int(i % 4 == 3)}\r\n" for i, name in enumerate(names))
    (root / "list_eval_partition.txt").write_text(partition)
    (root / "MAFL").mkdir()
    (root / "MAFL" / "training.txt").write_text("\n".join(names[:train]))
    (root / "MAFL" / "testing.txt").write_text("\n".join(names[train : train + test]))
    return root


def mtfl_root(root: Path, *, train: int = 20, aflw: int = 12) -> Path:
    """MTFL's lists with attributes and Windows' slashes, as released, and its pictures."""
    for folder, name, count in (("lfw_5590", "training.txt", train), ("AFLW", "testing.txt", aflw)):
        rows = []
        for i in range(count):
            picture(root / folder / f"{i:03}.jpg", 80, 80, "L" if i == 0 else "RGB")
            x, y = np.array(points_of(i)).reshape(5, 2).T * 0.4 + 1
            numbers = " ".join(f"{value:.4f}" for value in [*x, *y])
            rows.append(f"{folder}\\{i:03}.jpg {numbers} 1 2 1 3")
        (root / name).write_text("\n".join(rows) + "\n")
    return root


def as_tar(folder: Path, path: Path) -> Path:
    """The contents of `folder` as a tar."""
    with tarfile.open(path, "w") as tar:
        for child in sorted(folder.iterdir()):
            tar.add(child, child.name)
    return path
