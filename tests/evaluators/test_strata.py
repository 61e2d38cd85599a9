import numpy as np
import pytest

from jladkit.evaluators.strata import (
    azimuth_difference,
    flagged,
    pictures,
    scale_ratio,
    seen_in_training,
    strata,
)
from tests.tiny import tiny_arrays, tiny_dataset


def classes(stratum):
    """The class name of each pair, "" for none."""
    return [stratum.classes[code] if code >= 0 else "" for code in stratum.codes]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (350, 5, "10 to 20 degrees"),
        (0, 9.9, "0 to 10 degrees"),
        (0, 10, "10 to 20 degrees"),
        (10, 190, "90 to 180 degrees"),
        (-40, 320, "0 to 10 degrees"),
        (0, np.nan, ""),
    ],
)
def test_azimuths_differ_by_the_shorter_way_round(tmp_path, a, b, expected):
    view = tiny_arrays()["object/viewpoint"]
    view[:2, 0] = a, b
    data = tiny_dataset(tmp_path / "view.h5", object_viewpoint=view)
    assert classes(azimuth_difference(data, np.array([0]), np.array([1]))) == [expected]


@pytest.mark.parametrize(
    ("side", "expected"),
    [(40, "1 to 1.25"), (50, "1.25 to 2"), (20, "2 to 4"), (10, "4 and more"), (0, "")],
)
def test_scales_are_shares_of_the_pictures_longer_side(tmp_path, side, expected):
    fields = tiny_arrays()
    size, box = fields["object/size"], fields["object/box"]
    size[:2] = (100, 50), (200, 100)
    box[0], box[1] = (0, 0, 40, 10), (0, 0, 2 * side, side)
    data = tiny_dataset(tmp_path / "scale.h5", object_size=size, object_box=box)
    for source, target in ((0, 1), (1, 0)):
        found = scale_ratio(data, np.array([source]), np.array([target]))
        assert classes(found) == [expected]


def test_flags_say_which_of_the_two_has_them_and_unknown_ones_nothing(tmp_path):
    flags = np.zeros(60, int)
    flags[:4] = 0, 1, 1, -1
    data = tiny_dataset(tmp_path / "flags.h5", object_occluded=flags)
    source, target = np.array([0, 1, 0, 1, 0, 3]), np.array([4, 4, 1, 2, 3, 1])
    found = flagged(data, source, target, "occluded")
    assert classes(found) == ["neither", "source", "target", "both", "", ""]


def test_pairs_seen_in_training_are_told_from_clean_ones(tmp_path):
    fields = tiny_arrays()
    image = fields["object/source_image"]
    rows = np.nonzero(fields["pair/split"] == 2)[0]
    source, target = fields["pair/source"], fields["pair/target"]
    # The first pair of test repeats a training pair, in the other order; the second shows one
    # picture of train.
    train = np.nonzero(fields["pair/split"] == 0)[0][0]
    image[source[rows[0]]], image[target[rows[0]]] = image[target[train]], image[source[train]]
    image[source[rows[2]]] = image[source[train]]
    data = tiny_dataset(tmp_path / "leak.h5", object_source_image=image)
    found = classes(seen_in_training(data, source[rows], target[rows]))
    shown = [{str(image[a]), str(image[b])} for a, b in zip(source, target, strict=True)]
    train_pairs = [shown[t] for t in np.nonzero(fields["pair/split"] == 0)[0]]
    in_train = {str(name) for name in image[fields["object/split"] == 0]}
    expected = [
        "the pair"
        if shown[pair] in train_pairs
        else "a picture"
        if shown[pair] & in_train
        else "clean"
        for pair in rows
    ]
    assert found == expected
    assert set(found) == {"the pair", "a picture", "clean"}


def test_a_split_by_picture_is_clean(tmp_path):
    data = tiny_dataset(tmp_path / "clean.h5")
    rows = data.pairs("test")
    found = seen_in_training(data, data.pair_source[rows], data.pair_target[rows])
    assert set(classes(found)) == {"clean"}


def test_objects_of_one_picture_share_its_number(tmp_path):
    image = tiny_arrays()["object/source_image"]
    image[7] = image[3]
    numbers, count = pictures(tiny_dataset(tmp_path / "same.h5", object_source_image=image))
    assert numbers[7] == numbers[3]
    assert count == len(np.unique(numbers)) == 59


def test_what_the_data_set_does_not_know_makes_no_stratum(tmp_path):
    data = tiny_dataset(tmp_path / "blank.h5", object_truncated=np.full(60, -1))
    names = {stratum.name for stratum in strata(data, data.pairs("test"))}
    assert names == {"scale ratio", "occluded", "difficult", "seen in training", "keypoint"}


def test_keypoints_are_sorted_by_name_where_names_mean_something(tmp_path):
    data = tiny_dataset(tmp_path / "names.h5")
    rows = data.pairs("test")
    found = strata(data, rows)[-1]
    car = int(np.nonzero(data.pair_category[rows] == 0)[0][0])
    face = int(np.nonzero(data.pair_category[rows] == 1)[0][0])
    assert [found.classes[c] for c in found.codes[car]] == [
        "car left_wheel", "car right_wheel", "car roof", "car light",
    ]  # fmt: skip
    assert [found.classes[c] for c in found.codes[face][:3]] == [
        "face left_eye", "face right_eye", "face nose",
    ]  # fmt: skip
    assert found.codes[face][3] == -1
    data.recipe["options"] = {"annotations": "lists"}  # PF-PASCAL's lists have no names
    assert "keypoint" not in {stratum.name for stratum in strata(data, rows)}
