"""Any table of results: rows by one thing, columns by another, one metric at one setting.

Results that cannot be compared (another data set, protocol or split) never share a column: where
several boards have what was asked for, each has columns of its own.
"""

from collections.abc import Sequence
from typing import Any

from jladkit.errors import JladkitError, UsageError
from jladkit.reports.cells import NOT_EVALUATED, Cell, Table, grid_of, scored
from jladkit.reports.tables import Board, Entry, backbone_of, headline_alpha

ALL = "all"  # the column or row of a result's headline, beside its categories
FIELDS = ("method", "category", "setting", "backbone", "dataset", "protocol", "split")
OF_BOARDS = ("dataset", "protocol", "split")  # what tells boards apart
Row = dict[str, Any]


def pivot(
    boards: Sequence[Board], rows: str, columns: str, metric: str | None, alpha: float | None
) -> Table:
    """A table with a row for each value of the field `rows`, and a column for each of `columns`.

    A field is one of FIELDS; "setting" is the alpha of PCK and flow, the variant of IOD, the
    measure of others. Without it there is one setting: `alpha`, else 0.1, else the asked variant.

    Args:
        metric: whose results; None where all are of one metric.

    Raises:
        UsageError: the fields do not make a table, or nothing was asked for that there is.
        JladkitError: two results would stand in one place.
    """
    check_fields(rows, columns, alpha)
    chosen = of_metric(boards, metric)
    cells: dict[tuple[str, str], Cell] = {}
    for board, name in zip(chosen, names_of(chosen), strict=True):
        for entry in board.entries:
            for row in rows_at(board, entry, {rows, columns}, alpha):
                for category in categories({rows, columns}, row):
                    value = fields_of(entry, row, category)
                    column = value[columns]
                    if len(chosen) > 1:
                        column = name if columns in OF_BOARDS else f"{column}, {name}"
                    put(cells, (value[rows], column), scored(entry, row, category=category))
    if not cells:
        raise UsageError(f"No {chosen[0].first.title} result has alpha {alpha:g}. Evaluate again.")
    heads = list(dict.fromkeys(column for _, column in cells))
    records = [
        {rows: name} | {h: cells[name, h] for h in heads if (name, h) in cells}
        for name in dict.fromkeys(row for row, _ in cells)
    ]
    told = caption(chosen, rows, columns, alpha)
    return Table("pivot", told, grid_of(records, NOT_EVALUATED))


def check_fields(rows: str, columns: str, alpha: float | None) -> None:
    """Raise UsageError unless two fields make a table whose columns can be compared."""
    if rows == columns:
        raise UsageError(f"--rows and --columns must differ, but both are {rows}.")
    if rows in OF_BOARDS:
        raise UsageError(
            f"--rows {rows} would put results into one column that cannot be compared. Give "
            f"--columns {rows} and another --rows."
        )
    if alpha is not None and "setting" in (rows, columns):
        raise UsageError("Give --alpha or the field `setting`, which has all of them, not both.")


def of_metric(boards: Sequence[Board], metric: str | None) -> list[Board]:
    """The boards of a metric.

    Raises:
        UsageError: there is none, or no metric was named and there are several.
    """
    there = list(dict.fromkeys(board.first.metric for board in boards))
    if metric is None and len(there) > 1:
        raise UsageError(f"Give --metric: the results are of {', '.join(there)}.")
    wanted = metric or there[0]
    if wanted not in there:
        raise UsageError(f"No result is of the metric {wanted}; there are {', '.join(there)}.")
    return [board for board in boards if board.first.metric == wanted]


def names_of(boards: Sequence[Board]) -> list[str]:
    """What each board is called in a heading: its data set, and whatever else differs."""
    ones = [board.first for board in boards]
    protocols = [f"{one.protocol['name']} {one.protocol['version']}" for one in ones]
    digests = {(one.dataset, one.dataset_digest) for one in ones}
    words = [[one.dataset] for one in ones]
    if len(digests) > len({one.dataset for one in ones}):
        words = [[*own, one.dataset_digest[:6]] for own, one in zip(words, ones, strict=True)]
    for values in (protocols, [one.split for one in ones]):
        if len(set(values)) > 1:
            words = [[*own, value] for own, value in zip(words, values, strict=True)]
    names = [" ".join(own) for own in words]
    # One name and version of a protocol may still stand for two sets of choices.
    return [
        name if names.count(name) == 1 else f"{name} ({names[:place].count(name) + 1})"
        for place, name in enumerate(names)
    ]


def rows_at(board: Board, entry: Entry, fields: set[str], alpha: float | None) -> list[Row]:
    """The rows of a result that the table is about: all of them if it has settings, else one.

    Raises:
        UsageError: an alpha for a metric that has none.
    """
    if "setting" in fields:
        return entry.result.results
    if "alpha" not in entry.result.results[0]:
        if alpha is not None:
            raise UsageError(f"--alpha is of PCK and flow; {board.first.title} has none.")
        return entry.result.results[:1]
    wanted = headline_alpha(board) if alpha is None else alpha
    return [row for row in entry.result.results if row["alpha"] == wanted][:1]


def categories(fields: set[str], row: Row) -> list[str | None]:
    """The categories whose scores are asked for; None is the headline of all."""
    return [*row["categories"], None] if "category" in fields else [None]


def fields_of(entry: Entry, row: Row, category: str | None) -> dict[str, str]:
    """What each of FIELDS says of one score."""
    return {
        "method": entry.label,
        "category": ALL if category is None else category,
        "setting": setting_of(row),
        "backbone": backbone_of(entry.result),
        "dataset": entry.result.dataset,
        "protocol": entry.result.protocol["name"],
        "split": entry.result.split,
    }


def setting_of(row: Row) -> str:
    """The variant, measure or alpha of a row."""
    named = row.get("variant", row.get("measure"))
    return str(named) if named is not None else f"{row['alpha']:g}" if "alpha" in row else ALL


def put(cells: dict[tuple[str, str], Cell], place: tuple[str, str], cell: Cell) -> None:
    """Add a cell, unless another result has its place.

    Raises:
        JladkitError: two results would stand in one place.
    """
    if place in cells:
        names = [own.entry.label for own in (cells[place], cell) if own.entry is not None]
        raise JladkitError(
            f"Two results would stand at {' / '.join(place)}: {' and '.join(names)}. Choose --rows "
            "and --columns that tell them apart, or give fewer results."
        )
    cells[place] = cell


def caption(boards: Sequence[Board], rows: str, columns: str, alpha: float | None) -> str:
    """What the table shows, in words."""
    first = boards[0].first
    one = "alpha" in first.results[0] and "setting" not in (rows, columns)
    at = f"@{headline_alpha(boards[0]) if alpha is None else alpha:g}" if one else ""
    where = (
        boards[0].title.partition(" on ")[2] if len(boards) == 1 else "several data or protocols"
    )
    protocol = f", {boards[0].protocol.partition(':')[0]}" if len(boards) == 1 else ""
    less = "" if first.results[0]["higher_is_better"] else "; less is better"
    return f"{first.title}{at} on {where}{protocol}, {rows} by {columns}{less}"
