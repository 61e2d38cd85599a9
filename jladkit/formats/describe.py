"""What is in a data set, as one record: for `jladkit inspect` and for the data card of a build."""

from typing import Any

import numpy as np

from jladkit.formats.dataset import FORMAT, SCHEMA, SPLITS, Dataset
from jladkit.formats.masks import is_polygon

AZIMUTH_STEP = 30  # degrees of a histogram's bin
ELEVATION_STEP = 10
DIFFERENCE_STEP = 5


def describe(data: Dataset) -> dict[str, Any]:
    """Counts, keypoints, sizes, viewpoints of objects and of pairs, source and recipe.

    Histograms of angles are lists of counts, the first bin starting at the angle that the key
    beside it says (azimuth and differences: at 0).
    """
    codes = range(len(data.categories))
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "name": data.name,
        "digest": data.digest,
        "objects": {data.categories[c]: by_split(data, "object", c) for c in codes},
        "pairs": {data.categories[c]: by_split(data, "pair", c) for c in codes},
        "keypoints": {data.categories[c]: keypoint_counts(data, c) for c in codes},
        "common_keypoints_of_a_pair": spread(data.pair_common),
        "stored_pictures": {
            "longer_side": spread(data.object_size.max(axis=1)),
            "megabytes": round(data.on_disk("object/image_bytes").shape[0] / 1e6, 3),
        },
        "viewpoints": viewpoints(data),
        "source": data.source,
        "recipe": data.recipe,
    }


def by_split(data: Dataset, what: str, code: int) -> dict[str, int]:
    """How many objects or pairs (`what`) of a category each split has."""
    mine = data.arrays[f"{what}/split"][data.arrays[f"{what}/category"] == code]
    return dict(zip(SPLITS, np.bincount(mine, minlength=3).tolist(), strict=True))


def keypoint_counts(data: Dataset, code: int) -> dict[str, int]:
    """In how many of a category's objects each keypoint is visible; a polygon's vertices, which
    are not to be told apart, stand as one."""
    names = data.keypoint_names[code]
    if is_polygon(names):
        return {
            f"polygon of up to {len(names)} vertices": int((data.object_category == code).sum())
        }
    counts = data.object_visible[data.object_category == code].sum(axis=0).tolist()
    return dict(zip(names, counts[: len(names)], strict=True))


def spread(values: np.ndarray) -> dict[str, float] | None:
    """Least, mean and most; None of nothing."""
    if not values.size:
        return None
    return {"least": float(values.min()), "mean": float(values.mean()), "most": float(values.max())}


def viewpoints(data: Dataset) -> dict[str, Any]:
    """Histograms of azimuth and elevation over objects, and of their differences over pairs."""
    angles = data.object_viewpoint[:, :2].astype(float)
    seen = angles[np.isfinite(angles).all(axis=1)]
    apart = np.abs(angles[data.pair_source] - angles[data.pair_target])
    apart = apart[np.isfinite(apart).all(axis=1)]
    turn = apart[:, 0] % 360
    first = int(np.floor(seen[:, 1].min() / ELEVATION_STEP)) * ELEVATION_STEP if len(seen) else 0
    return {
        "known": len(seen),
        f"azimuth_by_{AZIMUTH_STEP}_degrees": counts_by(
            seen[:, 0] % 360, AZIMUTH_STEP, 360 // AZIMUTH_STEP
        ),
        "elevation": spread(seen[:, 1]),
        "elevation_from": first,
        f"elevation_by_{ELEVATION_STEP}_degrees": counts_by(seen[:, 1] - first, ELEVATION_STEP),
        "pairs_known": len(apart),
        f"pair_azimuth_difference_by_{DIFFERENCE_STEP}_degrees": counts_by(
            np.minimum(turn, 360 - turn), DIFFERENCE_STEP
        ),
        f"pair_elevation_difference_by_{DIFFERENCE_STEP}_degrees": counts_by(
            apart[:, 1], DIFFERENCE_STEP
        ),
    }


def counts_by(values: np.ndarray, step: float, bins: int = 0) -> list[int]:
    """How many of `values`, from 0 on, lie in each bin of `step`; `bins` of them, or as many as
    there is need for. The last bin has its upper edge too, which no other has."""
    if not bins:
        bins = max(1, int(np.ceil(values.max() / step))) if values.size else 0
    if not bins:
        return []
    place = np.minimum((values // step).astype(int), bins - 1)
    return np.bincount(place, minlength=bins).tolist()
