"""jladkit report: result files -> tables, figures and a page."""

from importlib import import_module
from pathlib import Path

import click

from jladkit.formats.dataset import SPLITS
from jladkit.formats.outside import FRAMES


@click.command()
@click.argument(
    "results", metavar="RESULT...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for index.html, tables/ and figures/.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="The dataset.h5 to draw matched pairs from."
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A predictions file whose pairs are drawn; once for each method.",
)
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    default="test",
    show_default=True,
    help="The split that predictions of others (CSV, plain HDF5) are about.",
)
@click.option(
    "--frame",
    type=click.Choice(FRAMES),
    default="crop",
    show_default=True,
    help="What their x and y are pixels of, as in `jladkit evaluate`.",
)
@click.option(
    "--tables",
    type=click.Choice(["paper"]),
    help="Also tables laid out as the paper's Tables 1 to 4, its numbers beside these.",
)
def command(
    results: tuple[Path, ...],
    out: Path,
    data: Path | None,
    predictions: tuple[Path, ...],
    split: str,
    frame: str,
    tables: str | None,
) -> None:
    """Turn result files into tables (Markdown, CSV, LaTeX), figures and a page.

    RESULT is a file that `jladkit evaluate --out` wrote, or a folder to search for such files.
    Results of different data, split or protocol never share a table.

    \b
    jladkit report results/ --out report/
    jladkit report results/ --out report/ --data birds.h5 --predictions joint.h5
    """
    # By name, for the core imports none of the outer folders; late, for pandas and matplotlib
    # take their time.
    report = import_module("jladkit.reports.report").report
    written = report(
        results,
        out,
        data=data,
        predictions=predictions,
        split=split,
        frame=frame,
        paper=tables == "paper",
    )
    for path in written[:-1]:
        click.echo(f"Wrote {path}", err=True)
    click.echo(f"Wrote {written[-1]}: open it in a browser.", err=True)
    click.echo(written[-1])
