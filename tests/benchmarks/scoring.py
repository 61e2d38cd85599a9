"""Scoring 100,000 pairs of 20 keypoints, against a loop over pairs, and drawing its intervals.

Wanted: a hundred times the speed of a loop that takes a pair at a time, as the evaluation scripts
of this field do with small tensors (HPF, DHPF, CATs, DenseMatching); 1,000 draws of images in the
time of at most 20 scorings. The loop is written here, once with tensors as they have it and once
with numpy; it runs over a part of the pairs, and its time is scaled. All give the same numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import torch
from timing import show, take_turns

from jladkit.evaluators.pck import ALPHAS, aggregate, counted, pck, per_pair
from jladkit.evaluators.statistics import Part, intervals, item_weights

PAIRS, KEYPOINTS, IMAGES, CATEGORIES = 100_000, 20, 20_000, 20
PART = 2_000
MEANS = ("pair-mean", "pooled", "category-mean")


@dataclass(frozen=True)
class Pairs:
    """predicted and true (P, K, 2), visible (P, K), box (P, 4), category (P,)."""

    predicted: np.ndarray
    true: np.ndarray
    visible: np.ndarray
    box: np.ndarray
    category: np.ndarray

    def first(self, number: int) -> "Pairs":
        return Pairs(*(getattr(self, field.name)[:number] for field in fields(self)))


def means_of(shares: dict[int, list], right: list, total: int) -> list[np.ndarray]:
    """Mean over pairs, over points, over categories, from each category's pairs."""
    over_pairs = np.mean([share for own in shares.values() for share in own], axis=0)
    by_category = [np.mean(own, axis=0) for own in shares.values()]
    return [over_pairs, np.array(right) / total, np.mean(by_category, axis=0)]


def loop_with_arrays(pairs: Pairs) -> list[np.ndarray]:
    """The three means, a pair at a time, with numpy."""
    shares: dict[int, list] = {}
    right, total = [0] * len(ALPHAS), 0
    for pair in range(len(pairs.box)):
        seen = pairs.visible[pair]
        x1, y1, x2, y2 = pairs.box[pair]
        offset = pairs.predicted[pair][seen] - pairs.true[pair][seen]
        distance, length = np.sqrt((offset**2).sum(axis=1)), max(x2 - x1, y2 - y1)
        hits = [int((distance <= alpha * length).sum()) for alpha in ALPHAS]
        shares.setdefault(int(pairs.category[pair]), []).append([h / len(distance) for h in hits])
        right, total = [a + b for a, b in zip(right, hits, strict=True)], total + len(distance)
    return means_of(shares, right, total)


def loop_with_tensors(pairs: Pairs) -> list[np.ndarray]:
    """The three means, a pair at a time, with small tensors."""
    predicted, true = torch.from_numpy(pairs.predicted), torch.from_numpy(pairs.true)
    visible, box = torch.from_numpy(pairs.visible), torch.from_numpy(pairs.box)
    shares: dict[int, list] = {}
    right, total = [0] * len(ALPHAS), 0
    for pair in range(len(box)):
        seen = visible[pair]
        mine, theirs = predicted[pair][seen], true[pair][seen]
        length = torch.max(box[pair][2] - box[pair][0], box[pair][3] - box[pair][1])
        distance = (mine - theirs).pow(2).sum(dim=1).pow(0.5)
        limit = length.expand_as(distance)
        hits = [int(torch.le(distance, limit * alpha).sum()) for alpha in ALPHAS]
        shares.setdefault(int(pairs.category[pair]), []).append([h / len(distance) for h in hits])
        right, total = [a + b for a, b in zip(right, hits, strict=True)], total + len(distance)
    return means_of(shares, right, total)


def scored(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """The scores (P, A) of the pairs and their keypoints (P,)."""
    extent = (pairs.box[:, 2:] - pairs.box[:, :2]).max(axis=1)
    errors = pck(pairs.predicted, pairs.true, pairs.visible, extent)
    return per_pair(errors, ALPHAS), counted(errors)


def scoring(pairs: Pairs) -> list[np.ndarray]:
    """The three means, as jladkit has them."""
    scores, count = scored(pairs)
    return [aggregate(scores, count, pairs.category, mean) for mean in MEANS]


def main() -> None:
    torch.set_num_threads(1)  # what they are worth here: threads make small tensors slower
    random = np.random.default_rng(0)
    true = random.uniform(0, 200, (PAIRS, KEYPOINTS, 2))
    visible = random.random((PAIRS, KEYPOINTS)) < 0.8
    visible[:, 0] = True
    corner = random.uniform(0, 40, (PAIRS, 2))
    pairs = Pairs(
        predicted=true + random.normal(0, 15, true.shape),
        true=true,
        visible=visible,
        box=np.hstack([corner, corner + random.uniform(80, 200, (PAIRS, 2))]),
        category=random.integers(CATEGORIES, size=PAIRS),
    )
    images = random.integers(IMAGES, size=(PAIRS, 2))
    some = pairs.first(PART)
    loops = {"tensors": loop_with_tensors, "arrays": loop_with_arrays}
    for loop in loops.values():
        np.testing.assert_allclose(loop(some), scoring(some))

    scores, count = scored(pairs)
    parts = []
    for mean in MEANS:
        weights, groups = item_weights(mean, count, pairs.category)
        parts.append(Part(scores, weights, images, groups))
    candidates: dict[str, Callable[[], object]] = {
        "scoring": lambda: scoring(pairs),
        "1,000 draws": lambda: intervals(parts, resamples=1000),
        **{name: partial(loop, some) for name, loop in loops.items()},
    }
    seconds = take_turns(candidates, rounds=7)
    for name in loops:
        seconds[f"loop with {name} (scaled)"] = seconds.pop(name) * PAIRS / PART
    show(f"{PAIRS:,} pairs of {KEYPOINTS} keypoints, three alphas, three means", seconds, {
        "loop with tensors / scoring": ("loop with tensors (scaled)", "scoring"),
        "loop with arrays / scoring": ("loop with arrays (scaled)", "scoring"),
        "1,000 draws / scoring": ("1,000 draws", "scoring"),
    })  # fmt: skip


if __name__ == "__main__":
    main()
