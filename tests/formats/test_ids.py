"""Names of pairs and objects, there and back."""

import numpy as np
import pytest

from jladkit.formats.dataset import Dataset
from jladkit.formats.ids import (
    SEVERAL,
    UNKNOWN,
    first_of_pair,
    object_ids,
    object_rows,
    pair_ids,
    pair_numbers,
)
from tests.tiny import tiny_arrays, tiny_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("ids") / "tiny.h5")


def images(*changes: tuple[int, str]) -> np.ndarray:
    """object/source_image with some rows renamed."""
    names = tiny_arrays()["object/source_image"]
    for row, name in changes:
        names[row] = name
    return names


def test_every_id_leads_back_to_its_object_and_its_pair(data: Dataset):
    assert object_rows(data, object_ids(data)).tolist() == list(range(60))
    rows = data.pairs("test")
    assert pair_numbers(data, rows, pair_ids(data, rows)).tolist() == list(range(20))


def test_an_id_is_the_source_image_and_which_of_its_objects(data: Dataset):
    assert object_ids(data)[7] == "007.png#0"
    row = int(data.pairs("test")[0])
    assert pair_ids(data, np.array([row])) == [f"{row:03}.png#0>{data.pair_target[row]:03}.png#0"]


def test_digits_are_a_number_and_never_an_id(tmp_path):
    data = tiny_dataset(tmp_path / "d.h5", object_source_image=images((7, "3")))
    assert object_rows(data, ["3", "3#0"]).tolist() == [3, 7]


def test_what_there_is_not_is_unknown(data: Dataset):
    words = ["60", "-1", "1.0", "", "007.png#1", "no.png", "9" * 5000, "٣"]
    assert object_rows(data, words).tolist() == [UNKNOWN] * len(words)
    rows = data.pairs("test")
    reverse = [">".join(reversed(word.split(">"))) for word in pair_ids(data, rows[:1])]
    words = ["20", "004.png#0", *pair_ids(data, data.pairs("train")[:1]), *reverse]
    assert pair_numbers(data, rows, words).tolist() == [UNKNOWN] * len(words)


def test_the_index_may_be_left_out_where_one_thing_alone_can_be_meant(tmp_path):
    changes = images((0, "same.png"), (1, "same.png"))
    index = tiny_arrays()["object/source_index"]
    index[1] = 1
    data = tiny_dataset(tmp_path / "d.h5", object_source_image=changes, object_source_index=index)
    found = object_rows(data, ["002.png", "same.png", "same.png#0", "same.png#1"])
    assert found.tolist() == [2, SEVERAL, 0, 1]
    # One pair of the split leaves each of the two objects, and they go to different pictures.
    rows = data.pairs("train")
    short = [word.replace("#0", "").replace("#1", "") for word in pair_ids(data, rows[:2])]
    assert pair_numbers(data, rows, short).tolist() == [0, 1]


def test_objects_with_the_same_id_are_several(tmp_path):
    data = tiny_dataset(tmp_path / "d.h5", object_source_image=images((1, "000.png")))
    assert object_rows(data, ["000.png#0", "000.png", "002.png#0"]).tolist() == [
        SEVERAL, SEVERAL, 2,
    ]  # fmt: skip


def test_a_pair_that_is_listed_again_has_one_id_and_goes_by_its_first_number(tmp_path):
    arrays = tiny_arrays()
    test = np.nonzero(arrays["pair/split"] == 2)[0]
    for field in ("source", "target", "category", "common"):
        arrays[f"pair/{field}"][test[5]] = arrays[f"pair/{field}"][test[2]]
    data = tiny_dataset(
        tmp_path / "d.h5",
        **{f"pair_{f}": arrays[f"pair/{f}"] for f in ("source", "target", "category", "common")},
    )
    rows = data.pairs("test")
    ids = pair_ids(data, rows)
    assert ids[5] == ids[2]
    assert pair_numbers(data, rows, [ids[5], "5"]).tolist() == [2, 5]
    assert first_of_pair(data, rows).tolist() == [0, 1, 2, 3, 4, 2, *range(6, 20)]
