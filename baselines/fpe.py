"""FPE: Thewlis, Bilen, Vedaldi, Unsupervised Learning of Object Landmarks by Factorized Spatial
Embeddings, ICCV 2017.

A small network gives K score maps, a softmax over places makes each a distribution, its mean is a
landmark. Two views of a picture must agree on them: a place drawn in one and a place drawn in the
other must be near after the known warp, whatever the draw; so distributions become small too.
Diversity keeps the K from falling on one place.

The authors' MatConvNet code is not public; layers and constants are those of a public
re-implementation (alldbi/Factorized-Spatial-Embeddings). It computes diversity with a pooling of
stride 1 whose mean keeps each map's mass but for what its borders lose; here none is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from jladkit.model.geometry import landmark_positions
from jladkit.model.landmarks import Body, LandmarkModel, MapNet, spatial_softmax
from jladkit.training import loop
from jladkit.training.landmarks import LandmarkBaseline, LandmarkTrainee, TrainConfig
from jladkit.training.views import View, ViewConfig


@dataclass(frozen=True)
class Model(LandmarkModel):
    """See LandmarkModel. `normalise_scores`: batch normalisation and ReLU before the softmax over
    places, as the re-implementation has it; with a frozen backbone there is none."""

    normalise_scores: bool = True


@dataclass(frozen=True)
class Loss:
    """Weights: of `align_loss`, in shares of the side, and of `diversity_loss`, with the cells of
    its window."""

    align: float = 8.2
    diversity: float = 1.0
    pool: int = 4


SECTIONS = {"model": Model, "loss": Loss, "train": TrainConfig, "views": ViewConfig}


class SmallNet(Body):
    """Convolutions of 5x5 without padding: maps of 42 cells at stride 2 for 128 pixels."""

    channels, stride = 256, 2

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = (3, 20, 48, 64, 80, 256)
        for number, (inputs, outputs) in enumerate(pairwise(channels)):
            layers += [nn.Conv2d(inputs, outputs, 5, bias=False), nn.BatchNorm2d(outputs)]
            layers += [nn.ReLU(inplace=True), *([] if number else [nn.MaxPool2d(2)])]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class FpeNet(MapNet):
    """Score maps and the landmarks under them."""

    config: Model

    def __init__(self, config: Model, categories: Sequence[str]) -> None:
        super().__init__(config, categories, config.landmarks, SmallNet)
        if not config.backbone:
            # The last convolution is of 5x5 too, and takes two cells on each side.
            scores: list[nn.Module] = [nn.Conv2d(self.body.channels, self.outputs, 5, bias=False)]
            if config.normalise_scores:
                scores += [nn.BatchNorm2d(self.outputs), nn.ReLU()]
            self.last = nn.Sequential(*scores)
            self.cells -= 4
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.normal_(module.weight, std=0.02)

    def distributions(self, inputs: Tensor, which: Tensor) -> Tensor:
        """(B, K, H, W), each of sum 1."""
        return spatial_softmax(self.scores(inputs, which))

    def detect(self, inputs: Tensor, which: Tensor) -> Tensor:
        return self.pixels(landmark_positions(self.distributions(inputs, which)))


def align_loss(p: Tensor, q: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """E |u - v|² for u drawn from p and v from q, mean over pictures and landmarks.

    Written out as E|u|² + E|v|² - 2 Eu · Ev it needs no sum over pairs of places.

    Args:
        p, q: (B, K, N) distributions.
        u, v: (B, N, 2) the places that they are about, in one frame.
    """
    mean_u, mean_v = p @ u, q @ v
    squares = torch.einsum("bkn,bn->bk", p, u.square().sum(dim=-1))
    squares = squares + torch.einsum("bkn,bn->bk", q, v.square().sum(dim=-1))
    return (squares - 2 * (mean_u * mean_v).sum(dim=-1)).mean()


def diversity_loss(maps: Tensor, pool: int) -> Tensor:
    """K minus the sum over places of the highest of K maps; from 0, apart, to K - 1, the same.

    Args:
        maps: (B, K, H, W) distributions.
        pool: side of the window that they are averaged over first. It moves by one cell and the
            maps are widened, so that their mass stays 1.
    """
    down, across = (averaged(cells, pool).to(maps) for cells in maps.shape[-2:])
    wide = down @ (maps @ across.T)  # twelve times as fast as a convolution, mostly on its way back
    return maps.shape[1] - wide.amax(dim=1).sum(dim=(-2, -1)).mean()


def averaged(cells: int, pool: int) -> Tensor:
    """(cells + pool - 1, cells): the matrix that averages over a window at each of its places."""
    first = torch.arange(cells + pool - 1)[:, None] - torch.arange(cells)
    return ((first >= 0) & (first < pool)) / pool


class FpeTrainee(LandmarkTrainee):
    """FPE in training."""

    method = "fpe"
    detector: FpeNet
    losses: Loss

    def __init__(self, data: Any, config: dict[str, Any], **options: Any) -> None:
        super().__init__(data, config, FpeNet, **options)
        self.places = self.detector.places(self.device)

    def terms(self, view: View, phase: loop.Phase) -> dict[str, Tensor]:
        """The source's places are carried to the target's frame by the known warp."""
        net, loss = self.detector, self.losses
        maps = net.distributions(torch.cat([view.source, view.target]), torch.cat([view.which] * 2))
        p_source, p_target = maps.flatten(2).chunk(2)
        # Counted from the middle, where differences of squares lose the fewest digits.
        u = (self.share(self.places) - 0.5).expand(len(p_target), -1, -1)
        v = self.share(self.carried(view, self.places)) - 0.5
        terms = {
            "align": align_loss(p_target, p_source, u, v),
            "diversity": 2 * diversity_loss(maps, loss.pool),
        }
        total = loss.align * terms["align"] + loss.diversity * terms["diversity"]
        return {**terms, "peak": maps.detach().amax(dim=(-2, -1)).mean(), "total": total}


class Fpe(LandmarkBaseline):
    """Landmarks that move with known warps and lie apart (FPE, ICCV 2017).

    A LandmarkDetector (jladkit.methods).
    """

    name = "fpe"
    sections = SECTIONS
    network = FpeNet
    trainee = FpeTrainee
