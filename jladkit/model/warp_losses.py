"""Losses of parametric warps: against a known one (CNNGeo), and by soft inliers (weakalign)."""

from collections.abc import Callable

import torch
from torch import Tensor

from jladkit.model.geometry import cell_grid, sample
from jladkit.model.warps import control_grid

Points = Callable[[Tensor], Tensor]


def grid_loss(found: Points, true: Points, device: torch.device | None = None) -> Tensor:
    """Squared distance between where two warps take a 20x20 grid over [-1, 1]², mean over points
    and batch (CNNGeo, eq. 5).

    Args:
        found, true: from (N, 2) points to (B, N, 2), such as jladkit.model.transforms.Transform.
        device: where their parameters are.
    """
    grid = control_grid(20).to(device)
    return (found(grid) - true(grid)).square().sum(dim=-1).mean()


def soft_inliers(volume: Tensor, warp: Points, reach: float | None = None) -> Tensor:
    """How much of a correlation lies where a warp says (weakalign, eq. 3 and 4).

    The paper warps the mask of the identity and weighs the correlation with it. For a source cell i
    the warped mask is the four bilinear weights of the target place T(i), so the weighed sum is the
    correlation of i read bilinearly at T(i); what falls outside the map counts nothing.

    Args:
        volume: (B, h * w, H, W) of jladkit.model.global_correlation, ReLU and norm done.
        warp: from (N, 2) points in [-1, 1] to (B, N, 2).
        reach: where in [-1, 1] the centres of the outermost cells lie; None is 1 - 1 / w, where
            jladkit.model.geometry has them. The released code has 210 / 227.

    Returns:
        (B,) the sum of scores over the sum of weights (plus 1e-5 an entry of the mask). 1 where the
        warp hits a perfect match in every cell.
    """
    height, width = volume.shape[-2:]
    half = volume.new_tensor([(width - 1) / 2, (height - 1) / 2])
    spread = half.new_tensor([1 - 1 / width, 1 - 1 / height]) if reach is None else reach
    cells = cell_grid(height, width, volume.device).flatten(1).T  # (H * W, 2)
    ends = warp((cells / half - 1) * spread) / spread  # (B, H * W, 2)
    ends = ((ends + 1) * half).reshape(-1, 2, 1, 1)
    maps = volume.flatten(2).transpose(1, 2).reshape(-1, 1, height, width)
    scores = sample(maps, ends, padding="zeros").view(len(volume), -1).sum(dim=1)
    weights = sample(torch.ones_like(maps), ends, padding="zeros").view(len(volume), -1)
    return scores / (weights.sum(dim=1) + 1e-5 * (height * width) ** 2)
