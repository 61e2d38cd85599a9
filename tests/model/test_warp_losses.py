"""Grid loss and soft inliers against the papers' formulas written out."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jladkit.model.geometry import cell_grid, to_normalised
from jladkit.model.transform_samplers import random_transform
from jladkit.model.transforms import Chain, Transform, identity
from jladkit.model.warp_losses import grid_loss, soft_inliers

N = 9


def test_the_grid_loss_of_a_shift_is_its_squared_length():
    moved = Transform("affine", torch.tensor([[1.0, 0, 0.3, 0, 1, 0.4]]))
    assert float(grid_loss(moved, identity("affine", 1))) == pytest.approx(0.25)
    assert grid_loss(moved, moved) == 0


def test_the_grid_loss_is_the_mean_over_twenty_by_twenty_points_and_batch():
    one, other = (random_transform("cnngeo", "tps", 3, torch.manual_seed(s)) for s in (1, 2))
    axis = [-1 + 2 * i / 19 for i in range(20)]
    points = torch.tensor([[x, y] for x in axis for y in axis])
    expected = sum((one(p[None]) - other(p[None])).square().sum() for p in points) / 400 / 3
    torch.testing.assert_close(grid_loss(one, other), expected, atol=1e-6, rtol=1e-4)


def correlation(seed: int = 0) -> Tensor:
    volume = torch.rand(2, N * N, N, N, generator=torch.manual_seed(seed))
    return F.normalize(volume, dim=1)


def masked(volume: Tensor, warp: Transform | Chain) -> Tensor:
    """Weakalign as printed: the identity's mask is warped, normalised, and weighs the scores."""
    mask = torch.eye(N * N).view(1, N * N, N, N).expand(len(volume), -1, -1, -1)
    grid = warp(to_normalised(cell_grid(N, N).flatten(1).T, N, N)).view(-1, N, N, 2)
    mask = F.grid_sample(mask, grid.expand(len(volume), -1, -1, -1), align_corners=False)
    return (mask * volume).sum(dim=(1, 2, 3)) / (mask + 1e-5).sum(dim=(1, 2, 3))


@pytest.mark.parametrize("kind", ["affine", "tps"])
def test_soft_inliers_are_the_scores_under_the_warped_mask(kind: str):
    warp = random_transform("weakalign", kind, 2, torch.manual_seed(0))  # some cells leave the map
    torch.testing.assert_close(soft_inliers(correlation(), warp), masked(correlation(), warp))


def test_two_stages_are_scored_as_composed():
    steps = [random_transform("cnngeo", k, 2, torch.manual_seed(1)) for k in ("affine", "tps")]
    steps[1] = replace(steps[1], smoothing=0.2)
    chain = Chain(steps)
    torch.testing.assert_close(soft_inliers(correlation(), chain), masked(correlation(), chain))


def test_a_perfect_match_scores_nearly_one_under_the_identity_and_less_under_a_shift():
    perfect = torch.eye(225).view(1, 225, 15, 15)
    still = soft_inliers(perfect, identity("affine", 1))
    assert float(still) == pytest.approx(225 / (225 + 1e-5 * 225**2), abs=1e-4)  # 0.9978
    shift = Transform("affine", torch.tensor([[1.0, 0, 1 / 15, 0, 1, 0]]))  # half a cell
    # Half of every score; the last column has half its weight outside.
    assert float(soft_inliers(perfect, shift)) == pytest.approx(7.5 / 14.5, abs=2e-3)
    away = Transform("affine", torch.tensor([[1.0, 0, 5.0, 0, 1, 0]]))
    assert float(soft_inliers(perfect, away)) == 0


def test_cells_of_the_released_code_lie_where_reach_says():
    # 210 / 227 is their place of the outermost centres; ours lie at 14 / 15.
    perfect = torch.eye(225).view(1, 225, 15, 15)
    shift = Transform("affine", torch.tensor([[1.0, 0, 0.05, 0, 1, 0]]))
    ours, theirs = soft_inliers(perfect, shift), soft_inliers(perfect, shift, 210 / 227)
    assert float(ours) > float(theirs)  # a shift is fewer of our wider cells
    same = soft_inliers(perfect, shift, 14 / 15)
    torch.testing.assert_close(ours, same)


def test_the_gradient_turns_a_warp_towards_the_matches():
    target = torch.zeros(1, N * N, N, N)
    for y in range(N):
        for x in range(N - 1):
            target[0, y * N + x + 1, y, x] = 1  # all match one cell to the right
    theta = identity("affine", 1).theta.clone().requires_grad_()
    soft_inliers(target, Transform("affine", theta)).sum().backward()
    assert theta.grad is not None
    assert theta.grad[0, 2] > 0 and abs(theta.grad[0, 5]) < 0.1 * theta.grad[0, 2]
