"""The joint method in training: its phases and the loss of each.

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

from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset
from jladkit.formats.log import Record
from jladkit.model import losses
from jladkit.model.backbones import from_layer
from jladkit.model.geometry import (
    cell_grid,
    from_normalised,
    landmark_positions,
    resize,
    resize_field,
    sample,
    to_normalised,
)
from jladkit.model.joint import JointNet, ModelConfig
from jladkit.model.warps import Warp, WarpRange
from jladkit.training import loop, ranks
from jladkit.training.checkpoint import read_checkpoint
from jladkit.training.collapse import collapses
from jladkit.training.joint_recipe import LossConfig, TrainConfig, margin_for
from jladkit.training.pictures import (
    Pictures,
    check_pairs,
    objects_in_use,
)
from jladkit.training.saving import model_file
from jladkit.training.synthetic_pairs import SyntheticPairs, noisy
from jladkit.training.trained import label_of
from jladkit.training.validation import LandmarkScores, Sureness, landmark_iod, pair_pck

Rows = NDArray[np.int64]

# Where the sides have networks of their own, each keeps its own best weights. The field may be at its
# best when pretraining ends, and no uncertainty has been learned by then.
SIDES = (
    loop.Kept("pck@0.1", True, ("alignment.",)),
    loop.Kept("sigma", True, ("uncertainty.",)),
    loop.Kept("iod", False, ("landmarks.",)),
)
WHOLE = (loop.Kept("pck@0.1", True, ("",)),)  # of those that share a backbone which moves


def begin_with(net: JointNet, path: Path) -> None:
    """Give `net` the weights of a checkpoint.

    Raises:
        JladkitError: it is no checkpoint of the joint method, or one of another network.
    """
    tensors, _ = read_checkpoint(model_file(path), "joint")
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise JladkitError(
            f"train.start: {path} has another network than [model] and the data set's categories "
            f"ask for: {str(error).splitlines()[-1].strip()}"
        ) from error


class JointTrainee:
    """The joint method as jladkit.training.loop wants it."""

    def __init__(
        self,
        data: Dataset,
        config: dict[str, Any],
        device: torch.device,
        cache: Path | None,
        progress: bool,
    ) -> None:
        self.data, self.device = data, device
        self.model: ModelConfig = config["model"]
        self.losses: LossConfig = config["loss"]
        self.plan: TrainConfig = config["train"]
        self.batch = self.plan.batch  # of all processes together
        self.warp: WarpRange = config["warp"]
        self.goes_on = bool(self.plan.start)
        self.margin = self.losses.margin or margin_for(self.model.landmarks)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.plan.seed)
            net = JointNet(self.model, data.categories)
        if self.plan.start:
            begin_with(net, Path(self.plan.start))
        net.precision = getattr(torch, self.plan.precision)
        self.net: nn.Module = net.to(device)
        self.joint = net
        self.label: Mapping[str, Any] = label_of("joint", config, data, device)
        check_pairs(data)
        self.train_pairs = data.pairs("train")
        self.trained = from_layer(net.features.body, self.plan.backbone_from)
        self.frozen = not self.plan.backbone_from
        self.kept: Sequence[loop.Kept] = SIDES if self.frozen else WHOLE
        self.features = Pictures(
            data, net.features, self.model.size, cache=cache, device=device, progress=progress,
            trained_from=self.plan.backbone_from,
        )  # fmt: skip
        keeps = self.frozen or (self.plan.warps > 0 and self.features.can_keep)
        if keeps:
            self.features.keep(objects_in_use(data))
        self.synthetic = SyntheticPairs(
            self.features,
            data.objects("train"),
            self.warp,
            self.plan.seed,
            self.plan.warps if keeps and self.draws_warps() else 0,
        )

    def draws_warps(self) -> bool:
        """Whether any step looks at a warped picture."""
        plan, loss = self.plan, self.losses
        aligns, detects = plan.rounds * plan.align_steps, plan.rounds * plan.detect_steps
        return bool(
            plan.synthetic_steps or aligns * loss.anchors or detects * loss.keep_equivariance
        )

    def phases(self) -> list[loop.Phase]:
        plan, (first, second, third) = self.plan, self.plan.learning_rates
        slower = {"features.": plan.backbone_rate}
        phases = [loop.Phase("synthetic", plan.synthetic_steps, first, kept=SIDES)]  # W_F rests
        for number in range(plan.rounds):
            rate = second if number < (plan.rounds + 1) // 2 else third
            phases.append(loop.Phase("align", plan.align_steps, rate, factors=slower))
            phases.append(loop.Phase("detect", plan.detect_steps, rate, factors=slower))
        return phases

    def parameters(self, phase: loop.Phase) -> Iterable[tuple[str, nn.Parameter]]:
        both = ("alignment.", "landmarks.")
        wanted = {
            "synthetic": both if self.losses.pretrain_anchors else ("landmarks.",),
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
        pairs = generator.choice(self.train_pairs, self.batch)[ranks.share(self.batch)]
        terms = self.real_loss(phase.name, pairs)
        if phase.name == "align" and self.losses.anchors:
            warp, source, target, _ = self.warped_pair(generator)
            terms["anchors"] = self.anchors(warp, source, target, generator)
            terms["total"] = terms["total"] + self.losses.anchors * terms["anchors"]
        if phase.name == "detect" and self.losses.keep_equivariance:
            warp, source, target, which = self.warped_pair(generator)
            maps = [self.joint.landmark_maps(f, which) for f in (source, target)]
            terms["equivariance"] = self.equivariance(warp, *maps)
            weight = self.losses.detect[0] * self.losses.equivariance
            terms["total"] = terms["total"] + weight * terms["equivariance"]
        return terms

    def which(self, rows: Rows) -> Tensor:
        """(B,) categories of objects, as the landmark net wants them."""
        return torch.from_numpy(self.data.object_category[rows].astype(np.int64)).to(self.device)

    def synthetic_loss(self, generator: np.random.Generator) -> dict[str, Tensor]:
        """(1) for the alignment net, (2), (8), (9) for the landmark net, on warps of one picture."""
        warp, source, target, which = self.warped_pair(generator)
        maps_s, maps_t = (self.joint.landmark_maps(f, which) for f in (source, target))
        equal = self.equivariance(warp, maps_s, maps_t)
        terms = {"equivariance": equal, **self.detection_terms(maps_s, maps_t)}
        total = self.losses.equivariance * equal + self.detection(terms)
        if self.losses.pretrain_anchors:
            terms["anchors"] = self.anchors(warp, source, target, generator)
            total = total + self.losses.pretrain_anchors * terms["anchors"]
        return {**terms, "total": total}

    def warped_pair(self, generator: np.random.Generator) -> tuple[Warp, Tensor, Tensor, Tensor]:
        """Known warps, the features of the warped and of the plain pictures, their categories.

        Any object of train will do; none needs a partner.
        """
        own = ranks.share(self.batch)
        warp, source, target, rows = self.synthetic.draw(generator, self.batch, own)
        return warp, source, target, self.which(rows)

    def anchors(
        self, warp: Warp, source: Tensor, target: Tensor, generator: np.random.Generator
    ) -> Tensor:
        """(1), where the known warp stays in the picture and does not mirror it: no window of
        an alignment net reaches from one side to the other."""
        cells = self.joint.cells
        true = warp.field(cells, cells).to(self.device)
        valid = ((true > -0.5) & (true < cells - 0.5)).all(dim=1)
        valid &= ~warp.mirrored().to(self.device)[:, None, None]
        # The mean is over the valid cells of the whole batch, of which this may be a share.
        number = ranks.summed(valid.sum()).clamp_min(1) * (len(valid) / self.batch)
        if self.losses.noise:
            seeded = torch.Generator().manual_seed(int(generator.integers(2**62)))
            source, target = (self.bent(f, seeded) for f in (source, target))
        return losses.anchor_loss(self.joint.align(source, target).field, true, valid, number)

    def bent(self, features: Tensor, generator: torch.Generator) -> Tensor:
        """This process's share of a batch's features with noise, the same however many share it."""
        return noisy(features, self.losses.noise, generator, self.batch, ranks.share(self.batch))

    def equivariance(self, warp: Warp, maps_s: Tensor, maps_t: Tensor) -> Tensor:
        """(2), in [0, 1] of the picture's side."""
        side = maps_s.shape[-1]
        at_s = to_normalised(landmark_positions(maps_s), side, side)
        carried = from_normalised(warp(at_s.cpu()).to(self.device), side, side)
        return losses.equivariance_loss(
            (landmark_positions(maps_t) + 0.5) / side, (carried + 0.5) / side
        )

    def real_loss(self, phase: str, pairs: Rows) -> dict[str, Tensor]:
        """(11) on real pairs, without the terms that cannot teach what the phase updates."""
        align, moves = phase == "align", not self.frozen
        joint = self.losses.joint != "none"
        rows_s, rows_t = self.data.pair_source[pairs], self.data.pair_target[pairs]
        source, target = self.features(rows_s), self.features(rows_t)
        d, a, j = self.losses.align if align else self.losses.detect
        terms: dict[str, Tensor] = {}
        total = source.new_zeros(())
        maps: tuple[Tensor, Tensor] | None = None
        if not align or moves or joint:
            with torch.set_grad_enabled(not align or moves):
                maps = (
                    self.joint.landmark_maps(source, self.which(rows_s)),
                    self.joint.landmark_maps(target, self.which(rows_t)),
                )
                terms |= self.detection_terms(*maps)
                total = total + d * self.detection(terms)
        if align or moves or joint:
            with torch.set_grad_enabled(align or moves):
                found, log_sigma = self.joint.align(source, target)
                if align or moves:
                    terms |= self.alignment_terms(source, target, found, log_sigma)
                    total = total + a * terms["alignment"]
                    total = total + self.losses.identity * terms["displacement"]
            if joint and maps is not None:
                terms["joint"] = self.joint_term(*maps, found, log_sigma)
                total = total + j * terms["joint"]
        return {**terms, "total": total}

    def alignment_terms(
        self, source: Tensor, target: Tensor, found: Tensor, log_sigma: Tensor
    ) -> dict[str, Tensor]:
        """(6), the size of the field, and what shows a collapse."""
        warped = sample(target, found)
        with self.joint.lower(source):
            entropy = losses.window_cross_entropy(
                source, warped, self.losses.window, self.losses.temperature
            )
        height, width = found.shape[-2:]
        cells = height * width if self.losses.over_cells == "sum" else 1
        shift = (found - cell_grid(height, width, found.device)) / width
        return {
            "alignment": cells * losses.alignment_loss(entropy, log_sigma),
            "displacement": shift.square().sum(dim=1).mean(),
            "cross_entropy": entropy.detach().mean(),
            "log_sigma": log_sigma.detach().mean(),
            "log_sigma_deviation": ranks.deviation(log_sigma.detach()),
        }

    def joint_term(
        self, maps_s: Tensor, maps_t: Tensor, found: Tensor, log_sigma: Tensor
    ) -> Tensor:
        """(10) in the chosen form, on the finer grid of the landmark maps."""
        side = maps_s.shape[-1]
        form = {
            "printed": losses.joint_loss,
            "normalised": losses.normalised_joint_loss,
            "coordinates": losses.coordinate_joint_loss,
        }[self.losses.joint]
        sigma = resize(log_sigma[:, None], side, side)[:, 0]
        summed = self.losses.over_cells == "sum" and self.losses.joint == "printed"
        loss = form(maps_s, maps_t, resize_field(found, side, side), sigma)
        return side**2 * loss if summed else loss

    def detection_terms(self, maps_s: Tensor, maps_t: Tensor) -> dict[str, Tensor]:
        """(8), (9), the presence hinge and what shows a collapse, over both pictures."""
        maps = torch.cat([maps_s, maps_t])
        return {
            "concentration": losses.concentration_loss(maps),
            "separation": losses.separation_loss(losses.unit_positions(maps), self.margin),
            "presence": losses.presence_loss(maps),
            "peak": maps.detach().amax(dim=(-2, -1)).mean(),
            "background": 1 - maps.detach().sum(dim=1).mean(),
        }

    def detection(self, terms: Mapping[str, Tensor]) -> Tensor:
        """L_D."""
        return (
            self.losses.concentration * terms["concentration"]
            + self.losses.separation * terms["separation"]
            + self.losses.presence * terms["presence"]
        )

    def validate(self, phase: loop.Phase, latest: Mapping[str, float]) -> loop.Scores:
        """PCK@0.1 on the val pairs, as "sigma" how well log σ ranks their points' errors, and
        LandmarkScores of the val objects."""
        size = self.model.size
        scores: dict[str, float | None] = {
            name: latest[name] for name in self.unmoved(phase) if name in latest
        }

        def carry(pairs: Rows, points: Tensor) -> tuple[Tensor, Tensor]:
            source = self.features(self.data.pair_source[pairs])
            target = self.features(self.data.pair_target[pairs])
            return self.joint.carry_with_log_sigma(source, target, points.to(self.device))

        def detect(rows: Rows) -> Tensor:
            return self.joint.detect(self.features(rows), self.which(rows))

        if "pck@0.1" not in scores:
            sureness = Sureness(self.data, size, carry)
            scores["pck@0.1"] = pair_pck(self.data, "val", size, sureness.carry)
            known = scores["pck@0.1"] is not None
            scores["sigma"] = sureness.rank_correlation() if known else None
        if "iod" not in scores:
            scores |= landmark_iod(self.data, size, detect)._asdict()
        return scores

    def unmoved(self, phase: loop.Phase) -> tuple[str, ...]:
        """The scores that a phase cannot have changed."""
        field = ("pck@0.1", "sigma")
        if phase.name == "synthetic":
            return () if self.losses.pretrain_anchors else field
        if not self.frozen:
            return ()
        return LandmarkScores._fields if phase.name == "align" else field

    def collapses(self, records: Sequence[Record]) -> list[str]:
        """See jladkit.training.collapse."""
        return collapses(records, self.losses.identity)
