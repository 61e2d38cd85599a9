"""What every trained method does alike: say what it was trained on, and come back from a file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.training.checkpoint import read_checkpoint
from jladkit.training.environment import environment
from jladkit.training.recipe import as_table, fill

Net = TypeVar("Net", bound=nn.Module)


def label_of(
    method: str, config: Mapping[str, Any], data: Dataset, device: torch.device
) -> dict[str, Any]:
    """What a checkpoint says of itself: method, config, and the data set that it was trained on.

    Args:
        config: the recipe's sections, as jladkit.training.recipe.fill gives them.
    """
    return {
        "method": method,
        "config": as_table(config),
        "categories": data.categories,
        "dataset": data.name,
        "dataset_digest": data.digest,
        "environment": environment(str(device)),
    }


def net_of(
    path: Path,
    method: str,
    sections: Mapping[str, type[Any]],
    make: Callable[[Any, Sequence[str]], Net],
) -> tuple[Net, dict[str, Any]]:
    """The network of a checkpoint, on the CPU, for inference; and what a result says of it.

    Args:
        path: model.safetensors of a training.
        method: whose checkpoint it must be.
        sections: the method's recipe; its section [model] is made anew, with `weights` left
            random where it has them, since all tensors are in the file.
        make: from [model] and the names of the categories to the network.

    Raises:
        JladkitError: it is no checkpoint, or one of another method, or does not fit.
    """
    tensors, label = read_checkpoint(path, method)
    try:
        table = dict(label["config"]["model"])
        if "weights" in table:
            table["weights"] = "random"
        model = fill({"model": sections["model"]}, {"model": table})["model"]
        net = make(model, label["categories"])
        net.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError, UsageError) as error:
        raise JladkitError(
            f"{path} does not fit this version, or its own config. Train again."
        ) from error
    return net.eval(), {k: v for k, v in label.items() if k not in ("method", "environment")}
