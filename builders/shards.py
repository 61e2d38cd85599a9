"""The parts of a build on disk: pictures of some units, and what is known of their objects.

A build writes them to `.OUT.parts` as its workers finish them, so that its memory does not grow
with its pictures, that a build which was stopped goes on where it was, and that workers may sit
on other machines that see the same folder.

    00012.h5     image_bytes, the encoded pictures one behind the other
    00012.json   the objects, what was left out, the files that were read; written last
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from jladkit.builders.objects import Annotation, Found, InputFile, Point, Span, Stored
from jladkit.formats.files import Pieces, make_folder, write_text, written_aside

Unit = TypeVar("Unit")
PICTURES = "image_bytes"
PIECE = 1 << 22  # bytes that are copied at a time


def prepare(folder: Path, key: str) -> None:
    """Make `folder`, or empty it where it holds the parts of another build than `key`."""
    marker = folder / "key"
    if not (marker.is_file() and marker.read_text() == key):
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder)
        write_text(marker, key)


def make_shard(
    path: Path, units: Sequence[Any], read: Callable[[Any], Found], strict: bool
) -> Path:
    """Read `units` into the shard `path` (a .json), unless that is done; returns `path`."""
    if is_current(path):
        return path
    whole = Found(strict=strict)
    for unit in units:
        whole.add(read(unit))
    write_shard(path, whole)
    return path


def is_current(path: Path) -> bool:
    """Whether a shard is there and the files that it was made from are as they were."""
    try:
        files = json.loads(path.read_text())["files"]
        for file in (InputFile(*record) for record in files):
            stat = Path(file.path).stat()
            if (stat.st_size, stat.st_mtime_ns) != (file.size, file.mtime_ns):
                return False
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def write_shard(path: Path, found: Found) -> None:
    """Write the pictures of `found`, equal ones once, and then the rest."""
    spans: dict[bytes, Span] = {}
    end = 0
    for stored in found.objects:
        raw = stored.picture
        assert isinstance(raw, bytes)
        if raw not in spans:
            digest = hashlib.sha256(raw).hexdigest()[:32]
            spans[raw] = Span(int(path.stem), end, end + len(raw), digest)
            end += len(raw)
    with written_aside(path.with_suffix(".h5")) as aside, h5py.File(aside, "w") as file:
        flat = np.frombuffer(b"".join(spans), dtype=np.uint8)
        file.create_dataset(PICTURES, data=flat, track_times=False)
    objects = [as_record(replace(s, picture=spans[s.picture])) for s in found.objects]  # pyright: ignore[reportArgumentType]
    record = {
        "objects": objects,
        "left_out": found.left_out,
        "missing": found.missing,
        "files": found.files,
    }
    write_text(path, json.dumps(record, default=np.generic.item))


def as_record(stored: Stored) -> dict[str, Any]:
    """`stored` as JSON can hold it."""
    told = stored.annotation
    record = {**vars(told), "box": told.box.tolist(), "points": dict(told.points)}
    return {
        "annotation": {**record, "viewpoint": [float(v) for v in told.viewpoint]},
        "box": stored.box.tolist(),
        "picture": stored.picture,
        "size": stored.size,
        "source_size": stored.source_size,
        "to_source": stored.to_source.tolist(),
    }


def from_record(record: dict[str, Any]) -> Stored:
    """What as_record was given."""
    told = record["annotation"]
    points = {name: Point(*values) for name, values in told["points"].items()}
    annotation = Annotation(**{**told, "box": np.array(told["box"]), "points": points})
    return Stored(
        annotation,
        np.array(record["box"]),
        Span(*record["picture"]),
        (record["size"][0], record["size"][1]),
        (record["source_size"][0], record["source_size"][1]),
        np.array(record["to_source"]),
    )


def read_shard(path: Path) -> Found:
    """What make_shard wrote; the pictures as spans."""
    record = json.loads(path.read_text())
    return Found(
        objects=[from_record(entry) for entry in record["objects"]],
        left_out=[(reason, where) for reason, where in record["left_out"]],
        missing=record["missing"],
        files=[InputFile(*entry) for entry in record["files"]],
    )


def joined_pictures(
    shards: Sequence[Path], spans: Sequence[Span], keep: Path | None
) -> tuple[np.ndarray, Pieces]:
    """Every picture behind one another, equal ones once.

    Args:
        shards: the .json of each, in order of their numbers.
        spans: of each object, in order of rows.
        keep: the folder beside the data set that the shards will stay in, or None to copy.

    Returns:
        (N, 2) first and last+1 byte of each object's picture, and the bytes in pieces.
    """
    starts: dict[str, int] = {}
    runs: list[list[int]] = []  # shard, first, last: what lies together is copied together
    end = 0
    for span in spans:
        if span.digest in starts:
            continue
        starts[span.digest] = end
        end += span.last - span.first
        if runs and runs[-1][0] == span.shard and runs[-1][2] == span.first:
            runs[-1][2] = span.last
        else:
            runs.append([span.shard, span.first, span.last])
    first = np.array([starts[span.digest] for span in spans], dtype=np.int64)
    length = np.array([span.last - span.first for span in spans], dtype=np.int64)
    dtype = np.dtype(np.uint8)
    layout = mapping(shards, runs, end, keep) if keep is not None else None
    pieces = Pieces((end,), dtype, lambda: copied(shards, runs), layout)
    return np.stack([first, first + length], axis=1), pieces


def copied(shards: Sequence[Path], runs: Sequence[Sequence[int]]) -> Iterator[np.ndarray]:
    """The bytes of `runs`, a few megabytes at a time."""
    opened: dict[int, h5py.File] = {}
    try:
        for shard, first, last in runs:
            if shard not in opened:
                for file in opened.values():
                    file.close()
                opened = {shard: h5py.File(shards[shard].with_suffix(".h5"), "r")}
            pictures: Any = opened[shard][PICTURES]
            for start in range(first, last, PIECE):
                yield pictures[start : min(start + PIECE, last)]
    finally:
        for file in opened.values():
            file.close()


def mapping(
    shards: Sequence[Path], runs: Sequence[Sequence[int]], end: int, keep: Path
) -> h5py.VirtualLayout:
    """The virtual data set that shows the bytes of `runs` in shards below the folder `keep`."""
    layout = h5py.VirtualLayout((end,), np.uint8)
    place = 0
    for shard, first, last in runs:
        path = shards[shard].with_suffix(".h5")
        with h5py.File(path, "r") as file:
            shape = file[PICTURES].shape  # pyright: ignore[reportAttributeAccessIssue]
        part = h5py.VirtualSource(f"{keep.name}/{path.name}", PICTURES, shape)
        layout[place : place + last - first] = part[first:last]
        place += last - first
    return layout


def keep_shards(shards: Sequence[Path], folder: Path) -> None:
    """Move the pictures of the shards to `folder`, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    for shard in shards:
        pictures = shard.with_suffix(".h5")
        pictures.rename(folder / pictures.name)
