"""What CNNGeo, CNNInlier and A2Net share: maps, a dense correlation, a head that regresses theta.

The papers estimate, of source A and target B, the warp from places of B to places of A, and warp A
with it. We carry points of source to target, so the network is run with the two swapped: its warp
then takes points of source to target as it is, and nothing is inverted. In two stages the target
picture is read along the first warp, encoded again, and the second warp is estimated between source
and that; the points go through the second warp, then through the first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from jladkit.errors import UsageError
from jladkit.model.backbones import Backbone
from jladkit.model.global_correlation import global_correlation
from jladkit.model.transforms import IDENTITY, Chain, Transform
from jladkit.model.warps import warped


@dataclass(frozen=True)
class ModelConfig:
    """What the network looks like.

    Attributes:
        backbone, layers, weights: see jladkit.model.backbones.Backbone.
        size: side of the square that images are squashed to, in pixels; 240 with a stride of 16
            gives the papers' 15 x 15 cells.
        stages: kinds of warp, in the order in which they are estimated: "affine", "tps",
            "homography"; ["affine", "tps"] is the papers' best.
        corners: theta speaks of a frame in which ±1 are the centres of the outermost pixels, as in
            the released weights; else of their outer edges.
    """

    backbone: str = "efficientnet_lite0"
    layers: list[str] = field(default_factory=lambda: ["blocks.4", "blocks.5"])
    weights: str = ""
    size: int = 240
    stages: list[str] = field(default_factory=lambda: ["affine", "tps"])
    corners: bool = False

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.stages if kind not in IDENTITY]
        if unknown or not self.stages or len(set(self.stages)) < len(self.stages):
            raise UsageError(
                f"model.stages must list some of {', '.join(IDENTITY)}, each once, but is {self.stages}."
            )
        if self.size < 1:
            raise UsageError(f"model.size must be at least 1, but is {self.size}.")


class CorrelationHead(nn.Module):
    """CNNGeo's regression: 7x7 convolution to 128 channels, 5x5 to 64, both without padding and
    with batch normalisation and ReLU, then a linear layer.

    Args:
        cells: side of the map; 11 at least.
        kind: of warp; a homography's bias begins at the identity, the others' do not, as in the
            authors' code.
    """

    def __init__(self, cells: int, kind: str) -> None:
        super().__init__()
        left = cells - 10
        if left < 1:
            raise UsageError(
                f"The maps have {cells} x {cells} cells; the head needs 11 x 11. Raise model.size."
            )
        self.conv = nn.Sequential(
            nn.Conv2d(cells * cells, 128, 7),
            nn.BatchNorm2d(128),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 64, 5),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
        )
        self.linear = nn.Linear(64 * left * left, len(IDENTITY[kind]))
        if kind == "homography":
            with torch.no_grad():
                self.linear.bias.add_(torch.tensor(IDENTITY[kind]))

    def forward(self, volume: Tensor) -> Tensor:
        """(B, cells², cells, cells) correlation -> (B, 6 | 18 | 8) theta."""
        return self.linear(self.conv(volume).flatten(1))


class ParametricNet(nn.Module):
    """A backbone and a head for each stage.

    Args:
        head: from the side of the maps and the kind of warp to its head.
        weights: the backbone's tensors, instead of what `config.weights` says.
    """

    def __init__(
        self,
        config: ModelConfig,
        head: Callable[[int, str], nn.Module] = CorrelationHead,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.features = Backbone(config.backbone, config.layers, weights or config.weights)
        with torch.no_grad():
            probe = self.features(torch.zeros(1, 3, config.size, config.size))
        self.map_shape = tuple(probe.shape[1:])
        self.heads = nn.ModuleDict({kind: head(probe.shape[-1], kind) for kind in config.stages})
        self.reach = 1 - 1 / config.size if config.corners else 1.0

    def volume(self, source: Tensor, target: Tensor) -> Tensor:
        """(B, h * w, h, w) normalised correlation of (B, C, h, w) maps."""
        return global_correlation(source, target, normalise=True)

    def estimate(self, kind: str, volume: Tensor) -> Transform:
        """The warp of one stage, from source to target."""
        return Transform(kind, self.heads[kind](volume), self.reach)

    def chain(
        self,
        source: Tensor,
        target: Tensor,
        pictures: Tensor | None,
        stages: Sequence[str] | None = None,
    ) -> Chain:
        """The warps of all stages, from source to target.

        Args:
            source, target: (B, C, h, w) maps.
            pictures: (B, 3, size, size) of the targets; not looked at in one stage.
            stages: the first few stages; None for all.
        """
        steps: list[Transform] = []
        for kind in stages or self.config.stages:
            if steps:
                assert pictures is not None
                target = self.features(self.read_along(pictures, Chain(steps)))
            steps.append(self.estimate(kind, self.volume(source, target)))
        return Chain(steps)

    def read_along(self, pictures: Tensor, warp: Callable[[Tensor], Tensor]) -> Tensor:
        """Pictures warped between the stages; the mean colour lies outside, as in the papers' code."""
        mean = self.features.mean
        return warped(pictures - mean, warp, padding="zeros") + mean

    def encode(self, images: Tensor) -> Tensor:
        """(B, ...) the maps of images and, where a stage will warp them, the images, end to end."""
        maps = self.features(images).flatten(1)
        return maps if len(self.config.stages) == 1 else torch.cat([maps, images.flatten(1)], dim=1)

    def decode(self, codes: Tensor) -> tuple[Tensor, Tensor | None]:
        """Maps (B, C, h, w) and images (B, 3, size, size) of `encode`."""
        channels, height, width = self.map_shape
        count, size = channels * height * width, self.config.size
        maps = codes[:, :count].unflatten(1, self.map_shape)
        if codes.shape[1] == count:
            return maps, None
        return maps, codes[:, count:].unflatten(1, (3, size, size))
