"""What is taken of the pairs that come: distinct, balanced, no object too often."""

import numpy as np

from jladkit.builders.drawing import bin_edges, take


def batch(pairs: list[tuple[int, int]], apart: list[float] | None = None):
    return np.array(pairs), np.array(apart if apart is not None else [0.0] * len(pairs))


def test_the_first_distinct_pairs_are_taken():
    batches = [batch([(0, 1), (0, 1), (2, 3)]), batch([(2, 3), (1, 2), (0, 3)])]
    assert take(batches, 4, 3, None, None).tolist() == [[0, 1], [2, 3], [1, 2]]


def test_no_object_is_used_more_often_than_the_cap():
    batches = [batch([(0, 1), (0, 2), (0, 3), (1, 2), (2, 3)])]
    assert take(batches, 4, 9, 2, None).tolist() == [[0, 1], [0, 2], [1, 2]]


def test_balanced_bins_give_as_many_pairs_each():
    many = [(i, j) for i in range(20) for j in range(i + 1, 20)]
    apart = [float(k % 10 == 0) for k in range(len(many))]  # a tenth are far apart
    taken = take([batch(many, apart)], 20, 30, None, np.array([0.5]))
    code = [apart[many.index((i, j))] for i, j in taken.tolist()]
    assert code.count(0.0) == code.count(1.0) == 15


def test_what_a_poor_bin_leaves_over_goes_to_the_others():
    many = [(i, j) for i in range(20) for j in range(i + 1, 20)]
    apart = [float(k < 4) for k in range(len(many))]
    taken = take([batch(many, apart)], 20, 30, None, np.array([0.5]))
    assert len(taken) == 30
    assert sum(apart[many.index((i, j))] for i, j in taken.tolist()) == 4


def test_bins_are_even_from_the_least_to_the_largest_difference():
    np.testing.assert_allclose(bin_edges(10, 20), np.arange(11, 20))
