"""The one place where frames are changed and where [-1, 1] lives.

Three frames, all xy:

    pixels      of an image of W x H; (0, 0) is the centre of the top left pixel
    cells       of a feature map of w x h over that image; (0, 0) is the centre of the top left
                cell, so a pixel p lies at cell (p + 0.5) * w / W - 0.5
    normalised  [-1, 1] from the outer edge of the first pixel or cell to that of the last
                (align_corners=False), the same for an image and any map over it
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def pixels_to_cells(points: Tensor, size: int, cells: int) -> Tensor:
    """xy in pixels of an image of side `size`, as xy in cells of a map of side `cells`."""
    return (points + 0.5) * (cells / size) - 0.5


def cells_to_pixels(points: Tensor, size: int, cells: int) -> Tensor:
    """The inverse of `pixels_to_cells`."""
    return (points + 0.5) * (size / cells) - 0.5


def to_normalised(points: Tensor, width: int, height: int) -> Tensor:
    """xy (..., 2) in pixels or cells of a width x height map, as [-1, 1] (align_corners=False)."""
    size = points.new_tensor([width, height])
    return (2 * points + 1) / size - 1


def from_normalised(points: Tensor, width: int, height: int) -> Tensor:
    """The inverse of `to_normalised`."""
    size = points.new_tensor([width, height])
    return ((points + 1) * size - 1) / 2


def cell_grid(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """(2, height, width): the xy of every cell's centre, in cells."""
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float32, device=device),
        torch.arange(width, dtype=torch.float32, device=device),
        indexing="ij",
    )
    return torch.stack([x, y])


def sample(maps: Tensor, field: Tensor, padding: str = "border") -> Tensor:
    """Read `maps` bilinearly where `field` points: [τ∘F]_i of the paper.

    Args:
        maps: (B, C, H, W).
        field: (B, 2, h, w) xy in cells of `maps`.
        padding: "border" repeats the edge, "zeros" gives 0 outside.

    Returns:
        (B, C, h, w).
    """
    height, width = maps.shape[-2:]
    grid = to_normalised(field.movedim(1, -1), width, height)
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def sample_points(maps: Tensor, points: Tensor) -> Tensor:
    """Read `maps` bilinearly at single points.

    Args:
        maps: (B, C, H, W).
        points: (B, N, 2) xy in cells of `maps`; outside, the edge is repeated.

    Returns:
        (B, N, C).
    """
    values = sample(maps, points.movedim(-1, 1)[..., None])  # (B, C, N, 1)
    return values[..., 0].transpose(1, 2)


def resize(maps: Tensor, height: int, width: int) -> Tensor:
    """Bilinear resampling of (B, C, H, W) to (B, C, height, width), align_corners=False."""
    if maps.shape[-2:] == (height, width):
        return maps
    return F.interpolate(maps, (height, width), mode="bilinear", align_corners=False)


def resize_field(field: Tensor, height: int, width: int) -> Tensor:
    """A field on a finer or coarser grid; its values become cells of a map of that size.

    Args:
        field: (B, 2, h, w) xy in cells of a map of h x w.
        height, width: of the new grid, and of the map that the new values point into.
    """
    h, w = field.shape[-2:]
    scale = field.new_tensor([width / w, height / h]).view(1, 2, 1, 1)
    # What varies smoothly is the displacement; resampling it keeps the identity exact at borders.
    shift = resize(field - cell_grid(h, w, field.device), height, width) * scale
    return cell_grid(height, width, field.device) + shift


def transfer_points(field: Tensor, points: Tensor) -> Tensor:
    """Carry points of the source along a field, displacement interpolated bilinearly.

    Args:
        field: (B, 2, H, W) for each cell of the source, the xy in cells of the target.
        points: (B, N, 2) xy in cells of the source; NaN rows stay NaN.

    Returns:
        (B, N, 2) xy in cells of the target.
    """
    grid = cell_grid(field.shape[-2], field.shape[-1], field.device)
    return points + sample_points(field - grid, torch.nan_to_num(points))


def landmark_positions(maps: Tensor) -> Tensor:
    """Expected position under each map, eq. (5).

    Args:
        maps: (B, K, H, W), not negative.

    Returns:
        (B, K, 2) xy in cells.
    """
    grid = cell_grid(maps.shape[-2], maps.shape[-1], maps.device)
    mass = maps.sum(dim=(-2, -1)).clamp_min(1e-8)
    return torch.einsum("bkhw,chw->bkc", maps, grid.to(maps)) / mass[..., None]
