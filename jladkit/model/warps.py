"""Known warps for synthetic pairs: affine, and thin-plate spline on top.

A warp T takes places of the picture that is made to places of the picture that it is made from,
both normalised to [-1, 1]: exactly what grid_sample wants, so the new picture is the source, the
old one the target, and T is the true field from source to target without inverting anything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from jladkit.errors import UsageError
from jladkit.model.geometry import cell_grid, from_normalised, to_normalised


@dataclass(frozen=True)
class Warp:
    """A batch of warps: T(p) = A p + t + Σ_n w_n U(|p - c_n|), U(r) = r² log r².

    affine (B, 2, 3); weights (B, n, 2) of the spline at the control points (n, 2).
    """

    affine: Tensor
    weights: Tensor
    control: Tensor

    def __call__(self, points: Tensor) -> Tensor:
        """Carry (B, N, 2) points in [-1, 1]; (N, 2) stands for the same points in every warp."""
        if points.dim() == 2:
            return self.combined(terms(points, self.control))
        straight = points @ self.affine[:, :, :2].transpose(1, 2) + self.affine[:, None, :, 2]
        return straight + radial(points, self.control) @ self.weights

    def combined(self, parts: Tensor) -> Tensor:
        """(B, N, 2) of the `terms` (n + 3, N) of points: one product does it for all warps."""
        factors = torch.cat([self.weights.mT, self.affine], dim=2)
        return (factors.flatten(0, 1) @ parts).unflatten(0, (-1, 2)).mT

    def mirrored(self) -> Tensor:
        """(B,) bool: whether it turns left and right about."""
        return torch.linalg.det(self.affine[:, :, :2]) < 0

    def take(self, which: Tensor) -> "Warp":
        """The warps (B,) of a larger batch."""
        return Warp(self.affine[which], self.weights[which], self.control)

    def field(self, height: int, width: int) -> Tensor:
        """(B, 2, height, width): where each cell of source lies, in cells of a target map."""
        return as_field(self.on_grid(height, width), height, width)

    def apply(self, images: Tensor) -> Tensor:
        """(B, C, H, W): the warped pictures; outside, they are mirrored at their edges."""
        return read_at(images, self.on_grid(*images.shape[-2:]), "reflection")

    def on_grid(self, height: int, width: int) -> Tensor:
        """(B, height * width, 2): where it takes the centres of a grid's cells, in [-1, 1]."""
        parts = grid_terms(tuple(self.control.flatten().tolist()), height, width)
        return self.combined(parts.to(self.control))


def as_field(places: Tensor, height: int, width: int) -> Tensor:
    """Places (B, height * width, 2) in [-1, 1], row by row, as a field in cells of such a map."""
    cells = from_normalised(places, width, height)
    return cells.transpose(1, 2).reshape(-1, 2, height, width)


def straight(affine: Tensor) -> Warp:
    """The affine warps (B, 2, 3) without any spline."""
    return Warp(affine, affine.new_zeros(len(affine), 0, 2), affine.new_zeros(0, 2))


def warped(images: Tensor, warp: Callable[[Tensor], Tensor], padding: str = "reflection") -> Tensor:
    """(B, C, H, W) images read where `warp` takes each pixel.

    Args:
        warp: from (N, 2) points in [-1, 1] to (B, N, 2).
        padding: of what lies outside: "reflection" mirrors at the edges, "zeros" gives 0.
    """
    height, width = images.shape[-2:]
    return read_at(images, warp(centres(height, width, images.device)), padding)


def read_at(images: Tensor, places: Tensor, padding: str) -> Tensor:
    """(B, C, H, W) images read at places (B, H * W, 2) in [-1, 1], row by row."""
    grid = places.unflatten(1, images.shape[-2:])
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def centres(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """(height * width, 2): the centres of all cells, row by row, in [-1, 1]."""
    return to_normalised(cell_grid(height, width, device).flatten(1).T, width, height)


def terms(points: Tensor, control: Tensor) -> Tensor:
    """(n + 3, N): what a warp is a weighted sum of at points (N, 2), U of the distance from each of
    the control points (n, 2), x, y and 1."""
    return torch.cat([radial(control, points), points.T, points.new_ones(1, len(points))])


@lru_cache(maxsize=8)
def grid_terms(control: tuple[float, ...], height: int, width: int) -> Tensor:
    """The `terms` of the centres of a grid's cells. A training asks for the same in every step, and
    they would take more time than all the rest of a warp."""
    with torch.inference_mode(False):  # whoever asks first, a later one may differentiate
        return terms(centres(height, width), torch.tensor(control).reshape(-1, 2))


def radial(points: Tensor, control: Tensor) -> Tensor:
    """(..., N, n): U of the distance from each of (..., N, 2) points to each of (n, 2) controls."""
    x, y = (points[..., None, axis] - control[:, axis] for axis in (0, 1))
    squared = x.square() + y.square()  # a sum over an axis of two takes twice the time
    return squared * torch.log(squared.clamp_min(1e-12))


def control_grid(side: int) -> Tensor:
    """(side², 2) points spread evenly over [-1, 1]²."""
    axis = torch.linspace(-1, 1, side)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def spline_weights(control: Tensor, shift: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """The thin-plate spline that moves each control point by `shift`.

    Args:
        control: (n, 2); shift: (B, n, 2).
        smoothing: λ on the diagonal of the system; above 0 the points are moved nearly so far.

    Returns:
        Weights (B, n, 2) and the affine part (B, 2, 3) of the displacement.
    """
    n = len(control)
    ones = torch.cat([control.new_ones(n, 1), control], dim=1)
    system = control.new_zeros(n + 3, n + 3)
    system[:n, :n] = radial(control, control)
    system.diagonal()[:n] += smoothing
    system[:n, n:], system[n:, :n] = ones, ones.T
    right = torch.cat([shift, shift.new_zeros(len(shift), 3, 2)], dim=1)
    solved = torch.linalg.solve(system, right)
    bias, linear = solved[:, n], solved[:, n + 1 :].transpose(1, 2)
    return solved[:, :n], torch.cat([linear, bias[..., None]], dim=2)


@dataclass(frozen=True)
class WarpRange:
    """How far random warps go: rotation and shear angle in radians, scale as a share of 1,
    translation and spline jitter as a share of half the picture's side. `mirror` is the share of
    warps that turn left and right about as well: landmarks that must follow have to look which way an
    object faces. It is for animals that stand either way, not for faces, whose left eye it would
    make the right one."""

    rotation: float = 0.26
    shear: float = 0.26
    scale: float = 0.25
    translation: float = 0.2
    jitter: float = 0.15
    mirror: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.mirror <= 1:
            raise UsageError(f"warp.mirror is a share, from 0 to 1, but is {self.mirror}.")


def random_warp(batch: int, limits: WarpRange, generator: torch.Generator) -> Warp:
    """`batch` warps: A = R(rotation) R(-shear) diag(scales) R(shear), as CNNGeo draws them, plus
    a 3x3 spline with uniform jitter."""

    def uniform(limit: float, *shape: int) -> Tensor:
        return (2 * torch.rand(batch, *shape, generator=generator) - 1) * limit

    angle, shear = uniform(limits.rotation), uniform(limits.shear)
    scale = torch.diag_embed(1 + uniform(limits.scale, 2))
    linear = turn(angle) @ turn(-shear) @ scale @ turn(shear)
    shift = uniform(limits.translation, 2)
    control = control_grid(3)
    weights, bend = spline_weights(control, uniform(limits.jitter, len(control), 2))
    affine = torch.cat([linear, shift[..., None]], dim=2) + bend
    if not limits.mirror:
        return Warp(affine, weights, control)
    turned = torch.rand(batch, generator=generator) < limits.mirror
    sides = torch.stack([1 - 2 * turned.float(), torch.ones(batch)], dim=1)
    return Warp(affine * sides[:, :, None], weights * sides[:, None], control)


def turn(angle: Tensor) -> Tensor:
    """(B, 2, 2) rotations by (B,) radians."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], dim=-2)
