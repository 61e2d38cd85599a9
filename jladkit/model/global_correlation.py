"""Dense correlation of two feature maps: every cell of one with every cell of the other.

Channels run over the target's cells row by row. The released code of CNNGeo and its successors
runs over them column by column (`by_columns_first` has the order), which matters to their weights
alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def global_correlation(source: Tensor, target: Tensor, normalise: bool = False) -> Tensor:
    """<F_i^s, F_j^t> for all cells i of source and j of target (CNNGeo, section 3.2).

    Args:
        source: (B, C, H, W).
        target: (B, C, h, w).
        normalise: keep what is positive, and divide each source cell's scores by their L2 norm
            (with 1e-6 under the root), as CNNGeo does.

    Returns:
        (B, h * w, H, W); channel y * w + x holds the products with target cell (x, y).

    Raises:
        ValueError: the maps differ in batch or channels.
    """
    if source.dim() != 4 or target.dim() != 4 or source.shape[:2] != target.shape[:2]:
        raise ValueError(
            f"source and target must be (B, C, H, W) and (B, C, h, w), but are "
            f"{tuple(source.shape)} and {tuple(target.shape)}."
        )
    volume = torch.bmm(target.flatten(2).transpose(1, 2), source.flatten(2))
    volume = volume.unflatten(2, source.shape[-2:])
    return unit(F.relu(volume)) if normalise else volume


def unit(maps: Tensor) -> Tensor:
    """(B, C, H, W) divided by the L2 norm over C, with 1e-6 under the root."""
    return maps / (maps.square().sum(dim=1, keepdim=True) + 1e-6).sqrt()


def offset_aware(volume: Tensor, transposed: bool = False) -> Tensor:
    """A dense correlation by offset instead of by place (A2Net, section 3.2).

    Args:
        volume: (B, h * w, h, w) of `global_correlation`.
        transposed: put the target cell (x, y) where (y, x) belongs. The released code does so
            unawares: its correlation runs over target cells column by column, and is read row by
            row here. The true offset comes out on the diagonal x = y alone.

    Returns:
        (B, (2h - 1)(2w - 1), h, w); channel (dy + h - 1) * (2w - 1) + (dx + w - 1) holds the product
        of a source cell with the target cell at offset (dx, dy) from it, 0 where there is none.
    """
    height, width = volume.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    to_y, to_x = (x, y) if transposed else (y, x)
    dy = to_y.flatten()[:, None] - y.flatten() + height - 1  # (target cells, source cells)
    dx = to_x.flatten()[:, None] - x.flatten() + width - 1
    channel = (dy * (2 * width - 1) + dx).to(volume.device).expand(len(volume), -1, -1)
    wide = volume.new_zeros(len(volume), (2 * height - 1) * (2 * width - 1), height * width)
    return wide.scatter(1, channel, volume.flatten(2)).unflatten(2, (height, width))


def by_columns_first(height: int, width: int) -> Tensor:
    """(h * w,) for each cell, column by column, its number row by row."""
    return torch.arange(height * width).view(height, width).T.flatten()
