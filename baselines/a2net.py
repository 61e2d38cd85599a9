"""A2Net: Seo, Lee, Jung, Han, Cho, "Attentive semantic alignment with offset-aware correlation
kernels", ECCV 2018.

CNNGeo's two stages with another head: the correlation is ordered by offset, so that a kernel sees
what moves alike wherever it lies, and the head weighs places by attention, with a learned embedding
of each.

What differs, beside what jladkit.baselines.cnngeo says: model.offset = "true" orders by the offset,
as the paper has it. The released code reads its column-by-column correlation row by row and so
orders by (x of target - y of source, y of target - x of source); "released" does that too, and its
weights are loaded so.

Reported (corrected arXiv version, ResNet-101, affine and spline): PF-WILLOW PCK@0.1 of 68.8,
PF-PASCAL 70.8 of the image's side and 58.9 of the box. In the joint method's Table 3, PF-PASCAL at
0.05 / 0.1 / 0.15: 43.1 / 68.4 / 74.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jladkit.baselines.parametric import ModelConfig, ParametricNet
from jladkit.baselines.parametric_method import SECTIONS, Parametric
from jladkit.errors import UsageError
from jladkit.model.global_correlation import offset_aware
from jladkit.model.transforms import IDENTITY

OFFSETS = ("true", "released")


@dataclass(frozen=True)
class A2NetConfig(ModelConfig):
    """As ModelConfig, and

    Attributes:
        offset: "true" orders the correlation by offset, "released" as the released code does.
    """

    offset: str = "true"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.offset not in OFFSETS:
            raise UsageError(
                f"model.offset must be one of {', '.join(OFFSETS)}, not {self.offset!r}."
            )


@dataclass(frozen=True)
class ReleasedConfig(A2NetConfig):
    """What the released weights want."""

    offset: str = "released"


def layer(inputs: int, outputs: int, kernel: int = 1) -> list[nn.Module]:
    """Convolution without padding, batch normalisation, ReLU."""
    return [
        nn.Conv2d(inputs, outputs, kernel),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


class AttentiveHead(nn.Module):
    """Offset-aware kernels, attention over places, and a linear layer to theta.

    Names of the parts are those of the released weights.

    Args:
        cells: side of the map; 7 at least.
        kind: of warp.
        released: order by offset as the released code does.
    """

    def __init__(self, cells: int, kind: str, released: bool) -> None:
        super().__init__()
        left = cells - 6
        if left < 1:
            raise UsageError(
                f"The maps have {cells} x {cells} cells; the head needs 7 x 7. Raise model.size."
            )
        self.released = released
        self.preconv = nn.Sequential(*layer((2 * cells - 1) ** 2, 128), *layer(128, 128, 7))
        self.weight = nn.Parameter(torch.empty(1, 5, left, left).uniform_(-1, 1))
        self.conv = nn.Sequential(*layer(128 + 5, 128))
        self.proj = nn.Sequential(*layer(128, 128))
        self.att = nn.Sequential(*layer(128, 64), nn.Conv2d(64, 1, 1))
        self.linear = nn.Linear(128, len(IDENTITY[kind]))

    def forward(self, volume: Tensor) -> Tensor:
        """(B, cells², cells, cells) correlation -> (B, 6 | 18 | 8) theta."""
        seen = self.preconv(offset_aware(volume, transposed=self.released))  # (B, 128, left, left)
        embedding = self.weight.expand(len(seen), -1, -1, -1)
        merged = self.proj(self.conv(torch.cat([embedding, seen], dim=1)))
        attention = self.att(seen).flatten(2).softmax(dim=2)  # (B, 1, left²)
        return self.linear((attention * merged.flatten(2)).sum(dim=2))


class A2Net(Parametric):
    """Regresses an affine warp and a spline by offset-aware kernels and attention (A2Net, ECCV 2018).

    An EncodedMatcher (jladkit.methods).
    """

    name = "a2net"
    sections = SECTIONS | {"model": A2NetConfig}
    official = ReleasedConfig

    @classmethod
    def make(
        cls, config: ModelConfig, weights: Mapping[str, Tensor] | None = None
    ) -> ParametricNet:
        """See Parametric.make."""
        released = getattr(config, "offset", "true") == "released"
        return ParametricNet(config, lambda n, kind: AttentiveHead(n, kind, released), weights)
