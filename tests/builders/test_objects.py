"""What is read from names, and pictures that objects share."""

import pytest

from jladkit.builders import objects


@pytest.mark.parametrize(
    ("name", "mirrored"),
    [
        ("left_eye", "right_eye"),
        ("body_back_right_upper", "body_back_left_upper"),
        ("nose", "nose"),
        ("cleft", "cleft"),
        ("Left-ear", "Right-ear"),
    ],
)
def test_left_and_right_are_exchanged_as_words(name, mirrored):
    assert objects.mirrored_name(name) == mirrored


def test_a_keypoint_whose_other_side_is_missing_has_no_mirror():
    names = ["left_eye", "right_eye", "nose", "left_paw"]
    assert objects.flip_permutation(names) == [1, 0, 2, -1]


def test_eyes_normalise_iod_only_where_both_exist():
    assert objects.iod_pair(["nose", "right_eye", "left_eye"]) == (2, 1)
    assert objects.iod_pair(["left_eye", "nose"]) == (-1, -1)


def test_short_categories_are_filled_up():
    arrays = objects.category_arrays({"a": ["x", "y"], "b": ["z"]})
    assert arrays["category/keypoint_names"].tolist() == [["x", "y"], ["z", ""]]
    assert arrays["category/flip"].tolist() == [[0, 1], [0, -1]]
