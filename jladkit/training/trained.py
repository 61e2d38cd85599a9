"""What every trained method does alike: say what it was trained on, and come back from a file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, get_type_hints

import torch
from torch import Tensor, nn

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.training import loop
from jladkit.training.checkpoint import read_checkpoint
from jladkit.training.environment import environment
from jladkit.training.recipe import Table, as_table, fill, read_recipe

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
        if "weights" in get_type_hints(sections["model"]):
            table["weights"] = "random"
        if ":" in str(table.get("backbone")):  # timm would ask the network, or a folder, for it
            raise UsageError(f"{table['backbone']} is no backbone of timm's own.")
        model = fill({"model": sections["model"]}, {"model": table})["model"]
        with torch.device("meta"):  # a file of a few bytes may claim a network of any size
            claimed = make(model, label["categories"]).state_dict()
        if {k: v.shape for k, v in claimed.items()} != {k: v.shape for k, v in tensors.items()}:
            raise UsageError("The tensors are not those of its config.")
        net = make(model, label["categories"])
        net.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, UsageError) as error:
        raise JladkitError(
            f"{path} does not fit this version, or its own config. Train again."
        ) from error
    return net.eval(), {k: v for k, v in label.items() if k not in ("method", "environment")}


class Trained:
    """A method that comes out of a training. A subclass names its parts.

    Attributes:
        name: of the method, its recipes and its checkpoints.
        sections: what its recipe can say; [train] has a seed and validate_every.
        network: from [model] and the names of categories to its network, whose `config` is [model].
        trainee: from data, config, device, cache and progress to what the loop trains.
    """

    name: ClassVar[str]
    sections: ClassVar[Mapping[str, type[Any]]]
    network: ClassVar[Callable[..., Any]]
    trainee: ClassVar[Callable[..., Any]]

    def __init__(self, net: Any, config: dict[str, Any]) -> None:
        self.net, self.config = net, config
        self.size: int = net.config.size

    @classmethod
    def load(cls, path: Path, device: torch.device) -> Self:
        """From the model.safetensors of a training.

        Raises:
            JladkitError: it is no checkpoint, or one of another method, or does not fit.
        """
        net, shown = net_of(path, cls.name, cls.sections, cls.network)
        return cls(net.to(device), shown)

    @classmethod
    def table_of(cls, recipe: str, settings: Sequence[str]) -> Table:
        """What a recipe says, with `settings` put over it."""
        return read_recipe(cls.name, recipe, settings)

    @classmethod
    def train(
        cls,
        data: Dataset,
        recipe: str,
        settings: Sequence[str],
        out: Path,
        *,
        device: torch.device,
        resume: bool = False,
        cache: Path | None = None,
        progress: bool = True,
    ) -> Path:
        """Train by a recipe (`sections` says what can stand in one); returns the best weights.

        `cache` is a folder for the maps of a frozen backbone, which other runs read again.
        """
        config = fill(cls.sections, cls.table_of(recipe, settings))
        plan = config["train"]
        return loop.train(
            cls.trainee(data, config, device=device, cache=cache, progress=progress),
            out,
            seed=plan.seed,
            validate_every=plan.validate_every,
            snapshots=getattr(plan, "snapshots", False),  # a setting of some methods alone
            resume=resume,
            progress=progress,
        )


class TrainedMatcher(Trained):
    """A trained EncodedMatcher (jladkit.methods), of a network that has `features` and `carry`."""

    def transfer(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.Matcher; the category is not needed."""
        first, second = self.encode(torch.cat([source, target])).chunk(2)
        return self.transfer_encoded(first, second, points, category)

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, h, w) features (jladkit.methods.EncodedMatcher)."""
        return self.net.features(images)

    def transfer_encoded(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.EncodedMatcher."""
        return self.net.carry(source, target, points)


def rows_of(net: Any, category: Sequence[str], device: torch.device) -> Tensor:
    """(B,) which of a detector's categories each picture shows; 0 for all where it has one set of
    landmarks for every category.

    Raises:
        JladkitError: landmarks are per category and one of the categories was not trained.
    """
    known: list[str] = list(net.categories)
    unknown = sorted(set(category) - set(known))
    if unknown and net.config.per_category:
        raise JladkitError(
            f"This model has landmarks for {', '.join(known)}, not for {', '.join(unknown)}."
        )
    rows = [known.index(name) if name in known else 0 for name in category]
    return torch.tensor(rows, device=device)
