from dataclasses import fields, replace

import h5py
import numpy as np
import pytest

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.predictions import (
    check_belongs,
    digest_of_predictions,
    open_predictions,
    write_predictions,
)
from tests.tiny import predicted, tiny_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("predictions") / "tiny.h5")


def same(a, b):
    """Whether two Predictions hold the same."""
    return all(
        np.array_equal(x, y, equal_nan=x.dtype.kind == "f") if isinstance(x, np.ndarray) else x == y
        for x, y in ((getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    )


def test_predictions_come_back_as_they_were_written(tmp_path, data):
    flow = np.zeros((20, 2, 3, 4), np.float32)
    back = np.full((20, 4, 2), 3.5)
    dense = np.ones((20, 2, 6, 5), np.float32)  # of another grid
    unsure = np.linspace(-3, 3, 80).reshape(20, 4)
    unsure[0, 0] = np.nan
    one = predicted(
        data,
        pair_log_sigma=unsure,
        pair_flow=flow,
        pair_points_back=back,
        pair_flow_back=dense,
        peak_memory=5,
    )
    write_predictions(tmp_path / "p.h5", one)
    assert same(open_predictions(tmp_path / "p.h5"), one)


@pytest.mark.parametrize("part", ["pair", "object"])
def test_one_part_is_enough(tmp_path, data, part):
    absent = {f"{part}_row": None, f"{part}_points": None}
    one = replace(predicted(data), **absent)
    write_predictions(tmp_path / "p.h5", one)
    assert same(open_predictions(tmp_path / "p.h5"), one)


def test_the_same_predictions_give_the_same_bytes(tmp_path, data):
    for name in ("a", "b"):
        write_predictions(tmp_path / name, predicted(data))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_existing_file_stays_when_told_so(tmp_path, data):
    write_predictions(tmp_path / "p.h5", predicted(data))
    with pytest.raises(UsageError, match="exists"):
        write_predictions(tmp_path / "p.h5", predicted(data, method="b"), overwrite=False)
    assert open_predictions(tmp_path / "p.h5").method == "oracle"


def test_the_digest_follows_the_points_alone(data):
    one = predicted(data)
    assert digest_of_predictions(one) == digest_of_predictions(replace(one, created="later"))
    assert one.pair_points is not None
    moved = replace(one, pair_points=one.pair_points + 1e-9)
    assert digest_of_predictions(one) != digest_of_predictions(moved)


def delete(name):
    return lambda file: file.__delitem__(name)


def only_back(file):
    """Leave nothing of the pairs but the points that were carried back."""
    file.create_dataset("pair/points_back", data=file["pair/points"][:])
    for name in ("pair/row", "pair/points"):
        del file[name]


def only_log_sigma(file):
    """Leave nothing of the pairs but how unsure the method is of them."""
    file.create_dataset("pair/log_sigma", data=np.zeros((20, 4)))
    for name in ("pair/row", "pair/points"):
        del file[name]


def attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            attribute("schema", 7),
            "has schema 7, this jladkit reads 1. A newer jladkit wrote it: install that, or make",
        ),
        (attribute("format", "other"), "must be a jladkit-predictions file"),
        (attribute("config", "{"), "the attribute config is missing or no JSON record"),
        (attribute("config", "[1]"), "the attribute config is missing or no JSON record"),
        (attribute("seconds_per_item", '{"pair": "x"}'), "must be numbers"),
        (attribute("peak_memory", "lots"), "must be numbers"),
        (lambda file: file.attrs.__delitem__("method"), "the attribute method is missing"),
        (delete("pair/points"), "pair/row and pair/points must come together"),
        (only_back, "pair/points_back needs pair/row"),
        (only_log_sigma, "pair/log_sigma needs pair/row"),
        (
            lambda file: file.create_dataset("pair/points_back", data=np.zeros((19, 4, 2))),
            "pair/points_back must be floats of size 20x4x2",
        ),
        (
            lambda file: file.create_dataset("pair/log_sigma", data=np.zeros((20, 3))),
            "pair/log_sigma must be floats of size 20x4, but is float64 of size 20x3",
        ),
        (
            lambda file: file.create_dataset("pair/log_sigma", data=np.full((20, 4), -np.inf)),
            "pair/log_sigma must be finite, or NaN where nothing is said, .* for 80 of 80",
        ),
        (delete("object/row"), "object/row and object/points must come together"),
        (
            lambda file: (delete("pair/row")(file), file.create_dataset("pair/row", data=[1, 2])),
            "pair/points must be floats of size 2xKx2",
        ),
    ],
)
def test_a_file_that_is_off_is_refused_by_its_field(tmp_path, data, spoil, words):
    write_predictions(tmp_path / "p.h5", predicted(data))
    with h5py.File(tmp_path / "p.h5", "r+") as file:
        spoil(file)
    with pytest.raises(JladkitError, match=words):
        open_predictions(tmp_path / "p.h5")


def test_a_truncated_file_and_a_missing_one_are_named(tmp_path, data):
    write_predictions(tmp_path / "p.h5", predicted(data))
    (tmp_path / "cut.h5").write_bytes((tmp_path / "p.h5").read_bytes()[:500])
    with pytest.raises(JladkitError, match=r"cut\.h5 is not an HDF5 file, or a truncated one"):
        open_predictions(tmp_path / "cut.h5")
    with pytest.raises(JladkitError, match="There is no file"):
        open_predictions(tmp_path / "none.h5")


def test_predictions_belong_to_one_data_set_and_split(tmp_path, data):
    path = tmp_path / "p.h5"
    check_belongs(path, predicted(data), data, "test")
    with pytest.raises(JladkitError, match="with digest 000, but"):
        check_belongs(path, predicted(data, dataset_digest="000"), data, "test")
    with pytest.raises(JladkitError, match="about the split test, not val"):
        check_belongs(path, predicted(data), data, "val")
    wide = np.zeros((len(data.pairs("test")), 7, 2))
    with pytest.raises(JladkitError, match=r"has 7 keypoints a pair, but .* has 4"):
        check_belongs(path, predicted(data, pair_points=wide), data, "test")
    with pytest.raises(JladkitError, match=r"has 7 keypoints a pair, but .* has 4"):
        check_belongs(path, predicted(data, pair_points_back=wide), data, "test")
    with pytest.raises(JladkitError, match="pair/row names rows that"):
        check_belongs(path, predicted(data, pair_row=data.pairs("test") + 60), data, "test")
