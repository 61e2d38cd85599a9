"""The papers' random warps: their sizes, and that they can be undone."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from jladkit.model.warp_samplers import PRESETS, Sampler, affine, spline_of_noise
from jladkit.model.warps import Warp, radial

SAMPLERS = {
    f"{name} {which}": sampler
    for name, views in PRESETS.items()
    for which, sampler in zip(("first", "second"), views, strict=True)
    if sampler is not None
}


def undone(warp: Warp, goal: Tensor) -> Tensor:
    """The places that `warp` carries to `goal` (B, N, 2), by fixed-point iteration."""
    linear = warp.affine[:, :, :2]
    found = torch.linalg.solve(linear, (goal - warp.affine[:, None, :, 2]).mT).mT
    for _ in range(60):
        found = found + 0.7 * torch.linalg.solve(linear, (goal - warp(found)).mT).mT
    return found


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_a_warp_and_its_inverse_compose_to_the_identity(sampler: Sampler):
    warp = sampler(8, torch.manual_seed(0))
    places = (torch.rand(30, 2) * 1.4 - 0.7).expand(8, -1, -1)
    back = undone(warp, warp(places))
    near = (back - places).abs().amax(dim=2) < 1e-3
    # StrucRep's jitter of 0.1 at a spacing of 1/3 folds most pictures somewhere.
    assert near.float().mean() >= (0.8 if sampler is PRESETS["strucrep"].second else 1)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_points_of_all_and_points_of_each_are_carried_alike(sampler: Sampler):
    warp = sampler(3, torch.manual_seed(0))
    places = torch.rand(7, 2) * 2 - 1
    torch.testing.assert_close(warp(places), warp(places.expand(3, -1, -1)), atol=1e-5, rtol=1e-5)
    one = (places[:1] - warp.control).square().sum(dim=1)
    torch.testing.assert_close(
        radial(places[:1], warp.control)[0], one * torch.log(one), atol=1e-6, rtol=1e-5
    )


def spread(make: Callable[[], Tensor]) -> float:
    return float(make().std())


def test_fpe_warps_are_affine_and_the_first_view_is_not_shifted():
    first, second = (s(4000, torch.manual_seed(0)) for s in (affine(0.0), affine(0.1)))
    assert not first.weights.any() and not second.weights.any()
    assert first.affine[:, :, 2].abs().max() == 0
    assert spread(lambda: second.affine[:, :, 2]) == pytest.approx(0.1, rel=0.1)
    angle = torch.atan2(first.affine[:, 1, 0], first.affine[:, 0, 0])
    assert angle.abs().max() == pytest.approx(0.5, abs=0.01)  # radians, not degrees
    across = first.affine[:, :, 0].norm(dim=1)
    assert across.min() >= 0.8 and across.max() <= 1.1


def test_the_second_deviation_replaces_the_first_or_is_added():
    for replaced, quiet in ((True, 0.0), (False, 0.2)):
        draw = spline_of_noise((quiet, 1.0), replaced=replaced)
        weights = draw(200, torch.manual_seed(0)).weights
        loud = weights.abs() > 1
        assert 0.1 < loud.float().mean() < 0.25
        assert (weights == 0).float().mean() == pytest.approx(0.5 if replaced else 0, abs=0.02)


def test_strucrep_scales_both_axes_alike_and_turns_by_degrees():
    warp = PRESETS["strucrep"].second(3000, torch.manual_seed(0))
    area = torch.linalg.det(warp.affine[:, :, :2]).abs().clamp_min(1e-6)
    assert float(area.log().median()) == pytest.approx(0, abs=0.1)
    angle = torch.atan2(warp.affine[:, 1, 0], warp.affine[:, 0, 0])
    assert 5 < math.degrees(float(angle.std())) < 20
