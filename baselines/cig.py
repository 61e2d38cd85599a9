"""CIG: Jakab, Gupta, Bilen, Vedaldi, Unsupervised Learning of Object Landmarks through Conditional
Image Generation, NeurIPS 2018 (its code is called IMM).

Of two views of a picture, one gives K places and the other its appearance; from both a generator
must paint the first again. The places pass as Gaussians on a coarse grid, too little to carry
appearance, so they must say where things are. No loss looks at the landmarks themselves. With
several categories the generator is one for all: it sees in the appearance what to paint.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jladkit.errors import UsageError
from jladkit.model.landmarks import (
    Body,
    Decoder,
    LandmarkModel,
    MapNet,
    convolutions,
    factorised_positions,
    gaussian_maps,
)
from jladkit.model.perceptual import Perceptual, inside_mask, running_mean
from jladkit.model.warps import Warp
from jladkit.training import loop
from jladkit.training.landmarks import LandmarkBaseline, LandmarkTrainee, TrainConfig
from jladkit.training.views import View, ViewConfig


@dataclass(frozen=True)
class Model(LandmarkModel):
    """See LandmarkModel.

    Attributes:
        gaussian: width of the bottleneck's Gaussians exp(-d² / width²), a share of the side; the
            paper's 0.1 in [-1, 1] is 0.05.
        grid: side of the maps that the bottleneck has.
        picture: side of the picture that is painted: grid times a power of two.
        generator: channels of the generator at the coarsest grid; half as many at each finer one,
            32 at least.
    """

    gaussian: float = 0.05
    grid: int = 16
    picture: int = 128
    generator: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        times = self.picture / max(self.grid, 1)
        if times < 1 or times % 1 or int(times) & (int(times) - 1):
            raise UsageError(
                f"model.picture must be model.grid ({self.grid}) times a power of two, not {self.picture}."
            )


@dataclass(frozen=True)
class Loss:
    """The perceptual loss.

    Attributes:
        network, weights, layers: see jladkit.model.perceptual.Perceptual.
        margin: what lies nearer to the edge of the picture than this share of the side counts less,
            and what lies outside nothing.
    """

    network: str = "efficientnet_lite0"
    weights: str = ""
    layers: list[str] = field(default_factory=lambda: ["input", "blocks.0", "blocks.1", "blocks.2"])
    margin: float = 0.08

    def __post_init__(self) -> None:
        if len(self.layers) > MOST_LAYERS:
            raise UsageError(f"loss.layers must be {MOST_LAYERS} at most, but are {self.layers}.")


MOST_LAYERS = 6  # whose distances are balanced; the paper's number

SECTIONS = {"model": Model, "loss": Loss, "train": TrainConfig, "views": ViewConfig}


class Encoder(Body):
    """The paper's encoder: four pairs of convolutions, an eighth of the grid, 256 channels."""

    channels, stride = 256, 8

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolutions(3, 32, kernel=7),
            convolutions(32, 32),
            *(convolutions(n // 2, n, 2, stride=2) for n in (64, 128, 256)),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class Generator(nn.Module):
    """Two convolutions and a doubling of the grid, until the picture's size; then two more."""

    def __init__(self, inputs: int, channels: int, grid: int, picture: int) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        while grid < picture:
            stages.append(convolutions(inputs, channels, 2))
            stages.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
            inputs, channels, grid = channels, max(channels // 2, 32), 2 * grid
        self.layers = nn.Sequential(
            *stages, convolutions(inputs, channels), nn.Conv2d(channels, 3, 3, padding=1)
        )

    def forward(self, volume: Tensor) -> Tensor:
        return self.layers(volume)


class CigNet(MapNet):
    """Pose, appearance and generator. `balance` is the running mean of each layer's distance."""

    config: Model
    balance: Tensor

    def __init__(self, config: Model, categories: Sequence[str]) -> None:
        super().__init__(config, categories, config.landmarks, Encoder)
        appearance = Decoder(self.inputs, config.width) if config.backbone else Encoder()
        self.appearance: Body = appearance
        inputs = appearance.channels + config.landmarks
        self.register_buffer("balance", torch.zeros(MOST_LAYERS))
        self.generator = Generator(inputs, config.generator, config.grid, config.picture)
        self.to(memory_format=torch.channels_last)

    def detect(self, inputs: Tensor, which: Tensor) -> Tensor:
        return self.pixels(factorised_positions(self.scores(inputs, which)))

    def generate(self, positions: Tensor, inputs: Tensor) -> Tensor:
        """(B, 3, picture, picture), about [0, 1].

        Args:
            positions: (B, K, 2) of the view that is to be painted, shares of what is seen.
            inputs: of `look`, of the view whose appearance is used.
        """
        side = self.config.grid
        gaussians = gaussian_maps(positions, side, self.config.gaussian)
        with self.lower(inputs):
            looks = F.adaptive_avg_pool2d(self.appearance(inputs), side)
            volume = torch.cat([looks, gaussians], dim=1)
            painted = self.generator(volume.contiguous(memory_format=torch.channels_last))
        return painted.float() + 0.5


def layers_loss(distances: Tensor, balance: Tensor) -> Tensor:
    """Sum of the layers' distances (L,), each divided by its running mean (L,)."""
    return (distances / balance.clamp_min(1e-12)).sum()


class CigTrainee(LandmarkTrainee):
    """CIG in training."""

    method = "cig"
    detector: CigNet
    losses: Loss

    def __init__(self, data: Any, config: dict[str, Any], **options: Any) -> None:
        super().__init__(data, config, CigNet, **options)
        loss = self.losses
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.plan.seed)
            self.perceptual = Perceptual(loss.network, loss.layers, loss.weights).to(self.device)
        # Not needed to detect, but to resume: it is one of the network's tensors.
        self.balance = self.detector.balance[: len(loss.layers)]

    def terms(self, view: View, phase: loop.Phase) -> dict[str, Tensor]:
        """The target is painted from its own places and the source's appearance."""
        net = self.detector
        side = net.config.picture
        points = net.detect(view.target, view.which)
        seen = (points - net.config.offset + 0.5) / net.config.seen
        painted = net.generate(seen, view.source)
        picture = F.interpolate(net.seen(view.pictures), (side, side), mode="area")
        mask = self.mask(view.first, side).expand(len(picture), -1, -1, -1)
        with net.lower(painted):
            distances = self.perceptual.distances(painted, picture, mask)
        if net.training:
            self.balance.copy_(running_mean(self.balance, distances.detach()))
        return {
            **{
                f"layer-{n}": d.detach() for n, d in zip(self.losses.layers, distances, strict=True)
            },
            "total": layers_loss(distances, self.balance),
        }

    def mask(self, first: Warp | None, side: int) -> Tensor:
        """(B or 1, 1, side, side): where the target shows the picture and not its mirrored edge."""
        if first is None:
            return torch.ones(1, 1, side, side, device=self.device)
        field = (first.field(self.size, self.size) + 0.5) / self.size
        seen = self.detector.seen(inside_mask(field.movedim(1, -1), self.losses.margin))
        return F.interpolate(seen, (side, side), mode="area").to(self.device)


class Cig(LandmarkBaseline):
    """Landmarks that a generator needs to paint a picture in another's looks (CIG, NeurIPS 2018).

    A LandmarkDetector (jladkit.methods).
    """

    name = "cig"
    sections = SECTIONS
    network = CigNet
    trainee = CigTrainee
