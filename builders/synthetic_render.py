"""From a shape and a viewpoint to coverage, depth and shaded colour: camera, z-buffer, light.

The camera is PASCAL3D+'s: it stands `distance` away at `azimuth` and `elevation`, looks at the
origin, its picture is turned by `theta` and laid with the origin at the principal point.
"""

from dataclasses import dataclass

import numpy as np

from jladkit.builders.synthetic_solids import MATERIALS, Shape

VIEWPORT = 3000.0  # pixels a focal length, PASCAL3D+'s fixed choice
SAMPLES = 2  # samples a pixel and direction, averaged in the end


@dataclass(frozen=True)
class Viewpoint:
    """Degrees; azimuth 0 sees the front, 90 the side of positive x.

    `distance` in units of the object's diagonal; `px`, `py` where the origin lies, in pixels with
    (0, 0) the centre of the top left one.
    """

    azimuth: float
    elevation: float
    theta: float
    distance: float
    px: float
    py: float


def rotation(view: Viewpoint) -> np.ndarray:
    """(3, 3) from object to camera coordinates: x right, y up, z towards the viewer."""
    a, e = np.radians(view.azimuth), np.radians(view.elevation)
    right = [np.cos(a), np.sin(a), 0.0]
    up = [-np.sin(e) * np.sin(a), np.sin(e) * np.cos(a), np.cos(e)]
    towards = [np.cos(e) * np.sin(a), -np.cos(e) * np.cos(a), np.sin(e)]
    return np.array([right, up, towards])


def project(points: np.ndarray, view: Viewpoint) -> tuple[np.ndarray, np.ndarray]:
    """Where points (N, 3) appear.

    Returns:
        xy (N, 2) in pixels, (0, 0) the centre of the top left one; depth (N,) along the line of
        sight, in the unit of the points.
    """
    seen = points @ rotation(view).T
    depth = view.distance - seen[:, 2]
    flat = VIEWPORT * seen[:, :2] / depth[:, None]
    t = np.radians(view.theta)
    turned = flat @ np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]).T
    return turned * [1, -1] + [view.px, view.py], depth


def unproject(xy: np.ndarray, depth: np.ndarray, view: Viewpoint) -> np.ndarray:
    """The points (N, 3) that `project` would lay at `xy` (N, 2) and `depth` (N,)."""
    t = np.radians(view.theta)
    turned = (xy - [view.px, view.py]) * [1, -1]
    flat = turned @ np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    seen = np.column_stack([flat * depth[:, None] / VIEWPORT, view.distance - depth])
    return seen @ rotation(view)


def rasterise(
    corners: np.ndarray, depth: np.ndarray, faces: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw triangles into a z-buffer, all at once: triangle -> its rows -> their pixels.

    Args:
        corners: (V, 2) xy in pixels, (0, 0) the centre of the top left one.
        depth: (V,) positive.
        faces: (F, 3) rows of `corners`.
        width, height: of the picture, in pixels.

    Returns:
        face (height, width) row of `faces` seen in each pixel, -1 for none; depth (height, width),
        infinite where nothing is.
    """
    near = np.full(width * height, 0.0)  # 1 / depth, which is linear in the picture
    face = np.full(width * height, -1, dtype=np.int32)
    p = corners[faces]  # (F, 3, 2)
    q = 1.0 / depth[faces]  # (F, 3)
    edge1, edge2 = p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]
    area = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]
    kept = np.nonzero(np.abs(area) > 1e-9)[0]
    p, q, edge1, edge2, area = p[kept], q[kept], edge1[kept], edge2[kept], area[kept]
    slope_x = ((q[:, 1] - q[:, 0]) * edge2[:, 1] - (q[:, 2] - q[:, 0]) * edge1[:, 1]) / area
    slope_y = ((q[:, 2] - q[:, 0]) * edge1[:, 0] - (q[:, 1] - q[:, 0]) * edge2[:, 0]) / area
    base = q[:, 0] - slope_x * p[:, 0, 0] - slope_y * p[:, 0, 1]

    top = np.ceil(p[:, :, 1].min(axis=1)).clip(0, height).astype(np.int64)
    bottom = np.floor(p[:, :, 1].max(axis=1)).clip(-1, height - 1).astype(np.int64)
    owner, offset = spread(bottom - top + 1)
    y = top[owner] + offset
    left = np.full(len(y), np.inf)
    right = np.full(len(y), -np.inf)
    for i in range(3):
        a, b = p[:, i], p[:, (i + 1) % 3]
        rise = b[:, 1] - a[:, 1]
        run = np.divide(b[:, 0] - a[:, 0], rise, out=np.zeros(len(a)), where=rise != 0)
        x = a[owner, 0] + run[owner] * (y - a[owner, 1])
        low, high = np.minimum(a[:, 1], b[:, 1]), np.maximum(a[:, 1], b[:, 1])
        crosses = (y >= low[owner]) & (y <= high[owner]) & (rise != 0)[owner]
        left = np.where(crosses, np.minimum(left, x), left)
        right = np.where(crosses, np.maximum(right, x), right)
    first = np.ceil(left).clip(0, width).astype(np.int64)
    last = np.floor(right).clip(-1, width - 1).astype(np.int64)
    span, offset = spread(last - first + 1)
    x = first[span] + offset
    at = y[span] * width + x
    which = owner[span]
    value = base[which] + slope_x[which] * x + slope_y[which] * y[span]
    np.maximum.at(near, at, value)
    won = value >= near[at]
    face[at[won]] = kept[which[won]]
    far = np.divide(1.0, near, out=np.full(len(near), np.inf), where=near > 0)
    return face.reshape(height, width), far.reshape(height, width)


def spread(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row i stands `counts[i]` times (never for a negative count), with 0, 1, 2 ... beside it."""
    counts = np.maximum(counts, 0)
    rows = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return rows, np.arange(len(rows)) - starts[rows]


@dataclass(frozen=True)
class Finish:
    """How each of the MATERIALS looks on one object: colours 0..1, and the pattern of the paint.

    base, second (M, 3); pattern (M,) names; direction (M, 3) and rate (M,) of the pattern in
    object coordinates; gloss (M,).
    """

    base: np.ndarray
    second: np.ndarray
    pattern: list[str]
    direction: np.ndarray
    rate: np.ndarray
    gloss: np.ndarray


def paint_job(rng: np.random.Generator) -> Finish:
    """Colours and patterns for one object, at random."""
    count = len(MATERIALS)
    base = np.empty((count, 3))
    base[0], base[1] = colour(rng), colour(rng)
    base[2] = rng.uniform(0.04, 0.2) * rng.uniform(0.85, 1.0, 3)
    base[3] = rng.uniform(0.15, 0.5) * np.array([0.8, 0.95, 1.05]) * rng.uniform(0.9, 1.1, 3)
    base[4] = rng.uniform(0.45, 0.8) * rng.uniform(0.92, 1.0, 3)
    base[5] = rng.uniform(0.75, 1.0) * np.array([1.0, 0.98, rng.uniform(0.7, 1.0)])
    second = np.clip(base * rng.uniform(0.45, 1.5, (count, 1)), 0, 1)
    second[:2] = [colour(rng) if rng.random() < 0.4 else c for c in second[:2]]
    kinds = ["plain", "plain", "stripes", "blots", "grain", "checks"]
    pattern = [str(rng.choice(kinds)) for _ in range(2)] + ["plain"] * (count - 2)
    direction = rng.normal(size=(count, 3))
    # Painted patterns mostly follow an axis of the object.
    direction[0] = np.eye(3)[rng.integers(3)] + rng.normal(0, 0.15, 3)
    return Finish(
        base=base,
        second=second,
        pattern=pattern,
        direction=direction / np.linalg.norm(direction, axis=1, keepdims=True),
        rate=rng.uniform(6, 26, count),
        gloss=np.array([0.35, 0.2, 0.05, 0.6, 0.7, 0.2]) * rng.uniform(0.2, 1.2),
    )


def colour(rng: np.random.Generator) -> np.ndarray:
    """A random RGB colour, 0..1, with as many greys and whites as the world has."""
    hue, value = rng.random(), rng.uniform(0.25, 0.95)
    saturation = rng.uniform(0, 0.15) if rng.random() < 0.35 else rng.uniform(0.3, 0.9)
    wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return value * (1 - saturation + saturation * wheel)


def shade(
    shape: Shape,
    finish: Finish,
    face: np.ndarray,
    points: np.ndarray,
    view: Viewpoint,
    light: np.ndarray,
    ambient: float,
) -> np.ndarray:
    """Colours of seen points.

    Args:
        shape, finish: what is drawn, and how it is painted.
        face: (N,) the row of shape.faces that each point lies on.
        points: (N, 3) in object coordinates.
        view: where it is seen from.
        light: (3,) unit vector towards the light, object coordinates.
        ambient: 0..1, the light that comes from everywhere.

    Returns:
        (N, 3) RGB in 0..1.
    """
    corners = shape.vertices[shape.faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    camera = rotation(view)[2]
    normal *= np.where(normal @ camera < 0, -1.0, 1.0)[:, None]  # both sides of a face are painted
    lit = ambient + (1 - ambient) * np.maximum(normal @ light, 0.0)
    half = light + camera
    glint = np.maximum(normal @ (half / np.linalg.norm(half)), 0.0) ** 24
    material = shape.materials[face]
    result = finish.base[material]
    for kind in range(2):
        if finish.pattern[kind] != "plain":
            here = np.nonzero(material == kind)[0]
            mix = pattern_at(points[here], finish, kind)[:, None]
            result[here] += mix * (finish.second[kind] - finish.base[kind])
    mottle = 1 + 0.05 * np.sin(points @ [61.0, 23.0, 41.0]) * np.sin(points @ [17.0, 67.0, -37.0])
    bright = lit[face] * mottle
    result = result * bright[:, None] + (finish.gloss[shape.materials] * glint)[face][:, None]
    return np.clip(result, 0, 1)


def pattern_at(points: np.ndarray, finish: Finish, kind: int) -> np.ndarray:
    """(N,) how much of the second colour there is, 0..1, at points (N, 3) of a material."""
    rate, direction = finish.rate[kind], finish.direction[kind]
    wave = points @ direction * rate
    if finish.pattern[kind] == "stripes":
        return (np.sin(wave * 2) > 0.2).astype(float)
    if finish.pattern[kind] == "checks":
        cells = np.floor(points * rate * 0.7 + 0.37).sum(axis=1)
        return cells % 2
    bend = np.sin(points @ direction[[1, 2, 0]] * rate * 0.9 + 1.3)
    if finish.pattern[kind] == "blots":
        return (np.sin(wave + 2 * bend) * np.sin(points @ direction[[2, 0, 1]] * rate) > 0.15) * 0.9
    return 0.5 + 0.5 * np.sin(4 * wave + 1.5 * bend)  # grain


def visible(
    anchors: np.ndarray, view: Viewpoint, depth: np.ndarray, tolerance: float = 0.02
) -> np.ndarray:
    """Which anchors lie on the visible surface.

    Args:
        anchors: (A, 3) in object coordinates.
        view: where the object is seen from, px and py in pixels of the picture.
        depth: (SAMPLES * H, SAMPLES * W) z-buffer, infinite where nothing is.
        tolerance: how far the surface may lie before the anchor, in object diagonals: anchors
            stand on edges, where neighbouring samples see farther or nearer.

    Returns:
        (A,) bool; False also for what lies outside the picture.
    """
    xy, own = project(anchors, view)
    height, width = depth.shape
    column, row = np.rint((xy + 0.5) * SAMPLES - 0.5).astype(int).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    shift = np.arange(-1, 2)
    rows = (row[:, None] + shift).clip(0, height - 1)
    columns = (column[:, None] + shift).clip(0, width - 1)
    around = depth[rows[:, :, None], columns[:, None, :]].reshape(len(anchors), 9)
    return inside & (own <= around.max(axis=1) + tolerance)
