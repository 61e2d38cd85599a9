"""Best and second among scores that can be compared, and whether their difference can be chance.

A best is marked as best only where a paired test over images finds its difference from the second.
Without the tables of items beside the results nothing can be tested, and nothing is marked best.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from jladkit.errors import JladkitError
from jladkit.reports.cells import BEST, SECOND, Cell, Measure, Table
from jladkit.reports.tables import Entry, board_key

LEVEL = 0.05
RULE = (
    "Bold: the best, where its difference from the second is significant (paired sign-flip test over "
    "images, p < 0.05, not corrected for the number of columns). Underlined: the second, and a best "
    "that is not told apart from it."
)
UNTESTED = " {} could not be tested, for tables of items are missing or hold no such score."
# jladkit.evaluators.comparison.compare: tables of items a and b, a column, an aggregation ->
# (a record with p, ...). The command line hands it over, for reports do not know evaluators.
Compare = Callable[..., Any]
# Whether a difference is no chance; None where that cannot be told.
Tell = Callable[[Entry, Entry, Measure], bool | None]


def teller(compare: Compare) -> Tell:
    """What tells two results apart: `compare` on the tables of items that lie beside them."""
    read = cache(read_items)

    @cache
    def told(a: Path, b: Path, measure: Measure) -> bool | None:
        items = [read(a), read(b)]
        tables = [own for own in items if own is not None and measure.column in own]
        if len(tables) < 2:
            return None
        if measure.category is not None:
            tables = [t[t["category"].astype(str) == measure.category] for t in tables]
        if not all(map(len, tables)):
            return None
        try:
            difference, _ = compare(*tables, measure.column, measure.aggregation)
        except JladkitError:  # tables of an earlier version, or not of the same items
            return None
        return None if difference.p is None else bool(difference.p < LEVEL)

    def tell(a: Entry, b: Entry, measure: Measure) -> bool | None:
        if a.result.items is None or b.result.items is None:
            return None
        first, second = (e.path.parent / Path(str(e.result.items)).name for e in (a, b))
        return told(first, second, measure)

    return tell


def read_items(path: Path) -> pd.DataFrame | None:
    """A table of items; None where there is none that can be read."""
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError):  # pyarrow's errors are ValueErrors
        return None


def ranked(table: Table, tell: Tell | None) -> Table:
    """`table` with its best and second marked, and a note of what decides.

    Scores of one board and one measure are ranked among each other, wherever they stand. Several
    that are equally good share a place.

    Args:
        table: to be marked.
        tell: whether two results differ; None where nothing can say so.
    """
    groups: dict[Any, list[Cell]] = {}
    for cell in (cell for row in table.grid.to_numpy().tolist() for cell in row):
        if cell.entry is not None and cell.measure is not None:
            groups.setdefault((board_key(cell.entry.result), cell.measure), []).append(cell)
    marks: dict[int, str] = {}
    untested = 0
    contests = [group for group in groups.values() if len(group) > 1]
    for group in contests:
        found, told = places(group, tell)
        marks |= found
        untested += told is None
    if not contests:
        return table
    grid = table.grid.map(lambda cell: replace(cell, mark=marks.get(id(cell), "")))
    note = f"{table.note} {RULE}"
    if untested:
        note += UNTESTED.format("Some columns" if untested < len(contests) else "These results")
    return replace(table, grid=grid, note=note)


def places(group: list[Cell], tell: Tell | None) -> tuple[dict[int, str], bool | None]:
    """The marks of cells of one measure, by their id, and whether best and second differ."""
    sign = -1 if group[0].measure is not None and group[0].measure.higher_is_better else 1
    order = sorted(group, key=lambda cell: sign * (cell.value or 0.0))
    best, second = order[0], order[1]
    told: bool | None = False  # what ties is not told apart
    if best.value != second.value:
        known = tell is not None and best.entry and second.entry and best.measure
        told = tell(best.entry, second.entry, best.measure) if tell and known else None  # pyright: ignore[reportArgumentType]
    marks = {id(cell): SECOND for cell in order if cell.value == second.value}
    return marks | {id(best): BEST if told else SECOND}, told
