"""PARN in training: level 1 on synthetic warps, then each level on matches that come back."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jladkit.baselines.fields import (
    FieldPlan,
    FieldTrainee,
    distance_from_warp,
    mean_where,
)
from jladkit.baselines.parn_net import GRIDS, ParnConfig, ParnNet
from jladkit.errors import UsageError
from jladkit.formats.dataset import Dataset
from jladkit.model.affine import places
from jladkit.model.correlation import consistent_matches
from jladkit.model.warps import WarpRange
from jladkit.training import loop

PHASES = (*(f"level-{number + 1}" for number in range(len(GRIDS))), "pixel")


@dataclass(frozen=True)
class LossConfig:
    """The weak loss.

    Attributes:
        tolerance: how far from its cell, in cells, a match may come back and still be taught.
        box: teach the cells inside the source's box alone.
    """

    tolerance: float = 1.0
    box: bool = True

    def __post_init__(self) -> None:
        if self.tolerance < 0:
            raise UsageError(f"loss.tolerance must not be negative, but is {self.tolerance}.")


@dataclass(frozen=True)
class TrainConfig(FieldPlan):
    """How long and how fast.

    Attributes:
        synthetic_steps: of level 1 on known warps.
        weak_steps: of the four levels on real pairs, one after the other.
        learning_rates: of the synthetic phase and of the others.
    """

    synthetic_steps: int = 60
    weak_steps: list[int] = field(default_factory=lambda: [30, 30, 30, 30])
    learning_rates: list[float] = field(default_factory=lambda: [1e-3, 1e-3])

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(synthetic_steps=0)
        if len(self.learning_rates) != 2 or min(self.learning_rates) <= 0:
            raise UsageError("train.learning_rates must be two numbers above 0.")
        if len(self.weak_steps) != len(PHASES) or min(self.weak_steps) < 0:
            raise UsageError(
                f"train.weak_steps must be {len(PHASES)} numbers, none below 0, but is "
                f"{self.weak_steps}."
            )


SECTIONS = {"model": ParnConfig, "loss": LossConfig, "train": TrainConfig, "warp": WarpRange}


class ParnTrainee(FieldTrainee):
    """PARN as jladkit.training.loop wants it."""

    def __init__(
        self,
        data: Dataset,
        config: dict[str, Any],
        device: torch.device,
        cache: Path | None,
        progress: bool,
    ) -> None:
        self.losses: LossConfig = config["loss"]
        plan: TrainConfig = config["train"]
        super().__init__(
            "parn", data, config, ParnNet, device, cache, progress,
            weak=sum(plan.weak_steps) > 0, synthetic=plan.synthetic_steps > 0, box=self.losses.box,
        )  # fmt: skip
        assert isinstance(self.net, ParnNet)
        self.parn = self.net

    def phases(self) -> list[loop.Phase]:
        plan: TrainConfig = self.plan
        first, second = plan.learning_rates
        told = [("synthetic", plan.synthetic_steps, first)]
        told += [(n, steps, second) for n, steps in zip(PHASES, plan.weak_steps, strict=True)]
        return [self.phase(*one) for one in told]

    def parameters(self, phase: loop.Phase) -> Iterable[tuple[str, nn.Parameter]]:
        level = 0 if phase.name == "synthetic" else PHASES.index(phase.name)
        return self.parameters_of(f"levels.{level}.", backbone=phase.name != "synthetic")

    def loss(self, phase: loop.Phase, generator: np.random.Generator) -> dict[str, Tensor]:
        if phase.name == "synthetic":
            warp, source, target, _ = self.synthetic.draw(generator, self.plan.batch)
            found = self.parn.align(source, target, levels=1)
            return {"total": distance_from_warp(places(found), warp)}
        return self.weak_loss(PHASES.index(phase.name), generator)

    def weak_loss(self, level: int, generator: np.random.Generator) -> dict[str, Tensor]:
        """L1 distance, in cells, of a level's residual and the best matches in its window, mean
        over the cells in the sources' boxes whose match comes back and lies in the target."""
        source, target, rows, _ = self.real_pairs(generator)
        with torch.no_grad():
            before = self.parn.align(source, target, levels=level)
        maps_s, maps_t = (self.parn.features.unpack(packed) for packed in (source, target))
        step = self.parn.step(level, maps_s, maps_t, before)
        with torch.no_grad():
            matches, agreed = consistent_matches(
                step.source, step.warped, self.parn.config.radii[level], self.losses.tolerance
            )
            agreed &= lands_in_target(step.before, matches)
            agreed &= self.counted(rows, agreed.shape[-1])
        apart = (places(step.residual) - matches).abs().sum(dim=1)
        return {"total": mean_where(apart, agreed), "agreed": agreed.float().mean()}


def lands_in_target(before: Tensor, matches: Tensor) -> Tensor:
    """(B, h, w) bool: whether the cell of the warped target that a match names shows a place of
    the target, and not the edge repeated.

    Args:
        before: (B, 2, 3, h, w) the field that warped it.
        matches: (B, 2, h, w) whole cells.
    """
    height, width = before.shape[-2:]
    at = places(before)
    end = at.new_tensor([width, height]).view(1, 2, 1, 1) - 0.5
    shown = ((at > -0.5) & (at < end)).all(dim=1)
    index = (matches[:, 1] * width + matches[:, 0]).long()
    return shown.flatten(1).gather(1, index.flatten(1)).view_as(shown)
