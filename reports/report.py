"""Tables, figures and one self-contained page from result files."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from jladkit.errors import UsageError
from jladkit.formats.dataset import Dataset, open_dataset
from jladkit.formats.files import check_folder, to_json, write_text
from jladkit.formats.outside import read_predictions
from jladkit.formats.predictions import Predictions
from jladkit.reports import figures, tables
from jladkit.reports.paper_tables import paper_tables
from jladkit.reports.tables import Board, Table

# By what stands on a curve's axis: how it is drawn, and what a reader is told of it.
CURVES = {
    "alpha": (figures.pck_curve, "PCK over alpha; bars are 95 % intervals."),
    "kept": (
        figures.sparsification_curve,
        "PCK of the points kept when the most unsure are left out; bands are 95 % intervals.",
    ),
}


@dataclass(frozen=True)
class Section:
    """What the page shows of one board."""

    board: Board
    tables: list[Table]
    curve: str | None  # a picture as data: URI
    curve_is: str  # what it shows, in words


def report(
    results: Sequence[Path],
    out: Path,
    *,
    data: Path | None = None,
    predictions: Sequence[Path] = (),
    split: str = "test",
    frame: str = "crop",
    paper: bool = False,
) -> list[Path]:
    """Write everything a reader of these results may want, below `out`.

    tables/BOARD-*.md and .tex as people read them, tables/BOARD.csv with every number unrounded,
    figures/BOARD.png and .svg, figures/pairs.png when predictions are given, and index.html, which
    holds all of it and needs nothing beside it.

    Args:
        results: result files, or folders to search for them.
        out: a folder; files of earlier reports in it are replaced one by one.
        data: the data set of `predictions`, which the pictures of pairs need.
        predictions: files whose pairs are drawn, each method in a column.
        split, frame: of predictions that others made (jladkit.formats.outside).
        paper: also tables/paper-1 to paper-4, laid out as the paper's, its numbers beside these.

    Returns:
        What was written, index.html last.

    Raises:
        UsageError: predictions without data, or data without predictions.
        JladkitError: a file is missing or broken, or they do not belong together.
    """
    if (data is None) != (not predictions):
        raise UsageError("Give --data and --predictions together: pictures of pairs need both.")
    check_folder(out)
    entries = tables.read_entries(results)
    pairs = None
    drawn: tuple[Dataset, list[Predictions]] | None = None
    if data is not None:
        drawn = opened_together(data, predictions, split, frame)
        # Drawn before anything is written: what fails here leaves nothing half-done.
        pairs = figures.matched_pairs(*drawn)
    written: list[Path] = []
    sections: list[Section] = []
    for board in tables.boards(entries):
        curve, curve_is = write_figure(board, out, written)
        shown = tables.tables(board)
        for table in shown:
            stem = out / "tables" / f"{board.slug}-{table.name}"
            write(stem.with_name(stem.name + ".md"), tables.to_markdown(table), written)
            write(stem.with_name(stem.name + ".tex"), tables.to_latex(table), written)
        write(out / "tables" / f"{board.slug}.csv", tables.tidy(board).to_csv(index=False), written)
        sections.append(Section(board, shown, curve, curve_is))
    for table in paper_tables(tables.boards(entries)) if paper else ():
        stem = out / "tables" / table.name
        write(stem.with_suffix(".md"), tables.to_markdown(table), written)
        write(stem.with_suffix(".tex"), tables.to_latex(table), written)
        write(stem.with_suffix(".csv"), table.cells.to_csv(index=False), written)
        write(stem.with_suffix(".html"), table.cells.to_html(index=False), written)
    gallery = None
    if pairs is not None:
        path = out / "figures" / "pairs.png"
        figures.save(pairs, path)
        written.append(path)
        gallery = as_uri(path)
    write(out / "index.html", page(sections, gallery, drawn), written)
    return written


def opened_together(
    path: Path, predictions: Sequence[Path], split: str, frame: str
) -> tuple[Dataset, list[Predictions]]:
    """The data set, and the predictions that must have been made from it."""
    data = open_dataset(path)
    return data, [read_predictions(file, data, split, frame) for file in predictions]


def write(path: Path, text: str, written: list[Path]) -> None:
    """Write `text` and note the path."""
    write_text(path, text)
    written.append(path)


def write_figure(board: Board, out: Path, written: list[Path]) -> tuple[str | None, str]:
    """Write a board's curve as PNG and SVG; the PNG as data: URI, None for boards without, and
    what it shows."""
    axes = {axis for entry in board.entries for axis in CURVES if entry.result.curve.get(axis)}
    if not axes:
        return None, ""
    draw, told = CURVES[axes.pop()]
    figure: Figure = draw(board)
    for kind in ("svg", "png"):
        path = out / "figures" / f"{board.slug}.{kind}"
        figures.save(figure, path)
        written.append(path)
    return as_uri(written[-1]), told


def as_uri(path: Path) -> str:
    """A PNG file as a data: URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def page(
    sections: Sequence[Section],
    gallery: str | None,
    drawn: tuple[Dataset, list[Predictions]] | None,
) -> str:
    """index.html: everything inline, so that it can be sent as one file and opened offline."""
    environment = Environment(
        loader=PackageLoader("jladkit.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["parts"] = parts
    environment.filters["pretty"] = lambda value: to_json(value, indent=2)
    names = [one.method for one in drawn[1]] if drawn else []
    return environment.get_template("page.html").render(
        sections=sections,
        gallery=gallery,
        gallery_of=f"{drawn[0].name}, {drawn[1][0].split} split" if drawn else "",
        gallery_methods=names,
    )


def parts(cell: str) -> tuple[str, str]:
    """A table's cell as its number and its interval ("" for none), to be set in two sizes."""
    number, bracket, rest = cell.partition(" [")
    ends = rest.removesuffix("]").split(", ")
    if not bracket or len(ends) != 2:
        return cell, ""
    return number, f"[{rest}"
