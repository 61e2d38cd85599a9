"""A backbone cut in two gives what it gives whole."""

import pytest
import torch

from jladkit.model.backbones import Backbone, from_layer
from jladkit.model.halves import halves

LITE = ("efficientnet_lite0", ["blocks.2", "blocks.4"])
RESNET = ("resnet18", ["layer2", "layer3"])


@pytest.mark.parametrize(
    ("name", "layers", "cut"),
    [
        (*LITE, "blocks.2"),  # both layers lie behind the cut
        (*LITE, "blocks.3"),  # one of them lies before it, and is read as it is
        (*LITE, "blocks.4"),
        (*RESNET, "layer3"),  # its first convolution and its shortcut read the same map
    ],
)
def test_both_parts_after_another_give_the_maps_of_the_whole(
    name: str, layers: list[str], cut: str
):
    backbone = Backbone(name, layers, "random")
    images = torch.rand(2, 3, 64, 64)
    found = halves(backbone, cut, 64)
    assert found is not None
    front, back = found
    packed = front(images)
    assert packed.shape[0] == 2
    assert packed.shape[2:] == (1, 1)
    torch.testing.assert_close(back(packed), backbone(images), rtol=0, atol=1e-6)


def test_the_second_part_holds_the_very_parameters_that_are_trained():
    backbone = Backbone(*LITE, "random")
    found = halves(backbone, "blocks.3", 64)
    assert found is not None
    own = dict(backbone.body.named_parameters())
    trained = {id(own[name]) for name in from_layer(backbone.body, "blocks.3")}
    assert {id(parameter) for parameter in found[1].parameters()} == trained
    assert not trained & {id(parameter) for parameter in found[0].parameters()}


def test_the_backbone_itself_is_left_as_it_was():
    backbone = Backbone(*LITE, "random")
    images = torch.rand(1, 3, 64, 64)
    before, names = backbone(images), list(backbone.state_dict())
    halves(backbone, "blocks.3", 64)
    assert torch.equal(backbone(images), before)
    assert list(backbone.state_dict()) == names


def test_nothing_lies_before_the_first_layer():
    assert halves(Backbone(*LITE, "random"), "conv_stem", 64) is None
