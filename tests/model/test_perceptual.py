"""Perceptual distances: layers, balance, mask, and what is refused."""

from pathlib import Path

import pytest
import torch

from jladkit.errors import JladkitError, UsageError
from jladkit.model.perceptual import Perceptual, inside_mask, running_mean, vgg16


def test_distances_are_masked_means_of_squares_layer_by_layer():
    own = Perceptual("efficientnet_lite0", ["input", "blocks.0"], "random")
    one, other = torch.rand(2, 2, 3, 16, 16)
    mask = torch.zeros(2, 1, 16, 16)
    mask[..., :8] = 1
    found = own.distances(one, other, mask)
    # The network reads (x - 0.5) / 0.5.
    wanted = ((2 * (one - other)).square() * mask).mean()
    torch.testing.assert_close(found[0], wanted)
    maps = [own(x)[1] for x in (one, other)]
    assert maps[0].shape[-1] == 8
    half = (maps[0] - maps[1]).square()[..., :4].mean() / 2
    torch.testing.assert_close(found[1], half)


def test_only_what_was_made_gets_a_gradient():
    own = Perceptual("efficientnet_lite0", ["input", "blocks.1"], "random").train()
    made, wanted = (torch.rand(1, 3, 16, 16, requires_grad=True) for _ in range(2))
    own.distances(made, wanted, torch.ones(1, 1, 16, 16)).sum().backward()
    assert made.grad is not None and wanted.grad is None
    assert not any(p.requires_grad for p in own.parameters())
    assert not own.training


def test_the_papers_five_layers_of_vgg16_have_its_channels():
    own = Perceptual("vgg16", ["input", "conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_2"], "random")  # fmt: skip
    maps = own(torch.rand(1, 3, 32, 32))
    assert [m.shape[1] for m in maps] == [3, 64, 128, 256, 512, 512]
    assert [m.shape[2] for m in maps] == [32, 32, 16, 8, 4, 2]
    assert all(float(m.detach().min()) >= 0 for m in maps[1:])  # after the ReLU


def test_vgg16_is_read_from_a_file_as_torchvision_publishes_it(tmp_path: Path):
    source = vgg16("random")
    state = {**source.state_dict(), "classifier.0.weight": torch.zeros(1)}
    torch.save(state, tmp_path / "vgg16.pth")
    read = vgg16(str(tmp_path / "vgg16.pth"))
    assert torch.equal(read.state_dict()["features.0.weight"], state["features.0.weight"])
    del state["features.28.bias"]
    torch.save(state, tmp_path / "short.pth")
    with pytest.raises(JladkitError, match="1 tensors missing"):
        vgg16(str(tmp_path / "short.pth"))


def test_without_weights_or_layers_it_is_refused_in_words():
    with pytest.raises(UsageError, match=r"--set loss\.weights=FILE"):
        Perceptual("vgg16", ["input"])
    with pytest.raises(UsageError, match="no layer"):
        Perceptual("efficientnet_lite0", ["conv9"], "random")
    with pytest.raises(UsageError, match="must be vgg16 or"):
        Perceptual("alexnet", ["input"])


def test_a_running_mean_begins_with_the_first_value():
    kept = running_mean(torch.tensor([0.0, 2.0]), torch.tensor([3.0, 4.0]))
    torch.testing.assert_close(kept, torch.tensor([3.0, 2.02]))


def test_the_mask_falls_to_nothing_at_the_edge():
    places = torch.tensor([[0.5, 0.5], [0.04, 0.5], [0.5, 0.98], [1.0, 0.5], [-0.2, 0.5]])
    mask = inside_mask(places.view(1, 1, 5, 2), 0.08)
    torch.testing.assert_close(mask.flatten(), torch.tensor([1, 0.5, 0.25, 0, 0]))
