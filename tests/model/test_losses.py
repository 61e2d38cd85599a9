"""Each loss against its formula written out, its optimum, and gradcheck."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jladkit.model import losses
from jladkit.model.geometry import cell_grid, landmark_positions

B, C, K, H, W = 2, 3, 3, 4, 5


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.manual_seed(seed))


def probability_maps(seed: int = 0) -> Tensor:
    return drawn(B, K + 1, H, W, seed=seed).softmax(dim=1)[:, :K]


def test_anchor_loss_is_the_mean_squared_distance_over_valid_cells():
    field, true = drawn(B, 2, H, W), drawn(B, 2, H, W, seed=1)
    valid = drawn(B, H, W, seed=2) > 0
    terms = [
        float(
            (field[b, 0, y, x] - true[b, 0, y, x]) ** 2
            + (field[b, 1, y, x] - true[b, 1, y, x]) ** 2
        )
        for b in range(B)
        for y in range(H)
        for x in range(W)
        if valid[b, y, x]
    ]
    assert losses.anchor_loss(field, true, valid).item() == pytest.approx(sum(terms) / len(terms))


def test_equivariance_loss_is_the_mean_squared_distance_of_landmarks():
    one, other = drawn(B, K, 2), drawn(B, K, 2, seed=1)
    terms = [
        math.dist(one[b, k].tolist(), other[b, k].tolist()) ** 2 for b in range(B) for k in range(K)
    ]
    assert losses.equivariance_loss(one, other).item() == pytest.approx(sum(terms) / len(terms))


def naive_cross_entropy(source: Tensor, target: Tensor, radius: int, t: float) -> Tensor:
    """(7) cell by cell: a softmax over the window's cells that lie on the map."""
    target = target / target.norm(dim=1, keepdim=True)
    out = torch.zeros(B, H, W, dtype=source.dtype)
    for b in range(B):
        for y in range(H):
            for x in range(W):
                scores = {
                    (v, u): math.exp(t * float(source[b, :, y, x] @ target[b, :, v, u]))
                    for v in range(max(0, y - radius), min(H, y + radius + 1))
                    for u in range(max(0, x - radius), min(W, x + radius + 1))
                }
                out[b, y, x] = -math.log(scores[y, x] / sum(scores.values()))
    return out


@pytest.mark.parametrize("radius", [1, 2, 5])
def test_window_cross_entropy_equals_its_formula(radius: int):
    source = F.normalize(drawn(B, C, H, W), dim=1)
    target = drawn(B, C, H, W, seed=1)
    torch.testing.assert_close(
        losses.window_cross_entropy(source, target, radius, 3.0),
        naive_cross_entropy(source, target, radius, 3.0),
    )


def test_alignment_loss_equals_its_formula_and_leaves_uncertainty_out_at_zero():
    entropy, log_sigma = drawn(B, H, W).abs(), drawn(B, H, W, seed=1)
    sigma = log_sigma.exp()
    expected = sum(
        float(entropy[i] / sigma[i] + math.log(sigma[i]))
        for i in torch.cartesian_prod(torch.arange(B), torch.arange(H), torch.arange(W)).unbind(0)
        for i in [tuple(i.tolist())]
    ) / (B * H * W)
    assert losses.alignment_loss(entropy, log_sigma).item() == pytest.approx(expected)
    plain = losses.alignment_loss(entropy, torch.zeros_like(entropy))
    assert plain.item() == pytest.approx(float(entropy.mean()))


def test_the_best_sigma_is_the_cross_entropy_itself():
    entropy = torch.tensor([[[2.0]]])
    at = [
        losses.alignment_loss(entropy, torch.tensor([[[s]]])).item()
        for s in (0.5, math.log(2), 0.9)
    ]
    assert min(at) == at[1]


def test_concentration_loss_equals_its_formula():
    maps = probability_maps()
    total = 0.0
    for b in range(B):
        for k in range(K):
            mass = float(maps[b, k].sum())
            mean = [0.0, 0.0]
            for y in range(H):
                for x in range(W):
                    share = float(maps[b, k, y, x]) / mass
                    mean[0] += share * x / W
                    mean[1] += share * y / H
            for y in range(H):
                for x in range(W):
                    squared = (x / W - mean[0]) ** 2 + (y / H - mean[1]) ** 2
                    total += squared * float(maps[b, k, y, x]) / mass
    assert losses.concentration_loss(maps).item() == pytest.approx(total / B)


def test_separation_loss_compares_the_squared_distance_with_the_margin():
    positions = torch.tensor([[[0.0, 0.0], [0.1, 0.0], [0.9, 0.9]]])
    # Only the first two are near: 0.05 - 0.1², counted from either side.
    assert losses.separation_loss(positions, 0.05).item() == pytest.approx(2 * 0.04)


def bilinear_zero(map_: Tensor, x: float, y: float) -> float:
    """One value of a map between cells, 0 beyond it."""
    total = 0.0
    for v in (math.floor(y), math.floor(y) + 1):
        for u in (math.floor(x), math.floor(x) + 1):
            if 0 <= v < H and 0 <= u < W:
                total += float(map_[v, u]) * (1 - abs(x - u)) * (1 - abs(y - v))
    return total


def naive_joint(source: Tensor, target: Tensor, field: Tensor, log_sigma: Tensor) -> float:
    total = 0.0
    for b in range(B):
        for y in range(H):
            for x in range(W):
                u, v = field[b, :, y, x].tolist()
                for k in range(K):
                    difference = float(source[b, k, y, x]) - bilinear_zero(target[b, k], u, v)
                    total += difference**2 / math.exp(float(log_sigma[b, y, x]))
    return total / (B * H * W)


def test_joint_loss_equals_its_formula():
    source, target = probability_maps(), probability_maps(1)
    field = cell_grid(H, W).double() + drawn(B, 2, H, W, seed=2)
    log_sigma = drawn(B, H, W, seed=3)
    expected = naive_joint(source, target, field, log_sigma)
    assert losses.joint_loss(source, target, field, log_sigma).item() == pytest.approx(expected)


def test_normalised_joint_loss_equals_its_formula():
    source, target = probability_maps(), probability_maps(1)
    field = cell_grid(H, W).double() + drawn(B, 2, H, W, seed=2)
    log_sigma = drawn(B, H, W, seed=3)
    terms = []
    for b in range(B):
        for k in range(K):
            one, other = source[b, k] / source[b, k].sum(), target[b, k] / target[b, k].sum()
            above = below = 0.0
            for y in range(H):
                for x in range(W):
                    own = float(one[y, x])
                    carried = bilinear_zero(other, *field[b, :, y, x].tolist())
                    above += (own - carried) ** 2 / math.exp(float(log_sigma[b, y, x]))
                    below += own**2 + carried**2
            terms.append(above / below)
    found = losses.normalised_joint_loss(source, target, field, log_sigma)
    assert found.item() == pytest.approx(sum(terms) / len(terms))


def test_normalised_joint_loss_is_one_where_maps_do_not_overlap():
    source, target = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    source[0, 0, 0, 0], target[0, 0, 3, 3] = 0.9, 0.1
    still = cell_grid(4, 4)[None]
    assert losses.normalised_joint_loss(source, target, still, torch.zeros(1, 4, 4)).item() == 1


def test_coordinate_joint_loss_is_the_squared_distance_over_sigma():
    source, target = torch.zeros(1, 1, 4, 8), torch.zeros(1, 1, 4, 8)
    source[0, 0, 1, 2], target[0, 0, 3, 6] = 0.5, 0.1
    field = cell_grid(4, 8)[None] + 1  # carries (2, 1) to (3, 2); the target's is at (6, 3)
    log_sigma = torch.full((1, 4, 8), math.log(2))
    found = losses.coordinate_joint_loss(source, target, field, log_sigma)
    assert found.item() == pytest.approx(((3 / 8) ** 2 + (1 / 4) ** 2) / 2)


def test_joint_loss_is_zero_where_the_field_carries_one_map_onto_the_other():
    target = torch.zeros(1, 1, 6, 6)
    target[0, 0, 2:4, 2:4] = 0.7
    source = torch.roll(target, 1, dims=3)
    field = cell_grid(6, 6)[None] - torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    assert losses.joint_loss(source, target, field, torch.zeros(1, 6, 6)).item() < 1e-12


def test_faded_maps_escape_the_printed_joint_loss_but_not_the_normalised_one():
    source, target = probability_maps(), probability_maps(1)
    still = cell_grid(H, W).double().expand(B, -1, -1, -1)
    sigma = torch.zeros(B, H, W, dtype=torch.float64)
    faded = losses.joint_loss(source / 100, target / 100, still, sigma)
    assert faded < 1e-3 * losses.joint_loss(source, target, still, sigma)
    torch.testing.assert_close(
        losses.normalised_joint_loss(source / 100, target / 100, still, sigma),
        losses.normalised_joint_loss(source, target, still, sigma),
    )


def test_presence_loss_is_a_hinge_on_the_peak():
    maps = torch.zeros(1, 2, H, W)
    maps[0, 0, 1, 1], maps[0, 1, 2, 2] = 0.5, 0.9
    assert losses.presence_loss(maps, floor=0.8).item() == pytest.approx(0.3**2)


def test_unit_positions_are_pixel_centres_in_zero_to_one():
    maps = torch.zeros(1, 1, 2, 4)
    maps[0, 0, 0, 0] = 1
    assert losses.unit_positions(maps).tolist() == [[[0.125, 0.25]]]


ENTROPY, SIGMA = drawn(B, H, W).abs(), drawn(B, H, W, seed=5)
OFF_GRID = cell_grid(H, W).double() + 0.3 + 0.2 * drawn(B, 2, H, W, seed=2).tanh()


@pytest.mark.parametrize(
    ("loss", "inputs"),
    [
        (lambda f, t: losses.anchor_loss(f, t, torch.ones(B, H, W)), (drawn(B, 2, H, W), drawn(B, 2, H, W, seed=1))),
        (losses.equivariance_loss, (drawn(B, K, 2), drawn(B, K, 2, seed=1))),
        (lambda s, t: losses.window_cross_entropy(s, t, 1, 2.0), (drawn(B, C, H, W), drawn(B, C, H, W, seed=1))),
        (losses.alignment_loss, (ENTROPY, SIGMA)),
        (losses.concentration_loss, (probability_maps(),)),
        (lambda m: losses.separation_loss(landmark_positions(m) / 9, 0.5), (probability_maps(),)),
        (losses.joint_loss, (probability_maps(), probability_maps(1), OFF_GRID, SIGMA)),
        (losses.normalised_joint_loss, (probability_maps(), probability_maps(1), OFF_GRID, SIGMA)),
        (losses.presence_loss, (probability_maps(),)),
    ],
    ids=["(1)", "(2)", "(7)", "(6)", "(8)", "(9)", "(10)", "(10) normalised", "presence"],
)  # fmt: skip
def test_losses_pass_gradcheck(loss: Callable[..., Tensor], inputs: tuple[Tensor, ...]):
    assert torch.autograd.gradcheck(loss, tuple(i.clone().requires_grad_() for i in inputs))
