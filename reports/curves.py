"""The log of a training -> one figure: scores, losses, and what shows a collapse."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from jladkit.formats.log import Record, Scored, Stretch, best, scores, stretches, terms
from jladkit.reports.figures import LINES, STYLE
from jladkit.reports.palette import COLOURS

SMOOTHED = 15  # steps of a running mean, within a phase
# Told by panels of their own; all other terms are parts of the loss.
STATE = ("background", "peak", "displacement", "log_sigma", "log_sigma_deviation", "cross_entropy")
TINTS = ("#eeeeee", "#dcebf5", "#fbe9dc", "#dff2eb")  # by phase, in order of their first
SCORE_LABELS = {
    "pck@0.1": "PCK@0.1 on val (%)",
    "iod": "IOD on val (%), less is better",
    "spread": "landmarks' spread (% of side)",
}
TOTAL = "#333333"  # the colour of the loss's sum
NOTHING = "the log has none of this"


def training_curves(records: Sequence[Record], title: str) -> Figure:
    """Both validation scores with the best step of each, the loss's terms, and below them the
    mass and peak of landmark maps, their spread, the field's size and log sigma.

    Phases are shaded. Thin lines are single steps, thick ones their running mean.
    """
    told, values = scores(records), terms(records)
    shown = stretches(records)
    steps = np.array([record["step"] for record in records])
    with matplotlib.rc_context(STYLE | {"font.size": 9}):  # pyright: ignore[reportArgumentType]
        figure = Figure(figsize=(10, 11), layout="constrained")
        places = figure.subplot_mosaic(
            [["pck", "iod"], ["loss", "loss"], ["maps", "spread"], ["displacement", "sigma"]],
            height_ratios=[1, 1.5, 1, 1], sharex=True,
        )  # fmt: skip
        for axes in places.values():
            shade(axes, shown)
            axes.tick_params(labelbottom=True)
        for place, name in (("pck", "pck@0.1"), ("iod", "iod"), ("spread", "spread")):
            draw_score(places[place], name, told.get(name, []))
        line = Drawn(steps, values, shown)
        loss = sorted(values.keys() - set(STATE), key=lambda name: (name == "total", name))
        line.all(places["loss"], loss, "terms of the loss, unweighted (log)")
        line.all(places["maps"], ["background", "peak"], "landmark maps: mass, peak")
        line.all(places["displacement"], ["displacement"], "field: mean squared shift (sides²)")
        line.band(places["sigma"], "log_sigma", "log_sigma_deviation", "log sigma: mean, deviation")
        for place in ("loss", "displacement"):
            if any(np.nanmax(np.asarray(one.get_ydata())) > 0 for one in places[place].lines):
                places[place].set_yscale("log", nonpositive="mask")
        for place in ("displacement", "sigma"):
            places[place].set_xlabel("step")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        figure.legend(handles=legend(shown), loc="outside lower center", ncols=6, frameon=False)
        return figure


def tint(stretch: Stretch, shown: Sequence[Stretch]) -> str:
    """The shade of a phase."""
    names = list(dict.fromkeys(one.phase for one in shown))
    return TINTS[names.index(stretch.phase) % len(TINTS)]


def shade(axes: Axes, shown: Sequence[Stretch]) -> None:
    """Put each phase's shade behind the lines."""
    for stretch in shown:
        ends = stretch.first - 1, stretch.last
        axes.axvspan(*ends, color=tint(stretch, shown), zorder=0, linewidth=0)
    first, last = shown[0].first - 1, shown[-1].last
    axes.set_xlim(first, last + 0.015 * (last - first))  # room for the last marker


def legend(shown: Sequence[Stretch]) -> list[Patch]:
    """The shades by the names of their phases."""
    first = {stretch.phase: stretch for stretch in reversed(shown)}
    names = dict.fromkeys(stretch.phase for stretch in shown)
    return [Patch(color=tint(first[name], shown), label=f"phase {name}") for name in names]


def draw_score(axes: Axes, name: str, scored: Sequence[Scored]) -> None:
    """A validation score over steps, in percent, the best one marked."""
    axes.set_ylabel(SCORE_LABELS[name])
    if not scored:
        axes.text(0.5, 0.5, NOTHING, transform=axes.transAxes, ha="center", color="#666666")
        return
    steps = [one.step for one in scored]
    axes.plot(
        steps, [100 * one.value for one in scored], color=COLOURS[0], marker="o", markersize=4
    )
    found = best(name, scored)
    if found is not None:
        axes.plot(found.step, 100 * found.value, "*", markersize=13, color=COLOURS[1],
                  label=f"best: {100 * found.value:.1f} at step {found.step}")  # fmt: skip
        axes.legend(frameon=False)
    axes.margins(y=0.2)


class Drawn:
    """Draws terms over steps, each smoothed within its phases.

    Args:
        steps: (N,).
        values: by name (N,), NaN where a step does not have it.
        shown: the phases.
    """

    def __init__(
        self, steps: np.ndarray, values: dict[str, np.ndarray], shown: Sequence[Stretch]
    ) -> None:
        self.steps, self.values = steps, values
        self.phase = np.concatenate(
            [
                np.full(((steps >= s.first) & (steps <= s.last)).sum(), i)
                for i, s in enumerate(shown)
            ]
        )

    def smooth(self, name: str) -> np.ndarray:
        """(N,) the running mean over SMOOTHED steps of one phase; NaN where there is no value."""
        told = pd.Series(self.values[name])
        mean = told.groupby(self.phase).transform(
            lambda own: own.rolling(SMOOTHED, center=True, min_periods=1).mean()
        )
        return mean.where(told.notna()).to_numpy()

    def all(self, axes: Axes, names: Sequence[str], label: str) -> None:
        """One line a term, under their names."""
        there = [name for name in names if name in self.values]
        for place, name in enumerate(there):
            style: dict[str, Any] = {
                "color": TOTAL if name == "total" else COLOURS[place % len(COLOURS)],
                "linestyle": LINES[place // len(COLOURS) % len(LINES)],
            }
            axes.plot(self.steps, self.values[name], **style, linewidth=0.6, alpha=0.35)
            axes.plot(self.steps, self.smooth(name), **style, linewidth=1.8, label=name)
        self.finish(axes, bool(there), len(there) > 1, label)

    def band(self, axes: Axes, name: str, deviation: str, label: str) -> None:
        """A line with its standard deviation as a band."""
        there = name in self.values
        if there:
            mean = self.smooth(name)
            axes.plot(self.steps, mean, color=COLOURS[0], linewidth=1.8)
            if deviation in self.values:
                off = self.smooth(deviation)
                axes.fill_between(
                    self.steps, mean - off, mean + off, color=COLOURS[0], alpha=0.2, lw=0
                )
        self.finish(axes, there, False, label)

    def finish(self, axes: Axes, there: bool, several: bool, label: str) -> None:
        """Name a panel and its lines."""
        axes.set_ylabel(label)
        if not there:
            axes.text(0.5, 0.5, NOTHING, transform=axes.transAxes, ha="center", color="#666666")
        elif several:
            axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=9, fontsize=8,
                        borderaxespad=0.1, handlelength=1.6)  # fmt: skip
