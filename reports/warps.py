"""Pairs of a data set as methods align them: the target's picture warped onto the source's.

The field of a pair goes from the source to the target, as keypoints do, so that a warp has the
source's frame: where it is right, the target's parts lie under the source's keypoints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from jladkit.formats.dataset import Dataset
from jladkit.reports.figures import STYLE, common
from jladkit.reports.own import draw_log_sigma, rings, show, warped

SIDE = 1.9  # inches of a panel


@dataclass(frozen=True)
class Aligned:
    """What one method says of the pairs of a figure.

    Attributes:
        label: heads its column.
        matches: a jladkit.training.own.Match for each pair.
    """

    label: str
    matches: Sequence[Any]


def alignment_grid(
    data: Dataset, rows: Sequence[int], aligned: Sequence[Aligned], uncertainty: bool = False
) -> Figure:
    """A row a pair: source, target, and for each method the target warped onto the source.

    Args:
        data: the data set of the pairs.
        rows: of pair/*.
        aligned: one a column, each with a match for each of `rows`.
        uncertainty: beside the warp of a method that tells its log sigma, a map of that, on one
            scale for all rows of the column.
    """
    told = [uncertainty and one.matches[0].field_log_sigma is not None for one in aligned]
    columns = 2 + len(aligned) + sum(told)
    with matplotlib.rc_context(STYLE | {"font.size": 9, "axes.grid": False}):  # pyright: ignore[reportArgumentType]
        figure = Figure(figsize=(SIDE * columns, SIDE * len(rows) + 0.3), layout="constrained")
        figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.03)
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for place, (row, axes) in enumerate(zip(rows, grid, strict=True)):
            source, target = int(data.pair_source[row]), int(data.pair_target[row])
            pictures = data.image(source), data.image(target)
            shown = common(data, row)
            first = place == 0
            for axis, picture, end, head in zip(
                axes, pictures, (source, target), ("source", "target"), strict=False
            ):
                show(axis, picture, head if first else "")
                rings(axis, data.object_keypoints[end], shown)
            column = 2
            for one, has in zip(aligned, told, strict=True):
                match = one.matches[place]
                warp = warped(pictures[1], match.field, pictures[0].size)
                show(axes[column], warp, one.label if first else "")
                rings(axes[column], data.object_keypoints[source], shown)
                column += 1
                if has:
                    ends = limits(one)
                    draw_log_sigma(axes[column], match.field_log_sigma, pictures[0], ends)
                    axes[column].set_title("log sigma" if first else "", loc="left", fontsize=9)
                    if place == len(rows) - 1:
                        figure.colorbar(
                            axes[column].images[1], ax=list(grid[:, column]), location="bottom",
                            shrink=0.8, aspect=18, pad=0.01, label="bright: less sure",
                        )  # fmt: skip
                    column += 1
        return figure


def limits(one: Aligned) -> tuple[float, float]:
    """The least and the largest log sigma of a column."""
    values = np.concatenate([np.ravel(match.field_log_sigma) for match in one.matches])
    return float(values.min()), float(values.max())
