"""Predicting 600 pairs of 100 pictures, against encoding and decoding both pictures of every pair.

Wanted: at least 6 times as fast for nearest neighbours, where pictures are nearly all of the work:
1,200 of them against 100. The joint method (its networks untrained, which costs the same) spends
more on each pair, and its landmarks come from the codes of its pairs.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawn_pictures import written
from timing import show, take_turns
from torch import Tensor

from jladkit.baselines.nearest import Nearest
from jladkit.formats.dataset import Dataset, open_dataset
from jladkit.model.joint import JointNet, ModelConfig
from jladkit.training.encoding import Runner
from jladkit.training.joint import Joint
from jladkit.training.loading import batch_of
from jladkit.training.prediction import BATCH, carried, detected, names
from jladkit.training.validation import transfer_pairs

PICTURES, PAIRS = 100, 600
CPU = torch.device("cpu")


def drawn(folder: Path) -> tuple[Dataset, np.ndarray]:
    """A data set, and PAIRS rows of pair/* that join PICTURES of its objects in no order."""
    data = open_dataset(written(folder / "noise.h5", objects=3 * PICTURES, categories=1))
    pairs = data.pairs("test")
    return data, np.random.default_rng(0).choice(pairs, PAIRS, replace=False)


def once_a_pair(method: Any, data: Dataset, pairs: np.ndarray) -> np.ndarray:
    """The plain way: both pictures of every pair, decoded and encoded."""

    def carry(part: np.ndarray, points: Tensor) -> Tensor:
        source, target = (batch_of(data, side[part], method.size)
                          for side in (data.pair_source, data.pair_target))  # fmt: skip
        return method.transfer(source, target, points, names(data, data.pair_category[part]))

    return transfer_pairs(data, pairs, method.size, carry, BATCH)


def once_a_picture(method: Any, data: Dataset, pairs: np.ndarray) -> np.ndarray:
    """As jladkit predicts."""
    return carried(Runner(method, data, CPU), pairs, progress=False).points


def both_tasks(method: Any, data: Dataset, pairs: np.ndarray, objects: np.ndarray) -> None:
    """Pairs, then landmarks of their objects, as jladkit predicts."""
    runner = Runner(method, data, CPU)
    carried(runner, pairs, progress=False)
    detected(runner, objects, progress=False)


def candidates(
    method: Any, data: Dataset, pairs: np.ndarray, objects: np.ndarray
) -> dict[str, Callable[[], object]]:
    """What takes turns."""
    found: dict[str, Callable[[], object]] = {
        "once a pair": lambda: once_a_pair(method, data, pairs),
        "once a picture": lambda: once_a_picture(method, data, pairs),
    }
    if hasattr(method, "detect"):
        found["once a picture, and landmarks"] = lambda: both_tasks(method, data, pairs, objects)
    return found


def measure(methods: Sequence[Any], data: Dataset, pairs: np.ndarray) -> None:
    """Time each method and print its ratio."""
    objects = np.union1d(data.pair_source[pairs], data.pair_target[pairs])
    for method in methods:
        few = pairs[:64]
        shift = np.abs(once_a_pair(method, data, few) - once_a_picture(method, data, few))
        seconds = take_turns(candidates(method, data, pairs, objects), rounds=1)
        show(
            f"{method.name}: {len(pairs)} pairs of {len(objects)} pictures, "
            f"{torch.get_num_threads()} threads",
            seconds,
            {"once a pair / once a picture (wanted: 6)": ("once a pair", "once a picture")},
        )
        print(f"  {'largest difference of a point, px':<44}{np.nanmax(shift):10.4f}")


def main() -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        data, pairs = drawn(Path(folder))
        joint = Joint(JointNet(ModelConfig(), data.categories).eval(), {})
        measure([Nearest.prepare(data, CPU), joint], data, pairs)


if __name__ == "__main__":
    main()
