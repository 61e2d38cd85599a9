"""The network of NCNet and what a recipe can say of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from jladkit.errors import UsageError
from jladkit.model.backbones import Backbone
from jladkit.model.consensus import (
    NeighbourhoodConsensus,
    best_matches,
    correlation_4d,
    mutual_matching,
    pool_4d,
)
from jladkit.model.geometry import cells_to_pixels, pixels_to_cells, transfer_points

AT_ONCE = 1 << 20  # scores that are filtered together when nothing is trained


@dataclass(frozen=True)
class NCNetConfig:
    """What the network looks like.

    Attributes:
        backbone, layers, weights: see jladkit.model.backbones.Backbone.
        size: side of the square that images are squashed to, in pixels.
        kernels: side of each 4-D convolution's kernel, odd.
        channels: that each of them gives; the last must be 1.
        relocalise: k: the correlation is pooled by k in all four directions before it is
            filtered, and matches are moved to the best of the k⁴ finer ones after. 1 leaves it
            out. The paper takes 2 for InLoc.
        corners: the outermost cells' centres lie at the picture's corner pixels, as the released
            code has it, and not half a cell inside of them. To compare with that code.
    """

    backbone: str = "efficientnet_lite0"
    layers: list[str] = field(default_factory=lambda: ["blocks.4", "blocks.5"])
    weights: str = ""
    size: int = 256
    kernels: list[int] = field(default_factory=lambda: [5, 5, 5])
    channels: list[int] = field(default_factory=lambda: [16, 16, 1])
    relocalise: int = 1
    corners: bool = False

    def __post_init__(self) -> None:
        if self.size < 1 or self.relocalise < 1:
            raise UsageError("model.size and model.relocalise must be at least 1.")
        if any(side < 1 or side % 2 == 0 for side in self.kernels):
            raise UsageError(f"model.kernels must be odd, but are {self.kernels}.")
        if len(self.kernels) != len(self.channels) or min(self.channels, default=0) < 1:
            raise UsageError(
                "model.channels must have a number above 0 for each of model.kernels, but they are "
                f"{self.channels} and {self.kernels}."
            )
        if self.channels[-1] != 1:
            raise UsageError(f"model.channels must end in 1, but are {self.channels}.")


class NCNetNet(nn.Module):
    """Features, and the consensus of the matches between two pictures' features.

    `backbone` holds the backbone's tensors, in the place of `config.weights`.
    """

    def __init__(self, config: NCNetConfig, backbone: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.config = config
        weights = config.weights if backbone is None else backbone
        self.features = Backbone(config.backbone, config.layers, weights)
        with torch.no_grad():
            probe = self.features(torch.zeros(1, 3, config.size, config.size))
        self.cells = probe.shape[-1]
        if self.cells % config.relocalise:
            raise UsageError(
                f"model.relocalise must divide the {self.cells} cells of a map, but is "
                f"{config.relocalise}. Change it, or model.size."
            )
        self.consensus = NeighbourhoodConsensus(config.kernels, config.channels)

    def filtered(self, volume: Tensor) -> Tensor:
        """A correlation (B, 1, h, w, d, t) after mutual matching, consensus, mutual matching."""
        return mutual_matching(self.consensus(mutual_matching(volume)))

    def match(self, source: Tensor, target: Tensor) -> Tensor:
        """Filtered scores (B, 1, h, w, h, w) of all matches. Args: (B, C, h, w) features."""
        return self.filtered(correlation_4d(source, target))

    def field(self, source: Tensor, target: Tensor) -> Tensor:
        """(B, 2, n, n) each source cell's best place, xy in cells of a target map of n x n; n is
        h / relocalise. Args: (B, C, h, w) features."""
        volume = correlation_4d(source, target)
        side = self.config.relocalise
        if side == 1:
            return best_matches(self.filtered(volume))
        pooled = pool_4d(volume, side)
        return best_matches(self.filtered(pooled.volume), pooled, side)

    def carry(self, source: Tensor, target: Tensor, points: Tensor) -> Tensor:
        """Points (B, N, 2) of source where target has them. Both xy in pixels of the squares.

        The matches of the four source cells around a point are interpolated bilinearly.

        Args: (B, C, h, w) features of each; NaN points stay NaN.
        """
        at_once = max(1, AT_ONCE // self.cells**4)
        ends = zip(source.split(at_once), target.split(at_once), strict=True)
        field = torch.cat([self.field(*end) for end in ends])
        size, cells = self.config.size, field.shape[-1]
        if self.config.corners:
            shrunk = (cells - 1) / (size - 1)
            return transfer_points(field, points.float() * shrunk) / shrunk
        at = pixels_to_cells(points.float(), size, cells)
        return cells_to_pixels(transfer_points(field, at), size, cells)
