"""DEIL: the dense loss against loops, frozen labels, and that its landmarks are called supervised."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from landmark_runs import score_after_training, trained, trainee

from jladkit.baselines import deil
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset, open_dataset, write_dataset
from jladkit.methods import LandmarkDetector
from jladkit.training import loop

TINY = ["model.virtual=4", "train.steps=[5, 5]"]


def test_the_dense_loss_is_the_expected_root_of_the_distance():
    draw = torch.manual_seed(0)
    source, target = (torch.randn(2, 3, n, generator=draw) for n in (4, 5))
    aim, places = torch.rand(2, 4, 2, generator=draw), torch.rand(5, 2, generator=draw)
    found = deil.dense_loss(source, target, aim, places, 0.5)
    for b in range(2):
        for u in range(4):
            weights = [math.exp(float(source[b, :, u] @ target[b, :, v])) for v in range(5)]
            roots = [float((places[v] - aim[b, u]).norm()) ** 0.5 for v in range(5)]
            wanted = sum(w * r for w, r in zip(weights, roots, strict=True)) / sum(weights)
            assert float(found[b, u]) == pytest.approx(wanted, rel=1e-3)


def test_labels_are_not_normalised_so_longer_ones_are_surer():
    label = torch.eye(3)[None]
    aim = places = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 9.0]])
    short, long = (
        float(deil.dense_loss(n * label, n * label, aim[None], places, 0.5).mean()) for n in (1, 5)
    )
    assert long < 0.01 < short


def test_the_dense_loss_is_differentiable_also_where_a_place_is_hit():
    labels = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    places = torch.rand(4, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda f: deil.dense_loss(f, 2 * f, places[None], places, 0.5), (labels,)
    )


def test_the_papers_network_gives_three_numbers_at_half_the_grid_of_the_crop(dots: Dataset):
    own = trainee("deil", dots, "train.batch=2", recipe="paper", tiny=False)
    net = own.detector
    assert net.cells == 35
    torch.testing.assert_close(net.pixels(torch.tensor([0.0, 34.0])), torch.tensor([15.5, 83.5]))
    labels = net.scores(net.look(torch.rand(1, 3, 100, 100)), torch.tensor([0]))
    assert labels.shape == (1, 3, 35, 35)
    assert math.isfinite(trained(own, 1)[0]["total"])
    torch.testing.assert_close(net.cells_at(net.pixels(torch.tensor([3.0]))), torch.tensor([3.0]))


def test_virtual_points_begin_as_their_mean_and_have_no_bias():
    config = deil.Model(landmarks=2, virtual=3, dimensions=3)
    points = deil.VirtualPoints(1, config)
    with torch.no_grad():
        points.descriptors[0, 0] = torch.tensor([1.0, 0, 0])
        points.descriptors[0, 1] = torch.tensor([0, 1.0, 0])
    labels = torch.zeros(1, 3, 1, 4)
    labels[0, 0, 0, 1] = labels[0, 1, 0, 3] = 1.0
    places = torch.tensor([[-1.0, 0.5], [-0.5, 0.5], [0.0, 0.5], [1.0, -0.5]])
    found = points(labels, places, torch.tensor([0]))
    torch.testing.assert_close(found, torch.tensor([[[-0.5, 0.5], [1.0, -0.5]]]))
    shapes = {name: tuple(p.shape) for name, p in points.named_parameters()}
    assert shapes == {"descriptors": (1, 2, 3, 3), "mixing": (1, 2, 2, 3, 2)}


def test_each_phase_moves_labels_or_points_and_never_both(dots: Dataset):
    own = trainee("deil", dots, *TINY)
    for phase, part in zip(own.phases(), ("labels", "points"), strict=True):
        before = {name: value.clone() for name, value in own.net.state_dict().items()}
        trained(own, 2, phase=("labels", "points").index(phase.name))
        moved = {n for n, v in own.net.state_dict().items() if not torch.equal(v, before[n])}
        assert moved and all(n.startswith("points.") == (part == "points") for n in moved)


def test_the_dense_loss_falls_on_known_warps(dots: Dataset):
    terms = trained(trainee("deil", dots, *TINY), 40)
    assert terms[-1]["total"] < 0.8 * terms[0]["total"]


def test_points_are_regressed_on_visible_keypoints_only(dots: Dataset, monkeypatch: pytest.MonkeyPatch):  # fmt: skip
    own = trainee("deil", dots, *TINY)
    rows = own.annotated[:4]
    seen = dots.object_visible.copy()
    seen[rows, 0] = False
    plain = float(own.points_loss(rows)["total"].detach())
    own.keypoints[rows, 0] = 1e4
    assert float(own.points_loss(rows)["total"].detach()) > 10 * plain
    monkeypatch.setattr(own, "data", _with_visible(dots, seen))
    assert float(own.points_loss(rows)["total"].detach()) < 3 * plain


class _with_visible:
    """A data set that says of other keypoints that they are visible."""

    def __init__(self, data: Dataset, visible: np.ndarray) -> None:
        self.data, self.object_visible = data, visible

    def __getattr__(self, name: str) -> object:
        return getattr(self.data, name)


@torch.inference_mode()
def test_points_begin_at_the_mean_labels_of_keypoints(dots: Dataset):
    own = trainee("deil", dots, *TINY, "model.virtual=200")
    own.net.eval()
    own.begin_points()
    descriptors = own.detector.points.descriptors[0].mean(dim=1)
    rows = own.annotated
    labels = own.detector.scores(own.views.plain(rows), own.views.which(rows))
    at = own.detector.cells_at(torch.from_numpy(own.keypoints[rows]).float())
    wanted = deil.sample_points(labels, at).mean(dim=0)
    torch.testing.assert_close(descriptors, wanted, atol=0.05 * float(wanted.abs().max()), rtol=0)


def test_a_trained_model_says_that_it_is_supervised(dots: Dataset, tmp_path: Path):
    method = score_after_training("deil", dots, tmp_path, *TINY)
    assert isinstance(method, LandmarkDetector)
    assert method.config["supervised"] is True
    assert method.config["config"]["model"]["landmarks"] == 3
    assert method.detect(torch.rand(2, 3, 32, 32), ["kind0", "kind0"]).shape == (2, 3, 2)


def test_without_annotations_it_is_refused_in_words(dots: Dataset, tmp_path: Path):
    from drawn import drawn_arrays

    arrays = drawn_arrays()
    arrays["object/visible"][:] = False
    path = tmp_path / "blind.h5"
    write_dataset(path, arrays, name="blind", recipe={"builder": "drawn"}, source={})
    with pytest.raises(JladkitError, match="needs visible keypoints in train and val"):
        trainee("deil", open_dataset(path), *TINY)
    with pytest.raises(UsageError, match="must be two"):
        trainee("deil", dots, *TINY, "train.steps=[3]", "train.rates=[1e-3]")


def test_phases_have_their_own_decay(dots: Dataset):
    labels, points = trainee("deil", dots, *TINY).phases()
    assert isinstance(labels, loop.Phase)
    assert (labels.weight_decay, points.weight_decay) == (0, 5e-4)
