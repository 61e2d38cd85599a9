"""The joint method: how it is trained, and what it offers once trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from jladkit.model.joint import JointNet
from jladkit.training.checkpoint import read_label
from jladkit.training.joint_recipe import SECTIONS
from jladkit.training.joint_trainee import JointTrainee
from jladkit.training.recipe import Table
from jladkit.training.saving import model_file
from jladkit.training.trained import TrainedMatcher, rows_of


class Joint(TrainedMatcher):
    """The paper's method: aligns with uncertainty, and finds landmarks, over one backbone.

    An EncodedUnsureMatcher and an EncodedDetector (jladkit.methods).
    """

    name, sections = "joint", SECTIONS
    network, trainee = JointNet, JointTrainee

    def __init__(self, net: JointNet, config: dict[str, Any]) -> None:
        super().__init__(net, config)
        self.categories = net.categories if net.config.per_category else None

    @classmethod
    def table_of(cls, recipe: str, settings: Sequence[str]) -> Table:
        """What a recipe says; one that goes on from a checkpoint (train.start) has its [model] where it
        says nothing else.

        Raises:
            JladkitError: that is no checkpoint, or one of another method.
        """
        table = super().table_of(recipe, settings)
        start = table.get("train", {}).get("start")
        if not start or not isinstance(start, str):
            return table
        begun = read_label(model_file(Path(start)), cls.name)["config"]["model"]
        return {**table, "model": {**begun, **table.get("model", {})}}

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
        return self.net.detect(codes, rows_of(self.net, category, codes.device))
