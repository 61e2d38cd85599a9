"""MATLAB's .mat files (v5 to v7), walked through before SciPy reads them.

SciPy's reader trusts the numbers in a file: with wrong ones it was seen to end the whole process,
or to ask for any amount of memory. Here every element must lie within the one around it, and hold
as many values as its sizes say. Only arrays of numbers, texts, cells and structs are let through.
"""

import io
import math
import re
import struct
import zlib
from typing import Any

from scipy.io import loadmat

HEADER = 128  # bytes, of which the last two tell the byte order
MOST = 1 << 27  # bytes that a file may have when its parts are no longer compressed
DEEPEST = 32  # structs in structs
MOST_DIMENSIONS = 32
MATRIX, COMPRESSED = 14, 15
INT8, INT32, UINT32 = 1, 5, 6
# Bytes of a value, by the type that an element's tag names.
NUMBERS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
TEXTS = {1: 1, 2: 1, 4: 2, 16: 1, 17: 2, 18: 4}
# Classes of arrays; 6 to 15 are the types of numbers.
CELL, STRUCT, TEXT = 1, 2, 4
NUMERIC = range(6, 16)
COMPLEX = 0x0800
BLANKS = 4096  # characters that a text without bytes may have, which are taken as blanks
NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")


def load_mat(raw: bytes, **options: Any) -> dict[str, Any]:
    """The variables of a .mat file, as scipy.io.loadmat gives them with `options`.

    Raises:
        NotImplementedError: it is of v7.3, which is HDF5.
        ValueError: it is broken, or has something else in it than this module lets through.
        Exception: whatever loadmat raises at what is left.
    """
    checked = Walk(raw).checked() if is_v5(raw) else raw
    return loadmat(io.BytesIO(checked), **options)


def is_v5(raw: bytes) -> bool:
    """Whether loadmat would read `raw` as v5 to v7; v4 has four bytes with a zero among them first,
    and v7.3 a version of 2."""
    if len(raw) < HEADER:
        raise ValueError(f"it has {len(raw)} bytes, fewer than a header")
    return 0 not in raw[:4] and 2 not in raw[124:126]


class Walk:
    """One pass through the elements of a file."""

    def __init__(self, raw: bytes) -> None:
        ends = {b"IM": "<", b"MI": ">"}
        if raw[126:128] not in ends:
            raise ValueError("its header tells no byte order")
        self.raw, self.order = raw, ends[raw[126:128]]
        self.pair = struct.Struct(self.order + "II").unpack_from  # compiled: called for every tag

    def checked(self) -> bytes:
        """The file with its compressed elements inflated, after a look at all of them."""
        parts, size, at = [self.raw[:HEADER]], HEADER, HEADER
        while at < len(self.raw):
            kind, first, last, _ = self.tag(self.raw, at, len(self.raw))
            if kind == COMPRESSED:
                part = inflated(self.raw[first:last], MOST - size)
                kind, first, end, _ = self.tag(part, 0, len(part))
                if end != len(part):
                    raise ValueError("a compressed element has more or less than one in it")
            else:
                part, first, end = self.raw[at:last], first - at, last - at
            if kind != MATRIX:
                raise ValueError(f"an element of type {kind} stands where a variable should")
            self.matrix(part, first, end, 0)
            parts.append(part)
            size, at = size + len(part), last
        return b"".join(parts)

    def tag(self, data: bytes, at: int, end: int) -> tuple[int, int, int, int]:
        """Of the element at `at`: type, first and last+1 byte of its values, and where the next
        begins, all of it before `end`."""
        if at + 8 > end:
            raise ValueError("it ends within an element's tag")
        word, size = self.pair(data, at)
        if word >> 16:  # up to four bytes stand in the tag itself
            kind, size, first, following = word & 0xFFFF, word >> 16, at + 4, at + 8
            if size > 4:
                raise ValueError(f"a small element has {size} bytes")
        else:
            kind, first = word, at + 8
            following = first + size + (-size % 8 if kind not in (MATRIX, COMPRESSED) else 0)
        if following > end:
            raise ValueError("an element reaches beyond the one around it")
        return kind, first, first + size, following

    def values(
        self, data: bytes, at: int, end: int, kinds: dict[int, int]
    ) -> tuple[int, bytes, int]:
        """How many values an element of one of `kinds` has, its bytes, and where the next begins."""
        kind, first, last, following = self.tag(data, at, end)
        if kind not in kinds or (last - first) % kinds[kind]:
            raise ValueError(f"an element of type {kind} with {last - first} bytes is out of place")
        return (last - first) // kinds[kind], data[first:last], following

    def matrix(self, data: bytes, at: int, end: int, depth: int) -> None:
        """Look at an array's elements, which must fill it."""
        if at == end and depth:  # an empty one within a struct or cell
            return
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
        count, raw, at = self.values(data, at, end, {UINT32: 4})
        if count != 2:
            raise ValueError("an array's flags are broken")
        flags, _ = self.pair(raw)
        _, raw, at = self.values(data, at, end, {INT32: 4})
        sizes = struct.unpack(f"{self.order}{len(raw) // 4}i", raw)
        if not 1 <= len(sizes) <= MOST_DIMENSIONS or min(sizes) < 0:
            raise ValueError(f"an array's size is {sizes[:8]}")
        _, _, at = self.values(data, at, end, {INT8: 1})  # its name
        at = self.contents(data, at, end, flags, math.prod(sizes), depth)
        if at > end or end - at >= 8:
            raise ValueError("an array's elements do not fill it")

    def contents(
        self, data: bytes, at: int, end: int, flags: int, count: int, depth: int
    ) -> int:  # fmt: skip
        """Look at the `count` values of an array; where they end."""
        kind = flags & 0xFF
        if kind in NUMERIC:
            for _ in range(2 if flags & COMPLEX else 1):
                found, _, at = self.values(data, at, end, NUMBERS)
                if found != count:
                    raise ValueError(f"an array of {count} numbers has {found}")
        elif kind == TEXT:
            found, _, at = self.values(data, at, end, TEXTS)
            if count > (found or BLANKS):
                raise ValueError(f"a text of {count} characters has {found}")
        elif kind in (CELL, STRUCT):
            fields, at = self.fields(data, at, end) if kind == STRUCT else (1, at)
            if count * fields > (end - at) // 8:
                raise ValueError(f"{count * fields} arrays do not fit into {end - at} bytes")
            for _ in range(count * fields):
                inner, first, last, following = self.tag(data, at, end)
                if inner != MATRIX or last != following:
                    raise ValueError(f"an element of type {inner} stands where an array should")
                self.matrix(data, first, last, depth + 1)
                at = following
        else:
            raise ValueError(f"an array of class {kind} is none that is read here")
        return at

    def fields(self, data: bytes, at: int, end: int) -> tuple[int, int]:
        """How many fields a struct has, and where its values begin."""
        count, raw, at = self.values(data, at, end, {INT32: 4})
        (length,) = struct.unpack(self.order + "i", raw) if count == 1 else (0,)
        if length < 1:
            raise ValueError("the names of a struct's fields have no length")
        size, names, at = self.values(data, at, end, {INT8: 1})
        if size % length:
            raise ValueError("the names of a struct's fields are cut off")
        for first in range(0, size, length):
            name = names[first : first + length].partition(b"\0")[0]
            if not NAME.fullmatch(name):  # "_fieldnames", say, would overwrite SciPy's own
                raise ValueError(f"a struct's field is called {name[:40]!r}")
        return size // length, at


def inflated(raw: bytes, most: int) -> bytes:
    """What zlib made of `raw`, which must be at most `most` bytes."""
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(raw, most + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(found) > most:
        raise ValueError(f"it has more than {most} bytes when it is no longer compressed")
    if not stream.eof:
        raise ValueError("a compressed element is cut off")
    return found
