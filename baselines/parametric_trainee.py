"""CNNGeo, CNNInlier and A2Net in training: synthetic warps for each stage, then soft inliers.

Each stage's head learns alone from pictures and known warps of them, by the grid loss; its phase is
named after its kind of warp. Phase "weak", of CNNInlier, has pairs of different objects, and moves
all heads (and the backbone, where told to) so that more of the correlation lies where the warp says.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from jladkit.model.backbones import from_layer
from jladkit.model.transform_samplers import random_transform
from jladkit.model.transforms import Chain, Transform, identity
from jladkit.model.warp_losses import grid_loss, soft_inliers
from jladkit.model.warps import warped
from jladkit.training import loop
from jladkit.training.loading import batch_of
from jladkit.training.pictures import Pictures, channels_last, check_pairs
from jladkit.training.synthetic_pairs import noisy
from jladkit.training.trained import label_of
from jladkit.training.validation import pair_pck

Rows = NDArray[np.int64]
Maps = Callable[[Rows], Tensor]
SCORE = "pck@0.1"
WEAK = "weak"


@dataclass(frozen=True)
class SyntheticConfig:
    """Which known warps the heads learn from.

    Attributes:
        preset: of jladkit.model.transform_samplers.
        strength: share of the preset's reach, 1 the papers'. Boxes align objects already, and warps
            as far as those of whole photographs teach a head to expect too much.
        crop: share of a picture's sides that the target shows, its middle; the source looks
            beyond, and sees the picture mirrored beyond its edges. The papers' 9/16 keeps most warps
            inside.
        pictures: how many training pictures are warped, drawn by the seed; 0 for all.
        warps: of each of these pictures and stage whose maps are computed once and drawn from; 0
            warps pictures anew in every step.
        noise: length of the Gaussian noise that bends the vectors of both pictures' maps, in lengths
            of these; 0 in the papers. A picture and its own warp match far better than pictures of
            two objects do, and a head that has seen no worse believes every match.
    """

    preset: str = "cnngeo"
    strength: float = 1.0
    crop: float = 0.5625
    pictures: int = 0
    warps: int = 0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("warps", "pictures", "noise"):
            if getattr(self, name) < 0:
                raise UsageError(
                    f"synthetic.{name} must not be negative, but is {getattr(self, name)}."
                )
        for name in ("crop", "strength"):
            if not 0 < getattr(self, name) <= 1:
                raise UsageError(
                    f"synthetic.{name} must be in (0, 1], but is {getattr(self, name)}."
                )


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
    batch: int = 16
    learning_rate: float = 5e-8
    smoothing: float = 0.2
    crops: bool = False
    backbone_from: str = ""

    def __post_init__(self) -> None:
        if min(self.steps, self.smoothing) < 0 or min(self.learning_rate, self.batch) <= 0:
            raise UsageError(
                "weak.steps and weak.smoothing must not be negative, weak.learning_rate and "
                f"weak.batch must be above 0; they are {self.steps}, {self.smoothing}, "
                f"{self.learning_rate}, {self.batch}."
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
        few = np.random.default_rng(self.plan.seed).permutation(data.objects("train"))
        self.warped_objects = np.sort(few[: self.synthetic.pictures or len(few)])
        self.train_pairs = data.pairs("train")
        self.moved = from_layer(net.features.body, self.weak.backbone_from)
        early = [loop.Kept(score_of(k), True, (f"heads.{k}.",)) for k in self.stages[:-1]]
        # What scores best together is kept together.
        self.kept: Sequence[loop.Kept] = [*early, loop.Kept(SCORE, True, ("",))]
        self.pictures = Pictures(
            data, net.features, self.size, cache=cache, device=device, progress=progress
        )
        if not self.moved:
            val = data.pairs("val")
            self.pictures.keep(np.union1d(data.pair_source[val], data.pair_target[val]))
        if self.synthetic.warps:
            self.keep_warped()

    def keep_warped(self) -> None:
        """Draw the warps of each training picture and stage, and compute their maps once; and those
        of the middles of pictures, where targets show no more."""
        own, each, preset = self.warped_objects, self.synthetic.warps, self.synthetic.preset
        self.banks: dict[str, tuple[Transform, Maps]] = {}
        for kind in self.stages:
            seeded = torch.Generator().manual_seed(self.plan.seed)
            warps = random_transform(preset, kind, len(own) * each, seeded, self.synthetic.strength)
            key = {
                "preset": preset,
                "strength": self.synthetic.strength,
                "seed": self.plan.seed,
                "warps": each,
            }
            self.banks[kind] = warps, self.kept_views(warps, each, key)
        self.middle = self.kept_views(identity("affine", len(own)), 1, {})

    def kept_views(self, warps: Transform, each: int, key: Mapping[str, Any]) -> Maps:
        """The maps of what `view` shows of the training pictures, `each` warps a picture."""
        shown = self.view(warps)
        own = {"kind": shown.kind, "crop": self.synthetic.crop, **key}
        return self.pictures.keep_warped(self.warped_objects, each, shown, own)

    def view(self, warp: Transform) -> Transform:
        """Where a warp of the target reads the whole picture, of which the target is the middle."""
        return replace(warp, theta=warp.theta * self.synthetic.crop)

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
            return self.weak_loss(generator.choice(self.train_pairs, self.weak.batch), generator)
        true, source, target = self.warped_pair(phase.name, generator)
        if self.synthetic.noise:
            seeded = torch.Generator().manual_seed(int(generator.integers(2**62)))
            source, target = (noisy(m, self.synthetic.noise, seeded) for m in (source, target))
        found = self.model.estimate(phase.name, self.model.volume(source, target))
        loss = grid_loss(found, true, self.device)
        return {"grid": loss, "total": loss}

    def warped_pair(
        self, kind: str, generator: np.random.Generator
    ) -> tuple[Transform, Tensor, Tensor]:
        """Known warps, and the maps of the warped and of the plain pictures: source and target."""
        chosen = generator.integers(len(self.warped_objects), size=self.plan.batch)
        each = self.synthetic.warps
        if each:
            at = chosen * each + generator.integers(each, size=len(chosen))
            bank, maps = self.banks[kind]
            return on(bank.take(torch.from_numpy(at)), self.device), maps(at), self.middle(chosen)
        seeded = torch.Generator().manual_seed(int(generator.integers(2**62)))
        true = random_transform(
            self.synthetic.preset, kind, len(chosen), seeded, self.synthetic.strength
        )
        images = batch_of(self.data, self.warped_objects[chosen], self.size)
        shown = (self.view(warp).apply(images) for warp in (true, identity("affine", len(chosen))))
        with torch.no_grad():
            source, target = map(self.encoded, shown)
        return on(true, self.device), source, target

    def encoded(self, images: Tensor) -> Tensor:
        """(B, C, h, w) maps of pictures as the backbone gives them now."""
        return self.model.features(channels_last(images).to(self.device))

    def weak_loss(self, pairs: Rows, generator: np.random.Generator) -> dict[str, Tensor]:
        """Minus the soft inliers of the first warp, of the first two, and so on, on real pairs
        (weakalign, eq. 6); all batch normalisation has its stored statistics, as in their code."""
        self.net.eval()
        rows_s, rows_t = self.data.pair_source[pairs], self.data.pair_target[pairs]
        both = batch_of(self.data, np.concatenate([rows_s, rows_t]), self.size)
        if self.weak.crops:
            both = random_crop(both, generator)
        pictures = both.chunk(2)[1]
        source, target = self.encoded(both).chunk(2)
        volume = self.model.volume(source, target)
        found = self.model.chain(source, target, pictures.to(self.device)).steps
        steps = [replace(step, smoothing=self.weak.smoothing) for step in found]
        inliers = {
            f"inliers {kind}": soft_inliers(volume, Chain(steps[: i + 1])).mean()
            for i, kind in enumerate(self.stages)
        }
        return {**inliers, "total": -torch.stack(list(inliers.values())).sum()}

    def validate(self, phase: loop.Phase, latest: Mapping[str, float]) -> loop.Scores:
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
