"""The networks in bfloat16 against float32: what it costs in PCK, and what it saves in time.

Wanted: a validation PCK@0.1 within one point, on the demo's drawn data, trained by the `cpu` recipe
with two rounds as the demo does. Each precision is trained with SEEDS and sees the same pairs in the
same order. A step is that of `training`: times are of the processor, one thread (OMP_NUM_THREADS=1).
Takes about half an hour.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from timing import show, take_turns
from training import PHASES, trainee, whole_step

from jladkit.api import load_method, open_dataset, predict
from jladkit.evaluators.pck import evaluate
from jladkit.evaluators.seeds import rows_of_seeds
from jladkit.formats.dataset import Dataset
from jladkit.training.joint import Joint

KINDS = ("float32", "bfloat16")
SEEDS = (0, 1, 2)
SCORE = "pck@0.1"


def drawn(folder: Path) -> Dataset:
    """The demo's data set."""
    words = ["build-dataset", "synthetic", folder / "source", "--out", folder / "data.h5"]
    command = [sys.executable, "-m", "jladkit", *map(str, words), "--images", "70", "--seed", "0"]
    subprocess.run(command, check=True, capture_output=True)
    return open_dataset(folder / "data.h5")


def items(data: Dataset, kind: str, seed: int, folder: Path) -> pd.DataFrame:
    """What each validation pair scores after a training."""
    settings = [f"train.precision={kind}", f"train.seed={seed}", "train.rounds=2"]
    out = folder / f"{kind}-{seed}"
    Joint.train(data, "cpu", settings, out, device=torch.device("cpu"), cache=folder / "maps",
                progress=False)  # fmt: skip
    said = predict(data, load_method(checkpoint=out), split="val")
    table = evaluate(data, said, "jlad", (0.1,))[1]
    print(f"{kind}, seed {seed}: {100 * table[SCORE].mean():.1f} PCK@0.1", flush=True)
    return table


def show_scores(tables: Mapping[str, Sequence[pd.DataFrame]]) -> None:
    """Means over the seeds, and their difference on the same pairs with its interval."""
    rows = rows_of_seeds(tables, SCORE, "float32")
    print(f"\nvalidation PCK@0.1, mean over {len(SEEDS)} seeds and {rows[0].mean.count} pairs")
    for row in rows:
        print(f"  {row.label:<44}{percent(row.mean.value)}, {percent(row.deviation)} over seeds")
    gap = rows[1].gap
    assert gap is not None
    print(f"  {'bfloat16 less float32 (wanted: within 1)':<44}{percent(gap.value)} "
          f"[{percent(gap.low)}, {percent(gap.high)}]")  # fmt: skip


def percent(value: float | None) -> str:
    """A share as percent; a dash of nothing."""
    return "-" if value is None else f"{100 * value:.1f}"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = drawn(folder)
        tables = {kind: [items(data, kind, seed, folder) for seed in SEEDS] for kind in KINDS}
        show_scores(tables)
        for phase in PHASES:
            steps = {k: whole_step(trainee(data, f"train.precision={k}"), phase) for k in KINDS}
            show(f"a step of phase {phase}", take_turns(steps, 7, time.process_time),
                 {"float32 / bfloat16": KINDS})  # fmt: skip


if __name__ == "__main__":
    main()
