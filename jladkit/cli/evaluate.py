"""jladkit evaluate: predictions (stored, or made on the spot) -> result.json and a table."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jladkit.cli import offers
from jladkit.cli.several import several
from jladkit.cli.text import PERCENT, as_text, protocol_lines, variant_lines
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import SPLITS, Dataset, open_dataset
from jladkit.formats.files import check_folder, to_json, written_aside
from jladkit.formats.outside import FRAMES, read_predictions
from jladkit.formats.predictions import Predictions, check_belongs
from jladkit.formats.result import Result, read_result, write_result
from jladkit.registry import load, names

if TYPE_CHECKING:
    import pandas as pd


ALL = "all"
# What our metrics read of predictions; others get all of it.
NEEDS = {
    "pck": ("pair",),
    "iod": ("object",),
    "flow": ("pair", "flow"),
    "transfer": ("pair", "flow_back"),
    "sparsification": ("pair",),
}
PARTS = ("pair", "back", "object")


@click.command(cls=several("--alpha"))
@click.option(
    "--metric",
    type=click.Choice(list(names("metric"))),
    default="pck",
    show_default=True,
    help="What to score.",
)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="A dataset.h5.")
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True)
@click.option(
    "--method",
    shell_complete=offers.methods,
    help="A method that needs no training: its name, or module:Class.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="What `jladkit train` left; with --method, weights that the method's authors released.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Override a setting of --method, say model.size=448. May be repeated.",
)
@click.option(
    "--predictions",
    "stored",
    type=click.Path(path_type=Path),
    help="A predictions.h5; or what others predicted, as a CSV with the columns pair,keypoint,x,y "
    "(or object,landmark,x,y) or as plain HDF5.",
)
@click.option(
    "--frame",
    type=click.Choice(FRAMES),
    default="crop",
    show_default=True,
    help="What the x and y of others are pixels of: the object's picture in the data set, or "
    "the original file.",
)
@click.option(
    "--protocol",
    shell_complete=offers.protocols,
    help="The preset to score by; of PCK and IOD also `all`. PCK: jlad (default), scnet, rocco-pf, hpf, "
    "spair, willow-kp, dhpf, cats, sfnet, dense-matching, dift-point, sd-dino ... "
    "IOD: imm (default), imm-bias, strucrep, paper, saic, mallis, stable-keypoints, halves, "
    "recommended, halves-recommended. Flow: tss. Transfer: rocco-masks (default), hpf-polygons. "
    "Sparsification: those of PCK that go from source to target.",
)
@click.option(
    "--normaliser",
    metavar="NAME",
    help="What IOD errors are a share of: iod-pair-or-box (default), box-longer-side, "
    "box-diagonal, sqrt-box-area, keypoint-extent, sqrt-keypoint-area, image; or the distance of "
    "two keypoints, NAME,NAME.",
)
@click.option(
    "--fit-rows",
    type=int,
    metavar="N",
    help="Fit the IOD regression on N objects of each category, drawn at random.  [default: all]",
)
@click.option(
    "--repeats",
    type=int,
    metavar="R",
    help="How often to draw them, or the halves; errors are the mean over draws.  [default: 1]",
)
@click.option(
    "--alpha",
    "alphas",
    type=float,
    multiple=True,
    metavar="A ...",
    help="Tolerances in (0, 1].  [default: PCK 0.05 0.1 0.15, flow 0.05, sparsification 0.1]",
)
@click.option(
    "--strata",
    is_flag=True,
    help="Print PCK also by what is known of the pairs: "
    "viewpoint, scale, truncation, occlusion, seen in training, keypoint.",
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
    settings: tuple[str, ...],
    stored: Path | None,
    frame: str,
    protocol: str | None,
    normaliser: str | None,
    fit_rows: int | None,
    repeats: int | None,
    alphas: tuple[float, ...],
    strata: bool,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Score a method, a checkpoint or a predictions file.

    Give exactly one of --method, --checkpoint and --predictions, or --method and --checkpoint for
    weights that others trained. PCK is the share of transferred
    keypoints that land near enough; IOD the error of a linear map from discovered landmarks to
    annotated ones; flow and transfer score dense fields; sparsification whether a method knows
    which of its points are wrong. Values come with 95 % bootstrap intervals. `jladkit export-pairs` writes what
    others need to make predictions, and says how they hand them in.

    \b
    jladkit evaluate --data birds.h5 --method identity
    jladkit evaluate --data birds.h5 --predictions mine.csv --protocol scnet --alpha 0.05 0.1
    jladkit evaluate --data birds.h5 --predictions birds-joint.h5 --protocol all
    jladkit evaluate --data faces.h5 --metric iod --checkpoint run/ --out results/
    jladkit evaluate --data faces.h5 --metric iod --checkpoint run/ --fit-rows 100 --repeats 10
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
    if len(given) != 1 and given != ["--method", "--checkpoint"]:
        found = " and ".join(given) or "none of them"
        raise UsageError(
            f"Give exactly one of --method, --checkpoint and --predictions. Got {found}."
        )
    if settings and stored is not None:
        raise UsageError("--set is about a method that is run, not about --predictions.")
    if frame != "crop" and stored is None:
        raise UsageError(f"--frame {frame} is about a file given as --predictions.")
    if out is not None:
        check_folder(out)
    score = load("metric", metric)
    changes = {"normaliser": normaliser, "fit_rows": fit_rows, "repeats": repeats}
    wanted, needed = protocols_of(metric, score, protocol)
    wanted = changed(metric, score, wanted, changes)
    dataset = open_dataset(data)
    predictions = obtain(
        needed, dataset, split, method, checkpoint, settings, stored, frame, device
    )
    results: list[Result] = []
    refused: dict[str, str] = {}
    for name in wanted:
        try:
            result, items = score(dataset, predictions, name, alphas or None)
        except UsageError:
            raise
        except JladkitError as error:
            if protocol != ALL:
                raise
            refused[str(getattr(name, "name", name))] = str(error)
            continue
        if out is not None:
            path = save(out, result, items, overwrite)
            click.echo(f"Wrote {path} and {path.with_suffix('.parquet').name} beside it.", err=True)
            result = read_result(path)
        results.append(result)
    if not results:
        raise JladkitError(next(iter(refused.values())))
    if protocol == ALL:
        record = {"results": [asdict(result) for result in results], "refused": refused}
        click.echo(to_json(record, indent=2) if as_json else all_as_text(results, refused))
    else:
        click.echo(results[0].to_json() if as_json else as_text(results[0], strata), nl=not as_json)


def protocols_of(
    metric: str, score: Callable[..., Any], protocol: str | None
) -> tuple[Sequence[str | None], Sequence[str]]:
    """The protocols to score by, and the parts of predictions that they read.

    A metric whose module has PROTOCOLS ({name: preset}) can be scored by all of them; a preset
    with the direction "target->source" reads keypoints that were carried that way.

    Raises:
        UsageError: the metric has no such protocol, or cannot be scored by all.
    """
    presets: Mapping[str, Any] = getattr(import_module(score.__module__), "PROTOCOLS", {})
    needed = NEEDS.get(metric)
    if not presets:
        if protocol == ALL:
            raise UsageError(
                f"--protocol {ALL} is for PCK and IOD; a result of {metric} holds all that its metric tells."
            )
        return [protocol], PARTS if needed is None else needed
    if protocol == ALL:
        chosen = dict(presets)
    else:
        preset = load("metric", "jladkit.evaluators.protocols:find")(presets, protocol, metric)
        chosen = {preset.name: preset}
    back = any(getattr(p, "direction", "") == "target->source" for p in chosen.values())
    return [*chosen], (*(PARTS if needed is None else needed), *(["back"] if back else []))


def changed(
    metric: str,
    score: Callable[..., Any],
    wanted: Sequence[str | None],
    changes: Mapping[str, str | int | None],
) -> Sequence[Any]:
    """The protocols `wanted`, or with `changes` what is derived of them.

    Raises:
        UsageError: changes to another metric than IOD, or that its protocols cannot have.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    if not given:
        return wanted
    if metric != "iod":
        options = " and ".join("--" + name.replace("_", "-") for name in given)
        raise UsageError(f"{options} is about IOD. Give --metric iod, or leave it out.")
    presets: Mapping[str, Any] = import_module(score.__module__).PROTOCOLS
    derived = load("metric", "jladkit.evaluators.iod_protocols:derived")
    return [derived(presets[str(name)], **given) for name in wanted]


def obtain(
    needed: Sequence[str],
    data: Dataset,
    split: str,
    method: str | None,
    checkpoint: Path | None,
    settings: Sequence[str],
    stored: Path | None,
    frame: str,
    device: str,
) -> Predictions:
    """The predictions to score: read from `stored`, or made by the method or checkpoint, which is
    asked for the parts that are `needed`."""
    if stored is None:
        from jladkit.training.prediction import predict  # imports torch

        return predict(
            data,
            split,
            method=method,
            checkpoint=checkpoint,
            device=device,
            wanted=needed,
            settings=settings,
        )
    predictions = read_predictions(stored, data, split, frame)
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


def all_as_text(results: list[Result], refused: Mapping[str, str]) -> str:
    """Results of one prediction file under many protocols."""
    one = results[0]
    head = f"{one.title} of {one.method} on {one.dataset}, {one.split} split"
    rows = variant_lines if one.metric == "iod" else protocol_lines
    why = [f"{name}: {reason}" for name, reason in refused.items()]
    return "\n".join([head, "", *rows(results), *([""] if why else []), *why, "", PERCENT])
