"""The items that a metric scores: which pairs, in which order, and of which source pictures."""

from typing import Any

import numpy as np

from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import Predictions

IMAGES = ["source_image", "target_image"]  # columns of a table of pairs


def rows_in_order(data: Dataset, predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """The split's rows of pair/* (P,) in file order, and where each stands in the predictions.

    Raises:
        JladkitError: the split has no pairs, or the predictions hold not exactly these.
    """
    rows, found = data.pairs(predictions.split), predictions.pair_row
    if not len(rows):
        raise JladkitError(f"{data.path} has no pairs in the {predictions.split} split.")
    order = np.argsort(found, kind="stable") if found is not None else np.empty(0, dtype=int)
    if found is None or not np.array_equal(found[order], rows):
        known = 0 if found is None else len(np.intersect1d(found, rows))
        raise JladkitError(
            f"The predictions of {predictions.method} must hold each of the {len(rows)} pairs of "
            f"the {predictions.split} split once; they hold {len(order)} rows, among them {known} "
            "of those pairs."
        )
    return rows, order


def pictures(data: Dataset) -> tuple[np.ndarray, int]:
    """The number of the source picture that each object was found in (N,), and how many there
    are. Objects of one picture share it."""
    names, numbers = np.unique(data.object_source_image.astype(str), return_inverse=True)
    return numbers, len(names)


def pair_columns(data: Dataset, rows: np.ndarray) -> dict[str, Any]:
    """The first columns of a table of the pairs in `rows` (P,) of pair/*: pair, category, source
    and target (rows of object/*), source_image and target_image (a number for each picture)."""
    picture, _ = pictures(data)
    source, target = data.pair_source[rows], data.pair_target[rows]
    return {
        "pair": rows,
        "category": np.array(data.categories, dtype=object)[data.pair_category[rows]],
        "source": source,
        "target": target,
        "source_image": picture[source],
        "target_image": picture[target],
    }
