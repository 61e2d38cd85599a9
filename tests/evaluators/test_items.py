import numpy as np
import pytest

from jladkit.errors import JladkitError
from jladkit.evaluators.items import pair_columns, pictures, rows_in_order
from tests.tiny import predicted, tiny_arrays, tiny_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("items") / "tiny.h5")


def test_pairs_may_come_in_any_order(data):
    rows = data.pairs("test")
    order = np.random.default_rng(0).permutation(len(rows))
    found, places = rows_in_order(data, predicted(data, pair_row=rows[order]))
    np.testing.assert_array_equal(found, rows)
    np.testing.assert_array_equal(rows[order][places], rows)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: None, "hold 0 rows, among them 0"),
        (lambda rows: rows[1:], "each of the 20 pairs .* hold 19 rows"),
        (lambda rows: rows[[0, *range(19)]], "among them 19 of those"),
    ],
)
def test_predictions_that_do_not_fit_the_split_are_refused(data, change, words):
    with pytest.raises(JladkitError, match=words):
        rows_in_order(data, predicted(data, pair_row=change(data.pairs("test"))))


def test_a_split_without_pairs_is_refused(data):
    with pytest.raises(JladkitError, match="no pairs in the val split"):
        rows_in_order(data, predicted(data, pair_row=np.empty(0, int), split="val"))


def test_objects_of_one_picture_share_its_number(tmp_path):
    images = tiny_arrays()["object/source_image"]
    images[:3] = ["b.png", "a.png", "b.png"]
    numbers, count = pictures(tiny_dataset(tmp_path / "a.h5", object_source_image=images))
    assert numbers[0] == numbers[2] != numbers[1]
    assert count == len(set(images))


def test_a_table_of_pairs_says_which_pictures_they_show(data):
    rows = data.pairs("test")[:2]
    columns = pair_columns(data, rows)
    assert list(columns["pair"]) == list(rows)
    picture, _ = pictures(data)
    assert list(columns["target_image"]) == list(picture[data.pair_target[rows]])
    assert list(columns["source_image"]) == list(picture[data.pair_source[rows]])
