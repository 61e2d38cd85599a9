"""Which objects of several data sets show the same picture, and which of those leak.

The same photograph is often in several data sets: PASCAL VOC's are in PF-PASCAL, PASCAL3D+, SPair
and AnimalPose. Each crops and encodes them anew, so the bytes seldom tell; the names of the files
mostly do.
"""

import hashlib
from collections.abc import Hashable, Sequence
from pathlib import PurePosixPath

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jladkit.formats.dataset import SPLITS, Dataset, input_files

WAYS = ((0, 1), (0, 2), (1, 2))  # an earlier split, and a later one


def same_pictures(datas: Sequence[Dataset]) -> list[np.ndarray]:
    """For each data set, (N,) a number of each object's picture, the same in all data sets.

    Two are the same picture where one of these agrees, or a third picture links them: the stored
    bytes; the source file's digest; its name without folder and ending, if no two source pictures
    of its own data set share that; that name together with the source picture's size.
    """
    nodes: dict[Hashable, int] = {}
    edges = []
    keys = [row for data in datas for row in keys_of(data)]
    for number, row in enumerate(keys):
        edges += [(number, len(keys) + nodes.setdefault(key, len(nodes))) for key in row]
    ends = np.array(edges, dtype=int).reshape(-1, 2).T
    size = len(keys) + len(nodes)
    graph = coo_array((np.ones(len(edges), dtype=bool), (ends[0], ends[1])), shape=(size, size))
    numbers = connected_components(graph, directed=False)[1][: len(keys)]
    return np.split(numbers, np.cumsum([len(data.object_category) for data in datas])[:-1])


def keys_of(data: Dataset) -> list[list[Hashable]]:
    """What each object's picture is known by."""
    images = [str(image) for image in data.object_source_image]
    paths: dict[str, set[str]] = {}
    for image in images:
        paths.setdefault(PurePosixPath(image).stem, set()).add(image)
    files, stored = input_files(data.path), picture_digests(data)
    found = []
    for image, size, digest in zip(images, data.object_source_size.tolist(), stored, strict=True):
        stem = PurePosixPath(image).stem
        keys: list[Hashable] = [digest, ("name and size", stem, *size)]
        if image in files:
            keys.append(("file", files[image]))
        if len(paths[stem]) == 1:
            keys.append(("name", stem))
        found.append(keys)
    return found


def picture_digests(data: Dataset) -> list[bytes]:
    """SHA-256 of each object's stored picture; one that several share is read once."""
    bytes_of = data.on_disk("object/image_bytes")
    spans, which = np.unique(data.object_image_span, axis=0, return_inverse=True)
    digests = [hashlib.sha256(bytes_of[first:last].tobytes()).digest() for first, last in spans]
    return [digests[place] for place in which.reshape(-1)]


def leaking(pictures: Sequence[np.ndarray], splits: Sequence[np.ndarray]) -> list[np.ndarray]:
    """For each data set, (N,) bool: whose picture another data set has in a later split.

    Later than train is val, and later than val is test. What the splits of one data set share is
    its own affair, and often its authors' protocol.

    Args:
        pictures: of each data set, what `same_pictures` gives.
        splits: of each data set, (N,) 0 train, 1 val, 2 test.
    """
    latest = np.full((len(splits), number_of(pictures)), -1)
    for row, own, split in zip(latest, pictures, splits, strict=True):
        np.maximum.at(row, own, split.astype(int))
    found = []
    for place, (own, split) in enumerate(zip(pictures, splits, strict=True)):
        others = np.delete(latest, place, axis=0).max(axis=0)
        found.append(others[own] > split)
    return found


def leak_counts(pictures: Sequence[np.ndarray], splits: Sequence[np.ndarray]) -> dict[str, int]:
    """How many pictures are in one split of a data set and in a later one of another:
    "train-test" and so on, where there are any."""
    shown = np.zeros((len(splits), len(SPLITS), number_of(pictures)), dtype=bool)
    for place, (own, split) in enumerate(zip(pictures, splits, strict=True)):
        shown[place, split, own] = True
    counts = {}
    for a, b in WAYS:
        both = [shown[i, a] & np.delete(shown[:, b], i, axis=0).any(axis=0)
                for i in range(len(splits))]  # fmt: skip
        counts[f"{SPLITS[a]}-{SPLITS[b]}"] = int(np.any(both, axis=0).sum())
    return {way: count for way, count in counts.items() if count}


def first_leak(
    pictures: Sequence[np.ndarray], splits: Sequence[np.ndarray], leaks: Sequence[np.ndarray]
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """The first object that leaks, and the first of another data set that has its picture in a
    later split, each as (data set, row); None where none leaks."""
    place = next((i for i, leak in enumerate(leaks) if leak.any()), None)
    if place is None:
        return None
    row = int(np.nonzero(leaks[place])[0][0])
    ends = (
        (other, int(found))
        for other, (own, split) in enumerate(zip(pictures, splits, strict=True))
        for found in np.nonzero((own == pictures[place][row]) & (split > splits[place][row]))[0]
        if other != place
    )
    return (place, row), next(ends)


def number_of(pictures: Sequence[np.ndarray]) -> int:
    """How many numbers there are."""
    return max((int(own.max(initial=-1)) for own in pictures), default=-1) + 1
