"""Scores during training that no evaluator has."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from jladkit.formats.dataset import Dataset
from jladkit.training.loading import to_square
from jladkit.training.validation import Sureness, distinct, transfer_pairs


def test_landmarks_that_share_a_place_are_not_distinct():
    apart = np.array([[0.0, 0], [3, 4], [9, 9]])
    pair = np.array([[0.0, 0], [3, 4], [3, 4.5]])
    assert distinct(np.stack([apart, apart]), near=1) == 1
    assert distinct(np.stack([apart, pair]), near=1) == (3 + 1) / 6
    assert distinct(np.stack([pair]), near=0.4) == 1


def test_one_landmark_is_distinct():
    assert distinct(np.zeros((2, 1, 2)), near=1) == 1


def sureness(dots: Dataset, told: Callable[[Tensor], Tensor]) -> float:
    """Of a matcher that errs by 1, 2, 3 ... px and says `told` of that, over a few pairs."""
    rows = dots.pairs("train")[:4]

    def carry(part: NDArray[np.int64], points: Tensor) -> tuple[Tensor, Tensor]:
        target = dots.pair_target[part]
        true = to_square(dots.object_keypoints[target], dots.object_size[target], 64)
        error = torch.arange(1.0, true[..., 0].size + 1).view(true.shape[:-1])
        moved = torch.from_numpy(true).float()
        moved[..., 0] += error
        return moved, told(error)

    one = Sureness(dots, 64, carry)
    transfer_pairs(dots, rows, 64, one.carry)
    return one.rank_correlation()


def test_an_uncertainty_is_scored_by_the_order_that_it_puts_errors_in(dots: Dataset):
    assert sureness(dots, lambda error: error.log()) == pytest.approx(1)
    assert sureness(dots, lambda error: -error) == pytest.approx(-1)


def test_an_uncertainty_that_says_the_same_of_all_knows_nothing(dots: Dataset):
    assert sureness(dots, torch.zeros_like) == 0


def test_points_that_are_nowhere_count_for_nothing(dots: Dataset):
    def told(error: Tensor) -> Tensor:
        said = error.clone()
        said[:, 0] = float("nan")
        return said

    assert sureness(dots, told) == pytest.approx(1)
