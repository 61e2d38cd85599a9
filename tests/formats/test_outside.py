"""Predictions of others: joined by number, id and name, or refused in exact words."""

import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from drawn import drawn_arrays

from jladkit.errors import JladkitError, UsageError
from jladkit.evaluators.pck import evaluate
from jladkit.formats.dataset import Dataset, open_dataset, write_dataset
from jladkit.formats.ids import object_ids, pair_ids
from jladkit.formats.joining import again, to_crop
from jladkit.formats.outside import read_predictions
from jladkit.formats.predictions import write_predictions
from tests.tiny import predicted, tiny_arrays, tiny_dataset, true_points

Line = tuple[Any, ...]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("outside") / "tiny.h5")


def csv_of(path: Path, head: str, lines: Sequence[Line]) -> Path:
    """Write a CSV and return its path."""
    path.write_text("\n".join([head, *(",".join(map(str, line)) for line in lines)]) + "\n")
    return path


def keypoint_lines(data: Dataset, points: np.ndarray) -> list[Line]:
    """pair,keypoint,x,y of every finite point (P, K, 2) of the test split, by number."""
    at = np.argwhere(np.isfinite(points).all(axis=-1)).tolist()
    return [(pair, k, *points[pair, k].tolist()) for pair, k in at]


def landmark_lines(rows: np.ndarray, points: np.ndarray) -> list[Line]:
    """object,landmark,x,y of every point (M, L, 2), by row."""
    return [
        (row, k, *xy) for row, own in zip(rows.tolist(), points.tolist(), strict=True)
        for k, xy in enumerate(own)
    ]  # fmt: skip


def wanted_objects(data: Dataset) -> np.ndarray:
    return np.union1d(data.objects("train"), data.objects("test"))


def moved(data: Dataset) -> np.ndarray:
    """(P, K, 2) the truth of the test split, every point moved a little."""
    true = true_points(data)
    return true + np.random.default_rng(0).normal(0, 3, true.shape)


def test_numbers_ids_and_names_say_the_same(data: Dataset, tmp_path: Path):
    points, rows = moved(data), data.pairs("test")
    lines, ids = keypoint_lines(data, points), pair_ids(data, rows)
    names = [data.keypoint_names[code] for code in data.pair_category[rows]]
    named = [(ids[p], names[p][k], x, y) for p, k, x, y in keypoint_lines(data, points)]
    for spelled in (lines, named, lines[:30] + named[30:]):
        found = read_predictions(
            csv_of(tmp_path / "p.csv", "pair,keypoint,x,y", spelled), data, "test"
        )
        assert found.pair_row is not None and found.pair_points is not None
        assert found.pair_row.tolist() == rows.tolist()
        np.testing.assert_array_equal(found.pair_points, points)


def test_a_csv_says_who_made_it_by_its_name_and_digest(data: Dataset, tmp_path: Path):
    path = csv_of(tmp_path / "dino.csv", "pair,keypoint,x,y", keypoint_lines(data, moved(data)))
    found = read_predictions(path, data, "test")
    assert (found.method, found.split, found.dataset_digest) == ("dino", "test", data.digest)
    assert found.config["csv"] == "dino.csv" and len(found.config["csv_sha256"]) == 64


def test_pixels_of_the_source_file_are_carried_into_the_crop(data: Dataset, tmp_path: Path):
    points = moved(data)
    lines = keypoint_lines(
        data, 2 * points + 5
    )  # the crops lie at (5, 5) of pictures twice as large
    path = csv_of(tmp_path / "p.csv", "pair,keypoint,x,y", lines)
    found = read_predictions(path, data, "test", "source")
    assert found.pair_points is not None
    np.testing.assert_allclose(found.pair_points, points, atol=1e-9)


def test_to_crop_inverts_the_stored_transform_of_each_object(tmp_path: Path):
    random = np.random.default_rng(0)
    matrix = random.normal(size=(60, 2, 3)) + np.eye(2, 3) * 4
    data = tiny_dataset(tmp_path / "d.h5", object_to_source=matrix)
    xy, rows = random.random((3, 5, 2)) * 50, np.array([4, 9, 4])
    there = np.einsum("nij,nkj->nki", matrix[rows, :, :2], xy) + matrix[rows, None, :, 2]
    np.testing.assert_allclose(to_crop(data, rows[:, None], there), xy)
    np.testing.assert_allclose(to_crop(data, 4, there[0]), xy[0])


def test_a_transform_without_an_inverse_is_an_error_in_words(tmp_path: Path):
    data = tiny_dataset(tmp_path / "d.h5", object_to_source=np.zeros((60, 2, 3)))
    with pytest.raises(JladkitError, match="to_source cannot be inverted"):
        to_crop(data, 4, np.zeros((1, 2)))


def test_landmarks_come_by_row_or_by_id(data: Dataset, tmp_path: Path):
    rows = wanted_objects(data)
    points = np.random.default_rng(1).random((len(rows), 3, 2)) * 30
    ids = object_ids(data)
    lines = landmark_lines(rows, points)
    named = [(ids[row], *rest) for row, *rest in lines]
    for spelled in (lines, list(reversed(named))):
        path = csv_of(tmp_path / "p.csv", "object,landmark,x,y", spelled)
        found = read_predictions(path, data, "test")
        assert found.object_row is not None and found.object_points is not None
        assert found.pair_row is None
        assert found.object_row.tolist() == rows.tolist()
        np.testing.assert_array_equal(found.object_points, points)


def test_landmarks_in_pixels_of_the_source_file_are_carried_into_the_crop(
    data: Dataset, tmp_path: Path
):
    rows = wanted_objects(data)
    points = np.random.default_rng(1).random((len(rows), 3, 2)) * 30
    path = csv_of(tmp_path / "p.csv", "object,landmark,x,y", landmark_lines(rows, 2 * points + 5))
    found = read_predictions(path, data, "test", "source")
    assert found.object_points is not None
    np.testing.assert_allclose(found.object_points, points, atol=1e-9)


Change = Callable[[list[Line]], list[Line]]


def instead(place: int, *line: object) -> Change:
    """Replace one line."""
    return lambda lines: [*lines[:place], line, *lines[place + 1 :]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (instead(3, 0, 0, "x", 1), "x and y must be finite numbers. Not so in 1 of {n} rows: line 5"),
        (instead(0, 0, 0, "nan", 1), "x and y must be finite numbers. Not so in 1 of {n} rows: line 2"),
        (instead(0, 0, 0, "inf", 1), "x and y must be finite numbers"),
        (instead(1, 20, 0, 1, 1), "such as 004.png#0>058.png#0. Not so in 1 of {n} rows: line 3 (pair 20,"),
        (instead(1, -1, 0, 1, 1), "line 3 (pair -1, keypoint 0)"),
        (instead(1, "0.0", 0, 1, 1), "line 3 (pair 0.0, keypoint 0)"),
        (instead(1, "a>b", 0, 1, 1), "line 3 (pair a>b, keypoint 0)"),
        (instead(1, 0, 4, 1, 1), "2 roof, 3 light). Not so in 1 of {n} rows: line 3 (pair 0, keypoint 4)"),
        (instead(1, 1, "left_wheel", 1, 1), "(face: 0 left_eye, 1 right_eye, 2 nose). Not so in 1"),
        (instead(1, 1, 3, 1, 1), "line 3 (pair 1, keypoint 3)"),
        (lambda lines: [*lines, lines[0], lines[4]], "must come once in a pair. Not so in 2 of {n}"),
        (lambda lines: [*lines, (0, "left_wheel", 1, 1)], "keypoint must come once"),
        (lambda lines: [line for line in lines if line[0] not in (2, 7)],
         "lacks 2 of the 20 pairs of the test split: pair 2 (010.png#0>004.png#0), pair 7 ("),
        (lambda lines: lines[1:], "pictures of a pair: keypoint 0 (left_wheel) of pair 0 (004.png#0>0"),
        (lambda lines: [], "lacks 20 of the 20 pairs"),
    ],
)  # fmt: skip
def test_keypoints_that_do_not_fit_are_refused_by_line(
    data: Dataset, tmp_path: Path, change: Change, words: str
):
    lines = change(keypoint_lines(data, true_points(data)))
    path = csv_of(tmp_path / "p.csv", "pair,keypoint,x,y", lines)
    with pytest.raises(JladkitError, match=re.escape(words.format(n=len(lines)))):
        read_predictions(path, data, "test")


def test_a_keypoint_that_the_source_lacks_is_refused(tmp_path: Path):
    keypoints = tiny_arrays()["object/keypoints"]
    visible = tiny_arrays()["object/visible"]
    keypoints[4, 1], visible[4, 1] = np.nan, False
    data = tiny_dataset(tmp_path / "d.h5", object_keypoints=keypoints, object_visible=visible)
    lines = [*keypoint_lines(data, true_points(data)), (0, 1, 5, 5)]
    path = csv_of(tmp_path / "p.csv", "pair,keypoint,x,y", lines)
    with pytest.raises(
        JladkitError, match=r"must be one that the source of the pair has\. Not so in 1"
    ):
        read_predictions(path, data, "test")


def test_a_keypoint_seen_in_one_picture_alone_may_be_left_out(data: Dataset, tmp_path: Path):
    rows = data.pairs("test")
    common = (
        data.object_visible[data.pair_source[rows]] & data.object_visible[data.pair_target[rows]]
    )
    points = true_points(data)
    assert (np.isfinite(points).all(axis=-1) & ~common).any()
    points[~common] = np.nan
    path = csv_of(tmp_path / "p.csv", "pair,keypoint,x,y", keypoint_lines(data, points))
    found = read_predictions(path, data, "test").pair_points
    np.testing.assert_array_equal(found, points)


def test_directions_other_than_forward_and_back_are_refused(data: Dataset, tmp_path: Path):
    lines = [(*line, "forward") for line in keypoint_lines(data, true_points(data))]
    path = csv_of(tmp_path / "p.csv", "pair,keypoint,x,y,direction", lines)
    assert read_predictions(path, data, "test").pair_points is not None
    lines[2] = (*lines[2][:4], "across")
    with pytest.raises(JladkitError, match=r"must be forward or back\. Not so in 1 of .* line 4"):
        read_predictions(csv_of(path, "pair,keypoint,x,y,direction", lines), data, "test")


def test_keypoints_carried_back_go_the_same_way_with_the_ends_exchanged(
    data: Dataset, tmp_path: Path
):
    rows = data.pairs("test")
    back = data.object_keypoints[data.pair_source[rows]]
    lines = [(*line, "forward") for line in keypoint_lines(data, 2 * true_points(data) + 5)]
    lines += [(*line, "back") for line in keypoint_lines(data, 2 * back + 5)]
    path = csv_of(tmp_path / "p.csv", "pair,keypoint,x,y,direction", lines)
    found = read_predictions(path, data, "test", "source")
    assert found.pair_points is not None and found.pair_points_back is not None
    np.testing.assert_allclose(found.pair_points, true_points(data))
    np.testing.assert_allclose(found.pair_points_back, back)
    assert evaluate(data, found, "cats")[0].results[0]["value"] == 1
    kept = [line for line in lines if (line[0], line[4]) != (19, "back")]
    csv_of(path, "pair,keypoint,x,y,direction", kept)
    with pytest.raises(JladkitError, match="lacks 1 of the 20 pairs of the test split: pair 19"):
        read_predictions(path, data, "test", "source")
    csv_of(path, "pair,keypoint,x,y", [line[:4] for line in lines if line[4] == "forward"])
    assert read_predictions(path, data, "test", "source").pair_points_back is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (instead(1, 60, 0, 1, 1), "a row from 0 to 59, or an id such as 000.png#0. Not so in 1 of "),
        (instead(1, "no.png", 0, 1, 1), "line 3 (object no.png, landmark 0)"),
        (instead(1, 0, "nose", 1, 1), "landmark must be a number from 0. Not so in 1 of"),
        (instead(1, 0, 1_000_000_000, 1, 1), "without a gap, but of 0..1000000000 there is no 2"),
        (instead(2, 0, 0, 1, 1), "a landmark must come once in an object. Not so in 1 of"),
        (lambda lines: lines[1:], "lacks 1: landmark 0 of object 0 (000.png#0)"),
        (lambda lines: lines[2:], "train that landmarks are regressed on: object 0 (000.png#0)."),
        (lambda lines: [], "object 1 (001.png#0), object 2 (002.png#0) and 57 more."),
    ],
)  # fmt: skip
def test_landmarks_that_do_not_fit_are_refused(
    data: Dataset, tmp_path: Path, change: Change, words: str
):
    rows = wanted_objects(data)
    lines = change(landmark_lines(rows, np.ones((len(rows), 2, 2))))
    path = csv_of(tmp_path / "p.csv", "object,landmark,x,y", lines)
    with pytest.raises(JladkitError, match=re.escape(words)):
        read_predictions(path, data, "test")


def test_training_objects_of_other_categories_than_the_splits_may_be_left_out(tmp_path: Path):
    arrays = tiny_arrays()
    split = np.where(arrays["object/category"] == 1, 0, arrays["object/split"])
    data = tiny_dataset(tmp_path / "d.h5", object_split=split)
    rows = np.nonzero(arrays["object/category"] == 0)[0]
    lines = landmark_lines(rows, np.ones((len(rows), 2, 2)))
    path = csv_of(tmp_path / "p.csv", "object,landmark,x,y", lines)
    assert read_predictions(path, data, "test").object_row is not None


def repeating(path: Path) -> Dataset:
    """`tiny_dataset` whose sixth test pair is the third once more."""
    arrays = tiny_arrays()
    test = np.nonzero(arrays["pair/split"] == 2)[0]
    fields = ("source", "target", "category", "common")
    for field in fields:
        arrays[f"pair/{field}"][test[5]] = arrays[f"pair/{field}"][test[2]]
    return tiny_dataset(path, **{f"pair_{field}": arrays[f"pair/{field}"] for field in fields})


def test_what_is_said_of_a_pair_holds_where_the_list_repeats_it(tmp_path: Path):
    data = repeating(tmp_path / "d.h5")
    points = moved(data)
    lines = [line for line in keypoint_lines(data, points) if line[0] != 5]
    path = csv_of(tmp_path / "p.csv", "pair,keypoint,x,y", lines)
    found = read_predictions(path, data, "test").pair_points
    assert found is not None
    np.testing.assert_array_equal(found[5], points[2])
    said = csv_of(path, "pair,keypoint,x,y", keypoint_lines(data, points))
    again_said = read_predictions(said, data, "test").pair_points
    np.testing.assert_array_equal(again_said, points)  # said of both, each keeps its own


def test_a_split_without_pairs_and_an_unknown_frame_are_refused(data: Dataset, tmp_path: Path):
    path = csv_of(tmp_path / "p.csv", "pair,keypoint,x,y", [(0, 0, 1, 2)])
    with pytest.raises(JladkitError, match=r"has no pairs in the val split, which .*p\.csv"):
        read_predictions(path, data, "val")
    with pytest.raises(UsageError, match=r"Unknown frame 'image'\. Known: crop, source"):
        read_predictions(path, data, "test", "image")


def test_a_predictions_file_of_ours_is_read_and_has_one_frame(data: Dataset, tmp_path: Path):
    write_predictions(tmp_path / "p.h5", predicted(data))
    assert read_predictions(tmp_path / "p.h5", data, "test").method == "oracle"
    with pytest.raises(UsageError, match="--frame source is about a CSV or HDF5 file of others"):
        read_predictions(tmp_path / "p.h5", data, "test", "source")
    write_predictions(tmp_path / "q.h5", predicted(data, dataset_digest="00"))
    with pytest.raises(JladkitError, match="with digest 00, but"):
        read_predictions(tmp_path / "q.h5", data, "test")


def plain(path: Path, fields: dict[str, Any], **attributes: str) -> Path:
    """An HDF5 file as h5py alone writes it."""
    with h5py.File(path, "w") as file:
        for name, values in fields.items():
            file[name] = values
        file.attrs.update(attributes)
    return path


def test_points_alone_are_enough_when_they_are_all_pairs_in_order(data: Dataset, tmp_path: Path):
    points = moved(data)
    found = read_predictions(plain(tmp_path / "raft.h5", {"pair/points": points}), data, "test")
    np.testing.assert_array_equal(found.pair_points, points)
    assert (found.method, found.config["hdf5"]) == ("raft", "raft.h5")


@pytest.mark.parametrize("kind", ["row", "id", "bytes"])
def test_rows_or_ids_bring_pairs_of_any_order_to_their_place(
    data: Dataset, tmp_path: Path, kind: str
):
    points, rows = moved(data), data.pairs("test")
    order = np.random.default_rng(2).permutation(len(rows))
    ids = [pair_ids(data, rows)[k] for k in order]
    beside = {"row": ("pair/row", rows[order].astype(np.uint16)), "id": ("pair/id", ids),
              "bytes": ("pair/id", np.array(ids, dtype="S"))}[kind]  # fmt: skip
    flow = np.random.default_rng(3).random((20, 2, 4, 4)).astype(np.float32)
    fields = {"pair/points": points[order].astype(np.float32), "pair/flow": flow[order]}
    path = plain(tmp_path / "p.h5", {**fields, beside[0]: beside[1]})
    found = read_predictions(path, data, "test")
    assert found.pair_row is not None
    assert found.pair_row.tolist() == rows.tolist()
    np.testing.assert_array_equal(found.pair_points, points.astype(np.float32))
    np.testing.assert_array_equal(found.pair_flow, flow)


def test_positions_of_keypoints_that_the_source_lacks_are_dropped(data: Dataset, tmp_path: Path):
    path = plain(tmp_path / "p.h5", {"pair/points": np.nan_to_num(moved(data))})
    found = read_predictions(path, data, "test").pair_points
    np.testing.assert_array_equal(np.isnan(found), np.isnan(true_points(data)))  # pyright: ignore


@pytest.mark.parametrize("kind", ["row", "id"])
def test_landmarks_of_an_hdf5_come_in_any_order(data: Dataset, tmp_path: Path, kind: str):
    rows = wanted_objects(data)
    points = np.random.default_rng(1).random((len(rows), 3, 2)) * 30
    order = np.random.default_rng(2).permutation(len(rows))
    said = rows[order] if kind == "row" else [object_ids(data)[row] for row in rows[order]]
    fields = {"object/points": 2 * points[order] + 5, f"object/{kind}": said}
    found = read_predictions(plain(tmp_path / "p.h5", fields), data, "test", "source")
    assert found.object_row is not None and found.object_points is not None
    assert found.object_row.tolist() == rows.tolist()
    np.testing.assert_allclose(found.object_points, points)


def test_attributes_are_read_where_there_are_some(data: Dataset, tmp_path: Path):
    path = plain(tmp_path / "p.h5", {"pair/points": true_points(data)}, method="RAFT",
                 config=json.dumps({"iterations": 12}), split="test", dataset_digest=data.digest)  # fmt: skip
    found = read_predictions(path, data, "test")
    assert found.method == "RAFT"
    assert found.config["iterations"] == 12 and found.config["hdf5"] == "p.h5"


TRUE = "as true_points says"  # stands for the right array in the table below


@pytest.mark.parametrize(
    ("fields", "attributes", "words"),
    [
        ({}, {}, "must have pair/points or object/points, but has neither"),
        ({"pair/row": [1, 2]}, {}, "has pair/row, but must have pair/points too"),
        ({"pair/points": np.zeros((20, 2, 4))}, {}, "floats of size 20x2x2, but is float64 of size 20x2x4"),
        ({"pair/points": np.zeros((20, 4, 2), int)}, {}, "but is int64 of size 20x4x2"),
        ({"pair/points": np.zeros((20, 9, 2))}, {}, "must be (P, 4, 2), for as many keypoints"),
        ({"pair/points": np.zeros((18, 4, 2))}, {}, "or pair/row or pair/id beside it, but has 18 pairs"),
        ({"pair/points": TRUE, "pair/row": np.arange(19)}, {}, "of size 20x4x2"),
        ({"pair/points": TRUE, "pair/row": np.arange(20)}, {}, "pair/* in the test split. Not so in 14 of 20"),
        ({"pair/points": TRUE, "pair/row": [4] * 20}, {}, "a pair must come once. Not so in 19"),
        ({"pair/points": TRUE, "pair/id": ["a>b"] * 20}, {}, "Not so in 20 of 20 rows of pair/id: row 0 (a>b)"),
        ({"pair/points": TRUE, "pair/id": [4.5] * 20}, {}, "pair/id must be text of size 20"),
        ({"pair/points": TRUE, "pair/id": ["0"] * 20, "pair/row": [4] * 20}, {}, "must have one of"),
        ({"pair/points": np.full((20, 4, 2), np.nan)}, {}, "lacks 20 of the 20 pairs"),
        ({"object/points": np.zeros((60, 3, 2))}, {}, "must have object/row or object/id too"),
        ({"object/points": np.zeros((1, 3, 2)), "object/row": [60]}, {}, "a row must be 0 to 59"),
        ({"object/points": np.zeros((2, 3, 2)), "object/row": [5, 5]}, {}, "object must come once"),
        ({"object/points": np.zeros((1, 3, 2)), "object/row": [5]}, {}, "lacks 59 of 60 objects"),
        ({"object/points": np.full((60, 3, 2), np.inf), "object/row": np.arange(60)}, {},
         "must have the same landmarks, 0 to 2, for every object, but lacks 180"),
        ({"pair/points": TRUE}, {"split": "val"}, "its split is val"),
        ({"pair/points": TRUE}, {"dataset_digest": "77"}, "its dataset_digest is 77"),
        ({"pair/points": TRUE}, {"config": "{"}, "config is missing or no JSON record"),
        ({"pair/points": TRUE}, {"format": "jladkit-predictions", "schema": "1"},
         "pair/row and pair/points must come together"),
        ({"pair/points": TRUE}, {"format": "mine"}, "must be a jladkit-predictions file"),
    ],
)  # fmt: skip
def test_an_hdf5_that_does_not_fit_is_refused_by_its_field(
    data: Dataset,
    tmp_path: Path,
    fields: dict[str, Any],
    attributes: dict[str, str],
    words: str,
):
    whole = {name: true_points(data) if value is TRUE else value for name, value in fields.items()}
    path = plain(tmp_path / "p.h5", whole, **attributes)
    with pytest.raises(JladkitError, match=re.escape(words)):
        read_predictions(path, data, "test")


def test_text_that_is_no_text_is_refused(data: Dataset, tmp_path: Path):
    path = plain(tmp_path / "p.h5", {"pair/points": true_points(data)})
    with h5py.File(path, "r+") as file:
        file.create_dataset("pair/id", (20,), h5py.vlen_dtype(np.int32))
    with pytest.raises(JladkitError, match="pair/id must be text"):
        read_predictions(path, data, "test")


def test_log_sigma_comes_beside_the_points_of_a_csv_in_either_frame(data: Dataset, tmp_path: Path):
    points = moved(data)
    told = np.where(np.isfinite(points).all(axis=-1), np.arange(80.0).reshape(20, 4) - 9, np.nan)
    lines = [(*line, told[line[0], line[1]], "forward") for line in keypoint_lines(data, points)]
    back = data.object_keypoints[data.pair_source[data.pairs("test")]]
    lines += [(*line, "", "back") for line in keypoint_lines(data, back)]  # not asked of these
    head = "pair,keypoint,x,y,log_sigma,direction"
    for frame in ("crop", "source"):
        found = read_predictions(csv_of(tmp_path / "p.csv", head, lines), data, "test", frame)
        np.testing.assert_array_equal(found.pair_log_sigma, told)
    np.testing.assert_allclose(2 * np.asarray(found.pair_points) + 5, points)
    lines[1] = (*lines[1][:4], "high", "forward")
    with pytest.raises(JladkitError, match=r"log_sigma must be a finite .* 1 of .*: line 3 "):
        read_predictions(csv_of(tmp_path / "p.csv", head, lines), data, "test")


def test_log_sigma_of_an_hdf5_goes_to_its_pairs_and_has_no_frame(data: Dataset, tmp_path: Path):
    rows, order = data.pairs("test"), np.random.default_rng(2).permutation(20)
    told = np.random.default_rng(3).normal(size=(20, 4))
    fields = {"pair/points": moved(data)[order], "pair/row": rows[order], "pair/log_sigma": told[order]}  # fmt: skip
    path = plain(tmp_path / "p.h5", fields)
    for frame in ("crop", "source"):
        found = read_predictions(path, data, "test", frame).pair_log_sigma
        np.testing.assert_array_equal(found, told)
    path = plain(tmp_path / "p.h5", {**fields, "pair/log_sigma": told * np.inf})
    with pytest.raises(JladkitError, match="pair/log_sigma must be finite"):
        read_predictions(path, data, "test")


def test_a_flow_has_one_frame(data: Dataset, tmp_path: Path):
    fields = {"pair/points": true_points(data), "pair/flow": np.zeros((20, 2, 4, 4))}
    with pytest.raises(UsageError, match="pair/flow is always in pixels of the stored pictures"):
        read_predictions(plain(tmp_path / "p.h5", fields), data, "test", "source")


def test_what_is_neither_csv_nor_hdf5_is_refused(data: Dataset, tmp_path: Path):
    (tmp_path / "p.txt").write_text("pair,keypoint,x,y\n")
    for name, words in (("p.txt", "is not an HDF5 file"), ("none.h5", "There is no file")):
        with pytest.raises(JladkitError, match=words):
            read_predictions(tmp_path / name, data, "test")


def test_again_marks_every_repetition():
    assert again(np.array([3, 1, 3, 3, 2, 1])).tolist() == [False, False, True, True, False, True]


def test_two_hundred_thousand_rows_take_seconds(tmp_path: Path):
    count, objects = 66_000, 600
    arrays = drawn_arrays(objects=12)
    # The pictures of twelve objects, over and over.
    for name, array in arrays.items():
        if name.startswith("object/") and name != "object/image_bytes":
            arrays[name] = np.concatenate([array] * (objects // 12))
    arrays["object/source_image"] = np.array([f"{k}.png" for k in range(objects)], dtype=object)
    random = np.random.default_rng(0)
    chosen = random.choice(objects * objects, count, replace=False)
    arrays["pair/source"], arrays["pair/target"] = chosen // objects, chosen % objects
    for name, value in (("category", 0), ("split", 2), ("common", 3)):
        arrays[f"pair/{name}"] = np.full(count, value)
    write_dataset(tmp_path / "d.h5", arrays, name="many", recipe={}, source={})
    data = open_dataset(tmp_path / "d.h5")
    ids, names = pair_ids(data, np.arange(count)), ("left_eye", "right_eye", "nose")
    points = random.random((count, 3, 2)).round(3)
    lines = [
        f"{word},{name},{x},{y}"
        for word, own in zip(ids, points.tolist(), strict=True)
        for name, (x, y) in zip(names, own, strict=True)
    ]
    (tmp_path / "p.csv").write_text("pair,keypoint,x,y\n" + "\n".join(lines))
    begin = time.process_time()
    found = read_predictions(tmp_path / "p.csv", data, "test")
    assert time.process_time() - begin < 6  # under one on the machine where this was written
    np.testing.assert_array_equal(found.pair_points, points)
