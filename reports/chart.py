"""The curve of a board as numbers for an SVG in the page: lines, bands, bars and ticks.

Lengths are units of the picture's box, WIDTH x HEIGHT, y downwards as SVG has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jladkit.reports.palette import COLOURS
from jladkit.reports.tables import Board, Entry

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 40, 412, 10, 262  # of the axes
DASHES = ("none", "7 3", "2 3", "8 3 2 3")  # after all colours, another line


@dataclass(frozen=True)
class Line:
    """One result's curve: "x,y x,y ..." for a polyline, and for the polygon of its band."""

    place: int  # of the entry in its board
    points: str
    band: str = ""
    beside: tuple[str, ...] = ()  # what it is compared with: oracle, random
    bars: tuple[tuple[float, float, float], ...] = ()  # x, y of low, y of high


@dataclass(frozen=True)
class Chart:
    """What the page draws of a board."""

    told: str
    x_label: str
    y_label: str
    lines: list[Line] = field(default_factory=list)
    x_ticks: list[tuple[float, str]] = field(default_factory=list)
    y_ticks: list[tuple[float, str]] = field(default_factory=list)


def colour(place: int) -> int:
    """The number of an entry's colour."""
    return place % len(COLOURS)


def dash(place: int) -> str:
    """The stroke-dasharray of an entry's line."""
    return DASHES[place // len(COLOURS) % len(DASHES)]


@dataclass(frozen=True)
class Scale:
    """From numbers to the picture's box; `x` and `y` are the numbers at either end of an axis."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at_x(self, value: float) -> float:
        numbers, places = sorted_ends(self.x, (LEFT, RIGHT))
        return float(np.interp(value, numbers, places))

    def at_y(self, value: float) -> float:
        numbers, places = sorted_ends(self.y, (BOTTOM, TOP))
        return float(np.interp(value, numbers, places))

    def path(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        pairs = zip(xs, ys, strict=True)
        return " ".join(f"{self.at_x(x):.1f},{self.at_y(y):.1f}" for x, y in pairs)


def sorted_ends(numbers: tuple[float, float], places: tuple[float, float]) -> list[list[float]]:
    """Both ends of an axis in the order of its numbers."""
    pairs = sorted(zip(numbers, places, strict=True))
    return [[pair[0] for pair in pairs], [pair[1] for pair in pairs]]


def chart(board: Board) -> Chart | None:
    """The curve of a board, None where no result holds one."""
    for axis, draw in (("alpha", by_alpha), ("kept", by_share_kept)):
        shown = [(k, e) for k, e in enumerate(board.entries) if e.result.curve.get(axis)]
        if shown:
            return draw(shown)
    return None


def by_alpha(shown: Sequence[tuple[int, Entry]]) -> Chart:
    """PCK over alpha, with the intervals of the alphas in the tables."""
    last = max(max(entry.result.curve["alpha"]) for _, entry in shown)
    scale = Scale((0, last), (0, 1))
    lines = []
    for number, (place, entry) in enumerate(shown):
        curve = entry.result.curve
        aside = 2.2 * (number - (len(shown) - 1) / 2)  # else bars at one alpha hide each other
        bars = tuple(
            (scale.at_x(row["alpha"]) + aside, scale.at_y(row["low"]), scale.at_y(row["high"]))
            for row in entry.result.results
            if row["low"] is not None and row["alpha"] <= last
        )
        lines.append(Line(place, scale.path(curve["alpha"], curve["value"]), bars=bars))
    return Chart(
        "PCK over alpha; bars are 95 % intervals, set side by side.",
        "tolerance alpha (share of the extent)",
        "PCK (%)",
        lines,
        [(scale.at_x(last * k / 4), f"{last * k / 4:.3g}") for k in range(5)],
        [(scale.at_y(k / 5), f"{20 * k}") for k in range(6)],
    )


def by_share_kept(shown: Sequence[tuple[int, Entry]]) -> Chart:
    """PCK of the points kept, surest first, between its oracle and random."""
    curves: list[tuple[int, dict[str, Any]]] = [(k, entry.result.curve) for k, entry in shown]
    lowest = min(min(curve[n]) for _, curve in curves for n in ("value", "random", "oracle"))
    floor = np.floor(10 * lowest) / 10
    scale = Scale((1, 0), (float(floor), 1))
    lines = []
    for place, curve in curves:
        kept, band = curve["kept"], ""
        if "low" in curve:
            band = scale.path([*kept, *kept[::-1]], [*curve["low"], *curve["high"][::-1]])
        beside = tuple(scale.path(kept, curve[name]) for name in ("oracle", "random"))
        lines.append(Line(place, scale.path(kept, curve["value"]), band, beside))
    ticks = np.linspace(floor, 1, 5)
    return Chart(
        "PCK of the points kept when the most unsure are left out; bands are 95 % intervals. Dashed: "
        "the oracle, by the true error; dotted: random.",
        "points kept, surest first (%)",
        "PCK (%)",
        lines,
        [(scale.at_x(k / 5), f"{20 * k}") for k in range(6)],
        [(scale.at_y(float(tick)), f"{100 * tick:.3g}") for tick in ticks],
    )
