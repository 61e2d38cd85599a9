"""A CSV of points, read in one pass: seconds for millions of rows, and every line has its number."""

import csv
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jladkit.errors import JladkitError

KEYS = (("pair", "keypoint"), ("object", "landmark"))  # what a row may be about
SHOWN = 3  # offending rows that an error names


class Refuse(Protocol):
    """Raises a JladkitError that says what `must` hold and names some `bad` rows, if there are any."""

    def __call__(self, bad: np.ndarray, must: str) -> None: ...


@dataclass(frozen=True)
class Column:
    """A column of text: row i says words[codes[i]]."""

    words: list[str]
    codes: np.ndarray


@dataclass(frozen=True)
class Table:
    """The R rows of a CSV.

    Attributes:
        keys: the columns that say what a row is about, by name.
        xy: (R, 2) its point; NaN where the CSV has no number.
        log_sigma: (R,) how unsure the method is of it, NaN where the CSV has no number; None where
            it has no such column.
        lines: (R,) the line on which it ends, from 1.
    """

    path: Path
    keys: dict[str, Column]
    xy: np.ndarray
    log_sigma: np.ndarray | None
    lines: np.ndarray

    def refuse(self, bad: np.ndarray, must: str) -> None:
        """Raise JladkitError if any row is `bad` (R,): what `must` hold, how many, which lines."""
        rows = np.nonzero(bad)[0].tolist()
        if rows:
            raise JladkitError(
                f"{self.path}: {must}. Not so in {len(rows)} of {len(bad)} rows: "
                f"{few(rows, self.told)}."
            )

    def only(self, rows: np.ndarray) -> "Table":
        """The same table with those of its `rows` (R,) that are True."""
        keys = {name: Column(c.words, c.codes[rows]) for name, c in self.keys.items()}
        log_sigma = None if self.log_sigma is None else self.log_sigma[rows]
        return Table(self.path, keys, self.xy[rows], log_sigma, self.lines[rows])

    def told(self, row: int) -> str:
        """line 3 (pair 0, keypoint nose)"""
        said = (
            f"{name} {column.words[column.codes[row]]:.80}" for name, column in self.keys.items()
        )
        return f"line {self.lines[row]} ({', '.join(said)})"


def few(items: Sequence[Any], told: Callable[[Any], str]) -> str:
    """The first few of `items` in words, and how many more there are."""
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(told(item) for item in items[:SHOWN]) + more


def read_table(path: Path) -> Table:
    """Read a CSV with a line of names, the columns x and y, and one pair of KEYS.

    The columns "direction" and "log_sigma" are read too where they are there.

    Raises:
        JladkitError: it cannot be read, a column is missing or comes twice, or a line has more or
            fewer values than there are names.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True)
            head = [name.strip() for name in next(reader, [])]
            names = (*keys_of(path, head), *(("direction",) if "direction" in head else ()))
            return collect(path, reader, head, names)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise JladkitError(f"{path} cannot be read as CSV: {error}.") from error


def keys_of(path: Path, head: Sequence[str]) -> tuple[str, str]:
    """Which pair of KEYS a CSV with these column names has.

    Raises:
        JladkitError: neither, both, or a column that is read stands twice.
    """
    found = [keys for keys in KEYS if {*keys, "x", "y"} <= set(head)]
    if len(found) != 1:
        wanted = " or ".join(",".join((*keys, "x", "y")) for keys in KEYS)
        raise JladkitError(
            f"{path} must have the columns {wanted}, but its first line is {','.join(head)[:200]!r}."
        )
    read = (*found[0], "x", "y", "direction", "log_sigma")
    twice = [name for name in read if head.count(name) > 1]
    if twice:
        raise JladkitError(f"{path} must have each column once, but {twice[0]} comes again.")
    return found[0]


def collect(path: Path, reader: Any, head: Sequence[str], names: Iterable[str]) -> Table:
    """The rows that are left in `reader`.

    Keys repeat, so that each word is kept once and a row has its number: little memory for
    millions of rows.
    """
    x, y = head.index("x"), head.index("y")
    keyed = [(head.index(name), {}, array("q")) for name in names]
    unsure = head.index("log_sigma") if "log_sigma" in head else None
    xy, log_sigma, lines = array("d"), array("d"), array("q")
    for row in reader:
        if not row:  # an empty line
            continue
        if len(row) != len(head):
            raise JladkitError(
                f"{path}, line {reader.line_num}: {len(row)} values, but there are {len(head)} "
                "columns."
            )
        for column, known, codes in keyed:
            codes.append(known.setdefault(row[column], len(known)))
        try:
            xy.extend((float(row[x]), float(row[y])))
        except ValueError:
            xy.extend((np.nan, np.nan))
        if unsure is not None:
            log_sigma.append(number(row[unsure]))
        lines.append(reader.line_num)
    keys = {
        name: Column([word.strip() for word in known], np.asarray(codes))
        for name, (_, known, codes) in zip(names, keyed, strict=True)
    }
    told = None if unsure is None else np.asarray(log_sigma)
    return Table(path, keys, np.asarray(xy).reshape(-1, 2), told, np.asarray(lines))


def number(text: str) -> float:
    """The number that `text` spells, NaN where it spells none."""
    try:
        return float(text)
    except ValueError:
        return np.nan
