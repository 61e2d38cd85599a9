"""CIG: what passes its bottleneck, whose picture it paints, and that training does what it should."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from landmark_runs import score_after_training, trained, trainee

from jladkit.baselines import cig
from jladkit.errors import UsageError
from jladkit.formats.dataset import Dataset
from jladkit.methods import LandmarkDetector

TINY = [
    "model.landmarks=3",
    "model.grid=8",
    "model.picture=16",
    "model.generator=16",
    "loss.layers=['input', 'blocks.0']",
    "train.steps=[6]",
]


def test_the_encoder_gives_an_eighth_of_the_grid_in_256_channels():
    assert cig.Encoder()(torch.rand(2, 3, 32, 32)).shape == (2, 256, 4, 4)


def test_the_generator_halves_its_channels_with_each_doubling_of_the_grid():
    net = cig.Generator(300, 256, 16, 128)
    shapes = [tuple(m.weight.shape[:2]) for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert shapes == [
        *((256, 300), (256, 256)),
        *((128, 256), (128, 128)),
        *((64, 128), (64, 64)),
        *((32, 64), (3, 32)),
    ]
    assert cig.Generator(4, 32, 8, 16)(torch.rand(1, 4, 8, 8)).shape == (1, 3, 16, 16)


def test_each_layer_counts_relative_to_its_own_running_mean():
    found = cig.layers_loss(torch.tensor([2.0, 3.0]), torch.tensor([4.0, 1.5]))
    assert float(found) == pytest.approx(0.5 + 2)


def test_pose_is_read_from_the_target_and_appearance_from_the_source(dots: Dataset):
    own = trainee("cig", dots, *TINY)
    own.net.eval()
    view = own.views.draw(np.random.default_rng(0), 4)
    seen: dict[str, Any] = {}
    generate = own.detector.generate

    def noted(positions: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        seen.update(positions=positions, inputs=inputs)
        return generate(positions, inputs)

    own.detector.generate = noted
    own.terms(view, own.phases()[0])
    assert torch.equal(seen["inputs"], view.source)
    points = own.detector.detect(view.target, view.which)
    torch.testing.assert_close(seen["positions"], (points + 0.5) / 32)


def test_the_picture_that_is_painted_has_a_gradient_to_the_places(dots: Dataset):
    own = trainee("cig", dots, *TINY)
    view = own.views.draw(np.random.default_rng(0), 4)
    own.terms(view, own.phases()[0])["total"].backward()
    assert own.detector.last.weight.grad.abs().sum() > 0


def test_both_views_are_warped_and_what_lies_outside_is_masked(dots: Dataset):
    own = trainee("cig", dots, *TINY, "views.warps=cig")
    view = own.views.draw(np.random.default_rng(0), 4)
    assert view.first is not None
    mask = own.mask(view.first, 16)
    assert mask.shape == (4, 1, 16, 16)
    assert float(mask[..., 7:9, 7:9].min()) > 0.9
    shifted = view.first.affine.clone()
    shifted[:, :, 2] = torch.tensor([1.0, 0.0])
    away = own.mask(type(view.first)(shifted, 0 * view.first.weights, view.first.control), 16)
    assert not away[..., 9:].any()


def test_the_running_mean_is_kept_with_the_weights(dots: Dataset):
    own = trainee("cig", dots, *TINY)
    trained(own, 2)
    kept = own.net.state_dict()["balance"]
    assert (kept[:2] > 0).all() and not kept[2:].any()


def test_the_papers_networks_take_a_step(dots: Dataset):
    own = trainee("cig", dots, "loss.weights='random'", "train.batch=2", "model.size=64",
                  "model.grid=8", "model.picture=32", "model.generator=32",
                  recipe="paper", tiny=False)  # fmt: skip
    assert own.detector.cells == 8
    assert math.isfinite(trained(own, 1)[0]["total"])


def test_the_picture_is_painted_better_after_training(dots: Dataset):
    terms = trained(trainee("cig", dots, *TINY), 30)
    assert terms[-1]["layer-input"] < 0.7 * terms[0]["layer-input"]


def test_a_trained_model_is_a_detector(dots: Dataset, tmp_path: Path):
    method = score_after_training("cig", dots, tmp_path, *TINY)
    assert isinstance(method, LandmarkDetector)
    assert method.detect(torch.rand(2, 3, 32, 32), ["kind0", "kind0"]).shape == (2, 3, 2)


@pytest.mark.parametrize(
    "setting", ["model.picture=24", "loss.layers=['a','b','c','d','e','f','g']"]
)
def test_settings_that_cannot_be_are_refused(dots: Dataset, setting: str):
    with pytest.raises(UsageError):
        trainee("cig", dots, *TINY, setting)
