"""Two views of training pictures with the known warp between them: what every landmark paper
learns from. No annotation is read here."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jladkit.errors import UsageError
from jladkit.formats.dataset import Dataset
from jladkit.model.geometry import from_normalised, to_normalised
from jladkit.model.joint import channels_last
from jladkit.model.landmarks import MapNet
from jladkit.model.warp_samplers import PRESETS
from jladkit.model.warps import Warp
from jladkit.training.encoding import PICTURES, Kept
from jladkit.training.loading import Images, as_floats
from jladkit.training.store import Maps, stored_maps

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class ViewConfig:
    """How the two views are made.

    Attributes:
        warps: a name of jladkit.model.warp_samplers.PRESETS.
        brightness: most that is added to a view, as a share of white.
        contrast: most that 1 differs from the factor on a view's distance from its mean.
        saturation: most that 1 differs from the factor on a view's distance from grey.
    """

    warps: str
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0

    def __post_init__(self) -> None:
        if self.warps not in PRESETS:
            raise UsageError(
                f"views.warps must be one of {', '.join(PRESETS)}, not {self.warps!r}."
            )
        if min(self.brightness, self.contrast, self.saturation) < 0:
            raise UsageError("views.brightness, contrast and saturation must not be negative.")


class View(NamedTuple):
    """A batch of two views: `source` was made from `target` by `warp`, and `target` from the
    picture by `first` (None: it is the picture)."""

    rows: Rows  # of object/*
    which: Tensor  # (B,) categories
    pictures: Tensor  # (B, 3, size, size) of target, in [0, 1], before its colours were changed
    source: Tensor  # as MapNet.look gives it
    target: Tensor
    warp: Warp
    first: Warp | None


class Views:
    """Draws views of a data set's training pictures, as a network looks at them.

    Args:
        data: the data set.
        net: whose `look` is used; maps of a frozen backbone are computed once for plain pictures.
        config: how views are made.
        keep: objects that will be asked for by `plain`.
        cache: folder for such maps; None keeps them in memory.
    """

    def __init__(
        self,
        data: Dataset,
        net: MapNet,
        config: ViewConfig,
        keep: Rows,
        *,
        cache: Path | None,
        device: torch.device,
        progress: bool,
    ) -> None:
        self.data, self.net, self.config, self.device = data, net, config, device
        self.size = net.config.size
        self.objects = data.objects("train")
        self.decoded = Kept(data, self.decode, PICTURES)
        self.stored: Maps | None = None
        if net.features is not None and len(keep):
            self.store(np.unique(keep), cache, progress)

    def store(self, rows: Rows, cache: Path | None, progress: bool) -> None:
        """Compute the backbone's maps of objects `rows` now."""
        features, config = self.net.features, self.net.config
        assert features is not None
        self.place = np.full(len(self.data.object_category), -1)
        self.place[rows] = np.arange(len(rows))
        seen = (config.size, config.offset, config.seen)
        self.stored = stored_maps(
            features,
            lambda at: self.net.seen(self.images(rows[at])),
            len(rows),
            key={"dataset": self.data.digest, "seen": list(seen), "rows": rows.tolist()},
            folder=cache,
            device=self.device,
            label="features",
            progress=progress,
        )

    def decode(self, rows: Rows) -> Tensor:
        """(B, 3, size, size) uint8."""
        images = Images(self.data, rows, self.size)
        return torch.stack([images[i] for i in range(len(images))])

    def images(self, rows: Rows) -> Tensor:
        """(B, 3, size, size) RGB in [0, 1] of objects (B,)."""
        return as_floats(self.decoded(rows))

    def which(self, rows: Rows) -> Tensor:
        """(B,) categories of objects."""
        return torch.from_numpy(self.data.object_category[rows].astype(np.int64)).to(self.device)

    def plain(self, rows: Rows) -> Tensor:
        """What the network reads of objects' pictures as they are."""
        if self.stored is not None and (self.place[rows] >= 0).all():
            return self.stored(self.place[rows]) * self.net.inputs**0.5
        return self.net.look(self.images(rows).to(self.device))

    def draw(self, generator: np.random.Generator, batch: int) -> View:
        """Two views of `batch` training pictures, drawn with replacement."""
        rows = generator.choice(self.objects, batch)
        seeded = torch.Generator().manual_seed(int(generator.integers(2**62)))
        preset = PRESETS[self.config.warps]
        pictures = self.images(rows)
        first = preset.first(batch, seeded) if preset.first else None
        if first is not None:
            pictures = channels_last(first.apply(pictures))
        warp = preset.second(batch, seeded)
        source = channels_last(warp.apply(pictures))
        source, target = (jitter(one, self.config, seeded) for one in (source, pictures))
        with torch.no_grad():
            found = self.net.look(torch.cat([source, target]).to(self.device))
        seen_source, seen_target = found.chunk(2)
        return View(
            rows, self.which(rows), pictures.to(self.device), seen_source, seen_target, warp, first
        )


def jitter(images: Tensor, config: ViewConfig, generator: torch.Generator) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] with other brightness, contrast and saturation, each drawn
    for each picture; clipped."""
    if not (config.brightness or config.contrast or config.saturation):
        return images

    def drawn(limit: float) -> Tensor:
        return limit * (2 * torch.rand(len(images), 1, 1, 1, generator=generator) - 1)

    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = mean + (1 + drawn(config.contrast)) * (images - mean)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (1 + drawn(config.saturation)) * (images - grey)
    return (images + drawn(config.brightness)).clamp(0, 1)


def carried(warp: Warp, points: Tensor, size: int) -> Tensor:
    """Points of a view carried to the view that it was made from.

    Args:
        warp: of the view.
        points: (B, N, 2), or (N, 2) for all, xy in pixels of squares of side `size`.
    """
    moved = warp(to_normalised(points, size, size).cpu()).to(points.device)
    return from_normalised(moved, size, size)
