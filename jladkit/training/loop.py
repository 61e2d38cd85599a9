"""One training loop for every method: phases, log, checkpoints, resume, best weights.

A run is a list of phases; step t of the whole run draws everything random from (seed, t), so a
run that was stopped goes on exactly as if it had not been.
"""

import contextlib
import functools
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from jladkit.errors import JladkitError, Stopped, UsageError
from jladkit.formats.files import make_folder, to_json
from jladkit.formats.locking import alone
from jladkit.formats.log import LOG, Record, read_log
from jladkit.training import ranks
from jladkit.training.checkpoint import read_checkpoint, write_checkpoint
from jladkit.training.saving import (
    MODEL,
    SNAPSHOT,
    STATE,
    Labelled,
    Progress,
    begun,
    check_there,
    keep_aside,
    load_moments,
    save_state,
)
from jladkit.training.stopping import Asked, asked_to_stop

# By name; None is one that the data cannot tell, since nothing in it is annotated.
Scores = Mapping[str, float | None]


@dataclass(frozen=True)
class Kept:
    """Which validation score decides which weights are the best.

    Attributes:
        score: its name in what `Trainee.validate` returns.
        higher: whether more is better.
        prefixes: how the names of the tensors begin that are kept when it is at its best.
    """

    score: str
    higher: bool
    prefixes: tuple[str, ...]


@dataclass(frozen=True)
class Phase:
    """`steps` updates of one set of parameters by one optimiser.

    Attributes:
        learning_rate: of the phase's first step, and of all where `cosine` is 0.
        optimiser: "adam", or "sgd" with momentum 0.9.
        weight_decay: L2 penalty, added to the gradients.
        cosine: half a period, in steps: the rate falls along a cosine to `lowest` in so many
            steps and, in a longer phase, rises again, as PyTorch's CosineAnnealingLR does.
        lowest: the least rate of that cosine.
        factors: shares of that rate, for parameters whose names begin so ("features.": 0.1).
        kept: what says which weights are the best while it lasts; none for what the trainee says.
    """

    name: str
    steps: int
    learning_rate: float
    optimiser: str = "adam"
    weight_decay: float = 0.0
    cosine: int = 0
    lowest: float = 0.0
    factors: Mapping[str, float] = field(default_factory=dict)
    kept: Sequence[Kept] = ()

    def rate(self, done: int) -> float:
        """The learning rate after `done` steps of the phase."""
        if not self.cosine:
            return self.learning_rate
        swing = (1 + math.cos(math.pi * done / self.cosine)) / 2
        return self.lowest + (self.learning_rate - self.lowest) * swing


class Trainee(Labelled, Protocol):
    """What the loop needs of a method.

    `label` goes into the checkpoint. `loss` returns the terms of a step's loss, the sum to
    minimise under "total". `validate` returns scores, and gets the latest ones, for what the phase
    cannot have changed; `collapses` says in sentences what the log's records show to have gone
    wrong, and is asked at every validation; `kept` says which of them chooses which weights. Tensors that no entry of
    `kept` names stay as they were first; where a score that chooses is None, the latest weights stay. One that torchrun may train in several processes has a
    `batch` too, the rows of a step, of which its `loss` computes `ranks.share(batch)`. One that
    begins with the weights of another run has a true `goes_on`: they are validated before the first
    step, and are the best until others beat them.
    """

    kept: Sequence[Kept]

    def phases(self) -> list[Phase]: ...
    def parameters(self, phase: Phase) -> Iterable[tuple[str, nn.Parameter]]: ...
    def loss(self, phase: Phase, generator: np.random.Generator) -> dict[str, Tensor]: ...
    def validate(self, phase: Phase, latest: Mapping[str, float]) -> Scores: ...
    def collapses(self, records: Sequence[Record]) -> list[str]: ...


@dataclass
class Run:
    """A training under way: what `train` was given, and what is open meanwhile."""

    trainee: Trainee
    out: Path
    seed: int
    validate_every: int
    checkpoint_seconds: float
    stop_after: int | None
    total: int  # steps of all phases
    at: Progress
    log: TextIO
    bar: "tqdm[Any]"
    asked: Asked
    unknown: set[str] = field(default_factory=set)  # scores that the data cannot tell
    saved: float = field(default_factory=time.monotonic)  # when the state was, last


def train(
    trainee: Trainee,
    out: Path,
    *,
    seed: int,
    validate_every: int,
    resume: bool = False,
    progress: bool = True,
    checkpoint_seconds: float = 60,
    snapshots: bool = False,
    stop_after: int | None = None,
) -> Path:
    """Train to the end and return the path of the best weights.

    Args:
        out: folder for model.safetensors, state.safetensors and log.jsonl.
        seed: of every step's randomness.
        validate_every: steps; a phase's end is always validated.
        resume: go on from state.safetensors.
        checkpoint_seconds: how long between checkpoints; one is written at every validation too.
        snapshots: keep the best weights as they are at the end of each phase.
        stop_after: leave after this many steps of the whole run (for tests of resuming).

    Raises:
        UsageError: `out` holds a run already and `resume` is False, another process trains there,
            or no phase has a step; or there are several processes, and the method is trained in one.
        JladkitError: nothing to resume, the run had other settings, the loss is not finite, the
            disk is full, or another process of the training is gone.
        Stopped: by SIGINT or SIGTERM, after the state was saved.
    """
    check_start(trainee, out, resume)
    phases, first = trainee.phases(), ranks.first()
    total = sum(phase.steps for phase in phases)
    if not total:
        raise UsageError("The recipe has no steps in any phase; nothing would be trained.")
    if first:
        make_folder(out)
    with (
        alone(out / STATE, "training") if first else contextlib.nullcontext(),
        asked_to_stop() as asked,
        begun(trainee, out, resume) as (at, moments, log),
        tqdm(total=total, initial=at.step, unit="step", disable=not (progress and first)) as bar,
    ):
        ranks.as_first(trainee.net)
        run = Run(trainee, out, seed, validate_every, checkpoint_seconds, stop_after, total, at, log,
                  bar, asked)  # fmt: skip
        start = 0
        for number, phase in enumerate(phases):
            aside = out / SNAPSHOT.format(number, phase.name) if snapshots else None
            if at.step < start + phase.steps:
                if not train_phase(run, phase, start, moments if at.step > start else {}, aside):
                    break
            elif (
                not phase.steps and at.step == start and aside and first and (out / MODEL).exists()
            ):
                keep_aside(out / MODEL, aside)  # it changes nothing, and is looked for all the same
            start += phase.steps
        ranks.wait()
    return out / MODEL


def check_start(trainee: Trainee, out: Path, resume: bool) -> None:
    """Raise an error, as `train` says, where `out` is not as it must be, or the processes are not."""
    ranks.check(trainee.label["method"], getattr(trainee, "batch", None))
    state = out / STATE
    if ranks.first() and not resume and (state.exists() or (out / MODEL).exists()):
        raise UsageError(f"{out} holds a run already. Give --resume, or another --out.")
    if resume and not state.is_file():
        raise JladkitError(f"There is no checkpoint {state} to resume. Leave --resume out.")


def train_phase(
    run: Run, phase: Phase, start: int, moments: Mapping[str, Tensor], aside: Path | None
) -> bool:
    """Do the steps of a phase that are left; False where the training is to be left before its end.

    Args:
        start: the phase's first step in the whole run, from 0.
        moments: of the optimiser, where the phase had begun.
        aside: where the best weights of its end are kept too.
    """
    trainee, at, end = run.trainee, run.at, start + phase.steps
    named = dict(trainee.parameters(phase))
    freeze_all_but(trainee.net, named)
    optimiser = optimiser_of(phase, named)
    load_moments(optimiser, named, moments)
    if at.step == 0 and ranks.first():
        if getattr(trainee, "goes_on", False):
            validate(run, phase)
            record = {"step": 0, "phase": phase.name, "validation": at.scores}
            run.log.write(to_json(record) + "\n")
            run.log.flush()
        # so that there is something to resume, whenever it ends
        save_state(trainee, run.out / STATE, at, optimiser, named)
    run.bar.set_description(phase.name)
    while at.step < end:
        for group in optimiser.param_groups:
            group["lr"] = phase.rate(at.step - start) * group["factor"]
        terms = one_step(trainee, phase, optimiser, named, run.seed, at.step)
        at.step += 1
        run.bar.update()
        signal = ranks.highest(run.asked.signal or 0)  # of any process
        leaving = bool(signal) or at.step == run.stop_after
        if ranks.first():
            save = functools.partial(save_state, trainee, run.out / STATE, at, optimiser, named)
            after_step(run, phase, terms, at.step == end, leaving, save, aside)
        if signal:
            ranks.wait()  # until all is saved
            raise Stopped(
                signal,
                f"Stopped after step {at.step} of {run.total}, which is saved in {run.out}: the same "
                "command with --resume goes on from there.",
            )
        if leaving:
            return False
    return True


def after_step(
    run: Run,
    phase: Phase,
    terms: Mapping[str, float],
    last: bool,
    leaving: bool,
    save: Callable[[], None],
    aside: Path | None,
) -> None:
    """Validate, log and save, where that is due. Only one process does.

    Args:
        last: whether it was the phase's last step.
        save: writes the state.
        aside: see `train_phase`.
    """
    at, out = run.at, run.out
    record: dict[str, Any] = {"step": at.step, "phase": phase.name, **terms}
    due = at.step % run.validate_every == 0 or last
    saving = due or leaving or time.monotonic() - run.saved > run.checkpoint_seconds
    if saving:
        check_there(out)
    if due:
        validate(run, phase)
        record["validation"] = at.scores
        run.bar.set_postfix({k: f"{v:.4g}" for k, v in at.scores.items()})
    if aside is not None and last:
        keep_aside(out / MODEL, aside)
    run.log.write(to_json(record) + "\n")
    if saving:
        run.log.flush()
        if due:
            warn(run.trainee, out, run.bar)
        save()
        run.saved = time.monotonic()


def optimiser_of(phase: Phase, named: Mapping[str, nn.Parameter]) -> torch.optim.Optimizer:
    """The phase's optimiser, without any history; a group of parameters for each factor."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in named.items():
        factor = next((f for start, f in phase.factors.items() if name.startswith(start)), 1.0)
        groups.setdefault(factor, []).append(parameter)
    told = [
        {"params": own, "lr": phase.learning_rate * factor, "factor": factor}
        for factor, own in groups.items()
    ]
    if phase.optimiser == "sgd":
        return torch.optim.SGD(told, momentum=0.9, weight_decay=phase.weight_decay)
    return torch.optim.Adam(told, weight_decay=phase.weight_decay)


def one_step(
    trainee: Trainee,
    phase: Phase,
    optimiser: torch.optim.Optimizer,
    named: Mapping[str, nn.Parameter],
    seed: int,
    step: int,
) -> dict[str, float]:
    """Draw, differentiate, update; the loss's terms as numbers."""
    trainee.net.train()
    terms = trainee.loss(phase, np.random.default_rng([seed, step]))
    optimiser.zero_grad(set_to_none=True)
    batch = getattr(trainee, "batch", 1)
    (terms["total"] * ranks.weight(batch)).backward()
    ranks.sum_gradients(named.values())
    norm = nn.utils.clip_grad_norm_(list(named.values()), 10.0)
    values = ranks.mean_terms(terms, batch)
    if not (math.isfinite(values["total"]) and math.isfinite(float(norm))):
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        raise JladkitError(
            f"The loss is not finite at step {step + 1}, phase {phase.name} "
            f"({', '.join(bad) or 'its gradient'}). Lower the learning rate; the last checkpoint "
            "is kept and --resume goes on from it."
        )
    optimiser.step()
    return values


def validate(run: Run, phase: Phase) -> None:
    """Score the weights; keep them when they are the best so far, or when nothing tells which are."""
    trainee, at, out = run.trainee, run.at, run.out
    trainee.net.eval()
    with torch.inference_mode():
        found = trainee.validate(phase, at.scores)
    at.scores = {name: score for name, score in found.items() if score is not None}
    unknown = set(found) - set(at.scores)
    say_unknown(run, unknown)
    asked = phase.kept or trainee.kept
    better = [kept for kept in asked if kept.score in unknown or improves(kept, at)]
    if better:
        for kept in better:
            if "" in kept.prefixes:  # nothing stays of what was the best by another score
                at.best.clear()
            if kept.score in at.scores:
                at.best[kept.score] = (at.scores[kept.score], at.step)
        prefixes = tuple(prefix for kept in better for prefix in kept.prefixes)
        tensors = trainee.net.state_dict()
        if (out / MODEL).exists():
            tensors = {
                name: tensors[name] if name.startswith(prefixes) else value
                for name, value in read_checkpoint(out / MODEL)[0].items()
            }
        write_checkpoint(out / MODEL, tensors, {**trainee.label, "best": at.best})


def say_unknown(run: Run, unknown: set[str]) -> None:
    """Say once of each score that the data cannot tell it."""
    new = sorted(unknown - run.unknown)
    run.unknown |= unknown
    if new:
        run.bar.write(
            f"Warning: no keypoints in val and train tell {', '.join(new)}, so the latest weights are "
            "kept and not the best.",
            file=sys.stderr,
        )


def warn(trainee: Trainee, out: Path, bar: "tqdm[Any]") -> None:
    """Print what has collapsed, above the progress bar."""
    for sentence in trainee.collapses(read_log(out / LOG)):
        bar.write(f"Warning: {sentence}", file=sys.stderr)


def improves(kept: Kept, at: Progress) -> bool:
    """Whether the latest scores beat the best so far; a score that is not among them does not."""
    if kept.score not in at.scores:
        return False
    if kept.score not in at.best:
        return True
    new, old = at.scores[kept.score], at.best[kept.score][0]
    return new > old if kept.higher else new < old


def freeze_all_but(net: nn.Module, named: Mapping[str, nn.Parameter]) -> None:
    """Gradients for `named` parameters only."""
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name in named)
