"""The dense correlation: its order, its norm, and A2Net's order by offset."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from jladkit.model.global_correlation import by_columns_first, global_correlation, offset_aware


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.manual_seed(seed))


def test_channels_run_over_target_cells_row_by_row():
    source, target = maps(2, 5, 3, 4), maps(2, 5, 2, 6, seed=1)
    volume = global_correlation(source, target)
    assert volume.shape == (2, 12, 3, 4)
    for y, x, j, i in ((0, 0, 0, 0), (1, 4, 2, 3), (0, 5, 1, 2)):
        expected = (source[:, :, j, i] * target[:, :, y, x]).sum(dim=1)
        torch.testing.assert_close(volume[:, y * 6 + x, j, i], expected)


def test_normalised_scores_are_positive_and_of_unit_norm_over_target_cells():
    volume = global_correlation(maps(1, 5, 3, 4), maps(1, 5, 3, 4, seed=1), normalise=True)
    assert volume.min() == 0
    torch.testing.assert_close(volume.norm(dim=1), torch.ones(1, 3, 4), atol=1e-4, rtol=0)
    plain = global_correlation(maps(1, 5, 3, 4), maps(1, 5, 3, 4, seed=1)).clamp_min(0)
    expected = plain / (plain.square().sum(dim=1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(volume, expected)


def test_maps_of_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"are \(1, 5, 3, 3\) and \(1, 4, 3, 3\)"):
        global_correlation(maps(1, 5, 3, 3), maps(1, 4, 3, 3))


def test_the_released_order_is_column_by_column():
    # Their correlation flattens the transposed map: channel row + h * column.
    source, target = maps(1, 5, 4, 4), maps(1, 5, 4, 4, seed=1)
    theirs = torch.einsum("bck,bcij->bkij", target.transpose(2, 3).flatten(2), source)
    ours = global_correlation(source, target)
    torch.testing.assert_close(ours[:, by_columns_first(4, 4)], theirs)
    assert by_columns_first(2, 3).tolist() == [0, 3, 1, 4, 2, 5]


def naive_offsets(volume: Tensor) -> Tensor:
    """Each source cell's map of scores, laid into a map of all offsets."""
    height, width = volume.shape[-2:]
    wide = volume.new_zeros(len(volume), 2 * height - 1, 2 * width - 1, height, width)
    for j in range(height):
        for i in range(width):
            for y in range(height):
                for x in range(width):
                    value = volume[:, y * width + x, j, i]
                    wide[:, y - j + height - 1, x - i + width - 1, j, i] = value
    return wide.flatten(1, 2)


@given(st.integers(1, 4), st.integers(1, 4))
def test_order_by_offset_is_that_of_the_plain_loop(height: int, width: int):
    volume = maps(2, height * width, height, width)
    assert torch.equal(offset_aware(volume), naive_offsets(volume))


def one_match(row: int, column: int, to_row: int, to_column: int) -> Tensor:
    volume = torch.zeros(1, 225, 15, 15)
    volume[0, to_row * 15 + to_column, row, column] = 1
    return volume


def test_one_match_lands_at_its_true_offset_and_in_released_order_elsewhere():
    # Target cell (row 3, column 9) and source cell (row 5, column 9): 2 rows up, same column.
    volume = one_match(5, 9, 3, 9)
    assert offset_aware(volume)[0, :, 5, 9].argmax() == (-2 + 14) * 29 + (0 + 14)
    # Released: (column of target - row of source, row of target - column of source).
    assert offset_aware(volume, transposed=True)[0, :, 5, 9].argmax() == (4 + 14) * 29 + (-6 + 14)


def test_the_two_orders_agree_on_the_diagonal():
    volume = one_match(7, 7, 4, 4)
    assert torch.equal(offset_aware(volume), offset_aware(volume, transposed=True))


def test_a_shifted_match_fills_one_channel():
    # Every source cell matches the target cell one to the right: one offset for all of them.
    volume = torch.zeros(1, 16, 4, 4)
    for y in range(4):
        for x in range(3):
            volume[0, y * 4 + x + 1, y, x] = 1
    by_offset = offset_aware(volume).sum(dim=(2, 3))[0]
    assert by_offset.nonzero().flatten().tolist() == [3 * 7 + 4]
    assert by_offset.max() == 12


def test_gradients_go_through_the_order_by_offset():
    volume = maps(1, 6, 2, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(offset_aware, (volume,))
