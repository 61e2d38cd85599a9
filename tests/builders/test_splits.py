"""Splits keep their shares of pairs, and pictures to themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jladkit.builders import splits

SHARES = (70, 20, 10)


@given(total=st.integers(0, 5000))
def test_counts_add_up_and_stay_within_one_of_the_shares(total):
    counts = splits.counts_for(total, SHARES)
    assert counts.sum() == total
    assert np.abs(counts - total * np.array(SHARES) / 100).max() <= 1


@settings(max_examples=80)
@given(available=st.tuples(*[st.integers(0, 400)] * 3), wanted=st.integers(1, 600))
def test_the_total_is_the_largest_that_fits(available, wanted):
    have = np.array(available)
    best = splits.fitting_total(have, SHARES, wanted)
    fits = [t for t in range(wanted + 1) if (splits.counts_for(t, SHARES) <= have).all()]
    assert best == max(fits)


@pytest.mark.parametrize("chance", [0.02, 0.3])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_picture_is_in_two_splits_and_pairs_keep_their_shares(chance, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 200, 240)  # some pictures hold several objects
    pairs = np.argwhere(np.triu(rng.random((240, 240)) < chance, 1))
    pairs = pairs[images[pairs[:, 0]] != images[pairs[:, 1]]]
    code = splits.split_images(images, pairs, SHARES, 1000, rng, {})
    drawn = splits.draw_pairs(splits.within(code, pairs), SHARES, 1000, rng)
    assert all(len(set(code[images == image])) == 1 for image in set(images))
    source, target = pairs[drawn].T
    counts = np.bincount(code[source], minlength=3)
    np.testing.assert_allclose(counts / counts.sum(), [0.7, 0.2, 0.1], atol=0.01)
    assert len(np.unique(drawn)) == len(drawn)
    assert splits.leakage(images, source, target, code[source]) == 0


def test_with_pairs_in_plenty_the_pictures_follow_the_shares():
    images = np.arange(100)
    pairs = np.argwhere(np.triu(np.ones((100, 100)), 1))
    code = splits.split_images(images, pairs, SHARES, 100, np.random.default_rng(0), {})
    assert np.bincount(code).tolist() == [70, 20, 10]


def test_a_picture_that_has_a_split_keeps_it():
    pairs = np.argwhere(np.triu(np.ones((30, 30)), 1))
    fixed = {3: 2, 4: 1}
    code = splits.split_images(np.arange(30), pairs, SHARES, 50, np.random.default_rng(0), fixed)
    assert (code[3], code[4]) == (2, 1)


def test_a_share_of_nothing_gets_nothing():
    pairs = np.argwhere(np.triu(np.ones((20, 20)), 1))
    code = splits.split_images(np.arange(20), pairs, (1, 0, 0), 50, np.random.default_rng(0), {})
    assert set(code) == {0}
    assert (
        len(splits.draw_pairs(splits.within(code, pairs), (1, 0, 0), 50, np.random.default_rng(0)))
        == 50
    )


def test_leakage_counts_test_pairs_that_share_a_picture_with_train():
    source, target = np.array([0, 2, 4]), np.array([1, 1, 5])
    pair_split = np.array([0, 2, 2])
    assert splits.leakage(np.arange(6), source, target, pair_split) == 0.5
    assert np.isnan(splits.leakage(np.arange(6), source, target, np.zeros(3, dtype=int)))
