"""Result files -> tables one can put into a paper.

Results stand in one table only when they can be compared: same metric, protocol, data set digest
and split. Such a set of results is a board here, and each board gets tables of its own.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from jladkit.errors import JladkitError
from jladkit.formats.files import to_json
from jladkit.formats.result import REMEDY, Result, read_record, read_result

HEADLINE_ALPHA = 0.1
NONE = "-"
# What the headline of PCK is; results of earlier versions only know the first.
HEADLINES = {
    "": "mean over pairs",
    "pair-mean": "mean over pairs",
    "pooled": "over the points of all pairs",
    "category-mean": "mean over categories",
}
KEPT = (1.0, 0.8, 0.6, 0.4, 0.2, 0.1, 0.05)  # shares of a sparsification curve in a table
NUMBERS = "In percent, with 95 % intervals in brackets."


@dataclass(frozen=True)
class Entry:
    """A result and what it is called among its peers."""

    label: str
    result: Result
    path: Path


@dataclass(frozen=True)
class Board:
    """Results that can be compared, in the order they were given."""

    entries: tuple[Entry, ...]

    @property
    def first(self) -> Result:
        return self.entries[0].result

    @property
    def title(self) -> str:
        """What is compared, on one line."""
        one = self.first
        return f"{one.title} on {one.dataset}, {one.split} split"

    @property
    def protocol(self) -> str:
        """The protocol's name, version and summary."""
        protocol = self.first.protocol
        return f"{protocol['name']} {protocol['version']}: {protocol['summary']}"

    @property
    def slug(self) -> str:
        """A file name's stem; the digest keeps two versions of a data set apart."""
        one = self.first
        parts = (one.metric, one.dataset, one.protocol["name"], one.split)
        return "-".join(
            re.sub(r"[^\w.+]+", "-", part).strip("-.") for part in (*parts, one.dataset_digest[:6])
        )


@dataclass(frozen=True)
class Table:
    """A table as people read it: every cell is text, numbers in percent."""

    name: str
    caption: str
    cells: pd.DataFrame


def read_entries(paths: Iterable[Path]) -> list[tuple[Path, Result]]:
    """The results among `paths`: files, or folders that are searched for them; none twice.

    Raises:
        JladkitError: a path does not exist, a file given by name is no result, one found in a
            folder is broken, or there is none at all.
    """
    found: dict[Path, tuple[Path, Result]] = {}
    given = list(paths)
    for path in given:
        if not path.exists():
            raise JladkitError(f"There is no file or folder {path}.")
        files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        for file in files:
            if path.is_dir() and read_record(file) is None:
                continue  # some other JSON
            found.setdefault(file.resolve(), (file, read_result(file)))
    if not found:
        raise JladkitError(
            f"No result files (*.json) under {', '.join(map(str, given))}. Make one: {REMEDY}"
        )
    return list(found.values())


def boards(results: Sequence[tuple[Path, Result]]) -> list[Board]:
    """`results` sorted into sets that can be compared, in order of their first."""
    groups: dict[str, list[tuple[Path, Result]]] = {}
    for path, result in results:
        key = to_json([result.metric, result.protocol, result.dataset_digest, result.split])
        groups.setdefault(key, []).append((path, result))
    return [
        Board(tuple(Entry(label, result, path) for label, (path, result) in zip(
            labels([result for _, result in group]), group, strict=True
        )))
        for group in groups.values()
    ]  # fmt: skip


def labels(results: Sequence[Result]) -> list[str]:
    """Each result's method; where a method comes twice, what its runs were told differently."""
    names: list[str] = []
    for result in results:
        peers = [other for other in results if other.method == result.method]
        keys = sorted({key for peer in peers for key in peer.config})
        differing = [k for k in keys if len({to_json(p.config.get(k)) for p in peers}) > 1]
        told = ", ".join(f"{key}={result.config.get(key)}" for key in differing)
        if len(peers) > 1 and differing and len(told) <= 40:
            names.append(f"{result.method} ({told})")
        else:
            names.append(result.method)
    counts = {name: names.count(name) for name in names}
    seen: dict[str, int] = {}
    for place, name in enumerate(names):
        seen[name] = seen.get(name, 0) + 1
        if counts[name] > 1:
            names[place] = f"{name} #{seen[name]}"
    return names


def percent(value: float | None) -> str:
    """58.4 for 0.584."""
    return NONE if value is None else f"{100 * value:.1f}"


def spread(row: dict[str, Any] | None, prefix: str = "") -> str:
    """58.4 [53.1, 63.6], from value, low and high, or from PREFIX, PREFIX_low and PREFIX_high."""
    if row is None:
        return NONE
    keys = (prefix, f"{prefix}_low", f"{prefix}_high") if prefix else ("value", "low", "high")
    value, low, high = (row.get(key) for key in keys)
    return percent(value) if low is None else f"{percent(value)} [{percent(low)}, {percent(high)}]"


def row_at(result: Result, key: str, setting: Any) -> dict[str, Any] | None:
    """The row of `result` whose `key` (alpha, variant) is `setting`."""
    return next((row for row in result.results if row.get(key) == setting), None)


def tables(board: Board) -> list[Table]:
    """Every table of a board, the headline first."""
    if board.first.metric == "pck":
        return [pck_by_alpha(board), pck_by_category(board)]
    if board.first.metric == "iod":
        return [iod_by_variant(board), iod_by_category(board)]
    if board.first.metric == "sparsification":
        return [plain(board), pck_by_share_kept(board), gain_by_category(board)]
    return [plain(board)]


def pck_by_alpha(board: Board) -> Table:
    """Methods by tolerance, mean over pairs."""
    alphas = sorted({row["alpha"] for entry in board.entries for row in entry.result.results})
    records = [
        {
            "method": entry.label,
            "pairs": str(entry.result.results[0]["count"]),
            **{f"PCK@{a:g}": spread(row_at(entry.result, "alpha", a)) for a in alphas},
        }
        for entry in board.entries
    ]
    how = HEADLINES.get(board.first.protocol.get("aggregation", ""), "the protocol's own mean")
    return Table("alphas", f"PCK, {how}", pd.DataFrame(records))


def headline_alpha(board: Board) -> float:
    """0.1 where a result has it, else the middle one of the first result."""
    alphas = [row["alpha"] for row in board.first.results]
    everywhere = {row["alpha"] for entry in board.entries for row in entry.result.results}
    return HEADLINE_ALPHA if HEADLINE_ALPHA in everywhere else sorted(alphas)[len(alphas) // 2]


def pck_by_category(board: Board) -> Table:
    """Methods by category at one tolerance, as in Table 2 of the paper, and the three means."""
    alpha = headline_alpha(board)
    rows = [(entry.label, row_at(entry.result, "alpha", alpha)) for entry in board.entries]
    records = [
        by_category(label, row)
        | {
            "mean of categories": spread(row, "category_mean"),
            "mean over pairs": spread(row, "pair_mean" if "pair_mean" in row else ""),
            "pooled points": spread(row, "pooled"),
        }
        for label, row in rows
        if row is not None
    ]
    some = next(row for _, row in rows if row is not None)
    counts = {"method": "pairs"} | {n: str(c["count"]) for n, c in some["categories"].items()}
    counts |= {
        "mean of categories": NONE,
        "mean over pairs": str(some["count"]),
        "pooled points": f"{some['points']} points",
    }
    return Table(
        "categories",
        f"PCK@{alpha:g} by category",
        pd.DataFrame([counts, *records]).fillna(NONE),
    )


def by_category(label: str, row: dict[str, Any]) -> dict[str, str]:
    """One line of a table with a column for each category."""
    return {"method": label} | {name: spread(c) for name, c in row["categories"].items()}


def iod_by_variant(board: Board) -> Table:
    """Methods by variant of the regression, the asked one first, beside the floor."""
    records = []
    for entry in board.entries:
        first = entry.result.results[0]
        records.append(
            {
                "method": entry.label,
                "landmarks": str(first.get("landmarks", NONE)),
                "images": str(first["count"]),
                **{row["variant"]: spread(row) for row in entry.result.results},
                "mean-shape floor": percent(first["floor"]),
            }
        )
    caption = (
        f"IOD error in % of the {board.first.results[0]['unit']}, by regression; less is better"
    )
    return Table("variants", caption, pd.DataFrame(records).fillna(NONE))


def iod_by_category(board: Board) -> Table:
    """Methods by category under the asked variant."""
    rows = [(entry.label, entry.result.results[0]) for entry in board.entries]
    records = [
        by_category(label, row)
        | {"mean of categories": percent(row.get("category_mean")), "mean over images": spread(row)}
        for label, row in rows
    ]
    some = rows[0][1]
    counts = {"method": "images"} | {n: str(c["count"]) for n, c in some["categories"].items()}
    counts |= {"mean of categories": NONE, "mean over images": str(some["count"])}
    floor = {"method": "mean-shape floor"} | {
        name: percent(c.get("floor")) for name, c in some["categories"].items()
    }
    floor |= {"mean over images": percent(some["floor"])}
    return Table(
        "categories",
        f"IOD error by category, regression {some['variant']}; less is better",
        pd.DataFrame([counts, floor, *records]).fillna(NONE),
    )


def pck_by_share_kept(board: Board) -> Table:
    """The sparsification curve of each method at some shares, and what its oracle would reach."""
    records = [
        {"method": label}
        | {
            f"{100 * share:g} % kept": percent(value)
            for share, value in zip(
                entry.result.curve["kept"], entry.result.curve[name], strict=True
            )
            if share in KEPT
        }
        for entry in board.entries
        if "kept" in entry.result.curve
        for label, name in ((entry.label, "value"), (f"{entry.label}, oracle", "oracle"))
    ]
    caption = "PCK of the points kept, surest first (at 100 % that of random, at any share)"
    return Table("kept", caption, pd.DataFrame(records).fillna(NONE))


def gain_by_category(board: Board) -> Table:
    """Methods by category: the share of the oracle's gain that sigma wins."""
    rows = [(entry.label, entry.result.results[0]) for entry in board.entries]
    counts = {"method": "points"}
    counts |= {name: str(own["count"]) for name, own in rows[0][1]["categories"].items()}
    records = [counts, *(by_category(label, row) for label, row in rows)]
    return Table("categories", "Gain by category", pd.DataFrame(records).fillna(NONE))


def plain(board: Board) -> Table:
    """Methods by setting, for a metric that this file knows nothing about."""
    records = [
        {
            "method": entry.label,
            "count": str(entry.result.results[0]["count"]),
            **{heading(row): spread(row) for row in entry.result.results},
        }
        for entry in board.entries
    ]
    units = ", ".join(dict.fromkeys(row["unit"] for row in board.first.results))
    return Table("values", f"In % of {units}", pd.DataFrame(records).fillna(NONE))


def heading(row: dict[str, Any]) -> str:
    """What a row of a result stands under: its measure, or its metric and alpha."""
    name = str(row.get("measure", row["metric"]))
    return f"{name}@{row['alpha']:g}" if "alpha" in row else name


def tidy(board: Board) -> pd.DataFrame:
    """Every number of a board, unrounded, one a row: what CSV readers want.

    Columns: method, metric, protocol, dataset, dataset_digest, split, setting (alpha, variant or
    measure), category ("all" for the headline), value, low, high, count, unit.
    """
    records = []
    for entry in board.entries:
        result = entry.result
        common = {
            "method": entry.label,
            "metric": result.metric,
            "protocol": result.protocol["name"],
            "dataset": result.dataset,
            "dataset_digest": result.dataset_digest,
            "split": result.split,
        }
        for row in result.results:
            told = heading(row) if "measure" in row else row.get("alpha")
            setting = row.get("variant") if told is None else told
            for name, scores in {"all": row, **row["categories"]}.items():
                records.append(
                    common
                    | {"setting": setting, "category": name}
                    | {key: scores[key] for key in ("value", "low", "high", "count")}
                    | {"unit": row["unit"]}
                )
    return pd.DataFrame(records)


def to_markdown(table: Table) -> str:
    """A pipe table under its caption."""
    head, *body = [list(table.cells.columns), *table.cells.to_numpy().tolist()]
    align = ["---", *["---:"] * (len(head) - 1)]
    lines = [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        for row in (head, align, *body)
    ]
    return "\n".join([f"{table.caption}. {NUMBERS}", "", *lines, ""])


def to_latex(table: Table) -> str:
    """A booktabs table; what LaTeX would read as a command is escaped."""
    cells = table.cells.rename(columns=lambda name: str(name))
    return cells.to_latex(
        index=False,
        escape=True,
        column_format="l" + "r" * (len(cells.columns) - 1),
        caption=escape_latex(f"{table.caption}. {NUMBERS}"),
    )


def escape_latex(text: str) -> str:
    """`text` with LaTeX's special characters made printable."""
    words = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return re.sub(r"[\\~^%&#_${}]", lambda found: words.get(found[0], "\\" + found[0]), text)
