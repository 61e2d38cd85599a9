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
    assert all(len(set(code[images == image])) == 1 for image in set(images))
    within = splits.within(code, pairs)
    assert splits.fitting_total(np.bincount(within, minlength=4)[:3], SHARES, 1000) > 100
    source, target = pairs[within < 3].T
    for shared in leakage(images, source, target, code[source]).values():
        assert shared == {"images": 0, "pairs": 0, "pairs_with_seen_image": 0}


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


def test_pictures_drawn_at_random_keep_the_shares_and_what_is_fixed():
    images = np.repeat(np.arange(100), 2)
    code = splits.random_images(images, SHARES, np.random.default_rng(0), {7: 2, 8: 2})
    assert (code[::2] == code[1::2]).all()
    assert code[14] == code[16] == 2
    assert np.bincount(code[::2]).tolist() == [69, 19, 12]  # 98 in the shares, and the two


def leakage(
    images: np.ndarray, source: np.ndarray, target: np.ndarray, code: np.ndarray
) -> dict[str, dict[str, float]]:
    arrays = {"pair/source": source, "pair/target": target, "pair/split": code}
    return splits.leakage({**arrays, "object/source_image": images.astype(str)})


def test_leakage_counts_pictures_and_pairs_that_two_splits_share():
    source, target = np.array([0, 2, 1, 4]), np.array([1, 1, 0, 5])
    shared = leakage(np.arange(6), source, target, np.array([0, 2, 2, 2]))
    # Picture 1 of the first test pair, pictures 0 and 1 of the second, none of the third.
    assert shared == {"train-test": {"images": 2, "pairs": 1, "pairs_with_seen_image": 2 / 3}}
    assert leakage(np.arange(6), source, target, np.zeros(4, dtype=int)) == {}
