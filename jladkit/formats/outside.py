"""Predictions of methods that know nothing of jladkit: a CSV, or an HDF5 file of h5py alone.

A CSV about keypoints carried from source to target (PCK) has a row for each keypoint of each pair,
and the columns, in any order,

    pair       the number of the pair within the split, from 0 in file order; or its id
    keypoint   the number of the keypoint, from 0 as in object/keypoints; or its name
    x, y       where it lies in the target
    log_sigma  optional: how unsure the method is of that point, as the log of sigma; more is less
               sure, and only the order counts
    direction  optional: "forward", which is what the above says, or "back": where a keypoint of the
               target lies in the source, for protocols that go that way

A CSV about landmarks (IOD) has a row for each landmark of each object, and the columns

    object     the row of object/*; or its id
    landmark   from 0; every object has the same ones
    x, y       where it lies in the object's picture

Other columns are left unread. jladkit.formats.ids says what an id is. Digits are always a number.

An HDF5 file without the attribute `format` is an outsider's. It has the fields

    pair/points    (P, K, 2) as in predictions.h5, and pair/points_back if you have it
    pair/row       (P,) rows of pair/*, or pair/id (P,) text; with neither, P is all pairs of the
                   split in file order
    object/points  (M, L, 2) as in predictions.h5
    object/row     (M,) rows of object/*, or object/id (M,) text

one part or both, and may have pair/log_sigma and pair/flow. No attribute is needed. Those that are read: `method`
(the name in results; else the file's), `config` (JSON), and `split` and `dataset_digest`, which
must then be those of the split and data set at hand. With `format` it is a predictions.h5, and
needs everything that jladkit.formats.predictions lists.

x and y are pixels of the frame "crop" (the stored picture) or "source" (the file that it was cut
from); (0, 0) is the centre of the top left pixel in both.

A file must be complete: every keypoint that is visible in both pictures of a pair, every landmark
of every object of the split, and of train where a category of the split needs it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.formats.files import (
    Field,
    digest_of_file,
    is_unicode,
    read_arrays,
    read_json_attr,
    readable,
)
from jladkit.formats.ids import UNKNOWN, is_number, object_rows, pair_numbers
from jladkit.formats.joining import (
    again,
    check_keypoints,
    check_landmarks,
    check_objects,
    check_pairs,
    fill_repeated,
    in_crop,
    keypoint_numbers,
    listed,
    pairs_of,
    placed,
)
from jladkit.formats.predictions import (
    FIELDS,
    REMEDY,
    Predictions,
    check_belongs,
    check_log_sigma,
    open_predictions,
)
from jladkit.formats.table import Column, Refuse, Table, few, read_table

FRAMES = ("crop", "source")  # what the x and y of an outsider's file are pixels of


class Way(NamedTuple):
    """A field of transferred keypoints, and the end of a pair that they come from and go to."""

    field: str
    start: str
    end: str


# By what the column `direction` says.
WAYS = {
    "forward": Way("pair/points", "pair/source", "pair/target"),
    "back": Way("pair/points_back", "pair/target", "pair/source"),
}
IDS = {
    "pair/id": Field("O", ("P",), optional=True),
    "object/id": Field("O", ("M",), optional=True),
}


def read_predictions(path: Path, data: Dataset, split: str, frame: str = "crop") -> Predictions:
    """Predictions for `data`, from a predictions.h5 or from an outsider's file.

    Args:
        path: a file whose name ends in .csv, or HDF5; see this module.
        data: the data set they are about.
        split: train, val or test, which an outsider's file is about. A predictions.h5 says it
            itself.
        frame: one of FRAMES; a predictions.h5 is always in "crop".

    Raises:
        UsageError: `frame` is unknown, or not for this file.
        JladkitError: the file is broken, or does not fit `data`; the text says where and why.
    """
    if frame not in FRAMES:
        raise UsageError(f"Unknown frame {frame!r}. Known: {', '.join(FRAMES)}.")
    if path.suffix.lower() == ".csv":
        return read_csv(path, data, split, frame)
    with readable(path, REMEDY) as file:
        labelled = "format" in file.attrs
    if not labelled:
        return read_hdf5(path, data, split, frame)
    if frame != "crop":
        raise UsageError(
            f"--frame {frame} is about a CSV or HDF5 file of others; {path} is a predictions.h5, which is "
            "always in pixels of the stored pictures."
        )
    found = open_predictions(path)
    check_belongs(path, found, data, found.split)
    return found


def read_csv(path: Path, data: Dataset, split: str, frame: str) -> Predictions:
    """A CSV with the columns pair,keypoint,x,y or object,landmark,x,y. See `read_predictions`."""
    table = read_table(path)
    table.refuse(~placed(table.xy), "x and y must be finite numbers")
    if "pair" in table.keys:
        parts = carried(table, data, split, frame)
    else:
        parts = landmarks(table, data, split, frame)
    told = {"csv": path.name, "csv_sha256": digest_of_file(path), "frame": frame}
    return from_outside(path.stem, told, data, split, parts)


def carried(table: Table, data: Dataset, split: str, frame: str) -> dict[str, np.ndarray]:
    """The pair/* fields from a table of keypoints."""
    rows = pairs_of(table.path, data, split)
    direction = table.keys.get("direction", Column(["forward"], np.zeros(len(table.lines), int)))
    known = np.array([word in WAYS for word in direction.words], dtype=bool)
    table.refuse(~known[direction.codes], f"direction must be {' or '.join(WAYS)}")
    found = {"pair/row": rows}
    for name, way in WAYS.items():
        mine = np.array([word == name for word in direction.words], dtype=bool)[direction.codes]
        if name == "forward" or mine.any():
            told = points_of(table.only(mine), data, rows, split, way)
            found[way.field] = in_crop(told[..., :2], data, data.arrays[way.end][rows], frame)
            if name == "forward" and table.log_sigma is not None:
                found["pair/log_sigma"] = told[..., 2]
    return found


def points_of(table: Table, data: Dataset, rows: np.ndarray, split: str, way: Way) -> np.ndarray:
    """(P, K, 2) the keypoints of a table, for the pairs `rows` (P,) of a split, as they are given;
    (P, K, 3) with log sigma where the table of the forward way has that."""
    pair = pair_numbers(data, rows, table.keys["pair"].words)[table.keys["pair"].codes]
    check_pairs(pair, data, rows, split, table.refuse)
    category = data.pair_category[rows]
    known = keypoint_numbers(data, table.keys["keypoint"].words)
    keypoint = known[category[pair], table.keys["keypoint"].codes]
    if (keypoint < 0).any():
        code = int(category[pair[keypoint < 0][0]])
        table.refuse(
            keypoint < 0,
            "keypoint must be the number or the name of one that the pair's category has "
            f"({data.categories[code]}: {listed(data.keypoint_names[code])})",
        )
    start = data.object_keypoints[data.arrays[way.start][rows]]
    table.refuse(
        ~placed(start[pair, keypoint]),
        f"keypoint must be one that the {way.start.removeprefix('pair/')} of the pair has",
    )
    table.refuse(again(pair * start.shape[1] + keypoint), "a keypoint must come once in a pair")
    values = table.xy
    if way is WAYS["forward"] and table.log_sigma is not None:
        table.refuse(~np.isfinite(table.log_sigma), "log_sigma must be a finite number")
        values = np.column_stack([values, table.log_sigma])
    points = np.full((*start.shape[:2], values.shape[1]), np.nan)
    points[pair, keypoint] = values
    fill_repeated(points, data, rows)
    check_keypoints(table.path, points, data, rows, split)
    return points


def landmarks(table: Table, data: Dataset, split: str, frame: str) -> dict[str, np.ndarray]:
    """The object/* fields from a table of landmarks."""
    row = object_rows(data, table.keys["object"].words)[table.keys["object"].codes]
    check_objects(row, data, table.refuse)
    column = table.keys["landmark"]
    numbers = [int(word) if is_number(word) else UNKNOWN for word in column.words]
    landmark = np.array(numbers, dtype=np.int64)[column.codes]
    table.refuse(landmark == UNKNOWN, "landmark must be a number from 0")
    used = np.unique(landmark)
    gaps = np.nonzero(used != np.arange(len(used)))[0]
    if len(gaps):
        raise JladkitError(
            f"{table.path}: landmarks must be numbered from 0 without a gap, but of "
            f"0..{used[-1]} there is no {gaps[0]}."
        )
    objects, place = np.unique(row, return_inverse=True)
    table.refuse(again(place * len(used) + landmark), "a landmark must come once in an object")
    points = np.full((len(objects), len(used), 2), np.nan)
    points[place, landmark] = table.xy
    check_landmarks(table.path, objects, points, data, split)
    return {"object/row": objects, "object/points": in_crop(points, data, objects, frame)}


def read_hdf5(path: Path, data: Dataset, split: str, frame: str) -> Predictions:
    """An HDF5 file without the attribute `format`. See `read_predictions`."""
    with readable(path, REMEDY) as file:
        arrays = read_arrays(file, {**FIELDS, **IDS})
        said = {name: text_attr(file, name) for name in ("method", "split", "dataset_digest")}
        config = read_json_attr(file, "config") if "config" in file.attrs else {}
    for name, here in (("split", split), ("dataset_digest", data.digest)):
        if said[name] not in (None, here):
            raise JladkitError(
                f"{path} says that its {name} is {said[name]}, but that of {data.path} asked for "
                f"is {here}."
            )
    parts: dict[str, np.ndarray] = {}
    for group, place in (("pair", placed_pairs), ("object", placed_objects)):
        own = {name: array for name, array in arrays.items() if name.startswith(f"{group}/")}
        if own:
            check_fields(path, group, own)
            parts |= place(path, own, data, split, frame)
    if not parts:
        raise JladkitError(f"{path} must have pair/points or object/points, but has neither.")
    told = {"hdf5": path.name, "hdf5_sha256": digest_of_file(path), "frame": frame}
    return from_outside(said["method"] or path.stem, {**config, **told}, data, split, parts)


def text_attr(file: h5py.File, name: str) -> str | None:
    """An attribute as text, None where it is not there."""
    value = file.attrs.get(name)
    text = value.decode() if isinstance(value, bytes) else None if value is None else str(value)
    if text is not None and not is_unicode(text):
        raise JladkitError(f"{file.filename}: the attribute {name} is no UTF-8.")
    return text


def check_fields(path: Path, group: str, own: Mapping[str, np.ndarray]) -> None:
    """Raise JladkitError unless there are points, and one way at most to say what they are of."""
    if f"{group}/points" not in own:
        raise JladkitError(f"{path} has {', '.join(own)}, but must have {group}/points too.")
    if f"{group}/row" in own and f"{group}/id" in own:
        raise JladkitError(f"{path} has {group}/row and {group}/id, but must have one of them.")


def placed_pairs(
    path: Path, own: Mapping[str, np.ndarray], data: Dataset, split: str, frame: str
) -> dict[str, np.ndarray]:
    """The pair/* fields of an outsider's HDF5, brought to all pairs of the split in file order."""
    rows, points = pairs_of(path, data, split), own["pair/points"]
    if points.shape[1] != data.object_keypoints.shape[1]:
        raise JladkitError(
            f"{path}: pair/points must be (P, {data.object_keypoints.shape[1]}, 2), for as many "
            f"keypoints has {data.path}, but is {points.shape}."
        )
    check_log_sigma(path, own.get("pair/log_sigma"))
    ways = [way for way in WAYS.values() if way.field in own]
    fields = {"pair/row", "pair/id", "pair/log_sigma", *(way.field for way in ways)}
    others = own.keys() - fields
    if frame != "crop" and others:
        raise UsageError(
            f"{path}: {min(others)} is always in pixels of the stored pictures: --frame crop."
        )
    pair = np.arange(len(points))
    if "pair/id" in own:
        words = own["pair/id"].tolist()
        refuse = refusal(path, "pair/id", words)
        pair = pair_numbers(data, rows, words)
        check_pairs(pair, data, rows, split, refuse)
        refuse(again(pair), "a pair must come once")
    elif "pair/row" in own:
        refuse = refusal(path, "pair/row", own["pair/row"])
        pair = index_of(own["pair/row"], rows)
        refuse(pair == UNKNOWN, f"a row must be one of pair/* in the {split} split")
        refuse(again(pair), "a pair must come once")
    elif len(points) != len(rows):
        raise JladkitError(
            f"{path}: pair/points must have the {len(rows)} pairs of the {split} split, or "
            f"pair/row or pair/id beside it, but has {len(points)} pairs."
        )
    found = {"pair/row": rows}
    for name in own.keys() - {"pair/row", "pair/id"}:
        found[name] = np.full((len(rows), *own[name].shape[1:]), np.nan, own[name].dtype)
        found[name][pair] = own[name]
        fill_repeated(found[name], data, rows)
    for field, start, end in ways:
        check_keypoints(path, found[field], data, rows, split)
        found[field] = in_crop(found[field], data, data.arrays[end][rows], frame)
        found[field][~placed(data.object_keypoints[data.arrays[start][rows]])] = np.nan
    return found


def placed_objects(
    path: Path, own: Mapping[str, np.ndarray], data: Dataset, split: str, frame: str
) -> dict[str, np.ndarray]:
    """The object/* fields of an outsider's HDF5, in the order of their rows."""
    if "object/id" in own:
        words = own["object/id"].tolist()
        refuse, row = refusal(path, "object/id", words), object_rows(data, words)
        check_objects(row, data, refuse)
    elif "object/row" in own:
        refuse = refusal(path, "object/row", own["object/row"])
        row = index_of(own["object/row"], np.arange(len(data.object_category)))
        refuse(row == UNKNOWN, f"a row must be 0 to {len(data.object_category) - 1}")
    else:
        raise JladkitError(f"{path} has object/points, but must have object/row or object/id too.")
    refuse(again(row), "an object must come once")
    order = np.argsort(row)
    row, points = row[order], own["object/points"][order]
    check_landmarks(path, row, points, data, split)
    return {"object/row": row, "object/points": in_crop(points, data, row, frame)}


def refusal(path: Path, field: str, said: Any) -> Refuse:
    """What raises a JladkitError about some rows of a field."""

    def refuse(bad: np.ndarray, must: str) -> None:
        rows = np.nonzero(bad)[0].tolist()
        if rows:
            shown = few(rows, lambda row: f"row {row} ({said[row]})")
            raise JladkitError(
                f"{path}: {must}. Not so in {len(rows)} of {len(bad)} rows of {field}: {shown}."
            )

    return refuse


def index_of(wanted: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Where each of `wanted` stands in `rows`, which are sorted; UNKNOWN where it does not."""
    place = np.searchsorted(rows, wanted).clip(max=len(rows) - 1)
    return np.where(rows[place] == wanted, place, UNKNOWN)


def from_outside(
    method: str,
    config: dict[str, Any],
    data: Dataset,
    split: str,
    parts: Mapping[str, np.ndarray],
) -> Predictions:
    """Predictions from fields under their names, of a machine and a day that nobody told."""
    fields: dict[str, Any] = {name.replace("/", "_"): array for name, array in parts.items()}
    return Predictions(
        method=method,
        config=config,
        split=split,
        dataset=data.name,
        dataset_digest=data.digest,
        environment={},
        created="",
        **fields,
    )
