"""python -m faults [--count N] [--seed S]: see faults.killing."""

import sys
import tempfile
from pathlib import Path

import click
from faults.killing import kill_builds, kill_trainings, show


@click.command()
@click.option("--count", type=click.IntRange(1), default=30, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def main(count: int, seed: int) -> None:
    """Kill builds, builds with --virtual, and trainings COUNT times each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = [
            show("build", kill_builds(folder / "build", count, seed)),
            show("build --virtual", kill_builds(folder / "virtual", count, seed, virtual=True)),
        ]
        (folder / "training").mkdir()
        good.append(show("training", kill_trainings(folder / "training", count, seed)))
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
