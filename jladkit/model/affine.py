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
