"""Affine fields: by hand, against the formula cell by cell, and their algebra."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jladkit.model.affine import (
    compose,
    identity_affine,
    places,
    resize_affine,
    spread_affine,
    transformed_patches,
)
from jladkit.model.geometry import cell_grid, sample

CPU = torch.device("cpu")


def whole(matrix: list[list[float]], side: int = 8) -> Tensor:
    """The field of one affine map of places in cells: p -> A p + t."""
    affine = torch.tensor(matrix)
    place = torch.einsum("xo,ohw->xhw", affine[:, :2], cell_grid(side, side))
    place = place + affine[:, 2, None, None]
    linear = affine[:, :2, None, None].expand(2, 2, side, side)
    return torch.cat([linear, place[:, None]], dim=1)[None]


def bent(side: int, seed: int) -> Tensor:
    """A random field near the identity."""
    drawn = torch.randn(2, 2, 3, side, side, generator=torch.Generator().manual_seed(seed))
    return identity_affine(2, side, side, CPU) + 0.3 * drawn


def test_the_identity_maps_every_cell_to_itself():
    field = identity_affine(2, 3, 4, CPU)
    assert torch.equal(places(field), cell_grid(3, 4).expand(2, 2, 3, 4))
    assert torch.equal(field[0, :, :2, 1, 2], torch.eye(2))


def test_resizing_keeps_the_identity_and_a_shift_in_shares_of_the_picture():
    assert torch.equal(
        resize_affine(identity_affine(1, 4, 4, CPU), 8, 8), identity_affine(1, 8, 8, CPU)
    )
    shifted = identity_affine(1, 4, 4, CPU).clone()
    shifted[:, 0, 2] += 1.5
    finer = resize_affine(shifted, 8, 8)
    torch.testing.assert_close(places(finer)[:, 0], cell_grid(8, 8)[None, 0] + 3)
    torch.testing.assert_close(finer[:, :, :2], identity_affine(1, 8, 8, CPU)[:, :, :2])


def test_a_convolution_of_the_identity_s_patches_is_the_plain_convolution():
    maps, kernel = torch.randn(2, 3, 6, 6), torch.randn(5, 3, 3, 3)
    patches = transformed_patches(maps, identity_affine(2, 6, 6, CPU))
    torch.testing.assert_close(
        F.conv2d(patches, kernel, stride=3), F.conv2d(maps, kernel, padding=1),
        atol=1e-4, rtol=1e-4,
    )  # fmt: skip


def test_patches_are_read_at_the_place_plus_the_turned_offset():
    maps, field = torch.randn(2, 3, 5, 5), bent(5, 0)
    patches = transformed_patches(maps, field)
    for y, x in ((0, 0), (2, 3), (4, 4)):
        matrix = field[:, :, :, y, x]
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                at = matrix[:, :, :2] @ torch.tensor([dx, dy]).float() + matrix[:, :, 2]
                wanted = sample(maps, at[:, :, None, None], padding="zeros")[..., 0, 0]
                torch.testing.assert_close(patches[:, :, 3 * y + dy + 1, 3 * x + dx + 1], wanted)


def test_composing_whole_affines_multiplies_their_matrices_beyond_the_edge_too():
    outer, inner = [[1.2, 0.3, -2.0], [-0.1, 0.8, 1.0]], [[0.7, -0.4, 6.0], [0.5, 1.1, -5.0]]
    last = torch.tensor([[0.0, 0.0, 1.0]])
    product = (
        torch.cat([torch.tensor(outer), last]) @ torch.cat([torch.tensor(inner), last])
    )[:2]  # fmt: skip
    found = compose(whole(outer), whole(inner))
    assert places(whole(inner)).min() < -1  # the inner map does leave the grid
    torch.testing.assert_close(found, whole(product.tolist()), atol=1e-4, rtol=1e-4)


def test_the_identity_changes_nothing_before_or_after():
    field, same = bent(6, 1), identity_affine(2, 6, 6, CPU)
    torch.testing.assert_close(compose(field, same), field)
    torch.testing.assert_close(compose(same, field), field)


def test_composition_does_the_inner_field_first():
    turn, shift = [[0.0, -1.0, 7.0], [1.0, 0.0, 0.0]], [[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]
    found = places(compose(whole(turn), whole(shift)))
    # (1, 3) is shifted to (3, 3), which the turn takes to (7 - 3, 3).
    assert found[0, :, 3, 1].tolist() == pytest.approx([4, 3], abs=1e-5)


def test_one_block_moves_all_places_about_the_picture_s_middle():
    residual = torch.tensor([[0.5, 0.0, 1.0], [0.0, 0.0, -2.0]]).view(1, 2, 3, 1, 1)
    field = spread_affine(residual, 8, 8)
    assert places(field)[0, :, 0, 0].tolist() == pytest.approx([-3.5 * 1.5 + 3.5 + 1, -2])
    assert field[0, :, :2, 5, 5].tolist() == [[1.5, 0.0], [0.0, 1.0]]


def test_blocks_are_blended_as_maps_and_obeyed_at_their_middles():
    residuals = 0.2 * torch.randn(1, 2, 3, 2, 2)
    field = spread_affine(residuals, 10, 10)  # middles of blocks at 2 and 7
    for j, y in enumerate((2, 7)):
        for i, x in enumerate((2, 7)):
            block = residuals[0, :, :, j, i]
            moved = places(field)[0, :, y, x] - torch.tensor([x, y])
            torch.testing.assert_close(moved, block[:, 2])
            torch.testing.assert_close(field[0, :, :2, y, x], torch.eye(2) + block[:, :2])
    # Halfway between, each block says where (4, 2) goes, with the shares of its distance.
    said = [
        residuals[0, :, :2, 0, i] @ torch.tensor([4.0 - x, 0.0]) + residuals[0, :, 2, 0, i]
        for i, x in enumerate((2, 7))
    ]
    wanted = 0.6 * said[0] + 0.4 * said[1] + torch.tensor([4.0, 2.0])
    torch.testing.assert_close(places(field)[0, :, 2, 4], wanted, atol=1e-5, rtol=1e-5)


def test_zero_residuals_are_the_identity():
    assert torch.equal(spread_affine(torch.zeros(1, 2, 3, 4, 4), 8, 8), identity_affine(1, 8, 8, CPU))  # fmt: skip
