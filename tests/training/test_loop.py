"""Phases: their rates and optimisers. Whole runs are in test_joint_training.py."""

import pytest
import torch
from torch import nn

from jladkit.training.loop import Phase, optimiser_of


def test_a_phase_without_a_cosine_keeps_its_rate():
    assert {Phase("a", 10, 1e-3).rate(done) for done in range(10)} == {1e-3}


def test_a_cosine_falls_to_its_lowest_and_rises_again():
    phase = Phase("a", 30, 1.0, cosine=10, lowest=0.2)
    assert [phase.rate(done) for done in (0, 5, 10, 20)] == pytest.approx([1.0, 0.6, 0.2, 1.0])


def test_the_cosine_is_that_of_pytorch():
    phase = Phase("a", 25, 1e-3, cosine=10, lowest=1e-6)
    optimiser = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 10, 1e-6)
    for done in range(25):
        assert phase.rate(done) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimiser.step()
        schedule.step()


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_an_optimiser_steps_downhill_and_its_decay_pulls_to_zero(name: str):
    weight = nn.Parameter(torch.tensor([2.0]))
    optimiser = optimiser_of(Phase("a", 1, 0.1, name, weight_decay=0.5), {"weight": weight})
    weight.grad = torch.zeros(1)
    optimiser.step()
    # SGD: 2 - 0.1 * 0.5 * 2; Adam's first step is as long as its rate.
    assert weight.item() == pytest.approx(1.9, abs=1e-5)


def test_a_share_slows_the_parameters_whose_names_begin_so():
    named = {name: nn.Parameter(torch.zeros(1)) for name in ("net.a", "net.last.b", "body.c")}
    phase = Phase("a", 1, 0.5, "sgd", shares={"net.last.": 0.1, "body.": 0.0})
    optimiser = optimiser_of(phase, named)
    for group in optimiser.param_groups:
        group["lr"] = phase.rate(0) * group["share"]
    for parameter in named.values():
        parameter.grad = torch.ones(1)
    optimiser.step()
    assert [p.item() for p in named.values()] == pytest.approx([-0.5, -0.05, 0])
