"""Train, val and test: by source picture, so that no picture is in two of them, or by pair.

The shares count pairs. Two objects fall into the same part of the pictures with a chance that
goes with the square of that part, so the parts of the pictures are chosen to make the pairs fit.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from jladkit.formats.dataset import SPLITS

EXPONENTS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)  # 1: pictures as the shares; 0.5: most pairs in all
TRIES = 10


def counts_for(total: int, shares: Sequence[float] | np.ndarray) -> np.ndarray:
    """(3,) how many of `total` pairs go to each split; they add up to `total`."""
    ends = np.floor(total * np.cumsum(shares) / np.sum(shares) + 0.5).astype(int)
    return np.diff(ends, prepend=0)


def random_split(
    count: int, shares: Sequence[float] | np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(count,) splits in the given shares, in random order."""
    return rng.permutation(np.repeat([0, 1, 2], counts_for(count, shares)))


def fitting_total(available: np.ndarray, shares: Sequence[float] | np.ndarray, wanted: int) -> int:
    """The most pairs, at most `wanted`, whose shares `available` (3,) can fill."""
    part = np.asarray(shares, dtype=float) / np.sum(shares)
    used = part > 0
    total = int(min(wanted, np.min((available[used] + 1) / part[used])))
    while total > 0 and (counts_for(total, shares) > available).any():
        total -= 1
    return total


def split_images(
    images: np.ndarray,
    pairs: np.ndarray,
    shares: Sequence[float] | np.ndarray,
    wanted: int,
    rng: np.random.Generator,
    fixed: Mapping[int, int],
) -> np.ndarray:
    """Give each source picture of a category to a split, so that the pairs fit the shares.

    Pictures are first divided as the shares say; where that leaves too few pairs in a split, val
    and test get more of the pictures, up to the division that leaves the most pairs in all.

    Args:
        images: (n,) number of each object's source picture.
        pairs: (M, 2) candidate pairs, rows of `images`.
        shares: of train, val and test.
        wanted: how many pairs would be enough.
        rng: decides.
        fixed: splits that pictures already have, because of another category in them.

    Returns:
        (n,) split of each object: 0, 1, 2.
    """
    unique, which = np.unique(images, return_inverse=True)
    known = np.array([fixed.get(int(image), -1) for image in unique], dtype=int)
    free = np.nonzero(known < 0)[0]
    best, best_total = known, -1
    for exponent in EXPONENTS:
        part = np.asarray(shares, dtype=float) ** exponent  # a share of 0 stays 0
        counts = counts_for(len(free), part)
        for _ in range(TRIES):
            code = known.copy()
            code[rng.permutation(free)] = np.repeat([0, 1, 2], counts)
            total = fitting_total(
                np.bincount(within(code[which], pairs), minlength=4)[:3], shares, wanted
            )
            if total > best_total:
                best, best_total = code, total
            if best_total >= wanted:
                return best[which]
    return best[which]


def within(split: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(M,) the split of each pair whose objects share one, and 3 for pairs across two."""
    first, second = split[pairs[:, 0]], split[pairs[:, 1]]
    return np.where(first == second, first, 3)


def random_images(
    images: np.ndarray,
    shares: Sequence[float] | np.ndarray,
    rng: np.random.Generator,
    fixed: Mapping[int, int],
) -> np.ndarray:
    """(n,) split of each object: its picture's, which is `fixed` or drawn in the given shares."""
    unique, which = np.unique(images, return_inverse=True)
    code = np.array([fixed.get(int(image), -1) for image in unique], dtype=int)
    free = code < 0
    code[free] = random_split(int(free.sum()), shares, rng)
    return code[which]


def leakage(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """What two splits share, for each two of them that both have pairs.

    Args:
        arrays: object/source_image and pair/source, pair/target, pair/split.

    Returns:
        "train-test" and so on to: `images`, source pictures in pairs of both; `pairs`, pairs of
        pictures (in either direction) in both; `pairs_with_seen_image`, the share of the second
        split's pairs with a picture that pairs of the first have too.
    """
    image = np.unique(arrays["object/source_image"].astype(str), return_inverse=True)[1]
    sides = np.sort(image[np.stack([arrays["pair/source"], arrays["pair/target"]], 1)], axis=1)
    rows = [sides[arrays["pair/split"] == split] for split in range(len(SPLITS))]
    shared = {}
    for a, b in ((0, 1), (0, 2), (1, 2)):
        if len(rows[a]) and len(rows[b]):
            keys_a, keys_b = (part[:, 0] * len(image) + part[:, 1] for part in (rows[a], rows[b]))
            shared[f"{SPLITS[a]}-{SPLITS[b]}"] = {
                "images": len(np.intersect1d(rows[a], rows[b])),
                "pairs": len(np.intersect1d(keys_a, keys_b)),
                "pairs_with_seen_image": float(np.isin(rows[b], rows[a]).any(axis=1).mean()),
            }
    return shared
