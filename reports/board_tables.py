"""The tables of a board: its results by setting, and by category."""

from collections.abc import Mapping
from typing import Any

from jladkit.reports.cells import (
    NOT_EVALUATED,
    NOT_SCORED,
    Cell,
    Table,
    grid_of,
    scored,
)
from jladkit.reports.tables import NONE, Board, Entry, heading, headline_alpha, percent, row_at

# What the headline of PCK is; results of earlier versions only know the first.
HEADLINES = {
    "": "mean over pairs",
    "pair-mean": "mean over pairs",
    "pooled": "over the points of all pairs",
    "category-mean": "mean over categories",
}
KEPT = (1.0, 0.8, 0.6, 0.4, 0.2, 0.1, 0.05)  # shares of a sparsification curve in a table
Record = dict[str, Cell | str]


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
    records: list[Record] = [
        {"method": entry.label, "pairs": str(entry.result.results[0]["count"])}
        | {f"PCK@{a:g}": scored(entry, row_at(entry.result, "alpha", a)) for a in alphas}
        for entry in board.entries
    ]
    how = HEADLINES.get(board.first.protocol.get("aggregation", ""), "the protocol's own mean")
    return Table("alphas", f"PCK, {how}", grid_of(records))


def pck_by_category(board: Board) -> Table:
    """Methods by category at one tolerance, as in Table 2 of the paper, and the three means."""
    alpha = headline_alpha(board)
    rows = [(entry, row_at(entry.result, "alpha", alpha)) for entry in board.entries]
    records = [
        by_category(entry, row, board)
        | {
            "mean of categories": scored(entry, row, "category_mean"),
            "mean over pairs": scored(entry, row, "pair_mean" if "pair_mean" in row else ""),
            "pooled points": scored(entry, row, "pooled"),
        }
        for entry, row in rows
        if row is not None
    ]
    some = next(row for _, row in rows if row is not None)
    counts = counted("pairs", some, board) | {
        "mean of categories": NONE,
        "mean over pairs": str(some["count"]),
        "pooled points": f"{some['points']} points",
    }
    return Table("categories", f"PCK@{alpha:g} by category", grid_of([counts, *records]))


def categories_of(board: Board) -> list[str]:
    """The categories that any result of a board scores, in order of their first."""
    rows = [row for entry in board.entries for row in entry.result.results]
    return list(dict.fromkeys(name for row in rows for name in row["categories"]))


def by_category(entry: Entry, row: Mapping[str, Any], board: Board) -> Record:
    """One line of a table with a column for each category."""
    scores = {name: scored(entry, row, category=name) for name in categories_of(board)}
    return {"method": entry.label} | scores


def counted(items: str, row: Mapping[str, Any], board: Board) -> Record:
    """The line that says how many `items` each category has."""
    found = row["categories"]
    names = categories_of(board)
    counts = {name: str(found[name]["count"]) if name in found else "0" for name in names}
    return {"method": items, **counts}


def iod_by_variant(board: Board) -> Table:
    """Methods by variant of the regression, the asked one first, beside the floor."""
    names = [row["variant"] for entry in board.entries for row in entry.result.results]
    records: list[Record] = []
    for entry in board.entries:
        first = entry.result.results[0]
        own = {n: scored(entry, row_at(entry.result, "variant", n)) for n in dict.fromkeys(names)}
        records.append(
            {
                "method": entry.label,
                "landmarks": str(first.get("landmarks", NONE)),
                "images": str(first["count"]),
                **own,
                "mean-shape floor": percent(first["floor"]),
            }
        )
    caption = (
        f"IOD error in % of the {board.first.results[0]['unit']}, by regression; less is better"
    )
    return Table("variants", caption, grid_of(records))


def iod_by_category(board: Board) -> Table:
    """Methods by category under the asked variant."""
    rows = [(entry, entry.result.results[0]) for entry in board.entries]
    records = [
        by_category(entry, row, board)
        | {
            "mean of categories": scored(entry, row, "category_mean"),
            "mean over images": scored(entry, row),
        }
        for entry, row in rows
    ]
    some = rows[0][1]
    counts = counted("images", some, board) | {
        "mean of categories": NONE,
        "mean over images": str(some["count"]),
    }
    floor: Record = {
        "method": "mean-shape floor",
        **{name: percent(c.get("floor")) for name, c in some["categories"].items()},
        "mean over images": percent(some["floor"]),
    }
    return Table(
        "categories",
        f"IOD error by category, regression {some['variant']}; less is better",
        grid_of([counts, floor, *records]),
    )


def pck_by_share_kept(board: Board) -> Table:
    """The sparsification curve of each method at some shares, and what its oracle would reach."""
    records: list[Record] = [
        {
            "method": label,
            **{
                f"{100 * share:g} % kept": percent(value)
                for share, value in zip(
                    entry.result.curve["kept"], entry.result.curve[name], strict=True
                )
                if share in KEPT
            },
        }
        for entry in board.entries
        if "kept" in entry.result.curve
        for label, name in ((entry.label, "value"), (f"{entry.label}, oracle", "oracle"))
    ]
    caption = "PCK of the points kept, surest first (at 100 % that of random, at any share)"
    return Table("kept", caption, grid_of(records, NOT_EVALUATED), "In percent.")


def gain_by_category(board: Board) -> Table:
    """Methods by category: the share of the oracle's gain that sigma wins."""
    rows = [(entry, entry.result.results[0]) for entry in board.entries]
    records = [by_category(entry, row, board) for entry, row in rows]
    counts = counted("points", rows[0][1], board)
    return Table("categories", "Gain by category", grid_of([counts, *records], NOT_SCORED))


def plain(board: Board) -> Table:
    """Methods by setting, for a metric that this file knows nothing about."""
    records: list[Record] = [
        {"method": entry.label, "count": str(entry.result.results[0]["count"])}
        | {heading(row): scored(entry, row) for row in entry.result.results}
        for entry in board.entries
    ]
    units = ", ".join(dict.fromkeys(row["unit"] for row in board.first.results))
    return Table("values", f"In % of {units}", grid_of(records, NOT_EVALUATED))
