"""What has two wheels among the drawn objects: bicycle, motorbike.

Left is the side of negative x, as PASCAL3D+ names it.
"""

from typing import Any

import numpy as np

from jladkit.builders.synthetic_solids import (
    Shape,
    Solid,
    along_y,
    ball,
    box,
    disc,
    hoop,
    panel,
    tube,
    xyz,
)
from jladkit.builders.synthetic_vehicles import wheel_anchors


def bicycle(rng: np.random.Generator) -> Shape:
    """Racing, city or step-through frame."""
    style = int(rng.integers(3))
    radius, base = rng.uniform(0.22, 0.38), rng.uniform(0.9, 1.25)
    thick, pipe = rng.uniform(0.016, 0.03), rng.uniform(0.017, 0.026)
    front, back = -base / 2, base / 2
    crank = np.array([0, back - rng.uniform(0.4, 0.46), radius * rng.uniform(0.78, 0.95)])
    head = np.array([0, front + rng.uniform(0.13, 0.2), rng.uniform(0.68, 0.92)])
    bar = np.array([0, head[1] + rng.uniform(-0.12, 0.1), head[2] + rng.uniform(0.06, 0.34)])
    seat = np.array([0, crank[1] + rng.uniform(0.12, 0.2), rng.uniform(0.76, 1.1)])
    neck = np.array([0, head[1] - 0.02, head[2] - rng.uniform(0.1, 0.16)])
    lug = crank + (seat - crank) * (rng.uniform(0.72, 0.85) if style < 2 else rng.uniform(0.3, 0.5))
    solid = Solid()
    for y in (front, back):
        solid.add(hoop((0, y, radius), radius - thick, thick), "dark")
        solid.add(hoop((0, y, radius), radius - 2.4 * thick, thick * 0.5, m=4), "metal")
        solid.add(disc((0, y, radius), 0.035, 0.1, n=8), "metal")
        for turn in np.arange(7) * (np.pi / 7) + rng.uniform(0, 0.4):
            reach = (radius - 2 * thick) * np.array([0, np.cos(turn), np.sin(turn)])
            axle = np.array([0, y, radius])
            solid.add(tube([axle - reach, axle + reach], 0.005, n=4), "metal")
    fork = np.array([0, front, radius])
    axle = np.array([0, back, radius])
    for sign in (-1, 1):
        side = np.array([sign * 0.045, 0, 0])
        solid.add(tube([fork + side, neck + side * 0.6], pipe * 0.7), "metal" if style else "paint")
        solid.add(tube([axle + side, crank + side * 0.5], pipe * 0.6), "paint")
        solid.add(tube([axle + side, lug + side * 0.4], pipe * 0.55), "paint")
    for a, b in ((neck, bar), (neck, crank), (crank, seat), (head, lug)):
        solid.add(tube([a, b], pipe), "paint")
    reach = rng.uniform(0.2, 0.31)
    bend = (np.array([0, -0.06, -0.12]), np.array([0, 0.16, 0.02]), np.array([0, 0.1, 0.06]))[style]
    tips = {}
    for side, sign in (("left", -1), ("right", 1)):
        elbow = bar + np.array([sign * reach, 0, 0])
        tips[side] = elbow + bend
        solid.add(tube([bar, elbow - xyz(sign * 0.05, 0, 0), elbow + bend], 0.016), "metal")
        solid.add(tube([elbow + bend * 0.4, tips[side]], 0.024), "accent")
    half, long = rng.uniform(0.06, 0.1), rng.uniform(0.22, 0.28)
    outline = [[-half * 0.3, -0.6], [half * 0.3, -0.6], [half, 0.25], [half * 0.8, 0.4]]
    outline += [[-half * 0.8, 0.4], [-half, 0.25]]
    plate = np.array([[seat[0] + x, seat[1] + long * y, seat[2] + 0.02] for x, y in outline])
    solid.add(panel(plate, 0.05), "dark" if style else "accent")
    solid.add(disc(crank, 0.085, 0.02, n=12), "metal")
    turn, arm = rng.uniform(0, 2 * np.pi), 0.17
    pedals = {}
    for side, sign in (("left", -1), ("right", 1)):
        swing = sign * arm * np.array([0, np.cos(turn), np.sin(turn)])
        inner, outer = crank + xyz(sign * 0.05, 0, 0), crank + swing + xyz(sign * 0.07, 0, 0)
        solid.add(tube([inner, outer], 0.013), "metal")
        solid.add(box(outer - xyz(0.045, 0.05, 0.014), outer + xyz(0.045, 0.05, 0.014)), "dark")
        pedals[side] = outer + xyz(sign * 0.045, 0, 0)
    if rng.random() < 0.35:  # mudguards
        for y in (front, back):
            turns = np.linspace(0.1 * np.pi, 0.95 * np.pi, 8)
            path = [
                [0, y + (radius + 0.03) * np.cos(t), radius + (radius + 0.03) * np.sin(t)]
                for t in turns
            ]
            solid.add(tube(path, 0.02, n=4), "accent")
    anchors: dict[str, Any] = {
        "head_center": bar + xyz(0, 0, 0.017),
        "seat_front": (0, seat[1] - 0.6 * long, seat[2] + 0.045),
        "seat_back": (0, seat[1] + 0.4 * long, seat[2] + 0.045),
    }
    for side, sign in (("left", -1), ("right", 1)):
        anchors[f"{side}_front_wheel"] = (sign * 0.06, front, radius)
        anchors[f"{side}_back_wheel"] = (sign * 0.06, back, radius)
        anchors[f"{side}_handle"] = tips[side]
        anchors[f"{side}_pedal_center"] = pedals[side]
    return solid.finish(anchors, style)


def motorbike(rng: np.random.Generator) -> Shape:
    """Roadster, cruiser or scooter-like."""
    style = int(rng.integers(3))
    radius, thick = rng.uniform(0.22, 0.37), rng.uniform(0.05, 0.09)
    base = rng.uniform(1.1, 1.8)
    front, back = -base / 2, base / 2
    bar_z, seat_z = rng.uniform(0.86, 1.35), rng.uniform(0.58, 0.92)
    head = np.array([0, front + rng.uniform(0.12, 0.45), bar_z - 0.08])
    solid = Solid()
    for y in (front, back):
        solid.add(hoop((0, y, radius), radius - thick, thick, n=18), "dark")
        solid.add(disc((0, y, radius), radius * 0.62, 0.05, n=14), "metal")
        solid.add(disc((0, y, radius), 0.05, 0.34, n=8), "accent")
        turns = np.linspace(0.2 * np.pi, 0.85 * np.pi, 7)
        path = [
            [0, y + (radius + 0.04) * np.cos(t), radius + (radius + 0.04) * np.sin(t)]
            for t in turns
        ]
        solid.add(tube(path, thick * 1.1, n=5), "paint")
    for sign in (-1, 1):
        x = sign * 0.1
        solid.add(tube([[x, front, radius], [x, head[1], head[2]]], 0.026), "metal")
        solid.add(tube([[x, back, radius], [x, 0.15, radius * 0.95]], 0.035), "dark")
        solid.add(
            tube([[x * 1.3, back, radius * 1.05], [x * 1.1, back - 0.2, seat_z - 0.08]], 0.03),
            "metal",
        )
    out = rng.uniform(0.6, 1.0)
    solid.add(
        tube(
            [[0.17, -0.1, 0.3], [0.17, 0.2, 0.26], [0.18, out, rng.uniform(0.28, 0.45)]],
            [0.03, 0.045, 0.055],
            n=8,
        ),
        "metal",
    )
    solid.add(box((-0.13, -0.26, 0.2), (0.13, 0.3, seat_z - 0.2), 0.05), "metal")
    solid.add(box((-0.16, -0.08, 0.28), (0.16, 0.14, 0.46), 0.03), "dark")
    tank_half = rng.uniform(0.26, 0.34)
    tank = (0, -0.12 + rng.uniform(-0.12, 0.08), seat_z + 0.04)
    solid.add(
        ball(tank, (rng.uniform(0.13, 0.19), tank_half, rng.uniform(0.11, 0.17)), n=12),
        "paint",
    )
    seat0 = tank[1] + rng.uniform(0.1, 0.3)
    seat1 = max(back + rng.uniform(-0.3, 0.25), tank[1] + tank_half + 0.3)
    cushion = (0.08, 0.14, 0.03)[style]
    middle_y = (seat0 + seat1) / 2
    sit = max(seat0, tank[1] + tank_half) + 0.04  # the first of the seat that the tank leaves free
    solid.add(
        along_y(
            [
                (seat0, 0.09, seat_z - 0.08, seat_z + 0.02),
                (middle_y, 0.14, seat_z - 0.1, seat_z + 0.02),
                (seat1 - 0.05, 0.11, seat_z - 0.06, seat_z + cushion),
                (seat1, 0.08, seat_z - 0.02, seat_z + cushion),
            ],
            cut=0.03,
        ),
        "dark",
    )
    solid.add(
        along_y(
            [
                (0.1, 0.12, seat_z - 0.22, seat_z - 0.06),
                (seat1 + 0.1, 0.07, seat_z - 0.1, seat_z - 0.01),
            ],
            cut=0.02,
        ),
        "paint",
    )
    lamp = np.array([0, head[1] - 0.16, head[2] - 0.05])
    size = rng.uniform(0.075, 0.11)
    solid.add(ball(lamp + xyz(0, 0.06, 0), (size * 1.15, 0.12, size * 1.15)), "paint")
    solid.add(ball(lamp, (size, 0.08, size)), "light")
    if style == 0 or rng.random() < 0.3:
        glass = np.array(
            [
                [-0.15, lamp[1], lamp[2] + 0.1],
                [0.15, lamp[1], lamp[2] + 0.1],
                [0.1, lamp[1] + 0.14, lamp[2] + 0.34],
                [-0.1, lamp[1] + 0.14, lamp[2] + 0.34],
            ]
        )
        solid.add(panel(glass, 0.02), "glass")
    if style == 2:
        shield = np.array(
            [
                [-0.2, head[1] + 0.1, 0.3],
                [0.2, head[1] + 0.1, 0.3],
                [0.17, head[1] + 0.05, head[2]],
                [-0.17, head[1] + 0.05, head[2]],
            ]
        )
        solid.add(panel(shield, 0.05), "paint")
    reach, pull = rng.uniform(0.3, 0.5), rng.uniform(0.0, 0.3)
    rise = rng.uniform(0.0, 0.28)
    middle = np.array([0, head[1] + 0.02, head[2] + 0.05])
    solid.add(tube([[0, head[1], head[2] - 0.25], middle], 0.05), "dark")
    tips, grips = {}, {}
    for side, sign in (("left", -1), ("right", 1)):
        tips[side] = middle + xyz(sign * reach, pull, rise * 0.8)
        solid.add(
            tube([middle, middle + xyz(sign * reach * 0.5, 0, rise), tips[side]], 0.022), "metal"
        )
        grip = middle + xyz(sign * reach * 0.65, pull * 0.35, rise * 0.94)
        solid.add(tube([grip, tips[side]], 0.034), "dark")
        grips[side] = (grip + tips[side]) / 2 + xyz(0, 0, 0.034)
    anchors: dict[str, Any] = {
        "front_seat": (0, sit, seat_z + np.interp(sit, [middle_y, seat1 - 0.05], [0.02, cushion])),
        "back_seat": (0, seat1, seat_z + cushion),
        "head_center": middle + xyz(0, 0, 0.025),
        "headlight_center": lamp - xyz(0, 0.075, 0),
        "left_handle_center": grips["left"],
        "right_handle_center": grips["right"],
        **wheel_anchors(0.17, front, back, radius),
    }
    return solid.finish(anchors, style)
