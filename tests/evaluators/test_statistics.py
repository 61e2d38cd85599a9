import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jladkit.evaluators.statistics import (
    Part,
    deviations,
    interval_of_mean,
    intervals,
    intervals_of_means,
    item_weights,
    summary,
)


def ends(interval):
    """(low, high) of an interval that has both."""
    assert interval.low is not None and interval.high is not None
    return interval.low, interval.high


def pairs_among(images, count, random):
    """(count, 2) pairs of different images out of `images`."""
    first = random.integers(images, size=count)
    return np.stack([first, (first + random.integers(1, images, size=count)) % images], axis=1)


def mean_part(values, images):
    """The plain mean of `values` (N,)."""
    return Part(values[:, None], np.full(len(values), 1 / len(values)), images)


def test_the_interval_has_the_width_that_theory_gives():
    values = np.random.default_rng(0).normal(0.5, 0.2, 400)
    interval = interval_of_mean(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.value == pytest.approx(values.mean())
    low, high = ends(interval)
    assert high - low == pytest.approx(2 * half, rel=0.06)


def coverage(design, effects, resamples=300, trials=200):
    """How often intervals of the mean hold 0, drawing images, and drawing pairs.

    Each pair's value is the sum of its images' effects and of noise, all around 0.
    """
    random = np.random.default_rng(0)
    held = np.zeros(2)
    for trial in range(trials):
        images = design(random)
        own = random.normal(0, effects, images.max() + 1)
        values = own[images].sum(axis=1) + random.normal(0, 1, len(images))
        for place, shown in enumerate((images, None)):
            low, high = ends(interval_of_mean(values, shown, resamples=resamples, seed=trial))
            held[place] += low <= 0 <= high
    return held / trials


def test_pairs_that_share_no_image_are_covered_about_95_times_in_100():
    by_image, by_pair = coverage(lambda _: np.arange(120).reshape(60, 2), effects=1.0)
    assert 0.9 <= by_image <= 0.99
    assert by_image == by_pair  # each pair is drawn whole: the very same draws


def test_pairs_that_share_images_are_covered_by_drawing_images_and_not_by_drawing_pairs():
    by_image, by_pair = coverage(lambda r: pairs_among(100, 400, r), effects=1.0)
    assert 0.9 <= by_image <= 0.99
    assert by_pair < 0.6


def test_drawing_images_costs_nothing_where_images_do_not_matter():
    by_image, by_pair = coverage(lambda r: pairs_among(100, 400, r), effects=0.0)
    assert 0.9 <= by_image <= 0.99
    assert abs(by_image - by_pair) < 0.05


def test_items_of_one_image_stand_or_fall_together():
    random = np.random.default_rng(0)
    values = np.repeat(random.normal(0, 1, 50), 8)  # eight objects an image, all alike
    low, high = ends(interval_of_mean(values, np.repeat(np.arange(50), 8)))
    once = interval_of_mean(values[::8])
    assert (low, high) == pytest.approx(ends(once))
    assert once.count == 50
    narrow = ends(interval_of_mean(values))
    assert narrow[1] - narrow[0] < 0.5 * (high - low)


def naive_variance(influence, images):
    """Every two items that share at least one image, each product once."""
    total = 0.0
    for u, mine in zip(influence, images, strict=True):
        for w, theirs in zip(influence, images, strict=True):
            total += u * w if set(mine) & set(theirs) else 0.0
    return total


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_draws_are_as_wide_as_all_items_that_share_an_image_make_them(seed, both_ways):
    random = np.random.default_rng(seed)
    images = pairs_among(7, 12, random)
    if both_ways:
        images = np.concatenate([images, images[:, ::-1]])
    values = random.normal(0, 1, 7)[images].sum(axis=1) + random.normal(0, 1, len(images))
    part = mean_part(values, images)
    influence = (values - values.mean()) / len(values)
    _, pair = np.unique(np.sort(images, axis=1), axis=0, return_inverse=True)
    independent = (np.bincount(pair, influence) ** 2).sum()
    expected = max(naive_variance(influence, images), independent)
    spread = deviations([part], resamples=4000, seed=0)[0].std()
    assert spread**2 == pytest.approx(expected, rel=0.12)


def test_the_names_of_images_and_the_order_of_items_change_no_value():
    random = np.random.default_rng(0)
    images, values = pairs_among(20, 60, random), random.random(60)
    plain = interval_of_mean(values, images)
    named = interval_of_mean(values, np.char.add("image", np.char.zfill(images.astype(str), 3)))
    assert named == plain
    order = random.permutation(60)
    turned = interval_of_mean(values[order], images[order][:, ::-1])
    assert turned.value == pytest.approx(plain.value)
    assert ends(turned) == pytest.approx(ends(plain))


def test_a_pair_and_its_reverse_are_not_two_independent_pairs():
    random = np.random.default_rng(0)
    images = np.arange(80).reshape(40, 2)
    values = random.random(40)
    twice = interval_of_mean(np.tile(values, 2), np.concatenate([images, images[:, ::-1]]))
    assert ends(twice) == pytest.approx(ends(interval_of_mean(values, images)))


def test_values_without_a_number_are_left_out_with_their_images():
    values, images = np.array([0.5, np.nan, 0.7]), np.array([[0, 1], [1, 2], [2, 3]])
    assert interval_of_mean(values, images).count == 2
    assert interval_of_mean(values, images) == interval_of_mean(values[[0, 2]], images[[0, 2]])
    assert interval_of_mean(np.array([np.nan])).value is None
    found, draws = intervals_of_means(np.full((2, 3), np.nan))
    assert [own.count for own in found] == [0, 0, 0] and draws.shape == (0, 3)


@pytest.mark.parametrize(
    ("values", "images"),
    [
        ([0.3], None),
        ([0.1, 0.5], [4, 4]),
        ([0.1, 0.5], [[1, 2], [2, 1]]),
    ],
)
def test_one_item_and_one_image_have_a_mean_and_no_interval(values, images):
    shown = None if images is None else np.array(images)
    interval = interval_of_mean(np.array(values), shown)
    assert (interval.low, interval.high, interval.count) == (None, None, len(values))
    assert interval.value == pytest.approx(np.mean(values))


def test_items_whose_images_cancel_out_have_no_interval():
    ring = np.array([[0, 1], [1, 2], [2, 3], [3, 0]])
    assert interval_of_mean(np.array([1.0, 0.0, 1.0, 0.0]), ring).low is None


def test_equal_scores_give_that_very_score_as_both_ends():
    interval = interval_of_mean(np.full(60, 0.1), pairs_among(20, 60, np.random.default_rng(0)))
    assert (interval.value, interval.low, interval.high) == (0.1, 0.1, 0.1)


def test_draws_are_seeded_and_do_not_depend_on_how_they_are_chunked(monkeypatch):
    random = np.random.default_rng(0)
    values, images = random.random((50, 3)), pairs_among(30, 50, random)
    whole, draws = intervals_of_means(values, images, resamples=100)
    assert draws.shape == (100, 3)
    assert intervals_of_means(values, images, resamples=100)[0] == whole
    assert intervals_of_means(values, images, resamples=100, seed=1)[0] != whole
    monkeypatch.setattr("jladkit.evaluators.statistics.CHUNK", 100)
    np.testing.assert_allclose(intervals_of_means(values, images, resamples=100)[1], draws)
    np.testing.assert_allclose(draws.mean(axis=0), values.mean(axis=0), atol=0.02)


def test_parts_are_read_off_the_same_draws_however_many_there_are():
    random = np.random.default_rng(0)
    values, images = random.random(50), pairs_among(30, 50, random)
    part = mean_part(values, images)
    alone, many = intervals([part])[0], intervals([part, mean_part(1 - values, images), part])
    assert many[0] == many[2] == alone
    assert many[1][0].high == pytest.approx(1 - ends(alone[0])[0])


def test_an_interval_ends_where_the_score_does():
    values = np.array([1.0] * 12 + [0.9])
    images = np.stack([np.zeros(13, int), np.arange(1, 14)], axis=1)
    free, held = (intervals([mean_part(values, images)], within=w)[0][0] for w in
                  ((-np.inf, np.inf), (0, 1)))  # fmt: skip
    assert ends(free)[1] > 1
    assert ends(held) == (ends(free)[0], 1)


@pytest.mark.parametrize(
    ("aggregation", "weights"),
    [
        ("pair-mean", [1 / 4, 1 / 4, 1 / 4, 1 / 4]),
        ("pooled", [1 / 10, 2 / 10, 3 / 10, 4 / 10]),
        ("category-mean", [1 / 2, 1 / 6, 1 / 6, 1 / 6]),
        # One pair of four in a; three of four in b, by points 2, 3 and 4 of 9.
        ("category-pooled", [1 / 4, 3 / 4 * 2 / 9, 3 / 4 * 3 / 9, 3 / 4 * 4 / 9]),
    ],
)
def test_weights_are_those_computed_by_hand(aggregation, weights):
    count, category = np.array([1, 2, 3, 4]), np.array(["a", "b", "b", "b"])
    found, groups = item_weights(aggregation, count, category)
    np.testing.assert_allclose(found, weights)
    assert (groups is None) == (aggregation in ("pair-mean", "pooled"))


def test_the_pooled_score_moves_as_a_ratio_does():
    """Against drawing pairs and dividing the drawn sums, which needs no linearisation."""
    random = np.random.default_rng(0)
    count = random.integers(1, 12, 300)
    right = random.binomial(count, 0.6)
    weights, groups = item_weights("pooled", count, np.zeros(300))
    part = Part((right / count)[:, None], weights, np.arange(300)[:, None], groups)
    low, high = ends(intervals([part])[0][0])
    drawn = random.integers(300, size=(2000, 300))
    ratios = right[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    assert (low, high) == pytest.approx(tuple(np.percentile(ratios, [2.5, 97.5])), abs=0.004)


def test_a_mean_over_categories_moves_within_each_category_only():
    random = np.random.default_rng(0)
    category = np.repeat([0, 1], [200, 20])
    values = category + random.normal(0, 0.2, 220)  # far apart, which must not widen anything
    weights, groups = item_weights("category-mean", np.ones(220), category)
    part = Part(values[:, None], weights, np.arange(220)[:, None], groups)
    low, high = ends(intervals([part])[0][0])
    wide = [values[category == c].std() / np.sqrt((category == c).sum()) / 2 for c in (0, 1)]
    assert high - low == pytest.approx(2 * 1.96 * np.hypot(*wide), rel=0.08)


def test_an_unknown_aggregation_and_a_third_image_are_refused():
    with pytest.raises(ValueError, match="Unknown aggregation 'median'"):
        item_weights("median", np.ones(2), np.zeros(2))
    with pytest.raises(ValueError, match=r"one image or two, but images is \(2, 3\)"):
        interval_of_mean(np.ones(2), np.zeros((2, 3)))


def test_a_summary_has_means_over_pairs_and_over_categories():
    values = np.array([1.0, 0.0, 0.5, np.nan, np.nan])
    found = summary(values, np.arange(5), np.array(["a", "b", "b", "b", "c"], dtype=object))
    assert (found["value"], found["count"], found["left_out"]) == (0.5, 3, 2)
    assert found["category_mean"] == pytest.approx((1 + 0.25) / 2)
    assert set(found["categories"]) == {"a", "b"}
    assert found["categories"]["b"]["value"] == 0.25
    assert found["categories"]["b"]["count"] == 2


def test_a_summary_draws_images_and_not_items():
    values = np.random.default_rng(0).random(60)
    apart = summary(values, np.arange(60), np.full(60, "a"))
    together = summary(np.repeat(values, 4), np.repeat(np.arange(60), 4), np.full(240, "a"))
    assert ends_of(together) == pytest.approx(ends_of(apart))
    alone = summary(np.repeat(values, 4), np.arange(240), np.full(240, "a"))
    assert np.ptp(ends_of(alone)) < 0.6 * np.ptp(ends_of(together))
    assert together["category_mean_low"] == pytest.approx(together["low"])


def ends_of(found) -> list[float]:
    return [found["low"], found["high"]]
