"""Pairs for the page: small pictures, keypoints, what each method said, and its warps."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import Predictions
from jladkit.reports.figures import common, pair_errors
from jladkit.reports.own import warped

PAIRS = 24  # at most
SIDE = 224  # pixels of a picture's longer side
QUALITY = 80  # of JPEG
BYTES = 3_000_000  # that all pictures take at most, as they stand in the page
FAR = -1e6  # where a field says nothing: outside any picture


def gallery(data: Dataset, predictions: Sequence[Predictions]) -> dict[str, Any]:
    """What the page's script draws: {"methods": names, "pairs": [...], "of": pairs in the split}.

    The pairs are those of `spread_pairs` for the first predictions, as many as PAIRS and BYTES allow,
    category by category and by rising error. Points are xy in pixels of the small pictures; null where there is
    none. A method's error is its mean error as a share of the longer side of the target's box.

    Args:
        predictions: all of the same pairs, as jladkit.reports.figures.matched_pairs checks.
    """
    rows = predictions[0].pair_row
    assert rows is not None
    errors, category = pair_errors(data, predictions[0]), data.pair_category[rows]
    pairs: dict[int, dict[str, Any]] = {}
    size = 0
    for place in spread_pairs(errors, category, PAIRS):
        pair = one_pair(data, predictions, int(rows[place]))
        size += sum(len(uri) for uri in uris(pair))
        if pairs and size > BYTES:
            break
        pairs[place] = pair
    order = sorted(pairs, key=lambda place: (category[place], errors[place]))
    shown = [pairs[place] for place in order]
    return {"methods": names_of(predictions), "pairs": shown, "of": len(rows)}


def spread_pairs(errors: np.ndarray, category: np.ndarray, count: int) -> list[int]:
    """Which pairs to show: as many of each category, evenly spread over its errors, so that nothing
    is picked by hand or by luck. The middle ones come first.

    Args:
        errors: (P,) of each pair; one that is NaN is not shown.
        category: (P,) of each pair.
        count: how many at most.
    """
    codes = np.unique(category[np.isfinite(errors)])
    each = max(1, count // max(1, len(codes)))
    quantiles = sorted((np.arange(each) + 0.5) / each, key=lambda share: abs(share - 0.5))
    chosen: dict[int, None] = {}
    for quantile in quantiles:
        for code in codes:
            members = np.nonzero((category == code) & np.isfinite(errors))[0]
            ranked = members[np.argsort(errors[members], kind="stable")]
            chosen[int(ranked[int(quantile * len(ranked))])] = None
    return list(chosen)[:count]


def names_of(predictions: Sequence[Predictions]) -> list[str]:
    """Each method's name, numbered where it comes twice."""
    names = [one.method for one in predictions]
    return [
        name if names.count(name) == 1 else f"{name} #{names[:place].count(name) + 1}"
        for place, name in enumerate(names)
    ]


def uris(pair: dict[str, Any]) -> list[str]:
    """Every picture of a pair."""
    own = [pair["source"]["uri"], pair["target"]["uri"]]
    return [*own, *(said["warp"] for said in pair["said"] if said["warp"])]


def one_pair(data: Dataset, predictions: Sequence[Predictions], row: int) -> dict[str, Any]:
    """One pair (a row of pair/*) as the page has it."""
    source, target = int(data.pair_source[row]), int(data.pair_target[row])
    pictures = [data.image(end) for end in (source, target)]
    small = [shrunk(picture) for picture in pictures]
    shown = common(data, row)
    category = int(data.pair_category[row])
    true = scaled(data.object_keypoints[target, shown], pictures[1], small[1])
    box = data.object_box[target]
    extent = float((box[2:] - box[:2]).max())
    said = []
    for one in predictions:
        assert one.pair_row is not None and one.pair_points is not None
        place = int(np.nonzero(one.pair_row == row)[0][0])
        points = one.pair_points[place, shown]
        off = np.linalg.norm(points - data.object_keypoints[target, shown], axis=-1)
        known = off[np.isfinite(off)]
        field = None if one.pair_flow is None else one.pair_flow[place]
        said.append(
            {
                "points": as_lists(scaled(points, pictures[1], small[1])),
                "error": float(known.mean() / extent) if len(known) else None,
                "warp": None if field is None else warp(field, pictures[1], small),
            }
        )
    return {
        "title": f"{data.categories[category]}, pair {row}",
        "source": picture_of(small[0])
        | {"points": as_lists(scaled(data.object_keypoints[source, shown], pictures[0], small[0]))},
        "target": picture_of(small[1]) | {"points": as_lists(true)},
        "keypoints": [int(k) for k in shown],  # which decides colour and shape
        "names": [str(data.arrays["category/keypoint_names"][category, k]) for k in shown],
        "said": said,
    }


def shrunk(picture: Image.Image) -> Image.Image:
    """A picture of SIDE pixels at most."""
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return small


def scaled(points: np.ndarray, large: Image.Image, small: Image.Image) -> np.ndarray:
    """Points (..., 2) xy of a picture as those of the same picture in another size."""
    factor = np.array(small.size) / np.array(large.size)
    return (points + 0.5) * factor - 0.5


def warp(field: np.ndarray, large: Image.Image, small: Sequence[Image.Image]) -> str:
    """The target read where a field (2, h, w) points, laid over the source, as data: URI."""
    points = scaled(np.moveaxis(field, 0, -1).astype(float), large, small[1])
    points[~np.isfinite(points)] = FAR
    return as_uri(Image.fromarray(warped(small[1], points, small[0].size)))


def picture_of(small: Image.Image) -> dict[str, Any]:
    """A picture with its size."""
    return {"uri": as_uri(small), "width": small.width, "height": small.height}


def as_uri(picture: Image.Image) -> str:
    """A picture as data: URI of a JPEG."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def as_lists(points: np.ndarray) -> list[list[float] | None]:
    """Points to a tenth of a pixel; null where one is not known."""
    return [
        [round(float(x), 1), round(float(y), 1)] if np.isfinite(x) and np.isfinite(y) else None
        for x, y in points
    ]
