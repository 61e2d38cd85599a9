import numpy as np
import pandas as pd
import pytest

from jladkit.errors import JladkitError
from jladkit.evaluators.statistics import bootstrap_means, interval_of_mean, paired_difference


def items(values, first=0):
    return pd.DataFrame({"pair": np.arange(first, first + len(values)), "pck@0.1": values})


def ends(interval):
    """(low, high) of an interval that has both."""
    assert interval.low is not None and interval.high is not None
    return interval.low, interval.high


def test_the_interval_has_the_width_that_theory_gives():
    values = np.random.default_rng(0).normal(0.5, 0.2, 400)
    interval = interval_of_mean(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.value == pytest.approx(values.mean())
    low, high = ends(interval)
    assert high - low == pytest.approx(2 * half, rel=0.06)


def test_it_covers_the_true_mean_about_95_times_in_100():
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        low, high = ends(interval_of_mean(generator.random(60), resamples=400))
        covered += low <= 0.5 <= high
    assert 180 <= covered <= 199


def test_values_without_a_number_are_left_out():
    assert interval_of_mean(np.array([0.5, np.nan, 0.7])).count == 2
    assert interval_of_mean(np.array([np.nan])).value is None


def test_one_item_has_a_mean_and_no_interval():
    interval = interval_of_mean(np.array([0.3]))
    assert (interval.value, interval.low, interval.high, interval.count) == (0.3, None, None, 1)


def test_draws_are_seeded_and_do_not_depend_on_how_they_are_chunked(monkeypatch):
    values = np.random.default_rng(0).random((50, 3))
    whole = bootstrap_means(values, resamples=100)
    assert whole.shape == (100, 3)
    np.testing.assert_array_equal(whole, bootstrap_means(values, resamples=100))
    assert not np.array_equal(whole, bootstrap_means(values, resamples=100, seed=1))
    monkeypatch.setattr("jladkit.evaluators.statistics.CHUNK", 1000)
    np.testing.assert_allclose(whole, bootstrap_means(values, resamples=100))


def test_a_paired_difference_is_narrower_than_the_scores_themselves():
    hard = np.random.default_rng(0).random(200)
    difference = paired_difference(items(hard + 0.1), items(hard))
    assert difference.value == pytest.approx(0.1)
    low, high = ends(difference)
    assert high - low < 1e-9
    assert difference.count == 200


def test_items_are_matched_by_name_and_not_by_place():
    values = np.arange(10.0)
    shuffled = items(values).sample(frac=1, random_state=0)
    assert paired_difference(items(values), shuffled).value == 0


def test_items_that_one_method_cannot_score_are_left_out():
    a, b = np.array([1.0, np.nan, 0.5]), np.array([0.0, 0.0, np.nan])
    assert paired_difference(items(a), items(b)).count == 1


def test_other_items_and_other_columns_are_refused():
    with pytest.raises(JladkitError, match="same pairs only: one has 3, the other 3, and 2"):
        paired_difference(items(np.ones(3)), items(np.ones(3), first=1))
    with pytest.raises(JladkitError, match=r"must have the columns pair and pck@0\.05"):
        paired_difference(items(np.ones(3)), items(np.ones(3)), "pck@0.05")
