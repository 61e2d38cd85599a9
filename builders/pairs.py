"""Which two objects may be paired: enough keypoints in common, and poses that agree.

Objects are sorted into cells as wide as the tolerances, so that two that agree lie in the same
cell or in neighbouring ones. The pairs of such cells ("blocks") hold every eligible pair once, and
others, which are thrown away. They are counted without being listed: few are looked through one by
one, of many some are drawn. Time and memory go with the number of objects, not of pairs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

CHUNK = 1 << 18  # pairs that are looked at together
MOST_LISTED = 1 << 22  # pairs in blocks up to which all are looked at: a second
TABLE = 1 << 15  # entries of a table of pairs: small enough for a processor's cache
NO_REACH = 1e-3  # degrees; cells may not be infinitely small

BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(
    axis=1, dtype=int
)  # in a byte

Difference = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Poses:
    """How far the poses of objects differ, and where to look for those that agree.

    `difference` takes rows of two objects, in arrays whose shapes go together, say (m,) and (m,)
    or (a, 1) and (1, b), and gives how far they are apart in the shape of both, inf where they do
    not agree. Only pairs of objects within `reach` (D,) of each other on every one
    of the `axes` (n, D) can agree; an axis with a finite `period` (D,) wraps around.
    """

    difference: Difference
    most: float  # no larger difference agrees
    axes: np.ndarray
    reach: np.ndarray
    period: np.ndarray


@dataclass(frozen=True)
class Pool:
    """The objects of one category, and what makes two of them a pair.

    Two objects of one picture are no pair, nor are two with too few keypoints visible in both, or
    whose poses do not agree or differ by less than `least`.
    """

    images: np.ndarray  # (n,) number of each object's source picture
    visible: np.ndarray  # (n, K) bool
    min_common: int
    poses: Poses | None = None
    least: float = 0.0

    def among(self, rows: np.ndarray) -> "Pool":
        """The pool of some rows only, numbered from 0."""
        poses = self.poses
        if poses is not None:
            whole = poses.difference
            poses = replace(
                poses,
                axes=poses.axes[rows],
                difference=lambda i, j: whole(rows[i], rows[j]),
            )
        return replace(self, images=self.images[rows], visible=self.visible[rows], poses=poses)


def viewpoints(viewpoint: np.ndarray, azimuth: float, elevation: float, theta: float) -> Poses:
    """Agreement of azimuth and theta (which wrap around at 360) and elevation.

    The difference is the largest of the angles', in degrees; theta counts only if its tolerance is
    below 180.

    Args:
        viewpoint: (n, 4) azimuth, elevation, theta, distance; NaN agrees with nothing.
        azimuth, elevation, theta: tolerances in degrees; a difference equal to one agrees.
    """
    used = [0, 1, 2] if theta < 180 else [0, 1]
    angles, tolerance = viewpoint[:, used], np.array([azimuth, elevation, theta])[used]
    period = np.array([360.0, np.inf, 360.0])[used]

    def difference(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        apart = np.abs(angles[i] - angles[j])
        turned = apart % 360
        apart = np.where(np.isfinite(period), np.minimum(turned, 360 - turned), apart)
        return np.where((apart <= tolerance).all(axis=-1), apart.max(axis=-1), np.inf)

    return Poses(difference, float(tolerance.max()), angles, tolerance, period)


def keypoint_poses(
    keypoints: np.ndarray, visible: np.ndarray, box: np.ndarray, tolerance: float
) -> Poses:
    """Agreement of pose: every keypoint visible in both lies at about the same place in the box.

    Keypoints are measured in their own box, 0 to 1 across and 0 to 1 down; the farthest of the
    common ones decides, not their mean, so that one leg in the air is enough to differ.

    Args:
        keypoints: (n, K, 2) xy, any frame shared with `box`.
        visible: (n, K) bool.
        box: (n, 4) x1 y1 x2 y2.
        tolerance: as a share of the box's sides; a distance equal to it agrees.
    """
    inside = (keypoints - box[:, None, :2]) / (box[:, None, 2:] - box[:, None, :2])
    inside = np.where(visible[..., None], inside, np.nan)
    across, down = (np.ascontiguousarray(inside[..., axis].T) for axis in (0, 1))  # (K, n)

    def difference(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        farthest = np.zeros(np.broadcast_shapes(i.shape, j.shape))
        for x, y in zip(across, down, strict=True):
            squared, more = x[i] - x[j], y[i] - y[j]
            squared *= squared  # in place: making arrays would take most of the time
            more *= more
            squared += more
            np.fmax(farthest, squared, out=farthest)  # passes over the NaN of one not common
        return np.where(farthest <= tolerance**2, np.sqrt(farthest), np.inf)

    nowhere = np.zeros((len(inside), 0))
    return Poses(difference, tolerance, nowhere, np.zeros(0), np.zeros(0))


@dataclass(frozen=True)
class Blocks:
    """Pairs of cells, as spans of `rows`, the objects in order of their cells.

    Block b holds the pairs of rows[first[b] : first[b] + ...] and rows[second[b] : second[b] +
    width[b]], or where first and second are one, every two of these rows. `ends` counts the pairs
    up to and with each block.
    """

    rows: np.ndarray  # (n,)
    first: np.ndarray  # (B,)
    second: np.ndarray  # (B,)
    width: np.ndarray  # (B,)
    ends: np.ndarray  # (B,)

    @property
    def total(self) -> int:
        """How many pairs lie in blocks, eligible or not."""
        return int(self.ends[-1]) if len(self.ends) else 0


def blocks_of(pool: Pool) -> Blocks:
    """The blocks in which every pair of objects that can agree lies once."""
    axes = pool.poses.axes if pool.poses is not None else np.zeros((len(pool.images), 0))
    there = np.nonzero(np.isfinite(axes).all(axis=1))[0]
    places, counts, wraps = cell_places(axes[there], pool.poses)
    weights = np.append(np.cumprod(counts[::-1])[::-1][1:], 1) if len(counts) else counts
    codes = places @ weights if len(counts) else np.zeros(len(there), dtype=np.int64)
    order = np.argsort(codes, kind="stable")
    cells, starts, sizes = np.unique(codes[order], return_index=True, return_counts=True)
    at = places[order][starts]
    first, second = [np.arange(len(cells))], [np.arange(len(cells))]
    steps = [(-1, 0, 1) if count > 1 else (0,) for count in counts]
    for step in product(*steps):
        if any(step):
            a, b = neighbours(at, cells, weights, np.array(step), counts, wraps)
            first.append(a)
            second.append(b)
    a, b = np.concatenate(first), np.concatenate(second)
    sizes = sizes.astype(np.int64)
    pairs = np.where(a == b, sizes[a] * (sizes[a] - 1) // 2, sizes[a] * sizes[b])
    return Blocks(there[order], starts[a], starts[b], sizes[b], np.cumsum(pairs))


def cell_places(axes: np.ndarray, poses: Poses | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, D) the cell of each object on each axis, (D,) cells on it, (D,) whether it wraps."""
    places, counts, wraps = [], [], []
    for d in range(axes.shape[1]):
        assert poses is not None
        values, reach = axes[:, d], max(float(poses.reach[d]), NO_REACH) * (1 + 1e-9)
        wrap = bool(np.isfinite(poses.period[d]))
        low = 0.0 if wrap else float(values.min(initial=0.0))
        span = float(poses.period[d]) if wrap else float(values.max(initial=0.0)) - low
        values = (values - low) % span if wrap else values - low
        count = max(1, int(span / reach))
        if wrap and count < 3:  # its cells would be neighbours on both sides
            count = 1
        places.append(np.minimum((values * (count / span or 1)).astype(np.int64), count - 1)
                      if span else np.zeros(len(values), dtype=np.int64))  # fmt: skip
        counts.append(count)
        wraps.append(wrap)
    return (
        np.array(places, dtype=np.int64).reshape(len(counts), len(axes)).T,
        np.array(counts, dtype=np.int64),
        np.array(wraps, dtype=bool),
    )


def neighbours(
    at: np.ndarray,
    cells: np.ndarray,
    weights: np.ndarray,
    step: np.ndarray,
    counts: np.ndarray,
    wraps: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of cells and of their neighbours one `step` away, each two cells once."""
    moved = at + step
    moved = np.where(wraps, moved % counts, moved)
    inside = ((moved >= 0) & (moved < counts)).all(axis=1)
    code = moved @ weights
    found = np.minimum(np.searchsorted(cells, code), len(cells) - 1)
    own = np.arange(len(cells))
    good = inside & (cells[found] == code) & (own < found)
    return own[good], found[good]


def eligible_pairs(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    """Every pair that may be used: (M, 2) rows, first < second, in order; and (M,) differences."""
    blocks = blocks_of(pool)
    if len(blocks.first) == 1:
        found = list(pairs_of_all(pool, blocks.rows))
    else:
        found = [pairs_at(pool, blocks, np.arange(start, min(start + CHUNK, blocks.total)))
                 for start in range(0, blocks.total, CHUNK)]  # fmt: skip
    if not found:
        return np.zeros((0, 2), dtype=np.int64), np.zeros(0)
    pairs, apart = (np.concatenate(part) for part in zip(*found, strict=True))
    if len(blocks.first) == 1:
        return pairs, apart
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], apart[order]


def pairs_of_all(pool: Pool, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The eligible pairs of every two of `rows` (n,), in order, from tables of some by the rest.

    A table reads each object once, where pairs by their numbers read it for each pair.
    """
    step = max(1, TABLE // max(1, len(rows)))
    for start in range(0, len(rows), step):
        i, j = rows[start : start + step, None], rows[None, start:]
        good, apart = eligible(pool, i, j)
        good &= i < j
        first, second = np.nonzero(good)
        yield np.stack([i[first, 0], j[0, second]], axis=1), apart[good]


def random_pairs(
    pool: Pool, rng: np.random.Generator, tries: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Eligible pairs drawn at random, each as likely as any other, as often as it comes.

    Args:
        pool: what to draw from.
        rng: decides.
        tries: how many pairs, eligible or not, to look at before giving up.

    Yields:
        (m, 2) rows, first < second, and their (m,) differences.
    """
    blocks = blocks_of(pool)
    for _ in range(0, tries if blocks.total else 0, CHUNK):
        yield pairs_at(pool, blocks, rng.integers(0, blocks.total, CHUNK))


def pairs_at(pool: Pool, blocks: Blocks, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Those of the numbered pairs in blocks that are eligible, and their differences."""
    block = np.searchsorted(blocks.ends, numbers, side="right")
    within = numbers - np.append(0, blocks.ends)[block]
    first, width = blocks.first[block], blocks.width[block]
    alone = first == blocks.second[block]
    low, high = every_two(within)
    a = first + np.where(alone, low, within // width)
    b = blocks.second[block] + np.where(alone, high, within % width)
    i, j = np.minimum(blocks.rows[a], blocks.rows[b]), np.maximum(blocks.rows[a], blocks.rows[b])
    good, apart = eligible(pool, i, j)
    return np.stack([i[good], j[good]], axis=1), apart[good]


def eligible(pool: Pool, i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether objects may be paired, and their differences; rows in shapes that go together."""
    good = pool.images[i] != pool.images[j]
    if pool.min_common > 0:
        good &= common_keypoints(pool.visible, i, j) >= pool.min_common
    if pool.poses is None:
        return good, np.zeros(good.shape)
    apart = pool.poses.difference(i, j)
    return good & np.isfinite(apart) & (apart >= pool.least), apart


def every_two(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs (0, 1), (0, 2), (1, 2), (0, 3) ... by their numbers 0, 1, 2, 3 ..."""
    high = ((1 + np.sqrt(1.0 + 8.0 * numbers)) / 2).astype(np.int64)
    high -= high * (high - 1) // 2 > numbers  # where the root was rounded up
    return numbers - high * (high - 1) // 2, high


def common_keypoints(visible: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """How many keypoints are visible in both of two objects.

    Args:
        visible: (N, K) bool.
        source, target: rows, in shapes that go together, as (P,) and (P,); so is the result.
    """
    packed = np.packbits(visible, axis=1).T  # eight keypoints a byte
    common = np.zeros(np.broadcast_shapes(source.shape, target.shape), dtype=np.int64)
    for byte in packed:
        common += BITS[byte[source] & byte[target]]
    return common
