"""jladkit reproduce"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pandas as pd

from jladkit import registry
from jladkit.cli import offers
from jladkit.cli.demo import step
from jladkit.cli.text import grid
from jladkit.formats.dataset import open_dataset
from jladkit.formats.files import write_text

# What is trained: a name, and what it changes in the recipe. All but the last begin with the weights of
# "separate", which is pretraining alone; the last has another network and is pretrained anew.
SEPARATE = "separate"
RUNS: dict[str, tuple[str, ...]] = {
    SEPARATE: (),
    "joint": (),
    "no-joint": ("loss.joint='none'",),
    # Under a pull of 80 fields are about as long as under (10) on pascal3d_cad.
    "pulled": ("loss.joint='none'", "loss.identity=80.0"),
    "wo-um": ("model.uncertainty=false",),
    "wo-ss": ("model.self_similarity=false",),
}


@dataclass(frozen=True)
class Row:
    """A row of Table 1: what a reader sees, the run that its weights are of, and which file."""

    label: str
    run: str
    weights: str = "model.safetensors"


CONTROL = "control: real pairs, without (10)"
ROWS = (
    Row("separate: synthetic warps only", SEPARATE),
    *(
        Row(f"joint, alternation {n}", "joint", f"after-{2 * n:02d}-detect.safetensors")
        for n in (1, 2, 3, 4)
    ),
    Row(CONTROL, "no-joint"),
    Row("control: the same, pulled to the identity", "pulled"),
    Row("joint without uncertainty (wo/UM)", "wo-um"),
    Row("joint without self-similarity (wo/SS)", "wo-ss"),
)
FITTED = 1000  # training objects that IOD regresses on, at most
# What is told of each row: metric, protocol, column of its table of items, head.
SCORES = (
    ("pck", "jlad", "pck@0.05", "PCK@0.05"),
    ("pck", "jlad", "pck@0.1", "PCK@0.1"),
    ("iod", "recommended", "iod:recommended", "IOD"),
)
EVALUATIONS = tuple(dict.fromkeys((metric, protocol) for metric, protocol, _, _ in SCORES))


@click.command("reproduce")
@click.argument("datasets", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder of runs and results."
)
@click.option(
    "--seed", "seeds", multiple=True, type=click.IntRange(min=0), default=(0, 1, 2),
    show_default=True, help="May be repeated.",
)  # fmt: skip
@click.option(
    "--run", "runs", multiple=True, type=click.Choice(list(RUNS)),
    help="Only these runs, and the rows they give; separate is always there.  [default: all]",
)  # fmt: skip
@click.option("--recipe", default="cpu", show_default=True, shell_complete=offers.recipes,
              help="As `train` takes it.")  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="As `train` takes it."
)
def command(
    datasets: tuple[Path, ...],
    out: Path,
    seeds: tuple[int, ...],
    runs: tuple[str, ...],
    recipe: str,
    settings: tuple[str, ...],
) -> None:
    """Table 1 on your data: separate against joint learning, each alternation, with controls.

    Trains every run with every seed, scores it, and writes OUT/NAME/table1.txt. What is done already
    is not done again, so a stopped call goes on where it was.
    """
    for path in datasets:
        name = open_dataset(path).name
        folder = out / name
        rows = [row for row in ROWS if not runs or row.run in (SEPARATE, *runs)]
        for seed in seeds:
            for run in dict.fromkeys(row.run for row in rows):
                one_run(path, folder, run, seed, recipe, settings, rows)
        lines = table(folder, rows, seeds, name)
        write_text(folder / "table1.txt", "\n".join(lines) + "\n")
        click.echo("\n".join(["", *lines]))


def one_run(
    data: Path,
    folder: Path,
    run: str,
    seed: int,
    recipe: str,
    settings: Sequence[str],
    rows: Sequence[Row],
) -> None:
    """Train one run with one seed and score the rows that it gives, unless that is done."""
    own = [row for row in rows if row.run == run]
    missing = [
        (row, metric, protocol)
        for row in own
        for metric, protocol in EVALUATIONS
        if not items_path(folder, row, seed, metric, protocol).exists()
    ]
    if not missing:
        return
    place = folder / run / f"seed-{seed}"
    said = [*RUNS[run], *settings, *length(folder, run, seed), f"train.seed={seed}"]
    resume = ["--resume"] if (place / "state.safetensors").exists() else []
    step("train", "--data", data, "--method", "joint", "--recipe", recipe, "--out", place,
         "--cache", folder / "cache", *(w for s in said for w in ("--set", s)), *resume)  # fmt: skip
    for row in dict.fromkeys(row for row, _, _ in missing):
        predicted = scores_folder(folder, row, seed) / "predictions.h5"
        step("predict", "--data", data, "--checkpoint", place / row.weights, "--out", predicted,
             "--fit-objects", FITTED, "--overwrite")  # fmt: skip
        for metric, protocol in EVALUATIONS:
            step("evaluate", "--data", data, "--metric", metric, "--protocol", protocol,
                 "--predictions", predicted, "--out", predicted.parent, "--json", quiet=True)  # fmt: skip
        predicted.unlink()


def length(folder: Path, run: str, seed: int) -> list[str]:
    """The settings that say where a run begins and ends."""
    if run == SEPARATE:
        return ["train.rounds=0"]
    whole = ["train.rounds=4", "train.snapshots=true"]
    if run == "wo-ss":
        return whole
    start = json.dumps(str(folder / SEPARATE / f"seed-{seed}"))
    return [*whole, "train.synthetic_steps=0", f"train.start={start}"]


def scores_folder(folder: Path, row: Row, seed: int) -> Path:
    """Where a row's scores lie."""
    return folder / row.run / f"seed-{seed}" / "scores" / Path(row.weights).stem


def items_path(folder: Path, row: Row, seed: int, metric: str, protocol: str) -> Path:
    """The per-item table that `evaluate` writes."""
    within = scores_folder(folder, row, seed) / folder.name / "joint"
    return within / f"{metric}-{protocol}-test.parquet"


def measured(folder: Path, rows: Sequence[Row], seeds: Sequence[int]) -> list[list[Any]]:
    """For each of SCORES, a jladkit.evaluators.seeds.SeedRow for each row."""
    rows_of = registry.load("metric", "jladkit.evaluators.seeds:rows_of_seeds")
    labels = [row.label for row in rows]
    columns: list[list[Any]] = []
    for metric, protocol, column, _ in SCORES:
        tables = {
            row.label: [
                pd.read_parquet(items_path(folder, row, seed, metric, protocol)) for seed in seeds
            ]
            for row in rows
        }
        columns.append(rows_of(tables, column, reference_of(labels)))
    return columns


def reference_of(labels: Sequence[str]) -> str:
    """The row that the others are compared with."""
    return CONTROL if CONTROL in labels else labels[0]


def table(folder: Path, rows: Sequence[Row], seeds: Sequence[int], name: str) -> list[str]:
    """Table 1 in words: its scores with intervals, and what they are above the control."""
    labels = [row.label for row in rows]
    columns = measured(folder, rows, seeds)
    head = ["", *(word for *_, told in SCORES for word in (told, "less the reference"))]
    body = [
        [label, *(cell for found in columns for cell in cells(found[at]))]
        for at, label in enumerate(labels)
    ]
    lines = grid(head, body)
    return [
        f"{name}: {len(seeds)} seeds, mean [95 % interval over images] ± deviation over seeds, percent.",
        f"Reference: {reference_of(labels)}.",
        "",
        *lines,
    ]


def cells(row: Any) -> list[str]:
    """A score and its distance from the reference, as two cells."""

    def spelled(value: float | None, low: float | None, high: float | None, form: str) -> str:
        if value is None:
            return "-"
        ends = "" if low is None or high is None else f" [{100 * low:{form}}, {100 * high:{form}}]"
        return f"{100 * value:{form}}{ends}"

    mean = spelled(row.mean.value, row.mean.low, row.mean.high, ".1f")
    if row.deviation is not None:
        mean += f" ± {100 * row.deviation:.1f}"
    gap = row.gap
    return [mean, "" if gap is None else spelled(gap.value, gap.low, gap.high, "+.1f")]
