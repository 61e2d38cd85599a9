"""The joint method: its recipe, its phases, and what it offers once trained.

Pretraining on synthetic warps, (1) and (2) with (8) and (9); then alternation on real pairs:
phase "align" updates {W_A, W_C} and phase "detect" updates {W_D}, each with {W_F} where the
backbone is trained too. The loss is (11) with its own weights in each.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.model import losses
from jladkit.model.geometry import (
    cells_to_pixels,
    from_normalised,
    landmark_positions,
    pixels_to_cells,
    resize,
    resize_field,
    sample,
    to_normalised,
    transfer_points,
)
from jladkit.model.joint import JointNet, ModelConfig
from jladkit.model.warps import Warp, WarpRange, random_warp
from jladkit.training import loop
from jladkit.training.checkpoint import read_checkpoint
from jladkit.training.environment import environment
from jladkit.training.joint_recipe import SECTIONS, LossConfig, TrainConfig, margin_for
from jladkit.training.loading import batch_of, cached_features
from jladkit.training.recipe import as_table, fill, read_recipe
from jladkit.training.validation import pair_pck


def from_layer(body: nn.Module, layer: str) -> list[str]:
    """Names of the parameters of a backbone from `layer` on; none where that is "".

    Raises:
        UsageError: there is no such layer.
    """
    names = [name for name, _ in body.named_parameters()]
    start = next((i for i, name in enumerate(names) if name.startswith(f"{layer}.")), None)
    if layer and start is None:
        raise UsageError(f"train.backbone_from: no layer {layer!r}.")
    return names[start:] if layer else []


class JointTrainee:
    """The joint method as jladkit.training.loop wants it."""

    def __init__(
        self, data: Dataset, config: dict[str, Any], device: torch.device, progress: bool
    ) -> None:
        self.data, self.device = data, device
        self.model: ModelConfig = config["model"]
        self.losses: LossConfig = config["loss"]
        self.plan: TrainConfig = config["train"]
        self.warp: WarpRange = config["warp"]
        self.margin = self.losses.margin or margin_for(self.model.landmarks)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.plan.seed)
            net = JointNet(self.model, data.categories)
        self.net: nn.Module = net.to(device)
        self.joint = net
        self.label: Mapping[str, Any] = {
            "method": "joint",
            "config": as_table(config),
            "categories": data.categories,
            "dataset": data.name,
            "dataset_digest": data.digest,
            "environment": environment(str(device)),
        }
        self.train_pairs, self.val_pairs = data.pairs("train"), data.pairs("val")
        if not len(self.train_pairs) or not len(self.val_pairs):
            raise JladkitError(
                f"{data.path} has {len(self.train_pairs)} train and {len(self.val_pairs)} val "
                "pairs; training needs both."
            )
        self.trained = from_layer(net.features.body, self.plan.backbone_from)
        self.features = self.live_features
        if not self.plan.backbone_from:
            pairs = np.concatenate([self.train_pairs, self.val_pairs])
            rows = np.concatenate([data.pair_source[pairs], data.pair_target[pairs]])
            self.features = cached_features(net.features, data, rows, self.model.size, progress)

    def live_features(self, rows: NDArray[np.int64]) -> Tensor:
        """Features as the backbone gives them now: it is being trained."""
        return self.joint.features(batch_of(self.data, rows, self.model.size).to(self.device))

    def phases(self) -> list[loop.Phase]:
        plan, (first, second, third) = self.plan, self.plan.learning_rates
        phases = [loop.Phase("synthetic", plan.synthetic_steps, first)]
        for number in range(plan.rounds):
            rate = second if number < (plan.rounds + 1) // 2 else third
            phases.append(loop.Phase("align", plan.align_steps, rate))
            phases.append(loop.Phase("detect", plan.detect_steps, rate))
        return phases

    def parameters(self, phase: loop.Phase) -> Iterable[tuple[str, nn.Parameter]]:
        wanted = {
            "synthetic": ("alignment.", "landmarks."),
            "align": ("alignment.", "uncertainty."),
            "detect": ("landmarks.",),
        }[phase.name]
        for name, parameter in self.net.named_parameters():
            own = phase.name != "synthetic" and name.removeprefix("features.body.") in self.trained
            if name.startswith(wanted) or own:  # pretraining leaves W_F alone
                yield name, parameter

    def loss(self, phase: loop.Phase, generator: np.random.Generator) -> dict[str, Tensor]:
        if phase.name == "synthetic":
            return self.synthetic_loss(generator)
        pairs = generator.choice(self.train_pairs, self.plan.batch)
        terms = self.real_loss(phase.name, pairs)
        if phase.name == "detect" and self.losses.keep_equivariance:
            rows = self.data.pair_source[pairs]
            warp, source, target = self.warped_pair(rows, generator)
            maps = [self.joint.landmark_maps(f, self.which(rows)) for f in (source, target)]
            terms["equivariance"] = self.equivariance(warp, *maps)
            weight = self.losses.detect[0] * self.losses.equivariance
            terms["total"] = terms["total"] + weight * terms["equivariance"]
        return terms

    def which(self, rows: NDArray[np.int64]) -> Tensor:
        """(B,) categories of objects, as the landmark net wants them."""
        return torch.from_numpy(self.data.object_category[rows].astype(np.int64)).to(self.device)

    def synthetic_loss(self, generator: np.random.Generator) -> dict[str, Tensor]:
        """(1) for the alignment net, (2), (8), (9) for the landmark net, on warps of one picture."""
        pairs = generator.choice(self.train_pairs, self.plan.batch)
        rows = self.data.pair_source[pairs]
        warp, source, target = self.warped_pair(rows, generator)
        cells = self.joint.cells
        true = warp.field(cells, cells).to(self.device)
        valid = ((true > -0.5) & (true < cells - 0.5)).all(dim=1)
        anchors = losses.anchor_loss(self.joint.align(source, target).field, true, valid)
        maps_s = self.joint.landmark_maps(source, self.which(rows))
        maps_t = self.joint.landmark_maps(target, self.which(rows))
        equal = self.equivariance(warp, maps_s, maps_t)
        terms = self.detection_terms(maps_s, maps_t)
        total = anchors + self.losses.equivariance * equal + self.detection(terms)
        return {"anchors": anchors, "equivariance": equal, **terms, "total": total}

    def warped_pair(
        self, rows: NDArray[np.int64], generator: np.random.Generator
    ) -> tuple[Warp, Tensor, Tensor]:
        """Known warps of objects' pictures, and the features of the warped and of the plain ones."""
        seeded = torch.Generator().manual_seed(int(generator.integers(2**62)))
        warp = random_warp(len(rows), self.warp, seeded)
        images = batch_of(self.data, rows, self.model.size)
        with torch.no_grad():
            warped = warp.apply(images).contiguous(memory_format=torch.channels_last)
            return warp, self.joint.features(warped.to(self.device)), self.features(rows)

    def equivariance(self, warp: Warp, maps_s: Tensor, maps_t: Tensor) -> Tensor:
        """(2), in [0, 1] of the picture's side."""
        side = maps_s.shape[-1]
        at_s = to_normalised(landmark_positions(maps_s), side, side)
        carried = from_normalised(warp(at_s.cpu()).to(self.device), side, side)
        return losses.equivariance_loss(
            (landmark_positions(maps_t) + 0.5) / side, (carried + 0.5) / side
        )

    def real_loss(self, phase: str, pairs: NDArray[np.int64]) -> dict[str, Tensor]:
        """(11) on real pairs; what the phase cannot change is computed without gradients."""
        align, detect = phase == "align", phase == "detect"
        rows_s, rows_t = self.data.pair_source[pairs], self.data.pair_target[pairs]
        source, target = self.features(rows_s), self.features(rows_t)
        moves = bool(self.plan.backbone_from)
        with torch.set_grad_enabled(align or moves):
            found, log_sigma = self.joint.align(source, target)
            warped = sample(target, found)
            entropy = losses.window_cross_entropy(
                source, warped, self.losses.window, self.losses.temperature
            )
            l_a = losses.alignment_loss(entropy, log_sigma)
        with torch.set_grad_enabled(detect or moves):
            maps_s = self.joint.landmark_maps(source, self.which(rows_s))
            maps_t = self.joint.landmark_maps(target, self.which(rows_t))
            terms = self.detection_terms(maps_s, maps_t)
        l_j = self.joint_term(maps_s, maps_t, found, log_sigma)
        d, a, j = self.losses.align if align else self.losses.detect
        total = d * self.detection(terms) + a * l_a + j * l_j
        return {
            "alignment": l_a,
            "cross_entropy": entropy.mean(),
            "log_sigma": log_sigma.mean(),
            "joint": l_j,
            **terms,
            "total": total,
        }

    def joint_term(
        self, maps_s: Tensor, maps_t: Tensor, found: Tensor, log_sigma: Tensor
    ) -> Tensor:
        """(10) in the chosen form, on the finer grid of the landmark maps."""
        if self.losses.joint == "none":
            return found.new_zeros(())
        side = maps_s.shape[-1]
        form = losses.joint_loss
        if self.losses.joint == "normalised":
            form = losses.normalised_joint_loss
        sigma = resize(log_sigma[:, None], side, side)[:, 0]
        return form(maps_s, maps_t, resize_field(found, side, side), sigma)

    def detection_terms(self, maps_s: Tensor, maps_t: Tensor) -> dict[str, Tensor]:
        """(8), (9), the presence hinge and what shows a collapse, over both pictures."""
        maps = torch.cat([maps_s, maps_t])
        positions = losses.unit_positions(maps)
        return {
            "concentration": losses.concentration_loss(maps),
            "separation": losses.separation_loss(positions, self.margin),
            "presence": losses.presence_loss(maps),
            "peak": maps.detach().amax(dim=(-2, -1)).mean(),
            "spread_over_images": positions.detach().std(dim=0).mean(),
        }

    def detection(self, terms: dict[str, Tensor]) -> Tensor:
        """L_D."""
        return (
            self.losses.concentration * terms["concentration"]
            + self.losses.separation * terms["separation"]
            + self.losses.presence * terms["presence"]
        )

    def validate(self) -> dict[str, float]:
        """PCK@0.1 on the val pairs under the protocol `jlad`."""
        method = Joint(self.joint, {})

        def carry(pairs: NDArray[np.int64], points: Tensor) -> Tensor:
            source = self.features(self.data.pair_source[pairs])
            target = self.features(self.data.pair_target[pairs])
            category = [self.data.categories[code] for code in self.data.pair_category[pairs]]
            return method.transfer_encoded(source, target, points.to(self.device), category)

        score = pair_pck(self.data, "val", self.model.size, carry)
        return {"score": score, "pck@0.1": score}


class Joint:
    """The trained joint method: an EncodedMatcher and an EncodedDetector (jladkit.methods)."""

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
        tensors, label = read_checkpoint(path, cls.name)
        try:
            table = {**label["config"]["model"], "weights": "random"}  # all tensors are in the file
            config = fill({"model": ModelConfig}, {"model": table})["model"]
            net = JointNet(config, label["categories"])
            net.load_state_dict(tensors)
        except (KeyError, TypeError, RuntimeError, UsageError) as error:
            raise JladkitError(
                f"{path} does not fit this version, or its own config. Train again."
            ) from error
        net = net.to(device).eval()
        shown = {k: v for k, v in label.items() if k not in ("method", "environment")}
        return cls(net, shown)

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
        progress: bool = True,
    ) -> Path:
        """Train by a recipe (SECTIONS says what can stand in one); returns the best weights."""
        config = fill(SECTIONS, read_recipe(cls.name, recipe, settings))
        trainee = JointTrainee(data, config, device, progress)
        plan = trainee.plan
        return loop.train(
            trainee,
            out,
            seed=plan.seed,
            validate_every=plan.validate_every,
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
        cells = self.net.cells
        found = self.net.align(source, target).field
        moved = transfer_points(found, pixels_to_cells(points.float(), self.size, cells))
        return cells_to_pixels(moved, self.size, cells)

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
        maps = self.net.landmark_maps(codes, which)
        return cells_to_pixels(landmark_positions(maps), self.size, maps.shape[-1])
