"""PARN: its levels against plain transcriptions, its starting point, and what each phase teaches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jladkit.baselines.fields import distance_from_warp
from jladkit.baselines.parn import Parn
from jladkit.baselines.parn_net import GRIDS, GridNet, ParnConfig, ParnNet
from jladkit.baselines.parn_trainee import (
    PHASES,
    SECTIONS,
    ParnTrainee,
    TrainConfig,
    lands_in_target,
)
from jladkit.errors import UsageError
from jladkit.formats.dataset import Dataset
from jladkit.methods import EncodedMatcher
from jladkit.model.affine import compose, identity_affine, places
from jladkit.model.geometry import sample
from jladkit.training import loop
from jladkit.training.recipe import fill, read_recipe

CPU = torch.device("cpu")
TINY = [
    "model.size=64",
    "model.grid_layers=['blocks.2']",
    "model.pixel_layers=['blocks.1']",
    "model.radii=[4, 3, 2, 2]",
    "model.width=8",
    "model.depth=2",
    "train.batch=4",
    "train.synthetic_steps=1",
    "train.weak_steps=[1, 1, 1, 1]",
    "train.validate_every=5",
    "train.precision='float32'",
]


def trainee(data: Dataset, *settings: str) -> ParnTrainee:
    config = fill(SECTIONS, read_recipe("parn", "cpu", [*TINY, *settings]))
    return ParnTrainee(data, config, CPU, None, progress=False)


def stirred(net: ParnNet) -> ParnNet:
    """The net with last layers that are not zero."""
    torch.manual_seed(0)
    for level in net.levels:
        last = level.last
        assert isinstance(last, nn.Conv2d)
        nn.init.normal_(last.weight, std=0.05)
    return net


@torch.inference_mode()
def test_it_starts_as_the_identity(dots: Dataset):
    net = trainee(dots).parn
    source, target = net.features(torch.rand(4, 3, 64, 64)).chunk(2)
    points = torch.tensor([[[3.0, 60.0], [31.5, 0.0], [float("nan")] * 2]]).expand(2, 3, 2)
    found = net.carry(source, target, points)
    torch.testing.assert_close(found, points, equal_nan=True, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_each_level_is_composed_with_those_before_it(dots: Dataset):
    net = stirred(trainee(dots).parn)
    source, target = net.features(torch.rand(2, 3, 64, 64)).chunk(2)
    maps_s, maps_t = net.features.unpack(source), net.features.unpack(target)
    found = identity_affine(1, 8, 8, CPU)
    for level in range(4):
        step = net.step(level, maps_s, maps_t, found)
        layers = ["blocks.2"] if level < 3 else ["blocks.1"]
        plain = net.features.unit(maps_t, layers)
        warped = F.normalize(sample(plain, places(step.before)), dim=1)
        torch.testing.assert_close(step.warped, warped)
        found = compose(step.before, step.residual)
        torch.testing.assert_close(net.align(source, target, levels=level + 1), found)
        # T_k(p) = T_{k-1}(ΔT_k(p)), where the inner place lies on the grid
        inner = places(step.residual)
        side = inner.shape[-1]
        grid = identity_affine(1, side, side, CPU)
        direct = inner + sample(places(step.before) - places(grid), inner)
        on = ((inner > 0) & (inner < side - 1)).all(dim=1)
        torch.testing.assert_close(places(found).movedim(1, -1)[on], direct.movedim(1, -1)[on])
    assert found.shape[-1] == 16


@pytest.mark.parametrize("grid", GRIDS)
def test_a_grid_s_blocks_look_at_their_own_part_of_the_map(grid: int):
    net = GridNet(2, grid, 8)
    nn.init.normal_(net.last.weight)
    volume = torch.rand(1, 25, 16, 16)
    assert net(volume).shape == (1, 2, 3, grid, grid)
    changed = volume.clone()
    changed[..., :2, :2] += 1
    apart = (net(changed) - net(volume)).abs().amax(dim=(0, 1, 2))
    assert apart[0, 0] > 0
    assert grid == 1 or apart[-1, -1] == 0


def gradients(own: ParnTrainee, phase: int) -> dict[str, Tensor]:
    """Of all parameters after one loss of a phase, by name."""
    stirred(own.parn)
    named = dict(own.parameters(own.phases()[phase]))
    loop.freeze_all_but(own.net, named)
    own.loss(own.phases()[phase], np.random.default_rng(0))["total"].backward()
    return {n: p.grad for n, p in own.net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("phase", range(5))
def test_each_phase_teaches_its_own_level_and_all_of_it(dots: Dataset, phase: int):
    own = trainee(dots)
    assert [p.name for p in own.phases()] == ["synthetic", *PHASES]
    found = gradients(own, phase)
    level = max(phase - 1, 0)
    wanted = {f"levels.{level}.{n}" for n, _ in own.parn.levels[level].named_parameters()}
    assert found.keys() == wanted
    assert all(grad.abs().sum() > 0 for name, grad in found.items() if name.endswith("weight"))


def test_a_trained_backbone_takes_part_in_the_real_phases(dots: Dataset):
    own = trainee(dots, "train.backbone_from=blocks.1")
    assert not any(n.startswith("features.") for n, _ in own.parameters(own.phases()[0]))
    found = gradients(own, 4)
    assert any(n.startswith("features.body.blocks.1.") and g.any() for n, g in found.items())


def test_the_weak_loss_is_the_distance_to_matches_that_come_back(dots: Dataset):
    own = trainee(dots)
    net = stirred(own.parn)
    told = own.weak_loss(1, np.random.default_rng(3))
    source, target, rows, _ = own.real_pairs(np.random.default_rng(3))
    with torch.no_grad():
        before = net.align(source, target, levels=1)
        maps = net.features.unpack(source), net.features.unpack(target)
        step = net.step(1, *maps, before)
    inside = own.counted(rows, 8)
    total, count = 0.0, 0
    for b in range(len(rows)):
        scores = torch.einsum("cij,ckl->ijkl", step.source[b], step.warped[b])

        def near(a: int) -> slice:
            return slice(max(0, a - 3), a + 4)

        def best(table: Tensor, y: int, x: int) -> tuple[int, int]:
            part = table[near(y), near(x)]
            at = int(part.argmax())
            return near(y).start + at // part.shape[1], near(x).start + at % part.shape[1]

        for y, x in inside[b].nonzero().tolist():
            v, u = best(scores[y, x], y, x)
            j, i = best(scores[:, :, v, u], v, u)
            shown = ((step.before[b, :, 2, v, u] > -0.5) & (step.before[b, :, 2, v, u] < 7.5)).all()
            if max(abs(j - y), abs(i - x)) <= 1 and shown:
                at = step.residual[b, :, 2, y, x]
                total += float((at - torch.tensor([u, v])).abs().sum())
                count += 1
    assert count > 0
    assert float(told["total"].detach()) == pytest.approx(total / count, rel=1e-4)
    assert float(told["agreed"]) == pytest.approx(count / (len(rows) * 64))


def test_matches_where_the_target_s_edge_is_repeated_are_known():
    before = identity_affine(1, 3, 3, CPU).clone()
    before[:, 0, 2] += 1  # the last column shows what lies beyond the target's edge
    matches = torch.tensor([[[[0.0, 1, 2]] * 3, [[0.0] * 3, [1.0] * 3, [2.0] * 3]]])
    assert lands_in_target(before, matches)[0].tolist() == [[True, True, False]] * 3


def test_a_short_training_recovers_known_affines_far_better_than_the_identity(dots: Dataset):
    own = trainee(dots, "train.warps=1")
    optimiser = torch.optim.Adam(own.parn.levels[0].parameters(), lr=3e-3)
    apart: list[float] = []
    for step in range(61):
        warp, source, target, _ = own.synthetic.draw(np.random.default_rng(step % 2), 4)
        loss = distance_from_warp(places(own.parn.align(source, target, levels=1)), warp)
        apart.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert np.mean(apart[-2:]) < 0.5 * np.mean(apart[:2])  # it begins as the identity


def test_a_training_leaves_a_matcher_that_says_what_it_was_told(dots: Dataset, tmp_path: Path):
    best = Parn.train(dots, "cpu", TINY, tmp_path / "a", device=CPU, progress=False)
    model = Parn.load(best, CPU)
    assert isinstance(model, EncodedMatcher)
    assert model.config["supervision"] == "pairs of one category, boxes of their objects"
    images, points = torch.rand(2, 3, 64, 64), torch.full((1, 2, 2), 20.0)
    with torch.inference_mode():
        whole = model.transfer(images[:1], images[1:], points, ["kind0"])
        codes = model.encode(images)
        parts = model.transfer_encoded(codes[:1], codes[1:], points, ["kind0"])
    torch.testing.assert_close(whole, parts, atol=1e-3, rtol=0)


def test_the_paper_s_recipe_makes_a_network_of_vgg_16_and_takes_a_step(dots: Dataset):
    small = ["model.size=64", "model.depth=2", "model.width=4", "model.weights='random'"]
    config = fill(SECTIONS, read_recipe("parn", "paper", [*small, "train.batch=1"]))
    net = ParnNet(config["model"], dots.categories)
    assert net.features.cells == {"features.23": 4, "features.16": 8}
    source, target = net.features(torch.rand(2, 3, 64, 64)).chunk(2)
    stirred(net).align(source, target).sum().backward()
    assert all(level.last.weight.grad.any() for level in net.levels)  # pyright: ignore


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (ParnConfig, {"radii": [3, 3]}, "model.radii must be 4 numbers"),
        (ParnConfig, {"width": 0}, "model.width must be at least 1"),
        (TrainConfig, {"weak_steps": [1]}, "train.weak_steps must be 4 numbers"),
        (TrainConfig, {"optimiser": "lion"}, "train.optimiser must be one of adam, sgd"),
        (TrainConfig, {"batch": 0}, "train.batch must be at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(make: Any, settings: dict[str, Any], message: str):
    with pytest.raises(UsageError, match=message):
        make(**settings)


def test_maps_too_small_for_the_grids_are_refused():
    with pytest.raises(UsageError, match="at least 4 cells a side for the grids"):
        ParnNet(ParnConfig(weights="random", size=32, depth=1), ["a"])
