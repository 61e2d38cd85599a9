"""What flies and floats among the drawn objects: aeroplane, boat."""

from typing import Any

import numpy as np

from jladkit.builders.synthetic_solids import (
    Shape,
    Solid,
    along_y,
    box,
    disc,
    loft,
    panel,
    ring,
    tube,
    xyz,
)


def wing(
    root: tuple[float, float, float],
    chord: float,
    tip: tuple[float, float, float],
    end: float,
    thick: float,
) -> tuple[np.ndarray, np.ndarray]:
    """A wing from its root's leading edge to its tip's, of chord lengths `chord` and `end`."""
    rings = []
    for (x, y, z), c in ((root, chord), (tip, end)):
        t = thick * c / chord
        rings.append(
            [[x, y, z], [x, y + 0.35 * c, z + t], [x, y + c, z], [x, y + 0.35 * c, z - t * 0.6]]
        )
    return loft(rings)


def aeroplane(rng: np.random.Generator) -> Shape:
    """Jet liner, propeller plane or fighter."""
    style = int(rng.integers(3))
    length = 10.0
    r = (
        length
        * (rng.uniform(0.04, 0.075), rng.uniform(0.04, 0.08), rng.uniform(0.035, 0.06))[style]
    )
    span = length * (rng.uniform(0.36, 0.6), rng.uniform(0.4, 0.75), rng.uniform(0.22, 0.42))[style]
    sweep = (rng.uniform(1.6, 2.8), rng.uniform(0.0, 0.4), rng.uniform(2.0, 3.2))[style]
    chord = (rng.uniform(1.7, 2.3), rng.uniform(1.3, 1.7), rng.uniform(2.8, 3.6))[style]
    front, back = -length / 2, length / 2
    solid = Solid()
    share = [0.0, 0.03, 0.08, 0.16, 0.3, 0.65, 0.85, 1.0]
    size = [0.12, 0.5, 0.78, 0.95, 1.0, 1.0, 0.68, 0.22]
    lift = [-0.2, -0.12, -0.05, 0, 0, 0, 0.25, 0.55]
    solid.add(
        loft(
            [
                ring((0, front + s * length, r * up), (r * k, 0, 0), (0, 0, r * k), 14)
                for s, k, up in zip(share, size, lift, strict=True)
            ]
        ),
        "paint",
    )
    high = style == 1 and rng.random() < 0.5
    wing_y, wing_z = front + length * rng.uniform(0.24, 0.46), r * (0.9 if high else -0.45)
    tip_chord, rise = chord * rng.uniform(0.3, 0.8), rng.uniform(0.0, 0.6)
    tail_y, tail_chord = back - rng.uniform(1.1, 2.0), rng.uniform(0.8, 1.2)
    tail_span, tail_sweep = span * rng.uniform(0.28, 0.55), sweep * 0.45
    tail_z = r * 0.45
    anchors: dict[str, Any] = {}
    for side, sign in (("left", -1), ("right", 1)):
        tip = (sign * span, wing_y + sweep, wing_z + rise)
        solid.add(wing((sign * r * 0.5, wing_y, wing_z), chord, tip, tip_chord, 0.16), "paint")
        end = (sign * (span + 0.01), wing_y + sweep + tip_chord * 0.4, wing_z + rise)
        anchors[f"{side}_wing"] = end
        inner, outer = 0.88, 1.0
        stripe = [
            (sign * (r * 0.5 + (span - r * 0.5) * t), wing_y + sweep * t, wing_z + rise * t)
            for t in (inner, outer)
        ]
        ends = [chord + (tip_chord - chord) * t for t in (inner, outer)]
        solid.add(wing(stripe[0], ends[0] * 1.02, stripe[1], ends[1] * 1.02, 0.17), "accent")
        tip = (sign * tail_span, tail_y + tail_sweep, tail_z)
        solid.add(wing((0, tail_y, tail_z), tail_chord, tip, tail_chord * 0.6, 0.09), "accent")
        anchors[f"{side}_elevator"] = (tip[0] * 1.001, tip[1] + tail_chord * 0.25, tail_z)
        if style == 0:
            at = rng.uniform(0.3, 0.38) if sign < 0 else None
            t = at if at is not None else -anchors["engine"][0] / span
            x, y, z = sign * span * t, wing_y + sweep * t - 0.5, wing_z + rise * t - 0.42
            anchors["engine"] = (x, y, z)
            solid.add(
                loft(
                    [
                        ring((x, y + s, z), (k, 0, 0), (0, 0, k), 10)
                        for s, k in ((0, 0.3), (0.3, 0.36), (1.0, 0.32), (1.5, 0.2))
                    ]
                ),
                "metal",
            )
    anchors.pop("engine", None)
    fin, base = rng.uniform(0.8, 2.6), rng.uniform(1.2, 2.2)
    fin_sweep = rng.uniform(0.2, 1.5)
    y0, z0 = back - base - 0.1, r * 0.75
    corners = np.array(
        [
            [0, y0, z0],
            [0, y0 + base, z0],
            [0, y0 + fin_sweep + base * 0.55, z0 + fin],
            [0, y0 + fin_sweep, z0 + fin],
        ]
    )
    solid.add(panel(corners, 0.12), "accent")
    if style != 1:
        windows = int(rng.integers(6, 12)) if style == 0 else 0
        for y in np.linspace(front + 0.2 * length, front + 0.7 * length, windows):
            for sign in (-1, 1):
                x0, x1 = sorted((sign * r * 0.9, sign * r * 0.985))
                solid.add(box((x0, y, r * 0.15), (x1, y + 0.2, r * 0.42)), "glass")
    else:
        hub = front - 0.12
        blade, turn = rng.uniform(0.7, 1.1), rng.uniform(0, np.pi)
        for t in (turn, turn + np.pi / 2):
            reach = blade * np.array([np.cos(t), 0, np.sin(t)])
            solid.add(tube([xyz(0, hub, 0) - reach, xyz(0, hub, 0) + reach], 0.07, n=4), "dark")
        for sign in (-1, 1):
            foot = [sign * 0.9, wing_y + 0.5, -r - 0.75]
            solid.add(tube([[sign * r * 0.5, wing_y + 0.5, -r * 0.6], foot], 0.07, n=4), "metal")
            solid.add(disc(foot, 0.3, 0.2, n=10), "dark")
    pane = front + length * (0.07 if style != 1 else 0.16)
    long = length * (0.05, 0.16, 0.16)[style]
    top = r * (0.9, 1.4, 1.35)[style]
    solid.add(
        along_y(
            [
                (pane, r * 0.5, r * 0.3, r * 0.62),
                (pane + long * 0.5, r * 0.6, r * 0.3, top),
                (pane + long, r * 0.5, r * 0.3, r * 0.95),
            ],
            cut=r * 0.2,
        ),
        "glass",
    )
    gear_y, drop = front + length * rng.uniform(0.1, 0.15), rng.uniform(0.35, 0.7)
    foot = np.array([0, gear_y, -r * 0.8 - drop])
    solid.add(tube([[0, gear_y, -r * 0.5], foot], 0.08, n=4), "metal")
    solid.add(disc(foot, 0.24, 0.22, n=10), "dark")
    if style == 0:
        for sign in (-1, 1):
            leg = np.array([sign * r, wing_y + chord * 0.7, foot[2]])
            solid.add(tube([leg + xyz(0, 0, drop + r * 0.6), leg], 0.09, n=4), "metal")
            solid.add(disc(leg, 0.28, 0.24, n=10), "dark")
    anchors["noselanding"] = foot - xyz(0, 0.24, 0)
    anchors["rudder_lower"] = (0, y0, z0 + r * 0.1)
    anchors["rudder_upper"] = (0, y0 + fin_sweep + base * 0.3, z0 + fin)
    anchors["tail"] = (0, back, r * 0.55)
    return solid.finish(anchors, style)


def boat(rng: np.random.Generator) -> Shape:
    """Rowing boat, motor boat with a cabin, sailing boat, or canoe with two pointed ends."""
    style = int(rng.integers(4))
    length, half = 6.0, rng.uniform(0.7, 1.15) * (0.7 if style == 3 else 1.0)
    depth, sheer = rng.uniform(0.7, 1.2), rng.uniform(0.1, 0.5)
    front, back = -length / 2, length / 2
    stern = 0.03 if style == 3 else rng.uniform(0.6, 0.9)
    share = np.array([0.0, 0.06, 0.18, 0.32, 0.55, 0.8, 1.0])
    wide = half * np.array([0.02, 0.28, 0.68, 0.9, 1.0, 0.5 + 0.5 * stern, stern])
    top = depth + sheer * np.array([1, 0.8, 0.5, 0.25, 0.05, 0.0, 0.05])
    keel = depth * np.array([0.35, 0.12, 0.02, 0, 0, 0.02, 0.08])
    if style == 3:
        wide = half * np.array([0.02, 0.4, 0.75, 0.95, 1.0, 0.6, 0.02])
        top[-2:] += sheer * np.array([0.4, 1.0])
    # The bow leans forward: its lower end lies behind its upper one.
    lean = rng.uniform(0.2, 0.7) * np.array([1, 0.7, 0.2, 0, 0, 0, 0])
    y = front + share * length
    rim = 0.93
    rings = []
    for i in range(len(y)):
        w, z0, z1 = wide[i], keel[i], top[i]
        rings.append(
            [
                [-w, y[i], z1],
                [-w * 0.9, y[i] + lean[i] * 0.5, z0 + 0.45 * (z1 - z0)],
                [-w * 0.4, y[i] + lean[i], z0],
                [w * 0.4, y[i] + lean[i], z0],
                [w * 0.9, y[i] + lean[i] * 0.5, z0 + 0.45 * (z1 - z0)],
                [w, y[i], z1],
            ]
        )
    open_boat = style in (0, 3)
    if open_boat:  # the inside, pushed down between the two rims
        floor = 0.3 * depth
        for i, section in enumerate(rings):
            w, z1 = wide[i] * rim, top[i]
            low = max(keel[i] + 0.1, floor) if 0 < i < len(y) - 1 else z1 - 0.05
            section += [
                [w, y[i], z1],
                [w * 0.75, y[i], low],
                [-w * 0.75, y[i], low],
                [-w, y[i], z1],
            ]
    solid = Solid()
    solid.add(loft(rings), "paint")
    for sign in (-1, 1):
        path = [[sign * w, v, z + 0.02] for w, v, z in zip(wide, y, top, strict=True)]
        solid.add(tube(path, 0.06, n=5), "accent")
    if open_boat:
        for t in rng.uniform(0.3, 0.4), rng.uniform(0.52, 0.62), rng.uniform(0.75, 0.82):
            w, v = float(np.interp(t, share, wide)) * 0.9, front + t * length
            solid.add(box((-w, v - 0.16, depth * 0.78), (w, v + 0.16, depth * 0.86)), "accent")
    if style == 1:
        c0, c1 = front + length * rng.uniform(0.3, 0.38), front + length * rng.uniform(0.65, 0.8)
        w, z0 = half * rng.uniform(0.55, 0.7), depth
        z1 = depth + rng.uniform(0.7, 1.1)
        lean_c = rng.uniform(0.1, 0.5)
        low = [[-w, c0, z0 - 0.1], [w, c0, z0 - 0.1], [w, c1, z0 - 0.1], [-w, c1, z0 - 0.1]]
        high = [
            [-w * 0.85, c0 + lean_c, z1],
            [w * 0.85, c0 + lean_c, z1],
            [w * 0.85, c1, z1],
            [-w * 0.85, c1, z1],
        ]
        solid.add(loft([low, high]), "accent")
        low, high = np.array(low), np.array(high)
        low[:, 2] += 0.4
        for i in (0, 1, 3):
            j = (i + 1) % 4
            pane = np.array([low[i], low[j], high[j], high[i]])
            solid.add(panel(0.75 * pane + 0.25 * pane.mean(axis=0), 0.08), "glass")
        solid.add(
            tube([[0, c1 - 0.3, z1], [0, c1 - 0.2, z1 + rng.uniform(0.3, 0.8)]], 0.04), "metal"
        )
    if style == 2:
        mast, tall = front + length * rng.uniform(0.36, 0.45), rng.uniform(3.2, 5.0)
        solid.add(tube([[0, mast, depth * 0.8], [0, mast, depth + tall]], 0.06), "metal")
        boom = rng.uniform(0.35, 0.45) * length
        swing = rng.uniform(-0.4, 0.4)
        sail = np.array(
            [
                [0, mast + 0.1, depth + 0.5],
                [swing, mast + boom, depth + 0.5],
                [0, mast + 0.1, depth + tall * 0.97],
            ]
        )
        solid.add(panel(sail, 0.04), "light")
        jib = np.array(
            [
                [0, front + 0.2, top[0] + 0.1],
                [swing * 0.6, mast - 0.15, depth + 0.5],
                [0, mast - 0.08, depth + tall * 0.8],
            ]
        )
        solid.add(panel(jib, 0.04), "light")
        solid.add(
            box(
                (-half * 0.5, mast + 0.3, depth * 0.9), (half * 0.5, mast + 1.5, depth + 0.35), 0.1
            ),
            "accent",
        )
    anchors: dict[str, Any] = {
        "head": (0, front - 0.04, top[0] + 0.04),
        "head_down": (0, front + lean[0], keel[0]),
        "head_left": (-wide[3] - 0.05, y[3], top[3]),
        "head_right": (wide[3] + 0.05, y[3], top[3]),
    }
    if style == 3:
        anchors["tail"] = (0, back + 0.03, top[-1])
    else:
        anchors["tail_left"] = (-wide[-1], back, top[-1] + 0.02)
        anchors["tail_right"] = (wide[-1], back, top[-1] + 0.02)
    return solid.finish(anchors, style)
