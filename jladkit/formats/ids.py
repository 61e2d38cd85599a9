"""Names for pairs and objects that stay the same when a data set is built again.

    object   IMAGE#INDEX                object/source_image and object/source_index
    pair     IMAGE#INDEX>IMAGE#INDEX    of its source, then of its target

"#INDEX" may be left out (of both, in a pair) where only one object or pair can be meant. A pair
that a list repeats has one id, and what is said of it holds for each repetition.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from jladkit.formats.dataset import Dataset

UNKNOWN, SEVERAL = -1, -2  # in place of a number: nothing has that id, or more than one thing


def object_ids(data: Dataset) -> list[str]:
    """The id of every object, in file order."""
    images, indices = data.object_source_image.tolist(), data.object_source_index.tolist()
    return [f"{image}#{index}" for image, index in zip(images, indices, strict=True)]


def pair_ids(data: Dataset, rows: np.ndarray) -> list[str]:
    """The ids of some rows of pair/*."""
    return joined(object_ids(data), data, rows)


def joined(words: Sequence[str], data: Dataset, rows: np.ndarray) -> list[str]:
    """ "SOURCE>TARGET" for some rows of pair/*, from a word for every object."""
    sources, targets = data.pair_source[rows].tolist(), data.pair_target[rows].tolist()
    return [f"{words[a]}>{words[b]}" for a, b in zip(sources, targets, strict=True)]


def first_of_pair(data: Dataset, rows: np.ndarray) -> np.ndarray:
    """For each of `rows` (P,) of pair/*, the place in `rows` where that pair stands first."""
    sides = np.stack([data.pair_source[rows], data.pair_target[rows]], axis=1)
    _, first, inverse = np.unique(sides, axis=0, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]


def object_rows(data: Dataset, words: Sequence[str]) -> np.ndarray:
    """(W,) the row of object/* that each word gives, as the row itself or as an id.

    UNKNOWN or SEVERAL where a word gives none.
    """
    count = len(data.object_category)
    if all(is_number(word) for word in words):
        return numbered(words, count, {})
    forms = zip(object_ids(data), data.object_source_image.tolist(), strict=True)
    return numbered(words, count, table(forms, range(count)))


def pair_numbers(data: Dataset, rows: np.ndarray, words: Sequence[str]) -> np.ndarray:
    """(W,) the place in `rows` (P,) of pair/* that each word gives, as that number or as an id.

    UNKNOWN or SEVERAL where a word gives none.
    """
    if all(is_number(word) for word in words):
        return numbered(words, len(rows), {})
    short = joined(data.object_source_image.tolist(), data, rows)
    forms = zip(pair_ids(data, rows), short, strict=True)
    return numbered(words, len(rows), table(forms, first_of_pair(data, rows).tolist()))


def table(forms: Iterable[Sequence[str]], same: Sequence[int]) -> dict[str, int]:
    """Word to number. `forms` gives the words of each thing, `same` the first thing equal to it."""
    found: dict[str, int] = {}
    for words, number in zip(forms, same, strict=True):
        for word in words:
            if found.setdefault(word, number) != number:
                found[word] = SEVERAL
    return found


def numbered(words: Sequence[str], count: int, known: dict[str, int]) -> np.ndarray:
    """(W,) numbers below `count` as they are written, or as `known` has them."""
    found = (int(w) if is_number(w) else known.get(w, UNKNOWN) for w in words)
    return np.array([n if n < count else UNKNOWN for n in found], dtype=np.int64)


def is_number(word: str) -> bool:
    """Whether `word` is digits alone, and few enough to count anything."""
    return word.isascii() and word.isdigit() and len(word) < 19
