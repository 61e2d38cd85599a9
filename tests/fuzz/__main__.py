"""python -m fuzz READER ... [--count N] [--seed S]: mutants of its inputs, and what they came to.

Run it at the root, with PYTHONPATH=tests. Findings are kept as files in --keep; the exit code is 1
where there is any. `--only N` reads one mutant here, for its traceback.
"""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import click
from fuzz.readers import READERS, outcome
from fuzz.running import PATIENCE, fuzz, mutant, prepare


@click.command()
@click.argument("readers", nargs=-1, type=click.Choice([*READERS, "all"]), required=True)
@click.option("--count", type=click.IntRange(1), default=2000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--patience", type=float, default=PATIENCE, show_default=True, help="Seconds each.")
@click.option("--only", type=int, metavar="N", help="Read mutant N alone, in this process.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for mutants that are found.")
def main(
    readers: tuple[str, ...], count: int, seed: int, patience: float, only: int | None,
    keep: Path | None,
) -> None:  # fmt: skip
    """Fuzz READER with mutants of small whole inputs."""
    names = list(READERS) if "all" in readers else list(readers)
    found = 0
    for name in names:
        if only is not None:
            with tempfile.TemporaryDirectory() as folder:
                case, raw = mutant(prepare(name, Path(folder)), seed, only)
                click.echo(f"{case.path.name}, {len(raw)} bytes")
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name}-{seed}-{only}-{case.path.name}").write_bytes(raw)
                click.echo(outcome(case, raw))
            continue
        begun = time.monotonic()
        tally = fuzz(name, range(count), seed, patience, tell)
        counts = ", ".join(f"{n} {what}" for what, n in sorted(tally.counts.items()))
        click.echo(f"{name}: {counts}; {time.monotonic() - begun:.0f} s, slowest "
                   f"{tally.slowest:.1f} s")  # fmt: skip
        places = Counter(place_of(text) for _, text in tally.findings)
        first = {place_of(text): number for number, text in reversed(tally.findings)}
        for place, times in places.most_common():
            click.echo(f"  {times} x {place} (mutant {first[place]})")
        found += len(tally.findings)
        sys.stdout.flush()
    sys.exit(1 if found else 0)


def tell(number: int, what: str) -> None:
    """Say on standard error what was found, when it is found."""
    click.echo(f"mutant {number}: {place_of(what)}", err=True)


def place_of(text: str) -> str:
    """The last line of a traceback and where in our code it came from, for grouping."""
    lines = text.strip().split("\n")
    ours = [line.strip() for line in lines if line.strip().startswith("File ") and "tests/" not in line
            and "site-packages" not in line and "/lib/python" not in line]  # fmt: skip
    return f"{lines[-1][:160]} [{ours[-1] if ours else ''}]"


if __name__ == "__main__":
    main()
