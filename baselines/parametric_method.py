"""The members of jladkit.methods that CNNGeo, CNNInlier and A2Net have in common."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from jladkit.baselines.parametric import ModelConfig, ParametricNet
from jladkit.baselines.parametric_official import read_official
from jladkit.baselines.parametric_trainee import ParametricTrainee, SyntheticConfig, TrainConfig
from jladkit.formats.dataset import Dataset
from jladkit.training import loop
from jladkit.training.recipe import fill, read_recipe
from jladkit.training.trained import net_of

SECTIONS: dict[str, type[Any]] = {
    "model": ModelConfig,
    "synthetic": SyntheticConfig,
    "train": TrainConfig,
}


class Parametric:
    """An EncodedMatcher (jladkit.methods). In two stages a pair costs one more pass of the
    backbone, over the target picture read along the first warp."""

    name: ClassVar[str]
    sections: ClassVar[Mapping[str, type[Any]]] = SECTIONS
    official: ClassVar[type[ModelConfig]] = ModelConfig  # its defaults fit the released weights

    def __init__(self, net: ParametricNet, config: dict[str, Any]) -> None:
        self.net, self.config = net, config
        self.size = net.config.size

    @classmethod
    def make(
        cls, config: ModelConfig, weights: Mapping[str, Tensor] | None = None
    ) -> ParametricNet:
        """The network; `weights` are the backbone's, instead of what `config` says."""
        return ParametricNet(config, weights=weights)

    @classmethod
    def load(cls, path: Path, device: torch.device) -> Self:
        """From the model.safetensors of a training.

        Raises:
            JladkitError: it is no checkpoint, or one of another method, or does not fit.
        """
        net, shown = net_of(path, cls.name, cls.sections, lambda config, _: cls.make(config))
        return cls(net.to(device), shown)

    @classmethod
    def load_official(cls, path: Path, device: torch.device) -> Self:
        """From weights that the authors released.

        Args:
            path: a .pth or .pth.tar file, or a folder with one for each stage.

        Raises:
            JladkitError: it cannot be read, or is not of this method.
        """
        net, shown = read_official(path, cls.make, cls.official)
        return cls(net.to(device), shown)

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
        """Train by a recipe (`sections` says what can stand in one); returns the best weights."""
        config = fill(cls.sections, read_recipe(cls.name, recipe, settings))
        trainee = cls.trainee(data, config, device, cache, progress)
        plan = trainee.plan
        return loop.train(
            trainee,
            out,
            seed=plan.seed,
            validate_every=plan.validate_every,
            resume=resume,
            progress=progress,
        )

    @classmethod
    def trainee(
        cls,
        data: Dataset,
        config: Mapping[str, Any],
        device: torch.device,
        cache: Path | None,
        progress: bool,
    ) -> ParametricTrainee:
        """What the loop trains, its heads drawn from the recipe's seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config["train"].seed)
            net = cls.make(config["model"])
        return ParametricTrainee(cls.name, net, data, config, device, cache, progress)

    def transfer(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.Matcher; the category is not needed."""
        first, second = self.encode(torch.cat([source, target])).chunk(2)
        return self.transfer_encoded(first, second, points, category)

    def encode(self, images: Tensor) -> Tensor:
        """(B, ...) maps and, in two stages, the images (jladkit.methods.EncodedMatcher)."""
        return self.net.encode(images)

    def transfer_encoded(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.EncodedMatcher."""
        (maps_s, _), (maps_t, pictures) = self.net.decode(source), self.net.decode(target)
        return self.net.chain(maps_s, maps_t, pictures).carry(points, self.size)
