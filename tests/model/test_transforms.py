"""Parametric warps: the papers' equations written out point by point, and what each must keep."""

import math

import pytest
import torch
from torch import Tensor

from jladkit.model.geometry import to_normalised
from jladkit.model.transforms import (
    IDENTITY,
    Chain,
    Transform,
    affine,
    by_columns,
    homography,
    identity,
    spline,
)
from jladkit.model.warps import as_field, centres, warped

KINDS = list(IDENTITY)


def somewhere(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.manual_seed(seed)) * 2 - 1


def near_identity(kind: str, count: int = 2, seed: int = 0) -> Transform:
    still = identity(kind, count).theta
    return Transform(kind, still + 0.3 * somewhere(*still.shape, seed=seed))


@pytest.mark.parametrize("kind", KINDS)
def test_the_identity_leaves_points_where_they_are(kind: str):
    points = somewhere(7, 2)
    torch.testing.assert_close(identity(kind, 1)(points)[0], points, atol=2e-5, rtol=0)


def test_affine_rows_are_those_of_a_and_t():
    theta = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    assert affine(theta, torch.tensor([[10.0, 100.0]])).tolist() == [[[213.0, 546.0]]]


def test_control_points_run_column_by_column():
    assert by_columns(3).tolist() == [[x, y] for x in (-1, 0, 1) for y in (-1, 0, 1)]
    assert IDENTITY["tps"] == [-1, -1, -1, 0, 0, 0, 1, 1, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1]
    assert IDENTITY["homography"] == [-1, -1, 1, 1, -1, 1, -1, 1]


@pytest.mark.parametrize(("kind", "side", "move"), [("tps", 3, spline), ("homography", 2, homography)])  # fmt: skip
def test_theta_is_where_control_points_go(kind: str, side: int, move: object):
    warp = near_identity(kind)
    ends = warp.theta.view(2, 2, -1).transpose(1, 2)
    torch.testing.assert_close(warp(by_columns(side)), ends, atol=5e-5, rtol=0)


def plain_spline(theta: list[float], x: float, y: float, smoothing: float) -> list[float]:
    """The spline of the papers: weights from the inverse of L, then a sum over control points."""
    control = [(a, b) for a in (-1.0, 0.0, 1.0) for b in (-1.0, 0.0, 1.0)]

    def u(ax: float, ay: float, bx: float, by: float) -> float:
        squared = (ax - bx) ** 2 + (ay - by) ** 2
        return squared * math.log(squared) if squared else 0.0

    system = torch.zeros(12, 12, dtype=torch.float64)
    for i, (ax, ay) in enumerate(control):
        for j, (bx, by) in enumerate(control):
            system[i, j] = u(ax, ay, bx, by) + (smoothing if i == j else 0)
        for k, value in enumerate((1.0, ax, ay)):
            system[i, 9 + k] = system[9 + k, i] = value
    inverse = torch.linalg.inv(system)
    out = []
    for ends in (theta[:9], theta[9:]):
        solved = inverse[:, :9] @ torch.tensor(ends, dtype=torch.float64)
        value = solved[9] + solved[10] * x + solved[11] * y
        value += sum(solved[i] * u(x, y, *control[i]) for i in range(9))
        out.append(float(value))
    return out


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_spline_is_the_papers(smoothing: float):
    warp, points = near_identity("tps"), somewhere(5, 2, seed=1)
    found = spline(warp.theta, points, smoothing)
    expected = [[plain_spline(t, x, y, smoothing) for x, y in points.tolist()] for t in warp.theta.tolist()]  # fmt: skip
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-4, rtol=0)


def test_a_smoothed_spline_no_longer_goes_through_its_control_points():
    warp = near_identity("tps")
    ends = warp.theta.view(2, 2, 9).transpose(1, 2)
    assert (spline(warp.theta, by_columns(3), 0.2) - ends).abs().max() > 0.01


def test_a_spline_and_a_homography_of_affine_corners_are_that_affine_warp():
    theta, points = torch.tensor([[0.9, 0.2, 0.1, -0.3, 1.1, -0.2]]), somewhere(6, 2)
    for kind, side in (("tps", 3), ("homography", 2)):
        ends = affine(theta, by_columns(side)).transpose(1, 2).flatten(1)
        found = Transform(kind, ends)(points)
        torch.testing.assert_close(found, affine(theta, points), atol=5e-5, rtol=0)


def test_a_homography_keeps_straight_lines():
    line = torch.tensor([[-0.8, 0.1], [0.0, 0.3], [0.8, 0.5]])
    a, b, c = near_identity("homography", 1)(line)[0]
    cross = (b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0]
    assert abs(float(cross)) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_theta(kind: str):
    theta = near_identity(kind, 1).theta.double().requires_grad_()
    points = somewhere(3, 2).double()
    assert torch.autograd.gradcheck(lambda t: Transform(kind, t)(points), (theta,))


def test_points_go_through_the_last_stage_first():
    first = Transform("affine", torch.tensor([[2.0, 0, 0, 0, 2, 0]]))
    second = Transform("affine", torch.tensor([[1.0, 0, 0.5, 0, 1, 0]]))
    assert Chain([first, second])(torch.tensor([[0.1, 0.1]])).flatten().tolist() == pytest.approx([1.2, 0.2])  # fmt: skip


def test_reading_along_the_first_stage_then_the_second_is_reading_along_the_chain():
    steps = [near_identity("affine", 1, 1), near_identity("tps", 1, 2)]
    picture = torch.linspace(0, 1, 64)[None, None, None].expand(1, 1, 64, 64)
    once = warped(picture, Chain(steps))
    twice = warped(warped(picture, steps[0]), steps[1])
    ends = Chain(steps)(to_normalised(torch.tensor([[31.5, 31.5]]), 64, 64)).abs()
    assert ends.max() < 1  # the middle stays inside
    torch.testing.assert_close(once[..., 28:36, 28:36], twice[..., 28:36, 28:36], atol=5e-3, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_papers_corner_frame_is_reached_by_reach(kind: str):
    # In their frame pixel p of L lies at 2 p / (L - 1) - 1 (align_corners=True).
    size, warp = 20, near_identity(kind)
    pixels = somewhere(6, 2, seed=3) * 9 + 10
    theirs = (warp(pixels * 2 / (size - 1) - 1) + 1) * (size - 1) / 2
    ours = Chain([Transform(kind, warp.theta, 1 - 1 / size)]).carry(pixels, size)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)


def test_half_a_pixel_is_what_the_two_frames_differ_by():
    # The scale of the default frame about the outer edges, against that about pixel centres.
    theta = torch.tensor([[1.0, 0, 1, 0, 1, 0]])  # half the picture to the right
    zero = torch.zeros(1, 2)
    moved = [Chain([Transform("affine", theta, r)]).carry(zero, 240)[0, 0, 0] for r in (1, 1 - 1 / 240)]  # fmt: skip
    assert float(moved[0]) == pytest.approx(120, abs=1e-3)
    assert float(moved[1]) == pytest.approx(119.5, abs=1e-3)


def test_not_a_number_stays_and_harms_no_other_point():
    points = torch.tensor([[float("nan"), 0.2], [0.1, 0.1]])
    for kind in KINDS:
        found = identity(kind, 1)(points)[0]
        assert found[0, 0].isnan()
        torch.testing.assert_close(found[1], points[1], atol=2e-5, rtol=0)


def test_a_picture_is_read_where_its_pixels_go():
    shift = Transform("affine", torch.tensor([[1.0, 0, 2 / 8, 0, 1, 0]]))  # one of eight pixels
    picture = torch.arange(8.0).expand(1, 1, 8, 8)
    assert shift.apply(picture)[0, 0, 0].tolist() == pytest.approx([1, 2, 3, 4, 5, 6, 7, 7])
    assert warped(picture, shift, "zeros")[0, 0, 0].tolist() == pytest.approx([1, 2, 3, 4, 5, 6, 7, 0])  # fmt: skip
    assert as_field(shift(centres(8, 8)), 8, 8)[0, 0, 0].tolist() == pytest.approx(
        list(range(1, 9))
    )
