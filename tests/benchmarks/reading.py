"""Pairs from dataset.h5 through a DataLoader with 2 workers, against decoding the same bytes.

Wanted: at least 0.85 of the rate of a DataLoader that decodes from memory. Beside it two processes
that decode and squash and hand nothing over, which shows what a DataLoader costs; and the same
pictures as files in a folder, and as rows of variable length in HDF5, as others keep them. Give the path of a dataset.h5 to measure
that one; else 400 noisy pictures of 256 px are written first.
"""

import io
import multiprocessing
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from drawn_pictures import written
from PIL import Image
from timing import show, take_turns
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from jladkit.formats.dataset import Dataset, open_dataset
from jladkit.training.loading import Pairs, collate_pairs, squashed

SIDE, BATCH, WORKERS, MOST = 256, 16, 2, 600
MEMORY: list[tuple[bytes, bytes]] = []  # what the decoding processes inherit


def decode(numbers: Sequence[int]) -> None:
    """Decode and squash both pictures of some pairs."""
    torch.set_num_threads(1)
    for number in numbers:
        for raw in MEMORY[number]:
            squashed(Image.open(io.BytesIO(raw)).convert("RGB"), SIDE)


class Memory(TorchDataset[tuple[Tensor, Tensor]]):
    """Pairs of encoded pictures in memory: what a DataLoader itself costs."""

    def __len__(self) -> int:
        return len(MEMORY)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        first, second = (squashed(Image.open(io.BytesIO(raw)).convert("RGB"), SIDE)
                         for raw in MEMORY[index])  # fmt: skip
        return first, second


class Files(TorchDataset[tuple[Tensor, Tensor]]):
    """Pairs of picture files."""

    def __init__(self, pairs: Sequence[tuple[Path, Path]]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        first, second = (squashed(Image.open(path).convert("RGB"), SIDE)
                         for path in self.pairs[index])  # fmt: skip
        return first, second


class Rows(TorchDataset[tuple[Tensor, Tensor]]):
    """Pairs of HDF5 rows of variable length."""

    def __init__(self, path: Path, pairs: Sequence[tuple[int, int]]) -> None:
        self.path, self.pairs = path, pairs
        self.file: Any = None

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if self.file is None:
            self.file = h5py.File(self.path, "r")["image"]
        first, second = (
            squashed(Image.open(io.BytesIO(self.file[row].tobytes())).convert("RGB"), SIDE)
            for row in self.pairs[index]
        )
        return first, second


def through_loader(pairs: TorchDataset[tuple[Tensor, ...]]) -> Callable[[], object]:
    """A run over all pairs, by workers that stay."""
    loader = DataLoader(pairs, batch_size=BATCH, num_workers=WORKERS, persistent_workers=True,
                        collate_fn=collate_pairs)  # fmt: skip
    return lambda: [batch[0].shape for batch in loader]


def as_files(data: Dataset, folder: Path) -> list[Path]:
    """Every object's picture as a file."""
    paths = [folder / f"{row}.jpg" for row in range(len(data.object_category))]
    for row, path in enumerate(paths):
        path.write_bytes(data.encoded(row))
    return paths


def as_rows(data: Dataset, path: Path) -> Path:
    """Every object's picture as a row of variable length."""
    with h5py.File(path, "w") as file:
        kind = h5py.vlen_dtype(np.uint8)
        rows = file.create_dataset("image", (len(data.object_category),), dtype=kind)
        for row in range(len(data.object_category)):
            rows[row] = np.frombuffer(data.encoded(row), np.uint8)
    return path


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        given = Path(sys.argv[1]) if len(sys.argv) > 1 else written(Path(folder) / "noise.h5")
        data = open_dataset(given)
        rows = np.random.default_rng(0).permutation(len(data.pair_source))[:MOST]
        sides = list(zip(data.pair_source[rows].tolist(), data.pair_target[rows].tolist(),
                         strict=True))  # fmt: skip
        paths = as_files(data, Path(folder))
        MEMORY[:] = [(data.encoded(a), data.encoded(b)) for a, b in sides]
        parts = [list(range(start, len(rows), WORKERS)) for start in range(WORKERS)]
        with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
            seconds = take_turns(
                {
                    "dataset.h5": through_loader(Pairs(data, rows, SIDE)),
                    "files in a folder": through_loader(
                        Files([(paths[a], paths[b]) for a, b in sides])),
                    "rows of variable length": through_loader(
                        Rows(as_rows(data, Path(folder) / "rows.h5"), sides)),
                    "memory": through_loader(Memory()),
                    "decoding only, no DataLoader": lambda: pool.map(decode, parts, chunksize=1),
                },
                rounds=7,
            )  # fmt: skip
    show(
        f"{len(rows)} pairs at random, decoded and squashed to {SIDE} px, {WORKERS} processes",
        seconds,
        {
            "rate of dataset.h5 / memory (wanted: 0.85)": ("memory", "dataset.h5"),
            "rate of dataset.h5 / decoding only": ("decoding only, no DataLoader", "dataset.h5"),
            "rate of dataset.h5 / files": ("files in a folder", "dataset.h5"),
            "rate of dataset.h5 / variable length": ("rows of variable length", "dataset.h5"),
        },
    )
    print(f"  {'pairs a second':<44}{len(rows) / seconds['dataset.h5']:10.0f}")


if __name__ == "__main__":
    main()
