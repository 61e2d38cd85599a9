"""Result files and predictions -> pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.formats.files import written_aside
from jladkit.formats.predictions import Predictions
from jladkit.reports.palette import COLOURS, look
from jladkit.reports.tables import Board, percent

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "svg.hashsalt": "jladkit",  # else ids in the file differ from run to run
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # TrueType: journals refuse the other kind, and text stays text
}
# By a file's ending: what would differ from run to run, left out.
KINDS = {"pdf": {"CreationDate": None}, "png": {"Software": None}, "svg": {"Date": None}}


def pck_curve(board: Board) -> Figure:
    """PCK over alpha, one line a method, with the intervals of the alphas in the tables.

    Raises:
        JladkitError: no result of the board holds a curve.
    """
    entries = [entry for entry in board.entries if entry.result.curve.get("alpha")]
    if not entries:
        raise JladkitError(f"No result of {board.title} holds a curve. Evaluate again.")
    with matplotlib.rc_context(STYLE):  # pyright: ignore[reportArgumentType]
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.add_subplot()
        for place, entry in enumerate(entries):
            colour = COLOURS[place % len(COLOURS)]
            curve, rows = entry.result.curve, entry.result.results
            axes.plot(
                curve["alpha"],
                [100 * value for value in curve["value"]],
                color=colour,
                linestyle=LINES[place // len(COLOURS) % len(LINES)],
                linewidth=1.8,
                marker=MARKERS[place % len(MARKERS)],
                markersize=4,
                markevery=4,
                label=entry.label,
            )
            ranged = [row for row in rows if row["low"] is not None]
            for row in ranged:
                # Side by side, for at one alpha the bars of several methods would hide each other.
                at = row["alpha"] + 0.0012 * (place - (len(entries) - 1) / 2)
                ends = [100 * row["low"], 100 * row["high"]]
                axes.plot([at, at], ends, color=colour, linewidth=1.2, alpha=0.75)
        axes.set_xlim(0, max(entries[0].result.curve["alpha"]) * 1.02)
        axes.set_ylim(0, 100)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("tolerance alpha (share of the extent)")
        axes.set_ylabel("PCK, mean over pairs (%)")
        axes.set_title(board.title, loc="left", fontsize=10)
        axes.legend(frameon=False, loc="lower right" if high(entries) else "upper left")
        return figure


def sparsification_curve(board: Board) -> Figure:
    """PCK of the points kept, surest first, one line a method with its band, oracle and random.

    Raises:
        JladkitError: no result of the board holds a curve.
    """
    entries = [entry for entry in board.entries if entry.result.curve.get("kept")]
    if not entries:
        raise JladkitError(f"No result of {board.title} holds a curve. Evaluate again.")
    with matplotlib.rc_context(STYLE):  # pyright: ignore[reportArgumentType]
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.add_subplot()
        lowest = 100.0
        for place, entry in enumerate(entries):
            colour, curve = COLOURS[place % len(COLOURS)], entry.result.curve
            names = [name for name in ("value", "oracle", "random", "low", "high") if name in curve]
            shown = {name: 100 * np.asarray(curve[name]) for name in names}
            kept = 100 * np.asarray(curve["kept"])
            lowest = min(lowest, *(float(values.min()) for values in shown.values()))
            axes.plot(kept, shown["oracle"], color=colour, linestyle="--", linewidth=1.1)
            axes.plot(kept, shown["random"], color=colour, linestyle=":", linewidth=1.3)
            if "low" in shown:
                axes.fill_between(kept, shown["low"], shown["high"], color=colour, alpha=0.15, lw=0)
            axes.plot(kept, shown["value"], color=colour, linewidth=1.8,
                      marker=MARKERS[place % len(MARKERS)], markersize=4,
                      label=f"{entry.label}: gain {percent(entry.result.results[0]['value'])} %")  # fmt: skip
        grey = {"color": "#444444", "linewidth": 1.2}
        handles, _ = axes.get_legend_handles_labels()
        handles += [
            Line2D([], [], linestyle="--", label="oracle: by the true error", **grey),
            Line2D([], [], linestyle=":", label="random: all points alike", **grey),
        ]
        axes.set_xlim(101, 3)  # to the right, more of what is unsure is left out
        axes.set_ylim(10 * max(0, lowest // 10), 102)
        axes.set_xlabel("points kept, surest first (%)")
        axes.set_ylabel(f"PCK@{entries[0].result.results[0]['alpha']:g} of the points kept (%)")
        axes.set_title(board.title, loc="left", fontsize=10)
        figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
        return figure


def high(entries: Sequence[Any]) -> bool:
    """Whether the curves leave the lower right corner free rather than the upper left."""
    return min(entry.result.curve["value"][-1] for entry in entries) > 0.45


def representative_pairs(data: Dataset, predictions: Predictions, count: int) -> list[int]:
    """Indices into `predictions.pair_row`: from each category its median pair, then quartiles.

    Pairs are ordered by their mean error over the longer side of the target's box, so that what
    is shown is neither picked by hand nor by luck.
    """
    errors = pair_errors(data, predictions)
    category = data.pair_category[predictions.pair_row]
    chosen: list[int] = []
    for quantile in (0.5, 0.75, 0.25, 0.9, 0.1):
        for code in np.unique(category):
            members = np.nonzero((category == code) & np.isfinite(errors))[0]
            if len(members) == 0 or len(chosen) == count:
                continue
            ranked = members[np.argsort(errors[members], kind="stable")]
            pick = int(ranked[round(quantile * (len(ranked) - 1))])
            if pick not in chosen:
                chosen.append(pick)
    return chosen


def pair_errors(data: Dataset, predictions: Predictions) -> np.ndarray:
    """(P,) each pair's mean error as a share of the target box's longer side; NaN without any."""
    assert predictions.pair_row is not None and predictions.pair_points is not None
    source, target = (
        data.arrays[f"pair/{end}"][predictions.pair_row] for end in ("source", "target")
    )
    visible = data.object_visible[source] & data.object_visible[target]
    true = data.object_keypoints[target]
    distance = np.linalg.norm(predictions.pair_points - true, axis=-1)
    used = visible & np.isfinite(distance)
    total, n = np.where(used, distance, 0).sum(axis=1), used.sum(axis=1)
    box = data.object_box[target]
    mean = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    return mean / (box[:, 2:] - box[:, :2]).max(axis=1)


def matched_pairs(data: Dataset, predictions: Sequence[Predictions], count: int = 8) -> Figure:
    """Pairs as pictures: the source with its keypoints, then one target for each method.

    In a target, a ring is where a keypoint is, a dot where the method put it, a line the error.
    A keypoint has one colour and one marker in every row.

    Args:
        data: the data set of all `predictions`.
        predictions: of the same split; the first one's errors choose the pairs.
        count: how many pairs, at most.

    Raises:
        JladkitError: a file holds no transferred keypoints, or not the pairs of the others.
    """
    for one in predictions:
        if one.pair_row is None or one.pair_points is None:
            raise JladkitError(
                f"The predictions of {one.method} hold no transferred keypoints to draw."
            )
    rows = predictions[0].pair_row
    assert rows is not None
    places = []  # of each pair of the first, in every file
    for one in predictions:
        assert one.pair_row is not None
        where = {int(row): place for place, row in enumerate(one.pair_row)}
        if where.keys() != {int(row) for row in rows}:
            raise JladkitError(
                f"The predictions of {one.method} are not about the pairs of those of "
                f"{predictions[0].method}. Give predictions of one data set and split."
            )
        places.append(where)
    chosen = representative_pairs(data, predictions[0], count)
    if not chosen:
        raise JladkitError(f"No pair of {data.path} has common keypoints to draw.")
    columns = 1 + len(predictions)
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):  # pyright: ignore[reportArgumentType]
        # As many blocks of source and targets side by side as keep the page about square.
        blocks = max(1, min(len(chosen), 6 // columns))
        lines = -(-len(chosen) // blocks)
        figure = Figure(figsize=(2.3 * columns * blocks, 2.45 * lines + 0.5))
        figure.set_layout_engine("constrained", h_pad=0.08)  # else titles touch the page's edge
        grid = figure.subplots(lines, columns * blocks, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for number, index in enumerate(chosen):
            line, block = divmod(number, blocks)
            row = int(rows[index])
            cells = grid[line, block * columns : (block + 1) * columns]
            draw_source(cells[0], data, row)
            for axes, one, where in zip(cells[1:], predictions, places, strict=True):
                assert one.pair_points is not None
                draw_target(axes, data, row, one.pair_points[where[row]], one.method)
        figure.legend(
            handles=[
                Line2D([], [], marker="o", color="#444444", markerfacecolor="none",
                       markersize=8, linestyle="none", label="annotated"),
                Line2D([], [], marker="o", color="#444444", markersize=5, linestyle="none",
                       label="predicted"),
                Line2D([], [], color="#444444", label="error"),
            ],
            loc="outside lower center", ncols=3, frameon=False,
        )  # fmt: skip
        return figure


def common(data: Dataset, row: int) -> np.ndarray:
    """Indices of the keypoints that both objects of a pair show."""
    source, target = data.pair_source[row], data.pair_target[row]
    return np.nonzero(data.object_visible[source] & data.object_visible[target])[0]


def draw_source(axes: Axes, data: Dataset, row: int) -> None:
    """The source's picture with the keypoints that count."""
    source = int(data.pair_source[row])
    show(axes, data, source)
    for keypoint in common(data, row):
        x, y = data.object_keypoints[source, keypoint]
        dot(axes, x, y, keypoint)
    axes.set_title(f"{data.categories[data.pair_category[row]]}, pair {row}", fontsize=9)


def draw_target(axes: Axes, data: Dataset, row: int, points: np.ndarray, method: str) -> None:
    """The target's picture with the annotated (ring) and predicted (dot) keypoints."""
    target = int(data.pair_target[row])
    show(axes, data, target)
    for keypoint in common(data, row):
        (x, y), (u, v) = data.object_keypoints[target, keypoint], points[keypoint]
        colour = look(keypoint)[0]
        axes.plot([x, u], [y, v], color="white", linewidth=2.6, alpha=0.8, solid_capstyle="round")
        axes.plot([x, u], [y, v], color=colour, linewidth=1.4, solid_capstyle="round")
        for size, edge, width in ((9, "white", 3.2), (9, colour, 1.7)):
            axes.plot(x, y, "o", markersize=size, markerfacecolor="none",
                      markeredgecolor=edge, markeredgewidth=width)  # fmt: skip
        dot(axes, u, v, keypoint)
    axes.set_title(method, fontsize=9)


def dot(axes: Axes, x: float, y: float, number: int, size: float = 6) -> None:
    """A filled mark in the look of a keypoint or landmark, with a rim that shows on any ground."""
    colour, marker = look(number)
    axes.plot(x, y, marker=marker, markersize=size, color=colour, markeredgecolor="white",
              markeredgewidth=0.9)  # fmt: skip


def show(axes: Axes, data: Dataset, row: int) -> None:
    """An object's picture; predictions far outside do not stretch the view."""
    width, height = data.object_size[row]
    axes.imshow(np.asarray(data.image(row)))
    margin = 0.08 * max(width, height)
    axes.set_xlim(-0.5 - margin, width - 0.5 + margin)
    axes.set_ylim(height - 0.5 + margin, -0.5 - margin)


def kind_of(path: Path) -> str:
    """The format that a file's ending asks for.

    Raises:
        UsageError: figures are not written in it.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise UsageError(
            f"{path} must end in .pdf or .svg (vectors) or in .png, for that is what figures are "
            "written as."
        )
    return kind


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's ending, whole; the same figure, the same bytes.

    Raises:
        UsageError: figures are not written in that format.
    """
    kind = kind_of(path)
    with written_aside(path) as aside, matplotlib.rc_context(STYLE):  # pyright: ignore[reportArgumentType]
        figure.savefig(aside, format=kind, dpi=150, metadata=KINDS[kind], facecolor="white")
