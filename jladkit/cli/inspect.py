"""`jladkit inspect`: what is in a dataset.h5, predictions.h5, result.json or in the folder of a
training; pairs and training curves as pictures."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import h5py
import numpy as np

from jladkit.cli.inspect_run import about_run, draw_run, readable
from jladkit.errors import JladkitError, UsageError
from jladkit.formats import dataset, files, predictions, result
from jladkit.formats.dataset import SPLITS, Dataset, content_digest, open_dataset
from jladkit.formats.describe import describe, spread
from jladkit.formats.files import to_json, written_aside
from jladkit.formats.predictions import Predictions, check_belongs, open_predictions
from jladkit.formats.result import read_result

SPLIT = click.Choice(SPLITS)
FAR = 1e5  # pixels, beyond which a point is drawn no farther away


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--png", type=click.Path(path_type=Path), metavar="OUT",
              help="Draw a contact sheet of pairs with their keypoints; of a training, its curves.")  # fmt: skip
@click.option("--data", type=click.Path(path_type=Path), metavar="FILE",
              help="The dataset.h5 that a predictions.h5 was made from, for its pictures.")  # fmt: skip
@click.option("--split", type=SPLIT, help="Draw pairs of this split.  [default: any]")
@click.option("--count", type=click.IntRange(1, 400), default=24, show_default=True,
              help="How many pairs to draw, spread over the categories.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="Decides which pairs are drawn.")  # fmt: skip
def command(
    file: Path, as_json: bool, png: Path | None, data: Path | None, split: str | None,
    count: int, seed: int,
) -> None:  # fmt: skip
    """Summarise FILE, a dataset.h5, a predictions.h5, a result.json, or the folder of a training.

    Every field is checked on the way, and the digest of a data set against its contents. Of a
    training it says the best scores and their steps, and what has collapsed.

    \b
    jladkit inspect jlad.h5 --png pairs.png --split test
    jladkit inspect predictions.h5 --data jlad.h5 --png matches.png
    jladkit inspect runs/jlad --png curves.png
    """
    if file.is_dir():
        if data is not None or split is not None:
            raise UsageError(
                f"{file} is the folder of a training: --data and --split are not for it."
            )
        summary, records = about_run(file)
        show(summary if as_json else readable(summary), as_json)
        if png is not None:
            draw_run(records, file, png)
        return
    kind = format_of(file)
    if kind == result.FORMAT:
        if png is not None:
            raise UsageError(f"{file} is a result: it has no pictures. --png needs an HDF5 file.")
        show(asdict(read_result(file)), as_json)
        return
    known = open_dataset(file) if kind == dataset.FORMAT else None
    said = open_predictions(file) if kind == predictions.FORMAT else None
    if said is not None and data is not None:
        known = open_dataset(data)
        check_belongs(file, said, known, said.split)
    if png is not None and known is None:
        raise UsageError(f"{file} holds no pictures: give the data set it was made from as --data.")
    if said is not None:
        show(about_predictions(said), as_json)
    elif known is not None:
        show(about_dataset(known), as_json)
    if png is not None and known is not None:
        draw(known, said, png, split, count, seed)


def format_of(path: Path) -> str:
    """The format that a file claims to have.

    Raises:
        JladkitError: there is no such file, or it is none of the three.
    """
    if not path.is_file():
        raise JladkitError(f"There is no file {path}.")
    if not h5py.is_hdf5(path):
        with path.open("rb") as file:
            start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
        if start.startswith(b"{"):
            return result.FORMAT
        raise JladkitError(
            f"{path} is neither HDF5 nor JSON, or a truncated file. Give a dataset.h5, a "
            "predictions.h5 or a result.json, or make it again."
        )
    with files.readable(path, "jladkit build-dataset ... or predict ...") as file:
        found = str(file.attrs.get("format"))
    if found not in (dataset.FORMAT, predictions.FORMAT):
        raise JladkitError(f"{path} is HDF5, but its format is {found!r}, which is none of ours.")
    return found


def about_dataset(data: Dataset) -> dict[str, Any]:
    """The summary of a data set.

    Raises:
        JladkitError: the contents have another digest than the file says: it was edited.
    """
    found = content_digest(data.path)
    if found != data.digest:
        raise JladkitError(
            f"{data.path} was changed after it was built: its contents have the digest "
            f"{found[:12]}, it says {data.digest[:12]}. Make it again: {dataset.REMEDY}"
        )
    return describe(data)


def about_predictions(said: Predictions) -> dict[str, Any]:
    """The summary of a predictions file."""
    rows = {"pairs": said.pair_row, "objects": said.object_row}
    points = {
        "pair": said.pair_points,
        "pair_back": said.pair_points_back,
        "object": said.object_points,
    }
    return {
        "format": predictions.FORMAT,
        "schema": predictions.SCHEMA,
        "method": said.method,
        "split": said.split,
        "dataset": said.dataset,
        "dataset_digest": said.dataset_digest,
        **{what: 0 if row is None else len(row) for what, row in rows.items()},
        "points": {
            what: {
                "of_each": found.shape[1],
                "finite": int(np.isfinite(found).all(axis=-1).sum()),
            }
            for what, found in points.items()
            if found is not None
        },
        "log_sigma": None
        if said.pair_log_sigma is None
        else spread(said.pair_log_sigma[np.isfinite(said.pair_log_sigma)]),
        "dense_field": None if said.pair_flow is None else list(said.pair_flow.shape),
        "seconds_per_item": dict(said.seconds_per_item),
        "peak_memory": said.peak_memory,
        "created": said.created,
        "environment": dict(said.environment),
        "config": dict(said.config),
    }


def show(summary: Mapping[str, Any], as_json: bool) -> None:
    """Print a summary, as JSON or as indented lines."""
    click.echo(to_json(summary, indent=2) if as_json else "\n".join(lines_of(summary)))


def lines_of(summary: Mapping[str, Any], indent: str = "") -> list[str]:
    """A line for each entry; a small record or a list stays on its line."""
    lines = []
    for key, value in summary.items():
        if isinstance(value, Mapping) and any(isinstance(v, Mapping) for v in value.values()):
            lines += [f"{indent}{key}:", *lines_of(value, indent + "  ")]
        elif isinstance(value, Mapping):
            inside = ", ".join(f"{k} {short(v)}" for k, v in value.items())
            lines.append(f"{indent}{key}: {inside or 'none'}")
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            for number, entry in enumerate(value):
                lines += [f"{indent}{key} {number}:", *lines_of(entry, indent + "  ")]
        elif isinstance(value, list):
            lines.append(f"{indent}{key}: {' '.join(map(short, value))}")
        else:
            lines.append(f"{indent}{key}: {short(value)}")
    return lines


def short(value: Any) -> str:
    """A value in a few characters."""
    return f"{value:.6g}" if isinstance(value, float) else "none" if value is None else str(value)


def draw(
    data: Dataset, said: Predictions | None, png: Path, split: str | None, count: int, seed: int
) -> None:
    """Write a contact sheet of pairs; of objects where there are none, or only landmarks."""
    sheets = import_module("jladkit.reports.contact_sheet")  # by name: the core imports no report
    only_objects = said.pair_points is None if said is not None else not len(data.pair_split)
    what = "object" if only_objects else "pair"
    told, found = points_of(data, said, what)
    rows = told
    if split is not None:
        rows = rows[np.isin(rows, data.pairs(split) if what == "pair" else data.objects(split))]
    if not len(rows):
        raise JladkitError(f"{png} cannot be drawn: there is no {what} in {split or 'the file'}.")
    chosen = sheets.choose(data.arrays[f"{what}/category"][rows], rows, count, seed)
    if found is not None:
        place = {int(row): i for i, row in enumerate(told)}
        # Pillow walks along a line pixel by pixel, however far beyond the picture it leads.
        found = np.clip(found[[place[int(row)] for row in chosen]], -FAR, FAR)
    make = sheets.sheet_of_pairs if what == "pair" else sheets.sheet_of_objects
    sheet = make(data, chosen, found)
    with written_aside(png) as aside:
        sheet.save(aside, "PNG")
    click.echo(f"Wrote {png} ({len(chosen)} {what}s).", err=True)


def points_of(
    data: Dataset, said: Predictions | None, what: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """The rows of pair/* or object/* that can be drawn, and the points predicted for each."""
    if said is None:
        return np.arange(len(data.arrays[f"{what}/split"])), None
    pairs, objects = (said.pair_row, said.pair_points), (said.object_row, said.object_points)
    rows, points = pairs if what == "pair" else objects
    return (np.zeros(0, dtype=int) if rows is None else rows), points
