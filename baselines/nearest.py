"""Nearest neighbour of backbone features: what a pretrained network gives before any training.

Each source point reads its feature bilinearly, and its cosine with every target cell is read out:
by default the centre of the best cell is the match. Any timm backbone will do. With DINOv2 this is
the zero-shot baseline that later work compares with (per-point PCK@0.1 of 55.6 on SPair-71k for
ViT-B/14, as CleanDIFT reports it):

    jladkit evaluate --data spair.h5 --method nearest --protocol dift-point \\
        --set model.backbone=vit_base_patch14_dinov2 --set model.layers='["blocks.11"]' \\
        --set model.size=840 --set model.weights=dinov2_vitb14_pretrain.pth

The weights may be the file that its authors publish, or timm's; without `model.weights` timm
downloads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from jladkit.baselines.untrained import Untrained
from jladkit.errors import UsageError
from jladkit.model.geometry import cells_to_pixels, pixels_to_cells, sample_points
from jladkit.model.readout import READOUTS, read_out


@dataclass(frozen=True)
class NearestConfig:
    """Which maps are compared, and how a match is read out of the cosines.

    Attributes:
        backbone, layers, weights: see jladkit.model.backbones.Backbone.
        size: side of the square that images are squashed to, in pixels; for a transformer a
            multiple of its patch.
        readout: "argmax", "soft", "window" or "kernel"; see jladkit.model.readout.read_out.
        temperature: factor on the cosines before the softmax of all but "argmax".
        reach: radius of "window", standard deviation of "kernel", in cells.
    """

    backbone: str = "efficientnet_lite0"
    layers: list[str] = field(default_factory=lambda: ["blocks.4", "blocks.5"])
    weights: str = ""
    size: int = 256
    readout: str = "argmax"
    temperature: float = 50.0
    reach: float = 3.0

    def __post_init__(self) -> None:
        if self.readout not in READOUTS:
            raise UsageError(
                f"model.readout must be one of {', '.join(READOUTS)}, not {self.readout!r}."
            )
        if self.size < 1 or self.temperature <= 0 or self.reach <= 0:
            raise UsageError("model.size, model.temperature and model.reach must be above 0.")


class Nearest(Untrained):
    """Nearest neighbour of backbone features. An EncodedMatcher (jladkit.methods)."""

    name, choices = "nearest", NearestConfig

    def transfer_encoded(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.EncodedMatcher."""
        cells, how = target.shape[-1], self.settings
        at = torch.nan_to_num(pixels_to_cells(points, self.size, cells))
        wanted = F.normalize(sample_points(source, at), dim=2)
        cosines = torch.einsum("bnc,bchw->bnhw", wanted, target)
        found = read_out(cosines, how.readout, how.temperature, how.reach).to(points.dtype)
        return torch.where(torch.isnan(points), points, cells_to_pixels(found, self.size, cells))
