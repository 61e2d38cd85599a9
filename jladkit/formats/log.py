"""log.jsonl: what a training said of itself, one JSON record a line, one line a step.

    step        from 1, rising
    phase       the name of the phase that the step belongs to
    total       the loss; its terms and what shows a collapse stand beside it under their names, as
                numbers. Which they are, the method and the phase decide
    validation  at times: a record of scores, as numbers

`jladkit train` writes it into the folder of a run.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jladkit.errors import JladkitError
from jladkit.formats.files import from_json

LOG = "log.jsonl"
# Scores of which a best is known: whether more is better.
SCORES = {"pck@0.1": True, "iod": False, "sigma": True}
NO_TERMS = ("step", "phase", "validation")
LARGEST = sys.float_info.max  # JSON's whole numbers have no end, those of arrays do
Record = Mapping[str, Any]


class Stretch(NamedTuple):
    """A phase from its first step to its last; phases alternate, so that one name comes again."""

    phase: str
    first: int
    last: int


class Scored(NamedTuple):
    """A score and the step after which it was had."""

    value: float
    step: int


def read_log(path: Path) -> list[dict[str, Any]]:
    """The records of a log; a last line that a running training has not finished is left out.

    Raises:
        JladkitError: there is no such file, it has no step, or a line is no record as this module
            says.
    """
    if not path.is_file():
        raise JladkitError(f"There is no file {path}. `jladkit train` writes it.")
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise JladkitError(f"{path} cannot be read: {error}.") from error
    records: list[dict[str, Any]] = []
    for number, line in enumerate(lines[:-1], start=1):  # a finished line ends in a line break
        try:
            record = from_json(line)
        except ValueError as error:
            raise JladkitError(f"{path}, line {number}, is no JSON record: {error}.") from error
        check_record(f"{path}, line {number}", record)
        if records and record["step"] <= records[-1]["step"]:
            raise JladkitError(
                f"{path}, line {number}: steps must rise, but {record['step']} comes after "
                f"{records[-1]['step']}."
            )
        records.append(record)
    if not records:
        raise JladkitError(f"{path} has no finished step yet.")
    return records


def check_record(where: str, record: Record) -> None:
    """Raise JladkitError unless `record` is one of this module's head."""
    step, validation = record.get("step"), record.get("validation", {})
    if type(step) is not int or step >> 53 or not isinstance(record.get("phase"), str):
        raise JladkitError(f"{where}: step must be a whole number and phase a name.")
    if not isinstance(validation, dict):
        raise JladkitError(f"{where}: validation must be a record of scores.")
    told = {**validation, **{k: v for k, v in record.items() if k not in NO_TERMS}}
    off = next((name for name, value in told.items() if not is_number(value)), None)
    if off is not None:
        raise JladkitError(f"{where}: {off} must be a number, but is {told[off]!r:.40}.")


def is_number(value: Any) -> bool:
    """Whether a value is a number that a float can hold. To Python, true is one too."""
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and abs(value) <= LARGEST


def stretches(records: Sequence[Record]) -> list[Stretch]:
    """The phases in their order. Two of one name that follow each other cannot be told apart."""
    found: list[Stretch] = []
    for record in records:
        phase, step = record["phase"], record["step"]
        if found and found[-1].phase == phase:
            found[-1] = found[-1]._replace(last=step)
        else:
            found.append(Stretch(phase, step, step))
    return found


def scores(records: Sequence[Record]) -> dict[str, list[Scored]]:
    """By its name, each validation score with its steps."""
    found: dict[str, list[Scored]] = {}
    for record in records:
        for name, value in record.get("validation", {}).items():
            found.setdefault(name, []).append(Scored(value, record["step"]))
    return found


def best(name: str, scored: Sequence[Scored]) -> Scored | None:
    """The best of one score, the first of several; None where it is not known what is better."""
    if name not in SCORES:
        return None
    return (max if SCORES[name] else min)(scored, key=lambda one: one.value)


def terms(records: Sequence[Record]) -> dict[str, np.ndarray]:
    """By its name, each term's value at every record (N,); NaN where a record does not have it."""
    names = dict.fromkeys(name for record in records for name in record if name not in NO_TERMS)
    return {
        name: np.array([record.get(name, np.nan) for record in records], float) for name in names
    }
