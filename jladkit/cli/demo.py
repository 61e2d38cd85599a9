"""jladkit demo: the whole way on drawn data, by the same commands that a user would type."""

import shlex
import time
from pathlib import Path
from typing import Any

import click

from jladkit import registry
from jladkit.errors import UsageError
from jladkit.formats.result import Result, read_result

METHODS = ("joint", "consensus", "nearest", "identity", "mean-shape")
SCORES = (
    ("pck", "jlad", ("joint", "consensus", "nearest", "identity")),
    ("iod", "recommended", ("joint", "mean-shape")),
)


@click.command("demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("jladkit-demo"),
    show_default=True,
    help="Folder for everything the demo makes; must not exist, or be of an earlier demo.",
)
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=70,
    show_default=True,
    help="Pictures to draw per category.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the drawing and of the training.",
)
def command(out: Path, images: int, seed: int) -> None:
    """Draw a data set, train the joint method on it, score it beside the floors, write a report.

    Takes about ten minutes on two cores and needs no network. Every step is a jladkit command,
    which is printed before it runs.
    """
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty. Give another --out, or remove it.")
    begin = time.monotonic()
    data, run, results = out / "dataset.h5", out / "run", out / "results"
    step("build-dataset", "synthetic", out / "source", "--out", data, "--images", images,
         "--seed", seed)  # fmt: skip
    step("train", "--data", data, "--method", "joint", "--recipe", "cpu", "--out", run,
         "--set", f"train.seed={seed}", "--set", "train.rounds=2")  # fmt: skip
    for method in METHODS:
        by = ("--checkpoint", run) if method == "joint" else ("--method", method)
        step("predict", "--data", data, *by, "--out", out / f"{method}.h5")
    for metric, protocol, methods in SCORES:
        for method in methods:
            step("evaluate", "--metric", metric, "--protocol", protocol, "--data", data,
                 "--predictions", out / f"{method}.h5", "--out", results, "--json", quiet=True)  # fmt: skip
    matched = [word for m in SCORES[0][2] for word in ("--predictions", out / f"{m}.h5")]
    step("report", results, "--out", out / "report", "--data", data, *matched)
    minutes = (time.monotonic() - begin) / 60
    click.echo(summary(results))
    click.echo(f"\nReport: {out / 'report' / 'index.html'}   ({minutes:.1f} minutes in all)")


def step(*words: object, quiet: bool = False) -> None:
    """Print a jladkit command and run it; `quiet` drops what it writes on standard output."""
    import contextlib
    import io

    from jladkit.cli import group

    spelled = [str(word) for word in words]
    click.secho(f"\n$ jladkit {shlex.join(spelled)}", bold=True, err=True)
    sink = contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext()
    with sink:
        group.main(spelled, prog_name="jladkit", standalone_mode=False)


def summary(results: Path) -> str:
    """The scores as a small table, and by how much joint beats identity."""
    found = [read_result(path) for path in sorted(results.rglob("*.json"))]
    lines = ["", f"{'method':<12}{'PCK@0.1 [95 %]':<24}{'IOD [95 %]':<24}"]
    for method in METHODS:
        own = {r.metric: r for r in found if r.method == method}
        cells = [
            cell(own[m], 0.1 if m == "pck" else None) if m in own else "" for m in ("pck", "iod")
        ]
        lines.append(f"{method:<12}{cells[0]:<24}{cells[1]:<24}")
    lines += ["", difference(results)]
    error = {r.method: r.results[0]["value"] for r in found if r.metric == "iod"}
    if error["joint"] > error["mean-shape"]:
        lines.append(
            "The landmarks do not beat the mean shape: after minutes of training on a few dozen "
            "objects a category they hardly follow the object."
        )
    return "\n".join(lines)


def cell(result: Result, alpha: float | None) -> str:
    """A headline value with its interval, in percent."""
    row: dict[str, Any] = next(
        row for row in result.results if alpha is None or row.get("alpha") == alpha
    )
    values = [row["value"], row["low"], row["high"]]
    mean, low, high = (f"{100 * v:.1f}" if v is not None else "-" for v in values)
    return f"{mean} [{low}, {high}]"


def difference(results: Path) -> str:
    """One sentence: joint minus identity in PCK@0.1 on the same pairs."""
    import pandas as pd

    tables = [
        pd.read_parquet(next(results.rglob(f"{method}/pck-*.parquet")))
        for method in ("joint", "identity")
    ]
    compare = registry.load("metric", "jladkit.evaluators.comparison:paired_difference")
    gain = compare(*tables)
    if gain.low is None:
        return f"With {gain.count} held-out pairs there is no interval; give more --images."
    return (
        f"joint minus identity: {100 * gain.value:+.1f} points of PCK@0.1 on {gain.count} held-out "
        f"pairs, 95 % interval [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]."
    )
