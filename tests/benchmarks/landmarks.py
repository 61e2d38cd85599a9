"""The landmark baselines by their `cpu` recipes: a training step against the bare passes of the same
networks, and detection against the network's bare rate.

Wanted: training at 0.8 of the pictures a second of a bare forward and backward pass (frozen
backbone, detector, painter and perceptual network, all that the step needs, on noise that lies
ready), detection at 0.9 of a bare forward pass. The last line of each shows detection with the
decoding of pictures too. DEIL's dense loss compares all places with all, which is no network.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawn_pictures import written
from timing import show, take_turns

from jladkit import registry
from jladkit.formats.dataset import Dataset, open_dataset
from jladkit.model.joint import channels_last
from jladkit.training import loop
from jladkit.training.encoding import Runner
from jladkit.training.recipe import fill, read_recipe

CPU = torch.device("cpu")
METHODS = ("strucrep", "cig", "fpe", "deil")
STEP, BARE, DETECTION, FORWARD, DECODED = (
    "training step",
    "bare forward and backward",
    "detection",
    "bare forward",
    "detection with decoding",
)


def trainee(method: str, data: Dataset) -> Any:
    """By the `cpu` recipe, maps of plain pictures in memory."""
    cls = registry.load("method", method)
    config = fill(cls.sections, read_recipe(method, "cpu"))
    return cls.trainee(data, config, device=CPU, cache=None, progress=False)


def whole_step(own: Any) -> Callable[[], object]:
    """A step as the loop takes it, another one each time."""
    phase = own.phases()[0]
    named = dict(own.parameters(phase))
    optimiser = loop.optimiser_of(phase, named)
    done = iter(range(10**6))

    def run() -> None:
        loop.freeze_all_but(own.net, named)
        loop.one_step(own, phase, optimiser, named, 0, next(done))

    return run


def bare_pass(method: str, own: Any) -> Callable[[], object]:
    """The networks that a step passes through, on noise."""
    net, batch, size = own.detector, own.plan.batch, own.size
    images = channels_last(torch.rand(2 * batch, 3, size, size))
    which = torch.zeros(2 * batch, dtype=torch.int64)
    places = torch.rand(batch, net.config.landmarks, 2)
    plain = own.views.config.warps == "strucrep"

    def run() -> None:
        loop.freeze_all_but(own.net, dict(own.parameters(own.phases()[0])))
        net.train()
        found = net.look(images)
        if method == "cig":
            total = net.scores(found[:batch], which[:batch]).sum()
            painted = net.generate(places, found[batch:])
            with net.lower(painted):
                with torch.no_grad():
                    own.perceptual(painted.detach())
                total = total + sum(m.float().sum() for m in own.perceptual(painted))
        else:
            scores = net.scores(found, which)
            total = scores.sum()
            if plain:
                features = net.describe(found[:batch], scores[:batch].softmax(dim=1))
                total = total + net.painted(places, features).sum()
        total.backward()

    return run


def detection(method: str, own: Any, data: Dataset) -> dict[str, Callable[[], object]]:
    """32 pictures, as `predict` asks for them and as the network alone takes them."""
    net = own.detector.eval()
    net.precision = torch.float32
    ready = registry.load("method", method)(net, {})
    rows = np.arange(32)
    images = own.views.images(rows)
    names = [data.categories[0]] * 32

    @torch.inference_mode()
    def whole() -> None:
        ready.detect(images, names)

    @torch.inference_mode()
    def bare() -> None:
        net.last(net.body(net.features(net.seen(images))))

    @torch.inference_mode()
    def decoded() -> None:
        Runner(ready, data, CPU).detect(rows, names)

    return {DETECTION: whole, FORWARD: bare, DECODED: decoded}


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder) / "noise.h5", objects=100, categories=1)
        data = open_dataset(path)
        for method in METHODS:
            own = trainee(method, data)
            times = take_turns({STEP: whole_step(own), BARE: bare_pass(method, own)}, rounds=7)
            show(f"{method}: {own.plan.batch} pictures in two views", times,
                 {"bare / step (wanted: 0.8)": (BARE, STEP)})  # fmt: skip
            print(f"  {own.plan.batch / times[STEP]:.0f} pictures a second in training")
            times = take_turns(detection(method, own, data), rounds=7)
            show(f"{method}: 32 pictures", times,
                 {"bare / detection (wanted: 0.9)": (FORWARD, DETECTION),
                  "bare / detection with decoding": (FORWARD, DECODED)})  # fmt: skip


if __name__ == "__main__":
    main()
