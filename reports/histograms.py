"""What is in a data set, as histograms."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jladkit.formats.dataset import SPLITS, Dataset
from jladkit.formats.describe import AZIMUTH_STEP, DIFFERENCE_STEP, ELEVATION_STEP, describe
from jladkit.reports.figures import STYLE
from jladkit.reports.palette import COLOURS

NOTHING = "not known of any"


def dataset_histograms(data: Dataset) -> Figure:
    """Objects and pairs by category and split, common keypoints of pairs, sizes of pictures,
    viewpoints of objects and how far they are apart in pairs."""
    told = describe(data)
    with matplotlib.rc_context(STYLE | {"font.size": 9}):  # pyright: ignore[reportArgumentType]
        long = len(data.categories) > 8
        figure = Figure(figsize=(10, 9.6 if long else 8.6), layout="constrained")
        places = figure.subplot_mosaic(
            [["objects", "objects", "pairs", "pairs"], ["common", "common", "size", "size"],
             ["azimuth", "elevation", "turn", "tilt"]],
            height_ratios=[1.4 if long else 1, 1, 1],
        )  # fmt: skip
        for what in ("objects", "pairs"):
            stacked(places[what], told[what], f"{what} by category")
        handles, labels = places["objects"].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=3, frameon=False)
        whole(places["common"], data.pair_common, "pairs by common visible keypoints")
        spread(places["size"], data.object_size.max(axis=1),
               "objects by longer side of the picture (px)")  # fmt: skip
        views = told["viewpoints"]
        binned(places["azimuth"], views, "azimuth_by", AZIMUTH_STEP, 0, "objects by azimuth")
        binned(places["elevation"], views, "elevation_by", ELEVATION_STEP, views["elevation_from"],
               "objects by elevation")  # fmt: skip
        binned(places["turn"], views, "pair_azimuth", DIFFERENCE_STEP, 0,
               "pairs by difference of azimuth")  # fmt: skip
        binned(places["tilt"], views, "pair_elevation", DIFFERENCE_STEP, 0,
               "pairs by difference of elevation")  # fmt: skip
        figure.suptitle(
            f"{data.name}: {len(data.object_split)} objects, {len(data.pair_split)} pairs",
            fontsize=10, x=0.01, ha="left",
        )  # fmt: skip
        return figure


def stacked(axes: Axes, counts: dict[str, dict[str, int]], title: str) -> None:
    """A bar a category, in the colours of the splits."""
    base = np.zeros(len(counts))
    for place, split in enumerate(SPLITS):
        own = np.array([by_split[split] for by_split in counts.values()])
        axes.barh(
            range(len(counts)), own, left=base, color=COLOURS[place], label=split, height=0.75
        )
        base += own
    axes.set_yticks(range(len(counts)), list(counts))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_title(title, loc="left", fontsize=9)


def whole(axes: Axes, values: np.ndarray, title: str) -> None:
    """A bar for each whole number that occurs."""
    axes.set_title(title, loc="left", fontsize=9)
    if not len(values):
        return nothing(axes)
    numbers, counts = np.unique(values, return_counts=True)
    axes.bar(numbers, counts, color=COLOURS[0], width=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def spread(axes: Axes, values: np.ndarray, title: str) -> None:
    """Bars over 30 bins, or one where all are alike."""
    axes.set_title(title, loc="left", fontsize=9)
    if not len(values):
        return nothing(axes)
    axes.hist(values, bins=min(30, int(np.ptp(values)) + 1), color=COLOURS[0])


def binned(
    axes: Axes, views: dict[str, Any], key: str, step: int, first: float, title: str
) -> None:
    """Bars of counts that are binned already."""
    axes.set_title(title, loc="left", fontsize=9)
    counts: Sequence[int] = next(v for k, v in views.items() if k.startswith(key))
    if not sum(counts):
        return nothing(axes)
    edges = first + step * np.arange(len(counts))
    axes.bar(edges, counts, width=step, align="edge", color=COLOURS[0], edgecolor="white",
             linewidth=0.5)  # fmt: skip
    axes.xaxis.set_major_formatter("{x:g}°")
    if step == AZIMUTH_STEP:
        axes.set_xticks([0, 90, 180, 270, 360])


def nothing(axes: Axes) -> None:
    """Say that there is nothing to draw."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, NOTHING, transform=axes.transAxes, ha="center", color="#666666")
