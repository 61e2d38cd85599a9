"""One picture: a background full of things that are not the object, the object, a little noise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from jladkit.builders.synthetic_craft import aeroplane, boat
from jladkit.builders.synthetic_cycles import bicycle, motorbike
from jladkit.builders.synthetic_indoor import bottle, chair, diningtable, sofa, tvmonitor
from jladkit.builders.synthetic_render import (
    SAMPLES,
    Viewpoint,
    colour,
    paint_job,
    project,
    rasterise,
    rotation,
    shade,
    unproject,
    visible,
)
from jladkit.builders.synthetic_solids import Shape
from jladkit.builders.synthetic_vehicles import bus, car, train


@dataclass(frozen=True)
class Kind:
    """A category: how to make one, and the azimuths (degrees) people mostly photograph it from."""

    make: Callable[[np.random.Generator], Shape]
    usual: tuple[float, ...]


KINDS: Mapping[str, Kind] = {
    "aeroplane": Kind(aeroplane, (60, 300)),
    "bicycle": Kind(bicycle, (75, 285)),
    "boat": Kind(boat, (50, 310)),
    "bottle": Kind(bottle, (0,)),
    "bus": Kind(bus, (35, 325)),
    "car": Kind(car, (40, 220)),
    "chair": Kind(chair, (25, 335)),
    "diningtable": Kind(diningtable, (0, 25)),
    "motorbike": Kind(motorbike, (75, 285)),
    "sofa": Kind(sofa, (15, 340)),
    "train": Kind(train, (35, 325)),
    "tvmonitor": Kind(tvmonitor, (15, 340)),
}


@dataclass(frozen=True)
class Picture:
    """What was drawn.

    pixels (H, W, 3) uint8; box x1 y1 x2 y2, first and last pixels of the object, about; locations
    (A, 2) and statuses (A,) of `shape.anchors` in their order; xy with (0, 0) the centre of the
    top left pixel. Statuses as in PASCAL3D+: 1 visible, 2 hidden by itself, 4 outside the picture.
    """

    pixels: np.ndarray
    shape: Shape
    view: Viewpoint
    box: tuple[int, int, int, int]
    locations: np.ndarray
    statuses: np.ndarray
    truncated: bool


def draw_picture(category: str, rng: np.random.Generator, size: int) -> Picture:
    """An instance of `category` with its own proportions, colours, light, pose and surroundings.

    Args:
        category: a key of KINDS.
        rng: all that happens depends on it and nothing else.
        size: longer side of the picture, in pixels.
    """
    width, height = picture_size(rng, size)
    shape = KINDS[category].make(rng)
    view, truncated = choose_view(category, shape, rng, width, height)
    ambient = rng.uniform(0.35, 0.65)
    light = rng.normal(0, 0.5, 3) + [0, 0, 0.6] + 0.7 * rotation(view)[2]
    light /= np.linalg.norm(light)
    backdrop = background(category, shape, view, rng, width, height)
    layer, depth = render(shape, view, rng, width, height, light, ambient)
    alpha = layer[..., 3:]
    pixels = layer[..., :3] + (1 - alpha) * backdrop
    pixels = pixels * rng.uniform(0.9, 1.2) * rng.uniform(0.95, 1.05, 3)
    pixels += rng.normal(0, rng.uniform(0.0, 0.025), (height, width, 1))
    seen = layer[..., 3] > 0
    rows, columns = (np.nonzero(seen.any(axis))[0] for axis in (1, 0))
    anchors = np.array(list(shape.anchors.values()))
    locations, _ = project(anchors, view)
    outside = ((locations < -0.5) | (locations >= np.array([width, height]) - 0.5)).any(axis=1)
    statuses = np.where(outside, 4, np.where(visible(anchors, view, depth), 1, 2))
    return Picture(
        pixels=np.rint(pixels.clip(0, 1) * 255).astype(np.uint8),
        shape=shape,
        view=view,
        box=loose_box(columns, rows, width, height, rng),
        locations=locations,
        statuses=statuses,
        truncated=truncated,
    )


def loose_box(
    columns: np.ndarray, rows: np.ndarray, width: int, height: int, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """A box around the seen object as people draw it: a little too large on each side.

    Args:
        columns, rows: where the object is seen, in ascending order.
        width, height: of the picture, beyond which no box goes.
    """
    longer = max(columns[-1] - columns[0], rows[-1] - rows[0]) + 1
    left, top, right, bottom = (int(v) for v in np.abs(rng.normal(0, 0.03, 4)) * longer)
    return (
        max(int(columns[0]) - left, 0),
        max(int(rows[0]) - top, 0),
        min(int(columns[-1]) + right, width - 1),
        min(int(rows[-1]) + bottom, height - 1),
    )


def picture_size(rng: np.random.Generator, size: int) -> tuple[int, int]:
    """Width and height in the proportions photographs have, the longer one `size`."""
    short = round(size * float(rng.choice([0.667, 0.75, 0.8, 1.0])))
    return (size, short) if rng.random() < 0.75 else (short, size)


def choose_view(
    category: str, shape: Shape, rng: np.random.Generator, width: int, height: int
) -> tuple[Viewpoint, bool]:
    """A viewpoint from which the object fills a good part of the picture; one in 25 is cut off."""
    if rng.random() < 0.7:
        azimuth = rng.normal(float(rng.choice(KINDS[category].usual)), 14.0)
    else:
        azimuth = rng.uniform(0, 360)
    elevation = float(np.clip(rng.normal(12, 9), -5, 35))
    theta = float(np.clip(rng.normal(0, 6), -18, 18))
    view = Viewpoint(
        round(azimuth % 360, 3) % 360, round(elevation, 3), round(theta, 3), 10.0, 0, 0
    )
    xy, _ = project(shape.vertices, view)
    low, high = xy.min(axis=0), xy.max(axis=0)
    truncated = bool(rng.random() < 0.04)
    fill = rng.uniform(0.5, 0.82) * (1.6 if truncated else 1.0)
    scale = fill * float(np.min(np.array([width, height]) / (high - low)))
    distance = round(10.0 / scale, 4)
    half = (high - low) / 2 * scale
    room = np.maximum(np.array([width, height]) / 2 - half - 3, 0 if not truncated else 12)
    middle = np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * room
    px, py = (round(float(v), 3) for v in middle - (low + high) / 2 * scale)
    return Viewpoint(view.azimuth, view.elevation, view.theta, distance, px, py), truncated


def render(
    shape: Shape,
    view: Viewpoint,
    rng: np.random.Generator,
    width: int,
    height: int,
    light: np.ndarray,
    ambient: float,
    samples: int = SAMPLES,
) -> tuple[np.ndarray, np.ndarray]:
    """The object alone: RGBA (H, W, 4), colours multiplied by coverage; the finer z-buffer."""
    finish = paint_job(rng)
    xy, depth = project(shape.vertices, view)
    # Only the window around the object is drawn; it starts at a whole pixel.
    limit = np.array([width, height])
    low = np.floor(xy.min(axis=0)).clip(0, limit - 1).astype(int)
    high = np.ceil(xy.max(axis=0) + 1).clip(low + 1, limit).astype(int)
    w, h = (int(v) for v in high - low)
    corners = (xy - low + 0.5) * samples - 0.5
    face, near = rasterise(corners, depth, shape.faces, w * samples, h * samples)
    row, column = np.nonzero(face >= 0)
    seen = (np.column_stack([column, row]) + 0.5) / samples - 0.5 + low
    points = unproject(seen, near[row, column], view)
    hues = shade(shape, finish, face[row, column], points, view, light, ambient)
    layer = np.zeros((height, width, 4), dtype=np.float32)
    window = layer[low[1] : high[1], low[0] : high[0]]
    at = (row // samples) * w + column // samples
    for channel, values in enumerate([*hues.T, None]):
        total = np.bincount(at, values, minlength=w * h)
        window[..., channel] = total.reshape(h, w) / samples**2
    far = np.full((height * samples, width * samples), np.inf)
    y, x = low[1] * samples, low[0] * samples
    far[y : y + h * samples, x : x + w * samples] = near
    return layer, far


def background(
    category: str, shape: Shape, view: Viewpoint, rng: np.random.Generator, width: int, height: int
) -> np.ndarray:
    """(H, W, 3) RGB in 0..1: gradients, noise, scattered shapes, a cut-off other object, a shadow."""
    horizon = rng.uniform(0.25, 0.75)
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    tones = [0.6 * tone + 0.4 * tone.mean() for tone in (colour(rng) for _ in range(4))]
    above = tones[0] * (1 - y) + tones[1] * y
    below = tones[2] * (1 - y) + tones[3] * y
    soft = 1 / (1 + np.exp(-(y - horizon) * rng.choice([6.0, 60.0, 400.0])))
    canvas = np.repeat((above * (1 - soft) + below * soft).astype(np.float32), width, axis=1)
    for cells in (4, 12, 48):
        grain = rng.normal(0, rng.uniform(0.01, 0.1), (cells, cells, 3)).astype(np.float32)
        canvas += enlarged(grain * 0.25 + grain.mean(axis=2, keepdims=True), width, height)
    picture = Image.fromarray(np.rint(canvas.clip(0, 1) * 255).astype(np.uint8))
    clutter(picture, rng)
    if rng.random() < 0.7:
        others = [name for name in KINDS if name != category]
        place_other(picture, str(rng.choice(others)), rng)
    if category != "aeroplane":
        shadow(picture, shape, view, rng)
    blur = rng.uniform(-0.8, 1.6)  # one background in three is as sharp as the object
    if blur > 0:
        picture = picture.filter(ImageFilter.GaussianBlur(blur))
    return np.asarray(picture, dtype=np.float32) / 255


def enlarged(grid: np.ndarray, width: int, height: int) -> np.ndarray:
    """(h, w, 3) in -0.5..0.5 -> (height, width, 3), smoothly."""
    small = Image.fromarray(np.rint((grid + 0.5).clip(0, 1) * 255).astype(np.uint8))
    large = small.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(large, dtype=np.float32) / 255 - 0.5


def clutter(picture: Image.Image, rng: np.random.Generator) -> None:
    """Draw translucent ellipses, polygons, bars and bricks onto `picture`."""
    width, height = picture.size
    draw = ImageDraw.Draw(picture, "RGBA")
    for _ in range(int(rng.integers(6, 22))):
        ink = (*(int(255 * v) for v in colour(rng)), int(rng.integers(90, 256)))
        x, y = rng.uniform(-0.1, 1.1) * width, rng.uniform(-0.1, 1.1) * height
        w, h = rng.uniform(0.02, 0.3, 2) * max(width, height)
        kind = rng.integers(4)
        if kind == 0:
            draw.ellipse((x, y, x + w, y + h), fill=ink)
        elif kind == 1:
            turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
            draw.polygon([(x + w * np.cos(t), y + h * np.sin(t)) for t in turns], fill=ink)
        elif kind == 2:
            end = (x + rng.normal(0, 0.4) * width, y + rng.normal(0, 0.4) * height)
            draw.line([(x, y), end], fill=ink, width=int(rng.integers(1, 9)))
        else:
            across, down = rng.integers(1, 5, 2)
            for i in range(across):
                for j in range(down):
                    corner = (x + i * w * 0.6, y + j * h * 0.6)
                    draw.rectangle((*corner, corner[0] + w * 0.45, corner[1] + h * 0.45), fill=ink)


def place_other(picture: Image.Image, category: str, rng: np.random.Generator) -> None:
    """Draw an object of another category, cut off by the edge of `picture`."""
    width, height = picture.size
    shape = KINDS[category].make(rng)
    angle = rng.uniform(0, 2 * np.pi)
    px = width * (0.5 + 0.5 * np.cos(angle))
    py = height * (0.5 + 0.5 * np.sin(angle))
    distance = 3000 / (rng.uniform(0.3, 0.7) * min(width, height))
    view = Viewpoint(rng.uniform(0, 360), rng.uniform(-5, 30), rng.normal(0, 15), distance, px, py)
    light = np.array([0.3, -0.4, 0.86])
    layer, _ = render(shape, view, rng, width, height, light, 0.5, samples=1)
    backdrop = np.asarray(picture, dtype=float) / 255
    mixed = layer[..., :3] + (1 - layer[..., 3:]) * backdrop
    picture.paste(Image.fromarray(np.rint(mixed.clip(0, 1) * 255).astype(np.uint8)))


def shadow(picture: Image.Image, shape: Shape, view: Viewpoint, rng: np.random.Generator) -> None:
    """Darken the ground below the object."""
    low, high = shape.vertices.min(axis=0), shape.vertices.max(axis=0)
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    outline = np.column_stack(
        [
            (low[0] + high[0]) / 2 + (high[0] - low[0]) * 0.6 * np.cos(turns),
            (low[1] + high[1]) / 2 + (high[1] - low[1]) * 0.6 * np.sin(turns),
            np.full(24, low[2]),
        ]
    )
    xy, _ = project(outline, view)
    width, height = picture.size
    mask = Image.new("L", (width // 4, height // 4))  # a blurred thing needs no more
    ImageDraw.Draw(mask).polygon([(x / 4, y / 4) for x, y in xy], fill=int(rng.integers(40, 190)))
    mask = mask.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.8)))
    picture.paste((10, 10, 12), mask=mask.resize(picture.size, Image.Resampling.BILINEAR))
