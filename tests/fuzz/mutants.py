"""Mutants of bytes, texts and JSON: one or a few changes each, all drawn from one generator."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Mutate = Callable[[bytes, np.random.Generator], bytes]
LONGEST = 1 << 22  # bytes of a mutant: repeated blocks must not make the disk the bottleneck
BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 1 << 24, (1 << 31) - 1, 1 << 31)
WORDS_64 = (*WORDS, (1 << 32) - 1, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
NUMBERS = ("0", "-0", "-1", "1", "2147483648", "-2147483649", "9223372036854775808", "1" + "0" * 30,
           "9" * 5000, "1e308", "-1e308", "1e-320", "1e400", "nan", "inf", "-inf", "NaN",
           "Infinity", "0x10", "1_000", "0.1.2", "١٢", "1e5", "100000", "")  # fmt: skip
TEXTS = ("", " ", "\0", "a\0b", "../../x", "/etc/passwd", "C:\\x", ".", "..", "x" * 5000, "é" * 300,
         "\ud7ff\ufffd", "\u202e", "\r", "\x1b[31m", "<script>alert(1)</script>", "%s%n{0}", "'\"",
         "\ud800", "\udc80", "-", "--help", "\ufeff", "\x85", "nan", "0", "1e999")  # fmt: skip
SIGNS = tuple(' ,="[]{}\t#\n')
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 1 << 31, 1 << 63, -(1 << 63) - 1, 10**400, 0.5, -0.0, 1e308,
    float("nan"), float("inf"), -float("inf"), [], {}, [[]], [None], {"a": None}, [0] * 1000, *TEXTS,
)  # fmt: skip


def pick(rng: np.random.Generator, things: Sequence[Any]) -> Any:
    """One of `things`, as it is (rng.choice would make an array of them)."""
    return things[int(rng.integers(len(things)))]


def few(rng: np.random.Generator) -> int:
    """How many changes a mutant gets: mostly one."""
    return int(min(rng.geometric(0.6), 8))


def span(length: int, rng: np.random.Generator) -> tuple[int, int]:
    """First and last+1 of a stretch, most of them short."""
    first = int(rng.integers(length + 1))
    return first, min(length, first + int(2 ** rng.uniform(0, 12)))


def flip(raw: bytes, rng: np.random.Generator) -> bytes:
    """Some bits turned over."""
    changed = bytearray(raw)
    for _ in range(few(rng)):
        if changed:
            changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def overwrite(raw: bytes, rng: np.random.Generator) -> bytes:
    """A byte or a whole number of 2, 4 or 8 replaced by an extreme one, of either byte order."""
    size = int(pick(rng, (1, 2, 4, 8)))
    if len(raw) < size:
        return raw
    values = BYTES if size == 1 else WORDS_64 if size == 8 else WORDS
    number = int(pick(rng, values)) % (1 << 8 * size)
    at = int(rng.integers(len(raw) - size + 1))
    order: Any = pick(rng, ("little", "big"))
    return raw[:at] + number.to_bytes(size, order) + raw[at + size :]


def truncate(raw: bytes, rng: np.random.Generator) -> bytes:
    """The start alone, of any length."""
    return raw[: int(rng.integers(len(raw) + 1))]


def drop(raw: bytes, rng: np.random.Generator) -> bytes:
    """A stretch left out."""
    first, last = span(len(raw), rng)
    return raw[:first] + raw[last:]


def repeat(raw: bytes, rng: np.random.Generator) -> bytes:
    """A stretch many times over."""
    first, last = span(len(raw), rng)
    times = min(int(2 ** rng.uniform(1, 10)), LONGEST // (last - first + 1))
    return raw[:last] + raw[first:last] * times + raw[last:]


def splice(raw: bytes, rng: np.random.Generator) -> bytes:
    """A stretch of the same file over another one."""
    first, last = span(len(raw), rng)
    at = int(rng.integers(len(raw) + 1))
    return raw[:at] + raw[first:last] + raw[at + last - first :]


def noise(raw: bytes, rng: np.random.Generator) -> bytes:
    """A stretch of random bytes."""
    first, last = span(len(raw), rng)
    return raw[:first] + rng.bytes(last - first) + raw[last:]


BYTE_WAYS = (flip, flip, overwrite, overwrite, overwrite, truncate, drop, repeat, splice, noise)


def of_bytes(raw: bytes, rng: np.random.Generator) -> bytes:
    """A few changes to bytes that know nothing of the format."""
    for _ in range(few(rng)):
        raw = pick(rng, BYTE_WAYS)(raw, rng)
    return raw[:LONGEST]


def of_text(raw: bytes, rng: np.random.Generator) -> bytes:
    """Words and lines of a text exchanged for hostile ones; now and then bytes."""
    if rng.random() < 0.2:
        return of_bytes(raw, rng)
    text = raw.decode("utf-8", "replace")
    for _ in range(few(rng)):
        way = int(rng.integers(6))
        lines = text.split("\n")
        at = int(rng.integers(len(lines)))
        if way <= 2:  # a number or word
            found = list(re.finditer(r"[-+.\w/\\]+" if way else r"-?\d[\d.e+-]*", text))
            if found:
                word = pick(rng, found)
                new = pick(rng, NUMBERS if way <= 1 else TEXTS)
                text = text[: word.start()] + new + text[word.end() :]
        elif way == 3:
            lines[at : at + 1] = [] if rng.random() < 0.5 else [lines[at]] * 2
            text = "\n".join(lines)
        elif way == 4:
            lines[at] += pick(rng, TEXTS)
            text = "\n".join(lines)
        else:
            sign = pick(rng, SIGNS)
            text = text.replace(sign, pick(rng, (*SIGNS, "", sign * 2)), few(rng))
    return text.encode("utf-8", "surrogatepass")[:LONGEST]


def of_json(raw: bytes, rng: np.random.Generator) -> bytes:
    """Values of a JSON exchanged, removed and doubled; now and then its text."""
    if rng.random() < 0.25:
        return of_text(raw, rng)
    return to_bytes(of_value(json.loads(raw), rng))


def to_bytes(value: Any) -> bytes:
    """A value as JSON, NaN, halves of characters and all."""
    return json.dumps(value).encode()


def of_value(value: Any, rng: np.random.Generator) -> Any:
    """A plain nested value with a few of its parts changed, in place where it can be."""
    for _ in range(few(rng)):
        box = pick(rng, list(containers(value)) or [[value]])
        keys = list(box) if isinstance(box, dict) else list(range(len(box)))
        if not keys:
            continue
        key, way = pick(rng, keys), rng.random()
        if way < 0.15:
            del box[key]
        elif way < 0.25 and isinstance(box, dict):
            box[pick(rng, TEXTS)] = box.pop(key)
        elif way < 0.3:
            box[key] = nested(int(2 ** rng.uniform(0, 17)), box[key])
        elif way < 0.4 and isinstance(box, list):
            box += [box[key]] * few(rng)
        elif way < 0.5:
            other = pick(rng, list(containers(value)) or [[value]])
            parts = list(other.values()) if isinstance(other, dict) else other
            box[key] = json.loads(json.dumps(pick(rng, parts))) if parts else None
        else:
            box[key] = pick(rng, VALUES)
    return value


def containers(value: Any) -> Any:
    """Every list and record in a value, itself included."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, list | dict):
            yield one
            stack += list(one.values()) if isinstance(one, dict) else one


def nested(depth: int, value: Any) -> Any:
    """`value` in many lists; to be dumped it must stay within Python's own recursion."""
    for _ in range(min(depth, 200)):
        value = [value]
    return value
