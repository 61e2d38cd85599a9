"""What Neighbourhood Consensus Networks are made of: all matches of a pair at once, filtered.

A volume (B, 1, h, w, d, t) scores the match of every cell (y, x) of the source, axes h and w, with
every cell of the target, axes d and t.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jladkit.model.conv4d import Conv4d

EPSILON = 1e-5  # beside the maxima of mutual matching


def correlation_4d(source: Tensor, target: Tensor) -> Tensor:
    """<F_i^s, F_j^t> for all cells i of source and j of target.

    Args:
        source: (B, C, h, w).
        target: (B, C, d, t).

    Returns:
        (B, 1, h, w, d, t).

    Raises:
        ValueError: the maps differ in batch or channels.
    """
    if source.dim() != 4 or target.dim() != 4 or source.shape[:2] != target.shape[:2]:
        raise ValueError(
            "source and target must be (B, C, h, w) and (B, C, d, t), but are "
            f"{tuple(source.shape)} and {tuple(target.shape)}."
        )
    scores = torch.bmm(source.flatten(2).transpose(1, 2), target.flatten(2))
    return scores.view(len(source), 1, *source.shape[2:], *target.shape[2:])


def mutual_matching(volume: Tensor) -> Tensor:
    """Each score times its share of the best score of either of its cells (NCNet, section 3.3).

    A match that is the best one of both its cells keeps its score.

    Args:
        volume: (B, 1, h, w, d, t).
    """
    of_target = volume / (volume.amax(dim=(2, 3), keepdim=True) + EPSILON)
    of_source = volume / (volume.amax(dim=(4, 5), keepdim=True) + EPSILON)
    return volume * (of_source * of_target)  # this order keeps both directions equal to the bit


class NeighbourhoodConsensus(nn.Module):
    """N(c) + N(cᵀ)ᵀ, where N is 4-D convolutions, each with a ReLU (NCNet, section 3.2).

    Args:
        kernels: side of each convolution's kernel, odd.
        channels: of what each gives; the last must be 1.
    """

    def __init__(self, kernels: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        inputs = [1, *channels[:-1]]
        self.layers = nn.ModuleList(
            Conv4d(i, o, k) for i, o, k in zip(inputs, channels, kernels, strict=True)
        )

    def forward(self, volume: Tensor) -> Tensor:
        """(B, 1, h, w, d, t) to the same. One direction after the other: together they would be
        no faster, and take twice the memory."""
        return self.one_way(volume, False) + self.one_way(volume, True)

    def one_way(self, volume: Tensor, swapped: bool) -> Tensor:
        """N(c); or N(cᵀ)ᵀ, which is N with the axes of its kernels swapped."""
        for layer in self.layers:
            volume = F.relu(layer(volume, swapped), inplace=True)
        return volume


def matching_score(volume: Tensor) -> Tensor:
    """How sure the best matches are: the mean over both directions and all cells of the highest
    softmax over the other picture's cells (NCNet, section 3.5).

    Args:
        volume: (B, 1, h, w, d, t).

    Returns:
        A scalar in (0, 1].
    """
    scores = volume.flatten(4).flatten(1, 3)  # (B, source cells, target cells)
    to_target, to_source = (scores.softmax(dim=dim).amax(dim=dim).mean() for dim in (2, 1))
    return (to_target + to_source) / 2


class Pooled(NamedTuple):
    """A volume of coarser cells, and where in each of them the best match of the finer ones was.

    Attributes:
        volume: (B, 1, h, w, d, t).
        source: (B, 2, h, w, d, t) xy of the source cell, in finer cells, from the coarse cell's
            corner on: whole numbers from 0 to k - 1.
        target: the same of the target cell.
    """

    volume: Tensor
    source: Tensor
    target: Tensor


def pool_4d(volume: Tensor, side: int) -> Pooled:
    """The highest score of each side⁴ neighbours, for relocalisation (NCNet on InLoc).

    Args:
        volume: (B, 1, h, w, d, t); each a multiple of `side`.

    Raises:
        ValueError: they are not.
    """
    if any(length % side for length in volume.shape[2:]):
        raise ValueError(f"Sides {tuple(volume.shape[2:])} are not all multiples of {side}.")
    steps = product(range(side), repeat=4)
    finer = [volume[:, 0, i::side, j::side, k::side, m::side] for i, j, k, m in steps]
    best, at = torch.stack(finer, dim=1).max(dim=1, keepdim=True)
    y, x = at // side**3, at // side**2 % side
    v, u = at // side % side, at % side
    return Pooled(best, torch.cat([x, y], dim=1), torch.cat([u, v], dim=1))


def best_matches(volume: Tensor, pooled: Pooled | None = None, side: int = 1) -> Tensor:
    """Each source cell's best target cell.

    Args:
        volume: (B, 1, h, w, d, t) filtered scores.
        pooled: what `pool_4d` gave before they were filtered; None where nothing was pooled.
        side: that of the pooling.

    Returns:
        (B, 2, h, w) xy in cells of the volume's target. Where it was pooled, the coarse cell's own
        place moved by the displacement between the two finer cells that matched best in it.
    """
    width = volume.shape[5]
    best = volume.flatten(4).argmax(dim=4)  # (B, 1, h, w)
    found = torch.cat([best % width, best // width], dim=1).to(volume.dtype)
    if pooled is None:
        return found
    where = best[..., None].expand(-1, 2, -1, -1, -1)
    start, end = (
        part.flatten(4).gather(4, where)[..., 0].to(volume.dtype)
        for part in (pooled.source, pooled.target)
    )
    return found + (end - start) / side
