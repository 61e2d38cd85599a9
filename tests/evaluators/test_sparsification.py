"""Sparsification: curves by hand, what bounds them, and intervals against a naive draw."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from jladkit.errors import JladkitError, UsageError
from jladkit.evaluators import pck
from jladkit.evaluators.pck_protocols import PCK_PROTOCOLS
from jladkit.evaluators.sparsification import (
    KEPT,
    Points,
    ause,
    by_images,
    by_pairs,
    ends,
    evaluate,
    oracle,
    ranking,
    scores,
    sparsification,
    spearman,
    with_intervals,
)
from jladkit.formats.dataset import Dataset
from tests.tiny import predicted, tiny_dataset, true_points

QUARTERS = (1.0, 0.75, 0.5, 0.25)


def curve_of(log_sigma, right, kept=KEPT):
    """The curve of points that each stand there once."""
    return sparsification(ranking(np.array(log_sigma)), np.array(right), np.ones(len(right)), kept)


def gain_of(log_sigma, error, alpha=0.1):
    """Gain, AUSE and rank correlation of points that each stand there once."""
    log_sigma, error = np.asarray(log_sigma, float), np.asarray(error, float)
    once = np.ones(len(error))
    return scores(ranking(log_sigma), ranking(error), error <= alpha, once)[0]


def test_four_points_by_hand():
    curve = curve_of([5.0, -1.0, 2.0, 9.0], [True, True, False, False], QUARTERS)
    # Surest first: right, wrong, right, wrong.
    assert curve == pytest.approx([2 / 4, 2 / 3, 1 / 2, 1])
    best = oracle(0.5, QUARTERS)
    assert best == pytest.approx([1 / 2, 2 / 3, 1, 1])
    # Trapezoids of width 1/4 under the distances 0, 0, 1/2, 0, over a range of 3/4.
    assert ause(curve, best, QUARTERS) == pytest.approx((0.25 * 0.25 * 2) / 0.75)


def test_between_two_points_the_curve_is_read_linearly():
    # Of three points, half are one and a half: the first, right, and half of the second, wrong.
    assert curve_of([0.0, 1.0, 2.0], [True, False, True], (0.5,)) == pytest.approx([1 / 1.5])


def test_points_of_one_sigma_count_with_their_mean():
    order = [True, False, False, True]
    for right in set(permutations(order)):
        assert curve_of([7.0] * 4, right) == pytest.approx([0.5] * len(KEPT))
    assert curve_of([0.0, 1.0, 1.0, 1.0], [False, True, False, True], QUARTERS) == pytest.approx(
        [2 / 4, (4 / 3) / 3, (2 / 3) / 2, 0]
    )


numbers = st.lists(st.integers(0, 30), min_size=2, max_size=40)


@given(numbers)
def test_an_order_by_the_error_is_the_oracle_and_wins_all(found):
    error = np.array(found) / 100
    right = error <= 0.1
    best = oracle(right.mean())
    np.testing.assert_allclose(curve_of(error, right), best)
    gain, lost, rank = gain_of(error, error)
    assert lost == pytest.approx(0, abs=1e-12)
    assert np.isnan(gain) if right.all() or not right.any() else gain == pytest.approx(1)
    assert np.isnan(rank) if len(set(found)) == 1 else rank == pytest.approx(1)


@given(numbers, st.integers(0, 2**32 - 1))
def test_no_order_beats_the_oracle_and_the_other_way_round_loses(found, seed):
    error = np.array(found) / 100
    right = error <= 0.1
    sigma = np.random.default_rng(seed).normal(size=len(error))
    assert (curve_of(sigma, right) <= oracle(right.mean()) + 1e-12).all()
    if right.any() and not right.all():
        assert gain_of(-error, error)[0] < 1e-9


def test_over_all_orders_of_sigma_the_mean_gain_is_nothing():
    error = [0.01, 0.05, 0.2, 0.3, 0.02, 0.4]
    gains = [gain_of(order, error)[0] for order in permutations(range(6))]
    assert np.mean(gains) == pytest.approx(0, abs=1e-12)
    assert max(gains) == pytest.approx(1)


@given(numbers, st.integers(0, 2**32 - 1))
def test_what_keeps_the_order_of_sigma_changes_nothing(found, seed):
    sigma = np.random.default_rng(seed).integers(-9, 9, len(found)).astype(float)
    error = np.array(found) / 100
    one = gain_of(sigma, error)
    for other in (3 * sigma + 7, np.exp(sigma / 4), sigma**3):
        np.testing.assert_array_equal(gain_of(other, error), one)


@given(numbers, st.integers(0, 2**32 - 1))
def test_a_weight_is_as_good_as_points_that_stand_there_often(found, seed):
    random = np.random.default_rng(seed)
    error, sigma = np.array(found) / 100, random.integers(0, 9, len(found)).astype(float)
    often = random.integers(0, 4, len(found))
    often[0] += 1
    weighted = scores(ranking(sigma), ranking(error), error <= 0.1, often.astype(float))
    sigma, error = np.repeat(sigma, often), np.repeat(error, often)
    repeated = scores(ranking(sigma), ranking(error), error <= 0.1, np.ones(len(error)))
    for a, b in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


@settings(max_examples=50)
@given(numbers, st.integers(0, 2**32 - 1))
def test_the_rank_correlation_is_scipys(found, seed):
    sigma = np.random.default_rng(seed).integers(0, 9, len(found))
    mine = spearman(ranking(sigma), ranking(np.array(found)), np.ones(len(found)))
    if len(set(found)) > 1 and len(set(sigma)) > 1:
        assert mine == pytest.approx(np.asarray(spearmanr(sigma, found))[0])
    else:
        assert np.isnan(mine)


def test_a_pair_counts_with_the_product_of_its_two_images_or_as_often_as_it_was_drawn():
    images = np.array([[0, 1], [1, 2], [2, 2], [0, 3], [1, 0]])
    assert by_images(images, np.array([2, 3, 5, 0])).tolist() == [6, 15, 5, 0, 6]
    pair = np.array([0, 1, 2, 3, 0])
    assert by_pairs(images, pair, np.array([4, 0, 7, 2])).tolist() == [4, 0, 1, 2, 4]


def test_deviations_of_the_first_draws_are_scaled_to_the_variance_of_both():
    draws = np.linspace(-1, 1, 201)[:, None]  # 95 % of these lie within 0.95
    for floor, share in ((0.0, 1.0), (0.25, 0.5), (1 / 3, 1 / 3), (0.45, 0.45), (2.0, 1.0)):
        second = draws * np.sqrt(floor)
        low, high = ends(np.zeros(1), draws, second)
        assert (low[0], high[0]) == pytest.approx((-0.95 * share**0.5, 0.95 * share**0.5))
    holes = np.where(draws > 0.5, np.nan, draws)
    assert ends(np.zeros(1), holes, 0 * draws)[1, 0] < 0.5
    assert np.isnan(ends(np.full(1, np.nan), draws, draws)).all()
    assert ends(np.full(1, 0.7), 0 * draws + 0.7, 0 * draws + 0.7).ravel().tolist() == [0.7, 0.7]


def drawn_points(number=60, images=9, seed=0):
    """Points whose sigma tells a little of their error, on pictures that stand in many pairs."""
    random = np.random.default_rng(seed)
    error = random.exponential(0.1, number)
    ends = np.array([random.choice(images, 2, replace=False) for _ in range(number)])
    return Points(np.log(error) + random.normal(0, 1, number), error, error <= 0.1, ends)


def test_intervals_are_those_of_two_naive_draws():
    points, number = drawn_points(), 9
    ((measures, curve),) = with_intervals([points], resamples=40, seed=3)
    random = np.random.default_rng(3)

    def again(rows):
        sigma, error, right = (a[rows] for a in (points.log_sigma, points.error, points.right))
        return np.concatenate([gain_of(sigma, error), curve_of(sigma, right)])

    pairs = sorted({tuple(sorted(pair)) for pair in points.images.tolist()})
    first, second = [], []
    for _ in range(40):
        drawn = random.integers(number, size=number).tolist()
        first.append(again([
            row for row, (a, b) in enumerate(points.images)
            for _ in range(drawn.count(a) * drawn.count(b))
        ]))  # fmt: skip
    for _ in range(40):
        drawn = [pairs[k] for k in random.integers(len(pairs), size=len(pairs))]
        second.append(again([
            row for row, pair in enumerate(points.images.tolist())
            for _ in range(drawn.count(tuple(sorted(pair))))
        ]))  # fmt: skip
    value = again(np.arange(len(points.error)))
    plain, floor = np.var(first, axis=0), np.var(second, axis=0)
    scale = np.sqrt(np.maximum(plain - 2 * floor, floor) / np.maximum(plain, 1e-99)).clip(max=1)
    expected = np.percentile(value + scale * (np.array(first) - value), [2.5, 97.5], axis=0)
    np.testing.assert_allclose(np.concatenate([measures, curve], axis=1)[1:], expected, atol=1e-9)


def test_parts_share_their_draws_and_one_pair_has_no_interval():
    points = drawn_points()
    first = (points.images == points.images[0]).all(axis=1)
    assert first.any()
    twice = with_intervals([points, points, points.only(first)], resamples=30)
    np.testing.assert_array_equal(twice[0][0], twice[1][0])
    assert (twice[0][0][1] <= twice[0][0][0]).all() and (twice[0][0][0] <= twice[0][0][2]).all()
    assert np.isnan(twice[2][1][1:]).all() and not np.isnan(twice[2][1][0]).any()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("sparsification") / "tiny.h5")


def unsure(data: Dataset, log_sigma=None, seed=0):
    """Noisy predictions; log sigma is the log of the distance from the truth where none is given."""
    true = true_points(data)
    off = np.random.default_rng(seed).normal(0, 5, true.shape)
    told = np.log(np.linalg.norm(off + 0 * true, axis=-1)) if log_sigma is None else log_sigma
    return predicted(data, pair_points=true + off, pair_log_sigma=told)


def test_all_points_kept_are_the_pooled_pck_of_the_protocol(data):
    for protocol in ("jlad", "hpf", "dift-point"):
        result, items = evaluate(data, unsure(data), protocol, [0.15])
        other, _ = pck.evaluate(data, unsure(data), protocol, [0.15])
        assert result.curve["value"][0] == pytest.approx(other.results[0]["pooled"])
        assert len(items) == other.results[0]["points"] == result.results[0]["count"]
        assert result.curve["random"] == [result.curve["value"][0]] * len(KEPT)
        assert items["right"].to_numpy().mean() == pytest.approx(other.results[0]["pooled"])
        assert result.protocol["name"] == protocol


def test_a_sigma_that_is_the_error_wins_all_and_its_record_can_be_read(data):
    _, errors, _ = pck.measured(data, unsure(data), PCK_PROTOCOLS["jlad"])
    result, items = evaluate(data, unsure(data, errors))
    gain, lost, rank = result.results
    assert [row["measure"] for row in result.results] == ["gain", "ause", "spearman"]
    assert (gain["value"], lost["value"], rank["value"]) == pytest.approx((1, 0, 1))
    assert (gain["low"], gain["high"]) == pytest.approx((1, 1))
    assert gain["alpha"] == 0.1 and set(gain["categories"]) == {"car", "face"}
    assert sum(own["count"] for own in gain["categories"].values()) == gain["count"] == len(items)
    assert list(items.columns) == [
        "pair", "category", "source", "target", "source_image", "target_image",
        "keypoint", "log_sigma", "error", "right",
    ]  # fmt: skip


def test_pairs_come_in_any_order_and_the_same_record_comes_again(data):
    plain = unsure(data)
    order = np.random.default_rng(1).permutation(len(data.pairs("test")))
    assert plain.pair_row is not None and plain.pair_points is not None
    assert plain.pair_log_sigma is not None
    turned = predicted(
        data,
        pair_row=plain.pair_row[order],
        pair_points=plain.pair_points[order],
        pair_log_sigma=plain.pair_log_sigma[order],
    )
    one, again, other = (evaluate(data, said)[0] for said in (plain, plain, turned))
    assert one.to_json() == again.to_json()
    assert (one.results, one.curve) == (other.results, other.curve)


def test_one_sigma_everywhere_wins_nothing_and_the_result_says_so(data):
    result, _ = evaluate(data, unsure(data, np.zeros((len(data.pairs("test")), 4))))
    gain, _, rank = result.results
    assert gain["value"] == pytest.approx(0, abs=1e-12)
    assert rank["value"] is rank["low"] is None
    assert "log sigma is the same at every point" in result.notes[0]


def test_where_all_points_are_right_there_is_no_gain(data):
    told = np.random.default_rng(0).normal(size=(len(data.pairs("test")), 4))
    result, _ = evaluate(data, predicted(data, pair_log_sigma=told))
    gain, lost, _ = result.results
    assert gain["value"] is gain["low"] is None
    assert (lost["value"], lost["high"]) == (0, 0)


def test_what_cannot_be_scored_is_refused(data):
    with pytest.raises(JladkitError, match=r"do not say how unsure it is .*UnsureMatcher"):
        evaluate(data, predicted(data))
    holes = np.zeros((len(data.pairs("test")), 4))
    holes[:2] = np.nan
    with pytest.raises(JladkitError, match=r"finite log sigma at each of the \d+ points"):
        evaluate(data, unsure(data, holes))
    with pytest.raises(UsageError, match=r"rocco-pf carries .* goes that way: jlad, "):
        evaluate(data, unsure(data), "rocco-pf")
    with pytest.raises(UsageError, match=r"at one --alpha\. Got 2"):
        evaluate(data, unsure(data), alphas=[0.05, 0.1])
    with pytest.raises(UsageError, match="Did you mean 'jlad'"):
        evaluate(data, unsure(data), "jlda")
