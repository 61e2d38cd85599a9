from dataclasses import fields, replace

import h5py
import numpy as np
import pytest

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.predictions import (
    check_belongs,
    digest_of_predictions,
    open_predictions,
    read_csv,
    to_crop,
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
    back = np.ones((20, 2, 6, 5), np.float32)  # of another grid
    one = predicted(data, pair_flow=flow, pair_flow_back=back, peak_memory=5)
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


def attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            attribute("schema", 7),
            "has schema 7, this jladkit reads 1. Make it again: jladkit predict",
        ),
        (attribute("format", "other"), "must be a jladkit-predictions file"),
        (attribute("config", "{"), "the attribute config is missing or no JSON record"),
        (attribute("config", "[1]"), "the attribute config is missing or no JSON record"),
        (attribute("seconds_per_item", '{"pair": "x"}'), "must be numbers"),
        (attribute("peak_memory", "lots"), "must be numbers"),
        (lambda file: file.attrs.__delitem__("method"), "the attribute method is missing"),
        (delete("pair/points"), "pair/row and pair/points must come together"),
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
    with pytest.raises(JladkitError, match="pair/row names rows that"):
        check_belongs(path, predicted(data, pair_row=data.pairs("test") + 60), data, "test")


def lines(tmp_path, text):
    (tmp_path / "p.csv").write_text(text)
    return tmp_path / "p.csv"


def test_a_csv_fills_the_points_it_names(tmp_path, data):
    path = lines(tmp_path, "keypoint,pair,y,x,remark\n1,3,20.5,10,sure\n")
    found = read_csv(path, data, "test")
    assert found.pair_points is not None
    assert found.pair_points[3, 1].tolist() == [10, 20.5]
    assert np.isfinite(found.pair_points).sum() == 2
    assert found.method == "p"


def test_pixels_of_the_source_file_are_carried_into_the_crop(tmp_path, data):
    path = lines(tmp_path, "pair,keypoint,x,y\n0,0,25,45\n")
    found = read_csv(path, data, "test", "source")
    assert found.pair_points is not None
    assert found.pair_points[0, 0].tolist() == [10, 20]


def test_to_crop_inverts_the_stored_transform(data):
    xy = np.random.default_rng(0).random((5, 2)) * 50
    matrix = data.object_to_source[4]
    np.testing.assert_allclose(to_crop(data, 4, xy @ matrix[:, :2].T + matrix[:, 2]), xy)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must have the columns pair,keypoint,x,y"),
        ("pair,keypoint,x\n0,0,1\n", r"\['y'\] missing"),
        ("pair,keypoint,x,y\n0,0,1\n", "line 2: .* is not four numbers"),
        ("pair,keypoint,x,y\n0,0,1,2\n0,1,one,2\n", "line 3: .* is not four numbers"),
        ("pair,keypoint,x,y\n0,0,nan,2\n", "line 2: 0,0,nan,2 is not four numbers"),
        ("pair,keypoint,x,y\n20,0,1,2\n", r"line 2: pair must be 0\.\.19 and keypoint 0\.\.3"),
        ("pair,keypoint,x,y\n-1,0,1,2\n", r"line 2: pair must be 0\.\.19"),
        ("pair,keypoint,x,y\n1,3,1,2\n", "line 2: the source of pair 1 has no keypoint 3"),
        ("pair,keypoint,x,y\n0,0,1,2\n0,0,1,2\n", "line 3: pair 0, keypoint 0 stands twice"),
        ("\x00\x01\x02", "columns pair,keypoint,x,y|cannot be read"),
    ],
)
def test_a_csv_that_is_off_is_refused_by_its_line(tmp_path, data, text, words):
    with pytest.raises(JladkitError, match=words):
        read_csv(lines(tmp_path, text), data, "test")


def test_a_csv_that_is_not_text_or_not_there_is_refused(tmp_path, data):
    (tmp_path / "p.csv").write_bytes(b"\xff\xfe\x00pair")
    for path in (tmp_path / "p.csv", tmp_path / "none.csv"):
        with pytest.raises(JladkitError, match="cannot be read as CSV"):
            read_csv(path, data, "test")


def test_a_csv_about_a_split_without_pairs_is_refused(tmp_path, data):
    with pytest.raises(JladkitError, match=r"has no pairs in the val split, which .*p\.csv"):
        read_csv(lines(tmp_path, "pair,keypoint,x,y\n0,0,1,2\n"), data, "val")


def test_an_unknown_frame_is_refused(tmp_path, data):
    with pytest.raises(UsageError, match=r"Unknown frame 'image'\. Known: crop, source"):
        read_csv(lines(tmp_path, "pair,keypoint,x,y\n"), data, "test", "image")
