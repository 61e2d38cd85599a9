"""What the matchers that nothing is trained for do alike: a pretrained backbone, and settings."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from jladkit.formats.dataset import Dataset
from jladkit.model.backbones import Backbone
from jladkit.training.recipe import fill, set_over


class Untrained(ABC):
    """An EncodedMatcher (jladkit.methods) on the maps of a pretrained backbone. A subclass names its parts.

    Attributes:
        name: of the method.
        choices: the dataclass of its settings; it has backbone, layers, weights and size.
    """

    name: ClassVar[str]
    choices: ClassVar[type[Any]]
    needs_data = False

    def __init__(self, config: Any, device: torch.device) -> None:
        self.settings = config
        self.config: dict[str, Any] = asdict(config)
        self.size: int = config.size
        self.features = Backbone(config.backbone, config.layers, config.weights).to(device)

    @classmethod
    def prepare(
        cls, data: Dataset | None, device: torch.device, settings: Sequence[str] = ()
    ) -> Self:
        """`settings` are "model.key=value" for the keys of `choices`.

        Raises:
            UsageError: there is no such key, or it cannot have that value.
        """
        return cls(fill({"model": cls.choices}, set_over({}, settings))["model"], device)

    def transfer(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.Matcher."""
        f_s, f_t = self.encode(torch.cat([source, target])).chunk(2)
        return self.transfer_encoded(f_s, f_t, points, category)

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, h, w) features (jladkit.methods.EncodedMatcher)."""
        return self.features(images)

    @abstractmethod
    def transfer_encoded(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.EncodedMatcher."""
