"""Strata: the parts of a split that a score should also be told for.

Each stratum sorts pairs, or keypoints, into classes by what the data set knows of them; what it
does not know belongs to no class. SPair-71k (Min et al. 2019) made the first four usual.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from jladkit.evaluators.items import pictures
from jladkit.formats.dataset import Dataset

DEGREES = (10, 20, 45, 90, 180)
RATIOS = (1.25, 2, 4)
FLAGS = ("truncated", "occluded", "difficult")


@dataclass(frozen=True)
class Stratum:
    """A way to sort.

    Attributes:
        name: as it is printed.
        classes: C names, in order.
        codes: (P,) the class of each pair, or (P, K) that of each keypoint; -1 for none.
    """

    name: str
    classes: tuple[str, ...]
    codes: np.ndarray


def strata(data: Dataset, rows: np.ndarray) -> list[Stratum]:
    """Every stratum that the data set knows of the pairs in `rows` (P,) of pair/*, without those
    that sort none of them."""
    source, target = data.pair_source[rows], data.pair_target[rows]
    found = [
        azimuth_difference(data, source, target),
        scale_ratio(data, source, target),
        *(flagged(data, source, target, flag) for flag in FLAGS),
        seen_in_training(data, source, target),
        keypoint_names(data, rows),
    ]
    return [stratum for stratum in found if (stratum.codes >= 0).any()]


def azimuth_difference(data: Dataset, source: np.ndarray, target: np.ndarray) -> Stratum:
    """The angle between the two objects' azimuths, in degrees, each class with its lower bound.

    Args:
        source, target: (P,) rows of object/*.
    """
    azimuth = data.object_viewpoint[:, 0]
    turn = np.abs(azimuth[source] - azimuth[target]) % 360
    names = between(("0", *map(str, DEGREES)), "degrees")
    return Stratum("azimuth difference", names, binned(np.minimum(turn, 360 - turn), DEGREES[:-1]))


def scale_ratio(data: Dataset, source: np.ndarray, target: np.ndarray) -> Stratum:
    """How much larger one object is than the other, each measured by its box's longer side as a
    share of its picture's, since that is what a network sees that scales its pictures."""
    box = data.object_box
    share = (box[:, 2:] - box[:, :2]).max(axis=1) / data.object_size.max(axis=1)
    share = np.where(share > 0, share, np.nan)
    larger = np.maximum(share[source], share[target])
    ratio = larger / np.minimum(share[source], share[target])
    names = (*between(("1", *(f"{r:g}" for r in RATIOS))), f"{RATIOS[-1]:g} and more")
    return Stratum("scale ratio", names, binned(ratio, RATIOS))


def flagged(data: Dataset, source: np.ndarray, target: np.ndarray, flag: str) -> Stratum:
    """Which of the two objects has a flag (truncated, occluded, difficult); none where either's
    is not known."""
    value = data.arrays[f"object/{flag}"].astype(int)
    a, b = value[source], value[target]
    codes = np.where((a < 0) | (b < 0), -1, (a > 0) + 2 * (b > 0))
    return Stratum(flag, ("neither", "source", "target", "both"), codes)


def seen_in_training(data: Dataset, source: np.ndarray, target: np.ndarray) -> Stratum:
    """Whether a training pair has the same two pictures, in either order; else whether one of
    them stands in train, as an object or in a pair; else the pair is clean."""
    picture, number = pictures(data)
    train = data.pairs("train")
    seen = np.zeros(number, dtype=bool)
    seen[picture[data.objects("train")]] = True
    seen[picture[data.pair_source[train]]] = True
    seen[picture[data.pair_target[train]]] = True

    def key(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = picture[a], picture[b]
        return np.minimum(a, b) * number + np.maximum(a, b)

    pair = np.isin(key(source, target), key(data.pair_source[train], data.pair_target[train]))
    either = seen[picture[source]] | seen[picture[target]]
    codes = np.where(pair, 0, np.where(either, 1, 2))
    return Stratum("seen in training", ("the pair", "a picture", "clean"), codes)


def keypoint_names(data: Dataset, rows: np.ndarray) -> Stratum:
    """Each keypoint by its category's name and its own; none where the names are only places in
    a pair's own list, as PF-PASCAL's pair lists have them."""
    category = data.pair_category[rows]
    width = data.object_keypoints.shape[1]
    table = np.full((len(data.categories), width), -1)
    classes: list[str] = []
    nameless = data.recipe.get("options", {}).get("annotations") == "lists"
    for code in () if nameless else np.unique(category):
        names = data.keypoint_names[code]
        table[code, : len(names)] = np.arange(len(names)) + len(classes)
        classes += [f"{data.categories[code]} {name}" for name in names]
    return Stratum("keypoint", tuple(classes), table[category])


def binned(values: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    """(P,) how many of `edges` lie at or below each of `values` (P,); -1 for NaN."""
    return np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="right"))


def between(edges: tuple[str, ...], unit: str = "") -> tuple[str, ...]:
    """("0 to 10 degrees", ...)"""
    return tuple(f"{low} to {high} {unit}".rstrip() for low, high in pairwise(edges))
