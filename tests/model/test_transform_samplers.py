"""Random warps by preset: ranges, shapes, seeds."""

import math

import pytest
import torch

from jladkit.errors import UsageError
from jladkit.model.transform_samplers import PRESETS, random_transform
from jladkit.model.transforms import IDENTITY


def drawn(preset: str, kind: str, count: int = 4000, seed: int = 0) -> torch.Tensor:
    return random_transform(preset, kind, count, torch.manual_seed(seed)).theta


@pytest.mark.parametrize(("preset", "kind"), [(p, k) for p in PRESETS for k in PRESETS[p]])
def test_theta_has_its_size_and_the_seed_decides(preset: str, kind: str):
    one, same, other = (drawn(preset, kind, 5, seed) for seed in (1, 1, 2))
    assert one.shape == (5, len(IDENTITY[kind]))
    assert torch.equal(one, same) and not torch.equal(one, other)
    mean = drawn(preset, kind).mean(dim=0)
    bent = 0.12 if (preset, kind) == ("weakalign", "affine") else 0.05  # cos 30° pulls below 1
    torch.testing.assert_close(mean, torch.tensor(IDENTITY[kind]), atol=bent, rtol=0)


def test_cnngeo_draws_rotation_shear_and_scales():
    rows = drawn("cnngeo", "affine").view(-1, 2, 3)
    scales = torch.linalg.svdvals(rows[:, :, :2])
    assert scales.min() >= 0.75 - 1e-5 and scales.max() <= 1.25 + 1e-5
    assert rows[:, :, 2].abs().max() <= 0.25
    determinant = torch.linalg.det(rows[:, :, :2])
    assert determinant.min() >= 0.75**2 - 1e-4 and determinant.max() <= 1.25**2 + 1e-4
    # What the lists of CVPR 2017 hold.
    assert rows[:, 0, 1].abs().max() < 0.48 and rows[:, 0, 0].min() > 0.70


def test_weakalign_scales_each_entry_by_itself():
    rows = drawn("weakalign", "affine").view(-1, 2, 3)
    assert (rows[:, :, 2].abs().max() <= 0.5) and rows[:, :, 2].abs().max() > 0.49
    assert rows[:, 0, 0].min() >= 0.5 * math.cos(math.pi / 6) and rows[:, 0, 0].max() <= 1.5
    # The two sines have opposite signs but sizes of their own.
    assert (rows[:, 0, 1] * rows[:, 1, 0] <= 0).all()
    ratio = rows[:, 0, 1] / rows[:, 1, 0]
    assert ratio.std() > 0.3


@pytest.mark.parametrize("kind", ["tps", "homography"])
def test_control_points_move_by_four_tenths_at_most(kind: str):
    moved = (drawn("cnngeo", kind) - torch.tensor(IDENTITY[kind])).abs()
    assert 0.39 < moved.max() <= 0.4


def test_the_splines_of_cvpr17_are_normal():
    moved = drawn("cvpr17", "tps") - torch.tensor(IDENTITY["tps"])
    assert float(moved.std()) == pytest.approx(0.1, abs=0.002)
    assert float(moved.abs().flatten().median()) == pytest.approx(0.0674, abs=0.002)


def test_what_is_not_there_is_named():
    with pytest.raises(UsageError, match="no preset 'rtm'"):
        drawn("rtm", "affine")
    with pytest.raises(
        UsageError, match="cvpr17 of synthetic warps has no homography, only affine"
    ):
        drawn("cvpr17", "homography")


@pytest.mark.parametrize("kind", ["affine", "tps"])
def test_half_the_strength_is_half_the_way_from_the_identity(kind: str):
    whole, half = (
        random_transform("cvpr17", kind, 5, torch.manual_seed(0), strength).theta
        for strength in (1.0, 0.5)
    )
    start = torch.tensor(IDENTITY[kind])
    torch.testing.assert_close(half - start, (whole - start) / 2)
