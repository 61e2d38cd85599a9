"""Neighbourhood consensus without any training: what a pretrained network gives when neighbours are asked.

The dense field of the joint method before it has learned anything: the correlation of every cell of
source with the window around it in target, raised where the neighbours match alike
(jladkit.model.local_consensus), and the mean offset under a softmax. A stronger floor than `nearest`, which
matches every point for itself: what a trained aligner is worth shows against this one.

Its settings were chosen on validation pairs of pascal3d_cad and animals (docs/choices.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from jladkit.baselines.untrained import Untrained
from jladkit.errors import UsageError
from jladkit.model.correlation import expected_offset, local_correlation
from jladkit.model.geometry import (
    cell_grid,
    cells_to_pixels,
    pixels_to_cells,
    transfer_points,
)
from jladkit.model.local_consensus import local_consensus


@dataclass(frozen=True)
class ConsensusConfig:
    """Which maps are compared, and how far neighbours count.

    Attributes:
        backbone, layers, weights: see jladkit.model.backbones.Backbone.
        size: side of the square that images are squashed to, in pixels; for a transformer a
            multiple of its patch.
        radius: of the search window, in cells.
        temperature: factor on the correlation before the softmax over the window.
        consensus: factor on what neighbours say, added to it.
        spread: standard deviation of the Gaussian that weighs neighbours, in cells.
        passes: how often neighbours are asked.
    """

    backbone: str = "efficientnet_lite0"
    layers: list[str] = field(default_factory=lambda: ["blocks.4", "blocks.5"])
    weights: str = ""
    size: int = 256
    radius: int = 5
    temperature: float = 20.0
    consensus: float = 40.0
    spread: float = 2.0
    passes: int = 1

    def __post_init__(self) -> None:
        for name in ("size", "radius", "passes"):
            if getattr(self, name) < 1:
                raise UsageError(f"model.{name} must be at least 1, but is {getattr(self, name)}.")
        for name in ("temperature", "consensus"):
            if getattr(self, name) < 0:
                raise UsageError(f"model.{name} must be at least 0, but is {getattr(self, name)}.")
        if self.spread <= 0:
            raise UsageError(f"model.spread must be above 0, but is {self.spread}.")


class Consensus(Untrained):
    """Matches raised where their neighbours match alike; nothing is learned. An EncodedMatcher
    (jladkit.methods)."""

    name, choices = "consensus", ConsensusConfig

    def field(self, source: Tensor, target: Tensor) -> Tensor:
        """(B, 2, h, w) the place of each cell of source, xy in cells of target. Args: features of both."""
        how = self.settings
        correlation = local_correlation(source, target, how.radius)
        agreed = local_consensus(correlation, how.radius, how.spread, how.passes)
        scores = how.temperature * correlation + how.consensus * agreed
        shift = expected_offset(scores, how.radius)
        return cell_grid(*shift.shape[-2:], shift.device) + shift

    def transfer_encoded(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.EncodedMatcher."""
        cells = target.shape[-1]
        at = pixels_to_cells(points.float(), self.size, cells)
        moved = transfer_points(self.field(source, target), at)
        return cells_to_pixels(moved, self.size, cells).to(points.dtype)
