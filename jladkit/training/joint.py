"""The joint method: how it is trained, and what it offers once trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset
from jladkit.model.joint import JointNet
from jladkit.training import loop
from jladkit.training.joint_recipe import SECTIONS
from jladkit.training.joint_trainee import JointTrainee
from jladkit.training.recipe import fill, read_recipe
from jladkit.training.trained import net_of


class Joint:
    """The paper's method: aligns with uncertainty, and finds landmarks, over one backbone.

    An EncodedUnsureMatcher and an EncodedDetector (jladkit.methods).
    """

    name = "joint"

    def __init__(self, net: JointNet, config: dict[str, Any]) -> None:
        self.net, self.config = net, config
        self.size = net.config.size
        self.categories = net.categories if net.config.per_category else None

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "Joint":
        """From the model.safetensors of a training.

        Raises:
            JladkitError: it is no checkpoint, or one of another method, or does not fit.
        """
        net, shown = net_of(path, cls.name, SECTIONS, JointNet)
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
        """Train by a recipe (SECTIONS says what can stand in one); returns the best weights.

        `cache` is a folder for the maps of a frozen backbone, which other runs read again.
        """
        config = fill(SECTIONS, read_recipe(cls.name, recipe, settings))
        trainee = JointTrainee(data, config, device, cache, progress)
        plan = trainee.plan
        return loop.train(
            trainee,
            out,
            seed=plan.seed,
            validate_every=plan.validate_every,
            snapshots=plan.snapshots,
            resume=resume,
            progress=progress,
        )

    def transfer(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.Matcher; the category is not needed."""
        f_s, f_t = self.encode(torch.cat([source, target])).chunk(2)
        return self.transfer_encoded(f_s, f_t, points, category)

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, H, W) features, which both tasks read (jladkit.methods.EncodedMatcher)."""
        return self.net.features(images)

    def transfer_encoded(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.EncodedMatcher."""
        return self.net.carry(source, target, points)

    def transfer_encoded_with_log_sigma(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> tuple[Tensor, Tensor | None]:
        """See jladkit.methods.EncodedUnsureMatcher; None where it was trained without (wo/UM)."""
        moved, log_sigma = self.net.carry_with_log_sigma(source, target, points)
        return moved, log_sigma if self.net.config.uncertainty else None

    def detect(self, images: Tensor, category: Sequence[str]) -> Tensor:
        """See jladkit.methods.LandmarkDetector, and `detect_encoded` for what is raised."""
        return self.detect_encoded(self.encode(images), category)

    def detect_encoded(self, codes: Tensor, category: Sequence[str]) -> Tensor:
        """See jladkit.methods.EncodedDetector.

        Raises:
            JladkitError: the maps are per category and one of the categories was not trained.
        """
        known = self.net.categories
        unknown = sorted(set(category) - set(known))
        if unknown and self.net.config.per_category:
            raise JladkitError(
                f"This model has landmarks for {', '.join(known)}, not for {', '.join(unknown)}."
            )
        rows = [known.index(name) if name in known else 0 for name in category]
        which = torch.tensor(rows, device=codes.device)
        return self.net.detect(codes, which)
