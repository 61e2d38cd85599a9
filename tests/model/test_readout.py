"""Readouts: values by hand, and what each does with two peaks."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jladkit.model.geometry import cell_grid
from jladkit.model.readout import read_out

ROW = torch.tensor([0.0, 0.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 1.9]).view(1, 1, 1, 9)


def test_argmax_is_the_best_cell():
    scores = torch.zeros(1, 2, 3, 4)
    scores[0, 0, 2, 1] = scores[0, 1, 0, 3] = 1.0
    assert read_out(scores, "argmax").tolist() == [[[1.0, 2.0], [3.0, 0.0]]]


def test_soft_is_the_mean_place_under_the_softmax():
    scores = torch.tensor([[0.0, 1.0], [0.0, 0.0]]).view(1, 1, 2, 2)
    found = read_out(scores, "soft", temperature=math.log(4))
    # Weights 1, 4, 1, 1 of 7: x = (4 + 1) / 7, y = 2 / 7.
    assert found.flatten().tolist() == pytest.approx([5 / 7, 2 / 7])


def test_a_window_does_not_see_the_other_peak():
    found = read_out(ROW, "window", temperature=1.0, reach=1.0).flatten()
    weights = torch.tensor([0.0, 2.0, 1.0]).exp()
    wanted = (weights * torch.tensor([2.0, 3.0, 4.0])).sum() / weights.sum()
    assert found.tolist() == pytest.approx([wanted.item(), 0.0])


def test_a_kernel_by_hand():
    scores = torch.tensor([[1.0, 2.0, 1.0, 1.5]]).view(1, 1, 1, 4)
    found = read_out(scores, "kernel", temperature=3.0, reach=1.0).flatten()
    damped = torch.tensor([1.0, 2.0, 1.0, 1.5]) * torch.tensor([-0.5, 0.0, -0.5, -2.0]).exp()
    wanted = ((3 * damped).softmax(0) * torch.arange(4.0)).sum()
    assert found.tolist() == pytest.approx([wanted.item(), 0.0])


@given(st.sampled_from(["soft", "window", "kernel"]), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_a_sharp_softmax_is_the_argmax(readout: str, seed: int):
    torch.manual_seed(seed)
    scores = torch.randperm(20).view(1, 1, 4, 5).float() + 1
    torch.testing.assert_close(
        read_out(scores, readout, temperature=1e3, reach=2.0), read_out(scores, "argmax")
    )


def test_a_wide_window_and_a_wide_kernel_are_soft():
    scores = torch.rand(2, 3, 4, 5)
    for readout in ("window", "kernel"):
        found = read_out(scores, readout, temperature=5.0, reach=1e4)
        torch.testing.assert_close(found, read_out(scores, "soft", temperature=5.0))


def test_equal_scores_read_softly_are_the_middle():
    middle = cell_grid(4, 6).flatten(1).mean(dim=1)
    torch.testing.assert_close(read_out(torch.ones(1, 1, 4, 6), "soft").flatten(), middle)


def test_an_unknown_readout_is_refused():
    with pytest.raises(ValueError, match="must be one of argmax, soft, window, kernel"):
        read_out(ROW, "mean")
