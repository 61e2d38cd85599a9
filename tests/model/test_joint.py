"""The joint network: shapes, what it is before training, its ablations."""

import pytest
import torch

from jladkit.errors import UsageError
from jladkit.model.geometry import cell_grid
from jladkit.model.joint import Alignment, JointNet, ModelConfig

SMALL = {"weights": "random", "size": 64, "radius": 2, "width": 16, "landmarks": 4}


def features(net: JointNet, seed: int = 0) -> torch.Tensor:
    drawn = torch.randn(2, net.channels, 4, 4, generator=torch.manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=1)


@pytest.mark.parametrize("uncertainty", [True, False])
@pytest.mark.parametrize("field", ["window", "regress"])
def test_shapes_are_those_of_the_paper(field: str, uncertainty: bool):
    net = JointNet(ModelConfig(**SMALL, field=field, uncertainty=uncertainty), ["a", "b"])
    found, log_sigma = net.align(features(net), features(net, 1))
    assert found.shape == (2, 2, 4, 4)
    assert log_sigma.shape == (2, 4, 4)
    assert (log_sigma == 0).all()
    maps = net.landmark_maps(features(net), torch.tensor([0, 1]))
    assert maps.shape == (2, 4, 8, 8)
    assert (maps.sum(dim=1) < 1).all()  # the background has the rest


def test_untrained_a_regressed_field_is_the_identity():
    net = JointNet(ModelConfig(**SMALL, field="regress"), ["a"])
    found, _ = net.align(features(net), features(net, 1))
    torch.testing.assert_close(found, cell_grid(4, 4).expand(2, -1, -1, -1))


def test_untrained_a_window_field_finds_the_shift_of_distinct_features():
    net = JointNet(ModelConfig(**{**SMALL, "radius": 1}, temperature=200.0), ["a"])
    source = features(net)
    target = torch.roll(source, 1, dims=3)  # every cell moved one to the right
    found, _ = net.align(source, target)
    expected = cell_grid(4, 4) + torch.tensor([1.0, 0.0]).view(2, 1, 1)
    torch.testing.assert_close(found[:, :, :, :3], expected[None, :, :, :3].expand(2, -1, -1, -1))


def test_each_category_reads_maps_of_its_own():
    net = JointNet(ModelConfig(**SMALL), ["a", "b"])
    same = features(net)[:1].expand(2, -1, -1, -1)
    maps = net.landmark_maps(same, torch.tensor([0, 1]))
    assert not torch.allclose(maps[0], maps[1])
    shared = JointNet(ModelConfig(**SMALL, per_category=False), ["a", "b"])
    maps = shared.landmark_maps(same, torch.tensor([0, 1]))
    torch.testing.assert_close(maps[0], maps[1])


def test_without_self_similarity_the_landmark_net_sees_features_only():
    net = JointNet(ModelConfig(**SMALL, self_similarity=False), ["a"])
    with_it = JointNet(ModelConfig(**SMALL), ["a"])
    key = "landmarks.trunk.0.0.weight"
    first = [n.state_dict()[key].shape[1] for n in (net, with_it)]
    assert first[1] - first[0] == 25


def test_unknown_forms_and_sizes_are_refused():
    with pytest.raises(UsageError, match="window, regress"):
        ModelConfig(field="flow")
    with pytest.raises(UsageError, match=r"model\.landmarks must be at least 1"):
        ModelConfig(landmarks=0)


def test_log_sigma_is_read_bilinearly_at_the_points_of_source_in_one_pass(monkeypatch):
    net = JointNet(ModelConfig(**SMALL), ["a"])
    asked = []
    field = cell_grid(4, 4).expand(1, -1, -1, -1)
    told = torch.arange(16.0).view(1, 4, 4)
    monkeypatch.setattr(net, "align", lambda *ends: (asked.append(1), Alignment(field, told))[1])
    # Cells are 16 pixels wide, their centres at 7.5, 23.5 ...; the last point lies off the map.
    points = torch.tensor([[[7.5, 7.5], [23.5, 7.5], [15.5, 15.5], [99.0, -9.0]]])
    points = torch.cat([points, torch.full((1, 1, 2), torch.nan)], dim=1)
    moved, log_sigma = net.carry_with_log_sigma(features(net)[:1], features(net)[:1], points)
    assert len(asked) == 1
    torch.testing.assert_close(moved, points, equal_nan=True)
    torch.testing.assert_close(log_sigma[0, :4], torch.tensor([0, 1, 2.5, 3]))
    assert log_sigma[0, 4].isnan()
