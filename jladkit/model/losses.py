"""The paper's losses, (1), (2), (6)-(10), each a pure function.

Positions and fields are xy in cells. Sums over cells and landmarks are as printed where the
docstring says "sum"; elsewhere means over cells, so that the weights do not depend on map size.
"""

import torch
from torch import Tensor

from jladkit.model.correlation import local_correlation, window_inside
from jladkit.model.geometry import cell_grid, landmark_positions, sample


def anchor_loss(
    field: Tensor, true_field: Tensor, valid: Tensor, number: Tensor | None = None
) -> Tensor:
    """(1): squared distance between a field and the known warp, mean over valid cells.

    Args:
        field, true_field: (B, 2, H, W) xy in cells.
        valid: (B, H, W) bool; False where the known warp leaves the image.
        number: of cells to divide by where this is a share of a batch; None counts `valid`'s.
    """
    squared = (field - true_field).square().sum(dim=1)
    return (squared * valid).sum() / (valid.sum().clamp_min(1) if number is None else number)


def equivariance_loss(target: Tensor, carried: Tensor) -> Tensor:
    """(2): squared distance of landmarks of the target and carried ones of the source, mean.

    Args:
        target: (B, K, 2) landmarks found in the target, in [0, 1] of the map's side.
        carried: (B, K, 2) landmarks found in the source, carried over by the known warp.
    """
    return (target - carried).square().sum(dim=-1).mean()


def window_cross_entropy(
    source: Tensor, warped_target: Tensor, radius: int, temperature: float
) -> Tensor:
    """-log s_ii of (7): how surely each cell of source recognises its own place in warped target.

    Args:
        source: (B, C, H, W) unit features, as a backbone gives them.
        warped_target: (B, C, H, W) features; normalised over channels here, since unit features
            between which a warp reads are no longer unit ones.
        radius: of the window M_i, in cells; cells outside the map take no part.
        temperature: factor on the scores before the softmax (the paper prints none, that is 1).

    Returns:
        (B, H, W), not negative.
    """
    # In words instead of F.normalize, whose backward pass takes three times the passes over memory.
    length = warped_target.square().sum(dim=1, keepdim=True).clamp_min(1e-12).rsqrt()
    scores = local_correlation(source, warped_target * length, radius)
    height, width = source.shape[-2:]
    inside = window_inside(height, width, radius, source.device)
    logits = (temperature * scores).masked_fill(~inside, float("-inf"))
    return torch.logsumexp(logits, dim=1) - logits[:, logits.shape[1] // 2]


def alignment_loss(cross_entropy: Tensor, log_sigma: Tensor) -> Tensor:
    """(6): cross-entropy divided by σ plus log σ, mean over cells.

    Args:
        cross_entropy: (B, H, W) of `window_cross_entropy`.
        log_sigma: (B, H, W); zero everywhere leaves uncertainty out (wo/UM).
    """
    return (cross_entropy * torch.exp(-log_sigma) + log_sigma).mean()


def concentration_loss(maps: Tensor) -> Tensor:
    """(8): variance of position under each normalised map, sum over landmarks, mean over batch.

    Args:
        maps: (B, K, H, W) probability maps without the background.

    Returns:
        Scalar; positions count in [0, 1] of the map's sides.
    """
    height, width = maps.shape[-2:]
    side = maps.new_tensor([width, height])
    grid = cell_grid(height, width, maps.device).to(maps) / side.view(2, 1, 1)
    weights = maps / maps.sum(dim=(-2, -1), keepdim=True).clamp_min(1e-8)
    mean = torch.einsum("bkhw,chw->bkc", weights, grid)
    squared = torch.einsum("bkhw,chw->bkc", weights, grid.square())
    return (squared - mean.square()).sum(dim=(1, 2)).mean()


def separation_loss(positions: Tensor, margin: float) -> Tensor:
    """(9): hinge on the SQUARED distance of every ordered pair of landmarks, sum, mean over batch.

    Args:
        positions: (B, K, 2) in [0, 1].
        margin: c; 0.05, 0.03, 0.02 in the paper for K = 10, 15, 30.
    """
    squared = (positions[:, :, None] - positions[:, None]).square().sum(dim=-1)
    hinge = (margin - squared).clamp_min(0)
    apart = ~torch.eye(positions.shape[1], dtype=torch.bool, device=positions.device)
    return (hinge * apart).sum(dim=(1, 2)).mean()


def joint_loss(source: Tensor, target: Tensor, field: Tensor, log_sigma: Tensor) -> Tensor:
    """(10): squared distance of source maps and warped target maps over σ; sum over k, mean over i.

    Args:
        source, target: (B, K, H, W) probability maps, without the background.
        field: (B, 2, H, W) xy in cells of target, for each cell of source.
        log_sigma: (B, H, W).
    """
    warped = sample(target, field, padding="zeros")
    squared = (source - warped).square().sum(dim=1)
    return (squared * torch.exp(-log_sigma)).mean()


def normalised_joint_loss(
    source: Tensor, target: Tensor, field: Tensor, log_sigma: Tensor
) -> Tensor:
    """(10) on maps divided by their own mass, relative to their own squared norms; mean over k.

    Not in the paper: as printed the loss falls to 0 when the maps fade into the background or
    spread out, and then teaches nothing. This form is blind to both: with σ = 1 it is 0 where a
    map and the other one warped are the same, and 1 where they do not overlap at all.
    """
    source = _unit_mass(source)
    warped = sample(_unit_mass(target), field, padding="zeros")
    squared = ((source - warped).square() * torch.exp(-log_sigma)[:, None]).sum(dim=(-2, -1))
    norms = (source.square() + warped.square()).sum(dim=(-2, -1))
    return (squared / norms.clamp_min(1e-12)).mean()


def coordinate_joint_loss(
    source: Tensor, target: Tensor, field: Tensor, log_sigma: Tensor
) -> Tensor:
    """(10) on positions: squared distance of each landmark of target and the source's one carried
    over, in [0, 1] of the map's side, over σ under the source's map; mean over k. Not in the paper.
    """
    weights = _unit_mass(source)
    carried = torch.einsum("bkhw,bchw->bkc", weights, field)
    side = field.new_tensor([field.shape[-1], field.shape[-2]])
    squared = ((carried - landmark_positions(target)) / side).square().sum(dim=-1)
    sureness = torch.einsum("bkhw,bhw->bk", weights, torch.exp(-log_sigma))
    return (squared * sureness).mean()


def _unit_mass(maps: Tensor) -> Tensor:
    return maps / maps.sum(dim=(-2, -1), keepdim=True).clamp_min(1e-8)


def presence_loss(maps: Tensor, floor: float = 0.8) -> Tensor:
    """Hinge on each map's highest value, sum over landmarks, mean over batch. Not in the paper.

    (8) looks at normalised maps only, so nothing in the paper keeps a landmark from fading.
    """
    return (floor - maps.amax(dim=(-2, -1))).clamp_min(0).square().sum(dim=1).mean()


def unit_positions(maps: Tensor) -> Tensor:
    """(B, K, 2) landmark positions in [0, 1] of the map's sides, as (9) wants them."""
    side = maps.new_tensor([maps.shape[-1], maps.shape[-2]])
    return (landmark_positions(maps) + 0.5) / side
