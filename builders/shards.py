"""The parts of a build on disk: pictures of some units, and what is known of their objects.

A build writes them to `.OUT.parts` as its workers finish them, so that its memory does not grow
with its pictures, that a build which was stopped goes on where it was, and that workers may sit
on other machines that see the same folder.

    00012.h5     image_bytes, the encoded pictures one behind the other
    00012.npy    a record for each object
    00012.json   keypoint names, what was left out, the files that were read; written last

Parts of another SCHEMA are those of another build: they are made anew.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from jladkit.builders.objects import Annotation, Found, InputFile, Stored, object_arrays
from jladkit.errors import JladkitError
from jladkit.formats.files import (
    Pieces,
    digest_of_file,
    make_folder,
    write_text,
    written_aside,
)

Unit = TypeVar("Unit")
SCHEMA = 1
PICTURES, SPAN, DIGEST = "image_bytes", "image_span", "image_digest"
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
    if not all(path.with_suffix(end).is_file() for end in (".h5", ".npy")):
        return False  # moved on by --virtual, before the build was stopped
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
    """Write the pictures of `found`, equal ones once, with their objects, and then the rest."""
    objects = sorted(found.objects, key=order_of)
    spans: dict[bytes, tuple[int, int]] = {}
    end = 0
    for stored in objects:
        if stored.picture not in spans:
            spans[stored.picture] = (end, end + len(stored.picture))
            end += len(stored.picture)
    digests = {raw: hashlib.sha256(raw).digest()[:16] for raw in spans}
    names = keypoint_names(stored.annotation for stored in objects)
    raw = b"".join(digests[stored.picture] for stored in objects)
    fields = {
        **object_arrays(objects, names),
        SPAN: np.array([spans[s.picture] for s in objects], dtype=np.int64).reshape(-1, 2),
        DIGEST: np.frombuffer(raw, dtype=np.uint8).reshape(-1, 16),
    }
    with written_aside(path.with_suffix(".npy")) as aside, aside.open("wb") as file:
        np.save(file, as_table(fields, len(objects)))
    with written_aside(path.with_suffix(".h5")) as aside, h5py.File(aside, "w") as file:
        pictures = np.frombuffer(b"".join(spans), dtype=np.uint8)
        file.create_dataset(PICTURES, data=pictures, track_times=False)
    rest = {
        "names": names,
        "left_out": found.left_out,
        "missing": found.missing,
        "files": found.files,
    }
    write_text(path, json.dumps(rest))


def as_table(fields: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
    """(rows,) records with `fields`, texts at a fixed width: one array, for one file."""
    plain = {k: v.astype(str) if v.dtype.kind == "O" else v for k, v in fields.items()}
    table = np.empty(rows, dtype=[(k, v.dtype, v.shape[1:]) for k, v in plain.items()])
    for name, array in plain.items():
        table[name] = array
    return table


def order_of(stored: Stored) -> tuple[str, str, int]:
    """By category, picture and place in its record: the order of the rows in a data set."""
    told = stored.annotation
    return told.category, told.image, told.index


def keypoint_names(annotations: Iterable[Annotation]) -> dict[str, list[str]]:
    """Each category's keypoint names that occur, both in order."""
    names: dict[str, set[str]] = {}
    for annotation in annotations:
        names.setdefault(annotation.category, set()).update(annotation.points)
    return {category: sorted(names[category]) for category in sorted(names)}


@dataclass(frozen=True)
class Pictures:
    """Where the pictures of objects lie: (n,) the shard, (n, 2) its bytes, (n, 16) their digest."""

    shard: np.ndarray
    span: np.ndarray
    digest: np.ndarray

    def take(self, rows: np.ndarray | Sequence[int]) -> "Pictures":
        """Those of some objects."""
        return Pictures(self.shard[rows], self.span[rows], self.digest[rows])


def read_rest(path: Path) -> tuple[Found, dict[str, list[str]]]:
    """What a shard says beside its objects, and the keypoint names of its categories."""
    record = json.loads(path.read_text())
    found = Found(
        left_out=[(reason, where) for reason, where in record["left_out"]],
        missing=record["missing"],
        files=[InputFile(*entry) for entry in record["files"]],
    )
    return found, record["names"]


def read_objects(
    paths: Sequence[Path],
    local_names: Sequence[Mapping[str, Sequence[str]]],
    names: Mapping[str, Sequence[str]],
) -> tuple[dict[str, np.ndarray], Pictures]:
    """The object/* fields of all shards but the pictures, one shard after another.

    Args:
        paths: the .json of each shard.
        local_names: the keypoint names in each.
        names: the keypoint names that the fields are to have, categories in order.
    """
    fields: dict[str, list[np.ndarray]] = {}
    shard = []
    for number, (path, local) in enumerate(zip(paths, local_names, strict=True)):
        table = np.load(path.with_suffix(".npy"), allow_pickle=False)
        for name in table.dtype.names or ():
            text = table[name].dtype.kind == "U"
            fields.setdefault(name, []).append(table[name].astype(object) if text else table[name])
        shard.append(np.full(len(table), number))
        rename(fields, local, names)
    whole = {field: np.concatenate(parts) for field, parts in fields.items()}
    span, digest = whole.pop(SPAN), whole.pop(DIGEST)
    return whole, Pictures(np.concatenate(shard), span, digest)


def rename(
    fields: Mapping[str, list[np.ndarray]],
    local: Mapping[str, Sequence[str]],
    names: Mapping[str, Sequence[str]],
) -> None:
    """Bring the last shard's categories and keypoints into the order of `names`, in place."""
    category = fields["object/category"][-1]
    most = max((len(row) for row in names.values()), default=0)
    columns = np.full((len(local), most), -1)  # of the shard, for each of the whole's
    codes = np.zeros(len(local), dtype=int)
    for row, (name, own) in enumerate(local.items()):
        codes[row] = list(names).index(name)
        place = {keypoint: k for k, keypoint in enumerate(own)}
        columns[row, : len(names[name])] = [place.get(keypoint, -1) for keypoint in names[name]]
    pick = columns[category]
    for field, empty in (
        ("object/keypoints", np.nan),
        ("object/visible", False),
        ("object/status", -1),
    ):
        old = fields[field][-1]
        blank = np.full((len(old), 1, *old.shape[2:]), empty, dtype=old.dtype)
        filled = np.concatenate([old, blank], axis=1)  # column -1 is the blank one
        fields[field][-1] = filled[np.arange(len(old))[:, None], pick]
    fields["object/category"][-1] = codes[category]


def joined_pictures(
    shards: Sequence[Path], pictures: Pictures, keep: Path | None
) -> tuple[np.ndarray, Pieces]:
    """Every picture behind one another, equal ones once.

    Args:
        shards: the .json of each, in order of their numbers.
        pictures: of each object, in order of rows.
        keep: the folder beside the data set that the shards will stay in, or None to copy.

    Returns:
        (N, 2) first and last+1 byte of each object's picture, and the bytes in pieces.
    """
    starts: dict[bytes, int] = {}
    runs: list[list[int]] = []  # shard, first, last: what lies together is copied together
    first, end = [], 0
    keys = [digest.tobytes() for digest in pictures.digest]
    places = zip(pictures.shard.tolist(), *pictures.span.T.tolist(), strict=True)
    for key, (shard, begin, stop) in zip(keys, places, strict=True):
        if key not in starts:
            starts[key] = end
            end += stop - begin
            if runs and runs[-1][0] == shard and runs[-1][2] == begin:
                runs[-1][2] = stop
            else:
                runs.append([shard, begin, stop])
        first.append(starts[key])
    start = np.array(first, dtype=np.int64)
    span = np.stack([start, start + np.diff(pictures.span, axis=1)[:, 0]], axis=1)
    layout = mapping(shards, runs, end, keep) if keep is not None else None
    return span, Pieces((end,), np.dtype(np.uint8), lambda: copied(shards, runs), layout)


def copied(shards: Sequence[Path], runs: Sequence[Sequence[int]]) -> Iterator[np.ndarray]:
    """The bytes of `runs`, a few megabytes at a time."""
    offsets: dict[int, int] = {}  # runs of a shard are many: it is opened as HDF5 only once
    for shard, first, last in runs:
        path = shards[shard].with_suffix(".h5")
        if shard not in offsets:
            offsets[shard] = offset_of_pictures(path)
        with path.open("rb", buffering=0) as file:
            file.seek(offsets[shard] + first)
            for start in range(first, last, PIECE):
                piece = np.empty(min(PIECE, last - start), dtype=np.uint8)
                if file.readinto(piece.data) != len(piece):
                    raise JladkitError(f"{path} was shortened meanwhile. Build again.")
                yield piece


def offset_of_pictures(path: Path) -> int:
    """Where in a shard's .h5 its pictures begin, which lie there in one piece."""
    with h5py.File(path, "r") as file:
        pictures: Any = file[PICTURES]
        return pictures.id.get_offset() or 0  # None where there are no pictures


def mapping(
    shards: Sequence[Path], runs: Sequence[Sequence[int]], end: int, keep: Path
) -> h5py.VirtualLayout:
    """The virtual data set that shows the bytes of `runs` in shards below the folder `keep`."""
    layout: Any = h5py.VirtualLayout((end,), np.uint8)
    layout.dcpl.set_obj_track_times(False)  # the same pictures at any time, the same bytes
    place = 0
    for shard, first, last in runs:
        path = shards[shard].with_suffix(".h5")
        with h5py.File(path, "r") as file:
            shape = file[PICTURES].shape  # pyright: ignore[reportAttributeAccessIssue]
        part = h5py.VirtualSource(f"{keep.name}/{path.name}", PICTURES, shape)
        layout[place : place + last - first] = part[first:last]
        place += last - first
    return layout


def keep_shards(shards: Sequence[Path], folder: Path) -> list[Path]:
    """Move the pictures of the shards to `folder`; what they are called there, as .json.

    Names have the contents' digest in them, so that those of a data set which is about to be
    replaced stay as they are until it is.
    """
    make_folder(folder)
    kept = []
    for shard in shards:
        pictures = shard.with_suffix(".h5")
        kept.append(folder / f"{shard.stem}-{digest_of_file(pictures)[:12]}.json")
        pictures.rename(kept[-1].with_suffix(".h5"))
    return kept


def drop_others(folder: Path, kept: Sequence[Path]) -> None:
    """Remove the shards in `folder` that are not among those that were kept."""
    for left in set(folder.glob("*.h5")) - {path.with_suffix(".h5") for path in kept}:
        left.unlink()
