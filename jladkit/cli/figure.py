"""jladkit figure: one command a figure. Only those that run a model import torch."""

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from jladkit import registry
from jladkit.cli import LazyGroup
from jladkit.errors import JladkitError, UsageError, did_you_mean
from jladkit.formats.files import check_output

FIGURES = {
    "self-similarity": "jladkit.cli.figure_models:similarity_command",
    "uncertainty": "jladkit.cli.figure_models:uncertainty_command",
    "alternations": "jladkit.cli.figure_runs:alternations_command",
    "alignment": "jladkit.cli.figure_models:alignment_command",
    "matches": "jladkit.cli.figure_predictions:matches_command",
    "landmark-pairs": "jladkit.cli.figure_predictions:pairs_command",
    "landmarks": "jladkit.cli.figure_predictions:landmarks_command",
    "pck": "jladkit.cli.figure_results:pck_command",
    "sparsification": "jladkit.cli.figure_results:sparsification_command",
    "categories": "jladkit.cli.figure_results:categories_command",
    "strata": "jladkit.cli.figure_results:strata_command",
    "training": "jladkit.cli.figure_runs:training_command",
    "dataset": "jladkit.cli.figure_runs:dataset_command",
}

SUMMARIES = {
    "self-similarity": "A pair's self-similarity maps at the same keypoints (the paper's Fig. 4).",
    "uncertainty": "Warps of several models and where they are unsure (Fig. 5).",
    "alternations": "PCK and IOD over the alternations of a training (Fig. 6).",
    "alignment": "Source, target, and a column of warps for each method (Fig. 7).",
    "matches": "Source, and a target with keypoints and errors for each method.",
    "landmark-pairs": "Landmarks of the two pictures of pairs (Fig. 8).",
    "landmarks": "Landmarks over many objects of a category, faces say (Fig. 9, 10).",
    "pck": "PCK over alpha, a line a method.",
    "sparsification": "PCK of the surest points, a line a method.",
    "categories": "Scores by category with intervals, a colour a method.",
    "strata": "PCK by what makes pairs hard: viewpoint, scale, occlusion ...",
    "training": "The curves of a training: scores, losses, what shows a collapse.",
    "dataset": "What is in a data set: counts, sizes, viewpoints.",
}


@click.command("figure", cls=LazyGroup, table=lambda: FIGURES, summaries=SUMMARIES)
def command() -> None:
    """One figure as a file: .pdf or .svg (vectors), or .png, by the ending of --out.

    A keypoint or landmark has one colour and shape in all of them, and the colours can be told
    apart by colour-blind readers. The same input gives the same bytes.

    \b
    jladkit figure pck results/ --out pck.pdf
    jladkit figure alignment --data birds.h5 --method nearest --checkpoint runs/birds --out fig7.pdf
    """


OUT = click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="FILE",
    help="The figure to write: .pdf, .svg or .png.",
)  # fmt: skip


def check_figure(out: Path) -> None:
    """Refuse an ending or a place before the work for it is done.

    Raises:
        UsageError: --out has another ending, or is a folder.
    """
    drawing("figures:kind_of")(out)
    check_output(out)


def drawing(name: str) -> Any:
    """A function of jladkit.reports by "module:function", for the core imports no report."""
    return registry.load("metric", f"jladkit.reports.{name}")


def write(figure: Any, out: Path, *notes: str) -> None:
    """Write a figure and say so."""
    import_module("jladkit.reports.figures").save(figure, out)
    click.echo(f"Wrote {out}{'' if not notes else ': '}{', '.join(notes)}.", err=True)


def one_category(known: list[str], category: str | None) -> int | None:
    """The row of --category; None where none is given.

    Raises:
        UsageError: there is none of that name.
    """
    if category is None:
        return None
    if category not in known:
        raise UsageError(
            f"There is no category {category!r}.{did_you_mean(category, known)} Known: "
            f"{', '.join(known)}."
        )
    return known.index(category)


def chosen(codes: Any, rows: Any, count: int, seed: int, what: str) -> Any:
    """`count` of `rows`, spread over the categories.

    Raises:
        JladkitError: there are no rows.
    """
    if not len(rows):
        raise JladkitError(f"There is no {what} to draw in this split and category.")
    return drawing("contact_sheet:choose")(codes[rows], rows, count, seed)
