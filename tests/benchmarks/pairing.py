"""Drawing 1,000 pairs among many objects with viewpoints, against looking at every two of them.

Wanted: a million objects within seconds, memory linear in objects. The reference looks at every
two of 4,000 objects, as one writes it with numpy; its time goes with their square.
"""

import resource
import time

import numpy as np
from timing import show

from jladkit.builders import pairing, pairs
from jladkit.builders.options import PairOptions

FEW = 4000


def pool_of(n: int) -> pairs.Pool:
    """Objects spread over azimuth, near the ground in elevation; nine of ten alone in a picture."""
    random = np.random.default_rng(0)
    view = np.column_stack([random.uniform(0, 360, n), random.normal(10, 8, n),
                            random.normal(0, 4, n), np.ones(n)])  # fmt: skip
    poses = pairs.viewpoints(view, azimuth=20, elevation=10, theta=180)
    return pairs.Pool(random.integers(0, 10 * n, n), random.random((n, 12)) < 0.6, 3, poses)


def every_two(pool: pairs.Pool) -> int:
    """How many pairs are eligible, by an (n, n) table of each condition."""
    assert pool.poses is not None
    azimuth, elevation = pool.poses.axes.T
    turn = np.abs(azimuth[:, None] - azimuth) % 360
    good = np.minimum(turn, 360 - turn) <= 20
    good &= np.abs(elevation[:, None] - elevation) <= 10
    good &= pool.images[:, None] != pool.images
    shown = pool.visible.astype(np.float32)
    good &= shown @ shown.T >= 3
    return int(np.triu(good, 1).sum())


def main() -> None:
    seconds, memory = {}, {}
    for draw in ("uniform", "balanced"):
        for n in (10_000, 100_000, 1_000_000):
            pool, options = pool_of(n), PairOptions(name="", draw=draw, max_uses=5)
            start = time.perf_counter()
            _, drawn, _ = pairing.draw(pool, options, np.random.default_rng(0), {})
            assert len(drawn) == options.pairs
            seconds[f"{draw}, {n:,} objects"] = time.perf_counter() - start
            memory[n] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    few, start = pool_of(FEW), time.perf_counter()
    every_two(few)  # last, for it takes more memory than all of the above
    seconds["every two of 4,000"] = time.perf_counter() - start
    square = (1_000_000 / FEW) ** 2
    seconds["every two of a million (extrapolated)"] = square * seconds["every two of 4,000"]
    show("1,000 pairs drawn", seconds, {
        "every two / uniform, a million objects": (
            "every two of a million (extrapolated)", "uniform, 1,000,000 objects"),
    })  # fmt: skip
    for n, megabytes in memory.items():
        print(f"  {f'peak memory so far, {n:,} objects':<44}{megabytes:10.0f} MB")


if __name__ == "__main__":
    main()
