"""Parts of landmark networks: soft-argmaxes, Gaussians, and that maps lie where they should."""

import math

import pytest
import torch
from torch import Tensor

from jladkit.errors import UsageError
from jladkit.model.landmarks import (
    Body,
    Hourglass,
    LandmarkModel,
    MapNet,
    factorised_positions,
    gaussian_maps,
    own_set,
    spatial_softmax,
)


def test_a_softmax_over_places_sums_to_one_in_each_map():
    found = spatial_softmax(torch.randn(2, 3, 4, 5))
    torch.testing.assert_close(found.sum(dim=(-2, -1)), torch.ones(2, 3))


def naive_factorised(scores: Tensor) -> list[float]:
    """One map (H, W): xy by loops."""
    height, width = scores.shape
    place: list[float] = []
    for count, other, at in ((width, height, lambda i, j: scores[j, i]), (height, width, lambda i, j: scores[i, j])):  # fmt: skip
        means = [sum(float(at(i, j)) for j in range(other)) / other for i in range(count)]
        weights = [math.exp(mean) for mean in means]
        place.append(sum(i * w for i, w in enumerate(weights)) / sum(weights))
    return place


def test_factorised_positions_take_means_before_the_softmax():
    scores = 4 * torch.randn(1, 2, 3, 5, generator=torch.manual_seed(0))
    found = factorised_positions(scores)
    for k in range(2):
        assert found[0, k].tolist() == pytest.approx(naive_factorised(scores[0, k]), abs=1e-5)
    x = torch.arange(5.0)
    marginal = (spatial_softmax(scores).sum(dim=-2) @ x)[0]
    assert (found[0, :, 0] - marginal).abs().max() > 0.05  # the 2-D soft-argmax is another thing


def test_factorised_positions_are_differentiable():
    scores = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(factorised_positions, (scores,))


def test_gaussian_maps_have_no_factor_two():
    maps = gaussian_maps(torch.tensor([[[0.5, 0.25]]]), 8, 0.1)
    assert maps.shape == (1, 1, 8, 8)
    x, y = (5 + 0.5) / 8, (1 + 0.5) / 8  # column 5, row 1
    wanted = math.exp(-((x - 0.5) ** 2 + (y - 0.25) ** 2) / 0.1**2)
    assert float(maps[0, 0, 1, 5]) == pytest.approx(wanted, rel=1e-4)


def test_gaussian_maps_are_differentiable():
    places = torch.rand(1, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: gaussian_maps(p, 4, 0.3), (places,))


def test_each_picture_reads_the_maps_of_its_own_category():
    found = torch.arange(12.0).view(2, 6, 1, 1)
    own = own_set(found, torch.tensor([2, 0]), 2, per_category=True)
    assert own.flatten(1).tolist() == [[4, 5], [6, 7]]
    assert own_set(found, torch.tensor([2, 0]), 6, per_category=False) is found


class Valid(Body):
    """A convolution of 5x5 that loses two pixels on each side, and halves the grid."""

    channels, stride = 3, 2

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 5), torch.nn.AvgPool2d(2))

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images)


class Maps(MapNet):
    """Maps whose landmarks nobody asks for."""

    def detect(self, inputs: Tensor, which: Tensor) -> Tensor:
        raise AssertionError


def test_cells_of_maps_with_lost_borders_lie_in_the_middle_of_what_they_saw():
    config = LandmarkModel(size=30, window=20, offset=4, per_category=False)
    net = Maps(config, ["a"], 1, Valid)
    assert net.cells == 8
    # Cell 0 saw pixels 0 to 5 of the window (2 to 3, and two on each side): 2.5, and 4 before it.
    torch.testing.assert_close(net.pixels(torch.tensor([0.0, 7.0])), torch.tensor([6.5, 20.5]))


def test_cells_of_a_frozen_backbones_maps_cover_the_picture():
    config = LandmarkModel(backbone="efficientnet_lite0", weights="random", size=32, width=16)
    net = Maps(config, ["a", "b"], 3, Valid)
    assert net.cells == 8
    torch.testing.assert_close(net.pixels(torch.tensor([0.0, 7.0])), torch.tensor([1.5, 29.5]))
    scores = net.scores(net.look(torch.rand(2, 3, 32, 32)), torch.tensor([0, 1]))
    assert scores.shape == (2, 3, 8, 8)
    assert all(p.grad is None for p in net.features.parameters())  # pyright: ignore


def test_an_hourglass_keeps_the_grid_even_where_halves_are_odd():
    glass = Hourglass(3, [4, 6, 8])
    assert glass(torch.rand(2, 3, 10, 10)).shape == (2, 4, 10, 10)
    assert glass(torch.rand(2, 3, 14, 14)).shape == (2, 4, 14, 14)


@pytest.mark.parametrize(
    "changes", [{"window": 100, "offset": 40}, {"width": 24}, {"landmarks": 0}]
)
def test_a_model_that_cannot_be_is_refused(changes: dict[str, int]):
    with pytest.raises(UsageError):
        LandmarkModel(**{"size": 128, **changes})  # pyright: ignore
