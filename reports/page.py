"""index.html: every result on one page that needs nothing beside it.

The script is ours, small and inline; a content security policy lets the browser run that script and
no other, and fetch nothing. What results say enters the page as text.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from jladkit.formats.files import to_json
from jladkit.reports import chart
from jladkit.reports.cells import Cell, Table, parts
from jladkit.reports.made import commands
from jladkit.reports.palette import COLOURS
from jladkit.reports.paper_tables import reported_tables
from jladkit.reports.tables import Board, Entry, backbone_of, headline_alpha, percent, row_at

TASKS = {
    "pck": "semantic alignment",
    "iod": "landmark detection",
    "flow": "dense flow",
    "transfer": "transfer of masks",
    "sparsification": "uncertainty",
}
HEADLINES = ("PCK@0.1", "mean over pairs", "mean over images")
MEASURED, REPORTED = "measured", "reported"
NOT_STATED = "not stated"
AS_REPORTED = "as in the paper"


@dataclass(frozen=True)
class Shown:
    """A line of a table on the page: its cells, and whose result it is, if anybody's."""

    cells: list[Cell]
    place: int | None  # of the entry in its board
    pinned: bool  # a count or a floor: it stays on top when others are sorted


@dataclass(frozen=True)
class Sheet:
    """A table on the page; `higher` says of each column whether more is better, None of text.
    Its lines come ordered by the column `by`, the best first; None for as they are."""

    table: Table
    lines: list[Shown]
    higher: list[bool | None]
    by: int | None = None


@dataclass(frozen=True)
class Section:
    """A board on the page, or a table of the paper."""

    anchor: str
    title: str
    told: str
    source: str
    datasets: list[str]
    protocol: str
    task: str
    sheets: list[Sheet]
    entries: Sequence[Entry] = ()
    curve: chart.Chart | None = None


@dataclass(frozen=True)
class Bar:
    """A category's score as lengths in percent of the track."""

    name: str
    text: str
    interval: str
    count: int
    length: float
    low: float | None
    high: float | None


def section_of(
    number: int, board: Board, tables: Sequence[Table], names: dict[str, str]
) -> Section:
    """What the page shows of a board.

    Args:
        tables: the board's, ranked.
        names: what each data set's digest is called.
    """
    first = board.first
    return Section(
        anchor=f"board-{number}",
        title=board.title,
        told=f"{board.protocol}. Data set digest {first.dataset_digest[:12]}.",
        source=MEASURED,
        datasets=[names[first.dataset_digest]],
        protocol=f"{first.protocol['name']} {first.protocol['version']}",
        task=TASKS.get(first.metric, first.metric),
        sheets=[sheet_of(table, board) for table in tables],
        entries=board.entries,
        curve=chart.chart(board),
    )


def reported_sections(metrics: set[str]) -> list[Section]:
    """The paper's own tables that are about any of `metrics`."""
    return [
        Section(
            anchor=name,
            title=table.caption,
            told=table.note,
            source=REPORTED,
            datasets=list(datasets),
            protocol=AS_REPORTED,
            task=TASKS[metric],
            sheets=[sheet_of(table, None)],
        )
        for name, table, datasets, metric in reported_tables()
        if metric in metrics
    ]


def sheet_of(table: Table, board: Board | None) -> Sheet:
    """A table with what sorting it needs; on the page, what is counted stands behind the scores."""
    labels = {} if board is None else {e.label: k for k, e in enumerate(board.entries)}
    names = [str(name) for name in table.grid.columns]
    grid = table.grid.set_axis(names, axis=1)
    ranked = [n for n in names if any(cell.value is not None for cell in grid[n])]
    if ranked:
        grid = grid.loc[:, [names[0], *ranked, *(n for n in names[1:] if n not in ranked)]]
    lines = []
    for row in grid.to_numpy().tolist():
        place = labels.get(row[0].text)
        pinned = board is not None and bool(ranked) and place is None
        lines.append(Shown(row, place, pinned))
    higher = [direction(list(grid[name])) for name in grid.columns]
    by = None if board is None else headline_column(grid)
    if by is not None:
        lines = in_order(lines, by, bool(higher[by]))
    shown = Table(table.name, table.caption, grid, table.note)
    return Sheet(shown, lines, higher, by)


def headline_column(grid: pd.DataFrame) -> int | None:
    """The column that a table is ordered by: PCK@0.1 or a protocol's mean, else the first scores."""
    names = [str(name) for name in grid.columns]
    ranked = [k for k, name in enumerate(names) if any(c.measure is not None for c in grid[name])]
    wanted = [k for k in ranked if names[k] in HEADLINES]
    return (wanted or ranked or [None])[0]


def direction(cells: Sequence[Cell]) -> bool | None:
    """Whether more is better in a column; True for other numbers, None for text."""
    measures = [cell.measure for cell in cells if cell.measure is not None]
    if measures:
        return measures[0].higher_is_better
    return True if any(number(cell) is not None for cell in cells) else None


def number(cell: Cell) -> float | None:
    """What a cell is sorted by: its value, or the number that its text begins with."""
    if cell.value is not None:
        return cell.value
    try:
        return float(cell.text.split(" ")[0])
    except ValueError:
        return None


def in_order(lines: list[Shown], column: int, higher: bool) -> list[Shown]:
    """The best first, behind what is pinned; what has no number last."""

    def key(line: Shown) -> tuple[bool, bool, float]:
        value = number(line.cells[column])
        return not line.pinned, value is None, (-1 if higher else 1) * (value or 0.0)

    return [*(line for line in lines if line.pinned),
            *sorted((line for line in lines if not line.pinned), key=key)]  # fmt: skip


def bars(entries: Sequence[Entry], entry: Entry) -> tuple[str, list[Bar]]:
    """A heading, and the score of each category; a full track is 1, or the most there is if errors
    are scored.

    Args:
        entries: of the board, which decide the alpha.
    """
    row = headline_row(entries, entry)
    scores = {name: own for name, own in row["categories"].items() if own["value"] is not None}
    reach = [own[k] for own in scores.values() for k in ("value", "high") if own[k] is not None]
    full = max([1.0 if row["higher_is_better"] else 0.0, *reach]) or 1.0
    found = []
    for name, own in scores.items():
        low, high = (None if own[k] is None else 100 * own[k] / full for k in ("low", "high"))
        interval = "" if low is None else f"[{percent(own['low'])}, {percent(own['high'])}]"
        length = 100 * max(0.0, own["value"]) / full
        found.append(Bar(name, percent(own["value"]), interval, own["count"], length, low, high))
    at = f"@{row['alpha']:g}" if "alpha" in row else f" {row.get('variant', '')}".rstrip()
    less = "" if row["higher_is_better"] else ", less is better"
    return f"{entry.result.title}{at} by category, in percent{less}", found


def headline_row(entries: Sequence[Entry], entry: Entry) -> dict[str, Any]:
    """The row of a result that its board is about: alpha 0.1, or the asked variant."""
    rows = entry.result.results
    if not all("alpha" in row for e in entries for row in e.result.results):
        return rows[0]
    return row_at(entry.result, "alpha", headline_alpha(Board(tuple(entries)))) or rows[0]


def facts(entry: Entry) -> dict[str, str]:
    """What a reader wants to know of a result beside its scores."""
    one = entry.result
    shown = {
        "items": str(one.results[0]["count"]),
        "predicted": one.created,
        "seconds per item": "" if one.seconds_per_item is None else f"{one.seconds_per_item:.3g}",
        "peak memory": f"{one.peak_memory / 2**20:.0f} MiB" if one.peak_memory else "",
        "data set digest": one.dataset_digest,
        "predictions digest": one.predictions_digest,
        "intervals": ", ".join(f"{key} {value}" for key, value in one.statistics.items()),
        "result": entry.path.name,
    }
    return {name: text for name, text in shown.items() if text}


def names_of_datasets(boards: Sequence[Board]) -> dict[str, str]:
    """What each digest is called: the data set's name, with the digest where two share it."""
    digests = {board.first.dataset_digest: board.first.dataset for board in boards}
    names = list(digests.values())
    return {d: n if names.count(n) == 1 else f"{n} ({d[:6]})" for d, n in digests.items()}


def page(
    boards: Sequence[tuple[Board, Sequence[Table]]],
    pairs: dict[str, Any] | None = None,
    pairs_of: str = "",
    pivot: Table | None = None,
) -> str:
    """The page as HTML.

    Args:
        boards: each with its ranked tables.
        pairs: jladkit.reports.gallery.gallery, or None for a page without pictures.
        pairs_of: the data set and split of these.
        pivot: a table that was asked for.
    """
    names = names_of_datasets([board for board, _ in boards])
    sections = [section_of(k, *one, names) for k, one in enumerate(boards, 1)]
    sections += reported_sections({board.first.metric for board, _ in boards})
    script = text_of("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(
        loader=PackageLoader("jladkit.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["parts"] = parts
    environment.filters["pretty"] = lambda value: to_json(value, indent=2)
    environment.globals.update(
        bars=bars, facts=facts, commands=commands, number=number, colour=chart.colour,
        dash=chart.dash, axes=(chart.LEFT, chart.RIGHT, chart.TOP, chart.BOTTOM),
        box=(chart.WIDTH, chart.HEIGHT), backbone_of=lambda entry: backbone_of(entry.result),
    )  # fmt: skip
    return environment.get_template("page.html").render(
        sections=sections,
        choices=choices(sections),
        style=text_of("page.css"),
        script=script,
        script_digest=digest,
        colours=COLOURS,
        gallery=pairs,
        gallery_of=pairs_of,
        pivot=pivot and sheet_of(pivot, None),
        not_stated=NOT_STATED,
    )


def choices(sections: Sequence[Section]) -> dict[str, tuple[str, list[str]]]:
    """What the page can be filtered by: of each field its label and its values in order."""
    backbones = {backbone_of(e.result) for s in sections for e in s.entries}
    stated = [NOT_STATED] if any(not s.entries for s in sections) else []
    fields: dict[str, tuple[str, list[str]]] = {
        "dataset": ("Data set", [name for s in sections for name in s.datasets]),
        "protocol": ("Protocol", [s.protocol for s in sections]),
        "task": ("Task", [s.task for s in sections]),
        "backbone": ("Backbone", [*sorted(backbones), *stated]),
        "source": ("Numbers", [s.source for s in sections]),
    }
    return {key: (label, list(dict.fromkeys(values))) for key, (label, values) in fields.items()}


def text_of(name: str) -> str:
    """A file of the templates as text."""
    return (resources.files("jladkit.reports") / "templates" / name).read_text("utf-8")
