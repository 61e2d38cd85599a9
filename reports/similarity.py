"""Self-similarity maps: what the landmark network is told of a place beside its features."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from jladkit.formats.dataset import Dataset
from jladkit.reports.figures import dot
from jladkit.reports.own import NO_GRID, grey, over, rings, show

SIDE = 1.9  # inches of a panel


def similarity_figure(
    data: Dataset, row: int, keypoints: Sequence[int], found: Sequence[Any]
) -> Figure:
    """A pair: both pictures, and below each other the self-similarity maps of the same keypoint.

    Args:
        data: the data set of the pair.
        row: of pair/*.
        keypoints: M of its category's, visible in both.
        found: for source and target a jladkit.training.own.Similarity of M maps.
    """
    ends = [int(end) for end in (data.pair_source[row], data.pair_target[row])]
    names = data.keypoint_names[data.pair_category[row]]
    top = max(float(np.nanmax(one.maps)) for one in found)
    with matplotlib.rc_context(NO_GRID):  # pyright: ignore[reportArgumentType]
        columns = 1 + len(keypoints)
        figure = Figure(figsize=(SIDE * columns + 0.6, 2 * SIDE + 0.4), layout="constrained")
        figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.03)
        grid = figure.subplots(2, columns)
        for line, (axes, end, one) in enumerate(zip(grid, ends, found, strict=True)):
            picture = data.image(end)
            show(axes[0], picture, ("source", "target")[line])
            rings(axes[0], data.object_keypoints[end], keypoints)
            for axis, keypoint, maps, box in zip(
                axes[1:], keypoints, one.maps, one.boxes, strict=True
            ):
                show(axis, grey(picture), "")
                over(axis, maps, box, "inferno", 0, top)
                x, y = data.object_keypoints[end, keypoint]
                dot(axis, x, y, keypoint)
                if line == 0:
                    axis.set_title(names[keypoint], loc="left", fontsize=9)
        figure.colorbar(
            grid[0, 1].images[1], ax=list(grid[:, -1]), shrink=0.8, aspect=30,
            label="self-similarity (unit norm)",
        )  # fmt: skip
        return figure
