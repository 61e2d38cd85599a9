"""Random warps as the landmark papers draw them, by name.

Each paper makes two views of a picture: the first from the picture itself, or the picture as it
is, and the second from the first. Warps are those of jladkit.model.warps: from places of the
picture that is made to places of the one it is made from, in [-1, 1].
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from jladkit.model.warps import Warp, control_grid, spline_weights, straight, turn

Sampler = Callable[[int, torch.Generator], Warp]


class TwoViews(NamedTuple):
    """How two views are drawn. `first` is None where the first view is the picture as it is."""

    first: Sampler | None
    second: Sampler


def normal(deviation: float, generator: torch.Generator, *shape: int) -> Tensor:
    """Gaussian numbers about 0."""
    return deviation * torch.randn(*shape, generator=generator)


def uniform(low: float, high: float, generator: torch.Generator, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=generator)


def similarity(angle: Tensor, scale: Tensor) -> Tensor:
    """(B, 2, 2): rotation by `angle` (B,) radians, each axis stretched by `scale` (B, 2)."""
    return turn(angle) @ torch.diag_embed(scale)


def strucrep(batch: int, generator: torch.Generator) -> Warp:
    """StrucRep's second view: a 7x7 spline whose points move by N(0, 0.1), and then a similarity:
    rotation N(0, 10 degrees), log scale N(0, ln 1.25), translation U(-0.3, 0.3)."""
    control = control_grid(7)
    weights, bend = spline_weights(control, normal(0.1, generator, batch, len(control), 2))
    scale = torch.exp(normal(math.log(1.25), generator, batch, 1)).expand(-1, 2)
    turned = similarity(normal(math.radians(10), generator, batch), scale)
    shift = uniform(-0.3, 0.3, generator, batch, 2)
    # S (p + bend p + sum of w U) + shift
    linear = turned @ (torch.eye(2) + bend[:, :, :2])
    moved = (turned @ bend[:, :, 2:])[..., 0] + shift
    return Warp(torch.cat([linear, moved[..., None]], dim=2), weights @ turned.mT, control)


def spline_of_noise(
    weights: tuple[float, float],
    *,
    replaced: bool,
    rotation: float = 0.0,
    scale: float = 0.0,
    translation: float = 0.1,
) -> Sampler:
    """A 10x10 spline whose weights, not displacements, are Gaussian, on a similarity.

    Args:
        weights: deviation of every weight; and of what is added to a random half of them.
        replaced: that half has the second deviation alone, instead of both.
        rotation: deviation, in degrees.
        scale: deviation of the scale about 1.
        translation: deviation, in [-1, 1].
    """

    def draw(batch: int, generator: torch.Generator) -> Warp:
        control = control_grid(10)
        shape = (batch, len(control), 2)
        small, large = (normal(deviation, generator, *shape) for deviation in weights)
        half = torch.rand(shape, generator=generator) < 0.5
        linear = similarity(
            normal(math.radians(rotation), generator, batch),
            1 + normal(scale, generator, batch, 1).expand(-1, 2),
        )
        shift = normal(translation, generator, batch, 2)
        spline = small * (~half if replaced else 1) + large * half
        return Warp(torch.cat([linear, shift[..., None]], dim=2), spline, control)

    return draw


def affine(looseness: float) -> Sampler:
    """FPE's warps as its public code draws them, without any spline.

    Rotation U(-0.5, 0.5) radians, translation N(0, looseness) in [-1, 1], scale of x
    U(0.8 - looseness, 1.1 + looseness), and of y the same plus N(0, 0.1).
    """

    def draw(batch: int, generator: torch.Generator) -> Warp:
        angle = uniform(-0.5, 0.5, generator, batch)
        shift = normal(looseness, generator, batch, 2)
        across = uniform(0.8 - looseness, 1.1 + looseness, generator, batch)
        down = across + normal(0.1, generator, batch)
        linear = similarity(angle, torch.stack([across, down], dim=1))
        return straight(torch.cat([linear, shift[..., None]], dim=2))

    return draw


PRESETS = {
    "strucrep": TwoViews(None, strucrep),
    "cig": TwoViews(
        spline_of_noise((0.001, 0.005), replaced=False),
        spline_of_noise((0.001, 0.01), replaced=False, rotation=5, scale=0.1),
    ),
    "fpe": TwoViews(affine(0.0), affine(0.1)),
    "deil": TwoViews(
        spline_of_noise((0.0005, 0.005), replaced=True, rotation=5, scale=0.1),
        spline_of_noise((0.001, 0.01), replaced=True, rotation=5, scale=0.1),
    ),
}
