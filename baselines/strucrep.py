"""StrucRep: Zhang, Guo, Jin, Luo, He, Lee, Unsupervised Discovery of Object Landmarks as
Structural Representations, CVPR 2018.

An hourglass gives K+1 maps, a softmax over them at every pixel, and the mean place under each of
K. Beside each landmark stands a short feature of the picture around it; from places and features
alone another hourglass paints the picture again. Landmarks must be small (concentration), apart
(separation), and move with the picture (equivariance).

Distances and spreads are shares of the picture's side. The authors' code counts in shares of the
padded square, 96 pixels for a picture of 80, and in [-1, 1] for equivariance; the weights of the
recipe `paper` are theirs in these units. With several categories the painter is one for all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jladkit.errors import UsageError
from jladkit.model.geometry import cell_grid, landmark_positions
from jladkit.model.landmarks import (
    Body,
    Decoder,
    Hourglass,
    LandmarkModel,
    MapNet,
    gaussian_maps,
)
from jladkit.training import loop
from jladkit.training.landmarks import LandmarkBaseline, LandmarkTrainee, TrainConfig
from jladkit.training.views import View, ViewConfig


@dataclass(frozen=True)
class Model(LandmarkModel):
    """See LandmarkModel.

    Attributes:
        pad: pixels that the network's picture is widened by on each side, in the colour of its edge,
            so that landmarks may lie outside. Not before a frozen backbone.
        background: what the background's score begins with; 0 in the paper.
        detector, describer, painter: channels at each grid of the three hourglasses, the finest
            first. With a frozen backbone a Decoder of `width` takes the place of the first two.
        picture: side of the picture that is painted.
        feature: numbers that a landmark's feature has.
        spread: channels that it is spread over the picture in.
        gaussian: deviation of the narrowest Gaussian maps, a share of the side.
        levels: of Gaussian maps, each √2 times as wide as the one before.
    """

    pad: int = 0
    background: float = 0.0
    detector: list[float] = field(default_factory=lambda: [32, 64, 64, 64])
    describer: list[float] = field(default_factory=lambda: [64, 128, 256, 512])
    painter: list[float] = field(default_factory=lambda: [64, 128, 256, 512, 512])
    picture: int = 80
    feature: int = 8
    spread: int = 64
    gaussian: float = 0.125
    levels: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backbone and self.pad:
            raise UsageError("model.pad must be 0 with a backbone: its maps end with the picture.")


@dataclass(frozen=True)
class Loss:
    """Weights. `reconstruction` has one for each stage; `separation_width` is the deviation b of
    the separation's Gaussian, a share of the side; 0 takes the authors' (`width_for`)."""

    reconstruction: list[float] = field(default_factory=lambda: [0.1, 1.0, 10.0])
    concentration: float = 100.0
    separation: float = 20.0
    separation_width: float = 0.0
    equivariance: float = 33333.0


SECTIONS = {"model": Model, "loss": Loss, "train": TrainConfig, "views": ViewConfig}


WIDTHS = {10: 0.08, 30: 0.04}  # the authors' b


def width_for(landmarks: int) -> float:
    """The authors' b where they give one, else the largest K below has its b scaled by 1/K."""
    nearest = max((k for k in WIDTHS if k <= landmarks), default=min(WIDTHS))
    return WIDTHS[nearest] * nearest / landmarks


def widths(channels: Sequence[float]) -> list[int]:
    """TOML has no lists of whole numbers here."""
    return [int(number) for number in channels]


def pad_mean_edge(images: Tensor, pad: int) -> Tensor:
    """(B, C, H, W) widened by `pad` on each side in the mean colour of each picture's edge."""
    if not pad:
        return images
    sides = (images[..., 0, :], images[..., -1, :], images[..., 1:-1, 0], images[..., 1:-1, -1])
    colour = torch.cat(sides, dim=-1).mean(dim=-1)[..., None, None]
    return F.pad(images - colour, (pad,) * 4) + colour


class Padded(Body):
    """An hourglass on the widened picture."""

    def __init__(self, channels: Sequence[float], pad: int) -> None:
        super().__init__()
        self.glass, self.pad = Hourglass(3, widths(channels)), pad
        self.channels, self.stride = self.glass.channels, 1

    def forward(self, images: Tensor) -> Tensor:
        return self.glass(pad_mean_edge(images, self.pad))


class StrucRepNet(MapNet):
    """Landmark maps, their features, and the picture painted from both."""

    config: Model

    def __init__(self, config: Model, categories: Sequence[str]) -> None:
        count = config.landmarks + 1
        super().__init__(config, categories, count, lambda: Padded(config.detector, config.pad))
        self.describer: Body = (
            Decoder(self.inputs, config.width)
            if config.backbone
            else Padded(config.describer, config.pad)
        )
        self.to_features = nn.Conv2d(self.describer.channels, 64, 1)
        # A linear map of its own for each landmark and the background, in and out.
        self.shorten = nn.Parameter(torch.randn(count, 64, config.feature) / 8)
        shape = (count, config.feature, config.spread)
        self.lengthen = nn.Parameter(torch.randn(shape) / config.feature**0.5)
        inputs = config.levels * (count + config.spread)
        self.painter = Hourglass(inputs, widths(config.painter), skip=2)
        self.paint = nn.Conv2d(self.painter.channels, 3, 1)
        self.to(memory_format=torch.channels_last)

    def maps(self, inputs: Tensor, which: Tensor) -> Tensor:
        """(B, K+1, H, W): a softmax over the channels of each cell; the background comes last."""
        scores = self.scores(inputs, which)
        raised = torch.zeros(self.count, device=scores.device)
        raised[-1] = self.config.background
        return (scores + raised[:, None, None]).softmax(dim=1)

    def positions(self, maps: Tensor) -> Tensor:
        """(B, K, 2) mean places under maps (B, K+1, H, W), xy in pixels of the square."""
        return self.pixels(landmark_positions(maps[:, :-1]))

    def detect(self, inputs: Tensor, which: Tensor) -> Tensor:
        return self.positions(self.maps(inputs, which))

    def describe(self, inputs: Tensor, maps: Tensor) -> Tensor:
        """(B, K+1, feature): the mean of the features under each map, shortened."""
        with self.lower(inputs):
            found = self.to_features(self.describer(inputs)).float()
        weights = maps / maps.sum(dim=(-2, -1), keepdim=True).clamp_min(1e-8)
        return torch.einsum("bkhw,bchw,kcf->bkf", weights, found, self.shorten)

    def painted(self, positions: Tensor, features: Tensor) -> Tensor:
        """(B, 3, picture, picture) in [0, 1].

        Args:
            positions: (B, K, 2), shares of the side of what is seen.
            features: (B, K+1, feature).
        """
        config = self.config
        spread = torch.einsum("bkf,kfc->bkc", features, self.lengthen)
        layers: list[Tensor] = []
        for level in range(config.levels):
            maps = shares_of_pixels(positions, config.picture, config.gaussian * 2 ** (level / 2))
            layers += [maps, torch.einsum("bkhw,bkc->bchw", maps, spread)]
        with self.lower(positions):
            volume = torch.cat(layers, dim=1).contiguous(memory_format=torch.channels_last)
            return self.paint(self.painter(volume)).float().sigmoid()


def shares_of_pixels(positions: Tensor, side: int, deviation: float) -> Tensor:
    """(B, K+1, side, side): Gaussian densities about positions and the flat background's, divided by
    their sum at each pixel."""
    gaussians = gaussian_maps(positions, side, deviation * math.sqrt(2))
    gaussians = gaussians / (2 * math.pi * (deviation * side) ** 2)
    flat = torch.full_like(gaussians[:, :1], 1 / side**2)
    maps = torch.cat([gaussians, flat], dim=1)
    return maps / maps.sum(dim=1, keepdim=True)


def concentration_loss(maps: Tensor, side: float) -> Tensor:
    """Exponentiated entropy of Gaussians as wide as the maps: sum over landmarks of 2πe σ², mean
    over pictures; σ is the mean of the deviations of x and of y.

    Args:
        maps: (B, K, H, W), not negative.
        side: of the picture, in cells; σ is a share of it.
    """
    grid = cell_grid(maps.shape[-2], maps.shape[-1], maps.device).to(maps) / side
    weights = maps / maps.sum(dim=(-2, -1), keepdim=True).clamp_min(1e-8)
    mean = torch.einsum("bkhw,chw->bkc", weights, grid)
    apart = (grid - mean[..., None, None]).square()
    variance = torch.einsum("bkhw,bkchw->bkc", weights, apart)
    deviation = (variance + 1e-8).sqrt().mean(dim=-1)
    return 2 * math.pi * math.e * deviation.square().sum(dim=1).mean()


def separation_loss(positions: Tensor, width: float) -> Tensor:
    """Sum over ordered pairs of exp(-d² / 2b²), mean over pictures.

    Args:
        positions: (B, K, 2).
        width: b, in the same units.
    """
    squared = (positions[:, :, None] - positions[:, None]).square().sum(dim=-1)
    near = torch.exp(-squared / (2 * width**2))
    return near.sum(dim=(1, 2)).mean() - positions.shape[1]


def equivariance_loss(target: Tensor, moved: Tensor) -> Tensor:
    """Squared distance of landmarks (B, K, 2), sum over landmarks, mean over pictures."""
    return (target - moved).square().sum(dim=(1, 2)).mean()


def reconstruction_loss(picture: Tensor, painted: Tensor) -> Tensor:
    """Half the squared difference, sum over pixels and channels, mean over pictures: the negative
    log likelihood of a Gaussian with σ = 1, but for a constant."""
    return 0.5 * (picture - painted).square().sum(dim=(1, 2, 3)).mean()


class StrucRepTrainee(LandmarkTrainee):
    """StrucRep in training."""

    method = "strucrep"
    detector: StrucRepNet
    losses: Loss

    def __init__(self, data: Any, config: dict[str, Any], **options: Any) -> None:
        super().__init__(data, config, StrucRepNet, **options)
        self.width = self.losses.separation_width or width_for(self.detector.config.landmarks)
        if len(self.losses.reconstruction) != len(self.plan.steps):
            raise UsageError("loss.reconstruction must have a weight for each of train.steps.")

    def terms(self, view: View, phase: loop.Phase) -> dict[str, Tensor]:
        """Both views must agree on landmarks; the target is painted again."""
        net, loss = self.detector, self.losses
        maps = net.maps(torch.cat([view.source, view.target]), torch.cat([view.which] * 2))
        positions = net.positions(maps)
        at_source, at_target = positions.chunk(2)
        own = maps[len(view.which) :]
        side = net.config.picture
        picture = F.interpolate(net.seen(view.pictures), (side, side), mode="area")
        seen = (at_target - net.config.offset + 0.5) / net.config.seen
        painted = net.painted(seen, net.describe(view.target, own))
        stride = net.body.stride or net.config.seen / net.cells
        terms = {
            "reconstruction": reconstruction_loss(picture, painted),
            "concentration": concentration_loss(maps[:, :-1], self.size / stride),
            "separation": separation_loss(self.share(positions), self.width),
            "equivariance": equivariance_loss(
                self.share(at_target), self.share(self.carried(view, at_source))
            ),
        }
        weight = loss.reconstruction[int(phase.name.removeprefix("stage-"))]
        total = (
            weight * terms["reconstruction"]
            + loss.concentration * terms["concentration"]
            + loss.separation * terms["separation"]
            + loss.equivariance * terms["equivariance"]
        )
        # Adam does not see a common factor, the loop's bound on the gradient does.
        watched = {
            "peak": maps[:, :-1].detach().amax(dim=(-2, -1)).mean(),
            "background": maps[:, -1].detach().mean(),
        }
        return {**terms, **watched, "total": total / side**2}


class StrucRep(LandmarkBaseline):
    """Landmarks and their features, from which the picture is painted again (StrucRep, CVPR 2018).

    A LandmarkDetector (jladkit.methods).
    """

    name = "strucrep"
    sections = SECTIONS
    network = StrucRepNet
    trainee = StrucRepTrainee
