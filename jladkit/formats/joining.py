"""Joining what others predicted to a data set: unknown, doubled and missing rows, and frames."""

from pathlib import Path

import numpy as np

from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset
from jladkit.formats.ids import (
    SEVERAL,
    UNKNOWN,
    first_of_pair,
    is_number,
    object_ids,
    pair_ids,
)
from jladkit.formats.table import Refuse, few


def pairs_of(path: Path, data: Dataset, split: str) -> np.ndarray:
    """Rows of pair/* in a split that must have some."""
    rows = data.pairs(split)
    if not len(rows):
        raise JladkitError(f"{data.path} has no pairs in the {split} split, which {path} is about.")
    return rows


def check_pairs(
    pair: np.ndarray, data: Dataset, rows: np.ndarray, split: str, refuse: Refuse
) -> None:
    """Refuse numbers that `pair_numbers` could not give."""
    refuse(
        pair == SEVERAL,
        "an id must name one pair only, as IMAGE#INDEX>IMAGE#INDEX; else give the pair's number",
    )
    refuse(
        pair == UNKNOWN,
        f"pair must be one of the {split} split of {data.path}: a number from 0 to "
        f"{len(rows) - 1}, or an id such as {pair_ids(data, rows[:1])[0]}",
    )


def check_objects(row: np.ndarray, data: Dataset, refuse: Refuse) -> None:
    """Refuse rows that `object_rows` could not give."""
    refuse(
        row == SEVERAL,
        "an id must name one object only, as IMAGE#INDEX; else give the object's row",
    )
    refuse(
        row == UNKNOWN,
        f"object must be one of {data.path}: a row from 0 to {len(data.object_category) - 1}, or an "
        f"id such as {object_ids(data)[0]}",
    )


def keypoint_numbers(data: Dataset, words: list[str]) -> np.ndarray:
    """(C, W) which keypoint of a category each word gives, by number or by name; UNKNOWN for none."""
    found = np.full((len(data.categories), len(words)), UNKNOWN)
    for code, names in enumerate(data.keypoint_names):
        known = {name: number for number, name in enumerate(names)}
        for place, word in enumerate(words):
            if not is_number(word):
                found[code, place] = known.get(word, UNKNOWN)
            elif int(word) < len(names):
                found[code, place] = int(word)
    return found


def listed(names: list[str]) -> str:
    """0 left_eye, 1 right_eye ..."""
    return ", ".join(f"{number} {name}" for number, name in enumerate(names))


def placed(points: np.ndarray) -> np.ndarray:
    """(...) bool: which of `points` (..., 2) have a position."""
    return np.asarray(np.isfinite(points).all(axis=-1))


def again(numbers: np.ndarray) -> np.ndarray:
    """(n,) bool: which of `numbers` (n,) stood before."""
    repeated = np.ones(len(numbers), dtype=bool)
    repeated[np.unique(numbers, return_index=True)[1]] = False
    return repeated


def fill_repeated(values: np.ndarray, data: Dataset, rows: np.ndarray) -> None:
    """Where a list has a pair again and nothing is said of that, take what is said of the first."""
    unsaid = np.isnan(values).reshape(len(values), -1).all(axis=1)
    values[unsaid] = values[first_of_pair(data, rows)[unsaid]]


def check_keypoints(
    path: Path, points: np.ndarray, data: Dataset, rows: np.ndarray, split: str
) -> None:
    """Raise JladkitError unless every keypoint that is visible in both pictures has a position.

    To count it as missed would punish a method for a fault of its file, and to leave it out would
    reward one that keeps silent where it is unsure.
    """
    source, target = data.pair_source[rows], data.pair_target[rows]
    wanted = data.object_visible[source] & data.object_visible[target]
    absent = wanted & ~placed(points)
    if not absent.any():
        return
    silent = wanted.any(axis=1) & (absent == wanted).all(axis=1)
    ids = pair_ids(data, rows)
    if silent.any():
        shown = few(np.nonzero(silent)[0].tolist(), lambda pair: f"pair {pair} ({ids[pair]})")
        raise JladkitError(
            f"{path} lacks {silent.sum()} of the {len(rows)} pairs of the {split} split: {shown}."
        )

    def named(cell: tuple[int, int]) -> str:
        pair, keypoint = cell
        name = data.keypoint_names[data.pair_category[rows[pair]]][keypoint]
        return f"keypoint {keypoint} ({name}) of pair {pair} ({ids[pair]})"

    raise JladkitError(
        f"{path} lacks {absent.sum()} of the {wanted.sum()} keypoints that are visible in both "
        f"pictures of a pair: {few(np.argwhere(absent).tolist(), named)}."
    )


def wanted_objects(data: Dataset, split: str) -> np.ndarray:
    """Rows of the objects that an IOD takes: the split's, and those of train that landmarks of the
    split's categories are regressed on."""
    scored, train = data.objects(split), data.objects("train")
    needed = np.isin(data.object_category[train], data.object_category[scored])
    return np.union1d(scored, train[needed])


def check_landmarks(
    path: Path, rows: np.ndarray, points: np.ndarray, data: Dataset, split: str
) -> None:
    """Raise JladkitError unless all landmarks of all objects that an IOD takes have a position."""
    ids = object_ids(data)
    wanted = wanted_objects(data, split)
    absent = np.setdiff1d(wanted, rows).tolist()
    if absent:
        raise JladkitError(
            f"{path} lacks {len(absent)} of {len(wanted)} objects: those of the {split} split, and "
            "those of train that landmarks are regressed on: "
            f"{few(absent, lambda row: f'object {row} ({ids[row]})')}."
        )
    holes = np.argwhere(~placed(points)).tolist()
    if holes:
        shown = few(
            holes, lambda at: f"landmark {at[1]} of object {rows[at[0]]} ({ids[rows[at[0]]]})"
        )
        raise JladkitError(
            f"{path} must have the same landmarks, 0 to {points.shape[1] - 1}, for every object, "
            f"but lacks {len(holes)}: {shown}."
        )


def in_crop(points: np.ndarray, data: Dataset, objects: np.ndarray, frame: str) -> np.ndarray:
    """`points` (n, K, 2) of the pictures of `objects` (n,), brought from `frame` to the crops."""
    return points if frame == "crop" else to_crop(data, objects[:, None], points)


def to_source(data: Dataset, rows: np.ndarray) -> np.ndarray:
    """(n, K, 2) the keypoints of some objects in pixels of their source files."""
    matrix = data.object_to_source[rows]
    turned = np.einsum("nij,nkj->nki", matrix[..., :2], data.object_keypoints[rows])
    return turned + matrix[:, None, :, 2]


def to_crop(data: Dataset, rows: np.ndarray | int, xy: np.ndarray) -> np.ndarray:
    """xy (..., 2) in pixels of objects' source files, as xy of their stored pictures.

    Raises:
        JladkitError: object/to_source of one of them cannot be inverted.
    """
    matrix = np.asarray(data.object_to_source[rows])
    try:
        inverse = np.linalg.inv(matrix[..., :2])
    except np.linalg.LinAlgError as error:
        raise JladkitError(f"{data.path}: an object's to_source cannot be inverted.") from error
    return np.einsum("...ij,...j->...i", inverse, xy - matrix[..., 2])
