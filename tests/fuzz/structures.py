"""Mutants of formats that have an inside: HDF5, MATLAB, tensors. What they write is well formed."""

import io
import json
import tarfile
import zipfile
from typing import Any

import h5py
import numpy as np
from fuzz.mutants import TEXTS, few, of_bytes, of_json, of_text, pick, span
from scipy.io import savemat

FILLS = (0, -1, 1, 1 << 31, -(1 << 63), 127, 255, float("nan"), float("inf"), 1e308, -1e308)
TYPES = ("i1", "u1", "i4", "u8", "i8", "f2", "f4", "f8", ">f8", "?", "S3", "c16")
HUGE = ((1 << 40,), (1 << 20, 1 << 20), (1 << 33, 2), (0,), (), (3, 0), (1, 1, 1, 1))


def of_hdf5(raw: bytes, rng: np.random.Generator) -> bytes:
    """Fields and attributes of an HDF5 file replaced; in half of the cases its bytes."""
    if rng.random() < 0.5:
        return of_bytes(raw, rng)
    stream = io.BytesIO(raw)
    with h5py.File(stream, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, _: names.append(name))
        for _ in range(few(rng)):
            name = str(pick(rng, names))
            if name not in file:
                continue
            if rng.random() < 0.3:
                attribute(file, rng)
            else:
                field(file, name, rng)
    return stream.getvalue()


def field(file: h5py.File, name: str, rng: np.random.Generator) -> None:
    """One field changed: values, type, size, storage, or what its name leads to."""
    found, way = file[name], int(rng.integers(9))
    if not isinstance(found, h5py.Dataset) or way == 0:
        link(file, name, rng)
        return
    values = found[()]
    if way <= 3:
        values = np.array(values)
        if values.size and values.dtype.kind == "O":
            values.reshape(-1)[int(rng.integers(values.size))] = pick(rng, TEXTS).replace("\0", "0")
        elif values.size:
            first, last = span(values.size, rng)
            with np.errstate(all="ignore"):
                fill = np.array(pick(rng, FILLS), dtype=float).astype(values.dtype)
            values.reshape(-1)[first:last] = fill
        found[()] = values
        return
    shape, dtype = found.shape, found.dtype
    del file[name]
    if way == 4 and dtype.kind != "O":
        with np.errstate(all="ignore"):
            file[name] = np.asarray(values).astype(pick(rng, TYPES))
    elif way == 5:  # never written: HDF5 makes the values up
        wanted = pick(rng, [*HUGE, (1 << 30, *shape[1:]), (*shape[:-1], 1 << 30)])
        chunks = True if 0 not in wanted and wanted else None
        file.create_dataset(name, wanted, dtype, chunks=chunks)
    elif way == 6 and shape:
        file[name] = np.concatenate([values] * int(rng.integers(2, 9)))
    elif way == 7 and shape:
        file[name] = values[: int(rng.integers(len(values) + 1))]
    elif dtype.kind != "O" and values.size:
        file.create_dataset(name, data=values, chunks=True, compression="gzip", shuffle=True,
                            fletcher32=True)  # fmt: skip


def link(file: h5py.File, name: str, rng: np.random.Generator) -> None:
    """A name that leads elsewhere: nowhere, around in a circle, into another file."""
    del file[name]
    way = int(rng.integers(6))
    if way == 0:
        file[name] = h5py.SoftLink("/")
    elif way == 1:
        file[name] = h5py.SoftLink(f"/{name}")
    elif way == 2:
        file[name] = h5py.ExternalLink("/dev/zero", "/x")
    elif way == 3:
        file.create_group(name)
    elif way == 4:
        file[name] = np.dtype("f8")  # a type with a name
    else:
        file[name] = np.array([file.ref, file.ref], dtype=h5py.ref_dtype)


def attribute(file: h5py.File, rng: np.random.Generator) -> None:
    """An attribute changed, or the JSON inside it."""
    name = str(pick(rng, list(file.attrs)))
    value, way = file.attrs[name], int(rng.integers(4))
    if way == 0:
        del file.attrs[name]
    elif way <= 2 and isinstance(value, str):
        text = (of_json if value.startswith("{") else of_text)(value.encode(), rng)
        as_text(file, name, text)
    else:
        file.attrs[name] = pick(rng, (0, -1, 1 << 62, 1.5, np.nan, b"\xff\xfe", np.zeros((2, 2)),
                                      np.zeros(0), h5py.Empty("f"), True, ["a", "b"]))  # fmt: skip


def as_text(file: h5py.File, name: str, text: bytes) -> None:
    """An attribute as we write texts, of whatever bytes; there is no room for more than 64 kB."""
    del file.attrs[name]
    file.attrs.create(name, text.replace(b"\0", b"0")[:60000], dtype=h5py.string_dtype())


def mat_values(rng: np.random.Generator) -> Any:
    """What MATLAB may have in place of a number, a text or a struct."""
    cell = np.empty((1, 2), dtype=object)
    cell[0] = [np.zeros((0, 0)), "x"]
    return pick(rng, (
        np.zeros((0, 0)), np.zeros((3, 0)), 0, -1, 255, np.uint8(255), np.int64(-(1 << 62)), 1e308,
        np.nan, np.inf, -np.inf, 1 + 2j, True, cell, {"a": 1}, {"a": {"b": cell}}, np.ones((2, 3, 4)),
        np.full((1, 4), np.nan), np.full((1, 4), 1e300), np.full((1, 2), -1e9), *TEXTS,
    ))  # fmt: skip


def of_record(record: dict[str, Any], rng: np.random.Generator) -> bytes:
    """A struct of MATLAB with some of its fields, at any depth, replaced; as bytes of a .mat."""
    for _ in range(few(rng)):
        box: Any = record
        while True:
            if isinstance(box, np.ndarray):  # an array of structs
                place = (0, int(rng.integers(box.shape[1])))
                key = pick(rng, box.dtype.names)
                if isinstance(box[place][key], dict) and rng.random() < 0.8:
                    box = box[place][key]
                    continue
                box[place][key] = mat_values(rng)
                break
            key = pick(rng, list(box))
            inner = box[key]
            is_structs = isinstance(inner, np.ndarray) and inner.dtype.names and inner.size
            if ((isinstance(inner, dict) and inner) or is_structs) and rng.random() < 0.85:
                box = inner
                continue
            if rng.random() < 0.2 and len(box) > 1:
                del box[key]
            else:
                box[key] = mat_values(rng)
            break
    stream = io.BytesIO()
    savemat(stream, {"record": record}, do_compression=bool(rng.integers(2)))
    return stream.getvalue()


def of_safetensors(raw: bytes, rng: np.random.Generator) -> bytes:
    """The header of a safetensors file changed as JSON; in half of the cases its bytes."""
    if rng.random() < 0.5:
        return of_bytes(raw, rng)
    end = 8 + int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8:end])
    if rng.random() < 0.6:  # the label lies in the header as text
        told = head["__metadata__"]
        told["label"] = of_json(told["label"].encode(), rng).decode("utf-8", "replace")
        changed = json.dumps(head).encode()
    else:
        changed = of_json(raw[8:end], rng)
    return len(changed).to_bytes(8, "little") + changed + raw[end:]


def of_zip(raw: bytes, rng: np.random.Generator) -> bytes:
    """A member of a zip changed, with a checksum that fits; in some cases the zip's bytes."""
    if rng.random() < 0.3 or not raw.startswith(b"PK"):
        return of_bytes(raw, rng)
    with zipfile.ZipFile(io.BytesIO(raw)) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    name = pick(rng, [n for n in parts if n.endswith("data.pkl")] * 3 + list(parts))
    parts[name] = of_bytes(parts[name], rng)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as new:
        for name, part in parts.items():
            new.writestr(name, part)
    return stream.getvalue()


def of_tar(raw: bytes, rng: np.random.Generator) -> bytes:
    """A tar whose members have other names, kinds and contents; in half of the cases its bytes."""
    if rng.random() < 0.5:
        return of_bytes(raw, rng)
    stream = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(raw)) as old,
        tarfile.open(fileobj=stream, mode="w") as new,
    ):
        members = old.getmembers()
        chosen = {int(rng.integers(len(members))) for _ in range(few(rng))}
        for number, member in enumerate(members):
            file = old.extractfile(member)
            content = file.read() if file is not None else b""
            if number in chosen:
                way = int(rng.integers(4))
                if way == 0:
                    member.name = pick(rng, TEXTS).replace("\0", "0") or "x"
                elif way == 1:
                    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)
                    member.type, member.linkname = pick(rng, kinds), "../../../etc/passwd"
                elif way == 2:
                    content = of_bytes(content, rng)
                else:
                    content = of_text(content, rng)
            member.size = len(content) if member.isfile() else 0
            new.addfile(member, io.BytesIO(content))
    return stream.getvalue()
