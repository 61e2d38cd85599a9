"""Layers of a backbone at their own grids, for methods that go from coarse to fine."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from jladkit.errors import UsageError
from jladkit.model.backbones import Backbone, joined


class Levels(Backbone):
    """Several layers of one pass, packed into one map without loss.

    A finer layer's cells become channels of the coarsest layer's grid. So a picture is still one
    map, which is stored and handed on as a Backbone's is; `unpack` undoes it.

    Args:
        name, layers, weights: see Backbone; each layer's grid must be a whole multiple of the
            coarsest one's.
        size: side of the pictures, in pixels.

    Raises:
        UsageError: as Backbone, or the grids do not fit one another.
    """

    def __init__(self, name: str, layers: Sequence[str], weights: str, size: int) -> None:
        super().__init__(name, list(dict.fromkeys(layers)), weights)
        with torch.no_grad():
            found = self.body(torch.zeros(1, 3, size, size))
        self.channels = {layer: found[layer].shape[1] for layer in self.layers}
        self.cells = {layer: found[layer].shape[-1] for layer in self.layers}
        coarsest = min(self.cells.values())
        self.factors = {layer: cells // coarsest for layer, cells in self.cells.items()}
        if any(cells % coarsest for cells in self.cells.values()):
            raise UsageError(
                f"Pictures of {size} pixels give maps of {sorted(set(self.cells.values()))} cells a "
                "side, which must be multiples of the smallest. Take a model.size that 32 divides."
            )

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] -> (B, C, h, w): all layers as the network gives them."""
        found = self.body((images - self.mean) / self.std)
        return torch.cat([F.pixel_unshuffle(found[k], self.factors[k]) for k in self.layers], dim=1)

    def unpack(self, packed: Tensor) -> dict[str, Tensor]:
        """Each layer (B, C, h, w) at its own grid, from what `forward` returned."""
        counts = [self.channels[k] * self.factors[k] ** 2 for k in self.layers]
        parts = packed.split(counts, dim=1)
        return {
            k: F.pixel_shuffle(part, self.factors[k])
            for k, part in zip(self.layers, parts, strict=True)
        }

    def unit(self, maps: Mapping[str, Tensor], layers: Sequence[str]) -> Tensor:
        """Some of the unpacked layers as a Backbone of these layers gives them."""
        return joined([maps[layer] for layer in layers])
