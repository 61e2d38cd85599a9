"""jladkit figure: those that read result files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from jladkit.cli import offers
from jladkit.cli.figure import OUT, check_figure, drawing, write
from jladkit.errors import UsageError

RESULTS = click.argument(
    "results", metavar="RESULT...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
ALPHA = click.option(
    "--alpha", type=click.FloatRange(0, 1, min_open=True),
    help="The tolerance.  [default: 0.1, or the middle one]",
)  # fmt: skip
METRIC = click.option("--metric", help="Only results of this one.")


def narrowing(function: Any) -> Any:
    """The options that say which results are meant, where there are others beside them."""
    for option in (
        click.option("--split", help="Only results of this one."),
        click.option(
            "--protocol", shell_complete=offers.protocols, help="Only results of this one."
        ),
        click.option("--dataset", metavar="NAME", help="Only results of this one."),
    ):
        function = option(function)
    return function


@click.command("pck")
@RESULTS
@narrowing
@OUT
def pck_command(results: tuple[Path, ...], out: Path, **which: str | None) -> None:
    """PCK over alpha, a line a method, with the 95 % intervals of the alphas that were asked for.

    RESULT is a file that `jladkit evaluate --out` wrote, or a folder to search. All results of PCK
    in it must be of the same data, split and protocol; --dataset, --protocol and --split choose.

    \b
    jladkit figure pck results/ --out pck.pdf
    """
    check_figure(out)
    write(drawing("figures:pck_curve")(board_of(results, "pck", which)), out)


@click.command("sparsification")
@RESULTS
@narrowing
@OUT
def sparsification_command(results: tuple[Path, ...], out: Path, **which: str | None) -> None:
    """PCK of the points kept, surest first, a line a method.

    \b
    jladkit figure sparsification results/ --out sparsification.pdf
    """
    check_figure(out)
    write(drawing("figures:sparsification_curve")(board_of(results, "sparsification", which)), out)


@click.command("categories")
@RESULTS
@METRIC
@narrowing
@ALPHA
@OUT
def categories_command(
    results: tuple[Path, ...], out: Path, metric: str | None, alpha: float | None,
    **which: str | None,
) -> None:  # fmt: skip
    """The score of each category and of all, with 95 % intervals, a colour a method.

    \b
    jladkit figure categories results/ --metric pck --alpha 0.1 --out categories.pdf
    """
    check_figure(out)
    write(drawing("bars:category_bars")(board_of(results, metric, which), alpha), out)


@click.command("strata")
@RESULTS
@click.option("--stratum", "strata", multiple=True, metavar="NAME",
              help="Only this one. May be repeated.  [default: all of several classes but keypoint]")  # fmt: skip
@narrowing
@ALPHA
@OUT
def strata_command(
    results: tuple[Path, ...], out: Path, strata: tuple[str, ...], alpha: float | None,
    **which: str | None,
) -> None:  # fmt: skip
    """PCK by what makes pairs hard: viewpoint, scale, truncation, occlusion, seen in training.

    \b
    jladkit figure strata results/ --out strata.pdf
    """
    check_figure(out)
    write(drawing("bars:strata_bars")(board_of(results, "pck", which), alpha, strata), out)


def board_of(results: Sequence[Path], metric: str | None, which: dict[str, str | None]) -> Any:
    """The results that are meant, which must be comparable.

    Raises:
        UsageError: none is left, or those that are left cannot be compared.
    """
    asked = {"metric": metric, **which}
    read = drawing("tables:read_entries")(results)
    kept = [
        (path, result) for path, result in read
        if all(value in (None, said(result, key)) for key, value in asked.items())
    ]  # fmt: skip
    boards = drawing("tables:boards")(kept)
    if len(boards) == 1:
        return boards[0]
    given = " ".join(f"--{key} {value}" for key, value in asked.items() if value is not None)
    known = boards if boards else drawing("tables:boards")(read)
    there = "; ".join(
        f"{len(board.entries)} of --metric {board.first.metric} --dataset {board.first.dataset} "
        f"--protocol {board.first.protocol['name']} --split {board.first.split}"
        for board in known
    )
    if not boards:
        raise UsageError(f"No result has {given}. There are: {there}.")
    raise UsageError(
        f"These results cannot be compared, so that one figure cannot have them all: {there}. "
        "Choose by these options, or give fewer files (data sets of one name may differ)."
    )


def said(result: Any, key: str) -> str:
    """What a result has of metric, dataset, protocol, split."""
    return result.protocol["name"] if key == "protocol" else getattr(result, key)
