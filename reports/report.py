"""Tables, figures and one self-contained page from result files."""

from collections.abc import Sequence
from pathlib import Path

from jladkit.errors import UsageError
from jladkit.formats.dataset import Dataset, open_dataset
from jladkit.formats.files import check_folder, write_text
from jladkit.formats.outside import read_predictions
from jladkit.formats.predictions import Predictions
from jladkit.reports import figures, tables
from jladkit.reports.board_tables import tables as tables_of
from jladkit.reports.cells import FORMS, Table
from jladkit.reports.gallery import gallery
from jladkit.reports.page import page
from jladkit.reports.paper_tables import paper_tables
from jladkit.reports.pivot import pivot
from jladkit.reports.ranking import Compare, ranked, teller
from jladkit.reports.tables import Board

# By what stands on a curve's axis: how it is drawn.
CURVES = {"alpha": figures.pck_curve, "kept": figures.sparsification_curve}


def report(
    results: Sequence[Path],
    out: Path,
    *,
    data: Path | None = None,
    predictions: Sequence[Path] = (),
    split: str = "test",
    frame: str = "crop",
    paper: bool = False,
    asked: tuple[str, str, str | None, float | None] | None = None,
    compare: Compare | None = None,
) -> list[Path]:
    """Write everything a reader of these results may want, below `out`.

    tables/BOARD-*.md, .tex, .csv and .html as people read them, tables/BOARD.csv with every number
    unrounded, figures/BOARD.png and .svg, figures/pairs.png when predictions are given, and
    index.html, which holds all of it and needs nothing beside it.

    Args:
        results: result files, or folders to search for them.
        out: a folder; files of earlier reports in it are replaced one by one.
        data: the data set of `predictions`, which the pictures of pairs need.
        predictions: files whose pairs are drawn, each method in a column.
        split, frame: of predictions that others made (jladkit.formats.outside).
        paper: also tables/paper-1 to paper-4, laid out as the paper's, its numbers beside these.
        asked: also tables/pivot, made of rows, columns, metric and alpha (jladkit.reports.pivot).
        compare: what tests a difference (jladkit.reports.ranking); without it no best is bold.

    Returns:
        What was written, index.html last.

    Raises:
        UsageError: predictions without data, data without predictions, or a pivot that is none.
        JladkitError: a file is missing or broken, or they do not belong together.
    """
    if (data is None) != (not predictions):
        raise UsageError("Give --data and --predictions together: pictures of pairs need both.")
    check_folder(out)
    boards = tables.boards(tables.read_entries(results))
    tell = None if compare is None else teller(compare)
    # Made before anything is written: what fails here leaves nothing half-done.
    wanted = None if asked is None else ranked(pivot(boards, *asked), tell)
    drawn = None if data is None else opened_together(data, predictions, split, frame)
    pairs = None if drawn is None else figures.matched_pairs(*drawn)
    written: list[Path] = []
    sections: list[tuple[Board, list[Table]]] = []
    for board in boards:
        write_figure(board, out, written)
        shown = [ranked(table, tell) for table in tables_of(board)]
        for table in shown:
            write_table(out, f"{board.slug}-{table.name}", table, written)
        write(out / "tables" / f"{board.slug}.csv", tables.tidy(board).to_csv(index=False), written)
        sections.append((board, shown))
    extra = [ranked(table, tell) for table in paper_tables(boards)] if paper else []
    for table in [*extra, *([] if wanted is None else [wanted])]:
        write_table(out, table.name, table, written)
    shown_pairs, of = None, ""
    if drawn is not None and pairs is not None:
        path = out / "figures" / "pairs.png"
        figures.save(pairs, path)
        written.append(path)
        shown_pairs, of = gallery(*drawn), f"{drawn[0].name}, {drawn[1][0].split} split"
    write(out / "index.html", page(sections, shown_pairs, of, wanted), written)
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


def write_table(out: Path, stem: str, table: Table, written: list[Path]) -> None:
    """Write a table in all its forms."""
    for ending, form in FORMS.items():
        write(out / "tables" / f"{stem}.{ending}", form(table), written)


def write_figure(board: Board, out: Path, written: list[Path]) -> None:
    """Write a board's curve as PNG and SVG, if it has one."""
    axes = [axis for axis in CURVES if any(e.result.curve.get(axis) for e in board.entries)]
    if not axes:
        return
    figure = CURVES[axes[0]](board)
    for kind in ("svg", "png"):
        path = out / "figures" / f"{board.slug}.{kind}"
        figures.save(figure, path)
        written.append(path)
