"""The pictures of a data set as a backbone sees them: computed once where it is frozen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset
from jladkit.model.backbones import Backbone
from jladkit.model.halves import halves
from jladkit.model.joint import channels_last
from jladkit.training.loading import batch_of
from jladkit.training.store import Maps, stored_maps

Rows = NDArray[np.int64]


class Warps(Protocol):
    """A batch of known warps, as jladkit.model.warps.Warp is one."""

    def take(self, which: Tensor) -> "Warps":
        """The warps (B,) of a larger batch."""
        ...

    def apply(self, images: Tensor) -> Tensor:
        """(B, C, H, W): each warp's picture made from each of the images."""
        ...


class Pictures:
    """Maps of objects' pictures, and of warped ones.

    Args:
        data: the data set.
        features: the backbone.
        size: side of the squares that pictures are squashed to.
        cache: folder for maps that are computed once; None keeps them in memory.
        device: where the backbone is, and where maps are wanted.
        progress: whether bars are shown.
        trained_from: the layer from which on the backbone is trained; "" for a frozen one. What
            is kept of a picture is then what comes before that layer.
    """

    def __init__(
        self,
        data: Dataset,
        features: Backbone,
        size: int,
        *,
        cache: Path | None,
        device: torch.device,
        progress: bool,
        trained_from: str = "",
    ) -> None:
        self.data, self.features, self.size, self.device = data, features, size, device
        self.options: dict[str, Any] = {"folder": cache, "device": device, "progress": progress}
        self.kept = None
        parts = halves(features, trained_from, size) if trained_from else None
        self.fixed, self.moving = parts or (features, None)
        self.can_keep = parts is not None or not trained_from

    def keep(self, rows: Rows) -> None:
        """Compute what is fixed of the maps of objects `rows` now, and answer from it."""
        known = np.unique(rows)
        self.place = np.full(len(self.data.object_category), -1)
        self.place[known] = np.arange(len(known))
        key = {"dataset": self.data.digest, "size": self.size, "rows": known.tolist()}
        self.kept = stored_maps(
            self.fixed, lambda at: batch_of(self.data, known[at], self.size), len(known),
            key=key, label="features", **self.options,
        )  # fmt: skip

    def keep_warped(self, rows: Rows, each: int, bank: Warps, key: Mapping[str, Any]) -> Maps:
        """Compute what is fixed of the maps of warped pictures now.

        Args:
            rows: (n,) of object/*.
            each: how many warps a picture has.
            bank: n * each warps; those of rows[i] begin at i * each.
            key: what the bank depends on.

        Returns:
            From (B,) numbers in the bank to their maps (B, C, h, w).
        """

        def pictures(at: Rows) -> Tensor:
            images = batch_of(self.data, rows[at // each], self.size)
            return channels_last(bank.take(torch.from_numpy(at)).apply(images))

        whole = {"dataset": self.data.digest, "size": self.size, "rows": rows.tolist(), **key}
        kept = stored_maps(
            self.fixed, pictures, len(rows) * each, key=whole, label="warped features",
            **self.options,
        )  # fmt: skip
        return lambda at: self.finished(kept(at))

    def __call__(self, rows: Rows) -> Tensor:
        """(B, C, h, w) maps of objects (B,): kept ones, else as the backbone gives them now."""
        if self.kept is not None:
            return self.finished(self.kept(self.place[rows]))
        return self.features(batch_of(self.data, rows, self.size).to(self.device))

    def finished(self, kept: Tensor) -> Tensor:
        """Maps, from what is kept of them."""
        return kept if self.moving is None else self.moving(kept)


def objects_in_use(data: Dataset) -> Rows:
    """Rows of object/* that training and validation look at: those of both splits, and of pairs."""
    ends = np.concatenate([data.pairs("train"), data.pairs("val")])
    return np.unique(
        np.concatenate(
            [
                data.objects("train"),
                data.objects("val"),
                data.pair_source[ends],
                data.pair_target[ends],
            ]
        )
    )


def check_pairs(data: Dataset) -> None:
    """Raise JladkitError unless there are pairs to train and to validate on."""
    train, val = len(data.pairs("train")), len(data.pairs("val"))
    if not train or not val:
        raise JladkitError(
            f"{data.path} has {train} train and {val} val pairs; training needs both."
        )
