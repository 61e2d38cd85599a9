"""Regressing landmarks onto keypoints: 20,000 faces of 30 landmarks, and 10 categories of 500 objects.

Wanted: no slower than a loop that fits each keypoint by itself on the rows where it is visible,
and as many times faster as there are keypoints that share their rows, as on faces all do; and a ridge chosen by
leave-one-out in the time of a few fits, not of one fit for each row and ridge. The loops are
written here, with the least squares of scipy that scikit-learn calls too. The one that leaves rows
out runs over a part of them, and its time is scaled. All give the same numbers. One
thread: systems of 500 x 20 are too small for more.
"""

import os
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"  # read when numpy is imported

import numpy as np
from scipy.linalg import lstsq
from timing import show, take_turns

from jladkit.evaluators.regression import (
    RIDGES,
    map_points,
    ridge_regression,
    unknowns,
    with_bias,
)

PART = 4  # rows that the slow loop leaves out


def objects(
    seed: int, number: int, landmarks: int, keypoints: int, shown: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (n, 2L), points (n, K, 2) that follow them with noise, visible (n, K)."""
    random = np.random.default_rng(seed)
    features = random.normal(0.5, 0.1, (number, 2 * landmarks))
    points = features @ random.normal(0, 0.3, (2 * landmarks, 2 * keypoints))
    points = points.reshape(number, keypoints, 2) + random.normal(0, 0.05, (number, keypoints, 2))
    return features, points, random.random((number, keypoints)) < shown


def by_keypoint(features: np.ndarray, points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """(n, K, 2) a map for each keypoint, one after the other."""
    found = np.empty_like(points)
    for keypoint in range(points.shape[1]):
        rows = visible[:, keypoint]
        fit = lstsq(with_bias(features[rows], True), points[rows, keypoint])
        assert fit is not None
        found[:, keypoint] = with_bias(features, True) @ fit[0]
    return found


def mapped(
    features: np.ndarray, points: np.ndarray, visible: np.ndarray, ridge: float | None = 0.0
) -> np.ndarray:
    """(n, K, 2) as jladkit has it; a ridge of None is chosen by leave-one-out."""
    return map_points(
        features, points, visible, features, bias=True,
        penalty="absolute" if ridge == 0 else "leave-one-out", ridge=ridge,
        least=unknowns(features.shape[1], True),
    ).points  # fmt: skip


def one_by_one(features: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
    """For each finite ridge, what fits without each of the first PART rows say of that row."""
    largest = ((features - features.mean(axis=0)) ** 2).sum(axis=0).max()
    found = []
    for ridge in RIDGES[:-1]:
        said = []
        for row in range(PART):
            x, y = np.delete(features, row, axis=0), np.delete(targets, row, axis=0)
            centre, offset = x.mean(axis=0), y.mean(axis=0)
            gram = (x - centre).T @ (x - centre) + ridge * largest * np.eye(x.shape[1])
            weights = np.linalg.solve(gram, (x - centre).T @ (y - offset))
            said.append((features[row] - centre) @ weights + offset)
        found.append(np.array(said))
    return found


def main() -> None:
    faces = objects(0, 20_000, 30, 5, 1.0)
    categories = [objects(seed, 500, 10, 10, 0.8) for seed in range(10)]
    for some in (faces, categories[0]):
        np.testing.assert_allclose(mapped(*some), by_keypoint(*some), rtol=1e-7)
    plain: dict[str, Callable[[], object]] = {
        "faces": lambda: mapped(*faces),
        "faces, loop over keypoints": lambda: by_keypoint(*faces),
        "categories": lambda: [mapped(*own) for own in categories],
        "categories, loop over keypoints": lambda: [by_keypoint(*own) for own in categories],
    }
    show("A map with bias for each keypoint", take_turns(plain, rounds=7), {
        "faces: loop / ours": ("faces, loop over keypoints", "faces"),
        "categories: loop / ours": ("categories, loop over keypoints", "categories"),
    })  # fmt: skip

    ridged: dict[str, Callable[[], object]] = {
        "faces": lambda: mapped(*faces),
        "faces, leave-one-out": lambda: mapped(*faces, ridge=None),
        "categories": lambda: [mapped(*own) for own in categories],
        "categories, leave-one-out": lambda: [mapped(*own, ridge=None) for own in categories],
    }
    show("The same with a ridge chosen by leave-one-out", take_turns(ridged, rounds=7), {
        "faces: leave-one-out / plain": ("faces, leave-one-out", "faces"),
        "categories: leave-one-out / plain": ("categories, leave-one-out", "categories"),
    })  # fmt: skip

    features, points, _ = categories[0]
    targets = points[:, 0]
    seconds = take_turns({
        "in closed form": lambda: ridge_regression(features, targets, True, "leave-one-out", None),
        "one by one": lambda: one_by_one(features, targets),
    }, rounds=7)  # fmt: skip
    seconds["one by one (scaled)"] = seconds.pop("one by one") * len(features) / PART
    show("A ridge by leave-one-out, one keypoint of 500 objects", seconds, {
        "one by one / in closed form": ("one by one (scaled)", "in closed form"),
    })  # fmt: skip


if __name__ == "__main__":
    main()
