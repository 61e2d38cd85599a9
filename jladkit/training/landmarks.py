"""What the landmark baselines have in common: how they are trained, watched, kept and asked.

A baseline gives its network (a MapNet), its recipe's sections and the terms of its loss. The papers
train a model a category. Here one model has them all: by default the last layer has maps of its own
for each category and the rest is shared, which is the papers' model where there is one category;
model.per_category=false gives all categories the same maps.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.formats.log import Record
from jladkit.model.landmarks import MapNet
from jladkit.training import loop
from jladkit.training.trained import Trained, label_of, rows_of
from jladkit.training.validation import FITTED, annotated, landmark_iod
from jladkit.training.views import View, ViewConfig, Views, carried

Rows = NDArray[np.int64]
PRECISIONS = ("float32", "bfloat16")
STRAY, EXTENT = 0.005, 0.03  # shares of the picture's side
DISTINCT = 0.8  # of the landmarks
WATCHED = 8  # batches of views that a loss is validated on where nothing is annotated


@dataclass(frozen=True)
class TrainConfig:
    """How long, how fast, from which seed.

    Attributes:
        batch: pictures; each is seen in two views.
        steps: of each stage.
        rates: Adam's learning rate in each stage.
        weight_decay: L2 penalty, added to the gradients.
        precision: of convolutions; "bfloat16" is faster on processors with AMX.
    """

    seed: int = 0
    batch: int = 16
    steps: list[float] = field(default_factory=lambda: [1000])
    rates: list[float] = field(default_factory=lambda: [1e-3])
    weight_decay: float = 0.0
    precision: str = "float32"
    validate_every: int = 100

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.rates) or not self.steps:
            raise UsageError("train.steps and train.rates must have a number for each stage.")
        if min(self.rates) <= 0 or any(step < 0 or step % 1 for step in self.steps):
            raise UsageError("train.rates must be above 0, and train.steps whole and not negative.")
        if self.precision not in PRECISIONS:
            raise UsageError(
                f"train.precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}."
            )
        for name, bound in {"batch": 2, "validate_every": 1, "seed": 0}.items():
            if getattr(self, name) < bound:
                raise UsageError(
                    f"train.{name} must be at least {bound}, but is {getattr(self, name)}."
                )


class LandmarkTrainee(ABC):
    """A landmark baseline as jladkit.training.loop wants it; `terms` is what a paper adds."""

    method: ClassVar[str]

    def __init__(
        self,
        data: Dataset,
        config: dict[str, Any],
        make: Callable[[Any, Sequence[str]], MapNet],
        *,
        device: torch.device,
        cache: Path | None,
        progress: bool,
    ) -> None:
        self.data, self.device = data, device
        self.plan: TrainConfig = config["train"]
        self.losses = config["loss"]
        views: ViewConfig = config["views"]
        if not len(data.objects("train")):
            raise JladkitError(f"{data.path} has no train object; training needs some.")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.plan.seed)
            detector = make(config["model"], data.categories)
        detector.precision = getattr(torch, self.plan.precision)
        self.detector = detector.to(device)
        self.net: nn.Module = self.detector
        self.size = detector.config.size
        self.label: Mapping[str, Any] = label_of(self.method, config, data, device)
        val, train = data.objects("val"), data.objects("train")
        self.scored = annotated(data)
        self.kept: Sequence[loop.Kept] = [loop.Kept("iod" if self.scored else "loss", False, ("",))]
        few = np.random.default_rng(0).permutation(train)[:FITTED]
        keep = np.concatenate([few, val]) if self.scored else train[:0]
        self.views = Views(
            data, detector, views, keep, cache=cache, device=device, progress=progress
        )

    def phases(self) -> list[loop.Phase]:
        """One a stage."""
        plan = self.plan
        stages = zip(plan.steps, plan.rates, strict=True)
        return [
            loop.Phase(f"stage-{number}", int(steps), rate, weight_decay=plan.weight_decay)
            for number, (steps, rate) in enumerate(stages)
        ]

    def parameters(self, phase: loop.Phase) -> Iterable[tuple[str, nn.Parameter]]:
        """All but those of a frozen backbone."""
        for name, parameter in self.net.named_parameters():
            if not name.startswith("features."):
                yield name, parameter

    def loss(self, phase: loop.Phase, generator: np.random.Generator) -> dict[str, Tensor]:
        return self.terms(self.views.draw(generator, self.plan.batch), phase)

    @abstractmethod
    def terms(self, view: View, phase: loop.Phase) -> dict[str, Tensor]:
        """The terms of the loss of two views, what is minimised under "total"."""

    def share(self, points: Tensor) -> Tensor:
        """xy in pixels of the square as shares of its side, 0 its first edge and 1 its last."""
        return (points + 0.5) / self.size

    def carried(self, view: View, points: Tensor) -> Tensor:
        """Points of the source view, where the target view has them; both in pixels."""
        return carried(view.warp, points, self.size)

    def validate(self, phase: loop.Phase, latest: Mapping[str, float]) -> loop.Scores:
        """LandmarkScores of the val objects, and how far landmarks lie apart in a picture ("extent"). Without annotations the loss of a fixed set of views takes IOD's place."""
        if not self.scored:
            return self.validate_without_annotations(phase)
        apart: list[Tensor] = []

        def detect(rows: Rows) -> Tensor:
            points = self.detector.detect(self.views.plain(rows), self.views.which(rows))
            apart.append(extent(points) / self.size)
            return points

        scores = landmark_iod(self.data, self.size, detect)._asdict()
        return {**scores, "extent": float(torch.cat(apart).mean())}

    def validate_without_annotations(self, phase: loop.Phase) -> dict[str, float]:
        """The mean loss over the same views every time."""
        drawn = [self.loss(phase, np.random.default_rng([0, n])) for n in range(WATCHED)]
        return {"loss": float(torch.stack([terms["total"] for terms in drawn]).mean())}

    def collapses(self, records: Sequence[Record]) -> list[str]:
        """What has collapsed by the latest validation, a sentence each."""
        told = [record for record in records if "spread" in record.get("validation", {})]
        return collapses(told[-1]) if told else []


def extent(points: Tensor) -> Tensor:
    """(B,): root mean squared distance of landmarks (B, K, 2) from their own middle."""
    away = points - points.mean(dim=1, keepdim=True)
    return away.square().sum(dim=-1).mean(dim=1).sqrt()


def collapses(record: Record) -> list[str]:
    """What a validation shows to have collapsed, a sentence each."""
    found, at = record["validation"], f"at step {record['step']}"
    sentences: list[str] = []
    if found["spread"] < STRAY:
        sentences.append(
            f"The landmarks do not move {at}: over pictures they stray from their mean place by "
            f"{found['spread']:.4f} of the picture's side (below {STRAY})."
        )
    if found["extent"] < EXTENT:
        sentences.append(
            f"The landmarks lie at one place {at}: in a picture they are {found['extent']:.4f} of "
            f"its side away from their middle (below {EXTENT})."
        )
    if found.get("distinct", 1.0) < DISTINCT:  # older logs have none
        sentences.append(
            f"Landmarks lie on one another {at}: {found['distinct']:.0%} of them are more than 1 % of "
            f"the picture's side away from every other (below {DISTINCT:.0%})."
        )
    return sentences


class LandmarkBaseline(Trained):
    """A trained LandmarkDetector (jladkit.methods)."""

    supervised: ClassVar[bool] = False

    def __init__(self, net: MapNet, config: dict[str, Any]) -> None:
        super().__init__(net, {**config, "supervised": self.supervised})
        self.categories = net.categories if net.config.per_category else None

    def detect(self, images: Tensor, category: Sequence[str]) -> Tensor:
        """See jladkit.methods.LandmarkDetector.

        Raises:
            JladkitError: the maps are per category and one of the categories was not trained.
        """
        return self.net.detect(self.net.look(images), rows_of(self.net, category, images.device))
