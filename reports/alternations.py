"""How scores go over the alternations of a joint training."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jladkit.errors import JladkitError
from jladkit.formats.log import Record, scores, stretches
from jladkit.reports.figures import STYLE
from jladkit.reports.palette import COLOURS

LABELS = {"pck@0.05": "PCK@0.05 (%)", "pck@0.1": "PCK@0.1 (%)", "iod": "IOD (%), less is better"}


@dataclass(frozen=True)
class Point:
    """A score (a share), its interval, and its deviation over seeds, None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None
    deviation: float | None = None


@dataclass(frozen=True)
class Progress:
    """One score over alternations.

    Attributes:
        score: as the log calls it.
        points: by alternation, 0 being after synthetic warps alone.
        controls: what it is for other trainings, by their names.
    """

    score: str
    points: dict[int, Point]
    controls: dict[str, Point] = field(default_factory=dict)


def progress_of(records: Sequence[Record]) -> list[Progress]:
    """The validation scores of a log at the end of each alternation: the last ones that a pair of
    phases align and detect has, and as 0 the last ones before the first.

    Raises:
        JladkitError: the log has no alternations, or no scores.
    """
    ends: dict[int, int] = {}
    number = 0
    for stretch in stretches(records):
        number += stretch.phase == "align"
        ends[number] = stretch.last
    if number == 0:
        raise JladkitError("The log has no phase align: it is of no joint training.")
    found: list[Progress] = []
    for name, scored in scores(records).items():
        points: dict[int, Point] = {}
        for one in scored:  # steps rise, so that the last one stays
            points[min(n for n, last in ends.items() if one.step <= last)] = Point(one.value)
        found.append(Progress(name, points))
    found = sorted(
        (one for one in found if one.score in LABELS), key=lambda one: [*LABELS].index(one.score)
    )
    if not found:
        raise JladkitError("The log has no validation scores; train with train.validate_every.")
    return found


def alternation_curve(progress: Sequence[Progress], title: str) -> Figure:
    """A panel a score: its course over alternations with 95 % intervals, and the controls."""
    with matplotlib.rc_context(STYLE):  # pyright: ignore[reportArgumentType]
        figure = Figure(figsize=(4.6 * len(progress), 3.9), layout="constrained")
        panels = figure.subplots(1, len(progress), squeeze=False)[0]
        for axes, one in zip(panels, progress, strict=True):
            draw_course(axes, one)
            draw_controls(axes, one)
            axes.set_xlabel("alternations (0: synthetic warps only)")
            axes.set_ylabel(LABELS[one.score])
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.margins(y=0.12)
        figure.suptitle(title, fontsize=10, x=0.01, ha="left")
        handles, labels = panels[0].get_legend_handles_labels()
        if len(handles) > 1:
            figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
        return figure


def draw_course(axes: Axes, one: Progress) -> None:
    """The line with its band and the deviation over seeds as bars."""
    places = sorted(one.points)
    points = [one.points[place] for place in places]
    values = [100 * point.value for point in points]
    ranged = [(place, p.low, p.high) for place, p in zip(places, points, strict=True)
              if p.low is not None and p.high is not None]  # fmt: skip
    if ranged:
        at, low, high = zip(*ranged, strict=True)
        axes.fill_between(at, [100 * v for v in low], [100 * v for v in high], color=COLOURS[0],
                          alpha=0.15, linewidth=0, label="95 % interval over images")  # fmt: skip
    axes.plot(places, values, color=COLOURS[0], marker="o", linewidth=1.8, label="joint")
    spread = [(place, v, 100 * p.deviation) for place, v, p in
              zip(places, values, points, strict=True) if p.deviation is not None]  # fmt: skip
    if spread:
        at, value, off = zip(*spread, strict=True)
        axes.errorbar(at, value, off, fmt="none", ecolor=COLOURS[0], capsize=4, linewidth=1.6,
                      label="deviation over seeds")  # fmt: skip


def draw_controls(axes: Axes, one: Progress) -> None:
    """A line across for each of the controls."""
    styles = ("--", "-.", ":")
    for number, (name, point) in enumerate(one.controls.items()):
        axes.axhline(100 * point.value, color=COLOURS[1 + number % (len(COLOURS) - 1)],
                     linestyle=styles[number % 3], linewidth=1.5, label=name)  # fmt: skip
