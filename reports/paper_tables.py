"""Tables 1 to 4 of the paper, its numbers beside ours.

The numbers in paper/table1.csv to table4.csv are those that the paper reports (S. Jeon, D. Min,
S. Kim, K. Sohn: Joint Learning of Semantic Alignment and Object Landmark Detection, ICCV 2019), in
percent. A reported number and a measured one are of other data, backbones and machines: they stand
under one another, told apart by a column, and are never ranked against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from io import StringIO
from typing import Any

import pandas as pd

from jladkit.formats.result import Result
from jladkit.reports.tables import NONE, Board, Entry, Table, row_at, spread

# What the paper calls our methods, in the order of its tables.
METHODS = {
    "cnngeo": "CNNgeo",
    "cnninlier": "CNNinlier",
    "a2net": "A2Net",
    "rtn": "RTNs",
    "ncnet": "NCNet",
    "fpe": "FPE",
    "deil": "DEIL",
    "strucrep": "StrucRep",
    "cig": "CIG",
    "joint": "Ours",
}
ALPHAS = (0.05, 0.1, 0.15)
REPORTED, NOT_TRAINED, NOT_AT_HAND = "reported", "not trained", "data not at hand"


@dataclass(frozen=True)
class Kind:
    """One of the paper's tables: its number, what it shows, and which results belong to it."""

    number: int
    caption: str
    metric: str
    protocols: tuple[str, ...]


KINDS = (
    Kind(2, "Table 2: PCK@0.1 by category", "pck", ("jlad",)),
    Kind(3, "Table 3: PCK on PF-PASCAL", "pck", ("scnet", "jlad")),
    Kind(4, "Table 4: IOD error, less is better", "iod",
         ("recommended", "imm", "halves", "halves-recommended")),
)  # fmt: skip


def paper_tables(boards: Sequence[Board]) -> list[Table]:
    """The paper's tables, with those of `boards` that belong into each.

    Table 1 holds the paper's numbers alone: ours are of `jladkit reproduce`, which trains the rows.
    """
    tables = [Table("paper-1", "Table 1, as reported: ours are what `jladkit reproduce` prints",
                    reported(1).rename(columns={"pck_at_0.1": "PCK@0.1", "iod": "IOD"}))]  # fmt: skip
    for kind in KINDS:
        own = [b for b in boards if b.first.metric == kind.metric
               and b.first.protocol["name"] in kind.protocols]  # fmt: skip
        make = {2: by_category, 3: by_alpha, 4: by_data}[kind.number]
        tables.append(Table(f"paper-{kind.number}", kind.caption, make(own)))
    return tables


def reported(number: int) -> pd.DataFrame:
    """A table of the paper as text, rows and columns in its order."""
    text = (resources.files("jladkit.reports") / "paper" / f"table{number}.csv").read_text("utf-8")
    return pd.read_csv(StringIO(text), dtype=str, keep_default_na=False).replace("", NONE)


def by_category(boards: Sequence[Board]) -> pd.DataFrame:
    """Table 2: methods by category; of data sets that have any of its categories."""
    paper = reported(2)
    names = [name for name in paper.columns if name not in ("method", "all")]
    records = [{"method": row["method"], "source": REPORTED} | row for row in as_rows(paper)]
    for board in boards:
        if not set(names) & set(board.first.results[0]["categories"]):
            continue
        for label, entry in in_order(board, paper["method"]):
            row = None if entry is None else row_at(entry.result, "alpha", 0.1)
            cells = {name: NOT_TRAINED for name in [*names, "all"]}
            if row is not None:
                found = row["categories"]
                cells = {n: spread(found[n]) if n in found else NOT_AT_HAND for n in names}
                cells["all"] = spread(row, "category_mean")
            records.append({"method": label, "source": told(board)} | cells)
    return pd.DataFrame(records)[["method", "source", *names, "all"]]


def by_alpha(boards: Sequence[Board]) -> pd.DataFrame:
    """Table 3: methods by tolerance, on data sets whose name says PF-PASCAL."""
    paper = reported(3)
    heads = [f"PCK@{alpha:g}" for alpha in ALPHAS]
    paper.columns = ["method", *heads]
    records = [{"method": row["method"], "source": REPORTED} | row for row in as_rows(paper)]
    for board in boards:
        if "pf" not in board.first.dataset.lower() or "pascal" not in board.first.dataset.lower():
            continue
        for label, entry in in_order(board, paper["method"]):
            rows = [None if entry is None else row_at(entry.result, "alpha", a) for a in ALPHAS]
            cells = [NOT_TRAINED if entry is None else spread(row) for row in rows]
            records.append(
                {"method": label, "source": told(board)} | dict(zip(heads, cells, strict=True))
            )
    return pd.DataFrame(records)[["method", "source", *heads]]


def by_data(boards: Sequence[Board]) -> pd.DataFrame:
    """Table 4: methods with their K; a column for each of the paper's data sets, and one for ours."""
    paper = reported(4)
    records = [
        {"method": row["method"], "K": f"{row['k_faces']} / {row['k_objects']}", "source": REPORTED,
         "MAFL": row["mafl"], "AFLW": row["aflw"], "JLAD": row["jlad"]}
        for row in as_rows(paper)
    ]  # fmt: skip
    for board in boards:
        for label, entry in in_order(board, paper["method"]):
            first: dict[str, Any] | None = None if entry is None else entry.result.results[0]
            k = NONE if first is None else str(first.get("landmarks", NONE))
            error = NOT_TRAINED if first is None else spread(first)
            records.append({"method": label, "K": k, "source": told(board), "measured": error})
    heads = ["method", "K", "source", "MAFL", "AFLW", "JLAD", "measured"]
    return pd.DataFrame([dict.fromkeys(heads, "") | record for record in records])


def in_order(board: Board, paper: Sequence[str]) -> list[tuple[str, Entry | None]]:
    """The paper's methods in its order, None where there is no result; then whatever else there is."""
    wanted = [own for own, name in METHODS.items() if name in set(paper)]
    rows: list[tuple[str, Entry | None]] = []
    for name in wanted:
        found = [e for e in board.entries if e.result.method == name]
        rows += [(e.label, e) for e in found] or [(name, None)]
    return rows + [(e.label, e) for e in board.entries if e.result.method not in wanted]


def told(board: Board) -> str:
    """Where the measured numbers of a board are from."""
    one: Result = board.first
    count = one.results[0]["count"]
    protocol = f"{one.protocol['name']} {one.protocol['version']}"
    return f"measured, {protocol}, {one.dataset} {one.dataset_digest[:6]}, {one.split}, n={count}, 95 %"


def as_rows(frame: pd.DataFrame) -> list[dict[str, str]]:
    """A table of text, one dict a row."""
    return [{str(k): str(v) for k, v in row.items()} for row in frame.to_dict("records")]
