"""Drawn faces in the layout of CelebA's aligned pictures and of MAFL's two lists.

A head is an ellipsoid with features on its skin, turned a little and seen from the front, so that
the five landmarks are where the drawing has them. Left and right are the viewer's, as in CelebA.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 178, 218
SAMPLES = 3  # drawn this much larger, then shrunk
COLUMNS = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
SKINS = ((255, 224, 200), (241, 194, 158), (224, 172, 125), (172, 118, 76), (110, 70, 45))
HAIRS = ((30, 24, 22), (70, 45, 28), (125, 80, 40), (205, 165, 95), (150, 60, 30), (170, 168, 165))
EYES = ((70, 45, 25), (95, 70, 35), (75, 110, 150), (85, 125, 85), (90, 95, 100))

Colour = tuple[int, int, int]


class Head:
    """Where points of a head appear: head units, x right, y down, the face about 2 high."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.wide, self.deep = rng.uniform(0.7, 0.84), rng.uniform(0.75, 0.95)
        yaw, pitch, roll = np.radians(rng.normal(0, [9, 5, 4]).clip(-18, 18))
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        c, s = np.cos(pitch), np.sin(pitch)
        nod = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        c, s = np.cos(roll), np.sin(roll)
        tilt = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        self.turn = tilt @ nod @ turn
        self.scale = rng.normal(56, 3)
        self.middle = np.array([WIDTH / 2 - 0.5, 118.0]) + rng.normal(0, 3, 2)

    def at(self, points: Sequence[Sequence[float]] | np.ndarray, lift: float = 0.0) -> np.ndarray:
        """(N, 2) pixels of points (N, 2) of the face's skin, or `lift` before it."""
        flat = np.asarray(points, dtype=float)
        inside = 1 - (flat[:, 0] / self.wide) ** 2 - (flat[:, 1] / 1.15) ** 2
        depth = self.deep * np.sqrt(np.maximum(inside, 0)) + lift
        seen = np.column_stack([flat, depth]) @ self.turn.T
        return seen[:, :2] * self.scale + self.middle


def oval(x: float, y: float, w: float, h: float, n: int = 24) -> np.ndarray:
    """(n, 2) points of an ellipse."""
    turns = np.arange(n) * (2 * np.pi / n)
    return np.column_stack([x + w * np.cos(turns), y + h * np.sin(turns)])


def draw_face(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A face with its own proportions, colours, pose and expression.

    Returns:
        pixels (218, 178, 3) uint8; landmarks (5, 2) xy of the eyes, the tip of the nose and the
        corners of the mouth, (0, 0) the centre of the top left pixel.
    """
    head = Head(rng)
    skin = shaded(rng, SKINS[int(rng.integers(len(SKINS)))], 0.08)
    hair = shaded(rng, HAIRS[int(rng.integers(len(HAIRS)))], 0.15)
    picture = backdrop(rng)
    draw_hair_behind(picture, head, hair, rng)
    draw_neck(picture, head, skin, rng)
    jaw = rng.uniform(0.5, 0.8)
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    down = np.maximum(np.sin(turns), 0)
    outline = np.column_stack(
        [head.wide * np.cos(turns) * (1 - (1 - jaw) * 0.45 * down**2), 1.15 * np.sin(turns)]
    )
    for sign in (-1, 1):
        fill(picture, head.at(oval(sign * head.wide * 1.02, 0.02, 0.1, 0.22)), darker(skin, 0.85))
    fill(picture, head.at(outline), skin)
    draw_light(picture, head, outline, rng)
    eye_x, eye_y = rng.uniform(0.3, 0.37), rng.uniform(-0.2, -0.08)
    nose_y, nose_w = rng.uniform(0.2, 0.32), rng.uniform(0.1, 0.17)
    mouth_y, mouth_w = rng.uniform(0.56, 0.66), rng.uniform(0.24, 0.36)
    if rng.random() < 0.25:
        beard = oval(0, 0.78, head.wide * 0.72, 0.42)
        fill(picture, head.at(beard), hair, int(rng.integers(60, 190)))
    corners = draw_mouth(picture, head, skin, mouth_y, mouth_w, rng)
    tip = draw_nose(picture, head, skin, nose_y, nose_w, rng)
    eyes = draw_eyes(picture, head, skin, hair, eye_x, eye_y, rng)
    draw_fringe(picture, head, hair, rng)
    if rng.random() < 0.18:
        draw_glasses(picture, head, eye_x, eye_y, rng)
    picture = picture.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.1, 0.8)))
    pixels = np.asarray(picture, dtype=float) * rng.uniform(0.8, 1.12) * rng.uniform(0.95, 1.05, 3)
    pixels += rng.normal(0, rng.uniform(0.5, 5), (HEIGHT, WIDTH, 1))
    return np.rint(pixels.clip(0, 255)).astype(np.uint8), np.concatenate([eyes, tip, corners])


def shaded(rng: np.random.Generator, base: Colour, spread: float) -> Colour:
    """A colour near `base`."""
    factor = rng.uniform(1 - spread, 1 + spread) * rng.uniform(1 - spread / 3, 1 + spread / 3, 3)
    return darker(base, factor)


def darker(base: Colour, factor: float | np.ndarray) -> Colour:
    """A colour times a factor, kept in range."""
    r, g, b = np.clip(np.asarray(base) * factor, 0, 255).astype(int)
    return int(r), int(g), int(b)


def fill(picture: Image.Image, points: np.ndarray, ink: Colour, alpha: int = 255) -> None:
    """Fill the polygon `points` (N, 2), in pixels of the final picture."""
    fine = (points + 0.5) * SAMPLES - 0.5
    ImageDraw.Draw(picture, "RGBA").polygon([(x, y) for x, y in fine], fill=(*ink, alpha))


def stroke(picture: Image.Image, points: np.ndarray, ink: Colour, width: float) -> None:
    """Draw a line of `width` final pixels through `points` (N, 2)."""
    fine = (points + 0.5) * SAMPLES - 0.5
    ImageDraw.Draw(picture).line(
        [(x, y) for x, y in fine], fill=ink, width=max(1, round(width * SAMPLES)), joint="curve"
    )


def backdrop(rng: np.random.Generator) -> Image.Image:
    """A blurred background, at SAMPLES times the final size."""
    grid = rng.uniform(20, 235, (int(rng.integers(2, 9)), int(rng.integers(2, 7)), 3))
    grid = 0.5 * grid + 0.5 * grid.mean(axis=(0, 1))
    small = Image.fromarray(grid.astype(np.uint8))
    return small.resize((WIDTH * SAMPLES, HEIGHT * SAMPLES), Image.Resampling.BICUBIC)


def draw_hair_behind(
    picture: Image.Image, head: Head, hair: Colour, rng: np.random.Generator
) -> None:
    """The mass of hair behind the head: short, or down to the shoulders."""
    wide, top = head.wide * rng.uniform(1.08, 1.35), rng.uniform(1.22, 1.4)
    if rng.random() < 0.5:
        long = rng.uniform(0.9, 2.0)
        side = [[wide, -0.3], [wide * rng.uniform(0.9, 1.25), long]]
        lock = np.array([*side, *[[-x, y] for x, y in reversed(side)]])
        fill(picture, lock * head.scale + head.middle, darker(hair, 0.8))
    else:
        wide = head.wide * rng.uniform(1.02, 1.12)
    fill(picture, oval(0, -0.25, wide, top - 0.25) * head.scale + head.middle, darker(hair, 0.85))


def draw_neck(picture: Image.Image, head: Head, skin: Colour, rng: np.random.Generator) -> None:
    """Neck and shoulders."""
    w, shoulder = head.wide * rng.uniform(0.5, 0.72), rng.uniform(1.2, 1.9)
    neck = np.array([[-w, 0.5], [w, 0.5], [w * 1.1, 1.6], [-w * 1.1, 1.6]])
    fill(picture, neck * head.scale + head.middle, darker(skin, 0.75))
    cloth = darker((255, 255, 255), rng.uniform(0.05, 0.95, 3))
    drop = rng.uniform(1.3, 1.5)
    body = np.array([[-w * 0.9, drop], [0, drop + rng.uniform(0, 0.35)], [w * 0.9, drop],
                     [shoulder, drop + 0.3], [shoulder + 0.2, 3], [-shoulder - 0.2, 3],
                     [-shoulder, drop + 0.3]])  # fmt: skip
    fill(picture, body * head.scale + head.middle, cloth)


def draw_light(
    picture: Image.Image, head: Head, outline: np.ndarray, rng: np.random.Generator
) -> None:
    """A soft light from one side, a soft shade on the other, within the face."""
    side = float(rng.choice([-1, 1]))
    mask = Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(mask).polygon([(x, y) for x, y in head.at(outline)], fill=255)
    inside = np.asarray(mask, dtype=float) / 255
    across = (np.arange(WIDTH) - head.middle[0]) / (head.scale * head.wide) * side
    down = (np.arange(HEIGHT) - head.middle[1]) / head.scale
    dark = np.clip(across[None] * 0.5 + down[:, None] * 0.2 + 0.15, 0, 0.6)
    dark = dark * inside * rng.uniform(0.3, 1.1) * 255
    shade = Image.fromarray(dark.clip(0, 255).astype(np.uint8)).resize(picture.size)
    picture.paste((45, 20, 15), mask=shade)


def draw_eyes(
    picture: Image.Image,
    head: Head,
    skin: Colour,
    hair: Colour,
    x: float,
    y: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Eyes with lids and brows; returns (2, 2), the middles of the eyes, left one first."""
    w, h = rng.uniform(0.12, 0.16), rng.uniform(0.045, 0.085)
    iris, colour = rng.uniform(0.055, 0.07), EYES[int(rng.integers(len(EYES)))]
    look = rng.normal(0, 0.015, 2)
    rise, arch = rng.uniform(0.15, 0.25), rng.uniform(0.01, 0.07)
    brow, thick, slant = darker(hair, 0.8), rng.uniform(1.5, 4.0), rng.normal(0, 0.03)
    middles = []
    for sign in (-1, 1):
        cx = sign * x
        fill(picture, head.at(oval(cx, y - 0.01, w * 1.25, h * 1.9)), darker(skin, 0.82), 150)
        fill(picture, head.at(oval(cx, y, w, h)), (236, 234, 230))
        ring = oval(cx + look[0], y + look[1] * 0.5, iris, iris)
        ring[:, 1] = ring[:, 1].clip(y - h * 0.95, y + h * 0.95)  # the lids cover the rest
        fill(picture, head.at(ring), colour)
        pupil = oval(cx + look[0], y + look[1] * 0.5, iris * 0.45, min(iris * 0.45, h * 0.9))
        fill(picture, head.at(pupil), (12, 10, 10))
        glint = oval(cx + look[0] + 0.02, y - 0.02, 0.012, 0.012, 8)
        fill(picture, head.at(glint), (250, 250, 250))
        t = np.linspace(-1, 1, 9)
        lid = np.column_stack([cx + w * 1.08 * t, y - h * (1 - t**2)])
        stroke(picture, head.at(lid), darker(skin, 0.3), rng.uniform(0.8, 1.8))
        line = np.column_stack([cx + sign * 0.02 + w * 1.35 * t, y - rise - arch * (1 - t**2)])
        line[:, 1] += slant * sign * t
        stroke(picture, head.at(line), brow, thick)
        middles.append([cx, y])
    return head.at(middles)


def draw_nose(
    picture: Image.Image, head: Head, skin: Colour, y: float, w: float, rng: np.random.Generator
) -> np.ndarray:
    """The nose stands out of the face, so it moves as the head turns; returns (1, 2), its tip."""
    out = rng.uniform(0.14, 0.26)
    bridge, tip = head.at([[0, -0.15]]), head.at([[0, y]], lift=out)
    wings = head.at([[-w, y + 0.05], [w, y + 0.05]], lift=out * 0.3)
    shade = darker(skin, rng.uniform(0.72, 0.86))
    side = int(rng.integers(2))
    fill(picture, np.concatenate([bridge, tip, wings[side : side + 1]]), shade, 170)
    base = head.at(oval(0, y + 0.03, w, 0.075), lift=out * 0.55)
    fill(picture, base, darker(skin, 0.9))
    for sign in (-1, 1):
        nostril = oval(sign * w * 0.5, y + 0.075, w * 0.24, 0.022, 10)
        fill(picture, head.at(nostril, lift=out * 0.5), darker(skin, 0.35))
    shine = (tip - wings.mean(axis=0)) * 0.1 + tip
    fill(picture, oval(0, 0, 2.2, 2.0, 12) + shine, darker(skin, 1.15), 200)
    return tip


def draw_mouth(
    picture: Image.Image, head: Head, skin: Colour, y: float, w: float, rng: np.random.Generator
) -> np.ndarray:
    """Lips, open or closed; returns (2, 2), the corners, left one first."""
    smile, gap = rng.uniform(-0.03, 0.09), max(0.0, rng.normal(0.0, 0.05))
    upper, lower = rng.uniform(0.03, 0.06), rng.uniform(0.04, 0.08)
    red = np.array([rng.uniform(0.78, 1.0), rng.uniform(0.45, 0.7), rng.uniform(0.45, 0.7)])
    lips = darker(skin, red)
    t = np.linspace(-1, 1, 15)
    bow = 1 - t**2
    dent = 1 - 0.35 * np.exp(-((t / 0.15) ** 2))  # the notch of the upper lip
    line = y + smile * (0.4 - t**2)
    top = np.column_stack([w * t, line - bow * (upper * dent + gap * 0.3)])
    bottom = np.column_stack([w * t, line + bow * (lower + gap)])
    fill(picture, head.at(np.concatenate([top, bottom[::-1]])), lips)
    inner_top = np.column_stack([w * 0.9 * t, line - bow * gap * 0.3])
    inner_bottom = np.column_stack([w * 0.9 * t, line + bow * gap])
    if gap > 0.02:
        mouth = np.concatenate([inner_top, inner_bottom[::-1]])
        fill(picture, head.at(mouth), (70, 20, 22))
        teeth = np.concatenate([inner_top, (0.5 * inner_top + 0.5 * inner_bottom)[::-1]])
        fill(picture, head.at(teeth), (238, 234, 226))
    else:
        stroke(picture, head.at(inner_top), darker(lips, 0.5), 1.0)
    return head.at(np.array([[-w, line[0]], [w, line[-1]]]))


def draw_fringe(picture: Image.Image, head: Head, hair: Colour, rng: np.random.Generator) -> None:
    """Hair over the forehead; one in ten heads has none."""
    if rng.random() < 0.1:
        return
    low, part = rng.uniform(-0.85, -0.45), rng.uniform(-0.5, 0.5)
    edge = head.wide
    t = np.linspace(-1, 1, 15)
    side = rng.uniform(0.0, 0.45)
    hairline = (
        low + side * np.abs(t) ** 3 + rng.uniform(0.05, 0.25) * np.exp(-(((t - part) / 0.3) ** 2))
    )
    front = head.at(np.column_stack([edge * t * 0.99, hairline]))
    crown = oval(0, -0.3, edge * 1.06, rng.uniform(0.93, 1.05), 48)
    over = crown[(crown[:, 1] < low + side)]
    over = over[np.argsort(over[:, 0])][::-1]
    fill(picture, np.concatenate([front, over * head.scale + head.middle]), hair)
    for _ in range(int(rng.integers(3, 9))):
        i, j = int(rng.integers(2, 13)), int(rng.integers(len(over) // 4, 3 * len(over) // 4))
        strand = np.array([front[i], (front[i] + over[j] * head.scale + head.middle) / 2])
        stroke(picture, strand, darker(hair, rng.uniform(0.75, 1.3)), 1.0)


def draw_glasses(
    picture: Image.Image, head: Head, x: float, y: float, rng: np.random.Generator
) -> None:
    """Frames around the eyes."""
    ink = darker((255, 255, 255), rng.uniform(0.0, 0.4))
    w, h, thick = rng.uniform(0.2, 0.26), rng.uniform(0.13, 0.2), rng.uniform(1.0, 2.4)
    for sign in (-1, 1):
        rim = head.at(oval(sign * x, y + 0.02, w, h), lift=0.08)
        stroke(picture, np.concatenate([rim, rim[:2]]), ink, thick)
        temple = [[sign * (x + w), y], [sign * head.wide * 0.98, y - 0.03]]
        stroke(picture, head.at(temple, lift=0.05), ink, thick)
    bridge = [[-x + w, y], [0, y - 0.03], [x - w, y]]
    stroke(picture, head.at(bridge, lift=0.1), ink, thick)


def face_name(index: int) -> str:
    """CelebA's name of picture `index`, which counts from 0."""
    return f"{index + 1:06d}.jpg"


def draw_face_file(folder: Path, index: int, seed: int) -> np.ndarray:
    """Write face `index` below `folder`; returns its landmarks (5, 2), in whole pixels."""
    # The key's length keeps faces apart from objects, whose streams have three numbers.
    rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
    pixels, landmarks = draw_face(rng)
    target = folder / "img_align_celeba" / face_name(index)
    Image.fromarray(pixels).save(target, format="JPEG", quality=92)
    return np.rint(landmarks).astype(int)


def write_face_lists(folder: Path, landmarks: Sequence[np.ndarray]) -> None:
    """Write CelebA's and MAFL's lists for the faces of `folder`.

    As in CelebA, MAFL has only a part of the pictures: the last fifth is MAFL's test set, two
    fifths before it are its training set.
    """
    count = len(landmarks)
    header = " ".join(f"{name}_{axis}" for name in COLUMNS for axis in "xy")
    rows = [
        f"{face_name(i)} " + " ".join(f"{value:4d}" for value in points.ravel())
        for i, points in enumerate(landmarks)
    ]
    text = "\n".join([str(count), header, *rows]) + "\n"
    (folder / "list_landmarks_align_celeba.txt").write_text(text)
    first, test = count * 2 // 5, count - count // 5
    (folder / "MAFL").mkdir()
    for name, numbers in (("training", range(first, test)), ("testing", range(test, count))):
        lines = "".join(f"{face_name(i)}\n" for i in numbers)
        (folder / "MAFL" / f"{name}.txt").write_text(lines)
