"""A split's predictions in parts, each made by a process of its own, and put together again.

Shards take whole blocks of pairs and of objects, in the order that they are asked about, so that
every batch has in its shard the rows that it has in a whole run.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.predictions import FIELDS, Predictions

BLOCK = 16  # rows that no two shards share
ALIKE = ("method", "config", "split", "dataset", "dataset_digest", "environment")


@dataclass(frozen=True)
class Shard:
    """Part `number`, from 0, of `count`."""

    number: int
    count: int

    def __str__(self) -> str:
        return "" if self.count == 1 else f"{self.number}/{self.count}"

    def own(self, order: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) which of n rows are this part's; `order` (n,) is the one that they are asked about in."""
        block = np.arange(len(order)) // BLOCK
        blocks = -(-len(order) // BLOCK)
        first, end = (part * blocks // self.count for part in (self.number, self.number + 1))
        own = np.empty(len(order), dtype=bool)
        own[order] = (first <= block) & (block < end)
        return own


WHOLE = Shard(0, 1)


def parse_shard(text: str) -> Shard:
    """ "0/4" as the first of four.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if not found or int(found[1]) >= int(found[2]):
        raise UsageError(f"--shard must be NUMBER/COUNT, from 0/4 to 3/4 say, not {text!r}.")
    return Shard(int(found[1]), int(found[2]))


def merged(paths: Sequence[Path], parts: Sequence[Predictions]) -> Predictions:
    """The predictions of a whole split, from those of all its shards in any order.

    Rows, points and fields are those that one process would have stored, bit for bit, where it has
    the same processor, threads and versions. Of what a run measures, `seconds_per_item` is a mean
    over items, `peak_memory` the largest, `created` the latest.

    Args:
        paths: of `parts`, for errors.

    Raises:
        JladkitError: they are not the shards of one run, or one is missing or there twice.
    """
    check_alike(paths, parts)
    check_complete(paths, parts)
    found: dict[str, Any] = {}
    for part in ("pair", "object"):
        found |= joined(part, parts)
    return replace(
        parts[0],
        **found,
        shard="",
        created=max(part.created for part in parts),
        peak_memory=max(part.peak_memory for part in parts),
        seconds_per_item=mean_seconds(parts),
    )


def check_alike(paths: Sequence[Path], parts: Sequence[Predictions]) -> None:
    """Raise JladkitError unless all parts say the same of where they come from."""
    for name in ALIKE:
        for path, part in zip(paths, parts, strict=True):
            own, other = getattr(part, name), getattr(parts[0], name)
            if own != other:
                raise JladkitError(
                    f"{path} and {paths[0]} are no shards of one run: their {name} differs"
                    f"{difference(own, other)}. Predict each with the same command but for --shard."
                )


def difference(own: Any, other: Any) -> str:
    """Where two values differ, to stand behind a sentence."""
    if not isinstance(own, dict) or not isinstance(other, dict):
        return f", {own!r} and {other!r}"
    keys = sorted(key for key in own.keys() | other.keys() if own.get(key) != other.get(key))
    return f" in {', '.join(keys)}"


def check_complete(paths: Sequence[Path], parts: Sequence[Predictions]) -> None:
    """Raise JladkitError unless each shard is there, and once."""
    seen: dict[Shard, Path] = {}
    for path, part in zip(paths, parts, strict=True):
        if not part.shard:
            raise JladkitError(f"{path} is no shard: it was predicted without --shard.")
        shard = parse_shard(part.shard)
        if shard in seen:
            raise JladkitError(f"{path} and {seen[shard]} are both the shard {shard}.")
        seen[shard] = path
    count = next(iter(seen)).count
    for path, shard in ((path, shard) for shard, path in seen.items() if shard.count != count):
        raise JladkitError(f"{path} is the shard {shard}, but {paths[0]} is one of {count}.")
    missing = [str(Shard(n, count)) for n in range(count) if Shard(n, count) not in seen]
    if missing:
        raise JladkitError(
            f"Shards are missing: {', '.join(missing)}. Predict them, give them all."
        )


def joined(part: str, parts: Sequence[Predictions]) -> dict[str, np.ndarray | None]:
    """The fields of a part, "pair" or "object", of all shards together, in file order."""
    names = [name.replace("/", "_") for name in FIELDS if name.startswith(f"{part}/")]
    full = [one for one in parts if getattr(one, f"{part}_row") is not None]
    if not full:
        return dict.fromkeys(names)
    some = [one for one in full if len(getattr(one, f"{part}_row"))] or full[:1]
    order = np.argsort(np.concatenate([getattr(one, f"{part}_row") for one in some]), kind="stable")
    found: dict[str, np.ndarray | None] = {}
    for name in names:
        arrays = [getattr(one, name) for one in some]
        known = next((array for array in arrays if array is not None), None)
        if known is None:
            found[name] = None
            continue
        # A shard of which nothing is known, such as log sigma of points that are all absent.
        whole = [
            np.full((len(getattr(one, f"{part}_row")), *known.shape[1:]), np.nan, known.dtype)
            if array is None
            else array
            for one, array in zip(some, arrays, strict=True)
        ]
        found[name] = np.concatenate(whole)[order]
    return found


def mean_seconds(parts: Sequence[Predictions]) -> dict[str, float]:
    """seconds_per_item over the items of all shards."""
    means: dict[str, float] = {}
    for key in dict.fromkeys(key for part in parts for key in part.seconds_per_item):
        rows = [part.object_row if key == "object" else part.pair_row for part in parts]
        counts = [0 if row is None else len(row) for row in rows]
        total = sum(
            part.seconds_per_item.get(key, 0.0) * n for part, n in zip(parts, counts, strict=True)
        )
        means[key] = total / max(sum(counts), 1)
    return means
