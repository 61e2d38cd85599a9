"""Known warps for synthetic pairs: affine, and thin-plate spline on top.

A warp T takes places of the picture that is made to places of the picture that it is made from,
both normalised to [-1, 1]: exactly what grid_sample wants, so the new picture is the source, the
old one the target, and T is the true field from source to target without inverting anything.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

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
        straight = points @ self.affine[:, :, :2].transpose(1, 2) + self.affine[:, None, :, 2]
        # For the same points in every warp one product does, and not one a warp.
        form = "nk,bkc->bnc" if points.dim() == 2 else "bnk,bkc->bnc"
        return straight + torch.einsum(form, radial(points, self.control), self.weights)

    def take(self, which: Tensor) -> "Warp":
        """The warps (B,) of a larger batch."""
        return Warp(self.affine[which], self.weights[which], self.control)

    def field(self, height: int, width: int) -> Tensor:
        """(B, 2, height, width): where each cell of source lies, in cells of a target map."""
        return field_of(self, height, width)

    def apply(self, images: Tensor) -> Tensor:
        """(B, C, H, W): the warped pictures; outside, they are mirrored at their edges."""
        return warped(images, self)


def field_of(
    warp: Callable[[Tensor], Tensor], height: int, width: int, device: torch.device | None = None
) -> Tensor:
    """(B, 2, height, width): where `warp` takes each cell of source, in cells of a target map.

    Args:
        warp: from (N, 2) points in [-1, 1] to (B, N, 2).
        device: where the warp's parameters are.
    """
    grid = cell_grid(height, width, device).flatten(1).T
    cells = from_normalised(warp(to_normalised(grid, width, height)), width, height)
    return cells.transpose(1, 2).reshape(-1, 2, height, width)


def warped(images: Tensor, warp: Callable[[Tensor], Tensor], padding: str = "reflection") -> Tensor:
    """(B, C, H, W) images read where `warp` takes each pixel; see `field_of`.

    `padding`, of what lies outside: "reflection" mirrors at the edges, "zeros" gives 0.
    """
    height, width = images.shape[-2:]
    field = field_of(warp, height, width, images.device)
    grid = to_normalised(field.movedim(1, -1), width, height)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=padding, align_corners=False)


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
    translation and spline jitter as a share of half the picture's side."""

    rotation: float = 0.26
    shear: float = 0.26
    scale: float = 0.25
    translation: float = 0.2
    jitter: float = 0.15


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
    return Warp(affine, weights, control)


def turn(angle: Tensor) -> Tensor:
    """(B, 2, 2) rotations by (B,) radians."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], dim=-2)
