"""jladkit evaluate: predictions (stored, or made on the spot) -> result.json and a table."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jladkit.errors import UsageError
from jladkit.formats.dataset import SPLITS, Dataset, open_dataset
from jladkit.formats.files import check_folder, written_aside
from jladkit.formats.predictions import (
    FRAMES,
    Predictions,
    check_belongs,
    open_predictions,
    read_csv,
)
from jladkit.formats.result import Result, read_result, write_result
from jladkit.registry import load, names

if TYPE_CHECKING:
    import pandas as pd


# What our metrics read of predictions; others get all of it.
NEEDS = {
    "pck": ("pair",),
    "iod": ("object",),
    "flow": ("pair", "flow"),
    "transfer": ("pair", "flow_back"),
}


class SeveralAlphas(click.Command):
    """Lets one --alpha be followed by several numbers."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spelled: list[str] = []
        after_alpha = False
        for arg in args:
            after_alpha = after_alpha and is_number(arg)
            if after_alpha and spelled[-1] != "--alpha":
                spelled.append("--alpha")
            spelled.append(arg)
            after_alpha = after_alpha or arg == "--alpha" or arg.startswith("--alpha=")
        return super().parse_args(ctx, spelled)


def is_number(text: str) -> bool:
    """Whether `text` spells a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


@click.command(cls=SeveralAlphas)
@click.option(
    "--metric",
    type=click.Choice(list(names("metric"))),
    default="pck",
    show_default=True,
    help="What to score.",
)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="A dataset.h5.")
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True)
@click.option("--method", help="A method that needs no training: its name, or module:Class.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="What `jladkit train` left.")
@click.option(
    "--predictions",
    "stored",
    type=click.Path(path_type=Path),
    help="A predictions.h5, or a CSV with the columns pair,keypoint,x,y.",
)
@click.option(
    "--frame",
    type=click.Choice(FRAMES),
    default="crop",
    show_default=True,
    help="What a CSV's x and y are pixels of: the target object's picture in the data "
    "set, or the original file.",
)
@click.option(
    "--protocol",
    help="The preset to score by. PCK: jlad (default), scnet. "
    "IOD: imm (default), imm-bias, strucrep, paper. Flow: tss. Transfer: rocco-masks (default), "
    "hpf-polygons.",
)
@click.option(
    "--alpha",
    "alphas",
    type=float,
    multiple=True,
    metavar="A ...",
    help="Tolerances in (0, 1].  [default: PCK 0.05 0.1 0.15, flow 0.05]",
)
@click.option("--device", default="cpu", show_default=True, help="Where a network runs.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write DATASET/METHOD/METRIC-PROTOCOL-SPLIT.json to, and per-item "
    "values (.parquet) beside it.",
)
@click.option("--overwrite", is_flag=True, help="Replace a result of another run.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the result record on standard output, and nothing else there.",
)
def command(
    metric: str,
    data: Path,
    split: str,
    method: str | None,
    checkpoint: Path | None,
    stored: Path | None,
    frame: str,
    protocol: str | None,
    alphas: tuple[float, ...],
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Score a method, a checkpoint or a predictions file.

    Give exactly one of --method, --checkpoint and --predictions. PCK is the share of transferred
    keypoints that land near enough; IOD the error of a linear map from discovered landmarks to
    annotated ones; flow and transfer score dense fields. Values come with 95 % bootstrap intervals.

    \b
    jladkit evaluate --data birds.h5 --method identity
    jladkit evaluate --data birds.h5 --predictions mine.csv --protocol scnet --alpha 0.05 0.1
    jladkit evaluate --data faces.h5 --metric iod --checkpoint run/ --out results/
    """  # fmt: skip
    given = [
        name
        for name, value in (
            ("--method", method),
            ("--checkpoint", checkpoint),
            ("--predictions", stored),
        )
        if value is not None
    ]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise UsageError(
            f"Give exactly one of --method, --checkpoint and --predictions. Got {found}."
        )
    csv = stored is not None and stored.suffix.lower() == ".csv"
    if frame != "crop" and not csv:
        raise UsageError(
            f"--frame {frame} is about a CSV given as --predictions; predictions.h5 is always in "
            "pixels of the stored pictures."
        )
    if out is not None:
        check_folder(out)
    score = load("metric", metric)
    dataset = open_dataset(data)
    predictions = obtain(metric, dataset, split, method, checkpoint, stored, frame, device)
    result, items = score(dataset, predictions, protocol, alphas or None)
    if out is not None:
        path = save(out, result, items, overwrite)
        click.echo(f"Wrote {path} and {path.with_suffix('.parquet').name} beside it.", err=True)
        result = read_result(path)
    click.echo(result.to_json() if as_json else as_text(result), nl=not as_json)


def obtain(
    metric: str,
    data: Dataset,
    split: str,
    method: str | None,
    checkpoint: Path | None,
    stored: Path | None,
    frame: str,
    device: str,
) -> Predictions:
    """The predictions to score: read from `stored`, or made by the method or checkpoint."""
    if stored is None:
        from jladkit.training.prediction import PARTS, predict  # imports torch

        return predict(
            data,
            split,
            method=method,
            checkpoint=checkpoint,
            device=device,
            wanted=NEEDS.get(metric, PARTS),
        )
    if stored.suffix.lower() == ".csv":
        return read_csv(stored, data, split, frame)
    predictions = open_predictions(stored)
    check_belongs(stored, predictions, data, split)
    return predictions


def save(out: Path, result: Result, items: "pd.DataFrame", overwrite: bool) -> Path:
    """Write a result and its items below `out`; the path of the result.

    Raises:
        UsageError: another run of the same method stands there, and `overwrite` is False.
    """
    name = f"{result.metric}-{result.protocol['name']}-{result.split}.json"
    path = out / slug(result.dataset) / slug(result.method) / slug(name)
    if path.exists() and not overwrite:
        before = read_result(path)
        same = before.config == result.config and before.dataset_digest == result.dataset_digest
        if not same:
            raise UsageError(
                f"{path} holds a result of {before.method} with another configuration or data "
                "set. Give --overwrite to replace it, or another --out."
            )
    beside = path.with_suffix(".parquet")
    with written_aside(beside) as aside:
        items.to_parquet(aside, index=False)
    write_result(path, replace(result, items=beside.name))
    return path


def slug(name: str) -> str:
    """`name` as one part of a path."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "unnamed"


def as_text(result: Result) -> str:
    """A result as a person reads it: percent, intervals in brackets."""
    protocol = result.protocol
    lines = [
        f"{result.metric.upper()} of {result.method} on {result.dataset}, {result.split} split",
        f"{protocol['name']} {protocol['version']}: {protocol['summary']}",
        "",
    ]
    if result.metric == "pck":
        lines += pck_lines(result.results)
    elif result.metric in ("flow", "transfer"):
        lines += dense_lines(result.results)
    else:
        lines += iod_lines(result.results)
    lines += ["", "In percent, with 95 % intervals (bootstrap)."]
    lines += [f"Note: {note}" for note in result.notes]
    return "\n".join(lines)


def pck_lines(rows: list[dict[str, Any]]) -> list[str]:
    """PCK by alpha, then by category."""
    first = rows[0]
    lines = grid(
        ["alpha", "mean over pairs", "mean of categories", "pooled points"],
        [
            [
                f"{row['alpha']:g}",
                spread(row),
                spread(
                    {
                        "value": row["category_mean"],
                        "low": row["category_mean_low"],
                        "high": row["category_mean_high"],
                    }
                ),
                percent(row["pooled"]),
            ]
            for row in rows
        ],
    )
    lines += ["", f"{first['count']} pairs, {first['points']} keypoints visible in both."]
    if first["left_out"]:
        lines.append(f"{first['left_out']} further pairs share no visible keypoint: left out.")
    return [*lines, "", *grid(
        ["category", "pairs", *(f"alpha {row['alpha']:g}" for row in rows)],
        [
            [name, str(category["count"]), *(spread(row["categories"][name]) for row in rows)]
            for name, category in first["categories"].items()
        ],
    )]  # fmt: skip


def iod_lines(rows: list[dict[str, Any]]) -> list[str]:
    """IOD by variant of the regression, then by category for the first."""
    first = rows[0]
    lines = grid(
        ["variant", "error", "floor", "images", "keypoints", "fitted on", ""],
        [
            [
                row["variant"],
                spread(row),
                percent(row["floor"]),
                str(row["count"]),
                str(row["keypoints"]),
                str(row["fitted_on"]),
                row["summary"],
            ]
            for row in rows
        ],
    )
    lines += ["", f"Share of the {first['unit']}, {first['landmarks']} landmarks; less is better."]
    lines.append(f"Mean of categories: {percent(first['category_mean'])}.")
    if first["left_out"]:
        lines.append(f"{first['left_out']} further images cannot be scored: left out.")
    return [*lines, "", *grid(
        ["category", "images", "error", "floor"],
        [
            [name, str(row["count"]), spread(row), percent(row["floor"])]
            for name, row in first["categories"].items()
        ],
    )]  # fmt: skip


def percent(value: float | None) -> str:
    """58.4 for 0.584."""
    return "-" if value is None else f"{100 * value:.1f}"


def spread(row: dict[str, Any]) -> str:
    """58.4 [53.1, 63.6]"""
    if row["low"] is None:
        return percent(row["value"])
    return f"{percent(row['value'])} [{percent(row['low'])}, {percent(row['high'])}]"


def grid(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table whose columns stand under one another."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, ["-" * width for width in widths], *rows]
    ]


def dense_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Flow accuracy by alpha, or label transfer by measure, then by category."""
    first = rows[0]
    kind = "alpha" if "alpha" in first else "measure"
    labels = [f"{row[kind]:g}" if kind == "alpha" else row[kind] for row in rows]
    lines = grid(
        [kind, "mean over pairs", "mean of categories", "of", ""],
        [
            [
                label,
                spread(row),
                percent(row["category_mean"]),
                row["unit"],
                "" if row["higher_is_better"] else "less is better",
            ]
            for label, row in zip(labels, rows, strict=True)
        ],
    )
    lines += ["", f"{first['count']} pairs."]
    if first["left_out"]:
        lines.append(f"{first['left_out']} further pairs have no score: left out.")
    return [*lines, "", *grid(
        ["category", "pairs", *(f"{kind} {label}" if kind == "alpha" else label for label in labels)],
        [
            [name, str(own["count"]), *(spread(row["categories"][name]) for row in rows)]
            for name, own in first["categories"].items()
        ],
    )]  # fmt: skip
