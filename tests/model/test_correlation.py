"""Windowed correlation against the loop over shifts that it replaces."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jladkit.model.correlation import (
    best_in_window,
    consistent_matches,
    local_correlation,
    local_similarity,
    window_inside,
    window_offsets,
)


def loop_over_shifts(source: Tensor, target: Tensor, radius: int) -> Tensor:
    """The definition, one shift at a time."""
    height, width = source.shape[-2:]
    padded = F.pad(target, (radius,) * 4)
    shifts = [(y, x) for y in range(2 * radius + 1) for x in range(2 * radius + 1)]
    return torch.stack(
        [(source * padded[..., y : y + height, x : x + width]).sum(dim=1) for y, x in shifts], dim=1
    )


def maps(b: int, c: int, h: int, w: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    drawn = torch.randn(2, b, c, h, w, dtype=torch.float64, generator=torch.manual_seed(seed))
    return drawn[0], drawn[1]


@settings(max_examples=25, deadline=None)
@given(
    b=st.integers(1, 3),
    c=st.integers(1, 5),
    h=st.integers(1, 26),
    w=st.integers(1, 26),
    radius=st.integers(0, 4),
)
def test_it_equals_the_loop_over_shifts(b: int, c: int, h: int, w: int, radius: int):
    source, target = maps(b, c, h, w)
    expected = loop_over_shifts(source, target, radius)
    torch.testing.assert_close(local_correlation(source, target, radius), expected)


@pytest.mark.parametrize(("h", "w"), [(6, 5), (25, 30)], ids=["one product", "bands of rows"])
def test_its_gradients_equal_those_of_the_loop(h: int, w: int):
    source, target = (m.requires_grad_() for m in maps(2, 3, h, w))
    weight = torch.randn(2, 25, h, w, dtype=torch.float64, generator=torch.manual_seed(1))
    ours = torch.autograd.grad(local_correlation(source, target, 2), (source, target), weight)
    theirs = torch.autograd.grad(loop_over_shifts(source, target, 2), (source, target), weight)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other)


def test_it_passes_gradcheck():
    source, target = (m.requires_grad_() for m in maps(1, 2, 4, 3))
    assert torch.autograd.gradcheck(lambda s, t: local_correlation(s, t, 1), (source, target))


def test_the_channel_of_an_offset_holds_the_product_with_the_cell_at_that_offset():
    source, target = torch.zeros(1, 1, 5, 5), torch.zeros(1, 1, 5, 5)
    source[0, 0, 2, 1] = 2  # x = 1, y = 2
    target[0, 0, 1, 3] = 3  # offset (+2, -1)
    scores = local_correlation(source, target, 2)[0, :, 2, 1]
    offsets = window_offsets(2)
    assert scores.max() == 6
    assert offsets[scores.argmax()].tolist() == [2, -1]


def test_cells_outside_the_map_score_zero_and_are_known():
    inside = window_inside(3, 3, 1)
    ones = torch.ones(1, 1, 3, 3)
    torch.testing.assert_close(local_correlation(ones, ones, 1)[0], inside.float())
    assert inside[:, 0, 0].sum() == 4
    assert inside[:, 1, 1].sum() == 9


def test_similarity_has_unit_norm_over_each_window():
    source, target = maps(2, 3, 6, 6)
    norms = local_similarity(source, target, 2).norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms))


def test_it_works_on_channels_last_and_half_precision_maps():
    source, target = (m.float().to(memory_format=torch.channels_last) for m in maps(2, 8, 7, 7))
    expected = loop_over_shifts(source, target, 2)
    torch.testing.assert_close(local_correlation(source, target, 2), expected)
    low = local_correlation(source.bfloat16(), target.bfloat16(), 2).float()
    torch.testing.assert_close(low, expected, atol=0.1, rtol=0.1)


def test_maps_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 2, 4, 4\) and \(1, 2, 4, 5\)"):
        local_correlation(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 5), 1)


def naive_matches(
    source: Tensor, target: Tensor, radius: int
) -> dict[tuple[int, int], tuple[int, int]]:
    """(x, y) of a cell of source -> that of its best match, of one picture."""
    _, height, width = source.shape
    found = {}
    for y in range(height):
        for x in range(width):
            window = [
                (float(source[:, y, x] @ target[:, v, u]), u, v)
                for v in range(max(0, y - radius), min(height, y + radius + 1))
                for u in range(max(0, x - radius), min(width, x + radius + 1))
            ]
            _, u, v = max(window)
            found[x, y] = (u, v)
    return found


@pytest.mark.parametrize("radius", [1, 3, 9])
@pytest.mark.parametrize("tolerance", [0, 1])
def test_matches_that_come_back_are_those_that_loops_find(radius: int, tolerance: int):
    source, target = (F.normalize(m, dim=1) for m in maps(2, 4, 5, 7))
    found, agreed = consistent_matches(source, target, radius, tolerance)
    for b in range(2):
        forward = naive_matches(source[b], target[b], radius)
        backward = naive_matches(target[b], source[b], radius)
        for (x, y), match in forward.items():
            assert tuple(found[b, :, y, x].tolist()) == match
            u, v = backward[match]
            assert bool(agreed[b, y, x]) == (max(abs(u - x), abs(v - y)) <= tolerance)
    assert 0 < agreed.float().mean() < 1


def test_the_best_match_is_never_off_the_map():
    source = -torch.ones(1, 1, 3, 3)  # every product on the map is below the 0 outside
    found = best_in_window(source, -source, 2)
    assert found.min() >= 0 and found.max() <= 2
