"""jladkit compare: two results of the same items, their difference and whether it can be chance."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jladkit.cli.several import several
from jladkit.cli.text import grid
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.files import to_json
from jladkit.formats.result import Result, read_result
from jladkit.registry import load

if TYPE_CHECKING:
    import pandas as pd

COMPARISON = "jladkit.evaluators.comparison"
# What two results must have in common, and what it is called.
SAME = {"metric": "metric", "protocol": "protocol", "dataset_digest": "data set", "split": "split"}


@click.command("compare", cls=several("--alpha"))
@click.argument("a", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("b", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--alpha",
    "alphas",
    type=float,
    multiple=True,
    metavar="A ...",
    help="PCK tolerances to compare at.  [default: all that both results have]",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the draws and of the tosses.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a record, and nothing else.")
def command(a: Path, b: Path, alphas: tuple[float, ...], seed: int, as_json: bool) -> None:
    """Compare two result.json of the same data, split, metric and protocol.

    Prints A minus B, in all and by category, over the items that both score, with 95 % intervals
    (images are drawn, not pairs) and the p-value of a sign-flip test (a coin for each image). The
    tables of items must lie beside the results, as `jladkit evaluate --out` leaves them.

    \b
    jladkit compare results/birds/joint/pck-jlad-test.json results/birds/nearest/pck-jlad-test.json
    """  # fmt: skip
    results = [read_result(path) for path in (a, b)]
    check_comparable((a, b), results)
    items = [read_items(path, result) for path, result in zip((a, b), results, strict=True)]
    compare = load("metric", f"{COMPARISON}:compare")
    aggregation = results[0].protocol.get("aggregation", "pair-mean")
    found: list[dict[str, Any]] = []
    for column in columns(results[0], items, alphas):
        difference, categories = compare(*items, column, aggregation, seed=seed)
        by_category = {name: asdict(own) for name, own in categories.items()}
        found.append({
            "column": column,
            "higher_is_better": more_is_better(results[0], column),
            **asdict(difference),
            "categories": by_category,
        })  # fmt: skip
    record = {
        "a": {"method": results[0].method, "result": str(a)},
        "b": {"method": results[1].method, "result": str(b)},
        **{key: getattr(results[0], key) for key in (*SAME, "dataset")},
        "differences": found,
        "statistics": load("metric", f"{COMPARISON}:describe")(seed),
    }
    click.echo(to_json(record, indent=2) if as_json else as_text(record))


def check_comparable(paths: tuple[Path, Path], results: list[Result]) -> None:
    """Raise JladkitError unless both results are of the same data, split, metric and protocol."""
    one, other = results
    for key, name in SAME.items():
        if getattr(one, key) != getattr(other, key):
            told = [told_of(result, key) for result in results]
            if told[0] == told[1]:
                told = ["one set of choices", "another under the same name and version"]
            raise JladkitError(
                f"Two results can be compared only when they have the same {name}, but {paths[0]} "
                f"has {told[0]} and {paths[1]} has {told[1]}. Evaluate both alike."
            )


def told_of(result: Result, key: str) -> str:
    """What a result has for `key`, in short."""
    if key == "protocol":
        return f"{result.protocol['name']} {result.protocol['version']}"
    if key == "dataset_digest":
        return f"{result.dataset} ({result.dataset_digest[:12]})"
    return str(getattr(result, key))


def read_items(path: Path, result: Result) -> "pd.DataFrame":
    """The table of items beside a result.

    Raises:
        JladkitError: the result names none, or it cannot be read.
    """
    import pandas as pd

    if result.items is None:
        raise JladkitError(
            f"{path} names no table of items, which a comparison needs. "
            "Make both with jladkit evaluate --out."
        )
    table = path.parent / Path(result.items).name
    try:
        return pd.read_parquet(table)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise JladkitError(f"{table}, the items of {path}, cannot be read: {error}") from error


def columns(result: Result, items: list["pd.DataFrame"], alphas: tuple[float, ...]) -> list[str]:
    """The columns to compare: the alphas asked for, else all of PCK, and of another metric with
    several ("METRIC:NAME") the protocol's own.

    Raises:
        UsageError: --alpha for another metric than PCK, or one that a table does not have.
        JladkitError: the tables have none in common.
    """
    common: list[str] = load("metric", f"{COMPARISON}:columns_of")(items, result.metric)
    if alphas:
        wanted = [f"{result.metric}@{alpha:g}" for alpha in alphas]
        missing = [name for name in wanted if name not in common]
        if missing:
            raise UsageError(
                f"Both results must have {', '.join(missing)}; they have {', '.join(common)}. "
                "Evaluate both with that --alpha."
            )
        return list(dict.fromkeys(wanted))
    if not common:
        raise JladkitError(f"The tables of items have no column of {result.metric} in common.")
    own = f"{result.metric}:{result.protocol['name']}"
    return [own] if own in common else common


def more_is_better(result: Result, column: str) -> bool:
    """Whether a higher score is the better one in a column of the tables of items."""
    measure = column.partition(":")[2]
    rows = [row for row in result.results if row.get("measure") == measure] or result.results
    return bool(rows[0]["higher_is_better"])


def as_text(record: dict[str, Any]) -> str:
    """A comparison as a person reads it: in points of percent."""
    protocol = record["protocol"]
    lines = [
        f"{record['metric'].upper()} on {record['dataset']}, {record['split']} split: A minus B",
        f"A: {record['a']['method']}, {record['a']['result']}",
        f"B: {record['b']['method']}, {record['b']['result']}",
        f"{protocol['name']} {protocol['version']}: {protocol['summary']}",
    ]
    for own in record["differences"]:
        rows = {"all": own, **(own["categories"] if len(own["categories"]) > 1 else {})}
        lines += ["", *grid(
            [own["column"], "items", "A", "B", "A - B", "p",
             f"{'more' if own['higher_is_better'] else 'less'} is better"],
            [[name, str(row["count"]), points(row["a"]), points(row["b"]), gap(row), p_of(row), ""]
             for name, row in rows.items()],
        )]  # fmt: skip
    statistics = record["statistics"]
    return "\n".join([
        *lines,
        "",
        (f"In percent, 95 % intervals by drawing images, {statistics['resamples']} "
        f"times; p by tossing the sign of each image, {statistics['flips']} times, not corrected for "
        "the number of rows."),
    ])  # fmt: skip


def points(value: float | None) -> str:
    """58.4 for 0.584."""
    return "-" if value is None else f"{100 * value:.1f}"


def gap(row: dict[str, Any]) -> str:
    """+28.8 [+24.5, +33.0]"""
    if row["value"] is None:
        return "-"
    ends = "" if row["low"] is None else f" [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
    return re.sub(r"-0\.0\b", "+0.0", f"{100 * row['value']:+.1f}{ends}")


def p_of(row: dict[str, Any]) -> str:
    """0.012, or < 0.001."""
    if row["p"] is None:
        return "-"
    return "< 0.001" if row["p"] < 0.001 else f"{row['p']:.3f}"
