"""The members of jladkit.methods that CNNGeo, CNNInlier and A2Net have in common."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from jladkit.baselines.parametric import ModelConfig, ParametricNet
from jladkit.baselines.parametric_official import official_net
from jladkit.baselines.parametric_trainee import ParametricTrainee, SyntheticConfig, TrainConfig
from jladkit.formats.dataset import Dataset
from jladkit.training.trained import TrainedMatcher

SECTIONS: dict[str, type[Any]] = {
    "model": ModelConfig,
    "synthetic": SyntheticConfig,
    "train": TrainConfig,
}


class Parametric(TrainedMatcher):
    """An EncodedMatcher (jladkit.methods). In two stages a pair costs one more pass of the
    backbone, over the target picture read along the first warp."""

    sections: ClassVar[Mapping[str, type[Any]]] = SECTIONS
    official: ClassVar[type[ModelConfig]] = ModelConfig  # its defaults fit the released weights

    @classmethod
    def make(
        cls, config: ModelConfig, weights: Mapping[str, Tensor] | None = None
    ) -> ParametricNet:
        """The network; `weights` are the backbone's, instead of what `config` says."""
        return ParametricNet(config, weights=weights)

    @classmethod
    def network(cls, config: ModelConfig, categories: Sequence[str]) -> ParametricNet:
        """See jladkit.training.trained.Trained; the same for all categories."""
        return cls.make(config)

    @classmethod
    def load_official(cls, path: Path, device: torch.device) -> Self:
        """From weights that the authors released.

        Args:
            path: a .pth or .pth.tar file, or a folder with one for each stage.

        Raises:
            JladkitError: it cannot be read, or is not of this method.
        """
        net, shown = official_net(path, cls.make, cls.official)
        return cls(net.to(device), shown)

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

    def encode(self, images: Tensor) -> Tensor:
        """(B, ...) maps and, in two stages, the images (jladkit.methods.EncodedMatcher)."""
        return self.net.encode(images)

    def transfer_encoded(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.EncodedMatcher."""
        (maps_s, _), (maps_t, pictures) = self.net.decode(source), self.net.decode(target)
        return self.net.chain(maps_s, maps_t, pictures).carry(points, self.size)
