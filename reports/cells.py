"""A table of scores as people read it, and the four forms it is written in."""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jladkit.reports.tables import NONE, Entry, percent

NUMBERS = "In percent, with 95 % intervals in brackets."
NOT_EVALUATED = "not evaluated"  # nobody asked for this alpha, variant or measure
NOT_SCORED = "not scored"  # it was asked for, and there was nothing to score
BEST, SECOND = "best", "second"
MEANS = {"category_mean": "category-mean", "pair_mean": "pair-mean", "pooled": "pooled"}


@dataclass(frozen=True)
class Measure:
    """What a score measures: scores of one board and one measure are ranked among each other.

    Attributes:
        column: of the tables of items that lie beside results.
        aggregation: how items are summed up (evaluators' PckProtocol).
        category: whose items; None for all.
        higher_is_better: whether the best is the largest.
    """

    column: str
    aggregation: str
    category: str | None
    higher_is_better: bool


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table.

    Attributes:
        text: what people read: "58.4 [53.1, 63.6]", or why there is no number.
        value: the number unrounded, a share; None where the text is no score.
        entry, measure: whose score of what it is; None for what is not ranked.
        mark: BEST, SECOND or "".
    """

    text: str
    value: float | None = None
    entry: Entry | None = None
    measure: Measure | None = None
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A table as people read it: every number is in percent, every cell a Cell."""

    name: str
    caption: str
    grid: pd.DataFrame
    note: str = NUMBERS

    @property
    def cells(self) -> pd.DataFrame:
        """The cells' texts, without marks."""
        return self.grid.map(lambda cell: cell.text)


def grid_of(records: Sequence[Mapping[str, Cell | str]], missing: str = NONE) -> pd.DataFrame:
    """Rows of cells; what is plain text becomes a cell, and what a row lacks says `missing`."""
    columns = list(dict.fromkeys(name for record in records for name in record))
    rows = [[as_cell(record.get(name, missing)) for name in columns] for record in records]
    return pd.DataFrame(rows, columns=pd.Index(columns), dtype=object)


def as_cell(found: Cell | str) -> Cell:
    """A cell as it is, or one that holds a text."""
    return found if isinstance(found, Cell) else Cell(found)


def scored(
    entry: Entry, row: Mapping[str, Any] | None, mean: str = "", category: str | None = None
) -> Cell:
    """The cell of one row of a result: its headline, or another of its means.

    Args:
        entry: the result.
        row: one of its rows; None where it has none of that setting.
        mean: "" for the headline, else a key of MEANS.
        category: the score of this category alone.
    """
    if row is None:
        return Cell(NOT_EVALUATED)
    scores = row if category is None else row["categories"].get(category, {})
    if scores.get(mean or "value") is None:
        return Cell(NOT_SCORED)
    headline = str(entry.result.protocol.get("aggregation", "pair-mean"))
    measure = Measure(
        item_column(row), MEANS.get(mean, headline), category, bool(row["higher_is_better"])
    )
    return Cell(spread(scores, mean), float(scores[mean or "value"]), entry, measure)


def item_column(row: Mapping[str, Any]) -> str:
    """The column of a table of items that a row of a result sums up."""
    if "measure" in row or "variant" in row:
        return f"{row['metric']}:{row.get('measure', row.get('variant'))}"
    return f"{row['metric']}@{row['alpha']:g}" if "alpha" in row else str(row["metric"])


def spread(row: Mapping[str, Any], prefix: str = "") -> str:
    """58.4 [53.1, 63.6], from value, low and high, or from PREFIX, PREFIX_low and PREFIX_high."""
    keys = (prefix, f"{prefix}_low", f"{prefix}_high") if prefix else ("value", "low", "high")
    value, low, high = (row.get(key) for key in keys)
    return percent(value) if low is None else f"{percent(value)} [{percent(low)}, {percent(high)}]"


def parts(text: str) -> tuple[str, str]:
    """A cell's text as its number and its interval ("" for none), to be set in two sizes."""
    number, bracket, rest = text.partition(" [")
    ends = rest.removesuffix("]").split(", ")
    if not bracket or len(ends) != 2:
        return text, ""
    return number, f"[{rest}"


def marked(cell: Cell, escape: Callable[[str], str], best: str, second: str) -> str:
    """A cell in one form: its number within the mark's pattern ("{}"), its interval behind."""
    number, interval = parts(cell.text) if cell.value is not None else (cell.text, "")
    shown = {BEST: best, SECOND: second}.get(cell.mark, "{}").replace("{}", escape(number))
    return f"{shown} {escape(interval)}".rstrip()


def to_markdown(table: Table) -> str:
    """A pipe table under its caption; the second is underlined by HTML, for Markdown cannot."""

    def escape(text: str) -> str:
        return text.replace("|", "\\|")

    body = [[marked(c, escape, "**{}**", "<u>{}</u>") for c in row] for row in rows_of(table)]
    head = [escape(str(name)) for name in table.grid.columns]
    align = ["---", *["---:"] * (len(head) - 1)]
    lines = ["| " + " | ".join(row) + " |" for row in (head, align, *body)]
    return "\n".join([f"{table.caption}. {table.note}", "", *lines, ""])


def to_latex(table: Table) -> str:
    """A booktabs table; what LaTeX would read as a command is escaped."""
    body = [
        [marked(c, escape_latex, r"\textbf{{}}", r"\underline{{}}") for c in row]
        for row in rows_of(table)
    ]
    return pd.DataFrame(body, columns=[escape_latex(str(n)) for n in table.grid.columns]).to_latex(
        index=False,
        escape=False,
        column_format="l" + "r" * (len(table.grid.columns) - 1),
        caption=escape_latex(f"{table.caption}. {table.note}"),
    )


def escape_latex(text: str) -> str:
    """`text` with LaTeX's special characters made printable."""
    words = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return re.sub(r"[\\~^%&#_${}]", lambda found: words.get(found[0], "\\" + found[0]), text)


def to_html(table: Table) -> str:
    """A table element with its caption and note, to be put into a page."""
    columns = [html.escape(str(name)) for name in table.grid.columns]
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    lines = []
    for row in rows_of(table):
        first, *rest = (marked(c, html.escape, "<strong>{}</strong>", "<u>{}</u>") for c in row)
        cells = "".join(f"<td>{cell}</td>" for cell in rest)
        lines.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    caption = html.escape(f"{table.caption}. {table.note}")
    return "\n".join([
        "<table>", f"<caption>{caption}</caption>", f"<thead><tr>{head}</tr></thead>",
        "<tbody>", *lines, "</tbody>", "</table>", "",
    ])  # fmt: skip


def to_csv(table: Table) -> str:
    """The cells' texts, without marks."""
    return table.cells.to_csv(index=False)


def rows_of(table: Table) -> list[list[Cell]]:
    """The cells row by row."""
    return table.grid.to_numpy().tolist()


FORMS: dict[str, Callable[[Table], str]] = {
    "md": to_markdown,
    "tex": to_latex,
    "csv": to_csv,
    "html": to_html,
}
