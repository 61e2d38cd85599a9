"""What RTN and PARN do alike: a network that gives a field from source to target, its training
plan, and the method around it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.formats.log import Record
from jladkit.model.backbones import from_layer
from jladkit.model.levels import Levels
from jladkit.model.warps import Warp
from jladkit.training import loop
from jladkit.training.loading import cells_in_boxes
from jladkit.training.pictures import Pictures, check_pairs, objects_in_use
from jladkit.training.synthetic_pairs import SyntheticPairs
from jladkit.training.trained import label_of
from jladkit.training.validation import pair_pck

Rows = NDArray[np.int64]
OPTIMISERS = ("adam", "sgd")
PRECISIONS = ("float32", "bfloat16")


class FieldNet(Protocol):
    """A network (nn.Module) of features and of what finds a field between them."""

    config: Any
    features: Levels
    precision: torch.dtype

    def carry(self, source: Tensor, target: Tensor, points: Tensor) -> Tensor:
        """Points (B, N, 2) of source where target has them, both xy in pixels of the squares.

        Args: packed features (jladkit.model.levels) of each; NaN points stay NaN.
        """
        ...


@dataclass(frozen=True)
class FieldPlan:
    """What every phase of a training shares.

    Attributes:
        optimiser: "adam", or "sgd" with momentum 0.9.
        cosine: the rate of a phase on real pairs falls to 0 along half a period of a cosine.
        backbone_from: "" keeps the backbone frozen and computes its maps once; else the module of
            the backbone from which on the weak phases train it.
        backbone_rate: its learning rate, as a share of the others'.
        precision: of the networks' convolutions in training, "float32" or "bfloat16".
        warps: see jladkit.training.synthetic_pairs.SyntheticPairs; nothing to a backbone that is trained.
    """

    seed: int = 0
    batch: int = 16
    optimiser: str = "adam"
    weight_decay: float = 0.0
    cosine: bool = False
    backbone_from: str = ""
    backbone_rate: float = 0.1
    precision: str = "float32"
    warps: int = 0
    validate_every: int = 50

    def __post_init__(self) -> None:
        for name, known in (("optimiser", OPTIMISERS), ("precision", PRECISIONS)):
            value = getattr(self, name)
            if value not in known:
                raise UsageError(f"train.{name} must be one of {', '.join(known)}, not {value!r}.")
        self.at_least(batch=1, validate_every=1, seed=0, warps=0, weight_decay=0, backbone_rate=0)

    def at_least(self, **bounds: float) -> None:
        """Raise UsageError unless these settings are at least so much."""
        for name, bound in bounds.items():
            value = getattr(self, name)
            if value < bound:
                raise UsageError(f"train.{name} must be at least {bound}, but is {value}.")


def supervision(weak: bool, box: bool) -> str:
    """What a training is told beside pictures: with `weak` of pairs, with `box` of boxes too."""
    if not weak:
        return "none"
    return "pairs of one category, boxes of their objects" if box else "pairs of one category"


class FieldTrainee:
    """The part of jladkit.training.loop.Trainee that does not depend on the method.

    Args:
        name: of the method.
        config: the recipe's sections, [train] a FieldPlan.
        make: from [model] and the categories to a FieldNet.
        weak: whether any phase looks at real pairs.
        box: whether that phase counts what lies in the source's box alone.
    """

    kept: Sequence[loop.Kept] = [loop.Kept("pck@0.1", True, ("",))]
    net: nn.Module
    label: Mapping[str, Any]

    def __init__(
        self,
        name: str,
        data: Dataset,
        config: dict[str, Any],
        make: Any,
        device: torch.device,
        cache: Path | None,
        progress: bool,
        *,
        weak: bool,
        synthetic: bool,
        box: bool,
    ) -> None:
        self.data, self.device, self.box = data, device, box
        self.plan: Any = config["train"]
        self.size: int = config["model"].size
        check_pairs(data)
        self.train_pairs = data.pairs("train")
        if weak and box:
            ends = [data.pair_source[self.train_pairs], data.pair_target[self.train_pairs]]
            check_boxes(data, np.unique(np.concatenate(ends)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.plan.seed)
            net = make(config["model"], data.categories)
        net.precision = getattr(torch, self.plan.precision)
        self.net = net.to(device)
        self.fields: FieldNet = net
        told = supervision(weak, box)
        self.label = {**label_of(name, config, data, device), "supervision": told}
        self.trained = from_layer(net.features.body, self.plan.backbone_from)
        frozen = not self.plan.backbone_from
        self.pictures = Pictures(
            data, net.features, self.size, cache=cache, device=device, progress=progress
        )
        if frozen:
            self.pictures.keep(objects_in_use(data))
        self.synthetic = SyntheticPairs(
            self.pictures,
            data.objects("train"),
            config["warp"],
            self.plan.seed,
            self.plan.warps if frozen and synthetic else 0,
        )

    def phase(
        self, name: str, steps: int, rate: float, factors: Mapping[str, float] | None = None
    ) -> loop.Phase:
        """A phase by the plan; `factors` beside that of the backbone."""
        plan: FieldPlan = self.plan
        cosine = steps if plan.cosine and name != "synthetic" else 0
        return loop.Phase(
            name, steps, rate, plan.optimiser, plan.weight_decay, cosine,
            factors={**(factors or {}), "features.": plan.backbone_rate},
        )  # fmt: skip

    def parameters_of(self, prefix: str, backbone: bool) -> Iterable[tuple[str, nn.Parameter]]:
        """Those whose names begin with `prefix`, and with `backbone` what is trained of it."""
        for name, parameter in self.net.named_parameters():
            own = backbone and name.removeprefix("features.body.") in self.trained
            if name.startswith(prefix) or own:
                yield name, parameter

    def real_pairs(self, generator: np.random.Generator) -> tuple[Tensor, Tensor, Rows, Rows]:
        """Packed features of sources and targets, and their rows of object/*; each pair is turned
        round half of the time, since what it teaches is not symmetric."""
        pairs = generator.choice(self.train_pairs, self.plan.batch)
        ends = np.stack([self.data.pair_source[pairs], self.data.pair_target[pairs]])
        turned = generator.random(len(pairs)) < 0.5
        rows_s, rows_t = np.where(turned, ends[::-1], ends)
        return self.pictures(rows_s), self.pictures(rows_t), rows_s, rows_t

    def counted(self, rows: Rows, cells: int) -> Tensor:
        """(B, cells, cells) bool: cells in the boxes of objects `rows` (B,), or all cells."""
        if not self.box:
            return torch.ones(len(rows), cells, cells, dtype=torch.bool, device=self.device)
        return cells_in_boxes(self.data, rows, cells).to(self.device)

    def validate(self, phase: loop.Phase, latest: Mapping[str, float]) -> loop.Scores:
        """PCK@0.1 on the val pairs."""

        def carry(pairs: Rows, points: Tensor) -> Tensor:
            source = self.pictures(self.data.pair_source[pairs])
            target = self.pictures(self.data.pair_target[pairs])
            return self.fields.carry(source, target, points.to(self.device))

        return {"pck@0.1": pair_pck(self.data, "val", self.size, carry)}

    def collapses(self, records: Sequence[Record]) -> list[str]:
        """None is known that the validation score does not show."""
        return []


def distance_from_warp(found: Tensor, warp: Warp) -> Tensor:
    """L1 distance in cells of a field (B, 2, h, w) and the known warps, mean over the cells that
    the warp keeps in the picture."""
    height, width = found.shape[-2:]
    true = warp.field(height, width).to(found.device)
    end = true.new_tensor([width, height]).view(1, 2, 1, 1) - 0.5
    valid = ((true > -0.5) & (true < end)).all(dim=1)
    return mean_where((found - true).abs().sum(dim=1), valid)


def mean_where(values: Tensor, where: Tensor) -> Tensor:
    """The mean of `values` where the bool tensor of the same size is True; 0 where it never is."""
    return (values * where).sum() / where.sum().clamp_min(1)


def check_boxes(data: Dataset, rows: Rows) -> None:
    """Raise JladkitError unless all objects `rows` have a box."""
    missing = int((~np.isfinite(data.object_box[rows])).any(axis=1).sum())
    if missing:
        raise JladkitError(
            f"{data.path}: the weak loss looks inside the objects' boxes, but {missing} objects of "
            "train pairs have none. Give --set loss.box=false to look everywhere."
        )
