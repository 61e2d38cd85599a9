"""What the scores of dense fields share: fields at every pixel."""

from typing import Literal

import numpy as np

from jladkit.errors import JladkitError
from jladkit.formats.predictions import Predictions

Direction = Literal["source->target", "target->source"]


def pixel_field(field: np.ndarray, size: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where every pixel of a picture goes, by a field that is given for cells.

    What is read bilinearly between the cells' centres is the field's difference from the identity,
    which sends a pixel to the same relative place of the other picture. Beyond the outermost
    centres the outermost difference is repeated. So the identity stays exact to the border, and a
    field with a cell for each pixel stays as it is.

    Args:
        field: (2, h, w) xy in pixels of the other picture, for cells spread evenly over this one;
            NaN where not known.
        size: (2,) width and height of this picture.
        other: (2,) width and height of the other.

    Returns:
        (H, W, 2) xy in pixels of the other picture; NaN where a cell that is read is not known.
    """
    cells = field.shape[:0:-1]  # w, h
    columns, rows = (weights(c, int(n)) for c, n in zip(cells, size, strict=True))
    same = [(np.arange(c) + 0.5) * n / c - 0.5 for c, n in zip(cells, other, strict=True)]
    moved = np.stack([field[0] - same[0], field[1] - same[1][:, None]])
    known = np.isfinite(moved).all(axis=0)
    read = rows @ np.where(known, moved, 0) @ columns.T  # (2, H, W)
    read[:, rows @ ~known @ columns.T > 0] = np.nan
    at = [(np.arange(int(n)) + 0.5) * m / n - 0.5 for n, m in zip(size, other, strict=True)]
    return np.stack([read[0] + at[0], read[1] + at[1][:, None]], axis=-1)


def weights(cells: int, pixels: int) -> np.ndarray:
    """(pixels, cells) how much each pixel reads of each cell along one axis; rows sum to 1."""
    at = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells)))


def fields_of(predictions: Predictions, direction: Direction) -> np.ndarray:
    """(P, 2, h, w) the dense fields of that direction, as the predictions have them.

    Raises:
        JladkitError: they have none.
    """
    back = direction == "target->source"
    fields = predictions.pair_flow_back if back else predictions.pair_flow
    if fields is None:
        raise JladkitError(
            f"The predictions of {predictions.method} hold no dense field from "
            f"{direction.replace('->', ' to ')} (pair/flow{'_back' if back else ''}). "
            "Run: jladkit predict --dense 64"
        )
    return fields
