"""What `jladkit inspect` says of the folder of a training."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np

from jladkit.errors import JladkitError
from jladkit.formats.log import LOG, Record, best, read_log, scores, stretches, terms
from jladkit.training.collapse import RECENT, collapses

MODEL = "model.safetensors"


def about_run(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The summary of a run, and the records of its log.

    Raises:
        JladkitError: the folder has no log, or something in it is broken.
    """
    if not (folder / LOG).is_file():
        raise JladkitError(
            f"{folder} is a folder without {LOG}. Give the folder of a training (`jladkit train "
            "--out`), or a file."
        )
    records = read_log(folder / LOG)
    label = label_of(folder)
    told = {
        name: {
            "best": found.value if (found := best(name, own)) else None,
            "at_step": found.step if found else None,
            "last": own[-1].value,
        }
        for name, own in scores(records).items()
    }
    config = label.get("config")
    loss = config.get("loss") if label.get("method") == "joint" and isinstance(config, dict) else {}
    identity = loss.get("identity", 0.0) if isinstance(loss, dict) else 0.0
    return {
        "format": "jladkit-run",
        "method": label.get("method"),
        "dataset": label.get("dataset"),
        "steps": records[-1]["step"],
        "phases": [stretch._asdict() for stretch in stretches(records)],
        "validation": told,
        f"mean_of_last_{RECENT}": last_means(records),
        "collapsed": collapses(records, identity if isinstance(identity, float) else 0.0),
    }, records


def label_of(folder: Path) -> dict[str, Any]:
    """What the best weights of a run say of it; nothing where there are none yet."""
    if not (folder / MODEL).is_file():
        return {}
    from jladkit.training.checkpoint import read_label  # imports torch

    return read_label(folder / MODEL)


def last_means(records: list[dict[str, Any]]) -> dict[str, float]:
    """Each term's mean over the last RECENT steps that have it."""
    values = {name: own[~np.isnan(own)] for name, own in terms(records).items()}
    return {name: float(own[-RECENT:].mean()) for name, own in values.items()}


def readable(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A summary with its phases and collapses as people read them."""
    phases = ", ".join(f"{p['phase']} {p['first']}-{p['last']}" for p in summary["phases"])
    gone = {f"collapsed {n}": said for n, said in enumerate(summary["collapsed"], start=1)}
    rest = {key: value for key, value in summary.items() if key != "collapsed"}
    return {**rest, "phases": phases, **(gone or {"collapsed": "nothing that is known of"})}


def draw_run(records: Sequence[Record], folder: Path, png: Path) -> None:
    """Write the curves of a run."""
    # By name: the core imports no report.
    figure = import_module("jladkit.reports.curves").training_curves(records, str(folder))
    import_module("jladkit.reports.figures").save(figure, png)
    click.echo(f"Wrote {png} ({len(records)} steps).", err=True)
