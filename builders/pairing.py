"""From objects to pairs: split the pictures of each category, and draw pairs within the splits."""

import zlib
from collections.abc import Callable, Mapping

import numpy as np

from jladkit.builders import pairs, splits
from jladkit.builders.options import CropOptions

Agree = Callable[[Mapping[str, np.ndarray]], pairs.Agreement | None]


def choose_pairs(
    arrays: Mapping[str, np.ndarray], agree: Agree, options: CropOptions
) -> dict[str, np.ndarray]:
    """The pair/* fields and object/split.

    Each category draws from its own stream of numbers, so that leaving one out changes no other
    (but for a picture with objects of both, whose split the first of them decides).
    """
    image = np.unique(arrays["object/source_image"].astype(str), return_inverse=True)[1]
    visible, split = arrays["object/visible"], np.zeros(len(image), dtype=int)
    fixed: dict[int, int] = {}
    parts = []
    for code, name in enumerate(arrays["category/name"]):
        rng = np.random.default_rng([options.seed, zlib.crc32(str(name).encode())])
        rows = np.nonzero(arrays["object/category"] == code)[0]
        searched = np.sort(rng.permutation(rows)[: pairs.MOST_OBJECTS])
        condition = agree({k: v[searched] for k, v in row_fields(arrays).items()})
        local = pairs.candidate_pairs(
            image[searched], visible[searched], options.least_common, condition
        )
        candidates = np.searchsorted(rows, searched[local])  # as places in `rows`
        wanted = options.pairs if options.split_by == "image" else 0
        split[rows] = splits.split_images(
            image[rows], candidates, options.split, wanted, rng, fixed
        )
        fixed |= dict(zip(image[rows].tolist(), split[rows].tolist(), strict=True))
        if options.split_by == "image":
            pair_split = splits.within(split[rows], candidates)
        else:
            pair_split = splits.random_split(len(candidates), options.split, rng)
        drawn = splits.draw_pairs(pair_split, options.split, options.pairs, rng)
        chosen = rows[rng.permuted(candidates[drawn], axis=1)]
        parts.append(np.column_stack([chosen, np.full(len(drawn), code), pair_split[drawn]]))
    source, target, category, pair_split = np.concatenate(parts).T
    return {
        "object/split": split,
        "pair/source": source,
        "pair/target": target,
        "pair/category": category,
        "pair/split": pair_split,
        "pair/common": pairs.common_keypoints(visible, source, target),
    }


def row_fields(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The object/* fields that have a row for each object."""
    return {k: v for k, v in arrays.items() if k.startswith("object/") and "bytes" not in k}
