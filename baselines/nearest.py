"""Nearest neighbour of backbone features: what ImageNet gives before any training.

Each source point reads its feature bilinearly, the target cell with the highest cosine wins, and
the centre of that cell is the match.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from jladkit.formats.dataset import Dataset
from jladkit.model.backbones import Backbone
from jladkit.model.geometry import cells_to_pixels, pixels_to_cells, sample_points


@dataclass(frozen=True)
class NearestConfig:
    """Which maps are compared; see jladkit.model.backbones.Backbone."""

    backbone: str = "efficientnet_lite0"
    layers: list[str] = field(default_factory=lambda: ["blocks.4", "blocks.5"])
    weights: str = ""
    size: int = 256


class Nearest:
    """Nearest neighbour of backbone features. An EncodedMatcher (jladkit.methods)."""

    name = "nearest"
    needs_data = False

    def __init__(self, config: NearestConfig, device: torch.device) -> None:
        self.config: dict[str, Any] = asdict(config)
        self.size = config.size
        self.features = Backbone(config.backbone, config.layers, config.weights)
        self.features = self.features.to(device)

    @classmethod
    def prepare(cls, data: Dataset | None, device: torch.device) -> "Nearest":
        return cls(NearestConfig(), device)

    def transfer(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.Matcher."""
        f_s, f_t = self.encode(torch.cat([source, target])).chunk(2)
        return self.transfer_encoded(f_s, f_t, points, category)

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, h, w) features (jladkit.methods.EncodedMatcher)."""
        return self.features(images)

    def transfer_encoded(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.EncodedMatcher."""
        cells = target.shape[-1]
        at = torch.nan_to_num(pixels_to_cells(points, self.size, cells))
        wanted = F.normalize(sample_points(source, at), dim=2)
        best = torch.einsum("bnc,bchw->bnhw", wanted, target).flatten(2).argmax(dim=2)
        found = torch.stack([best % cells, best // cells], dim=2).to(points.dtype)
        return torch.where(torch.isnan(points), points, cells_to_pixels(found, self.size, cells))
