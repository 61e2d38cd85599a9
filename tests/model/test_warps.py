"""Known warps: what they reproduce, and that picture and field agree."""

import pytest
import torch

from jladkit.errors import UsageError
from jladkit.model.geometry import cell_grid, sample
from jladkit.model.warps import (
    Warp,
    WarpRange,
    centres,
    control_grid,
    radial,
    random_warp,
    spline_weights,
    straight,
)

STILL = WarpRange(rotation=0, shear=0, scale=0, translation=0, jitter=0)


def test_no_range_is_the_identity():
    warp = random_warp(2, STILL, torch.manual_seed(0))
    torch.testing.assert_close(
        warp.field(6, 8), cell_grid(6, 8).expand(2, -1, -1, -1), atol=1e-5, rtol=0
    )


def test_a_mirror_alone_turns_the_picture_left_to_right():
    turned = WarpRange(rotation=0, shear=0, scale=0, translation=0, jitter=0, mirror=1)
    warp = random_warp(2, turned, torch.manual_seed(0))
    images = torch.rand(2, 3, 6, 8, generator=torch.manual_seed(1))
    torch.testing.assert_close(warp.apply(images), images.flip(-1), atol=1e-5, rtol=0)
    assert warp.mirrored().all()


def test_so_many_warps_mirror_as_were_asked_for_and_are_otherwise_the_same():
    plain = random_warp(1000, WarpRange(), torch.manual_seed(0))
    mixed = random_warp(1000, WarpRange(mirror=0.3), torch.manual_seed(0))
    turned = mixed.mirrored()
    assert not plain.mirrored().any()
    assert 250 < turned.sum() < 350
    points = torch.rand(5, 2, generator=torch.manual_seed(2)) * 2 - 1
    expected = plain(points) * torch.where(turned[:, None, None], torch.tensor([-1.0, 1]), 1.0)
    torch.testing.assert_close(mixed(points), expected)


def test_a_share_of_mirrors_beyond_one_is_refused():
    with pytest.raises(UsageError, match=r"warp.mirror is a share, from 0 to 1, but is 1.5"):
        WarpRange(mirror=1.5)


def test_a_spline_moves_its_control_points_exactly():
    control = control_grid(3)
    shift = torch.randn(2, 9, 2, generator=torch.manual_seed(0)) * 0.1
    weights, affine = spline_weights(control, shift)
    moved = radial(control.expand(2, -1, -1), control) @ weights
    moved = moved + control @ affine[:, :, :2].transpose(1, 2) + affine[:, None, :, 2]
    torch.testing.assert_close(moved, shift, atol=1e-5, rtol=0)


def test_an_affine_shift_needs_no_spline():
    control = control_grid(3)
    weights, _ = spline_weights(control, (0.3 * control + 0.1)[None])
    assert weights.abs().max() < 1e-5


def test_a_warped_picture_is_the_old_one_read_along_the_field():
    warp = random_warp(1, WarpRange(), torch.manual_seed(3))
    smooth = cell_grid(40, 40)[None] / 40
    field = warp.field(40, 40)
    inside = ((field > 1) & (field < 38)).all(dim=1, keepdim=True).expand_as(field)
    torch.testing.assert_close(
        warp.apply(smooth)[inside], sample(smooth, field)[inside], atol=1e-4, rtol=0
    )
    torch.testing.assert_close(warp.apply(smooth)[inside] * 40, field[inside], atol=1e-2, rtol=0)


def test_points_and_field_agree():
    warp = random_warp(2, WarpRange(), torch.manual_seed(4))
    # The centre of a single cell over the picture is (0, 0) in [-1, 1].
    centre = warp(torch.zeros(2, 1, 2))
    torch.testing.assert_close(warp.field(1, 1).flatten(1)[:, None], centre / 2, atol=1e-6, rtol=0)


def test_the_same_seed_gives_the_same_warp_and_another_seed_another():
    one, same, other = (random_warp(3, WarpRange(), torch.manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one.affine, same.affine)
    assert not torch.equal(one.affine, other.affine)


def test_what_is_kept_for_a_grid_carries_its_points_as_any_others():
    for warp in (random_warp(2, WarpRange(), torch.manual_seed(4)), straight(torch.rand(2, 2, 3))):
        for _ in range(2):  # the second time from what was kept
            torch.testing.assert_close(
                warp.on_grid(5, 4), warp(centres(5, 4).expand(2, -1, -1)), atol=1e-6, rtol=0
            )


def test_what_inference_keeps_for_a_grid_can_be_differentiated_later():
    warp = random_warp(1, WarpRange(), torch.manual_seed(4))
    with torch.inference_mode():
        warp.on_grid(7, 11)
    weights = warp.weights.clone().requires_grad_()
    Warp(warp.affine, weights, warp.control).on_grid(7, 11).sum().backward()
    assert weights.grad is not None and weights.grad.abs().sum() > 0
