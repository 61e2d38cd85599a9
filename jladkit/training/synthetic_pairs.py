"""Synthetic pairs: a picture and the same picture under a known warp, as a backbone sees them."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from jladkit.model.joint import channels_last
from jladkit.model.warps import Warp, WarpRange, random_warp
from jladkit.training.loading import batch_of
from jladkit.training.pictures import Pictures
from jladkit.training.recipe import as_table


class SyntheticPairs:
    """Pairs of the objects `rows` (n,) of object/*; none needs a partner.

    Args:
        pictures: maps of the pictures; kept ones where `warps` is above 0.
        limits: how far warps go.
        seed: of the warps that are drawn once.
        warps: of each picture that are drawn, and whose maps are computed, once. 0: each pair
            has a warp of its own, and its maps are computed when it is drawn.
    """

    def __init__(
        self, pictures: Pictures, rows: NDArray[np.int64], limits: WarpRange, seed: int, warps: int
    ) -> None:
        self.pictures, self.rows, self.limits, self.warps = pictures, rows, limits, warps
        if warps:
            seeded = torch.Generator().manual_seed(seed)
            self.bank = random_warp(len(rows) * warps, limits, seeded)
            key = {"warp": as_table({"warp": limits}), "seed": seed, "warps": warps}
            self.warped = pictures.keep_warped(rows, warps, self.bank, key)

    def draw(
        self, generator: np.random.Generator, batch: int, own: slice | None = None
    ) -> tuple[Warp, Tensor, Tensor, NDArray[np.int64]]:
        """Known warps, the maps (B, C, h, w) of the warped pictures (sources) and of the plain
        ones (targets), and the rows (B,) of their objects.

        Args:
            batch: how many are drawn.
            own: which B of them are wanted; None wants all.
        """
        own = slice(0, batch) if own is None else own
        chosen = generator.integers(len(self.rows), size=batch)
        rows = self.rows[chosen[own]]
        if self.warps:
            at = (chosen * self.warps + generator.integers(self.warps, size=batch))[own]
            warp = self.bank.take(torch.from_numpy(at))
            return warp, self.warped(at), self.pictures(rows), rows
        seeded = torch.Generator().manual_seed(int(generator.integers(2**62)))
        warp = random_warp(batch, self.limits, seeded).take(torch.arange(batch)[own])
        images = batch_of(self.pictures.data, rows, self.pictures.size)
        with torch.no_grad():
            warped = channels_last(warp.apply(images)).to(self.pictures.device)
            return warp, self.pictures.features(warped), self.pictures(rows), rows


def noisy(
    maps: Tensor,
    noise: float,
    generator: torch.Generator,
    batch: int | None = None,
    own: slice | None = None,
) -> Tensor:
    """Maps (B, C, h, w) of unit vectors with Gaussian noise about `noise` long on each; unit again.

    Args:
        batch: how many maps noise is drawn for; None is B.
        own: which B of them these are; None is all.
    """
    shape = (len(maps) if batch is None else batch, *maps.shape[1:])
    drawn = torch.randn(shape, generator=generator)[slice(None) if own is None else own]
    return F.normalize(maps + noise * drawn.to(maps.device) / maps.shape[1] ** 0.5, dim=1)
