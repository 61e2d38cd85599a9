"""`kill -9` at random moments of a build and of a training, and what going on from there gives.

    PYTHONPATH=tests python -m faults [--count 30] [--seed 0]

The work is done by copies of this process, which need not import anything again: one whole run for
its result and its time, then for each kill one that is ended at its moment, and one that goes on.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawn import drawn_dataset

from jladkit.builders import coco
from jladkit.builders.options import Job
from jladkit.formats.dataset import content_digest, open_dataset
from jladkit.formats.log import read_log
from jladkit.training.checkpoint import read_checkpoint
from jladkit.training.joint import Joint
from jladkit.training.saving import LOG, MODEL, STATE
from tests.builders.layouts import coco_content, coco_root

TINY = [
    "model.size=64", "model.layers=['blocks.2']", "model.width=16", "model.landmarks=2",
    "model.radius=2", "model.weights='random'", "train.batch=2", "train.synthetic_steps=6", "train.rounds=2",
    "train.align_steps=4", "train.detect_steps=4", "train.validate_every=3",
    "train.precision='float32'", "train.warps=1",
]  # fmt: skip


@dataclass
class Tally:
    """How often a run was killed, where it stood then, and what was wrong."""

    kills: int = 0
    stood: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def add(self, stood: str, wrong: str | None) -> None:
        """Count one kill."""
        self.kills += 1
        self.stood[stood] = self.stood.get(stood, 0) + 1
        self.wrong += [wrong] if wrong else []


def copy_of_process(work: Callable[[], Any], after: float | None = None) -> float | None:
    """Do `work` in a copy of this process, killed `after` so many seconds; how long it took, None
    where it was killed."""
    begun, child = time.monotonic(), os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        code = 1
        torch.set_num_threads(1)  # threads are not copied: work for them would wait for ever
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status:
                raise RuntimeError(f"The work ended with {os.waitstatus_to_exitcode(status)}.")
            return time.monotonic() - begun
        if after is not None and time.monotonic() - begun >= after:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.0005)


def moments(count: int, length: float, seed: int) -> list[float]:
    """Random moments, one in each of `count` equal stretches of a run's time."""
    return (
        (np.arange(count) + np.random.default_rng(seed).random(count)) / count * length
    ).tolist()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def kill_builds(folder: Path, count: int, seed: int, virtual: bool = False) -> Tally:
    """Builds of drawn pictures."""
    root = coco_root(folder / "root", coco_content(70))
    options = coco.Options(pose_tolerance=0.3)

    def build(out: Path) -> None:
        coco.build(root, options, Job(out=out, virtual=virtual, overwrite=out.exists()))

    whole = folder / "whole/a.h5"
    length = copy_of_process(lambda: build(whole))
    assert length is not None
    expected, tally = contents(whole.parent), Tally()
    for number, moment in enumerate(moments(count, length, seed)):
        out = folder / f"{number}/a.h5"
        copy_of_process(lambda out=out: build(out), after=moment)
        stood = "nothing" if not out.parent.exists() else "parts"
        if out.exists():
            stood = "whole file"
            assert content_digest(out) == open_dataset(out).digest
        build(out)
        same = contents(out.parent) == expected
        tally.add(stood, None if same else f"build {number}, killed after {moment:.3f} s, differs")
        shutil.rmtree(out.parent)
    return tally


def trained(out: Path, resume: bool, data: Path) -> None:
    """Train the joint method for a few steps."""
    torch.set_num_threads(1)
    Joint.train(open_dataset(data), "cpu", TINY, out, device=torch.device("cpu"), resume=resume,
                progress=False)  # fmt: skip


def told_of(out: Path) -> dict[str, Any]:
    """Weights, labels and log of a run, as they can be compared."""
    found: dict[str, Any] = {"log": (out / LOG).read_bytes(), "files": sorted(os.listdir(out))}
    for name in (MODEL, STATE):
        tensors, label = read_checkpoint(out / name)
        label.pop("environment", None)  # has the checkout's commit, which may be a new one
        found[name] = {k: v.numpy().tobytes() for k, v in tensors.items()}, label
    return found


def kill_trainings(folder: Path, count: int, seed: int) -> Tally:
    """Trainings of the joint method: synthetic pairs, then two rounds of align and detect."""
    data = drawn_dataset(folder / "dots.h5")
    length = copy_of_process(lambda: trained(folder / "whole", False, data))
    assert length is not None
    expected, tally = told_of(folder / "whole"), Tally()
    for number, moment in enumerate(moments(count, length, seed)):
        out = folder / str(number)
        copy_of_process(lambda out=out: trained(out, False, data), after=moment)
        stood = "nothing"
        for name in (MODEL, STATE):
            if (out / name).exists():
                label = read_checkpoint(out / name)[1]  # raises where it is not whole
                stood = f"step {label['progress']['step']}" if name == STATE else stood
        resume = (out / STATE).exists()
        copy_of_process(lambda out=out, resume=resume: trained(out, resume, data))
        same = told_of(out) == expected and len(read_log(out / LOG)) == 22
        tally.add(
            stood, None if same else f"training {number}, killed after {moment:.3f} s, differs"
        )
        shutil.rmtree(out)
    return tally


def show(name: str, tally: Tally) -> bool:
    """Print a tally; whether all was well."""
    stood = ", ".join(f"{times} at {what}" for what, times in sorted(tally.stood.items()))
    print(
        f"{name}: {tally.kills} kills ({stood}), {len(tally.wrong)} wrong", *tally.wrong, sep="\n  "
    )
    sys.stdout.flush()
    return not tally.wrong
