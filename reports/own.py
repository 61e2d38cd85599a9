"""Pictures of what a method says about somebody's own photographs."""

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionPatch
from matplotlib.patheffects import withStroke
from PIL import Image
from scipy.ndimage import map_coordinates, zoom

from jladkit.reports.figures import STYLE, dot
from jladkit.reports.palette import look

FEW = 12  # points: up to so many are tied by lines and numbered
COLUMNS = 6
NO_GRID = STYLE | {"font.size": 9, "axes.grid": False}


def match_figure(
    source: Image.Image, target: Image.Image, found: Any, names: tuple[str, str]
) -> Figure:
    """Source and target with the points, the target warped onto the source, and its uncertainty.

    Args:
        found: a jladkit.training.own.Match.
        names: what the two pictures are called.
    """
    panels = 3 if found.field_log_sigma is None else 4
    # The pictures stand beside each other at one height, each as wide as it is.
    widths = [source.width / source.height, target.width / target.height]
    widths += [widths[0]] * (panels - 2)
    height = min(3.4, 14 / sum(widths))
    with matplotlib.rc_context(NO_GRID):  # pyright: ignore[reportArgumentType]
        beside = 0.45 if panels == 3 else 1.15  # the titles, and the bar of log sigma
        size = (height * sum(widths) + 0.4, height + beside)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(1, panels, width_ratios=widths)
        for axis in axes:
            axis.set_anchor("N")
        few = len(found.points) <= FEW
        for axis, picture, points, head in (
            (axes[0], source, found.points, f"source: {names[0]}"),
            (axes[1], target, found.moved, f"target: {names[1]}"),
        ):
            show(axis, picture, head)
            dots(axis, points, few)
        if few:
            tie(axes[0], axes[1], found)
        show(axes[2], warped(target, found.field, source.size), "target, warped onto the source")
        if few:
            rings(axes[2], found.points, range(len(found.points)))
        if found.field_log_sigma is not None:
            draw_log_sigma(axes[3], found.field_log_sigma, source)
            axes[3].set_title("how unsure, over the source", loc="left", fontsize=9)
            figure.colorbar(
                axes[3].images[1], ax=axes[3], location="bottom", shrink=0.9, aspect=25, pad=0.02,
                label="log sigma; bright: less sure",
            )  # fmt: skip
        return figure


def landmark_figure(
    images: Sequence[Image.Image], points: np.ndarray, names: Sequence[str]
) -> Figure:
    """Pictures with their landmarks, the same colour and shape for the same landmark.

    Args:
        points: (B, K, 2) xy in pixels of each picture.
        names: what the pictures are called.
    """
    columns = min(len(images), COLUMNS)
    rows = -(-len(images) // columns)
    with matplotlib.rc_context(NO_GRID):  # pyright: ignore[reportArgumentType]
        figure = Figure(figsize=(2.4 * columns, 2.6 * rows + 0.4), layout="constrained")
        axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
        for axis in axes:
            axis.set_axis_off()
        for axis, image, own, name in zip(axes, images, points, names, strict=False):
            show(axis, image, name)
            dots(axis, own)
        key(figure, points.shape[1])
        return figure


def key(figure: Figure, count: int, word: str = "landmark") -> None:
    """A legend below a figure: which look is which number."""
    handles = [
        Line2D([], [], color=colour, marker=marker, markeredgecolor="white",
                                markersize=7, linestyle="none", label=str(number))
        for number in range(count) for colour, marker in [look(number)]
    ]  # fmt: skip
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(count, 14), frameon=False,
        handletextpad=0.1, columnspacing=1.0, title=word, title_fontsize=8, fontsize=8,
    )  # fmt: skip


def show(axes: Axes, image: Image.Image | np.ndarray, title: str) -> None:
    """A picture without axes, its pixels where they are."""
    pixels = np.asarray(image)
    axes.imshow(pixels)
    axes.set_title(title, loc="left", fontsize=9)
    axes.set_axis_off()
    axes.set_xlim(-0.5, pixels.shape[1] - 0.5)
    axes.set_ylim(pixels.shape[0] - 0.5, -0.5)


def dots(axes: Axes, points: np.ndarray, numbered: bool = False) -> None:
    """Points (N, 2) in their looks, `numbered` from 0 if asked for; NaN draws nothing."""
    for number, (x, y) in enumerate(points):
        if not np.isfinite([x, y]).all():
            continue
        dot(axes, x, y, number)
        if numbered:
            text = axes.annotate(str(number), (x, y), (5, 4), textcoords="offset points",
                                 color="white", fontsize=8, annotation_clip=True)  # fmt: skip
            text.set_path_effects([withStroke(linewidth=2, foreground="black")])


def rings(axes: Axes, points: np.ndarray, numbers: Iterable[int]) -> None:
    """Those of points (K, 2) that have `numbers`, hollow, so that what lies below is seen."""
    for number in numbers:
        (x, y), (colour, marker) = points[number], look(number)
        for edge, width in (("white", 2.4), (colour, 1.3)):
            axes.plot(x, y, marker=marker, markersize=6, markerfacecolor="none",
                      markeredgecolor=edge, markeredgewidth=width)  # fmt: skip


def tie(left: Axes, right: Axes, found: Any) -> None:
    """Lines from the points of one panel to where they lie in the other."""
    for number, (start, end) in enumerate(zip(found.points, found.moved, strict=True)):
        if np.isfinite([*start, *end]).all():
            left.figure.add_artist(ConnectionPatch(
                tuple(start), tuple(end), "data", "data", axesA=left, axesB=right,
                color=look(number)[0], linewidth=1, alpha=0.8,
            ))  # fmt: skip


def draw_log_sigma(
    axes: Axes,
    log_sigma: np.ndarray,
    picture: Image.Image,
    ends: tuple[float, float] | None = None,
) -> None:
    """A map (cells, cells) over its picture in grey; `ends` are the values of its darkest and
    brightest colour."""
    show(axes, grey(picture), "")
    low, high = ends if ends is not None else (None, None)
    over(axes, log_sigma, (-0.5, -0.5, picture.width - 0.5, picture.height - 0.5), "cividis", low,
         high)  # fmt: skip


def grey(picture: Image.Image) -> np.ndarray:
    """A picture without its colours, and paler, to lie below a map."""
    return np.asarray(picture.convert("L").convert("RGB")) // 2 + 127


def over(
    axes: Axes,
    values: np.ndarray,
    box: Sequence[float],
    colours: str,
    low: float | None,
    high: float | None,
) -> None:
    """A map of values, row first, laid over what is drawn already.

    Args:
        box: x1, y1, x2, y2 of the map's edges in pixels of the picture; may lie outside it.
        low, high: the values of the darkest and brightest colour; None for the map's own.
    """
    ends = axes.get_xlim(), axes.get_ylim()
    left, upper, right, lower = box
    axes.imshow(values, extent=(left, right, lower, upper), cmap=colours, vmin=low, vmax=high,
                alpha=0.75, interpolation="bilinear")  # fmt: skip
    axes.set_xlim(*ends[0])
    axes.set_ylim(*ends[1])


def warped(target: Image.Image, field: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The target read where a field points, as large as the source; white outside it.

    Args:
        field: (cells, cells, 2) xy in pixels of the target.
        size: width and height of the source.
    """
    pixels = np.asarray(target, dtype=float)
    factors = (size[1] / field.shape[0], size[0] / field.shape[1])
    x, y = (
        np.asarray(zoom(field[..., k], factors, order=1, mode="nearest", grid_mode=True))
        for k in (0, 1)
    )
    read = [map_coordinates(pixels[..., c], [y, x], order=1, mode="nearest") for c in range(3)]
    height, width = pixels.shape[:2]
    outside = (x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)
    found = np.stack(read, axis=2)
    found[outside] = 255
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)
