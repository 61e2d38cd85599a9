"""FPE: the factorised loss against the sum over pairs, diversity's bounds, its network's crop."""

import math
from pathlib import Path

import pytest
import torch
from landmark_runs import score_after_training, trained, trainee

from jladkit.baselines import fpe
from jladkit.formats.dataset import Dataset
from jladkit.methods import LandmarkDetector
from jladkit.model.landmarks import spatial_softmax

TINY = ["model.landmarks=3", "train.steps=[6]"]


def test_the_factorised_loss_is_the_mean_over_all_pairs_of_places():
    draw = torch.manual_seed(0)
    p, q = (torch.rand(2, 3, 5, generator=draw).softmax(dim=-1) for _ in range(2))
    u, v = (torch.rand(2, 5, 2, generator=draw) for _ in range(2))
    wanted = 0.0
    for b in range(2):
        for k in range(3):
            for i in range(5):
                for j in range(5):
                    squared = float((u[b, i] - v[b, j]).square().sum())
                    wanted += float(p[b, k, i] * q[b, k, j]) * squared / 6
    assert float(fpe.align_loss(p, q, u, v)) == pytest.approx(wanted, rel=1e-4)


def test_it_is_zero_for_sharp_agreeing_maps_and_punishes_spread():
    u = torch.rand(1, 4, 2)
    sharp = torch.eye(4)[None, :2]
    assert float(fpe.align_loss(sharp, sharp, u, u)) == pytest.approx(0, abs=1e-6)
    flat = torch.full((1, 2, 4), 0.25)
    assert float(fpe.align_loss(flat, flat, u, u)) > 0.01


def test_diversity_lies_between_nothing_and_all_but_one():
    maps = torch.zeros(1, 3, 12, 12)
    for k, (y, x) in enumerate([(0, 0), (0, 11), (6, 5)]):  # two at a border, whose mass must stay
        maps[0, k, y, x] = 1
    assert float(fpe.diversity_loss(maps, 4)) == pytest.approx(0, abs=1e-6)
    same = maps[:, :1].expand(-1, 3, -1, -1)
    assert float(fpe.diversity_loss(same, 4)) == pytest.approx(2, abs=1e-6)
    noise = spatial_softmax(3 * torch.randn(5, 3, 12, 12))
    assert 0 <= float(fpe.diversity_loss(noise, 4)) <= 2


def test_maps_nearer_than_the_window_are_not_diverse():
    near, far = torch.zeros(2, 1, 2, 12, 12)
    near[0, 0, 5, 5] = near[0, 1, 5, 6] = 1
    far[0, 0, 5, 1] = far[0, 1, 5, 9] = 1
    assert float(fpe.diversity_loss(near, 1)) == float(fpe.diversity_loss(far, 1)) == 0
    # Windows of 4x4 about neighbours share 3 of 4 columns.
    assert float(fpe.diversity_loss(near, 4)) == pytest.approx(0.75)
    assert float(fpe.diversity_loss(far, 4)) == pytest.approx(0, abs=1e-6)


def test_losses_are_differentiable():
    scores = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    places = torch.rand(1, 9, 2, dtype=torch.float64)

    def both(s: torch.Tensor) -> torch.Tensor:
        maps = spatial_softmax(s)
        flat = maps.flatten(2)
        return fpe.align_loss(flat, flat, places, 1 - places) + fpe.diversity_loss(maps, 2)

    assert torch.autograd.gradcheck(both, (scores,))


def test_the_papers_network_sees_the_crop_and_its_cells_lie_within(dots: Dataset):
    own = trainee("fpe", dots, "train.batch=2", recipe="paper", tiny=False)
    net = own.detector
    assert net.cells == 42  # 128 with six convolutions of 5x5 and one pooling
    # 22.5 pixels of the crop are lost before the first cell, and the crop begins at (5, 5).
    torch.testing.assert_close(net.pixels(torch.tensor([0.0, 41.0])), torch.tensor([27.5, 109.5]))
    images = torch.rand(1, 3, 146, 146)
    torch.testing.assert_close(net.look(images), images[..., 5:133, 5:133])
    assert math.isfinite(trained(own, 1)[0]["total"])
    assert float(own.detector.last[0].weight.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_a_cell_answers_to_the_pixels_about_it(dots: Dataset):
    net = trainee("fpe", dots, "train.batch=2", recipe="paper", tiny=False).detector.eval()
    images = torch.rand(1, 3, 146, 146, requires_grad=True)
    net.body(net.look(images))  # look passes no gradient to a frozen backbone; here it is a crop
    net.scores(images[..., 5:133, 5:133], torch.tensor([0]))[0, :, 20, 10].sum().backward()
    assert images.grad is not None
    y, x = images.grad[0].abs().sum(dim=0).nonzero().float().unbind(dim=1)
    middle = net.pixels(torch.tensor([10.0, 20.0]))
    torch.testing.assert_close(torch.stack([x.min() + x.max(), y.min() + y.max()]) / 2, middle)


def test_both_losses_fall_on_known_warps(dots: Dataset):
    terms = trained(trainee("fpe", dots, *TINY), 40)
    for name in ("align", "diversity"):
        assert terms[-1][name] < 0.6 * terms[0][name]


def test_a_trained_model_is_a_detector(dots: Dataset, tmp_path: Path):
    method = score_after_training("fpe", dots, tmp_path, *TINY)
    assert isinstance(method, LandmarkDetector)
    assert method.detect(torch.rand(2, 3, 32, 32), ["kind0", "kind0"]).shape == (2, 3, 2)
