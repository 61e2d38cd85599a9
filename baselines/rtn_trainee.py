"""RTN in training: the phases "synthetic" and "weak", and the loss of each."""

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
from jladkit.baselines.rtn_net import RtnConfig, RtnNet
from jladkit.errors import UsageError
from jladkit.formats.dataset import Dataset
from jladkit.model.affine import places
from jladkit.model.geometry import cell_grid
from jladkit.model.losses import window_cross_entropy
from jladkit.model.warps import WarpRange
from jladkit.training import loop


@dataclass(frozen=True)
class LossConfig:
    """The weak loss.

    Attributes:
        window: radius of the window of classes, in cells; 4 is the paper's 81 classes.
        temperature: factor on the correlations before the softmax; the released code has none.
        box: count the cells inside the source's box alone, as the released code does.
        coarse: weight of the same loss at the end of the coarse level; the paper has none.
        fine: weight of the loss at the end of the fine level.
    """

    window: int = 4
    temperature: float = 1.0
    box: bool = True
    coarse: float = 0.0
    fine: float = 1.0

    def __post_init__(self) -> None:
        if self.window < 1:
            raise UsageError(f"loss.window must be at least 1, but is {self.window}.")
        if min(self.coarse, self.fine) < 0 or self.coarse + self.fine == 0:
            raise UsageError("loss.coarse and loss.fine must not be negative, nor both 0.")


@dataclass(frozen=True)
class TrainConfig(FieldPlan):
    """How long and how fast.

    Attributes:
        learning_rates: of the synthetic and of the weak phase.
        last_rate: learning rate of the last layer, as a share of the others'.
    """

    synthetic_steps: int = 60
    weak_steps: int = 120
    learning_rates: list[float] = field(default_factory=lambda: [1e-3, 3e-4])
    last_rate: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.learning_rates) != 2 or min(self.learning_rates) <= 0:
            raise UsageError("train.learning_rates must be two numbers above 0.")
        self.at_least(synthetic_steps=0, weak_steps=0, last_rate=0)


SECTIONS = {"model": RtnConfig, "loss": LossConfig, "train": TrainConfig, "warp": WarpRange}


class RtnTrainee(FieldTrainee):
    """RTN as jladkit.training.loop wants it."""

    def __init__(
        self,
        data: Dataset,
        config: dict[str, Any],
        device: torch.device,
        cache: Path | None,
        progress: bool,
    ) -> None:
        self.model: RtnConfig = config["model"]
        self.losses: LossConfig = config["loss"]
        plan: TrainConfig = config["train"]
        super().__init__(
            "rtn", data, config, RtnNet, device, cache, progress,
            weak=plan.weak_steps > 0, synthetic=plan.synthetic_steps > 0, box=self.losses.box,
        )  # fmt: skip
        assert isinstance(self.net, RtnNet)
        self.rtn = self.net

    def phases(self) -> list[loop.Phase]:
        plan: TrainConfig = self.plan
        steps = {"synthetic": plan.synthetic_steps, "weak": plan.weak_steps}
        return [
            self.phase(name, count, rate, {"geometry.last.": plan.last_rate})
            for (name, count), rate in zip(steps.items(), plan.learning_rates, strict=True)
        ]

    def parameters(self, phase: loop.Phase) -> Iterable[tuple[str, nn.Parameter]]:
        return self.parameters_of("geometry.", backbone=phase.name == "weak")

    def loss(self, phase: loop.Phase, generator: np.random.Generator) -> dict[str, Tensor]:
        if phase.name == "synthetic":
            warp, source, target, _ = self.synthetic.draw(generator, self.plan.batch)
            return {"total": distance_from_warp(places(self.rtn.align(source, target)[-1]), warp)}
        return self.weak_loss(generator)

    def weak_loss(self, generator: np.random.Generator) -> dict[str, Tensor]:
        """How surely each cell of source recognises its own place in the transformed target, among
        those around it: cross-entropy, mean over the cells in the sources' boxes."""
        source, target, rows, _ = self.real_pairs(generator)
        fields = self.rtn.align(source, target)
        maps_s, maps_t = (self.rtn.features.unpack(packed) for packed in (source, target))
        total = source.new_zeros(())
        terms: dict[str, Tensor] = {}
        levels = {"coarse": self.model.coarse, "fine": self.model.fine}
        for (name, level), found in zip(levels.items(), fields, strict=True):
            weight: float = getattr(self.losses, name)
            if not weight:
                continue
            f_s, f_t = self.rtn.describe(maps_s, level), self.rtn.describe(maps_t, level)
            warped = self.rtn.describe_transformed(maps_t, f_t, level, found)
            entropy = window_cross_entropy(f_s, warped, self.losses.window, self.losses.temperature)
            terms[name] = mean_where(entropy, self.counted(rows, entropy.shape[-1]))
            total = total + weight * terms[name]
        shift = places(fields[-1]).detach() - cell_grid(*fields[-1].shape[-2:], self.device)
        terms["displacement"] = (shift / shift.shape[-1]).square().sum(dim=1).mean()
        return {**terms, "total": total}
