"""What the three formats share: whole files only, HDF5 that is checked field by field."""

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.stored import own_field
from jladkit.formats.trial import check_survives

TEXT = h5py.string_dtype()


def check_output(path: Path, *, overwrite: bool = True) -> None:
    """Refuse a file to write before the work for it is done, rather than after.

    Raises:
        UsageError: `path` is a folder, exists and `overwrite` is False, or no file can be called so.
        JladkitError: something above it is no folder.
    """
    try:
        folder, there = path.is_dir(), path.exists()
    except OSError as error:  # its name is too long
        raise UsageError(f"{path} cannot be a file: {error.strerror}.") from error
    if folder:
        raise UsageError(f"{path} is a folder; --out must name a file.")
    if there and not overwrite:
        raise UsageError(f"{path} exists. Give --overwrite to replace it, or another --out.")
    check_folder(path.parent)


def check_folder(folder: Path) -> None:
    """Raise JladkitError unless `folder` is there, or can be made as far as one can tell."""
    above = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise JladkitError(
            f"{folder} cannot be written to: {above} is no folder, or one without the right to "
            "write. Give another --out."
        )


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it, where they are not there.

    Raises:
        JladkitError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JladkitError(
            f"The folder {folder} cannot be made: {error.strerror or error}. Give another --out."
        ) from error


@contextlib.contextmanager
def written_aside(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """A name beside `path` to write to; it becomes `path` when the block ends without an error.

    Raises:
        UsageError: `path` is a folder, exists and `overwrite` is False, or no file can be called so.
        JladkitError: the folder cannot be written, or the disk is full.
    """
    check_output(path, overwrite=overwrite)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        make_folder(path.parent)
        yield aside
        to_disk(aside)
        os.replace(aside, path)
    except (OSError, RuntimeError) as error:  # HDF5 may fail again as it closes the file
        raise JladkitError(f"{path} could not be written: {reason(error)}.") from error
    finally:
        with contextlib.suppress(OSError):  # a folder that is none: the error above says so
            aside.unlink(missing_ok=True)


def to_disk(path: Path) -> None:
    """Wait until a file is on the disk, so that a power cut after its renaming finds it whole."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def reason(error: OSError | RuntimeError) -> str:
    """What the system says of a failure, of which HDF5 gives but the number, in a long text."""
    found = re.search(r"errno = (\d+)", str(error))
    told = error.strerror if isinstance(error, OSError) else None
    return os.strerror(int(found[1])) if found else told or str(error)


def check_new_folder(path: Path) -> None:
    """Refuse a folder to make before the work for it is done.

    Raises:
        UsageError: `path` exists, and is no empty folder.
        JladkitError: something above it is no folder.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path} exists and is not empty. Give another --out, or remove it.")
    check_folder(path)


@contextlib.contextmanager
def folder_aside(path: Path) -> Iterator[Path]:
    """A folder beside `path` to fill; it becomes `path` when the block ends without an error.

    Raises:
        UsageError: `path` exists, and is no empty folder.
        JladkitError: the place cannot be written, or the disk is full.
    """
    check_new_folder(path)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    make_folder(aside)
    try:
        yield aside
        if path.exists():
            path.rmdir()
        os.replace(aside, path)
    except OSError as error:
        raise JladkitError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def to_json(value: Any, indent: int | None = None) -> str:
    """`value` as JSON with sorted keys; NaN and infinity are refused, for JSON has neither."""
    return json.dumps(value, sort_keys=True, allow_nan=False, indent=indent, ensure_ascii=False)


def from_json(text: str | bytes) -> dict[str, Any]:
    """The record (JSON object) that `text` holds.

    Raises:
        ValueError: it is no JSON, has NaN or infinity (which Python would let through), or holds
            something else than a record.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        record = json.loads(text, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if isinstance(record, dict) and is_unicode(record):
        return record
    raise ValueError("it holds no record, or half a character")


def is_unicode(value: Any) -> bool:
    """Whether a text, or a value of JSON, can be written as UTF-8. JSON may spell halves of
    characters, and HDF5 keep any bytes as text."""
    try:
        (value if isinstance(value, str) else to_json(value)).encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class Field:
    """One HDF5 data set of a format.

    `shape` names the sizes ("N", "K", ...) or gives them; one name has one size in the whole file.
    `kind` is numpy's letter for the type: "f" float, "i" any integer, "b" bool, "O" text.
    """

    kind: str
    shape: tuple[str | int, ...]
    optional: bool = False


@dataclass(frozen=True)
class Pieces:
    """An array too long for memory, made piece by piece along its first axis.

    `make` starts anew at each call. With `layout`, the bytes stay in the files that it names and
    only the mapping is written (an HDF5 virtual data set).
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    make: Callable[[], Iterable[np.ndarray]]
    layout: h5py.VirtualLayout | None = None


def write_arrays(file: h5py.File, arrays: Mapping[str, np.ndarray | Pieces]) -> str:
    """Write `arrays` under their names, in order of name; returns their digest, as in digest_of.

    Without time stamps: same data, same bytes.
    """
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        if isinstance(array, Pieces):
            array = write_pieces(file, name, array)
        elif array.dtype.kind in "OU":
            file.create_dataset(name, data=array.astype(object), dtype=TEXT, track_times=False)
        else:
            file.create_dataset(name, data=array, track_times=False)
        add_to_digest(sha, name, array)
    return sha.hexdigest()


def write_pieces(file: h5py.File, name: str, array: Pieces) -> Pieces:
    """Write `array` piece by piece as it is asked for; exhaust what is returned."""
    if array.layout is not None:
        file.create_virtual_dataset(name, array.layout)
        return array
    # Each piece is written when the digest asks for it, so that it is read only once.
    written = file.create_dataset(name, array.shape, array.dtype, track_times=False)

    def make() -> Iterator[np.ndarray]:
        row = 0
        for piece in array.make():
            written[row : row + len(piece)] = piece
            row += len(piece)
            yield piece

    return Pieces(array.shape, array.dtype, make)


def read_arrays(
    file: h5py.File, fields: Mapping[str, Field], skip: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Read and check `fields`; those in `skip` are checked and left on disk.

    Raises:
        JladkitError: one is missing, of another type, or of a size that does not fit the others.
    """
    sizes: dict[str, int] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, field in fields.items():
        found = own_field(file, name)
        if found is None and field.optional:
            continue
        if found is None:
            raise JladkitError(f"{file.filename}: the field {name} is missing.")
        check_field(file.filename, name, found, field, sizes)
        if name not in skip:
            array = np.asarray(found.asstr()[()]) if field.kind == "O" else found[()]
            arrays[name] = array
    return arrays


def check_field(
    filename: str, name: str, found: h5py.Dataset, field: Field, sizes: dict[str, int]
) -> None:
    """Hold one data set against its `field`; `sizes` collects what each letter stands for."""
    kind = kind_of(found.dtype)
    fits = len(found.shape) == len(field.shape) and all(
        size == (sizes.setdefault(want, size) if isinstance(want, str) else want)
        for size, want in zip(found.shape, field.shape, strict=False)
    )
    if kind != field.kind or not fits:
        want = "x".join(str(sizes.get(s, s)) if isinstance(s, str) else str(s) for s in field.shape)
        raise JladkitError(
            f"{filename}: {name} must be {KINDS[field.kind]} of size {want}, "
            f"but is {found.dtype} of size {'x'.join(map(str, found.shape))}."
        )


def kind_of(dtype: np.dtype) -> str:
    """The letter that `Field.kind` has for a type; one that no field has for other types."""
    if h5py.check_string_dtype(dtype) is not None:
        return "O"
    return "i" if dtype.kind == "u" else "V" if dtype.kind == "O" else dtype.kind


KINDS = {"f": "floats", "i": "integers", "b": "true/false", "O": "text"}


@contextlib.contextmanager
def opened(path: Path, format_name: str, schema: int, remedy: str) -> Iterator[h5py.File]:
    """Open an HDF5 file of ours for reading, after a look at its format and schema.

    Raises:
        JladkitError: there is no such file, it is not HDF5, damaged, or of another format or
            schema; `remedy` says how to make a new one.
    """
    with readable(path, remedy) as file:
        found, version = str(file.attrs.get("format")), str(file.attrs.get("schema"))
        if found != format_name:
            raise JladkitError(f"{path} must be a {format_name} file, but its format is {found!r}.")
        check_schema(path, version, schema, f"make it again: {remedy}")
        yield file


def check_schema(path: Path, found: Any, schema: int, remedy: str) -> None:
    """Raise JladkitError unless a file has the schema that this jladkit reads.

    Args:
        found: what the file says.
        remedy: how to make it anew, to go on from "or".
    """
    if str(found) == str(schema):
        return
    newer = re.fullmatch(r"\d{1,9}", str(found)) is not None and int(found) > schema
    way = (
        f"A newer jladkit wrote it: install that, or {remedy}"
        if newer
        else remedy[:1].upper() + remedy[1:]
    )
    raise JladkitError(f"{path} has schema {found!s:.40}, this jladkit reads {schema}. {way}")


@contextlib.contextmanager
def readable(path: Path, remedy: str) -> Iterator[h5py.File]:
    """Open any HDF5 file for reading.

    Raises:
        JladkitError: there is no such file, it is not HDF5, or damaged.
    """
    if not path.is_file():
        raise JladkitError(f"There is no file {path}.")
    check_survives(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (
        OSError,
        RuntimeError,
        KeyError,
        UnicodeDecodeError,
    ) as error:  # h5py's, at broken bytes
        raise JladkitError(
            f"{path} is not an HDF5 file, or a truncated one ({error}). Make it again: {remedy}"
        ) from error


def read_text_attr(file: h5py.File, name: str) -> str:
    """The text of an attribute, which must be there."""
    if name not in file.attrs:
        raise JladkitError(f"{file.filename}: the attribute {name} is missing.")
    text = str(file.attrs[name])
    if not is_unicode(text):
        raise JladkitError(f"{file.filename}: the attribute {name} is no UTF-8.")
    return text


def read_json_attr(file: h5py.File, name: str) -> dict[str, Any]:
    """The JSON record in an attribute."""
    try:
        return from_json(str(file.attrs[name]))
    except (KeyError, ValueError) as error:
        raise JladkitError(
            f"{file.filename}: the attribute {name} is missing or no JSON record."
        ) from error


def digest_of(arrays: Mapping[str, np.ndarray | Pieces]) -> str:
    """SHA-256 over names, types, sizes and bytes, in order of name; the same on every machine."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        add_to_digest(sha, name, arrays[name])
    return sha.hexdigest()


def add_to_digest(sha: Any, name: str, array: np.ndarray | Pieces) -> None:
    """Continue a digest with one array."""
    sha.update(f"{name} {array.dtype.kind}{tuple(array.shape)} ".encode())
    if isinstance(array, Pieces):
        # A piece is hashed while the next is made; no more than two are in memory.
        with ThreadPoolExecutor(max_workers=1) as beside:
            last = beside.submit(sha.update, b"")
            for piece in array.make():
                last.result()
                last = beside.submit(sha.update, little_endian(piece))
    elif array.dtype.kind in "OU":
        sha.update(to_json(array.tolist()).encode())
    else:
        sha.update(little_endian(array))


def little_endian(array: np.ndarray) -> Any:
    """The bytes of `array` as every machine would write them."""
    array = np.ascontiguousarray(array)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1).view(np.uint8).data


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
