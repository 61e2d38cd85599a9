"""A training step of each phase against the bare pass of its networks, and inference against the
backbone's two passes.

Wanted, with a frozen backbone: a step at most 1.25 times the heads' bare pass, their volumes given
and nothing else computed: forward through every head that (11) reads in the phase, backward through
those that it updates. Beside it stands the ratio to the updated heads alone, though (10) cannot be
had without the others. With a trained backbone: at most 1.25 times the backbone's own pass on the
same pictures; a pair at most 1.1 times two backbone passes. Both stand there for the small network and
for the paper's ResNet-101, beside which the heads weigh less. Also says what the step of a batch of 16
keeps for its backward pass, and its largest piece.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from drawn_pictures import written
from timing import show, take_turns
from torch import Tensor

from jladkit.formats.dataset import Dataset, open_dataset
from jladkit.model.joint import channels_last
from jladkit.training import loop
from jladkit.training.joint_recipe import SECTIONS
from jladkit.training.joint_trainee import JointTrainee
from jladkit.training.loading import batch_of
from jladkit.training.recipe import fill, read_recipe

CPU = torch.device("cpu")
PHASES = ("align", "detect")
STEP, HEADS, UPDATED = "step", "bare pass of the heads", "of the updated heads alone"
ALL, ALONE = "field, sigma and landmarks", "backbone alone"


def trainee(data: Dataset, recipe: str, *settings: str) -> JointTrainee:
    """The joint method by a recipe."""
    config = fill(SECTIONS, read_recipe("joint", recipe, settings))
    return JointTrainee(data, config, CPU, None, progress=False)


def whole_step(own: JointTrainee, name: str) -> Callable[[], object]:
    """A step as the loop takes it."""
    phase = loop.Phase(name, 1, 1e-3)
    named = dict(own.parameters(phase))
    optimiser = torch.optim.Adam(named.values(), lr=1e-3)

    def run() -> None:
        loop.freeze_all_but(own.net, named)
        loop.one_step(own, phase, optimiser, named, 0, 0)

    return run


def bare_pass(own: JointTrainee, name: str, others: bool) -> Callable[[], object]:
    """Forward and backward of the heads that the phase updates, on volumes of noise; with `others`
    also forward through those that it only reads."""
    net, batch, cells = own.joint, own.plan.batch, own.joint.cells
    volume = (2 * own.model.radius + 1) ** 2
    similarity = channels_last(torch.rand(batch, volume, cells, cells))
    pictures = channels_last(torch.rand(4 * batch, net.channels + volume, cells, cells))
    which = torch.zeros(4 * batch, dtype=torch.int64)  # both of a pair, a warped one and its origin
    named = dict(own.parameters(loop.Phase(name, 1, 1e-3)))

    def aligned() -> Tensor:
        return net.alignment(similarity, similarity).sum() + net.uncertainty(similarity).sum()

    def detected(number: int) -> Tensor:
        return net.landmarks(pictures[:number], which[:number]).sum()

    def run() -> None:
        loop.freeze_all_but(own.net, named)
        with net.lower(similarity):
            if others:
                with torch.no_grad():
                    _ = detected(2 * batch) if name == "align" else aligned()
            total = aligned() if name == "align" else detected(4 * batch)
        total.backward()

    return run


def backbone_pass(own: JointTrainee) -> Callable[[], object]:
    """Forward and backward of a trained backbone on the pictures of a batch of pairs."""
    images = torch.rand(2 * own.plan.batch, 3, own.model.size, own.model.size)

    def run() -> None:
        loop.freeze_all_but(own.net, dict(own.parameters(loop.Phase("align", 1, 1e-3))))
        own.joint.features(channels_last(images)).sum().backward()

    return run


def kept_for_backward(own: JointTrainee, name: str) -> tuple[int, int, tuple[int, ...]]:
    """Bytes in all, bytes of the largest tensor, and its shape."""
    pieces: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        pieces[tensor.data_ptr()] = tensor
        return tensor

    phase = loop.Phase(name, 1, 1e-3)
    loop.freeze_all_but(own.net, dict(own.parameters(phase)))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        total = own.loss(phase, np.random.default_rng(0))["total"]
    sizes = {key: tensor.untyped_storage().nbytes() for key, tensor in pieces.items()}
    del total
    largest = max(sizes, key=lambda key: sizes[key])
    return sum(sizes.values()), sizes[largest], tuple(pieces[largest].shape)


def inference(own: JointTrainee, data: Dataset) -> dict[str, Callable[[], object]]:
    """Eight pairs: everything the model says of them, and the backbone alone."""
    images = batch_of(data, np.arange(16), own.model.size)
    which = torch.zeros(16, dtype=torch.int64)
    net = own.joint.eval()

    @torch.inference_mode()
    def everything() -> None:
        found = net.features(images)
        net.align(*found.chunk(2))
        net.landmark_maps(found, which)

    @torch.inference_mode()
    def backbone() -> None:
        net.features(images)

    return {ALL: everything, ALONE: backbone}


def show_inference(title: str, own: JointTrainee, data: Dataset) -> None:
    times = take_turns(inference(own, data), rounds=5)
    show(title, times, {"all / backbone (wanted: 1.1)": (ALL, ALONE)})


def show_trained(title: str, own: JointTrainee) -> None:
    times = take_turns({STEP: whole_step(own, "align"), ALONE: backbone_pass(own)}, rounds=3)
    show(f"{title}, phase align", times, {"step / backbone (wanted: 1.25)": (STEP, ALONE)})


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder) / "noise.h5", objects=300, categories=1)
        data = open_dataset(path)
        for precision in ("float32", "bfloat16"):
            own = trainee(data, "cpu", "train.warps=1", f"train.precision={precision}")
            for name in PHASES:
                times = take_turns(
                    {
                        STEP: whole_step(own, name),
                        HEADS: bare_pass(own, name, others=True),
                        UPDATED: bare_pass(own, name, others=False),
                    },
                    rounds=5,
                )
                show(f"{precision}, frozen backbone, phase {name}", times,
                     {"step / heads (wanted: 1.25)": (STEP, HEADS),
                      "step / updated heads": (STEP, UPDATED)})  # fmt: skip
                total, largest, shape = kept_for_backward(own, name)
                print(f"  kept for backward: {total / 1e6:.0f} MB, the largest piece "
                      f"{largest / 1e6:.0f} MB, {shape}")  # fmt: skip
            show_inference(f"{precision}, inference of eight pairs", own, data)
        for precision in ("float32", "bfloat16"):
            # Of the heads: a backbone that is trained is float32. A batch of 16 pairs by the paper's would take
            # four times as long.
            asked = f"train.precision={precision}"
            own = trainee(data, "cpu", "train.warps=1", "train.backbone_from=blocks.4", asked)
            show_trained(f"{precision} heads, backbone trained from blocks.4", own)
            own = trainee(data, "fine", "train.warps=1", asked)
            show_trained(f"{precision} heads, the recipe fine, 384 px", own)
            show_inference(f"{precision}, the recipe fine, inference of eight pairs", own, data)
            own = trainee(data, "paper", "model.weights=random", "train.batch=4", asked)
            show_trained(f"{precision} heads, the paper's, four pairs", own)
            show_inference(f"{precision}, the paper's, inference of eight pairs", own, data)


if __name__ == "__main__":
    main()
