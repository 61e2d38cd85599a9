"""Neighbourhood consensus: values by hand, symmetry, and naive versions of each formula."""

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jladkit.model.consensus import (
    NeighbourhoodConsensus,
    best_matches,
    correlation_4d,
    matching_score,
    mutual_matching,
    pool_4d,
)
from jladkit.model.geometry import cell_grid, transfer_points


def swapped(volume: Tensor) -> Tensor:
    """The same matches with source and target exchanged."""
    return volume.permute(0, 1, 4, 5, 2, 3)


def test_a_correlation_holds_the_product_of_every_two_cells():
    source = torch.tensor([[1.0, 2.0], [0.0, 1.0]]).view(1, 2, 1, 2)  # cells (1, 0) and (2, 1)
    target = torch.tensor([[3.0, 0.0, 1.0], [0.0, 5.0, 1.0]]).view(1, 2, 3, 1)
    found = correlation_4d(source, target)
    assert found.shape == (1, 1, 1, 2, 3, 1)
    assert found.flatten(4).squeeze().tolist() == [[3.0, 0.0, 1.0], [6.0, 5.0, 3.0]]


def test_maps_that_do_not_fit_one_another_are_refused():
    with pytest.raises(ValueError, match="source and target must be"):
        correlation_4d(torch.zeros(1, 2, 3, 3), torch.zeros(1, 3, 3, 3))


def test_mutual_matching_by_hand():
    # Two source cells in a row, two target cells in a row. The best of each source cell are 4 and
    # 2, of each target cell 4 and 2; 1e-5 beside them is nothing here.
    volume = torch.tensor([[4.0, 1.0], [2.0, 2.0]]).view(1, 1, 1, 2, 1, 2)
    found = mutual_matching(volume).flatten()
    wanted = [4 * 1 * 1, 1 * (1 / 4) * (1 / 2), 2 * 1 * (2 / 4), 2 * 1 * 1]
    torch.testing.assert_close(found, torch.tensor(wanted), atol=1e-4, rtol=0)


def test_nothing_stays_nothing_in_mutual_matching():
    assert mutual_matching(torch.zeros(1, 1, 2, 2, 2, 2)).abs().max() == 0


@given(st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_every_step_treats_both_pictures_alike(seed: int):
    torch.manual_seed(seed)
    volume = torch.rand(2, 1, 3, 2, 2, 3)
    assert torch.equal(mutual_matching(swapped(volume)), swapped(mutual_matching(volume)))
    net = NeighbourhoodConsensus([3, 3], [4, 1])
    torch.testing.assert_close(net(swapped(volume)), swapped(net(volume)))
    torch.testing.assert_close(matching_score(swapped(volume)), matching_score(volume))


def test_the_consensus_is_the_network_both_ways_added():
    torch.manual_seed(0)
    net, volume = NeighbourhoodConsensus([3, 3], [9, 1]), torch.rand(1, 1, 3, 4, 5, 3)

    def once(x: Tensor) -> Tensor:
        for layer in net.layers:
            x = layer(x).clamp_min(0)
        return x

    torch.testing.assert_close(net(volume), once(volume) + swapped(once(swapped(volume))))


def test_a_match_that_its_neighbours_agree_with_wins_over_one_that_stands_alone():
    net = NeighbourhoodConsensus([3], [1])
    layers: Any = net.layers
    with torch.no_grad():
        layers[0].weight.fill_(1.0)
        layers[0].bias.zero_()
    volume = torch.zeros(1, 1, 4, 4, 4, 4)
    for y, x in itertools.product(range(4), repeat=2):
        volume[0, 0, y, x, y, x] = 1.0  # the identity,
    volume[0, 0, 1, 1, 1, 1] = 0.9
    volume[0, 0, 1, 1, 3, 0] = 1.0  # and one match against it
    identity = cell_grid(4, 4)[None]
    assert not torch.equal(best_matches(volume), identity)
    assert torch.equal(best_matches(mutual_matching(net(volume))), identity)


def test_the_score_by_hand():
    volume = torch.tensor([[2.0, 0.0], [0.0, 0.0]]).view(1, 1, 1, 2, 1, 2)
    sure, unsure = torch.tensor([2.0, 0.0]).softmax(0).max(), 0.5
    torch.testing.assert_close(matching_score(volume), (sure + unsure) / 2)


def test_a_score_of_equal_matches_is_one_over_the_number_of_cells():
    found = matching_score(torch.ones(2, 1, 2, 3, 4, 5))
    assert found.item() == pytest.approx((1 / 20 + 1 / 6) / 2)


def test_the_identity_correlation_carries_points_to_themselves():
    size = 5
    volume = torch.eye(size**2).view(1, 1, size, size, size, size).repeat(2, 1, 1, 1, 1, 1)
    points = torch.rand(2, 50, 2) * size - 0.5
    found = transfer_points(best_matches(mutual_matching(volume)), points)
    assert (found - points).abs().max() < 1e-6


def test_each_source_cell_takes_its_best_target_cell_in_maps_of_any_sides():
    volume = torch.rand(2, 1, 2, 3, 4, 5)
    found = best_matches(volume)
    for b, y, x in itertools.product(range(2), range(2), range(3)):
        u, v = found[b, :, y, x].long().tolist()
        assert volume[b, 0, y, x, v, u] == volume[b, 0, y, x].max()


def test_pooling_keeps_the_best_of_each_block_and_says_where_it_was():
    torch.manual_seed(0)
    volume = torch.randn(2, 1, 4, 6, 2, 4)
    pooled = pool_4d(volume, 2)
    assert pooled.volume.shape == (2, 1, 2, 3, 1, 2)
    assert not pooled.source.is_floating_point()  # indices, whatever torch's division does
    for b, h, w, d, t in itertools.product(*map(range, (2, 2, 3, 1, 2))):
        (x, y), (u, v) = (part[b, :, h, w, d, t].tolist() for part in pooled[1:])
        block = volume[b, 0, 2 * h : 2 * h + 2, 2 * w : 2 * w + 2, 2 * d : 2 * d + 2, 2 * t : 2 * t + 2]  # fmt: skip
        assert pooled.volume[b, 0, h, w, d, t] == block.max() == block[y, x, v, u]


def test_sides_that_cannot_be_pooled_are_refused():
    with pytest.raises(ValueError, match="multiples of 2"):
        pool_4d(torch.zeros(1, 1, 4, 4, 3, 4), 2)


def test_relocalised_matches_are_found_between_the_coarse_cells():
    # Every fine cell (x, y) matches (x + 1, y): one column, which is half a coarse cell.
    side = 6
    volume = torch.zeros(1, 1, side, side, side, side)
    for y, x in itertools.product(range(side), range(side - 1)):
        volume[0, 0, y, x, y, x + 1] = 1.0 + 0.5 * (x % 2)  # blocks' maxima are unique in x
    pooled = pool_4d(volume, 2)
    coarse = best_matches(pooled.volume)
    found = best_matches(pooled.volume, pooled, 2)
    shift = found - cell_grid(3, 3)
    assert torch.equal(coarse[0, 0, :, 0], torch.ones(3))
    assert torch.equal(shift[0, 0, :, :2], torch.full((3, 2), 0.5))
    assert torch.equal(shift[0, 1], torch.zeros(3, 3))


def test_relocalised_identity_is_the_identity():
    side = 6
    volume = torch.eye(side**2).view(1, 1, side, side, side, side)
    pooled = pool_4d(volume, 2)
    assert torch.equal(best_matches(pooled.volume, pooled, 2)[0], cell_grid(3, 3))
