"""Frames: pixels, cells, [-1, 1]; and fields that read maps and carry points."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from jladkit.model.geometry import (
    cell_grid,
    cells_to_pixels,
    from_normalised,
    landmark_positions,
    pixels_to_cells,
    resize_field,
    sample,
    sample_points,
    to_normalised,
    transfer_points,
)


def test_the_first_of_sixteen_pixels_wide_cells_has_its_centre_at_pixel_seven_and_a_half():
    zero = torch.zeros(1, 1, 2)
    assert cells_to_pixels(zero, 256, 16).tolist() == [[[7.5, 7.5]]]
    assert pixels_to_cells(cells_to_pixels(zero, 256, 16), 256, 16).tolist() == [[[0, 0]]]


@given(st.floats(-50, 400), st.integers(1, 500), st.integers(1, 500))
def test_normalised_coordinates_come_back(x: float, width: int, height: int):
    point = torch.tensor([[x, x]], dtype=torch.float64)
    back = from_normalised(to_normalised(point, width, height), width, height)
    torch.testing.assert_close(back, point)


def test_the_outer_edges_of_an_image_are_minus_one_and_one():
    edges = torch.tensor([[-0.5, -0.5], [7.5, 3.5]])
    assert to_normalised(edges, 8, 4).tolist() == [[-1, -1], [1, 1]]


def test_the_identity_field_reads_a_map_as_it_is():
    maps = torch.randn(2, 3, 5, 7)
    field = cell_grid(5, 7).expand(2, -1, -1, -1)
    torch.testing.assert_close(sample(maps, field), maps, atol=1e-5, rtol=1e-5)


def test_a_point_reads_the_cell_it_stands_on():
    maps = torch.arange(12.0).view(1, 1, 3, 4)
    found = sample_points(maps, torch.tensor([[[2.0, 1.0], [0.5, 0.0], [-9.0, 2.0]]]))
    torch.testing.assert_close(found[0, :, 0], torch.tensor([6.0, 0.5, 8.0]))


def test_a_constant_shift_carries_points_by_that_shift_even_outside():
    field = cell_grid(4, 4)[None] + torch.tensor([1.5, -0.5]).view(1, 2, 1, 1)
    points = torch.tensor([[[0.2, 3.1], [-2.0, 9.0], [float("nan"), float("nan")]]])
    moved = transfer_points(field, points)
    torch.testing.assert_close(moved[0, :2], points[0, :2] + torch.tensor([1.5, -0.5]))
    assert moved[0, 2].isnan().all()


def test_a_finer_grid_keeps_the_identity_and_scales_shifts():
    identity = cell_grid(4, 6)[None]
    torch.testing.assert_close(resize_field(identity, 8, 12), cell_grid(8, 12)[None])
    shifted = resize_field(identity + 1, 8, 12)
    torch.testing.assert_close(shifted, cell_grid(8, 12)[None] + 2)


def test_a_landmark_is_the_mean_position_under_its_map():
    maps = torch.zeros(1, 1, 4, 4)
    maps[0, 0, 1, 0], maps[0, 0, 3, 2] = 0.2, 0.6
    torch.testing.assert_close(landmark_positions(maps), torch.tensor([[[1.5, 2.5]]]))
