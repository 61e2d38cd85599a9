"""Scores during training that no evaluator has."""

import numpy as np

from jladkit.training.validation import distinct


def test_landmarks_that_share_a_place_are_not_distinct():
    apart = np.array([[0.0, 0], [3, 4], [9, 9]])
    pair = np.array([[0.0, 0], [3, 4], [3, 4.5]])
    assert distinct(np.stack([apart, apart]), near=1) == 1
    assert distinct(np.stack([apart, pair]), near=1) == (3 + 1) / 6
    assert distinct(np.stack([pair]), near=0.4) == 1


def test_one_landmark_is_distinct():
    assert distinct(np.zeros((2, 1, 2)), near=1) == 1
