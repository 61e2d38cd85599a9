"""From points to errors: distances as shares of a normaliser, and the means of them."""

from dataclasses import dataclass

import numpy as np

from jladkit.evaluators.iod_fitting import Regression


def image_errors(
    predicted: np.ndarray, true: np.ndarray, visible: np.ndarray, normaliser: np.ndarray
) -> np.ndarray:
    """Each image's mean error over its visible keypoints, as a share of its normaliser.

    Args:
        predicted: (n, K, 2) xy; NaN leaves a keypoint out.
        true: (n, K, 2) xy, same frame.
        visible: (n, K) bool.
        normaliser: (n,) in pixels of that frame; NaN leaves an image out.

    Returns:
        (n,); NaN for an image without a keypoint or without a normaliser.
    """
    used = visible & np.isfinite(predicted).all(axis=-1)
    distance = np.where(used, np.linalg.norm(predicted - true, axis=-1), 0.0)
    count = used.sum(axis=1)
    mean = np.divide(distance.sum(axis=1), count, out=np.full(len(count), np.nan), where=count > 0)
    return mean / normaliser


@dataclass(frozen=True)
class Errors:
    """A regression's errors as shares of the normaliser; of floors, where the map says something.

    Attributes:
        images, floors: (R, n) of each image in each repeat.
        points, floor_points: (R, n, M) of each point; NaN where it is not scored.
    """

    images: np.ndarray
    floors: np.ndarray
    points: np.ndarray
    floor_points: np.ndarray

    @classmethod
    def of(
        cls, fit: Regression, true: np.ndarray, visible: np.ndarray, normaliser: np.ndarray
    ) -> "Errors":
        """Of `fit`; `true` (n, M, 2) in pixels, `visible` (n, M), `normaliser` (n,) in pixels."""
        floor = np.where(np.isfinite(fit.points), fit.floor, np.nan)

        def both(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            images = [image_errors(layer, true, visible, normaliser) for layer in points]
            distance = np.linalg.norm(points - true, axis=-1) / normaliser[:, None]
            return np.stack(images), np.where(visible, distance, np.nan)

        images, points = both(fit.points)
        floors, floor_points = both(floor)
        return cls(images, floors, points, floor_points)

    @property
    def scored(self) -> np.ndarray:
        """(n,) how many points of each image count, in the repeat with the most."""
        return np.isfinite(self.points).sum(axis=2).max(axis=0)

    def explained(self, rows: np.ndarray | slice = slice(None)) -> float | None:
        """The share of the floor's squared distances that the map saves; None without any."""
        kept = np.isfinite(self.points[:, rows])
        left = float((self.points[:, rows][kept] ** 2).sum())
        total = float((self.floor_points[:, rows][kept] ** 2).sum())
        # Landmarks that never move differ from their average by rounding only.
        return 1 - left / total if total > 1e-18 * max(kept.sum(), 1) else None


def mean_of(values: np.ndarray, axis: int | tuple[int, ...] = 0) -> np.ndarray:
    """The mean of the finite ones along `axis`, NaN without any."""
    finite = np.isfinite(values)
    count = finite.sum(axis=axis)
    total = np.where(finite, values, 0).sum(axis=axis)
    return np.divide(total, count, out=np.full(np.shape(count), np.nan), where=count > 0)


def number(value: float | np.ndarray) -> float | None:
    """A float, or None for NaN."""
    return None if np.isnan(value) else float(value)
