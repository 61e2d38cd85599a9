"""Results by category and by stratum, as points with intervals; one colour a method."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jladkit.errors import JladkitError, UsageError
from jladkit.reports.figures import MARKERS, STYLE
from jladkit.reports.palette import COLOURS
from jladkit.reports.tables import Board, headline_alpha, row_at

Rows = Sequence[tuple[str, Mapping[str, Any]]]  # of a board: a label and the row that is shown
ALL = "all"
CHARACTERS = 13  # of the ticks' size in an inch
# Classes that have an order but no number (evaluators/strata.py).
ORDER = ("neither", "source", "target", "both", "the pair", "a picture", "clean")


def category_bars(board: Board, alpha: float | None = None) -> Figure:
    """The score of each category, a bar a method with its 95 % interval.

    Args:
        alpha: the tolerance, where the metric has one; None for 0.1 or the one nearest to it.

    Raises:
        UsageError: no result of the board has this alpha.
    """
    rows = rows_at(board, alpha)
    names = list(dict.fromkeys(name for _, row in rows for name in row["categories"]))
    groups = [(name, [row["categories"].get(name) for _, row in rows]) for name in names]
    groups.append((ALL, [row for _, row in rows]))
    with matplotlib.rc_context(STYLE | {"font.size": 9}):  # pyright: ignore[reportArgumentType]
        width = min(16.0, max(5.0, 0.8 + len(groups) * (0.3 + 0.11 * len(rows))))
        figure = Figure(figsize=(width, 4.2), layout="constrained")
        axes = figure.add_subplot()
        draw_bars(axes, groups, [label for label, _ in rows], width)
        axes.axvline(len(groups) - 1.5, color="#444444", linewidth=0.8)  # before `all`
        axes.set_ylabel(label_of(board, rows))
        axes.set_title(board.title, loc="left", fontsize=9)
        names_below(figure, axes, width)
        return figure


def strata_bars(board: Board, alpha: float | None = None, strata: Sequence[str] = ()) -> Figure:
    """PCK by what makes pairs hard, a panel a stratum: viewpoint, scale, truncation, occlusion ...

    Args:
        alpha: as in `category_bars`.
        strata: only these; none for all that tell something: those of more than one class but that
            by keypoint, which has too many.

    Raises:
        UsageError: no result of the board has this alpha, or one of `strata`.
        JladkitError: no result of the board has strata that tell something.
    """
    rows = rows_at(board, alpha)
    there = list(dict.fromkeys(name for _, row in rows for name in row.get("strata", {})))
    unknown = [name for name in strata if name not in there]
    if unknown:
        raise UsageError(
            f"No result of {board.title} has the stratum {unknown[0]!r}. It has: "
            f"{', '.join(there) or 'none'}."
        )
    panels = [(name, classes_of(rows, name)) for name in strata or there if name in strata or
              name != "keypoint"]  # fmt: skip
    panels = [(name, own) for name, own in panels if name in strata or len(own) > 1]
    if not panels:
        raise JladkitError(
            f"The results of {board.title} have no strata of more than one class. PCK has them "
            "where viewpoints, sizes or flags of objects are known."
        )
    with matplotlib.rc_context(STYLE | {"font.size": 9}):  # pyright: ignore[reportArgumentType]
        across = min(2, len(panels))
        lines = -(-len(panels) // across)
        most = max(len(classes) for _, classes in panels)
        width = across * max(5.6, 0.8 + 0.3 * most)
        figure = Figure(figsize=(width, 2.6 * lines + 0.9), layout="constrained")
        grid = np.ravel(figure.subplots(lines, across, squeeze=False, sharey=True))
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        for axes, (name, classes) in zip(grid, panels, strict=False):
            draw_bars(axes, classes, [label for label, _ in rows], width / across)
            axes.set_title(name, loc="left", fontsize=9)
        for axes in grid[::across]:
            axes.set_ylabel(label_of(board, rows))
        figure.suptitle(board.title, fontsize=9, x=0.01, ha="left")
        names_below(figure, grid[0], width)
        return figure


def rows_at(board: Board, alpha: float | None) -> Rows:
    """Each entry's row at alpha; the headline row of a metric without alphas.

    Raises:
        UsageError: there is no such alpha.
    """
    if "alpha" not in board.first.results[0]:
        if alpha is not None:
            raise UsageError(f"{board.first.title} has no alpha; leave --alpha out.")
        return [(entry.label, entry.result.results[0]) for entry in board.entries]
    wanted = headline_alpha(board) if alpha is None else alpha
    found = [(entry.label, row_at(entry.result, "alpha", wanted)) for entry in board.entries]
    rows = [(label, row) for label, row in found if row is not None]
    if not rows:
        known = sorted({row["alpha"] for e in board.entries for row in e.result.results})
        raise UsageError(
            f"No result of {board.title} has alpha {wanted:g}. There are: "
            f"{', '.join(f'{a:g}' for a in known)}."
        )
    return rows


def classes_of(rows: Rows, stratum: str) -> list[tuple[str, list[Mapping[str, Any] | None]]]:
    """The classes of a stratum with each row's record of it, in order of the first that has it."""
    own = [row.get("strata", {}).get(stratum, {}) for _, row in rows]
    names = sorted(dict.fromkeys(name for classes in own for name in classes), key=by_number)
    return [(name, [classes.get(name) for classes in own]) for name in names]


def by_number(name: str) -> tuple[float, str]:
    """Classes such as "10 to 20 degrees" by their numbers, others by ORDER, the rest by name."""
    try:
        return float(name.split()[0]), name
    except ValueError:
        return (ORDER.index(name) if name in ORDER else len(ORDER)), name


def label_of(board: Board, rows: Rows) -> str:
    """The name of the axis of scores."""
    row = rows[0][1]
    at = (
        f"@{row['alpha']:g}"
        if "alpha" in row
        else f", {row['variant']}"
        if "variant" in row
        else ""
    )
    better = "" if row["higher_is_better"] else "; less is better"
    return f"{board.first.title}{at} (%{better})"


def draw_bars(
    axes: Axes,
    groups: Sequence[tuple[str, Sequence[Mapping[str, Any] | None]]],
    labels: Sequence[str],
    width: float,
) -> None:
    """Groups of points, one a label, each with its interval; below it its name and its count.

    Args:
        width: inches that there are for it.
    """
    step = 0.72 / len(labels)
    for place, label in enumerate(labels):
        colour = COLOURS[place % len(COLOURS)]
        at = np.arange(len(groups)) + (place - (len(labels) - 1) / 2) * step
        own = [records[place] for _, records in groups]
        value, low, high = (
            [np.nan if r is None or r[key] is None else 100 * r[key] for r in own]
            for key in ("value", "low", "high")
        )
        axes.vlines(at, low, high, color=colour, linewidth=1.6, alpha=0.75)
        axes.plot(at, value, MARKERS[place % len(MARKERS)], color=colour, markersize=5, label=label)
    ticks = [tick(name, records) for name, records in groups]
    axes.set_xticks(range(len(groups)), ticks)
    if max(map(len, ticks)) * len(ticks) > CHARACTERS * width:
        axes.tick_params(axis="x", rotation=35)
        for text in axes.get_xticklabels():
            text.set_horizontalalignment("right")
            text.set_rotation_mode("anchor")
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.grid(False, axis="x")
    for edge in range(1, len(groups)):
        axes.axvline(edge - 0.5, color="#eeeeee", linewidth=0.8, zorder=0)


def tick(name: str, records: Sequence[Mapping[str, Any] | None]) -> str:
    """A class's name and how many items it has."""
    counts = {record["count"] for record in records if record is not None}
    return f"{name} ({min(counts)})" if len(counts) == 1 else name


def names_below(figure: Figure, axes: Axes, width: float) -> None:
    """The legend of the methods, below everything, in as many columns as fit."""
    handles, labels = axes.get_legend_handles_labels()
    columns = int(CHARACTERS * width / (max(map(len, labels)) + 7))
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, min(columns, len(labels))),
                  frameon=False)  # fmt: skip
