"""Mutants read in processes of their own, which may hang, die or eat memory without harm."""

import multiprocessing
import os
import resource
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from fuzz.mutants import of_bytes, pick
from fuzz.readers import READERS, Case, outcome

ROOM = 1 << 30  # bytes beyond what a process has after it read whole inputs
PATIENCE = 20.0  # seconds for one mutant
START = 180.0  # seconds to import and to read whole inputs, on a busy machine


@dataclass
class Tally:
    """What mutants came to: how many of each outcome, and the findings, number and text."""

    counts: dict[str, int] = field(default_factory=dict)
    findings: list[tuple[int, str]] = field(default_factory=list)
    slowest: float = 0.0

    def add(self, number: int, what: str, seconds: float) -> bool:
        """Count one mutant, and say whether it is a finding: neither "read" nor "refused"."""
        kind = what if what in ("read", "refused") else "finding"
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.slowest = max(self.slowest, seconds)
        if kind == "finding":
            self.findings.append((number, what))
        return kind == "finding"


def mutant(cases: Sequence[Case], seed: int, number: int) -> tuple[Case, bytes]:
    """The mutant with this number: always the same."""
    rng = np.random.default_rng([seed, number])
    chosen: Case = pick(rng, cases)
    try:
        return chosen, chosen.mutate(chosen.raw, rng)
    except Exception:  # noqa: BLE001, what cannot be written in the format is changed as bytes
        return chosen, of_bytes(chosen.raw, rng)


def prepare(reader: str, folder: Path) -> Sequence[Case]:
    """The cases of a reader, each read once as it is: that must not fail in our own words."""
    cases = READERS[reader](folder)
    for case in cases:
        outcome(case, case.raw)
    return cases


def serve(pipe: Connection, reader: str, seed: int, folder: str) -> None:
    """The other process: reads the mutants whose numbers come in, and says what they came to."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries print at broken input
    cases = prepare(reader, Path(folder))
    limit_memory(ROOM)
    pipe.send("ready")
    while (number := pipe.recv()) is not None:
        try:
            pipe.send(outcome(*mutant(cases, seed, number)))
        except BaseException as error:  # noqa: BLE001, whatever it is, it is a finding
            pipe.send("".join(traceback.format_exception(error)))


def limit_memory(room: int) -> None:
    """Let this process have `room` more bytes of addresses than it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + room
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def fuzz(
    reader: str,
    numbers: Sequence[int],
    seed: int,
    patience: float = PATIENCE,
    tell: Callable[[int, str], None] = lambda number, what: None,
) -> Tally:
    """Read the mutants with these numbers; a process that hangs or dies is followed by another.
    Findings are told as they come."""
    tally, left = Tally(), list(numbers)
    while left:
        for number, what, seconds in lives(reader, left, seed, patience):
            if tally.add(number, what, seconds):
                tell(number, what)
            left.remove(number)
    return tally


def is_ready(pipe: Connection) -> bool:
    """Whether the other process says so; it is gone where it does not read its whole inputs."""
    try:
        return pipe.recv() == "ready"
    except EOFError:
        return False


def lives(
    reader: str, numbers: Sequence[int], seed: int, patience: float
) -> Iterator[tuple[int, str, float]]:
    """Outcomes from one process, until it hangs, dies or all numbers are done."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    folder = tempfile.mkdtemp(prefix="fuzz-")  # a process that dies leaves it behind
    process: Any = context.Process(target=serve, args=(other, reader, seed, folder), daemon=True)
    process.start()
    other.close()
    try:
        if not pipe.poll(START) or not is_ready(pipe):
            raise RuntimeError(f"The process for {reader} did not start.")
        for number in numbers:
            begun = time.monotonic()
            pipe.send(number)
            try:
                what = pipe.recv() if pipe.poll(patience) else f"hangs for {patience:g} s"
            except EOFError:
                process.join(10)
                what = f"the process died ({process.exitcode})"
            yield number, what, time.monotonic() - begun
            if what.startswith(("hangs", "the process died")):
                return
        pipe.send(None)
        process.join(10)
    finally:
        process.kill()
        process.join()
        shutil.rmtree(folder, ignore_errors=True)
