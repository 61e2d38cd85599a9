"""Landmarks as pictures: of pairs, and over many objects of a category."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import Predictions
from jladkit.reports.own import NO_GRID, dots, key, show

SIDE = 1.6  # inches of a panel


def landmark_pairs(
    data: Dataset, rows: Sequence[int], predictions: Sequence[Predictions]
) -> Figure:
    """A row a pair: source and target side by side with their landmarks, once for each method.

    Args:
        data: the data set of all `predictions`.
        rows: of pair/*.
        predictions: files with landmarks.

    Raises:
        JladkitError: a file holds no landmarks of one of these objects.
    """
    objects = [[int(end) for end in (data.pair_source[row], data.pair_target[row])] for row in rows]
    blocks = [landmarks_of(data, one, np.array(objects)) for one in predictions]
    with matplotlib.rc_context(NO_GRID):  # pyright: ignore[reportArgumentType]
        # One method: pairs in several columns, else a tall and narrow strip.
        across = 1 if len(blocks) > 1 or len(rows) < 3 else 2 if len(rows) < 12 else 3
        lines = -(-len(rows) // across)
        wide = len(blocks) * across
        figure = Figure(figsize=(2 * SIDE * wide, SIDE * lines + 0.8), layout="constrained")
        parts = figure.subfigures(1, wide, wspace=0.02, squeeze=False)
        for number, part in enumerate(np.ravel(parts)):
            block, column = divmod(number, across)
            panels = part.subplots(lines, 2, squeeze=False)
            for axes in np.ravel(panels):
                axes.set_axis_off()
            if column == 0:
                part.suptitle(predictions[block].method, fontsize=9, x=0.01, ha="left")
            else:
                part.suptitle(" ", fontsize=9)
            mine = range(column, len(rows), across)
            for line, place in enumerate(mine):
                for axes, row, points in zip(
                    panels[line], objects[place], blocks[block][place], strict=True
                ):
                    draw(axes, data, row, points)
        key(figure, max(points.shape[-2] for points in blocks))
        return figure


def landmark_faces(
    data: Dataset, objects: Sequence[int], predictions: Sequence[Predictions], columns: int
) -> Figure:
    """Objects with their landmarks, a landmark in one colour and shape in all of them.

    One file: as many rows as there is need for. Several: a row a method, the same objects.

    Args:
        data: the data set of all `predictions`.
        objects: rows of object/*.
        predictions: files with landmarks.
        columns: pictures in a row, where there is one file.

    Raises:
        JladkitError: a file holds no landmarks of one of these objects.
    """
    found = [landmarks_of(data, one, np.array(objects)) for one in predictions]
    columns = min(columns, len(objects)) if len(found) == 1 else len(objects)
    lines = -(-len(objects) // columns)
    with matplotlib.rc_context(NO_GRID):  # pyright: ignore[reportArgumentType]
        high = SIDE * lines * len(found) + 0.25 * len(found) + 0.5
        figure = Figure(figsize=(SIDE * columns, high), layout="constrained")
        figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02)
        panels = figure.subplots(lines * len(found), columns, squeeze=False)
        for axes in np.ravel(panels):
            axes.set_axis_off()
        for number, (one, points) in enumerate(zip(predictions, found, strict=True)):
            own = np.ravel(panels[number * lines : (number + 1) * lines])
            for axes, row, at in zip(own, objects, points, strict=False):
                draw(axes, data, row, at)
            own[0].set_title(one.method, loc="left", fontsize=9)
        key(figure, max(points.shape[-2] for points in found))
        return figure


def landmarks_of(data: Dataset, one: Predictions, objects: np.ndarray) -> np.ndarray:
    """(..., L, 2) the landmarks of `objects`, rows of object/* in any shape.

    Raises:
        JladkitError: there are none of one of them.
    """
    if one.object_row is None or one.object_points is None:
        raise JladkitError(
            f"The predictions of {one.method} hold no landmarks to draw: it finds none, or they "
            "were made for PCK alone. Predict with a method that detects."
        )
    place = {int(row): number for number, row in enumerate(one.object_row)}
    lost = [int(row) for row in np.ravel(objects) if int(row) not in place]
    if lost:
        name = data.categories[data.object_category[lost[0]]]
        raise JladkitError(
            f"The predictions of {one.method} hold no landmarks of object {lost[0]} ({name}). Give "
            "the split that they are about, or another --category."
        )
    return one.object_points[np.vectorize(place.__getitem__, otypes=[int])(objects)]


def draw(axes: Axes, data: Dataset, row: int, points: np.ndarray) -> None:
    """An object's picture with its landmarks."""
    show(axes, data.image(row), "")
    dots(axes, points)
