"""Result files -> boards: sets of results that can be compared.

Results stand in one column only when they can be compared: same metric, protocol, data set digest
and split. Such a set of results is a board here, and each board gets tables of its own
(jladkit.reports.board_tables).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from jladkit.errors import JladkitError
from jladkit.formats.files import to_json
from jladkit.formats.result import REMEDY, Result, read_record, read_result

HEADLINE_ALPHA = 0.1
NONE = "-"
LABEL = 40  # letters that settings may take in a method's name


@dataclass(frozen=True)
class Entry:
    """A result and what it is called among its peers."""

    label: str
    result: Result
    path: Path


@dataclass(frozen=True)
class Board:
    """Results that can be compared, in the order they were given."""

    entries: tuple[Entry, ...]
    number: int = 1  # among boards that are called the same

    @property
    def first(self) -> Result:
        return self.entries[0].result

    @property
    def title(self) -> str:
        """What is compared, on one line."""
        one = self.first
        return f"{one.title} on {one.dataset}, {one.split} split"

    @property
    def protocol(self) -> str:
        """The protocol's name, version and summary."""
        protocol = self.first.protocol
        return f"{protocol['name']} {protocol['version']}: {protocol['summary']}"

    @property
    def slug(self) -> str:
        """A file name's stem; the digest keeps two versions of a data set apart."""
        one = self.first
        parts = (one.metric, one.dataset, one.protocol["name"], one.split, one.dataset_digest[:6])
        stem = "-".join(re.sub(r"[^\w.+]+", "-", part).strip("-.") for part in parts)
        return stem if self.number == 1 else f"{stem}-{self.number}"


def read_entries(paths: Iterable[Path]) -> list[tuple[Path, Result]]:
    """The results among `paths`: files, or folders that are searched for them; none twice.

    Raises:
        JladkitError: a path does not exist, a file given by name is no result, one found in a
            folder is broken, or there is none at all.
    """
    found: dict[Path, tuple[Path, Result]] = {}
    given = list(paths)
    for path in given:
        if not path.exists():
            raise JladkitError(f"There is no file or folder {path}.")
        files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        for file in files:
            if path.is_dir() and read_record(file) is None:
                continue  # some other JSON
            found.setdefault(file.resolve(), (file, read_result(file)))
    if not found:
        raise JladkitError(
            f"No result files (*.json) under {', '.join(map(str, given))}. Make one: {REMEDY}"
        )
    return list(found.values())


def board_key(result: Result) -> str:
    """What two results have in common exactly when they can be compared."""
    return to_json([result.metric, result.protocol, result.dataset_digest, result.split])


def boards(results: Sequence[tuple[Path, Result]]) -> list[Board]:
    """`results` sorted into sets that can be compared, in order of their first."""
    groups: dict[str, list[tuple[Path, Result]]] = {}
    for path, result in results:
        groups.setdefault(board_key(result), []).append((path, result))
    found: list[Board] = []
    for group in groups.values():
        named = zip(labels(group), group, strict=True)
        entries = (Entry(name, result, path) for name, (path, result) in named)
        board = Board(tuple(entries))
        # Another version or other choices of a protocol still have its name.
        number = 1 + sum(replace(one, number=1).slug == board.slug for one in found)
        found.append(replace(board, number=number))
    return found


def labels(group: Sequence[tuple[Path, Result]]) -> list[str]:
    """Each result's method; where a method comes twice, also what tells its runs apart."""
    names: list[str] = []
    for path, result in group:
        peers = [(place, other) for place, other in group if other.method == result.method]
        told = told_apart(peers)[path, id(result)] if len(peers) > 1 else ""
        names.append(f"{result.method} ({told})" if told else result.method)
    return [
        name if names.count(name) == 1 else f"{name} #{names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    ]


def told_apart(peers: Sequence[tuple[Path, Result]]) -> dict[tuple[Path, int], str]:
    """What tells runs of one method apart: the settings that differ, or the folders that they lie in
    where these are too many or the same; "" where neither does. By path and identity."""
    told = [settings(result.config) for _, result in peers]
    keys = sorted({key for own in told for key in own})
    differing = [key for key in keys if len({to_json(own.get(key)) for own in told}) > 1]
    by_settings = [", ".join(f"{key}={own.get(key)}" for key in differing) for own in told]
    folders = [path.parent.parts for path, _ in peers]
    shared = set(folders[0]).intersection(*folders)
    by_folder = ["/".join(part for part in parts if part not in shared) for parts in folders]
    short = max(map(len, by_settings)) <= LABEL
    if not (short and len(set(by_settings)) == len(peers)):
        if len(set(by_folder)) == len(peers):
            by_settings = by_folder
        elif not short:
            by_settings = [""] * len(peers)
    ids = [(path, id(result)) for path, result in peers]
    return dict(zip(ids, by_settings, strict=True))


def settings(config: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """What a method was told, by dotted names (train.seed); not the scores that it then reached.

    Of a trained method that is what stands below "config", beside where it was trained.
    """
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{within}{key}"
        if isinstance(value, dict):
            deeper = "" if name == "config" else f"{name}."
            found |= settings(value, deeper) if name != "best" else {}
        else:
            found[name] = value
    return found


def backbone_of(result: Result) -> str:
    """The backbone that a method was told to use; "none" where its config names none."""
    told = settings(result.config)
    return str(told.get("model.backbone", told.get("backbone", "none")))


def percent(value: float | None) -> str:
    """58.4 for 0.584."""
    return NONE if value is None else f"{100 * value:.1f}"


def row_at(result: Result, key: str, setting: Any) -> dict[str, Any] | None:
    """The row of `result` whose `key` (alpha, variant) is `setting`."""
    return next((row for row in result.results if row.get(key) == setting), None)


def headline_alpha(board: Board) -> float:
    """0.1 where a result has it, else the middle one of the first result."""
    alphas = [row["alpha"] for row in board.first.results]
    everywhere = {row["alpha"] for entry in board.entries for row in entry.result.results}
    return HEADLINE_ALPHA if HEADLINE_ALPHA in everywhere else sorted(alphas)[len(alphas) // 2]


def heading(row: dict[str, Any]) -> str:
    """What a row of a result stands under: its measure, or its metric and alpha."""
    name = str(row.get("measure", row["metric"]))
    return f"{name}@{row['alpha']:g}" if "alpha" in row else name


def tidy(board: Board) -> pd.DataFrame:
    """Every number of a board, unrounded, one a row: what CSV readers want.

    Columns: method, metric, protocol, dataset, dataset_digest, split, setting (alpha, variant or
    measure), category ("all" for the headline), value, low, high, count, unit.
    """
    records = []
    for entry in board.entries:
        result = entry.result
        common = {
            "method": entry.label,
            "metric": result.metric,
            "protocol": result.protocol["name"],
            "dataset": result.dataset,
            "dataset_digest": result.dataset_digest,
            "split": result.split,
        }
        for row in result.results:
            told = heading(row) if "measure" in row else row.get("alpha")
            setting = row.get("variant") if told is None else told
            for name, scores in {"all": row, **row["categories"]}.items():
                records.append(
                    common
                    | {"setting": setting, "category": name}
                    | {key: scores[key] for key in ("value", "low", "high", "count")}
                    | {"unit": row["unit"]}
                )
    return pd.DataFrame(records)
