"""What stands in a room among the drawn objects: bottle, chair, diningtable, sofa, tvmonitor."""

from itertools import pairwise
from typing import Any

import numpy as np

from jladkit.builders.synthetic_solids import (
    Shape,
    Solid,
    ball,
    box,
    loft,
    panel,
    ring,
    tube,
    turned,
)

SIDES = (("left", -1), ("right", 1))


def bottle(rng: np.random.Generator) -> Shape:
    """Wine bottle, flask or jar; a label marks its front."""
    style = int(rng.integers(3))
    height = 10.0
    r = (rng.uniform(1.0, 1.8), rng.uniform(1.3, 2.6), rng.uniform(2.0, 3.6))[style]
    neck = r * (rng.uniform(0.3, 0.42), rng.uniform(0.35, 0.55), rng.uniform(0.55, 0.75))[style]
    shoulder = (rng.uniform(4.0, 6.8), rng.uniform(3.6, 7.4), rng.uniform(5.5, 8.0))[style]
    throat = min(shoulder + rng.uniform(0.8, 2.0), 8.6)
    waist = rng.uniform(0.82, 1.0)
    cap = rng.uniform(0.5, 1.0)
    body = [
        (r * 0.9, 0.0),
        (r, 0.25),
        (r * (1 + waist) / 2, shoulder * 0.3),
        (r * waist, shoulder * 0.55),
        (r, shoulder * 0.9),
        (r * 0.95, shoulder),
    ]
    body += [(neck + (r - neck) * 0.45, (shoulder + throat) / 2), (neck, throat)]
    body += [(neck, height - cap)]
    solid = Solid()
    solid.add(turned(body), "paint")
    solid.add(
        turned([(neck * 1.15, height - cap), (neck * 1.15, height), (neck * 0.9, height)]), "accent"
    )
    low, high = shoulder * rng.uniform(0.08, 0.4), shoulder * rng.uniform(0.55, 0.92)
    spread = rng.uniform(0.9, 1.3)
    turns = np.linspace(-spread, spread, 9) - np.pi / 2

    def around(radius: float, z0: float, z1: float) -> np.ndarray:
        wall = [[radius * np.cos(t), radius * np.sin(t), z] for z in (z0, z1) for t in turns]
        edge = np.array(wall).reshape(2, -1, 3)
        return np.concatenate([edge[0], edge[1][::-1]])

    outer, inner = around(r * 1.02, low, high), around(r * 0.7, low, high)
    solid.add(loft([outer, inner]), "light")
    # loft()'s lids are fans around a middle inside the glass; the visible skin is this band.
    columns = np.stack([outer[:9], outer[9:][::-1]])
    for a in range(8):
        quad = np.array([columns[0][a], columns[0][a + 1], columns[1][a + 1], columns[1][a]])
        solid.add(panel(quad, 0.05), "light")
        middle = quad.copy()
        middle[:2, 2], middle[2:, 2] = low + (high - low) * 0.35, low + (high - low) * 0.6
        middle[:, :2] *= 1.012
        solid.add(panel(middle, 0.05), "accent")
    level = (low + high) / 2
    wide = float(np.interp(level, [z for _, z in body], [k for k, _ in body]))
    return solid.finish(
        {
            "mouth": (0, -neck * 1.0, height),
            "body": (0, -r * 1.06, level),
            "body_left": (-wide * 1.0, 0, level),
            "body_right": (wide * 1.0, 0, level),
            "bottom": (0, -r * 0.9, 0),
            "bottom_left": (-r * 0.9, 0, 0),
            "bottom_right": (r * 0.9, 0, 0),
        },
        style,
    )


def chair(rng: np.random.Generator) -> Shape:
    """Four legs with a solid or a slatted back, or an office chair on a star (without leg anchors)."""
    style = int(rng.integers(3))
    half, deep = rng.uniform(0.2, 0.29), rng.uniform(0.2, 0.27)
    seat, thick = rng.uniform(0.38, 0.52), rng.uniform(0.03, 0.1)
    back, lean = seat + rng.uniform(0.32, 0.62), rng.uniform(0.0, 0.14)
    leg, splay = rng.uniform(0.016, 0.035), rng.uniform(0.0, 0.06)
    narrow = rng.uniform(0.8, 1.05)
    solid = Solid()
    rings = [
        [[-half, -deep, z], [half, -deep, z], [half * narrow, deep, z], [-half * narrow, deep, z]]
        for z in (seat - thick, seat)
    ]
    solid.add(loft(rings), "paint")
    top = half * narrow
    if style == 1:
        for _, sign in SIDES:
            x = sign * (top - leg)
            solid.add(tube([[x, deep - leg, seat - 0.02], [x, deep + lean, back]], leg), "accent")
        bars = int(rng.integers(2, 5))
        for t in np.linspace(0.35, 0.94, bars):
            z, y = seat + (back - seat) * t, deep + lean * t
            tall = (back - seat) * 0.055
            solid.add(
                box((-top + leg, y - 0.012, z - tall), (top - leg, y + 0.012, z + tall)), "accent"
            )
    else:
        foot = seat + (0.0 if style == 0 else rng.uniform(0.06, 0.14))
        t0 = (foot - seat) / (back - seat)
        corners = np.array(
            [
                [-top, deep + lean * t0, foot],
                [top, deep + lean * t0, foot],
                [top * 0.97, deep + lean, back],
                [-top * 0.97, deep + lean, back],
            ]
        )
        solid.add(panel(corners, rng.uniform(0.03, 0.08)), "paint" if style == 2 else "accent")
        solid.add(box((-0.04, deep - 0.03, seat - 0.05), (0.04, deep + 0.05, foot + 0.1)), "dark")
    anchors: dict[str, Any] = {}
    for side, sign in SIDES:
        anchors[f"back_upper_{side}"] = (sign * top * 0.97, deep + lean, back)
        anchors[f"seat_upper_{side}"] = (sign * top, deep, seat)
        anchors[f"seat_lower_{side}"] = (sign * half, -deep, seat)
    if style < 2:
        for side, sign in SIDES:
            for name, y, out in (("lower", -deep + leg, -splay), ("upper", deep - leg, splay)):
                x = sign * ((half if name == "lower" else top) - leg)
                foot = (x + sign * splay, y + out, 0.0)
                solid.add(tube([(x, y, seat - thick * 0.5), foot], leg, n=6), "accent")
                anchors[f"leg_{name}_{side}"] = foot
        if rng.random() < 0.4:
            z = seat * rng.uniform(0.3, 0.5)
            for y in (-deep, deep):
                solid.add(tube([[-half, y, z], [half, y, z]], leg * 0.6), "accent")
    else:
        solid.add(tube([[0, 0, 0.08], [0, 0, seat]], 0.035), "metal")
        for t in np.arange(5) * (2 * np.pi / 5) + rng.uniform(0, 1):
            tip = [half * 1.15 * np.cos(t), half * 1.15 * np.sin(t), 0.05]
            solid.add(tube([[0, 0, 0.12], tip], [0.035, 0.02]), "dark")
            solid.add(ball((tip[0], tip[1], 0.03), (0.03, 0.03, 0.03), n=6), "dark")
    if style == 2 or rng.random() < 0.25:
        z = seat + rng.uniform(0.16, 0.24)
        for _, sign in SIDES:
            x = sign * (half + 0.02)
            solid.add(tube([[x, -deep * 0.6, seat - 0.02], [x, -deep * 0.6, z]], leg * 0.9), "dark")
            solid.add(box((x - 0.03, -deep * 0.8, z), (x + 0.03, deep, z + 0.03)), "dark")
    return solid.finish(anchors, style)


def diningtable(rng: np.random.Generator) -> Shape:
    """Rectangular on four legs or two trestles, or round on a foot."""
    style = int(rng.integers(3))
    half, deep = rng.uniform(0.6, 1.1), rng.uniform(0.38, 0.6)
    height, thick = rng.uniform(0.66, 0.8), rng.uniform(0.03, 0.08)
    solid = Solid()
    anchors: dict[str, Any] = {}
    if style == 2:
        half = rng.uniform(0.5, 0.75)
        deep = half * rng.uniform(0.8, 1.0)
        solid.add(
            loft(
                [
                    ring((0, 0, z), (half * k, 0, 0), (0, deep * k, 0), 28)
                    for z, k in (
                        (height - thick, 0.97),
                        (height - thick * 0.5, 1.0),
                        (height, 0.99),
                    )
                ]
            ),
            "paint",
        )
        foot = rng.uniform(0.22, 0.36)
        solid.add(
            turned(
                [
                    (foot, 0.0),
                    (foot * 0.9, 0.05),
                    (0.07, 0.12),
                    (0.06, height * 0.6),
                    (0.1, height - thick),
                ],
                n=14,
            ),
            "accent",
        )
        anchors = {
            "top_up": (0, deep, height),
            "top_down": (0, -deep, height),
            "top_left": (-half, 0, height),
            "top_right": (half, 0, height),
        }
    else:
        solid.add(box((-half, -deep, height - thick), (half, deep, height)), "paint")
        inset, leg = rng.uniform(0.02, 0.12), rng.uniform(0.025, 0.06)
        apron = rng.uniform(0.04, 0.12)
        solid.add(
            box(
                (-half + inset + leg, -deep + inset + leg, height - thick - apron),
                (half - inset - leg, deep - inset - leg, height - thick),
            ),
            "accent",
        )
        for side, sign in SIDES:
            for name, end in (("lower", -1), ("upper", 1)):
                x, y = sign * (half - inset - leg), end * (deep - inset - leg)
                taper = leg * rng.uniform(0.6, 1.0) if style == 0 else leg
                solid.add(
                    loft(
                        [
                            ring((x, y, z), (k, k, 0), (-k, k, 0), 4)
                            for z, k in ((0, taper), (height - thick, leg))
                        ]
                    ),
                    "accent",
                )
                anchors[f"leg_{name}_{side}"] = (x + sign * taper * 0.7, y + end * taper * 0.7, 0)
                anchors[f"top_{name}_{side}"] = (sign * half, end * deep, height)
            if style == 1:
                x = sign * (half - inset - leg)
                solid.add(box((x - leg, -deep + inset, 0), (x + leg, deep - inset, 0.06)), "accent")
    for _ in range(int(rng.integers(0, 4))):  # things on it
        x, y = rng.uniform(-0.6, 0.6) * half, rng.uniform(-0.6, 0.6) * deep
        r, tall = rng.uniform(0.05, 0.13), rng.uniform(0.02, 0.2)
        solid.add(
            loft(
                [
                    ring((x, y, z), (k, 0, 0), (0, k, 0), 12)
                    for z, k in ((height, r * 0.6), (height + tall, r))
                ]
            ),
            str(rng.choice(["light", "glass", "metal"])),
        )
    return solid.finish(anchors, style)


def sofa(rng: np.random.Generator) -> Shape:
    """Arm chair to four seats, with straight or round arms."""
    style = int(rng.integers(2))
    seats = int(rng.integers(1, 4))
    half, deep = 0.38 * seats + rng.uniform(0.1, 0.3), rng.uniform(0.4, 0.5)
    seat, back = rng.uniform(0.36, 0.46), rng.uniform(0.72, 1.0)
    arm, arm_z = rng.uniform(0.1, 0.22), rng.uniform(0.52, 0.68)
    foot, rest, lean = rng.uniform(0.02, 0.12), rng.uniform(0.14, 0.26), rng.uniform(0.0, 0.1)
    solid = Solid()
    solid.add(box((-half, -deep, foot), (half, deep, seat - 0.1)), "paint")
    inner = half - arm
    back_rings = [
        [
            [-half, deep - rest - shift, z],
            [half, deep - rest - shift, z],
            [half, deep, z],
            [-half, deep, z],
        ]
        for z, shift in ((foot, lean), (back, 0.0))
    ]
    solid.add(loft(back_rings), "paint")
    edges = np.linspace(-inner, inner, seats + 1)
    kind = str(rng.choice(["paint", "accent"]))
    y1 = deep - rest - lean * 0.6
    for a, b in pairwise(edges):
        solid.add(
            box((a + 0.01, -deep - 0.02, seat - 0.11), (b - 0.01, y1 + 0.04, seat), 0.04), kind
        )
        solid.add(
            box((a + 0.02, y1 - 0.1, seat - 0.02), (b - 0.02, y1 + 0.08, back - 0.05), 0.05), kind
        )
    for _, sign in SIDES:
        x0, x1 = sorted((sign * inner, sign * half))
        if style == 0:
            solid.add(box((x0, -deep, foot), (x1, deep - 0.02, arm_z), 0.03), "paint")
        else:
            solid.add(box((x0, -deep, foot), (x1, deep - 0.02, arm_z - arm * 0.4)), "paint")
            middle = (x0 + x1) / 2
            solid.add(
                loft(
                    [
                        ring(
                            (middle, y, arm_z - arm * 0.45),
                            (arm * 0.62, 0, 0),
                            (0, 0, arm * 0.55),
                            12,
                        )
                        for y in (-deep - 0.02, deep - 0.05)
                    ]
                ),
                "paint",
            )
        for y in (-deep + 0.06, deep - 0.06):
            x = sign * (half - 0.07)
            solid.add(box((x - 0.035, y - 0.035, 0), (x + 0.035, y + 0.035, foot + 0.02)), "dark")
    if rng.random() < 0.6:  # a loose cushion, turned a little
        x, tilt = rng.uniform(-0.7, 0.7) * inner, rng.uniform(-0.3, 0.3)
        u, v = 0.17 * np.array([np.cos(tilt), 0, np.sin(tilt)]), np.array([0, 0.07, 0.16])
        v = v + 0.17 * np.array([-np.sin(tilt), 0, 0])
        middle = np.array([x, y1 - 0.2, seat + 0.16])
        solid.add(
            panel([middle - u - v, middle + u - v, middle + u + v, middle - u + v], 0.1), "light"
        )
    anchors: dict[str, Any] = {}
    for side, sign in SIDES:
        anchors[f"front_bottom_{side}"] = (sign * half, -deep, foot)
        anchors[f"{side}_bottom_back"] = (sign * half, deep, foot)
        anchors[f"seat_bottom_{side}"] = (sign * (inner - 0.02), -deep - 0.02, seat - 0.01)
        anchors[f"seat_top_{side}"] = (sign * (inner - 0.02), y1 - 0.1, seat + 0.005)
        anchors[f"top_{side}_corner"] = (sign * half, deep - rest * 0.5, back)
    return solid.finish(anchors, style)


def tvmonitor(rng: np.random.Generator) -> Shape:
    """Tube set, with the corners of its back; flat screen on a foot, without them."""
    style = int(rng.integers(2))
    half = rng.uniform(0.38, 0.6)
    tall = half * (rng.uniform(0.72, 0.88), rng.uniform(0.52, 0.72))[style]
    rim = rng.uniform(0.03, 0.09) * (1.4 if style == 0 else 0.8)
    deep = (rng.uniform(0.12, 0.25), rng.uniform(0.03, 0.06))[style]
    solid = Solid()
    solid.add(box((-half, 0, -tall), (half, deep, tall)), "paint")
    low = -tall + rim * (1 + 2.2 * rng.random())
    solid.add(box((-half + rim, -0.012, low), (half - rim, 0.01, tall - rim)), "glass")
    for _ in range(int(rng.integers(1, 4))):  # what is on the screen
        x0, x1 = np.sort(rng.uniform(-half + rim, half - rim, 2))
        z0, z1 = np.sort(rng.uniform(low, tall - rim, 2))
        solid.add(box((x0, -0.016, z0), (x1, 0.0, z1)), str(rng.choice(["light", "accent"])))
    for i in range(int(rng.integers(1, 4))):
        solid.add(
            ball((half - rim - 0.05 * i, -0.005, (low - tall) / 2), (0.014, 0.014, 0.014), n=6),
            "metal",
        )
    anchors: dict[str, Any] = {}
    for side, sign in SIDES:
        for level, z in (("bottom", -tall), ("top", tall)):
            anchors[f"front_{level}_{side}"] = (sign * half, 0, z)
    if style == 0:
        shrink, far = rng.uniform(0.5, 0.8), deep + rng.uniform(0.25, 0.5)
        rings = [
            [
                [-half * k, y, -tall * k - s],
                [half * k, y, -tall * k - s],
                [half * k, y, tall * k - s],
                [-half * k, y, tall * k - s],
            ]
            for y, k, s in ((deep, 0.97, 0.0), (far, shrink, 0.05))
        ]
        solid.add(loft(rings), "accent")
        for side, sign in SIDES:
            anchors[f"back_bottom_{side}"] = (sign * half * shrink, far, -tall * shrink - 0.05)
            anchors[f"back_top_{side}"] = (sign * half * shrink, far, tall * shrink - 0.05)
        if rng.random() < 0.5:
            for sign in (-1, 1):
                solid.add(
                    tube([[sign * 0.03, deep, tall], [sign * 0.25, deep, tall + 0.3]], 0.008, n=4),
                    "metal",
                )
    else:
        foot = rng.uniform(0.1, 0.25)
        solid.add(box((-0.06, 0.0, -tall - foot), (0.06, deep, -tall + 0.1)), "dark")
        wide = half * rng.uniform(0.35, 0.7)
        solid.add(box((-wide, -0.1, -tall - foot - 0.03), (wide, 0.16, -tall - foot), 0.01), "dark")
    return solid.finish(anchors, style)
