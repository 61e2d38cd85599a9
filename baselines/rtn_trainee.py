"""RTN in training: the phases "synthetic" and "weak", and the loss of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jladkit.baselines.rtn_net import RtnConfig, RtnNet
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.formats.log import Record
from jladkit.model.affine import places
from jladkit.model.geometry import cell_grid
from jladkit.model.losses import window_cross_entropy
from jladkit.model.warps import WarpRange
from jladkit.training import loop
from jladkit.training.joint_trainee import from_layer
from jladkit.training.loading import cells_in_boxes
from jladkit.training.pictures import Pictures, check_pairs, objects_in_use
from jladkit.training.synthetic import SyntheticPairs
from jladkit.training.trained import label_of
from jladkit.training.validation import pair_pck

Rows = NDArray[np.int64]
OPTIMISERS = ("adam", "sgd")
PRECISIONS = ("float32", "bfloat16")


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
class TrainConfig:
    """How long, how fast, from which seed.

    Attributes:
        learning_rates: of the synthetic and of the weak phase.
        last_rate: learning rate of the last layer, as a share of the others'.
        backbone_from: "" keeps the backbone frozen and computes its maps once; else the module of
            the backbone from which on the weak phase trains it.
        backbone_rate: its learning rate, as a share of the others'.
        precision: of the geometry network in training, "float32" or "bfloat16".
        warps: see jladkit.training.synthetic.SyntheticPairs; for a frozen backbone.
    """

    seed: int = 0
    batch: int = 16
    optimiser: str = "adam"
    weight_decay: float = 0.0
    synthetic_steps: int = 100
    weak_steps: int = 200
    learning_rates: list[float] = field(default_factory=lambda: [1e-3, 1e-3])
    last_rate: float = 1.0
    backbone_from: str = ""
    backbone_rate: float = 0.1
    precision: str = "float32"
    warps: int = 0
    validate_every: int = 50

    def __post_init__(self) -> None:
        if len(self.learning_rates) != 2 or min(self.learning_rates) <= 0:
            raise UsageError("train.learning_rates must be two numbers above 0.")
        if self.optimiser not in OPTIMISERS:
            raise UsageError(
                f"train.optimiser must be one of {', '.join(OPTIMISERS)}, not {self.optimiser!r}."
            )
        if self.precision not in PRECISIONS:
            raise UsageError(
                f"train.precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}."
            )
        least = {"batch": 1, "validate_every": 1, "seed": 0, "warps": 0}
        least |= {"synthetic_steps": 0, "weak_steps": 0, "weight_decay": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if value < bound:
                raise UsageError(f"train.{name} must be at least {bound}, but is {value}.")


SECTIONS = {"model": RtnConfig, "loss": LossConfig, "train": TrainConfig, "warp": WarpRange}


class RtnTrainee:
    """RTN as jladkit.training.loop wants it."""

    kept: Sequence[loop.Kept] = [loop.Kept("pck@0.1", True, ("",))]

    def __init__(
        self,
        data: Dataset,
        config: dict[str, Any],
        device: torch.device,
        cache: Path | None,
        progress: bool,
    ) -> None:
        self.data, self.device = data, device
        self.model: RtnConfig = config["model"]
        self.losses: LossConfig = config["loss"]
        self.plan: TrainConfig = config["train"]
        check_pairs(data)
        self.train_pairs = data.pairs("train")
        if self.plan.weak_steps and self.losses.box:
            check_boxes(data, data.pair_source[self.train_pairs])
            check_boxes(data, data.pair_target[self.train_pairs])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.plan.seed)
            net = RtnNet(self.model, data.categories)
        net.precision = getattr(torch, self.plan.precision)
        self.net: nn.Module = net.to(device)
        self.rtn = net
        self.label: Mapping[str, Any] = {
            **label_of("rtn", config, data, device),
            "supervision": supervision(self.plan, self.losses),
        }
        self.trained = from_layer(net.features.body, self.plan.backbone_from)
        self.frozen = not self.plan.backbone_from
        self.pictures = Pictures(
            data, net.features, self.model.size, cache=cache, device=device, progress=progress
        )
        if self.frozen:
            self.pictures.keep(objects_in_use(data))
        warps = self.plan.warps if self.frozen and self.plan.synthetic_steps else 0
        self.synthetic = SyntheticPairs(
            self.pictures, data.objects("train"), config["warp"], self.plan.seed, warps
        )

    def phases(self) -> list[loop.Phase]:
        plan = self.plan
        shares = {"geometry.last.": plan.last_rate, "features.": plan.backbone_rate}
        return [
            loop.Phase(name, steps, rate, plan.optimiser, plan.weight_decay, shares=shares)
            for name, steps, rate in zip(
                ("synthetic", "weak"),
                (plan.synthetic_steps, plan.weak_steps),
                plan.learning_rates,
                strict=True,
            )
        ]

    def parameters(self, phase: loop.Phase) -> Iterable[tuple[str, nn.Parameter]]:
        for name, parameter in self.net.named_parameters():
            own = phase.name == "weak" and name.removeprefix("features.body.") in self.trained
            if name.startswith("geometry.") or own:
                yield name, parameter

    def loss(self, phase: loop.Phase, generator: np.random.Generator) -> dict[str, Tensor]:
        if phase.name == "synthetic":
            return self.synthetic_loss(generator)
        return self.weak_loss(generator.choice(self.train_pairs, self.plan.batch), generator)

    def synthetic_loss(self, generator: np.random.Generator) -> dict[str, Tensor]:
        """L1 distance of the finest field and the known warp, in cells, mean over the cells that
        the warp keeps in the picture."""
        warp, source, target = self.synthetic.draw(generator, self.plan.batch)
        found = places(self.rtn.align(source, target)[-1])
        cells = found.shape[-1]
        true = warp.field(cells, cells).to(self.device)
        valid = ((true > -0.5) & (true < cells - 0.5)).all(dim=1)
        apart = (found - true).abs().sum(dim=1)
        return {"total": (apart * valid).sum() / valid.sum().clamp_min(1)}

    def weak_loss(self, pairs: Rows, generator: np.random.Generator) -> dict[str, Tensor]:
        """How surely each cell of source recognises its own place in the transformed target, among
        those around it: cross-entropy, mean over the cells in the sources' boxes.

        Each pair is turned round half of the time; what it teaches is not symmetric.
        """
        ends = np.stack([self.data.pair_source[pairs], self.data.pair_target[pairs]])
        turned = generator.random(len(pairs)) < 0.5
        rows_s, rows_t = np.where(turned, ends[::-1], ends)
        source, target = self.pictures(rows_s), self.pictures(rows_t)
        fields = self.rtn.align(source, target)
        maps_s, maps_t = (self.rtn.features.unpack(packed) for packed in (source, target))
        total = source.new_zeros(())
        terms: dict[str, Tensor] = {}
        for name, level, found in zip(
            ("coarse", "fine"), (self.model.coarse, self.model.fine), fields, strict=True
        ):
            weight = getattr(self.losses, name)
            if not weight:
                continue
            f_s, f_t = self.rtn.describe(maps_s, level), self.rtn.describe(maps_t, level)
            warped = self.rtn.describe_transformed(maps_t, f_t, level, found)
            entropy = window_cross_entropy(
                f_s, warped, self.losses.window, self.losses.temperature
            )
            terms[name] = self.mean_in_boxes(entropy, rows_s)
            total = total + weight * terms[name]
        shift = places(fields[-1]) - cell_grid(*fields[-1].shape[-2:], self.device)
        terms["displacement"] = (shift.detach() / shift.shape[-1]).square().sum(dim=1).mean()
        return {**terms, "total": total}

    def mean_in_boxes(self, entropy: Tensor, rows: Rows) -> Tensor:
        """The mean of (B, h, w) over the cells in the boxes of objects `rows` (B,), or over all."""
        if not self.losses.box:
            return entropy.mean()
        inside = cells_in_boxes(self.data, rows, entropy.shape[-1]).to(self.device)
        return (entropy * inside).sum() / inside.sum().clamp_min(1)

    def validate(self, phase: loop.Phase, latest: Mapping[str, float]) -> dict[str, float]:
        """PCK@0.1 on the val pairs."""

        def carry(pairs: Rows, points: Tensor) -> Tensor:
            source = self.pictures(self.data.pair_source[pairs])
            target = self.pictures(self.data.pair_target[pairs])
            return self.rtn.carry(source, target, points.to(self.device))

        return {"pck@0.1": pair_pck(self.data, "val", self.model.size, carry)}

    def collapses(self, records: Sequence[Record]) -> list[str]:
        """None is known that the validation score does not show."""
        return []


def supervision(plan: TrainConfig, losses: LossConfig) -> str:
    """What the training is told beside pictures: "none", "category pairs", or "boxes" as well."""
    if not plan.weak_steps:
        return "none"
    return "boxes of the objects, pairs of one category" if losses.box else "pairs of one category"


def check_boxes(data: Dataset, rows: Rows) -> None:
    """Raise JladkitError unless all objects `rows` have a box."""
    missing = int((~np.isfinite(data.object_box[rows])).any(axis=1).sum())
    if missing:
        raise JladkitError(
            f"{data.path}: the weak phase looks inside the objects' boxes, but {missing} objects of "
            "train pairs have none. Give --set loss.box=false to look everywhere."
        )
