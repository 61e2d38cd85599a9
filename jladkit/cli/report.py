"""jladkit report: result files -> tables, figures and a page."""

from importlib import import_module
from pathlib import Path

import click

from jladkit.errors import UsageError
from jladkit.formats.dataset import SPLITS
from jladkit.formats.outside import FRAMES
from jladkit.registry import load, names

# What a table can have a row or a column for (jladkit.reports.pivot).
ROWS = ("method", "category", "setting", "backbone")
COLUMNS = (*ROWS, "dataset", "protocol", "split")


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
@click.option(
    "--rows",
    type=click.Choice(ROWS),
    help="Also tables/pivot: a row for each of these. `setting` is the alpha of PCK, the variant "
    "of IOD.",
)
@click.option("--columns", type=click.Choice(COLUMNS), help="Its columns.")
@click.option(
    "--metric",
    type=click.Choice(list(names("metric"))),
    help="Its metric.  [default: the only one there is]",
)
@click.option("--alpha", type=float, help="Its tolerance.  [default: 0.1]")
def command(
    results: tuple[Path, ...],
    out: Path,
    data: Path | None,
    predictions: tuple[Path, ...],
    split: str,
    frame: str,
    tables: str | None,
    rows: str | None,
    columns: str | None,
    metric: str | None,
    alpha: float | None,
) -> None:
    """Turn result files into tables (Markdown, CSV, LaTeX), figures and a page.

    RESULT is a file that `jladkit evaluate --out` wrote, or a folder to search for such files.
    Results of different data, split or protocol never share a column. The best is bold where a
    paired test finds its difference from the second, by the tables of items beside the results.

    The page, index.html, stands alone. With --data and --predictions it shows pairs too, at most
    24 of them in 3 MB of pictures, and warps where `predict --dense` stored the fields.

    \b
    jladkit report results/ --out report/
    jladkit report results/ --out report/ --data birds.h5 --predictions joint.h5
    jladkit report results/ --out report/ --rows method --columns category --metric pck --alpha 0.1
    """
    if (rows is None) != (columns is None):
        raise UsageError("Give --rows and --columns together: a table needs both.")
    if rows is None and not (metric is None and alpha is None):
        raise UsageError("--metric and --alpha are of the table of --rows and --columns.")
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
        asked=None if rows is None or columns is None else (rows, columns, metric, alpha),
        compare=load("metric", "jladkit.evaluators.comparison:compare"),
    )
    for path in written[:-1]:
        click.echo(f"Wrote {path}", err=True)
    click.echo(f"Wrote {written[-1]}: open it in a browser.", err=True)
    click.echo(written[-1])
