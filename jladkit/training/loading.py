"""dataset.h5 as tensors: squashed pictures, keypoints in their frame, features computed once."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import default_collate
from tqdm import tqdm

from jladkit.formats.dataset import Dataset
from jladkit.model.backbones import Backbone


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


def batches(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """`rows` in slices of at most `size`, in order."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def cached_features(
    backbone: Backbone, data: Dataset, rows: NDArray[np.int64], size: int, progress: bool
) -> Callable[[NDArray[np.int64]], Tensor]:
    """Features of a frozen backbone, computed once and kept in half precision.

    Args:
        rows: the objects that will be asked for.

    Returns:
        A function from (B,) rows of object/* to their (B, C, h, w) float32 features.
    """
    rows = np.unique(rows)
    place = np.full(len(data.object_category), -1)
    place[rows] = np.arange(len(rows))
    store: Tensor | None = None
    device = next(backbone.parameters()).device
    with tqdm(total=len(rows), desc="features", unit="image", disable=not progress) as bar:
        for part in batches(rows, 16):
            with torch.inference_mode():
                found = backbone(batch_of(data, part, size).to(device)).half().cpu()
            if store is None:
                store = torch.empty(len(rows), *found.shape[1:], dtype=torch.float16)
            store[place[part[0]] : place[part[0]] + len(part)] = found
            bar.update(len(part))

    def features(wanted: NDArray[np.int64]) -> Tensor:
        assert store is not None
        return store[torch.from_numpy(place[wanted])].float().to(device)

    return features
