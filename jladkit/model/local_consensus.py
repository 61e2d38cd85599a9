"""Neighbourhood consensus inside the search window, with nothing to learn.

NCNet's idea (Rocco et al., NeurIPS 2018): a match is to be believed where its neighbours match alike.
NCNet learns 4-D convolutions over all matches of a pair for that. Here a match is a cell of source and
an offset within its window. Neighbours that match alike stand in one and the same channel, so a blur of
each channel adds up what they say: a few passes over memory, and no product of channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from jladkit.model.correlation import window_inside

EPSILON = 1e-5  # beside maxima


def local_consensus(correlation: Tensor, radius: int, spread: float, passes: int = 1) -> Tensor:
    """How well the cells around each one match at the same offset.

    Scores are first lowered by their share of the best score of either cell, as NCNet does (section
    3.3), then averaged over neighbouring cells, and last divided by the highest of the pair. A further
    pass does the same with what the one before has given: neighbours then say what theirs agree on.

    Args:
        correlation: (B, (2r+1)², H, W) of `local_correlation`; what is below 0 counts as 0.
        radius: r, in cells.
        spread: standard deviation of the Gaussian that weighs neighbours, in cells, above 0.
        passes: at least 1.

    Returns:
        (B, (2r+1)², H, W) in [0, 1]; 0 where the window leaves the map.
    """
    height, width = correlation.shape[-2:]
    scores = correlation.clamp_min(0)
    down, across = (blur(side, spread).to(scores) for side in (height, width))
    outside = ~window_inside(height, width, radius, scores.device)
    for _ in range(passes):
        scores = (down @ mutual(scores, radius) @ across).masked_fill(outside, 0)
        highest = scores.detach().amax(dim=(1, 2, 3), keepdim=True)
        scores = scores / highest.clamp_min(EPSILON)
    return scores


def mutual(scores: Tensor, radius: int) -> Tensor:
    """Scores (B, (2r+1)², H, W), not negative, times their shares of the best score of their cell of
    source and of their cell of target. What is best of both keeps its score; the maxima count as
    constants."""
    fixed = scores.detach()
    of_source = fixed.amax(dim=1, keepdim=True).clamp_min(EPSILON)
    of_target = seen_from_target(fixed, radius).amax(dim=1)
    return (
        scores * (scores / of_source) * (scores / at_target(of_target, radius).clamp_min(EPSILON))
    )


def seen_from_target(scores: Tensor, radius: int) -> Tensor:
    """(B, (2r+1)², H, W): the same scores for every cell of target and the cells of source around it;
    0 for those that are off the map."""
    batch, _, height, width = scores.shape
    side, rows, columns = 2 * radius + 1, height + 2 * radius, width + 2 * radius
    # The match that is at offset o from source is at -o from target, in the channel that counts from the end.
    padded = F.pad(scores.flip(1), (radius,) * 4)
    one = rows * columns
    shape = (batch, side, side, height, width)
    moved = padded.as_strided(shape, (side**2 * one, side * one + columns, one + 1, columns, 1))
    return moved.flatten(1, 2)


def at_target(maps: Tensor, radius: int) -> Tensor:
    """(B, (2r+1)², H, W): maps (B, H, W) of target read where each offset leads; 0 off the map."""
    height, width = maps.shape[-2:]
    padded = F.pad(maps, (radius,) * 4)
    return padded.unfold(1, height, 1).unfold(2, width, 1).flatten(1, 2)


def blur(side: int, spread: float) -> Tensor:
    """(side, side), symmetric: a product with it weighs a row's neighbours by a Gaussian, cut at two
    deviations; cells off the row count as 0."""
    apart = (torch.arange(side)[:, None] - torch.arange(side)).abs()
    weights = torch.exp(-((torch.arange(side) / spread) ** 2) / 2)
    weights[torch.arange(side) > 2 * spread + 0.5] = 0
    return (weights / (2 * weights.sum() - weights[0]))[apart]
