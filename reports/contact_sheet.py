"""A contact sheet: pairs side by side, the same keypoint in the same colour and shape.

After seven keypoints the colours come again with another shape.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from jladkit.formats.dataset import Dataset
from jladkit.reports.palette import COLOURS

SHAPES = ("disc", "square", "triangle", "diamond")  # as in palette.MARKERS
TILE = 200  # pixels of a picture's longer side
CAPTION = 14
GAP = 6
BACKGROUND = "#202020"


def choose(codes: np.ndarray, rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """At most `count` of `rows`, as evenly over the categories as it goes, then in file order.

    Args:
        codes: (n,) category of each of `rows`.
        rows: (n,) what to choose from.
        count: how many.
        seed: decides which.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    turn = np.zeros(len(rows), dtype=int)  # 0 for the first of its category, 1 for the second ...
    for code in np.unique(codes):
        mine = order[codes[order] == code]
        turn[mine] = np.arange(len(mine))
    return np.sort(rows[order[np.argsort(turn[order], kind="stable")][:count]])


def sheet_of_pairs(
    data: Dataset, rows: np.ndarray, predicted: np.ndarray | None = None
) -> Image.Image:
    """Pairs of a data set, source left and target right, with their common visible keypoints.

    Args:
        data: the open data set.
        rows: (n,) rows of pair/*.
        predicted: (n, K, 2) xy in the targets' pictures, drawn as crosses tied to the truth; NaN
            draws nothing.
    """
    tiles = []
    for place, row in enumerate(rows):
        source, target = int(data.pair_source[row]), int(data.pair_target[row])
        common = data.object_visible[source] & data.object_visible[target]
        guess = None if predicted is None else predicted[place]
        left = tile(data.image(source), data.object_keypoints[source], common)
        right = tile(data.image(target), data.object_keypoints[target], common, guess)
        rest = f"  pair {row}{azimuths(data, source, target)}"
        tiles.append(joined([left, right], data.categories[data.pair_category[row]], rest))
    return grid(tiles, columns=4)


def sheet_of_objects(
    data: Dataset, rows: np.ndarray, points: np.ndarray | None = None
) -> Image.Image:
    """Objects of a data set with their visible keypoints, or with the `points` (n, L, 2) found."""
    tiles = []
    for place, row in enumerate(rows):
        shown = data.object_keypoints[row] if points is None else points[place]
        visible = np.asarray(np.isfinite(shown).all(axis=-1))
        if points is None:
            visible = data.object_visible[row]
        category = data.categories[data.object_category[row]]
        picture = tile(data.image(int(row)), shown, visible)
        tiles.append(joined([picture], category, f"  object {row}"))
    return grid(tiles, columns=8)


def azimuths(data: Dataset, source: int, target: int) -> str:
    """Both azimuths for a caption, or "" where they are not known."""
    both = data.object_viewpoint[[source, target], 0]
    return f"  {both[0]:.0f} | {both[1]:.0f} deg" if np.isfinite(both).all() else ""


def tile(
    image: Image.Image, points: np.ndarray, visible: np.ndarray, predicted: np.ndarray | None = None
) -> Image.Image:
    """A picture scaled to TILE, with points (K, 2) of its own pixels drawn on it."""
    scale = TILE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    picture = image.resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for k in np.nonzero(visible)[0].tolist():
        x, y = ((points[k] + 0.5) * scale - 0.5).tolist()
        if predicted is not None and np.isfinite(predicted[k]).all():
            u, v = ((predicted[k] + 0.5) * scale - 0.5).tolist()
            draw.line([x, y, u, v], fill=colour(k), width=1)
            cross(draw, u, v, colour(k))
        marker(draw, x, y, k)
    return picture


def colour(k: int) -> str:
    """The colour of keypoint `k`."""
    return COLOURS[k % len(COLOURS)]


def marker(draw: ImageDraw.ImageDraw, x: float, y: float, k: int) -> None:
    """The mark of keypoint `k`, with a dark rim that shows on any background."""
    shape = SHAPES[k // len(COLOURS) % len(SHAPES)]
    for r, fill in ((5, "#000000"), (3.5, colour(k))):
        if shape == "disc":
            draw.ellipse([x - r, y - r, x + r, y + r], fill=fill)
        elif shape == "square":
            draw.rectangle([x - r, y - r, x + r, y + r], fill=fill)
        elif shape == "triangle":
            draw.polygon([(x, y - 1.3 * r), (x - 1.2 * r, y + r), (x + 1.2 * r, y + r)], fill=fill)
        else:
            across = 1.3 * r
            draw.polygon(
                [(x, y - across), (x + across, y), (x, y + across), (x - across, y)], fill=fill
            )


def cross(draw: ImageDraw.ImageDraw, x: float, y: float, fill: str) -> None:
    """The mark of a predicted point."""
    for r, width, ink in ((5, 4, "#000000"), (4, 2, fill)):
        draw.line([x - r, y - r, x + r, y + r], fill=ink, width=width)
        draw.line([x - r, y + r, x + r, y - r], fill=ink, width=width)


def joined(pictures: Sequence[Image.Image], category: str, rest: str) -> Image.Image:
    """Pictures beside each other under a caption, each in a square of TILE pixels."""
    width = TILE * len(pictures) + 2 * (len(pictures) - 1)
    card = Image.new("RGB", (width, TILE + CAPTION), BACKGROUND)
    draw = ImageDraw.Draw(card)
    draw.text((2, 1), caption(draw, category, rest, width - 4), fill="#FFFFFF")
    for place, picture in enumerate(pictures):
        x = place * (TILE + 2) + (TILE - picture.width) // 2
        card.paste(picture, (x, CAPTION + (TILE - picture.height) // 2))
    return card


def caption(draw: ImageDraw.ImageDraw, category: str, rest: str, width: int) -> str:
    """A category's name, cut where it has no room beside the `rest` in `width` pixels."""
    whole = category[:100].replace("\n", " ")
    ends = [whole, *(f"{whole[:length].rstrip()}..." for length in range(len(whole) - 1, 0, -1))]
    return next((e for e in ends if draw.textlength(e + rest) <= width), "...") + rest


def grid(cards: Sequence[Image.Image], columns: int) -> Image.Image:
    """Cards of one size in rows of `columns`."""
    columns = min(columns, len(cards))
    lines = -(-len(cards) // columns)
    width, height = cards[0].width + GAP, cards[0].height + GAP
    sheet = Image.new("RGB", (columns * width + GAP, lines * height + GAP), BACKGROUND)
    for place, card in enumerate(cards):
        sheet.paste(card, (GAP + place % columns * width, GAP + place // columns * height))
    return sheet
