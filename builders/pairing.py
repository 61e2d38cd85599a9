"""From objects to pairs: split the pictures of each category, and draw pairs within the splits."""

import zlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from jladkit.builders import pairs, splits
from jladkit.builders.drawing import bin_edges, take
from jladkit.builders.options import PairOptions
from jladkit.errors import UsageError

Agree = Callable[[Mapping[str, np.ndarray]], pairs.Poses | None]
Batches = Iterator[tuple[np.ndarray, np.ndarray]]
TRIES = 1 << 26  # pairs to look at, at most, where there are too many to list: half a minute


def choose_pairs(
    arrays: Mapping[str, np.ndarray], agree: Agree, options: PairOptions
) -> dict[str, np.ndarray]:
    """The pair/* fields and object/split.

    Each category draws from its own stream of numbers, so that leaving one out changes no other
    (but for a picture with objects of both, whose split the first of them decides).

    Args:
        arrays: the category/* and object/* fields. Where `options.split_by` is "official",
            object/split is kept; objects that have none (-1) go to train or val.
        agree: gives, from the object/* fields of one category, the condition on poses.
        options: how many, how drawn, how split.

    Raises:
        UsageError: the options speak of differences of pose where none are known.
    """
    image = np.unique(arrays["object/source_image"].astype(str), return_inverse=True)[1]
    visible, split = arrays["object/visible"], np.zeros(len(image), dtype=int)
    fixed: dict[int, int] = {}
    if options.split_by == "official":
        told = arrays["object/split"]
        fixed = dict(zip(image[told >= 0].tolist(), told[told >= 0].tolist(), strict=True))
    parts, known = [], False
    for code, name in enumerate(arrays["category/name"]):
        rng = np.random.default_rng([options.seed, zlib.crc32(str(name).encode())])
        rows = np.nonzero(arrays["object/category"] == code)[0]
        rng.permutation(len(rows))  # so that pairs stay those of jladkit 0.1's first files
        fields = {k: v[rows] for k, v in arrays.items() if k.startswith("object/")}
        poses = agree(fields)
        known |= poses is not None
        pool = pairs.Pool(
            image[rows], visible[rows], options.least_common, poses, options.min_difference
        )
        split[rows], drawn, pair_split = draw(pool, options, rng, fixed)
        fixed |= dict(zip(image[rows].tolist(), split[rows].tolist(), strict=True))
        chosen = rows[rng.permuted(drawn, axis=1)]
        parts.append(np.column_stack([chosen, np.full(len(drawn), code), pair_split]))
    if not known and (options.draw == "balanced" or options.min_difference > 0):
        raise UsageError(
            "--draw balanced and --min-difference need a difference of pose, but pairs are drawn "
            "at random here. Give --pose-tolerance where the source has keypoints, or leave them."
        )
    source, target, category, pair_split = np.concatenate(parts).T
    return {
        "object/split": split,
        "pair/source": source,
        "pair/target": target,
        "pair/category": category,
        "pair/split": pair_split,
        "pair/common": pairs.common_keypoints(visible, source, target),
    }


def draw(
    pool: pairs.Pool, options: PairOptions, rng: np.random.Generator, fixed: Mapping[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split one category and draw its pairs.

    Args:
        pool: the n objects, and what makes a pair.
        options: how many, how drawn, how split.
        rng: decides.
        fixed: splits that pictures already have.

    Returns:
        (n,) split of each object, (P, 2) pairs, (P,) the split of each; in order of split.
    """
    if pairs.blocks_of(pool).total <= pairs.MOST_LISTED:
        return draw_listed(pool, options, rng, fixed)
    return draw_sampled(pool, options, rng, fixed)


def draw_listed(
    pool: pairs.Pool, options: PairOptions, rng: np.random.Generator, fixed: Mapping[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `draw`, where few enough pairs are eligible to look at all."""
    candidates, apart = pairs.eligible_pairs(pool)
    shares, by = picture_shares(options), options.split_by
    wanted = 0 if by == "pair" else options.pairs
    split = splits.split_images(pool.images, candidates, shares, wanted, rng, fixed)
    if by == "pair":
        code = splits.random_split(len(candidates), options.split, rng)
    else:
        code = splits.within(split, candidates)

    def drawn(part: int, count: int) -> np.ndarray:
        order = rng.permutation(np.nonzero(code == part)[0])
        batch = (candidates[order], apart[order])
        return take(iter([batch]), len(split), count, options.max_uses, edges_of(pool, options))

    counts = wanted_counts(np.bincount(code, minlength=4)[:3], options)
    return split, *join([drawn(part, counts[part]) for part in range(3)], options)


def draw_sampled(
    pool: pairs.Pool, options: PairOptions, rng: np.random.Generator, fixed: Mapping[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `draw`, where too many pairs are eligible to look at all: some are drawn and tested."""
    edges, shares = edges_of(pool, options), np.array(options.split)
    counts = splits.counts_for(options.pairs, shares)
    if options.split_by == "pair":
        split = splits.random_images(pool.images, shares, rng, fixed)
        batches = pairs.random_pairs(pool, rng, TRIES)
        drawn = take(batches, len(split), options.pairs, options.max_uses, edges)
        code = splits.random_split(len(drawn), shares, rng)
        return split, *join([drawn[code == part] for part in range(3)], options)
    best: tuple[int, np.ndarray, list[np.ndarray]] | None = None
    for exponent in splits.EXPONENTS:
        part_shares = np.array(picture_shares(options), dtype=float) ** exponent
        split = splits.random_images(pool.images, part_shares, rng, fixed)
        drawn = []
        for part in range(3):
            rows = np.nonzero(split == part)[0]
            batches = pairs.random_pairs(pool.among(rows), rng, TRIES)
            local = take(batches, len(rows), counts[part], options.max_uses, edges)
            drawn.append(rows[local])
        total = sum(len(part) for part in drawn)
        if best is None or total > best[0]:
            best = total, split, drawn
        if total == options.pairs:
            break
    assert best is not None
    return best[1], *join(best[2], options)


def picture_shares(options: PairOptions) -> tuple[float, float, float]:
    """How pictures whose split is open are divided: official test pictures are not added to."""
    train, val, test = options.split
    if options.split_by == "official":
        return (train or 1, val, 0)
    return train, val, test


def wanted_counts(available: np.ndarray, options: PairOptions) -> np.ndarray:
    """(3,) how many pairs to draw in each split; official splits need not keep the shares."""
    if options.split_by == "official":
        return np.minimum(available, splits.counts_for(options.pairs, options.split))
    total = splits.fitting_total(available, options.split, options.pairs)
    return splits.counts_for(total, options.split)


def edges_of(pool: pairs.Pool, options: PairOptions) -> np.ndarray | None:
    """Between the bins over which differences are balanced, or None."""
    if options.draw == "uniform" or pool.poses is None:
        return None
    return bin_edges(options.min_difference, pool.poses.most)


def join(drawn: list[np.ndarray], options: PairOptions) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of the three splits behind one another, cut so that the shares fit; their splits.

    Within a split they are in order of their rows.
    """
    counts = wanted_counts(np.array([len(part) for part in drawn]), options)
    kept = [np.sort(part[:n], axis=1) for part, n in zip(drawn, counts, strict=True)]
    ordered = [part[np.lexsort((part[:, 1], part[:, 0]))] for part in kept]
    return np.concatenate(ordered), np.repeat([0, 1, 2], counts)
