"""Drawing some of the eligible pairs: at random or balanced over their differences, under a cap."""

from collections.abc import Iterable

import numpy as np

BINS = 10  # of the differences, when they are balanced
BATCH = 4096


def take(
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    objects: int,
    wanted: int,
    max_uses: int | None,
    edges: np.ndarray | None,
) -> np.ndarray:
    """The first `wanted` distinct pairs that come and that the limits allow.

    With `edges`, no bin of differences gives more than its even part, until all have come; what
    bins with few pairs leave over then goes to the pairs of others, as evenly as there are pairs.

    Args:
        batches: (m, 2) rows and (m,) differences, in random order.
        objects: how many objects there are.
        wanted: how many pairs to take.
        max_uses: most pairs an object may be in, or None.
        edges: between the bins of differences, ascending, or None for no bins.

    Returns:
        (P, 2) rows, in the order in which they were taken.
    """
    taken: list[tuple[int, int]] = []
    seen: set[int] = set()
    uses = np.zeros(objects, dtype=np.int64)
    bins = 1 if edges is None else len(edges) + 1
    room = np.full(bins, -(-wanted // bins))
    spare: list[tuple[np.ndarray, np.ndarray]] = []  # pairs whose bin was full

    def add(pairs: np.ndarray, code: np.ndarray, room: np.ndarray) -> None:
        keys = pairs[:, 0] * objects + pairs[:, 1]
        new = np.sort(np.unique(keys, return_index=True)[1])  # the first of equal ones
        new = new[room[code[new]] > 0]
        if max_uses is not None:
            new = new[(uses[pairs[new]] < max_uses).all(axis=1)]
        for row, key in zip(new.tolist(), keys[new].tolist(), strict=True):
            (i, j), bin_ = pairs[row].tolist(), code[row]
            over = max_uses is not None and max(uses[i], uses[j]) >= max_uses
            if len(taken) == wanted:
                return
            if room[bin_] == 0 or key in seen or over:
                continue
            seen.add(key)
            taken.append((i, j))
            room[bin_] -= 1
            uses[i] += 1
            uses[j] += 1

    for pairs, apart in batches:
        code = np.zeros(len(pairs), dtype=int) if edges is None else np.searchsorted(edges, apart)
        for start in range(0, len(pairs), BATCH):
            part = slice(start, start + BATCH)
            add(pairs[part], code[part], room)
            if len(taken) == wanted:
                return as_rows(taken)
            full = room[code[part]] == 0
            if full.any() and sum(len(p) for p, _ in spare) < (BATCH + wanted) * bins:
                spare.append((pairs[part][full], code[part][full]))
    while spare and len(taken) < wanted:
        before = len(taken)
        room = np.full(bins, -(-(wanted - before) // bins))
        for pairs, code in spare:
            add(pairs, code, room)
        if len(taken) == before:
            break
    return as_rows(taken)


def as_rows(taken: list[tuple[int, int]]) -> np.ndarray:
    """(P, 2) int."""
    return np.array(taken, dtype=np.int64).reshape(-1, 2)


def bin_edges(least: float, most: float) -> np.ndarray:
    """The (BINS - 1,) edges between even bins of the differences from `least` to `most`."""
    return np.linspace(least, most, BINS + 1)[1:-1]
