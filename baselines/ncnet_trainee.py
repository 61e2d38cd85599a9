"""NCNet in training: matches of a pair shall be surer than those of two unrelated pictures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jladkit.baselines.ncnet_net import NCNetConfig, NCNetNet
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.formats.log import Record
from jladkit.model.backbones import from_layer
from jladkit.model.consensus import matching_score
from jladkit.training import loop
from jladkit.training.pictures import Pictures, check_pairs, objects_in_use
from jladkit.training.trained import label_of
from jladkit.training.validation import pair_pck

Rows = NDArray[np.int64]
NEGATIVES = ("rolled", "other")


@dataclass(frozen=True)
class NCNetTrainConfig:
    """How long, how fast, from which seed.

    Attributes:
        batch: pairs of a step; at least 2, for a pair cannot be its own negative.
        steps: of the consensus alone, with a frozen backbone.
        learning_rate: of these.
        finetune_steps: after them, with `backbone_from` on trained as well.
        finetune_rate: of those.
        backbone_from: module of the backbone from which on it is trained ("layer3.22"), or "".
        negatives: "rolled" joins each target with the next pair's source, as the released code
            does: it may be of the same category, and is then pushed apart wrongly. "other" draws
            a source of another category.
    """

    seed: int = 0
    batch: int = 16
    steps: int = 900
    learning_rate: float = 5e-4
    finetune_steps: int = 0
    finetune_rate: float = 1e-5
    backbone_from: str = ""
    negatives: str = "rolled"
    validate_every: int = 100

    def __post_init__(self) -> None:
        if self.batch < 2:
            raise UsageError(
                f"train.batch must be at least 2, but is {self.batch}: the negative of a pair is "
                "made of another pair."
            )
        if self.negatives not in NEGATIVES:
            raise UsageError(
                f"train.negatives must be one of {', '.join(NEGATIVES)}, not {self.negatives!r}."
            )
        if self.learning_rate <= 0 or self.finetune_rate <= 0:
            raise UsageError("train.learning_rate and train.finetune_rate must be above 0.")
        if bool(self.backbone_from) != bool(self.finetune_steps):
            raise UsageError("train.backbone_from and train.finetune_steps go together.")
        least = {"seed": 0, "steps": 0, "finetune_steps": 0, "validate_every": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise UsageError(f"train.{name} must be at least {bound}.")


SECTIONS = {"model": NCNetConfig, "train": NCNetTrainConfig}


def weak_loss(
    net: NCNetNet, source: Tensor, target: Tensor, other: Tensor | None = None
) -> dict[str, Tensor]:
    """NCNet's loss, section 3.5: the score of unrelated pictures less that of pairs.

    Args:
        source, target: (B, C, h, w) features of pairs.
        other: (B, C, h, w) of pictures that have nothing to do with `target`; None takes the next
            pair's source for each, which may show the same category.

    Returns:
        "positive" and "negative", both in (0, 1], and "total", their difference.

    Raises:
        ValueError: `other` is None and there is but one pair: it would be its own negative, and
            the loss always 0.
    """
    if other is None:
        if len(source) < 2:
            raise ValueError("A batch of one pair has no other pair to make a negative of.")
        other = source.roll(-1, dims=0)
    positive, negative = (matching_score(net.match(f, target)) for f in (source, other))
    return {"positive": positive, "negative": negative, "total": negative - positive}


class NCNetTrainee:
    """NCNet as jladkit.training.loop wants it."""

    def __init__(
        self,
        data: Dataset,
        config: dict[str, Any],
        device: torch.device,
        cache: Path | None,
        progress: bool,
    ) -> None:
        self.data, self.device = data, device
        self.model: NCNetConfig = config["model"]
        self.plan: NCNetTrainConfig = config["train"]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.plan.seed)
            self.ncnet = NCNetNet(self.model).to(device)
        self.net: nn.Module = self.ncnet
        self.label: Mapping[str, Any] = label_of("ncnet", config, data, device)
        self.kept: Sequence[loop.Kept] = [loop.Kept("pck@0.1", True, ("",))]
        check_pairs(data)
        self.pairs = data.pairs("train")
        self.check_negatives()
        self.trained = from_layer(self.ncnet.features.body, self.plan.backbone_from)
        self.features = Pictures(
            data, self.ncnet.features, self.model.size,
            cache=cache, device=device, progress=progress,
        )  # fmt: skip
        if not self.trained:
            self.features.keep(objects_in_use(data))

    def check_negatives(self) -> None:
        """Raise JladkitError where there are no pairs to make negatives of."""
        few = len(self.pairs) < 2
        categories = 1 if few else len(set(self.categories(self.pairs)))
        if few or (self.plan.negatives == "other" and categories < 2):
            raise JladkitError(
                f"{self.data.path} has too few train pairs for train.negatives="
                f"{self.plan.negatives}: {'two pairs' if few else 'pairs of two categories'} are needed."
            )

    def categories(self, pairs: Rows) -> list[int]:
        """Of pairs (B,)."""
        return self.data.pair_category[pairs].tolist()

    def phases(self) -> list[loop.Phase]:
        plan = self.plan
        return [
            loop.Phase("consensus", plan.steps, plan.learning_rate),
            loop.Phase("finetune", plan.finetune_steps, plan.finetune_rate),
        ]

    def parameters(self, phase: loop.Phase) -> Iterable[tuple[str, nn.Parameter]]:
        for name, parameter in self.net.named_parameters():
            own = phase.name == "finetune" and name.removeprefix("features.body.") in self.trained
            if name.startswith("consensus.") or own:
                yield name, parameter

    def loss(self, phase: loop.Phase, generator: np.random.Generator) -> dict[str, Tensor]:
        count = min(self.plan.batch, len(self.pairs))
        pairs = generator.choice(self.pairs, count, replace=False)
        with torch.set_grad_enabled(phase.name == "finetune"):
            source = self.features(self.data.pair_source[pairs])
            target = self.features(self.data.pair_target[pairs])
            other = None
            if self.plan.negatives == "other":
                other = self.features(self.data.pair_source[self.unrelated(pairs, generator)])
        return weak_loss(self.ncnet, source, target, other)

    def unrelated(self, pairs: Rows, generator: np.random.Generator) -> Rows:
        """For each of `pairs` (B,) a train pair of another category."""
        own = self.data.pair_category[self.pairs]
        drawn = [
            generator.choice(self.pairs[own != category]) for category in self.categories(pairs)
        ]
        return np.array(drawn)

    def validate(self, phase: loop.Phase, latest: Mapping[str, float]) -> loop.Scores:
        """PCK@0.1 on the val pairs."""

        def carry(pairs: Rows, points: Tensor) -> Tensor:
            source = self.features(self.data.pair_source[pairs])
            target = self.features(self.data.pair_target[pairs])
            return self.ncnet.carry(source, target, points.to(self.device))

        return {"pck@0.1": pair_pck(self.data, "val", self.model.size, carry)}

    def collapses(self, records: Sequence[Record]) -> list[str]:
        """Whether the last ReLU has shut: every score is then 0, and so is every gradient."""
        last = records[-1] if records else {}
        if last.get("total") == 0.0:
            sentence = (
                f"All matches score alike at step {last['step']}, so nothing is learnt. Start with "
                "another train.seed, or lower train.learning_rate."
            )
            return [sentence]
        return []
