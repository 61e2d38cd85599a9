"""StrucRep: its losses against plain formulas, its units, and that training does what it should."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from landmark_runs import score_after_training, trained, trainee

from jladkit.baselines import strucrep
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.methods import LandmarkDetector

TINY = [
    "model.landmarks=3",
    "model.painter=[8, 8]",
    "model.picture=16",
    "model.spread=4",
    "train.steps=[6]",
]


def test_concentration_is_the_exponentiated_entropy_of_a_gaussian():
    side, deviation = 40, 3.0
    axis = torch.arange(float(side))
    line = torch.exp(-((axis - 19.0) ** 2) / (2 * deviation**2))
    maps = (line[:, None] * line[None])[None, None].expand(1, 2, -1, -1)
    found = float(strucrep.concentration_loss(0.3 * maps, side))
    assert found == pytest.approx(2 * 2 * math.pi * math.e * (deviation / side) ** 2, rel=1e-3)


def test_concentration_takes_the_mean_of_deviations_not_of_variances():
    maps = torch.zeros(1, 1, 1, 5)
    maps[..., 0] = maps[..., 4] = 1.0  # σ is 2 cells across and 0 down
    found = float(strucrep.concentration_loss(maps, 10.0))
    assert found == pytest.approx(2 * math.pi * math.e * (0.2 / 2) ** 2, rel=2e-3)


def test_separation_is_a_sum_over_ordered_pairs():
    places = torch.rand(2, 4, 2, generator=torch.manual_seed(0))
    wanted = 0.0
    for one in places:
        for i in range(4):
            for j in range(4):
                if i != j:
                    squared = float((one[i] - one[j]).square().sum())
                    wanted += math.exp(-squared / (2 * 0.2**2)) / 2
    assert float(strucrep.separation_loss(places, 0.2)) == pytest.approx(wanted, rel=1e-4)


def test_equivariance_and_reconstruction_are_sums_and_means_over_pictures():
    a, b = torch.rand(2, 3, 2), torch.rand(2, 3, 2)
    wanted = sum(float((x - y).square().sum()) for x, y in zip(a, b, strict=True)) / 2
    assert float(strucrep.equivariance_loss(a, b)) == pytest.approx(wanted, rel=1e-4)
    p, q = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    wanted = sum(float((x - y).square().sum()) for x, y in zip(p, q, strict=True)) / 4
    assert float(strucrep.reconstruction_loss(p, q)) == pytest.approx(wanted, rel=1e-4)


def test_losses_are_differentiable():
    maps = torch.rand(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    places = torch.rand(1, 3, 2, dtype=torch.float64, requires_grad=True)
    check = torch.autograd.gradcheck
    assert check(lambda m: strucrep.concentration_loss(m, 3.0), (maps,), atol=1e-4)
    assert check(lambda p: strucrep.separation_loss(p, 0.3), (places,))


def test_shares_of_pixels_sum_to_one_and_the_background_has_what_lies_far_off():
    maps = strucrep.shares_of_pixels(torch.tensor([[[0.25, 0.5]]]), 16, 0.05)
    torch.testing.assert_close(maps.sum(dim=1), torch.ones(1, 16, 16))
    assert maps[0, 0, 8, 4] > 0.9  # row 8, column 4: x is the first number, y the second
    assert maps[0, 1, 0, 15] > 0.99


def test_a_picture_is_widened_in_the_mean_colour_of_its_edge():
    picture = torch.zeros(1, 1, 3, 4)
    picture[..., 1, 1:3] = 9.0  # inside: no part of the edge
    picture[..., 0, 0] = 5.0  # one of ten pixels of the edge
    wide = strucrep.pad_mean_edge(picture, 2)
    assert wide.shape == (1, 1, 7, 8)
    assert float(wide[0, 0, 0, 0]) == pytest.approx(0.5)
    torch.testing.assert_close(wide[..., 2:5, 2:6], picture)


def test_the_papers_networks_take_a_step_and_landmarks_may_lie_outside(dots: Dataset):
    own = trainee("strucrep", dots, "train.batch=2", "model.painter=[8, 8, 8]",
                  "model.describer=[8, 8, 8]", "model.detector=[8, 8, 8]",
                  recipe="paper", tiny=False)  # fmt: skip
    assert own.detector.cells == 96
    first, last = (float(own.detector.pixels(torch.tensor(float(c)))) for c in (0, 95))
    assert (first, last) == (-8, 87)  # of a square of 80
    assert math.isfinite(trained(own, 1)[0]["total"])
    names = {name for name, p in own.net.named_parameters() if p.grad is not None}
    assert {"shorten", "lengthen"} < names
    assert [phase.learning_rate for phase in own.phases()] == [1e-3, 1e-4, 1e-5]


def test_equivariance_falls_on_known_warps(dots: Dataset):
    terms = trained(
        trainee("strucrep", dots, *TINY, "loss.reconstruction=[0]", "loss.separation=0"), 40
    )
    first, last = (sum(t["equivariance"] for t in part) for part in (terms[:4], terms[-4:]))
    assert last < 0.5 * first


def test_the_picture_is_painted_better_after_training(dots: Dataset):
    terms = trained(trainee("strucrep", dots, *TINY), 40)
    assert terms[-1]["reconstruction"] < 0.7 * terms[0]["reconstruction"]


def test_a_trained_model_is_a_detector_of_its_categories(dots: Dataset, tmp_path: Path):
    method = score_after_training("strucrep", dots, tmp_path, *TINY)
    assert isinstance(method, LandmarkDetector)
    assert method.config["supervised"] is False
    images = torch.rand(2, 3, 32, 32)
    points = method.detect(images, ["kind0", "kind0"])
    assert points.shape == (2, 3, 2)
    torch.testing.assert_close(method.detect(images[1:], ["kind0"]), points[1:], atol=1e-3, rtol=0)
    with pytest.raises(JladkitError, match="not for kind7"):
        method.detect(images, ["kind0", "kind7"])


def test_stages_need_a_weight_each(dots: Dataset):
    with pytest.raises(UsageError, match=r"loss\.reconstruction"):
        trainee("strucrep", dots, *TINY, "train.steps=[1, 1]", "train.rates=[1e-3, 1e-4]")
    with pytest.raises(UsageError, match=r"model\.pad"):
        trainee("strucrep", dots, *TINY, "model.pad=4")


def test_the_separations_width_is_the_authors_for_their_numbers_of_landmarks(dots: Dataset):
    found = [strucrep.width_for(k) for k in (10, 20, 30, 50, 5)]
    assert found == pytest.approx([0.08, 0.04, 0.04, 0.024, 0.16])
    assert trainee("strucrep", dots, *TINY, "model.landmarks=30").width == pytest.approx(0.04)


def test_describing_reads_the_features_under_each_map(dots: Dataset):
    net = trainee("strucrep", dots, *TINY).detector.eval()
    inputs = net.look(torch.rand(1, 3, 32, 32))
    maps = torch.zeros(1, 4, net.cells, net.cells)
    maps[0, np.arange(4), 0, np.arange(4)] = 0.5
    found = net.describe(inputs, maps)
    features = net.to_features(net.describer(inputs))[0, :, 0, :4]  # (64, 4)
    wanted = torch.einsum("ck,kcf->kf", features, net.shorten)
    torch.testing.assert_close(found[0], wanted, atol=1e-4, rtol=1e-4)
