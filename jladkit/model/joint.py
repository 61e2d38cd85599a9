"""The joint network: features, alignment, uncertainty and landmarks (the paper's Section 3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jladkit.errors import UsageError
from jladkit.model.backbones import Backbone
from jladkit.model.correlation import (
    compute_type,
    expected_offset,
    local_correlation,
    local_similarity,
)
from jladkit.model.geometry import (
    cell_grid,
    cells_to_pixels,
    landmark_positions,
    pixels_to_cells,
    sample_points,
    transfer_points,
)
from jladkit.model.local_consensus import local_consensus

FIELDS = ("window", "regress")


@dataclass(frozen=True)
class ModelConfig:
    """What the network looks like. The paper leaves most of it open; METHOD choices are named.

    Attributes:
        backbone, layers, weights: see jladkit.model.backbones.Backbone.
        size: side of the square that images are squashed to, in pixels.
        radius: r of the search window, in cells.
        field: "window" adds logits to the correlation and takes the expected offset, plus a
            residual; "regress" lets the encoder-decoder give the displacement itself.
        temperature: factor on the correlation before that softmax.
        consensus: factor on what neighbouring cells say of each match (jladkit.model.local_consensus),
            added to the same softmax; 0 leaves it out.
        spread: how far neighbours are asked: standard deviation of a Gaussian, in cells.
        passes: how often: 2 asks neighbours what theirs have told them.
        landmarks: K.
        per_category: a set of landmark maps for each category, else one for all.
        sharpness: factor on the scores of the landmark maps before the softmax (4).
        background: what the background's score begins with. At 0 the K+1 maps share out the
            picture, and landmarks are the middles of large regions, which hardly move. Near the
            log of a map's number of cells, each map begins with the mass of about one cell, and
            (4) with (5) acts like a softmax over places.
        uncertainty: predict log σ; False is the paper's wo/UM.
        self_similarity: the landmark net sees it; False is the paper's wo/SS.
        width: channels of the widest layers.
    """

    backbone: str = "efficientnet_lite0"
    layers: list[str] = field(default_factory=lambda: ["blocks.4", "blocks.5"])
    weights: str = ""
    size: int = 256
    radius: int = 5
    field: str = "window"
    temperature: float = 50.0
    consensus: float = 0.0
    spread: float = 1.5
    passes: int = 1
    landmarks: int = 10
    per_category: bool = True
    sharpness: float = 4.0
    background: float = 6.0
    uncertainty: bool = True
    self_similarity: bool = True
    width: int = 128

    def __post_init__(self) -> None:
        if self.field not in FIELDS:
            raise UsageError(f"model.field must be one of {', '.join(FIELDS)}, not {self.field!r}.")
        if self.consensus < 0:
            raise UsageError(f"model.consensus must be at least 0, but is {self.consensus}.")
        if self.spread <= 0:
            raise UsageError(f"model.spread must be above 0, but is {self.spread}.")
        for name in ("size", "radius", "passes", "landmarks", "width"):
            if getattr(self, name) < 1:
                raise UsageError(f"model.{name} must be at least 1, but is {getattr(self, name)}.")
        if self.width % 16:  # half of it is normalised in eight groups
            raise UsageError(f"model.width must be a multiple of 16, but is {self.width}.")


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, group normalisation (batches are small), ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(8, outputs),
        nn.ReLU(inplace=True),
    )


def channels_last(volume: Tensor) -> Tensor:
    return volume.contiguous(memory_format=torch.channels_last)


def as_convolved(volume: Tensor) -> Tensor:
    """As convolutions under autocast would make it of a volume, in one pass over memory instead of
    one for the layout and one for the precision in each of them."""
    return volume.to(compute_type(volume), memory_format=torch.channels_last)


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with zero weights, so that a net begins as if it were not there."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class AlignmentNet(nn.Module):
    """W_A: encoder-decoder from the similarity volume (B, (2r+1)², H, W) to a field (B, 2, H, W).

    The last layer starts at zero: the "window" form begins as the soft-argmax of the correlation,
    the "regress" form as the identity.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config, self.radius, width = config, config.radius, config.width
        volume = (2 * self.radius + 1) ** 2
        self.first = nn.Sequential(block(volume, width), block(width, width))
        self.down1 = nn.Sequential(block(width, width, 2), block(width, width))
        self.down2 = nn.Sequential(block(width, width, 2), block(width, width))
        self.up1 = block(2 * width, width)
        self.up2 = block(2 * width, width)
        self.last = zeroed(nn.Conv2d(width, 2 + (volume if config.field == "window" else 0), 1))

    def forward(self, similarity: Tensor, correlation: Tensor) -> Tensor:
        """Args: `local_similarity` and `local_correlation` of the same pair. Returns the field, xy
        in cells of target."""
        fine = self.first(similarity)
        middle = self.down1(fine)
        coarse = self.down2(middle)
        middle = self.up1(torch.cat([middle, F.interpolate(coarse, middle.shape[-2:])], dim=1))
        out = self.last(self.up2(torch.cat([fine, F.interpolate(middle, fine.shape[-2:])], dim=1)))
        out = out.float()  # positions need more digits than autocast gives
        height, width = out.shape[-2:]
        shift = out[:, :2] * self.radius
        if self.config.field == "window":
            shift = shift + expected_offset(self.scores(correlation, out[:, 2:]), self.radius)
        return cell_grid(height, width, out.device) + shift

    def scores(self, correlation: Tensor, logits: Tensor) -> Tensor:
        """What the softmax over each window is of: temperature * correlation + logits, and
        consensus * what neighbours say."""
        with torch.autocast(correlation.device.type, enabled=False):
            scores = self.config.temperature * correlation + logits
            if not self.config.consensus:
                return scores
            how = self.config
            agreed = local_consensus(correlation, self.radius, how.spread, how.passes)
            return scores + self.config.consensus * agreed


class UncertaintyNet(nn.Module):
    """W_C: convolutions from the similarity volume to log σ (B, H, W); starts at zero."""

    def __init__(self, radius: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            block((2 * radius + 1) ** 2, width // 2),
            block(width // 2, width // 2),
            zeroed(nn.Conv2d(width // 2, 1, 1)),
        )

    def forward(self, similarity: Tensor) -> Tensor:
        return self.body(similarity)[:, 0].float()


class LandmarkNet(nn.Module):
    """W_D: decoder from features and self-similarity to K+1 probability maps at twice the grid.

    With several sets of maps (one a category), each image reads its own; the trunk is shared.
    """

    def __init__(self, config: ModelConfig, channels: int, sets: int) -> None:
        super().__init__()
        width = config.width
        self.landmarks, self.sets = config.landmarks, sets
        self.sharpness, self.background = config.sharpness, config.background
        self.trunk = nn.Sequential(block(channels, width), block(width, width))
        self.fine = block(width, width // 2)
        self.last = nn.Conv2d(width // 2, sets * (self.landmarks + 1), 1)

    def forward(self, volume: Tensor, which: Tensor) -> Tensor:
        """(4): softmax over K+1 channels at every pixel; the background comes last.

        Args:
            volume: (B, channels, H, W).
            which: (B,) the set of maps that each image reads.

        Returns:
            (B, K, 2H, 2W) probabilities, the background left out.
        """
        trunk = F.interpolate(
            self.trunk(volume), scale_factor=2, mode="bilinear", align_corners=False
        )
        scores = self.last(self.fine(trunk)).float().unflatten(1, (self.sets, self.landmarks + 1))
        own = self.sharpness * scores[torch.arange(len(which), device=which.device), which]
        own = torch.cat([own[:, :-1], own[:, -1:] + self.background], dim=1)
        return own.softmax(dim=1)[:, : self.landmarks]


class Alignment(NamedTuple):
    """What the alignment side says of a pair: field (B, 2, H, W) in cells of target, log σ (B, H, W)."""

    field: Tensor
    log_sigma: Tensor


class JointNet(nn.Module):
    """All four networks. `categories` name the sets of landmark maps, in order."""

    def __init__(self, config: ModelConfig, categories: Sequence[str]) -> None:
        super().__init__()
        self.config, self.categories = config, list(categories)
        self.features = Backbone(config.backbone, config.layers, config.weights)
        with torch.no_grad():
            probe = self.features(torch.zeros(1, 3, config.size, config.size))
        self.channels, self.cells = probe.shape[1], probe.shape[-1]
        self.precision = torch.float32
        volume = (2 * config.radius + 1) ** 2 if config.self_similarity else 0
        self.alignment = AlignmentNet(config)
        self.uncertainty = UncertaintyNet(config.radius, config.width)
        sets = len(self.categories) if config.per_category else 1
        self.landmarks = LandmarkNet(config, self.channels + volume, sets)
        self.to(memory_format=torch.channels_last)

    def lower(self, like: Tensor) -> torch.autocast:
        """Where convolutions and products are of `precision`; positions and losses never are."""
        kind = like.device.type
        return torch.autocast(kind, self.precision, enabled=self.precision != torch.float32)

    def align(self, source: Tensor, target: Tensor) -> Alignment:
        """Field and log σ from source to target. Args: (B, C, H, W) features of each."""
        with self.lower(source):
            correlation = local_correlation(source, target, self.config.radius)
            similarity = as_convolved(F.normalize(correlation, dim=1, eps=1e-6))  # (3)
            found = self.alignment(similarity, correlation)
            if not self.config.uncertainty:
                return Alignment(found, torch.zeros_like(found[:, 0]))
            return Alignment(found, self.uncertainty(similarity))

    def landmark_maps(self, features: Tensor, which: Tensor) -> Tensor:
        """(B, K, 2H, 2W) probability maps. Args: (B, C, H, W) features; (B,) rows of categories."""
        # Unit vectors over hundreds of channels have entries near 0.05; bring them near 1.
        sets = which if self.config.per_category else torch.zeros_like(which)
        with self.lower(features):
            parts = [features]
            if self.config.self_similarity:
                parts.append(local_similarity(features, features, self.config.radius))
            scaled = [as_convolved(part * part.shape[1] ** 0.5) for part in parts]
            return self.landmarks(torch.cat(scaled, dim=1), sets)

    def carry(self, source: Tensor, target: Tensor, points: Tensor) -> Tensor:
        """Points (B, N, 2) of source where target has them. Both xy in pixels of the squares.

        Args: (B, C, H, W) features of each; NaN points stay NaN.
        """
        return self.carry_with_log_sigma(source, target, points)[0]

    def carry_with_log_sigma(
        self, source: Tensor, target: Tensor, points: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`carry`, and log σ (B, N) read bilinearly at the points of source, NaN where they are."""
        size, cells = self.config.size, self.cells
        field, log_sigma = self.align(source, target)
        at = pixels_to_cells(points.float(), size, cells)
        moved = cells_to_pixels(transfer_points(field, at), size, cells)
        read = sample_points(log_sigma[:, None], torch.nan_to_num(at))[..., 0]
        return moved, read.masked_fill(moved.isnan().any(dim=-1), float("nan"))

    def detect(self, features: Tensor, which: Tensor) -> Tensor:
        """(B, K, 2) landmarks, xy in pixels of the square. Args as `landmark_maps` has them."""
        maps = self.landmark_maps(features, which)
        return cells_to_pixels(landmark_positions(maps), self.config.size, maps.shape[-1])
