"""What neighbours say of a match: values by hand, and the definition written as loops."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jladkit.model.correlation import local_correlation, window_inside
from jladkit.model.local_consensus import at_target, local_consensus, mutual, seen_from_target


def features(b: int, h: int, w: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    drawn = torch.randn(2, b, 3, h, w, dtype=torch.float64, generator=torch.manual_seed(seed))
    source, target = F.normalize(drawn, dim=2)
    return source, target


def by_loops(correlation: Tensor, radius: int, spread: float) -> Tensor:
    """The definition of one pass, one match at a time."""
    b, _, h, w = correlation.shape
    steps = range(-radius, radius + 1)
    scores = correlation.clamp_min(0)
    best: dict[tuple[int, int, int], float] = {}
    matches = [
        (i, n, y, x, y + dy, x + dx)
        for i in range(b)
        for n, (dy, dx) in enumerate((dy, dx) for dy in steps for dx in steps)
        for y in range(h)
        for x in range(w)
        if 0 <= y + dy < h and 0 <= x + dx < w
    ]
    for i, n, y, x, v, u in matches:
        best[i, v, u] = max(best.get((i, v, u), 1e-5), float(scores[i, n, y, x]))
    shared = torch.zeros_like(scores)
    for i, n, y, x, v, u in matches:
        own = max(float(scores[i, :, y, x].max()), 1e-5)
        shared[i, n, y, x] = scores[i, n, y, x] ** 3 / own / best[i, v, u]
    reach = int(2 * spread + 0.5)
    bell = {d: math.exp(-((d / spread) ** 2) / 2) for d in range(-reach, reach + 1)}
    whole = sum(bell.values()) ** 2
    out = torch.zeros_like(scores)
    for i, n, y, x, _, _ in matches:
        near = [(q, p) for q in bell for p in bell if 0 <= y + q < h and 0 <= x + p < w]
        out[i, n, y, x] = (
            sum(bell[q] * bell[p] * shared[i, n, y + q, x + p] for q, p in near) / whole
        )
    return out / out.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-5)


@settings(max_examples=15, deadline=None)
@given(
    h=st.integers(1, 6),
    w=st.integers(1, 6),
    radius=st.integers(0, 3),
    spread=st.sampled_from([0.3, 1.0, 1.5]),
)
def test_it_equals_the_definition(h: int, w: int, radius: int, spread: float):
    correlation = local_correlation(*features(2, h, w), radius)
    expected = by_loops(correlation, radius, spread)
    torch.testing.assert_close(local_consensus(correlation, radius, spread), expected)


def test_a_second_pass_is_of_what_the_first_gave():
    correlation = local_correlation(*features(2, 5, 4), 2)
    twice = by_loops(by_loops(correlation, 2, 1.0), 2, 1.0)
    torch.testing.assert_close(local_consensus(correlation, 2, 1.0, passes=2), twice)


@pytest.mark.parametrize(("h", "w"), [(6, 5), (1, 4)])
def test_matches_seen_from_target_are_those_of_the_pair_the_other_way_round(h: int, w: int):
    source, target = features(2, h, w)
    seen = seen_from_target(local_correlation(source, target, 2), 2)
    torch.testing.assert_close(seen, local_correlation(target, source, 2))


def test_maps_of_target_are_read_where_an_offset_leads():
    maps = torch.arange(6.0).view(1, 2, 3)
    right = at_target(maps, 1)[0, 5]  # offset (1, 0)
    assert right.tolist() == [[1, 2, 0], [4, 5, 0]]


def test_the_best_match_of_both_cells_keeps_its_score():
    source, target = features(1, 4, 4)
    scores = local_correlation(source, target, 3).clamp_min(0)  # every cell sees every other
    shared = mutual(scores, 3)
    assert shared.max() == pytest.approx(float(scores.max()))
    assert (shared <= scores + 1e-12).all()


def test_one_match_that_its_neighbours_contradict_loses_to_theirs():
    correlation = torch.full((1, 9, 5, 5), 0.1)
    correlation[:, 5] = 0.6  # all cells match the one to their right
    correlation[0, 3, 2, 2] = 0.8  # but one, which matches better to its left
    agreed = local_consensus(correlation * window_inside(5, 5, 1), 1, 1.5)
    assert correlation[0, :, 2, 2].argmax() == 3
    assert agreed[0, :, 2, 2].argmax() == 5


def test_it_is_between_nothing_and_one_and_nothing_off_the_map():
    agreed = local_consensus(local_correlation(*features(3, 7, 6), 2), 2, 1.0)
    assert agreed.amax(dim=(1, 2, 3)).tolist() == [1, 1, 1]
    assert (agreed >= 0).all()
    assert (agreed[:, ~window_inside(7, 6, 2)] == 0).all()


def test_pictures_without_any_likeness_give_zeros():
    assert local_consensus(torch.full((1, 9, 4, 4), -0.5), 1, 1.0).eq(0).all()


def test_gradients_reach_the_correlation():
    source, target = (m.requires_grad_() for m in features(1, 4, 4))
    agreed = local_consensus(local_correlation(source, target, 1), 1, 1.0)
    found = torch.autograd.grad(agreed.square().sum(), (source, target))
    assert all(g.isfinite().all() and g.abs().sum() > 0 for g in found)
