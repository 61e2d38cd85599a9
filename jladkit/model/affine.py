"""Affine fields: a 2x3 matrix for every cell of the source.

A field is (B, 2, 3, h, w). At a cell, [:, 2] is the xy in cells of target that it maps to, and
[:, :2] is linear: the place p + o beside the cell p maps to [:, 2] + [:, :2] o, for a small o.
"""

import torch
from torch import Tensor

from jladkit.model.geometry import cell_grid, resize, resize_field, sample


def identity_affine(batch: int, height: int, width: int, device: torch.device) -> Tensor:
    """(B, 2, 3, h, w): every cell maps to its own place, and turns or stretches nothing."""
    linear = torch.eye(2, device=device)[:, :, None, None].expand(2, 2, height, width)
    place = cell_grid(height, width, device)[:, None]
    return torch.cat([linear, place], dim=1).expand(batch, 2, 3, height, width)


def places(field: Tensor) -> Tensor:
    """(B, 2, h, w): the xy in cells of target that each cell maps to; what geometry.py calls a
    field."""
    return field[:, :, 2]


def resize_affine(field: Tensor, height: int, width: int) -> Tensor:
    """The field on a finer or coarser grid, each entry interpolated bilinearly.

    Places become cells of a map of height x width; the linear part has no unit.
    """
    linear = resize(field[:, :, :2].flatten(1, 2), height, width).unflatten(1, (2, 2))
    return torch.cat([linear, resize_field(places(field), height, width)[:, :, None]], dim=2)


def transformed_patches(maps: Tensor, field: Tensor, padding: str = "zeros") -> Tensor:
    """The 3x3 neighbourhood of each cell, read from `maps` where the field puts it.

    A 3x3 convolution with stride 3 and no padding then gives for each cell what the convolution
    sees of the transformed picture; under the identity it is the plain convolution with padding 1.

    Args:
        maps: (B, C, H, W).
        field: (B, 2, 3, h, w), into cells of `maps`.

    Returns:
        (B, C, 3h, 3w).
    """
    b, _, _, h, w = field.shape
    step = torch.arange(-1.0, 2.0, device=field.device)
    dy, dx = torch.meshgrid(step, step, indexing="ij")
    offsets = torch.stack([dx, dy])  # (2, 3, 3)
    moved = torch.einsum("bxohw,oij->bxhiwj", field[:, :, :2], offsets)
    at = moved + places(field)[:, :, :, None, :, None]
    return sample(maps, at.reshape(b, 2, 3 * h, 3 * w), padding=padding)


def compose(outer: Tensor, inner: Tensor) -> Tensor:
    """The field that first does `inner` and then `outer`: p -> outer(inner(p)).

    Between its cells the entries of `outer` are interpolated; beyond its edge, the affine of the
    nearest place on the edge goes on.

    Args:
        outer, inner: (B, 2, 3, h, w), places of `inner` in cells of the grid of `outer`.
    """
    height, width = outer.shape[-2:]
    at = places(inner)
    end = at.new_tensor([width, height]).view(1, 2, 1, 1) - 1
    edge = torch.minimum(at.clamp_min(0), end)
    shift = places(outer) - cell_grid(height, width, outer.device)
    read = sample(torch.cat([outer[:, :, :2].flatten(1, 2), shift], dim=1), edge)
    linear = read[:, :4].unflatten(1, (2, 2))
    place = edge + read[:, 4:] + torch.einsum("bxohw,bohw->bxhw", linear, at - edge)
    turned = torch.einsum("bxohw,boihw->bxihw", linear, inner[:, :, :2])
    return torch.cat([turned, place[:, :, None]], dim=2)


def spread_affine(residuals: Tensor, height: int, width: int) -> Tensor:
    """A coarse grid of affines as a field on a fine one.

    The block with middle c moves a place p by R[:, :2] (p - c) + R[:, 2]. Between the middles of
    blocks, what the four around it say is blended bilinearly.

    Args:
        residuals: (B, 2, 3, g, g), places in cells of the fine grid; zero is the identity.

    Returns:
        (B, 2, 3, height, width).
    """
    g = residuals.shape[-1]
    grid = cell_grid(height, width, residuals.device)
    side = grid.new_tensor([width / g, height / g]).view(2, 1, 1)
    middles = (cell_grid(g, g, residuals.device) + 0.5) * side - 0.5
    linear = residuals[:, :, :2]
    constant = residuals[:, :, 2] - torch.einsum("bxohw,ohw->bxhw", linear, middles)
    blended = resize(torch.cat([linear.flatten(1, 2), constant], dim=1), height, width)
    linear = blended[:, :4].unflatten(1, (2, 2))
    place = grid + torch.einsum("bxohw,ohw->bxhw", linear, grid) + blended[:, 4:]
    return torch.cat([linear + torch.eye(2).to(linear)[:, :, None, None], place[:, :, None]], dim=2)
