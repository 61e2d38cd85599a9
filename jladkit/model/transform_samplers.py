"""Random parameters of parametric warps, for synthetic pairs, as each paper's code draws them.

PRESETS has by the name of a preset, and of a kind of jladkit.model.transforms, a function that
draws theta: from a count and a seeded generator to (count, 6 | 18 | 8).
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from jladkit.errors import UsageError
from jladkit.model.transforms import IDENTITY, Transform
from jladkit.model.warps import turn

Draw = Callable[[int, torch.Generator], Tensor]


def uniform(limit: float, count: int, size: int, generator: torch.Generator) -> Tensor:
    """(count, size) in [-limit, limit)."""
    return (2 * torch.rand(count, size, generator=generator) - 1) * limit


def decomposed_affine(count: int, generator: torch.Generator) -> Tensor:
    """A = R(rotation) R(-shear) diag(scales) R(shear): rotation ±15°, shear ±30°, scales ±25 %,
    translation ±0.25. The released CNNGeo; the ranges of CVPR 2017's lists are the same."""
    angle, shear = (uniform(math.pi / limit, count, 1, generator)[:, 0] for limit in (12, 6))
    scale = torch.diag_embed(1 + uniform(0.25, count, 2, generator))
    linear = turn(angle) @ turn(-shear) @ scale @ turn(shear)
    shift = uniform(0.25, count, 2, generator)
    return torch.cat([linear, shift[..., None]], dim=2).flatten(1)


def entrywise_affine(count: int, generator: torch.Generator) -> Tensor:
    """A rotation of ±30° whose four entries are each scaled by ±50 %, translation ±0.5. No scale,
    shear and rotation give all of these; weakalign and A2Net draw them."""
    angle = uniform(math.pi / 6, count, 1, generator)[:, 0]
    linear = turn(angle) * (1 + uniform(0.5, count, 4, generator)).view(-1, 2, 2)
    shift = uniform(0.5, count, 2, generator)
    return torch.cat([linear, shift[..., None]], dim=2).flatten(1)


def jittered(kind: str, limit: float) -> Draw:
    """Control points or corners, each coordinate moved uniformly by ±limit."""

    def draw(count: int, generator: torch.Generator) -> Tensor:
        still = torch.tensor(IDENTITY[kind])
        return still + uniform(limit, count, len(still), generator)

    return draw


def normal_spline(count: int, generator: torch.Generator) -> Tensor:
    """Control points moved by a normal deviate of 0.1, as CVPR 2017's lists have them."""
    return torch.tensor(IDENTITY["tps"]) + 0.1 * torch.randn(count, 18, generator=generator)


PRESETS: dict[str, Mapping[str, Draw]] = {
    "cnngeo": {
        "affine": decomposed_affine,
        "tps": jittered("tps", 0.4),
        "homography": jittered("homography", 0.4),
    },
    "cvpr17": {"affine": decomposed_affine, "tps": normal_spline},
    "weakalign": {"affine": entrywise_affine, "tps": jittered("tps", 0.4)},
}


def random_transform(
    preset: str, kind: str, count: int, generator: torch.Generator, strength: float = 1.0
) -> Transform:
    """`count` random transforms of a kind.

    Args:
        strength: share of the way from the identity to what the preset draws.

    Raises:
        UsageError: there is no such preset, or it has no such kind.
    """
    if preset not in PRESETS:
        raise UsageError(f"There is no preset {preset!r} of synthetic warps: {', '.join(PRESETS)}.")
    if kind not in PRESETS[preset]:
        raise UsageError(
            f"The preset {preset} of synthetic warps has no {kind}, only {', '.join(PRESETS[preset])}."
        )
    drawn = PRESETS[preset][kind](count, generator)
    return Transform(kind, torch.lerp(drawn.new_tensor(IDENTITY[kind]), drawn, strength))
