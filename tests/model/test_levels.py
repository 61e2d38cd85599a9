"""Layers of a backbone at their own grids."""

import pytest
import torch

from jladkit.errors import UsageError
from jladkit.model.backbones import Backbone
from jladkit.model.levels import Levels

LAYERS = ["blocks.1", "blocks.2", "blocks.4"]  # strides 4, 8, 16


@pytest.fixture(scope="module")
def levels() -> Levels:
    return Levels("efficientnet_lite0", [*LAYERS, "blocks.2"], "random", 64)


@torch.inference_mode()
def test_packing_loses_nothing_and_gives_each_layer_its_own_grid(levels: Levels):
    images = torch.rand(2, 3, 64, 64)
    packed = levels(images)
    assert packed.shape[-2:] == (4, 4)
    maps = levels.unpack(packed)
    raw = levels.body((images - levels.mean) / levels.std)
    assert list(maps) == LAYERS
    assert [maps[layer].shape[-1] for layer in LAYERS] == [16, 8, 4]
    assert levels.cells == {layer: maps[layer].shape[-1] for layer in LAYERS}
    assert all(torch.equal(maps[layer], raw[layer]) for layer in LAYERS)


@torch.inference_mode()
def test_unit_maps_are_those_of_a_backbone_with_these_layers(levels: Levels):
    images = torch.rand(1, 3, 64, 64)
    plain = Backbone("efficientnet_lite0", ["blocks.2", "blocks.4"], "random")
    state = {k: v for k, v in levels.body.state_dict().items() if k in plain.body.state_dict()}
    plain.body.load_state_dict(state)
    found = levels.unit(levels.unpack(levels(images)), ["blocks.2", "blocks.4"])
    torch.testing.assert_close(found, plain(images))


def test_grids_that_do_not_fit_one_another_are_refused():
    with pytest.raises(UsageError, match="must be multiples of the smallest"):
        Levels("efficientnet_lite0", ["blocks.2", "blocks.4", "blocks.5"], "random", 72)
