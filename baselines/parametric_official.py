"""Weights that the authors of CNNGeo, CNNInlier and A2Net released, as weights of our networks.

Their files hold a dict whose "state_dict" has the backbone under FeatureExtraction.model (a Sequential
of torchvision's layers up to the one that is read; once under FeatureExtraction.vgg) and the heads
under FeatureRegression and, of the second stage, FeatureRegression2. Beside it lie the settings of the
run, an argparse.Namespace. Nothing else is unpickled, so no file can run code.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jladkit.baselines.parametric import ModelConfig, ParametricNet
from jladkit.errors import JladkitError
from jladkit.model.global_correlation import by_columns_first
from jladkit.model.transforms import IDENTITY
from jladkit.training.official import read_official

Make = Callable[[Any, Mapping[str, Tensor]], ParametricNet]
State = dict[str, Tensor]
HEADS = ("FeatureRegression.", "FeatureRegression2.")
CELLS = 15  # of the papers' maps
# By the shape of the first convolution: backbone, its layer, and what the Sequential's parts are called.
BACKBONES: dict[tuple[int, ...], tuple[str, str, dict[str, str]]] = {
    (64, 3, 3, 3): ("vgg16", "features.23", {str(i): f"features.{i}" for i in range(24)}),
    (64, 3, 7, 7): (
        "resnet101",
        "layer3",
        {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3"},
    ),
}


def official_net(
    path: Path, make: Make, config: type[ModelConfig]
) -> tuple[ParametricNet, dict[str, Any]]:
    """The network of a file, or of a folder with one file a stage; and what a result says of it.

    Args:
        make: from [model] and the backbone's tensors to the network.
        config: [model] of the method, whose defaults hold for what files do not say.

    Raises:
        JladkitError: a file cannot be read, or is not of the method.
    """
    files = sorted(path.glob("*.pth*")) if path.is_dir() else [path]
    if not files:
        raise JladkitError(f"There is no .pth or .pth.tar file in {path}.")
    read = [read_official(file)[0] for file in files]
    states = [{key.replace(".vgg.", ".model."): v for key, v in state.items()} for state in read]
    if any(not same_backbone(states[0], state) for state in states):
        raise JladkitError(f"The files in {path} have different backbones; evaluate one of them.")
    heads = {kind: head for state in states for kind, head in heads_of(state).items()}
    stages = [kind for kind in IDENTITY if kind in heads]
    try:
        name, layer, backbone = backbone_of(states[0])
        model = config(backbone=name, layers=[layer], stages=stages, corners=True)
        net = make(model, backbone)
        for kind, head in heads.items():
            fit(net, kind, head)
    except (KeyError, IndexError, RuntimeError) as error:
        raise JladkitError(
            f"{path} must hold a backbone and heads as the authors' code names them "
            f"(FeatureExtraction.model.0.weight, FeatureRegression.linear.weight, ...): {error}"
        ) from error
    shown = {"official": path.name, "model": {**vars(model)}}
    return net.eval(), shown


def backbone_of(state: State) -> tuple[str, str, State]:
    """Name of the backbone, the layer that is read, and its tensors under timm's names."""
    prefix = "FeatureExtraction.model."
    own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    shape = tuple(own["0.weight"].shape)
    name, layer, parts = BACKBONES[shape]
    named: State = {}
    for key, value in own.items():
        part, _, rest = key.partition(".")
        named[f"{parts[part]}.{rest}"] = value
    return name, layer, named


def heads_of(state: State) -> dict[str, State]:
    """The tensors of each head, by the kind of warp, which the number of its outputs tells."""
    kinds = {len(theta): kind for kind, theta in IDENTITY.items()}
    found: dict[str, State] = {}
    for prefix in HEADS:
        own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        if own:
            outputs = len(own["linear.weight"])
            if outputs not in kinds:
                raise JladkitError(
                    f"A head with {outputs} outputs is of no kind that is known here."
                )
            found[kinds[outputs]] = own
    return found


def fit(net: ParametricNet, kind: str, head: State) -> None:
    """Fill one head. CNNGeo's first convolution reads the correlation, whose channels their code
    has column by column."""
    own = dict(head)
    if "conv.0.weight" in own and own["conv.0.weight"].shape[1] == CELLS * CELLS:
        own["conv.0.weight"] = own["conv.0.weight"][:, by_columns_first(CELLS, CELLS)]
    own = {key.replace("att.att.", "att."): value for key, value in own.items()}
    mine = net.heads[kind].state_dict()
    counters = {k: v for k, v in mine.items() if k.endswith("num_batches_tracked")}
    net.heads[kind].load_state_dict({**counters, **own})


def same_backbone(one: State, other: State) -> bool:
    """Whether two files have the same backbone."""
    keys = [key for key in one if key.startswith("FeatureExtraction.")]
    return all(key in other and torch.equal(one[key], other[key]) for key in keys)
