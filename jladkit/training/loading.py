"""dataset.h5 as tensors: squashed pictures, keypoints in their frame."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import default_collate

from jladkit.formats.dataset import Dataset


class Images(TorchDataset[Tensor]):
    """The pictures of some objects, squashed to a square.

    Item i is (3, size, size) uint8 RGB, of object rows[i].
    """

    def __init__(self, data: Dataset, rows: Sequence[int] | NDArray[np.int64], size: int) -> None:
        self.data, self.rows, self.size = data, np.asarray(rows), size

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Tensor:
        return squashed(self.data.image(int(self.rows[index])), self.size)


class Pairs(TorchDataset[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]):
    """The pairs of some rows of pair/*, squashed to squares.

    Item i is, for pair rows[i]: source and target, (3, size, size) uint8 RGB; the keypoints of
    both, (K, 2) float32 xy in pixels of their squares, NaN where none is annotated; and (K,) bool,
    which are visible in both.
    """

    def __init__(self, data: Dataset, rows: Sequence[int] | NDArray[np.int64], size: int) -> None:
        self.data, self.rows, self.size = data, np.asarray(rows), size

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        data, row = self.data, int(self.rows[index])
        sides = [int(data.pair_source[row]), int(data.pair_target[row])]
        pictures = [squashed(data.image(side), self.size) for side in sides]
        points = to_square(data.object_keypoints[sides], data.object_size[sides], self.size)
        source, target = torch.from_numpy(points.astype(np.float32))
        common = torch.from_numpy(data.object_visible[sides].all(axis=0))
        return pictures[0], pictures[1], source, target, common


def collate_pairs(items: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
    """Items of Pairs as a batch, for a DataLoader's `collate_fn`.

    Pictures lie with their channels last, as they were decoded, which saves a slow copy.
    """
    # default_collate stacks into memory that worker and parent share.
    columns = list(zip(*items, strict=True))
    pictures = [default_collate([image.permute(1, 2, 0) for image in column]).permute(0, 3, 1, 2)
                for column in columns[:2]]  # fmt: skip
    return pictures + [default_collate(list(column)) for column in columns[2:]]


def squashed(image: Image.Image, size: int) -> Tensor:
    """A picture as (3, size, size) uint8 RGB, its aspect given up, antialiased."""
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def batch_of(data: Dataset, rows: NDArray[np.int64], size: int) -> Tensor:
    """(B, 3, size, size) float RGB in [0, 1]."""
    images = Images(data, rows, size)
    return as_floats(torch.stack([images[i] for i in range(len(images))]))


def as_floats(pictures: Tensor) -> Tensor:
    """(B, 3, size, size) uint8 as floats in [0, 1], channels last in memory."""
    return pictures.to(memory_format=torch.channels_last).float() / 255


def to_square(
    points: NDArray[np.float64], sizes: NDArray[np.int32], side: int
) -> NDArray[np.float64]:
    """Points of stored pictures as points of their squashed squares.

    Args:
        points: (B, N, 2) xy in pixels of pictures of `sizes`.
        sizes: (B, 2) width and height.
        side: of the square.
    """
    return (points + 0.5) * (side / sizes[:, None]) - 0.5


def from_square(
    points: NDArray[np.float64], sizes: NDArray[np.int32], side: int
) -> NDArray[np.float64]:
    """The inverse of `to_square`."""
    return (points + 0.5) * (sizes[:, None] / side) - 0.5


def cells_in_boxes(data: Dataset, rows: NDArray[np.int64], cells: int) -> Tensor:
    """(B, cells, cells) bool: which cells of a map over their squares have their centres in the
    boxes of objects `rows` (B,), edges included."""
    corners = data.object_box[rows].reshape(-1, 2, 2)
    low, high = to_square(corners, data.object_size[rows], cells).transpose(1, 2, 0)[
        ..., None, None
    ]
    at = np.arange(cells)
    x, y = at[None, :], at[:, None]
    inside = (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
    return torch.from_numpy(inside)


def batches(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """`rows` in slices of at most `size`, in order."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
