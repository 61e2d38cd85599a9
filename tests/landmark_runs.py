"""A landmark baseline on the drawn data set, for the tests of each: small networks, few steps."""

from pathlib import Path
from typing import Any

import torch

from jladkit import registry
from jladkit.formats.dataset import Dataset
from jladkit.training import loop
from jladkit.training.landmarks import LandmarkTrainee
from jladkit.training.recipe import fill, read_recipe

CPU = torch.device("cpu")
TINY = [
    "model.size=32",
    "model.window=0",
    "model.offset=0",
    "model.weights='random'",
    "model.layers=['blocks.1']",
    "model.width=16",
    "train.batch=4",
    "train.precision='float32'",
    "train.validate_every=5",
]


def trainee(
    method: str, data: Dataset, *settings: str, recipe: str = "cpu", tiny: bool = True
) -> Any:
    """Its trainee, by a recipe with settings put over it."""
    cls = registry.load("method", method)
    table = read_recipe(method, recipe, [*(TINY if tiny else []), *settings])
    return cls.trainee(data, fill(cls.sections, table), device=CPU, cache=None, progress=False)


def trained(
    own: LandmarkTrainee, steps: int, phase: int = 0, rate: float = 3e-3
) -> list[dict[str, float]]:
    """The terms of each of `steps` steps; two batches of views take turns."""
    which = own.phases()[phase]
    named = dict(own.parameters(which))
    loop.freeze_all_but(own.net, named)
    optimiser = torch.optim.Adam(named.values(), lr=rate)
    return [loop.one_step(own, which, optimiser, named, 0, step % 2) for step in range(steps)]


def score_after_training(method: str, data: Dataset, out: Path, *settings: str) -> Any:
    """Train by the command's own way, load what it left, and return the loaded method."""
    cls = registry.load("method", method)
    best = cls.train(data, "cpu", [*TINY, *settings], out, device=CPU, progress=False)
    return cls.load(best, CPU)
