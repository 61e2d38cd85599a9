"""Side-by-side timing: candidates take turns, so that a noisy machine is noisy for all of them.

CPU_TIME=1 counts processor time instead of seconds, for a machine that others use too; give
OMP_NUM_THREADS=1 with it.
"""

import os
import statistics
import time
from collections.abc import Callable, Mapping

CLOCK = time.process_time if os.environ.get("CPU_TIME") else time.perf_counter


def take_turns(
    candidates: Mapping[str, Callable[[], object]],
    rounds: int = 15,
    clock: Callable[[], float] = CLOCK,
) -> dict[str, float]:
    """Median seconds of each candidate over `rounds` turns, after one turn that does not count."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, run in candidates.items():
            start = clock()
            run()
            if turn:
                times[name].append(clock() - start)
    return {name: statistics.median(own) for name, own in times.items()}


def show(title: str, seconds: Mapping[str, float], wanted: Mapping[str, tuple[str, str]]) -> None:
    """Print times, then each wanted ratio: {what it means: (slower, faster)}."""
    print(f"\n{title}")
    for name, value in seconds.items():
        print(f"  {name:<44}{1000 * value:10.2f} ms")
    for meaning, (over, under) in wanted.items():
        print(f"  {meaning:<44}{seconds[over] / seconds[under]:10.2f}")
