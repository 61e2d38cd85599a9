"""Triangles to build the drawn objects from: everything is a loft, a skin over a row of rings.

Frame of every shape, as PASCAL3D+ has it: x to the right of somebody who looks at the object's
front, y from front to back, z up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

MATERIALS = ("paint", "accent", "dark", "glass", "metal", "light")

Mesh = tuple[np.ndarray, np.ndarray]  # (V, 3) corners, (F, 3) rows of corners


@dataclass(frozen=True)
class Shape:
    """A rigid object: box centre at the origin, box diagonal 1.

    vertices (V, 3); faces (F, 3) rows of vertices; materials (F,) rows of MATERIALS; anchors by
    name, xyz on the surface (a part that this object lacks is absent); style, from 0, is which of
    its category's builds it has.
    """

    vertices: np.ndarray
    faces: np.ndarray
    materials: np.ndarray
    anchors: Mapping[str, np.ndarray]
    style: int


@dataclass
class Solid:
    """The parts of an object under construction, in any unit."""

    vertices: list[np.ndarray] = field(default_factory=list)
    faces: list[np.ndarray] = field(default_factory=list)
    materials: list[np.ndarray] = field(default_factory=list)
    count: int = 0

    def add(self, mesh: Mesh, material: str) -> None:
        """Put a part in."""
        corners, faces = mesh
        self.vertices.append(corners)
        self.faces.append(faces + self.count)
        self.materials.append(np.full(len(faces), MATERIALS.index(material)))
        self.count += len(corners)

    def finish(self, anchors: Mapping[str, ArrayLike], style: int) -> Shape:
        """Centre and scale the whole, anchors along with it."""
        vertices = np.concatenate(self.vertices)
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        middle, size = (low + high) / 2, float(np.linalg.norm(high - low))
        return Shape(
            vertices=(vertices - middle) / size,
            faces=np.concatenate(self.faces),
            materials=np.concatenate(self.materials),
            anchors={name: (np.asarray(at, float) - middle) / size for name, at in anchors.items()},
            style=style,
        )


def xyz(x: float, y: float, z: float) -> np.ndarray:
    """(3,) a point, or a step from one to another."""
    return np.array([x, y, z])


def loft(rings: ArrayLike | Sequence[ArrayLike], closed: bool = False) -> Mesh:
    """A skin over R rings of n corners each, (R, n, 3).

    The two ends get lids (fans around their middles), unless `closed` joins the last ring to the
    first.
    """
    grid = np.asarray(rings, dtype=float)
    count, n = grid.shape[:2]
    row, column = np.meshgrid(np.arange(count if closed else count - 1), np.arange(n))
    row, column = row.ravel(), column.ravel()
    after, beside = (row + 1) % count, (column + 1) % n
    a, b = row * n + column, row * n + beside
    c, d = after * n + beside, after * n + column
    faces = [np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)]
    vertices = grid.reshape(-1, 3)
    if not closed:
        first = np.arange(n)
        for base, middle in ((0, count * n), ((count - 1) * n, count * n + 1)):
            lid = [np.full(n, middle), base + first, base + (first + 1) % n]
            faces.append(np.stack(lid, axis=1))
        vertices = np.concatenate([vertices, grid[[0, -1]].mean(axis=1)])
    return vertices, np.concatenate(faces)


def ring(middle: ArrayLike, u: ArrayLike, v: ArrayLike, n: int) -> np.ndarray:
    """(n, 3) points of the ellipse around `middle` with half axes `u` and `v`."""
    turn = np.arange(n) * (2 * np.pi / n)
    return (
        np.asarray(middle, float)
        + np.cos(turn)[:, None] * np.asarray(u, float)
        + np.sin(turn)[:, None] * np.asarray(v, float)
    )


def box(low: ArrayLike, high: ArrayLike, round_by: float = 0.0) -> Mesh:
    """A box from corner to corner, its edges cut off by `round_by`."""
    (x0, y0, z0), (x1, y1, z1) = np.asarray(low, float), np.asarray(high, float)
    if round_by <= 0:
        return loft([frame(x0, x1, y0, y1, z) for z in (z0, z1)])
    c = min(round_by, 0.45 * min(x1 - x0, y1 - y0, z1 - z0))
    outer = [cut_frame(x0, x1, y0, y1, z, c) for z in (z0 + c, z1 - c)]
    inset = [cut_frame(x0 + c, x1 - c, y0 + c, y1 - c, z, c * 0.4) for z in (z0, z1)]
    return loft([inset[0], *outer, inset[1]])


def frame(x0: float, x1: float, y0: float, y1: float, z: float) -> np.ndarray:
    """(4, 3) level rectangle."""
    return np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]])


def cut_frame(x0: float, x1: float, y0: float, y1: float, z: float, c: float) -> np.ndarray:
    """(8, 3) level rectangle without its corners."""
    c = min(c, 0.49 * (x1 - x0), 0.49 * (y1 - y0))
    xs = [x0 + c, x1 - c, x1, x1, x1 - c, x0 + c, x0, x0]
    ys = [y0, y0, y0 + c, y1 - c, y1, y1, y1 - c, y0 + c]
    return np.stack([xs, ys, np.full(8, z)], axis=1)


def along_y(stations: Sequence[tuple[float, float, float, float]], cut: float = 0.0) -> Mesh:
    """A body from front to back, from stations (y, half width, lower z, upper z)."""
    rings = []
    for y, half, low, high in stations:
        flat = (
            cut_frame(-half, half, low, high, 0.0, cut) if cut else frame(-half, half, low, high, 0)
        )
        rings.append(np.stack([flat[:, 0], np.full(len(flat), y), flat[:, 1]], axis=1))
    return loft(rings)


def tube(path: ArrayLike | Sequence[ArrayLike], radius: ArrayLike, n: int = 6) -> Mesh:
    """A pipe of n sides along a path (R, 3)."""
    points = np.asarray(path, dtype=float)
    radii = np.broadcast_to(np.asarray(radius, float), len(points))
    steps = np.gradient(points, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    # Any axis that the path does not follow will do to span the rings.
    helper = np.eye(3)[np.abs(steps).max(axis=0).argmin()]
    u = np.cross(steps, helper)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(steps, u)
    return loft([ring(p, r * a, r * b, n) for p, r, a, b in zip(points, radii, u, v, strict=True)])


def turned(profile: Sequence[tuple[float, float]], n: int = 20) -> Mesh:
    """A body turned on the z axis, from (radius, z) upwards."""
    return loft([ring((0, 0, z), (r, 0, 0), (0, r, 0), n) for r, z in profile])


def ball(middle: ArrayLike, radii: ArrayLike, n: int = 10) -> Mesh:
    """An ellipsoid."""
    x, y, z = np.asarray(middle, float)
    a, b, c = np.asarray(radii, float)
    turns = np.linspace(-np.pi / 2, np.pi / 2, 7)[1:-1]
    return loft(
        [
            ring(
                (x, y, z + c * np.sin(t)),
                (a * np.cos(t), 0, 0),
                (0, b * np.cos(t), 0),
                n,
            )
            for t in turns
        ]
    )


def disc(middle: ArrayLike, radius: float, width: float, n: int = 16) -> Mesh:
    """A wheel-like cylinder around the x direction, its edges rounded."""
    x, y, z = np.asarray(middle, float)
    rings = [(-0.5, 0.9), (-0.35, 1.0), (0.35, 1.0), (0.5, 0.9)]
    return loft(
        [ring((x + width * s, y, z), (0, radius * r, 0), (0, 0, radius * r), n) for s, r in rings]
    )


def hoop(middle: ArrayLike, radius: float, thick: float, n: int = 24, m: int = 6) -> Mesh:
    """A tyre: a ring-shaped pipe around the x direction."""
    turn = np.arange(n) * (2 * np.pi / n)
    rings = [
        ring(
            np.asarray(middle, float) + radius * np.array([0, np.cos(t), np.sin(t)]),
            (thick, 0, 0),
            (0, thick * np.cos(t), thick * np.sin(t)),
            m,
        )
        for t in turn
    ]
    return loft(rings, closed=True)


def panel(corners: ArrayLike | Sequence[ArrayLike], thickness: float) -> Mesh:
    """A flat plate with `corners` (n, 3) for its outline, thickened to both sides."""
    outline = np.asarray(corners, dtype=float)
    normal = np.cross(outline[1] - outline[0], outline[2] - outline[1])
    normal *= thickness / 2 / np.linalg.norm(normal)
    return loft([outline - normal, outline + normal])


def car_wheel(solid: Solid, middle: ArrayLike, radius: float, width: float) -> None:
    """A tyre with a bright hub on both sides; its outer middle lies `width` * 0.55 from `middle`."""
    solid.add(disc(middle, radius, width), "dark")
    solid.add(disc(middle, radius * 0.55, width * 1.1, n=10), "metal")
