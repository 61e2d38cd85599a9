"""CNNGeo, CNNInlier and A2Net in training: synthetic warps for each stage, then soft inliers.

Each stage's head learns alone from pictures and known warps of them, by the grid loss; its phase is
named after its kind of warp. Phase "weak", of CNNInlier, has pairs of different objects, and moves
all heads (and the backbone, where told to) so that more of the correlation lies where the warp says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jladkit.baselines.parametric import ParametricNet
from jladkit.errors import UsageError
from jladkit.formats.dataset import Dataset
from jladkit.formats.log import Record
from jladkit.model.transforms import Chain, Transform
from jladkit.model.warp_losses import grid_loss, soft_inliers
from jladkit.model.warps import warped
from jladkit.training import loop
from jladkit.training.joint_trainee import from_layer
from jladkit.training.loading import batch_of
from jladkit.training.pictures import Pictures, channels_last, check_pairs, objects_in_use
from jladkit.training.synthetic import random_transform
from jladkit.training.trained import label_of
from jladkit.training.validation import pair_pck

Rows = NDArray[np.int64]
SCORE = "pck@0.1"
WEAK = "weak"


@dataclass(frozen=True)
class SyntheticConfig:
    """Which known warps the heads learn from.

    Attributes:
        preset: of jladkit.training.synthetic.
        crop: share of a picture's sides that the target shows, its middle; the source may look
            beyond, and sees the picture mirrored beyond its edges.
        warps: of each training picture and stage whose maps are computed once and drawn from; 0
            warps pictures anew in every step.
    """

    preset: str = "cnngeo"
    crop: float = 1.0
    warps: int = 0

    def __post_init__(self) -> None:
        if self.warps < 0 or not 0 < self.crop <= 1:
            raise UsageError(
                "synthetic.warps must not be negative and synthetic.crop in (0, 1], but they are "
                f"{self.warps} and {self.crop}."
            )
        if self.warps and self.crop < 1:
            raise UsageError("synthetic.warps keeps whole pictures; it needs synthetic.crop = 1.")


@dataclass(frozen=True)
class TrainConfig:
    """How long, how fast, from which seed.

    Attributes:
        steps: of each stage and learning rate.
        learning_rates: a stage is trained with each in turn.
        cosine, lowest: see jladkit.training.loop.Phase; 0 keeps the rates as they are.
    """

    seed: int = 0
    batch: int = 16
    steps: int = 600
    learning_rates: list[float] = field(default_factory=lambda: [1e-3])
    cosine: int = 0
    lowest: float = 1e-6
    validate_every: int = 200

    def __post_init__(self) -> None:
        least = {"seed": 0, "batch": 2, "steps": 0, "cosine": 0, "validate_every": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if value < bound:
                raise UsageError(f"train.{name} must be at least {bound}, but is {value}.")
        if not self.learning_rates or min(self.learning_rates) <= 0:
            raise UsageError("train.learning_rates must be numbers above 0.")


@dataclass(frozen=True)
class WeakConfig:
    """The weakly supervised phase.

    Attributes:
        smoothing: λ of the spline in the loss.
        crops: each picture is cropped at random, to between half and all of its sides.
        backbone_from: "" keeps the backbone frozen; else the module from which on it is trained.
    """

    steps: int = 0
    learning_rate: float = 5e-8
    smoothing: float = 0.2
    crops: bool = False
    backbone_from: str = ""

    def __post_init__(self) -> None:
        if self.steps < 0 or self.learning_rate <= 0 or self.smoothing < 0:
            raise UsageError(
                "weak.steps and weak.smoothing must not be negative, weak.learning_rate above 0; "
                f"they are {self.steps}, {self.smoothing}, {self.learning_rate}."
            )


class ParametricTrainee:
    """A method of this family as jladkit.training.loop wants it.

    Args:
        name: of the method.
        net: its network.
        config: its recipe's sections; without "weak" there is no such phase.
    """

    def __init__(
        self,
        name: str,
        net: ParametricNet,
        data: Dataset,
        config: Mapping[str, Any],
        device: torch.device,
        cache: Path | None,
        progress: bool,
    ) -> None:
        self.data, self.device = data, device
        self.synthetic: SyntheticConfig = config["synthetic"]
        self.plan: TrainConfig = config["train"]
        self.weak: WeakConfig = config.get("weak", WeakConfig())
        self.model = net.to(device)
        self.net: nn.Module = self.model
        self.size, self.stages = net.config.size, net.config.stages
        self.label: Mapping[str, Any] = label_of(name, config, data, device)
        check_pairs(data)
        self.train_objects, self.train_pairs = data.objects("train"), data.pairs("train")
        self.moved = from_layer(net.features.body, self.weak.backbone_from)
        early = [loop.Kept(score_of(k), True, (f"heads.{k}.",)) for k in self.stages[:-1]]
        # What scores best together is kept together.
        self.kept: Sequence[loop.Kept] = [*early, loop.Kept(SCORE, True, ("",))]
        self.pictures = Pictures(
            data, net.features, self.size, cache=cache, device=device, progress=progress
        )
        if not self.moved:
            self.pictures.keep(objects_in_use(data))
        self.banks = {kind: self.bank(kind) for kind in self.stages if self.synthetic.warps}

    def bank(self, kind: str) -> tuple[Transform, Any]:
        """The warps of each training picture, and their maps, computed once."""
        own, each, preset = self.train_objects, self.synthetic.warps, self.synthetic.preset
        seeded = torch.Generator().manual_seed(self.plan.seed)
        warps = random_transform(preset, kind, len(own) * each, seeded)
        key = {"preset": preset, "kind": kind, "seed": self.plan.seed, "warps": each}
        self.pictures.keep_warped(own, each, warps, key)
        return warps, self.pictures.warped

    def phases(self) -> list[loop.Phase]:
        plan, weak = self.plan, self.weak
        phases = [
            loop.Phase(kind, plan.steps, rate, cosine=plan.cosine, lowest=plan.lowest)
            for kind in self.stages
            for rate in plan.learning_rates
        ]
        return [*phases, loop.Phase(WEAK, weak.steps, weak.learning_rate)]

    def parameters(self, phase: loop.Phase) -> Iterable[tuple[str, nn.Parameter]]:
        weak = phase.name == WEAK
        for name, parameter in self.net.named_parameters():
            own = name.startswith("heads." if weak else f"heads.{phase.name}.")
            if own or (weak and name.removeprefix("features.body.") in self.moved):
                yield name, parameter

    def loss(self, phase: loop.Phase, generator: np.random.Generator) -> dict[str, Tensor]:
        if phase.name == WEAK:
            return self.weak_loss(generator.choice(self.train_pairs, self.plan.batch), generator)
        true, source, target = self.warped_pair(phase.name, generator)
        found = self.model.estimate(phase.name, self.model.volume(source, target))
        loss = grid_loss(found, true, self.device)
        return {"grid": loss, "total": loss}

    def warped_pair(
        self, kind: str, generator: np.random.Generator
    ) -> tuple[Transform, Tensor, Tensor]:
        """Known warps, and the maps of the warped and of the plain pictures: source and target."""
        chosen = generator.integers(len(self.train_objects), size=self.plan.batch)
        rows, each, crop = self.train_objects[chosen], self.synthetic.warps, self.synthetic.crop
        if each:
            at = chosen * each + generator.integers(each, size=len(chosen))
            bank, maps = self.banks[kind]
            true = on(bank.take(torch.from_numpy(at)), self.device)
            return true, maps(at), self.pictures(rows)
        seeded = torch.Generator().manual_seed(int(generator.integers(2**62)))
        true = random_transform(self.synthetic.preset, kind, len(rows), seeded)
        images = batch_of(self.data, rows, self.size)
        with torch.no_grad():
            source = self.encoded(warped(images, lambda points: true(points) * crop))
            if crop == 1:
                return on(true, self.device), source, self.pictures(rows)
            middle = warped(images, lambda points: points.expand(len(rows), -1, -1) * crop)
            return on(true, self.device), source, self.encoded(middle)

    def encoded(self, images: Tensor) -> Tensor:
        """(B, C, h, w) maps of pictures that are not kept."""
        return self.model.features(channels_last(images).to(self.device))

    def weak_loss(self, pairs: Rows, generator: np.random.Generator) -> dict[str, Tensor]:
        """Minus the soft inliers of the first warp, of the first two, and so on, on real pairs
        (weakalign, eq. 6); all batch normalisation has its stored statistics, as in their code."""
        self.net.eval()
        rows_s, rows_t = self.data.pair_source[pairs], self.data.pair_target[pairs]
        pictures = batch_of(self.data, rows_t, self.size)
        if self.weak.crops or self.moved:
            others = batch_of(self.data, rows_s, self.size)
            if self.weak.crops:
                others, pictures = (random_crop(one, generator) for one in (others, pictures))
            source, target = self.encoded(others), self.encoded(pictures)
        else:
            source, target = self.pictures(rows_s), self.pictures(rows_t)
        volume = self.model.volume(source, target)
        found = self.model.chain(source, target, pictures.to(self.device)).steps
        steps = [replace(step, smoothing=self.weak.smoothing) for step in found]
        inliers = {
            f"inliers {kind}": soft_inliers(volume, Chain(steps[: i + 1])).mean()
            for i, kind in enumerate(self.stages)
        }
        return {**inliers, "total": -torch.stack(list(inliers.values())).sum()}

    def validate(self, phase: loop.Phase, latest: Mapping[str, float]) -> dict[str, float]:
        """PCK@0.1 on the val pairs of the stages so far."""
        stages = self.stages
        if phase.name != WEAK:
            stages = stages[: stages.index(phase.name) + 1]

        def carry(pairs: Rows, points: Tensor) -> Tensor:
            rows_s, rows_t = self.data.pair_source[pairs], self.data.pair_target[pairs]
            images = None
            if len(stages) > 1:
                images = batch_of(self.data, rows_t, self.size).to(self.device)
            maps = self.pictures(rows_s), self.pictures(rows_t)
            chain = self.model.chain(*maps, images, stages)
            return chain.carry(points.to(self.device), self.size)

        name = SCORE if stages == self.stages else score_of(stages[-1])
        return {name: pair_pck(self.data, "val", self.size, carry)}

    def collapses(self, records: Sequence[Record]) -> list[str]:
        """Nothing: a head that learns nothing shows in its grid loss."""
        return []


def score_of(kind: str) -> str:
    """Name of the score of the stages up to an early one."""
    return f"{SCORE} after {kind}"


def on(transform: Transform, device: torch.device) -> Transform:
    """The same, with its parameters on `device`."""
    return replace(transform, theta=transform.theta.to(device))


def random_crop(images: Tensor, generator: np.random.Generator) -> Tensor:
    """(B, C, H, W): each image cropped and brought to its size again. Each edge moves in by up to a
    quarter of the side."""
    start, end = (torch.from_numpy(generator.random((len(images), 2)) / 4) for _ in range(2))
    low, high = -1 + 2 * start, 1 - 2 * end  # the edges, in [-1, 1]
    scale, shift = ((high - low) / 2).to(images), ((high + low) / 2).to(images)
    return warped(images, lambda points: points * scale[:, None] + shift[:, None])
