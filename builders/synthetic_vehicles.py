"""Road vehicles and trains among the drawn objects: bus, car, train.

Anchors carry PASCAL3D+'s names in PASCAL3D+'s sense of left and right: left is the side of
negative x for most parts, but the rear ends of cars and trains are named by somebody behind them.
"""

from typing import Any

import numpy as np

from jladkit.builders.synthetic_solids import (
    Shape,
    Solid,
    along_y,
    ball,
    box,
    car_wheel,
    disc,
    loft,
    panel,
    tube,
)


def wheel_anchors(x: float, front: float, back: float, z: float) -> dict[str, Any]:
    """The four wheel anchors, at +-x."""
    return {
        f"{side}_{end}_wheel": (sign * x, y, z)
        for side, sign in (("left", -1), ("right", 1))
        for end, y in (("front", front), ("back", back))
    }


def car(rng: np.random.Generator) -> Shape:
    """Saloon, hatchback or pick-up."""
    style = int(rng.integers(3))
    length, width = rng.uniform(3.6, 5.0), rng.uniform(1.55, 1.95)
    height, clearance = rng.uniform(1.3, 1.8), rng.uniform(0.15, 0.32)
    belt = rng.uniform(0.52, 0.64) * height
    bonnet = rng.uniform(0.18, 0.3) * length
    boot = length * (rng.uniform(0.13, 0.2), rng.uniform(0.01, 0.04), rng.uniform(0.3, 0.4))[style]
    rake_front, rake_back = rng.uniform(0.3, 0.75), rng.uniform(0.1, 0.6)
    front, back, half = -length / 2, length / 2, width / 2
    radius, tyre = rng.uniform(0.27, 0.38), rng.uniform(0.18, 0.26)
    low, nose = clearance, belt * rng.uniform(0.8, 0.95)

    solid = Solid()
    bed = belt if style != 2 else belt * 0.98
    hull = [
        (front, half * 0.86, low + 0.12, nose * 0.86),
        (front + 0.12, half * 0.96, low, nose),
        (front + bonnet, half, low, belt),
        (back - boot, half, low, bed),
        (back - 0.12, half * 0.96, low, bed * 0.97),
        (back, half * 0.9, low + 0.1, bed * 0.88),
    ]
    solid.add(along_y(hull, cut=0.07), "paint")
    y0, y1 = front + bonnet - 0.05, back - boot + 0.05
    y1 = min(y1, back - 0.06)
    roof0, roof1, roof_half = y0 + rake_front, y1 - rake_back, half * rng.uniform(0.72, 0.86)
    lower = [[-half * 0.96, y0, belt - 0.02], [half * 0.96, y0, belt - 0.02]]
    lower += [[half * 0.96, y1, belt - 0.02], [-half * 0.96, y1, belt - 0.02]]
    upper = [[-roof_half, roof0, height], [roof_half, roof0, height]]
    upper += [[roof_half, roof1, height], [-roof_half, roof1, height]]
    lower, upper = np.array(lower), np.array(upper)
    solid.add(loft([lower, upper]), "accent" if rng.random() < 0.2 else "paint")
    solid.add(box((-roof_half, roof0, height), (roof_half, roof1, height + 0.03)), "paint")
    for i in range(4):  # a window in each side of the cabin, front, right, back, left
        j = (i + 1) % 4
        corners = np.array([lower[i], lower[j], upper[j], upper[i]])
        inside = 0.83 * corners + 0.17 * corners.mean(axis=0)
        solid.add(panel(inside, 0.03), "glass")
        if i % 2:  # the pillar between the doors
            share = rng.uniform(0.4, 0.55)
            foot = inside[0] * share + inside[1] * (1 - share)
            head = inside[3] * share + inside[2] * (1 - share)
            solid.add(tube([foot, head], 0.045, n=4), "paint")
    axle0 = front + rng.uniform(0.13, 0.22) * length
    axle1 = back - rng.uniform(0.15, 0.22) * length
    for y in (axle0, axle1):
        for sign in (-1, 1):
            car_wheel(solid, (sign * (half - tyre * 0.35), y, radius), radius, tyre)
    lamp = low + (nose - low) * rng.uniform(0.55, 0.75)
    side, size = half * 0.7, rng.uniform(0.07, 0.14)
    for sign in (-1, 1):
        solid.add(ball((sign * side, front + 0.03, lamp), (size * 1.4, 0.09, size)), "light")
        solid.add(
            box(
                (sign * side - 0.1, back - 0.03, lamp),
                (sign * side + 0.1, back + 0.03, lamp + 0.16),
            ),
            "accent",
        )
        x0, x1 = sorted((sign * half * 0.98, sign * (half + 0.14)))
        solid.add(box((x0, y0 + 0.25, belt), (x1, y0 + 0.33, belt + 0.13)), "dark")
    solid.add(
        box((-half * 0.4, front - 0.02, low + 0.14), (half * 0.4, front + 0.05, lamp)), "dark"
    )
    solid.add(box((-half * 0.9, front - 0.05, low), (half * 0.9, front + 0.1, low + 0.13)), "metal")
    solid.add(box((-half * 0.9, back - 0.1, low), (half * 0.9, back + 0.05, low + 0.13)), "metal")
    outer = half - tyre * 0.35 + tyre * 0.55
    trunk = (back - 0.1, bed * 0.97)
    return solid.finish(
        {
            **wheel_anchors(outer, axle0, axle1, radius),
            "left_front_light": (-side, front - 0.06, lamp),
            "right_front_light": (side, front - 0.06, lamp),
            "upper_left_windshield": (-roof_half, roof0, height + 0.03),
            "upper_right_windshield": (roof_half, roof0, height + 0.03),
            "upper_left_rearwindow": (roof_half, roof1, height + 0.03),
            "upper_right_rearwindow": (-roof_half, roof1, height + 0.03),
            "left_back_trunk": (half * 0.93, *trunk),
            "right_back_trunk": (-half * 0.93, *trunk),
        },
        style,
    )


def bus(rng: np.random.Generator) -> Shape:
    """Single or double decker."""
    style = int(rng.integers(2))
    length, width = rng.uniform(6.0, 10.5), rng.uniform(2.2, 2.7)
    height, low = (rng.uniform(2.6, 3.3), rng.uniform(3.9, 4.5))[style], rng.uniform(0.3, 0.5)
    front, back, half, cut = -length / 2, length / 2, width / 2, rng.uniform(0.02, 0.25)
    lean = rng.uniform(0, 0.35)
    solid = Solid()
    rings = []
    for z, inset in ((low, 0.0), (low + (height - low) * 0.55, 0.0), (height, 1.0)):
        rings.append(
            [
                [-half + 0.06 * inset, front + lean * inset, z],
                [half - 0.06 * inset, front + lean * inset, z],
                [half - 0.06 * inset, back - 0.05 * inset, z],
                [-half + 0.06 * inset, back - 0.05 * inset, z],
            ]
        )
    solid.add(loft(rings), "paint")
    rows = [
        (low + (height - low) * a, low + (height - low) * b)
        for a, b in (((0.5, 0.82),), ((0.24, 0.44), (0.62, 0.86)))[style]
    ]
    count = int(rng.integers(4, 9))
    edges = np.linspace(front + length * 0.1, back - length * 0.05, count + 1)
    gap = (edges[1] - edges[0]) * rng.uniform(0.04, 0.14)
    door = int(rng.integers(0, 2)) if count > 5 else 0
    for sign in (-1, 1):
        for z0, z1 in rows:
            for i in range(count):
                x0, x1 = sorted((sign * (half - 0.1), sign * (half + 0.015)))
                bottom = low + 0.1 if sign > 0 and i == door and z0 == rows[0][0] else z0
                solid.add(box((x0, edges[i] + gap, bottom), (x1, edges[i + 1] - gap, z1)), "glass")
        x0, x1 = sorted((sign * (half - 0.1), sign * (half + 0.01)))
        solid.add(
            box((x0, front, low + 0.15), (x1, back, low + 0.15 + rng.uniform(0.1, 0.4))), "accent"
        )
    for z0, z1 in rows:
        z0 = z0 - 0.12 * (height - low)
        share = max(0.0, (z1 / height - 0.55)) * lean
        solid.add(
            box((-half * 0.9, front - 0.02 + share * 0.4, z0), (half * 0.9, front + 0.5, z1)),
            "glass",
        )
        solid.add(
            box((-half * 0.75, back - 0.3, z0 + 0.2), (half * 0.75, back + 0.015, z1)), "glass"
        )
    solid.add(
        box(
            (-half * 0.6, front - 0.02 + lean, height - 0.22),
            (half * 0.6, front + lean + 0.2, height - 0.02),
        ),
        "dark",
    )
    lamp = low + 0.35
    for sign in (-1, 1):
        solid.add(
            box(
                (sign * half * 0.7 - 0.2, front - 0.04, lamp - 0.12),
                (sign * half * 0.7 + 0.2, front + 0.1, lamp + 0.12),
            ),
            "light",
        )
    solid.add(box((-half, front - 0.06, low), (half, front + 0.1, low + 0.15), cut * 0.2), "dark")
    radius, tyre = rng.uniform(0.42, 0.52), 0.3
    axle0 = front + rng.uniform(0.12, 0.25) * length
    axle1 = back - rng.uniform(0.16, 0.28) * length
    for y in (axle0, axle1):
        for sign in (-1, 1):
            car_wheel(solid, (sign * (half - 0.12), y, radius), radius, tyre)
    corner = {
        "front_lower": (front, half, low),
        "front_upper": (front + lean, half - 0.06, height),
        "back_lower": (back, half, low),
        "back_upper": (back - 0.05, half - 0.06, height),
    }
    anchors = wheel_anchors(half - 0.12 + tyre * 0.55, axle0, axle1, radius)
    for end in ("front", "back"):
        for side, sign in (("left", -1), ("right", 1)):
            for level in ("lower", "upper"):
                y, x, z = corner[f"{end}_{level}"]
                anchors[f"body_{end}_{side}_{level}"] = (sign * x, y, z)
    return solid.finish(anchors, style)


def train(rng: np.random.Generator) -> Shape:
    """Two or three carriages behind a flat, slanted or pointed head."""
    style = int(rng.integers(3))
    count = int(rng.integers(2, 4))
    width, height, low = rng.uniform(2.5, 3.1), rng.uniform(2.9, 3.9), rng.uniform(0.35, 0.7)
    lengths = [rng.uniform(4.5, 7.5)] + [rng.uniform(4.0, 6.5)] * (count - 1)
    half, nose = width / 2, (0.1, rng.uniform(0.5, 1.2), rng.uniform(1.6, 2.6))[style]
    cut = rng.uniform(0.1, 0.3)
    solid = Solid()
    start, ends = 0.0, []
    for number, length in enumerate(lengths):
        end = start + length
        first = number == 0
        if first and style == 2:
            stations = [
                (start, half * 0.3, low + 0.1, low + 0.25 * height),
                (start + nose * 0.35, half * 0.7, low, low + 0.5 * height),
                (start + nose * 0.75, half * 0.93, low, height * 0.9),
                (start + nose * 1.2, half, low, height),
                (end - 0.1, half, low, height),
            ]
            solid.add(along_y(stations, cut=cut), "paint")
        elif first:
            solid.add(
                along_y(
                    [
                        (start, half, low, low + 0.45 * height),
                        (start + nose, half, low, height),
                        (end - 0.1, half, low, height),
                    ]
                ),
                "paint",
            )
        else:
            solid.add(
                along_y([(start + 0.1, half, low, height), (end - 0.1, half, low, height)]), "paint"
            )
            solid.add(
                box(
                    (-half * 0.7, start - 0.15, low + 0.1),
                    (half * 0.7, start + 0.15, height * 0.93),
                ),
                "dark",
            )
        body = start + (nose * 1.3 if first else 0.2)
        windows = int(rng.integers(3, 6))
        edges = np.linspace(body + 0.2, end - 0.3, windows + 1)
        z0, z1 = low + 0.48 * (height - low), low + 0.8 * (height - low)
        for sign in (-1, 1):
            x0, x1 = sorted((sign * (half - 0.1), sign * (half + 0.02)))
            for i in range(windows):
                solid.add(box((x0, edges[i] + 0.12, z0), (x1, edges[i + 1] - 0.12, z1)), "glass")
            solid.add(box((x0, body, low + 0.15), (x1, end - 0.1, low + 0.55)), "accent")
        for y in (start + 0.22 * length + nose * 0.3 * first, end - 0.2 * length):
            for shift in (-0.5, 0.5):
                for sign in (-1, 1):
                    solid.add(disc((sign * half * 0.8, y + shift, 0.42), 0.42, 0.2, n=10), "dark")
            solid.add(box((-half * 0.75, y - 0.8, 0.3), (half * 0.75, y + 0.8, low + 0.1)), "dark")
        ends.append(end)
        start = end
    if style == 2:
        y, z = nose * 0.35, low + 0.5 * height
        glass = [
            [-half * 0.55, y + nose * 0.12, z + 0.15 * height],
            [half * 0.55, y + nose * 0.12, z + 0.15 * height],
            [half * 0.6, nose * 0.75, height * 0.92],
            [-half * 0.6, nose * 0.75, height * 0.92],
        ]
        solid.add(panel(np.array(glass), 0.12), "glass")
    else:
        z = low + 0.45 * height
        for x0, x1 in ((-0.88, -0.06), (0.06, 0.88)):
            glass = np.array(
                [
                    [x0 * half, 0, z],
                    [x1 * half, 0, z],
                    [x1 * half, nose, height],
                    [x0 * half, nose, height],
                ]
            )
            solid.add(panel(0.8 * glass + 0.2 * glass.mean(axis=0), 0.08), "glass")
        solid.add(box((-half, -0.05, low + 0.2), (half, 0.1, low + 0.42 * height)), "accent")
    tip = half * (0.3 if style == 2 else 1.0)
    for sign in (-1, 1):
        solid.add(ball((sign * tip * 0.7, -0.05, low + 0.3), (0.16, 0.1, 0.16)), "light")
    anchors: dict[str, Any] = {}
    for side, sign in (("left", -1), ("right", 1)):
        at = nose * 0.35 if style == 2 else 0.0
        wide = half * (0.7 if style == 2 else 1.0)
        anchors[f"head_{side}_bottom"] = (sign * wide, at, low)
        if style != 2:
            anchors[f"head_{side}_top"] = (sign * half, nose, height)
        for name, y in zip(("mid1", "mid2"), ends[:-1], strict=False):
            anchors[f"{name}_{side}_bottom"] = (sign * half, y - 0.1, low)
            anchors[f"{name}_{side}_top"] = (sign * half, y - 0.1, height)
        anchors[f"tail_{side}_bottom"] = (-sign * half, ends[-1] - 0.1, low)
        anchors[f"tail_{side}_top"] = (-sign * half, ends[-1] - 0.1, height)
    if style == 2:
        anchors["head_top"] = (0, nose * 1.2, height)
    return solid.finish(anchors, style)
