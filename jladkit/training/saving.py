"""What a run leaves on disk and goes on from: its weights, its state, its log up to the same step."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

import torch
from torch import Tensor, nn

from jladkit.errors import JladkitError
from jladkit.formats.files import to_json, write_text, written_aside
from jladkit.formats.log import LOG
from jladkit.training import ranks
from jladkit.training.checkpoint import read_checkpoint, write_checkpoint

MODEL, STATE = "model.safetensors", "state.safetensors"
SNAPSHOT = "after-{:02d}-{}.safetensors"  # number of the phase from 0, its name


def model_file(run: Path) -> Path:
    """The best weights of a run, given by its folder or by the file itself."""
    return run / MODEL if run.is_dir() else run


class Labelled(Protocol):
    """A network, and what its checkpoints say of it."""

    net: nn.Module
    label: Mapping[str, Any]


@dataclass
class Progress:
    """Where a run stands: steps done, the latest scores, and by the name of each deciding score
    the best one with the step it was had at."""

    step: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    best: dict[str, tuple[float, int]] = field(default_factory=dict)


@contextlib.contextmanager
def begun(
    trainee: Labelled, out: Path, resume: bool
) -> Iterator[tuple[Progress, dict[str, Tensor], TextIO]]:
    """Where a run stands, the optimiser's moments, and its log to go on with.

    Raises:
        JladkitError: as `restore`; or the system refuses something in the block.
    """
    at, moments = restore(trainee, out / STATE) if resume else (Progress(), {})
    if not ranks.first():
        with open(os.devnull, "w", encoding="utf-8") as nothing:
            yield at, moments, nothing
        return
    if resume:
        truncate_log(out / LOG, at.step)
    try:
        with (out / LOG).open("a" if resume else "w", encoding="utf-8") as log:
            yield at, moments, log
    except OSError as error:  # the disk is full, most likely
        raise JladkitError(
            f"The training in {out} was broken off: {error.strerror or error}. The last checkpoint "
            "is kept and --resume goes on from it."
        ) from error


def check_there(out: Path) -> None:
    """Raise JladkitError where the folder of a run was taken away."""
    if not (out / LOG).is_file():
        raise JladkitError(f"{out / LOG} is gone: somebody moved or removed {out}. Train anew.")


def keep_aside(path: Path, copy: Path) -> None:
    """Another name for what `path` holds now; writing it anew leaves the copy alone."""
    with written_aside(copy) as aside:
        os.link(path, aside)


def save_state(
    trainee: Labelled,
    path: Path,
    at: Progress,
    optimiser: torch.optim.Optimizer,
    named: Mapping[str, nn.Parameter],
) -> None:
    """Everything that going on needs: weights, the optimiser's moments, where we stand."""
    tensors = {f"net/{name}": value for name, value in trainee.net.state_dict().items()}
    for name, parameter in named.items():
        for key, value in optimiser.state[parameter].items():
            tensors[f"moment/{name}/{key}"] = value
    label = {**trainee.label, "progress": asdict(at)}
    write_checkpoint(path, tensors, label)


def restore(trainee: Labelled, path: Path) -> tuple[Progress, dict[str, Tensor]]:
    """Put weights back; return where the run stood and the optimiser's moments.

    Raises:
        JladkitError: there is nothing to resume, or the run had another config or data set.
    """
    tensors, label = read_checkpoint(path, trainee.label["method"])
    for key in ("config", "dataset_digest"):
        if label.get(key) != json.loads(to_json(trainee.label[key])):
            raise JladkitError(
                f"{path} was made with another {key.replace('_', ' ')}. Resume with the same "
                "--data, --recipe and --set, or start anew in another --out."
            )
    net = {k.removeprefix("net/"): v for k, v in tensors.items() if k.startswith("net/")}
    try:
        trainee.net.load_state_dict(net)
        at = label["progress"]
        best = {name: (float(score), int(step)) for name, (score, step) in at["best"].items()}
        if at["step"] and not any(key.startswith("moment/") for key in tensors):
            raise KeyError("the optimiser's moments are missing")
        return Progress(int(at["step"]), dict(at["scores"]), best), tensors
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise JladkitError(
            f"{path} is damaged, or of an early jladkit: {error}. Train anew in another --out."
        ) from error


def load_moments(
    optimiser: torch.optim.Optimizer,
    named: Mapping[str, nn.Parameter],
    tensors: Mapping[str, Tensor],
) -> None:
    """The optimiser's moments as save_state left them; none where the phase had not begun."""
    for name, parameter in named.items():
        prefix = f"moment/{name}/"
        found = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        if found:
            optimiser.state[parameter] = found


def truncate_log(path: Path, step: int) -> None:
    """Drop the lines of steps after `step`, and a last line that was cut off."""
    if not path.exists():
        return
    keep: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                keep.append(line + "\n")
        except (ValueError, KeyError):
            continue
    write_text(path, "".join(keep))
