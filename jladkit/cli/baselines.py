"""jladkit baselines"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from jladkit import registry
from jladkit.cli import offers
from jladkit.cli.demo import cell, step
from jladkit.cli.text import grid
from jladkit.errors import UsageError
from jladkit.formats.dataset import open_dataset
from jladkit.formats.files import write_text
from jladkit.formats.result import Result, read_result

DOES = {"pck": "transfer", "iod": "detect"}  # what a method must offer to be scored by a metric
Test = tuple[Path, list[str]]  # a data set, and the protocols that score it


@click.command("baselines")
@click.argument("train", type=click.Path(path_type=Path))
@click.option("--metric", type=click.Choice(list(DOES)), required=True)
@click.option(
    "--test", "tests", multiple=True, required=True, metavar="FILE=PROTOCOL,...",
    help="A data set to score on, and by what. May be repeated.",
)  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of it all.")
@click.option(
    "--method", "methods", multiple=True, shell_complete=offers.methods,
    help="Only these. May be repeated.  [default: all that the metric can score]",
)  # fmt: skip
@click.option(
    "--recipe", "recipes", multiple=True, metavar="METHOD:RECIPE", shell_complete=offers.recipes,
    help="As `train` takes it, for one method; without METHOD: for each.  [default: cpu]",
)  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="METHOD:SECTION.KEY=VALUE",
    help="A setting of one method's recipe; without METHOD: of each.",
)  # fmt: skip
def command(
    train: Path,
    metric: str,
    tests: tuple[str, ...],
    out: Path,
    methods: tuple[str, ...],
    recipes: tuple[str, ...],
    settings: tuple[str, ...],
) -> None:
    """Train every method on one data set, score each on others, and put them into one table.

    Methods that need no training are scored as they are. What is done already is not done again, so
    a stopped call goes on where it was. OUT gets METHOD/ for each training, results/ and table.txt.

    \b
    jladkit baselines animals.h5 --metric pck --test animals.h5=jlad \\
        --test pf_pascal.h5=scnet,jlad --out compared
    """
    scored = [parse_test(text) for text in tests]
    check_names([data for data, _ in scored])
    wanted = list(methods) or able(metric)
    for method in wanted:
        recipe = meant_for(method, ["cpu", *recipes])[-1]
        checkpoint = trained(method, train, out, recipe, meant_for(method, settings))
        for data, protocols in scored:
            score(method, checkpoint, metric, data, protocols, out)
    lines = table(wanted, metric, scored, out / "results")
    write_text(out / "table.txt", "\n".join(lines) + "\n")
    click.echo("\n".join(["", *lines]))


def parse_test(text: str) -> Test:
    """FILE=PROTOCOL,PROTOCOL.

    Raises:
        UsageError: it has another form.
    """
    path, equals, protocols = text.rpartition("=")
    if not (path and equals and protocols):
        raise UsageError(f"--test must be FILE=PROTOCOL,... such as a.h5=jlad, not {text!r}.")
    return Path(path), protocols.split(",")


def check_names(paths: Sequence[Path]) -> None:
    """Raise UsageError where two data sets have one name: their results would share a file."""
    named: dict[str, Path] = {}
    for path in paths:
        first = named.setdefault(open_dataset(path).name, path)
        if first != path:
            raise UsageError(
                f"{first} and {path} are both called {open_dataset(path).name!r}; results are kept by "
                "name. Build one of them with another --name."
            )


def able(metric: str) -> list[str]:
    """Every method that can be scored by a metric, in order of name."""
    known = registry.names("method")
    return [name for name in known if hasattr(registry.load("method", name), DOES[metric])]


def meant_for(method: str, texts: Sequence[str]) -> list[str]:
    """Those of METHOD:TEXT that are for a method, and those for each, without the method's name.

    Raises:
        UsageError: METHOD is none.
    """
    found: list[str] = []
    for text in texts:
        name, colon, rest = text.partition(":")
        if "=" in name or "/" in name or not colon:  # a colon of a setting's value, or of a path
            found.append(text)
        elif name == method:
            found.append(rest)
        else:
            registry.load("method", name)
    return found


def trained(
    method: str, data: Path, out: Path, recipe: str, settings: Sequence[str]
) -> Path | None:
    """The weights of a method, trained now unless that is done; None where it needs none."""
    if not hasattr(registry.load("method", method), "train"):
        return None
    place = out / method
    best, done = place / "model.safetensors", place / "done"
    if not done.exists():
        resume = ["--resume"] if (place / "state.safetensors").exists() else []
        step("train", "--data", data, "--method", method, "--recipe", recipe, "--out", place,
             "--cache", out / "cache", *(w for s in settings for w in ("--set", s)), *resume)  # fmt: skip
        write_text(done, "")
    return best


def score(
    method: str,
    checkpoint: Path | None,
    metric: str,
    data: Path,
    protocols: Sequence[str],
    out: Path,
) -> None:
    """Predict once, and score by every protocol that has no result yet."""
    results = out / "results"
    name = open_dataset(data).name
    missing = [p for p in protocols if not result_path(results, name, method, metric, p).exists()]
    if not missing:
        return
    by = ("--method", method) if checkpoint is None else ("--checkpoint", checkpoint)
    predicted = out / "predictions" / f"{name}-{method}-{metric}.h5"
    step("predict", "--data", data, *by, "--out", predicted, "--overwrite")
    for protocol in missing:
        step("evaluate", "--data", data, "--metric", metric, "--protocol", protocol,
             "--predictions", predicted, "--out", results, "--json", quiet=True)  # fmt: skip


def result_path(results: Path, name: str, method: str, metric: str, protocol: str) -> Path:
    """Where `evaluate` leaves a result."""
    return results / name / method / f"{metric}-{protocol}-test.json"


def table(methods: Sequence[str], metric: str, tests: Sequence[Test], results: Path) -> list[str]:
    """A row a method, a column a data set, protocol and alpha: percent with 95 % intervals."""
    columns: dict[str, dict[str, str]] = {}
    for data, protocols in tests:
        name = open_dataset(data).name
        for protocol in protocols:
            for method in methods:
                result = read_result(result_path(results, name, method, metric, protocol))
                for title, text in cells(result, f"{name} {protocol}"):
                    columns.setdefault(title, {})[method] = text
    return grid(
        ["", *columns], [[m, *(column.get(m, "") for column in columns.values())] for m in methods]
    )


def cells(result: Result, title: str) -> list[tuple[str, str]]:
    """(heading, score) of each headline value of a result."""
    alphas: list[Any] = [row["alpha"] for row in result.results if row.get("alpha") is not None]
    if not alphas:
        return [(title, cell(result, None))]
    return [(f"{title} @{alpha:g}", cell(result, alpha)) for alpha in dict.fromkeys(alphas)]
