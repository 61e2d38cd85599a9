"""The network of PARN (jladkit.baselines.parn): three grids of affines, then a field."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jladkit.errors import UsageError
from jladkit.model.affine import (
    compose,
    identity_affine,
    places,
    resize_affine,
    spread_affine,
)
from jladkit.model.correlation import local_correlation
from jladkit.model.geometry import (
    cells_to_pixels,
    pixels_to_cells,
    sample,
    transfer_points,
)
from jladkit.model.geometry_net import GeometryNet, check_groups, layer
from jladkit.model.joint import channels_last, zeroed
from jladkit.model.levels import Levels

GRIDS = (1, 2, 4)  # blocks a side at the levels before the pixel level
BLOCKS = max(GRIDS)


@dataclass(frozen=True)
class ParnConfig:
    """What the network looks like.

    Attributes:
        backbone, weights: see jladkit.model.backbones.Backbone.
        grid_layers, pixel_layers: the layers that the three grids, and the pixel level, look at;
            the first of each gives its map's grid.
        size: side of the square that images are squashed to, in pixels.
        radii: of the search windows of the four levels, in cells.
        width: channels of the narrowest layers.
        depth: how often the pixel level's encoder halves its map.
        groups: of group normalisation after the convolutions; 0 is none.
    """

    backbone: str = "efficientnet_lite0"
    weights: str = ""
    grid_layers: list[str] = field(default_factory=lambda: ["blocks.4", "blocks.5"])
    pixel_layers: list[str] = field(default_factory=lambda: ["blocks.2", "blocks.4", "blocks.5"])
    size: int = 256
    radii: list[int] = field(default_factory=lambda: [8, 5, 3, 3])
    width: int = 32
    depth: int = 3
    groups: int = 8

    def __post_init__(self) -> None:
        for name in ("size", "width", "depth"):
            if getattr(self, name) < 1:
                raise UsageError(f"model.{name} must be at least 1, but is {getattr(self, name)}.")
        check_groups(self.groups, self.width)
        if len(self.radii) != len(GRIDS) + 1 or min(self.radii) < 1:
            raise UsageError(
                f"model.radii must be {len(GRIDS) + 1} numbers of at least 1, but is {self.radii}."
            )


class GridNet(nn.Module):
    """One level's regression: from normalised correlations (B, (2r+1)², h, w) to an affine for each
    block of a grid, (B, 2, 3, g, g). All blocks share the weights.

    The last layer starts at zero, so that every block starts as the identity.
    """

    def __init__(self, radius: int, grid: int, width: int, groups: int = 0) -> None:
        super().__init__()
        self.radius = radius
        self.body = nn.Sequential(
            layer((2 * radius + 1) ** 2, width, 3, groups),
            layer(width, width, 3, groups, stride=2),
            layer(width, 2 * width, 3, groups),
            nn.AdaptiveAvgPool2d(BLOCKS),
        )
        side = BLOCKS // grid
        self.last = zeroed(nn.Conv2d(2 * width, 6, side, stride=side))

    def forward(self, similarity: Tensor) -> Tensor:
        """Places in cells; the linear part has no unit."""
        residual = self.last(self.body(similarity)).float().unflatten(1, (2, 3))
        return residual * residual.new_tensor([1.0, 1.0, self.radius])[:, None, None]


class Step(NamedTuple):
    """One level at work.

    source, warped: (B, C, h, w) unit features, of the target as the field `before` warps it.
    before: (B, 2, 3, h, w), what the levels above found.
    residual: (B, 2, 3, h, w), from source to the warped target.
    """

    source: Tensor
    warped: Tensor
    before: Tensor
    residual: Tensor


class ParnNet(nn.Module):
    """All levels. Categories play no part."""

    def __init__(self, config: ParnConfig, categories: Sequence[str]) -> None:
        super().__init__()
        self.config = config
        both = [*config.grid_layers, *config.pixel_layers]
        self.features = Levels(config.backbone, both, config.weights, config.size)
        grids = [
            GridNet(radius, grid, config.width, config.groups)
            for radius, grid in zip(config.radii, GRIDS, strict=False)
        ]
        pixel = GeometryNet(config.radii[-1], config.width, config.depth, 3, config.groups)
        self.levels = nn.ModuleList([*grids, pixel]).to(memory_format=torch.channels_last)
        self.precision = torch.float32
        cells, least = self.features.cells, 2**config.depth
        if cells[config.pixel_layers[0]] < least or cells[config.grid_layers[0]] < BLOCKS:
            raise UsageError(
                f"Maps must have at least {BLOCKS} cells a side for the grids, {least} for the "
                f"pixel level, but have {cells}. Take a larger model.size or a smaller model.depth."
            )

    def lower(self, like: Tensor) -> torch.autocast:
        """Where the levels' networks are of `precision`; positions and losses never are."""
        kind = like.device.type
        return torch.autocast(kind, self.precision, enabled=self.precision != torch.float32)

    def layers(self, level: int) -> list[str]:
        """What a level, from 0, looks at."""
        return self.config.grid_layers if level < len(GRIDS) else self.config.pixel_layers

    def step(
        self, level: int, source: dict[str, Tensor], target: dict[str, Tensor], before: Tensor
    ) -> Step:
        """One level, from 0.

        Args:
            source, target: unpacked features.
            before: the field so far, on any grid.
        """
        f_s = self.features.unit(source, self.layers(level))
        f_t = self.features.unit(target, self.layers(level))
        height, width = f_s.shape[-2:]
        before = resize_affine(before, height, width)
        warped = F.normalize(sample(f_t, places(before)), dim=1)
        scores = local_correlation(f_s, warped, self.config.radii[level])
        with self.lower(f_s):
            found = self.levels[level](channels_last(F.normalize(scores, dim=1, eps=1e-6)))
        residual = (
            spread_affine(found, height, width)
            if level < len(GRIDS)
            else identity_affine(len(f_s), height, width, f_s.device) + found
        )
        return Step(f_s, warped, before, residual)

    def align(self, source: Tensor, target: Tensor, levels: int = len(GRIDS) + 1) -> Tensor:
        """The field (B, 2, 3, h, w) that the first `levels` find: T_k = T_{k-1} ∘ ΔT_k, from T_0
        the identity. Args: packed features of each."""
        maps_s, maps_t = self.features.unpack(source), self.features.unpack(target)
        cells = self.features.cells[self.config.grid_layers[0]]
        found = identity_affine(len(source), cells, cells, source.device)
        for level in range(levels):
            step = self.step(level, maps_s, maps_t, found)
            found = compose(step.before, step.residual)
        return found

    def carry(self, source: Tensor, target: Tensor, points: Tensor) -> Tensor:
        """See jladkit.baselines.fields.FieldNet."""
        found = places(self.align(source, target))
        size, cells = self.config.size, found.shape[-1]
        at = pixels_to_cells(points.float(), size, cells)
        return cells_to_pixels(transfer_points(found, at), size, cells)
