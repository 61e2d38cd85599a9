"""Pictures of what a method says about somebody's own photographs."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from scipy.ndimage import map_coordinates, zoom

from jladkit.reports.palette import COLOURS

MARKERS = ("o", "s", "^")  # after the colours, another shape
STYLE = {"font.family": "sans-serif", "font.size": 9}
COLUMNS = 6


def match_figure(source: Image.Image, target: Image.Image, found: Any) -> Figure:
    """Source and target with the points, the target warped onto the source, and its uncertainty.

    Args:
        found: a jladkit.training.own.Match.
    """
    panels = 3 if found.field_log_sigma is None else 4
    with matplotlib.rc_context(STYLE):  # pyright: ignore[reportArgumentType]
        figure = Figure(figsize=(3.2 * panels, 3.4), layout="constrained")
        axes = figure.subplots(1, panels)
        show(axes[0], source, "source")
        dots(axes[0], found.points)
        show(axes[1], target, "target")
        dots(axes[1], found.moved)
        show(axes[2], warped(target, found.field, source.size), "target, warped onto the source")
        if panels == 4:
            width, height = source.size
            image = axes[3].imshow(
                found.field_log_sigma, extent=(-0.5, width - 0.5, height - 0.5, -0.5),
                cmap="cividis",
            )  # fmt: skip
            axes[3].set_title("log sigma: less sure where bright", loc="left", fontsize=9)
            axes[3].set_axis_off()
            figure.colorbar(image, ax=axes[3], shrink=0.8)
        return figure


def landmark_figure(images: Sequence[Image.Image], points: np.ndarray) -> Figure:
    """Pictures with their landmarks, the same colour and shape for the same landmark.

    Args:
        points: (B, K, 2) xy in pixels of each picture.
    """
    columns = min(len(images), COLUMNS)
    rows = -(-len(images) // columns)
    with matplotlib.rc_context(STYLE):  # pyright: ignore[reportArgumentType]
        figure = Figure(figsize=(2.2 * columns, 2.3 * rows), layout="constrained")
        axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
        for axis in axes:
            axis.set_axis_off()
        for axis, image, own in zip(axes, images, points, strict=False):
            show(axis, image, "")
            dots(axis, own)
        return figure


def show(axes: Axes, image: Image.Image | np.ndarray, title: str) -> None:
    """A picture without axes, its pixels where they are."""
    pixels = np.asarray(image)
    axes.imshow(pixels)
    axes.set_title(title, loc="left", fontsize=9)
    axes.set_axis_off()
    axes.set_xlim(-0.5, pixels.shape[1] - 0.5)
    axes.set_ylim(pixels.shape[0] - 0.5, -0.5)


def dots(axes: Axes, points: np.ndarray) -> None:
    """Numbered colours, ringed in black so that they show on any ground."""
    for number, (x, y) in enumerate(points):
        marker = MARKERS[number // len(COLOURS) % len(MARKERS)]
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(x, y, marker, color=colour, markersize=6, markeredgecolor="black", clip_on=True)


def warped(target: Image.Image, field: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The target read where a field points, as large as the source; white outside it.

    Args:
        field: (cells, cells, 2) xy in pixels of the target.
        size: width and height of the source.
    """
    pixels = np.asarray(target, dtype=float)
    factors = (size[1] / field.shape[0], size[0] / field.shape[1])
    x, y = (zoom(field[..., k], factors, order=1, mode="nearest", grid_mode=True) for k in (0, 1))
    read = [map_coordinates(pixels[..., c], [y, x], order=1, mode="nearest") for c in range(3)]
    height, width = pixels.shape[:2]
    outside = (x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)
    found = np.stack(read, axis=2)
    found[outside] = 255
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)
