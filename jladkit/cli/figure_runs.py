"""jladkit figure: those of a training, of a reproduction, and of a data set."""

from pathlib import Path
from typing import Any

import click

from jladkit.cli.figure import OUT, check_figure, drawing, write
from jladkit.errors import JladkitError
from jladkit.formats.dataset import open_dataset
from jladkit.formats.log import LOG, read_log


@click.command("training")
@click.argument("run", type=click.Path(path_type=Path))
@OUT
def training_command(run: Path, out: Path) -> None:
    """The curves of a training: validation scores, terms of the loss, what shows a collapse.

    RUN is the folder of `jladkit train --out`; the training may still be going on.

    \b
    jladkit figure training runs/birds --out training.pdf
    """
    check_figure(out)
    write(drawing("curves:training_curves")(read_log(run / LOG), str(run)), out)


@click.command("dataset")
@click.argument("data", type=click.Path(path_type=Path))
@OUT
def dataset_command(data: Path, out: Path) -> None:
    """Histograms of a dataset.h5: objects and pairs by category and split, sizes, viewpoints.

    \b
    jladkit figure dataset birds.h5 --out birds.pdf
    """
    check_figure(out)
    write(drawing("histograms:dataset_histograms")(open_dataset(data)), out)


@click.command("alternations")
@click.argument("folder", type=click.Path(path_type=Path))
@OUT
def alternations_command(folder: Path, out: Path) -> None:
    """PCK and IOD over the alternations of a joint training.

    FOLDER is what `jladkit reproduce` made of one data set (OUT/NAME): test scores with intervals,
    mean over seeds, and the controls. Or the folder of a training: its validation scores.

    \b
    jladkit figure alternations reproduced/birds --out fig6.pdf
    """
    check_figure(out)
    if (folder / LOG).is_file():
        progress = drawing("alternations:progress_of")(read_log(folder / LOG))
        title = f"{folder}: validation scores"
    else:
        progress, seeds = reproduced(folder)
        title = f"{folder.name}, test split, mean of {seeds} seed{'s' * (seeds > 1)}"
    write(drawing("alternations:alternation_curve")(progress, title), out)


def reproduced(folder: Path) -> tuple[list[Any], int]:
    """The scores of a reproduction as jladkit.reports.alternations.Progress, and how many seeds
    they are of.

    Raises:
        JladkitError: the folder has no finished run `joint`.
    """
    from jladkit.cli.reproduce import EVALUATIONS, ROWS, SCORES, items_path, measured

    # A row is drawn when every seed of the first one has it. Ablations are another matter.
    first = ROWS[0]
    seeds = [
        seed
        for seed in sorted(int(p.name.removeprefix("seed-")) for p in folder.glob("joint/seed-*"))
        if all(items_path(folder, first, seed, *told).exists() for told in EVALUATIONS)
    ]
    rows = [
        row for row in ROWS
        if row.run == "joint" or row.label.startswith("control")
        if all(items_path(folder, row, seed, *told).exists()
               for seed in seeds for told in EVALUATIONS)
    ]  # fmt: skip
    own = [row for row in rows if row.run == "joint"]
    if not seeds or len(own) < 2:
        raise JladkitError(
            f"{folder} has neither {LOG} of a training nor scores of the run joint. Give the folder "
            "of a training, or OUT/NAME of a `jladkit reproduce` whose run joint has ended."
        )
    progress, point = drawing("alternations:Progress"), drawing("alternations:Point")
    found: list[Any] = []
    for (metric, _, column, _), scored in zip(SCORES, measured(folder, rows, seeds), strict=True):
        points = [
            point(one.mean.value, one.mean.low, one.mean.high, one.deviation) for one in scored
        ]
        controls = {row.label: p for row, p in zip(rows, points, strict=True) if row.run != "joint"}
        mine = [p for row, p in zip(rows, points, strict=True) if row.run == "joint"]
        found.append(
            progress(column if metric == "pck" else metric, dict(enumerate(mine)), controls)
        )
    return found, len(seeds)
