import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jladkit.errors import JladkitError, UsageError
from jladkit.evaluators.pck import (
    CURVE,
    aggregate,
    correct,
    counted,
    curve_and_area,
    evaluate,
    pck,
    per_pair,
)
from jladkit.evaluators.pck_protocols import PCK_PROTOCOLS
from tests.tiny import predicted, tiny_arrays, tiny_dataset, true_points

ALPHAS = (0.05, 0.1, 0.2)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("pck") / "tiny.h5")


def four_points():
    """One pair, extent 100: off by 3-4-5, by exactly 10, by 11, and a point out of sight."""
    true = np.array([[[10.0, 10.0], [50.0, 20.0], [30.0, 80.0], [0.0, 0.0]]])
    off = np.array([[[3.0, 4.0], [10.0, 0.0], [0.0, -11.0], [99.0, 99.0]]])
    return true + off, true, np.array([[True, True, True, False]]), np.array([100.0])


def test_errors_of_four_points_are_those_computed_by_hand():
    np.testing.assert_allclose(pck(*four_points()), [[0.05, 0.1, 0.11, np.nan]])


def test_four_points_score_one_two_and_three_thirds():
    np.testing.assert_allclose(per_pair(pck(*four_points()), ALPHAS), [[1 / 3, 2 / 3, 1]])


@pytest.mark.parametrize("extent", [3, 10, 30, 60, 70, 130, 300, 1700])
@pytest.mark.parametrize("hundredths", [5, 10, 15, 20])
def test_a_distance_of_exactly_alpha_times_the_extent_counts(extent, hundredths):
    # 100 x distance is a whole number, so the ideal quotient is the decimal alpha.
    true = np.zeros((1, 1, 2))
    predicted_at = np.array([[[extent * 100 * hundredths / 10000, 0.0]]])
    errors = pck(predicted_at, true, np.ones((1, 1), bool), np.array([float(extent)]))
    assert per_pair(errors, [hundredths / 100]) == 1
    assert per_pair(errors + 1e-9, [hundredths / 100]) == 0


@pytest.mark.parametrize("side", [224, 240, 256, 288])
@pytest.mark.parametrize(("name", "right"), [("jlad", 1), ("geo-aware", 0)])
def test_squashing_leaves_a_tie_to_the_comparator(side, name, right):
    # Keypoints in whole pixels, off by a twentieth of the picture's width; the factor rounds.
    width = np.arange(20.0, 501, 20)[:, None, None]
    true = np.random.default_rng(0).integers(0, 20, (len(width), 1, 2)).astype(float)
    moved = true + width / 20 * [1, 0]
    visible, extent = np.ones((len(width), 1), bool), np.full(len(width), float(side))
    errors = pck(moved * (side / width), true * (side / width), visible, extent)
    protocol = PCK_PROTOCOLS[name]
    assert (per_pair(errors, [0.05], protocol.comparator) == right).all()
    curve, _ = curve_and_area(errors, np.full(len(width), "a"), protocol)
    assert curve[[CURVE.index(0.04), CURVE.index(0.05), CURVE.index(0.06)]] == pytest.approx(
        [0, right, 1]
    )


def mean_of(errors, aggregation, category=("a", "b", "b"), alpha=0.1):
    """One of the means over three pairs at one alpha."""
    scores = per_pair(errors, [alpha])
    return aggregate(scores, counted(errors), np.array(category), aggregation)[0]


def test_below_is_not_the_same_as_within():
    errors = pck(*four_points())
    np.testing.assert_allclose(per_pair(errors, [0.1, 0.11], "<="), [[2 / 3, 1]])
    np.testing.assert_allclose(per_pair(errors, [0.1, 0.11], "<"), [[1 / 3, 2 / 3]])


def test_an_extent_of_0_is_met_by_an_exact_keypoint_alone():
    errors = pck(np.array([[[1.0, 1.0], [2.0, 1.0]]]), np.ones((1, 2, 2)),
                 np.ones((1, 2), bool), np.zeros(1))  # fmt: skip
    np.testing.assert_array_equal(errors, [[0, np.inf]])
    assert per_pair(errors, [1.0]) == 0.5


def test_a_pair_without_a_visible_keypoint_is_left_out_of_the_mean():
    errors = np.array([[0.01, np.nan], [np.nan, np.nan], [0.3, 0.01]])
    np.testing.assert_allclose(per_pair(errors, [0.1])[:, 0], [1, np.nan, 0.5])
    assert mean_of(errors, "pair-mean") == 0.75
    assert mean_of(errors, "category-mean", ("a", "b", "c")) == 0.75
    assert np.isnan(mean_of(np.full((3, 1), np.nan), "pooled"))


def test_pairs_points_and_categories_are_different_means():
    errors = np.array([[0.0, np.nan, np.nan], [0.0, 0.5, 0.5], [0.0, 0.0, np.nan]])
    assert mean_of(errors, "pair-mean") == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert mean_of(errors, "pooled") == pytest.approx(4 / 6)
    assert mean_of(errors, "category-mean") == pytest.approx((1 + 2 / 3) / 2)
    # Category a has 1 pair and 1 of 1 points, b has 2 pairs and 3 of 5 points.
    assert mean_of(errors, "category-pooled") == pytest.approx((1 * 1 + 2 * 3 / 5) / 3)


def test_extents_differ_between_pairs_even_when_points_are_pooled():
    true, visible = np.zeros((3, 1, 2)), np.ones((3, 1), bool)
    moved = np.full((3, 1, 2), [4.0, 0.0])
    errors = pck(moved, true, visible, np.array([100.0, 10.0, 10.0]))
    assert mean_of(errors, "pooled") == pytest.approx(1 / 3)


def test_the_curve_and_its_area_are_those_of_three_keypoints_by_hand():
    errors = np.array([[0.05, 0.1, 0.5]])
    for name, at in (("jlad", 2 / 3), ("geo-aware", 1 / 3)):
        curve, area = curve_and_area(errors, np.array(["a"]), PCK_PROTOCOLS[name])
        assert curve[CURVE.index(0.1)] == pytest.approx(at)
        # From alpha 0 to 0.2, one keypoint is right on three quarters of the way, one on a half.
        assert area == pytest.approx((0.75 + 0.5) / 3)


points = arrays(float, (3, 4, 2), elements=st.floats(-200, 200, width=16))
masks = arrays(bool, (3, 4))
lengths = arrays(float, (3,), elements=st.floats(1, 500, width=16))


@given(points, points, masks, lengths, st.integers(-1000, 1000), st.sampled_from([0.5, 2, 8]))
def test_a_common_shift_and_a_common_scale_change_nothing(guess, true, visible, extent, by, scale):
    before = pck(guess, true, visible, extent)
    np.testing.assert_allclose(pck(guess + by, true + by, visible, extent), before, atol=1e-9)
    np.testing.assert_array_equal(pck(guess * scale, true * scale, visible, extent * scale), before)


@given(points, points, masks, lengths)
def test_pck_grows_with_alpha_and_lies_between_0_and_1(guess, true, visible, extent):
    scores = per_pair(pck(guess, true, visible, extent), np.linspace(0.01, 1, 20).tolist())
    counted = scores[visible.any(axis=1)]
    assert (np.diff(counted, axis=1) >= 0).all()
    assert ((counted >= 0) & (counted <= 1)).all()


@given(points, masks, lengths)
def test_a_perfect_match_scores_1(true, visible, extent):
    scores = per_pair(pck(true, true, visible, extent), [1e-9])
    assert (scores[visible.any(axis=1)] == 1).all()
    assert np.isnan(scores[~visible.any(axis=1)]).all()


@given(points, points, masks, lengths, st.permutations(range(4)))
def test_the_order_of_keypoints_does_not_matter(guess, true, visible, extent, order):
    errors = pck(guess, true, visible, extent)
    turned = pck(guess[:, order], true[:, order], visible[:, order], extent)
    np.testing.assert_array_equal(per_pair(errors, ALPHAS), per_pair(turned, ALPHAS))


@given(points, points, masks, lengths)
def test_it_agrees_with_a_loop_over_pairs_and_points(guess, true, visible, extent):
    errors = pck(guess, true, visible, extent)
    scores = per_pair(errors, ALPHAS)
    for pair in range(3):
        for column, alpha in enumerate(ALPHAS):
            hits = []
            for keypoint in range(4):
                if visible[pair, keypoint]:
                    dx, dy = guess[pair, keypoint] - true[pair, keypoint]
                    hits.append(np.hypot(dx, dy) / extent[pair] <= alpha)
            expected = sum(hits) / len(hits) if hits else np.nan
            np.testing.assert_equal(scores[pair, column], expected)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"predicted is \(1, 2, 2\), true \(1, 3, 2\)"):
        pck(np.zeros((1, 2, 2)), np.zeros((1, 3, 2)), np.ones((1, 2), bool), np.ones(1))


@given(points, points, masks, lengths, st.permutations(range(3)))
def test_the_order_of_pairs_does_not_matter(guess, true, visible, extent, order):
    errors = pck(guess, true, visible, extent)
    turned = pck(guess[order], true[order], visible[order], extent[order])
    category = np.array(["a", "b", "b"])
    for name in ("pair-mean", "pooled", "category-mean", "category-pooled"):
        np.testing.assert_allclose(
            mean_of(errors, name, category), mean_of(turned, name, category[order])
        )


@given(points, points, masks, lengths)
def test_no_alpha_counts_more_keypoints_than_there_are(guess, true, visible, extent):
    errors = pck(guess, true, visible, extent)
    assert (correct(errors, [1e9])[:, 0] == counted(errors)).all()
    assert (counted(errors) == visible.sum(axis=1)).all()


def test_jlad_measures_by_the_longer_side_of_the_targets_box(data):
    rows = data.pairs("test")
    box = data.object_box[data.pair_target[rows]]
    longer = (box[:, 2:] - box[:, :2]).max(axis=1)
    shift = np.stack([0.0999 * longer, np.zeros_like(longer)], axis=1)[:, None]
    near = predicted(data, pair_points=true_points(data) + shift)
    far = predicted(data, pair_points=true_points(data) + 1.003 * shift)
    assert evaluate(data, near, "jlad", [0.1])[0].results[0]["value"] == 1
    assert evaluate(data, far, "jlad", [0.1])[0].results[0]["value"] == 0


def test_scnet_measures_each_axis_by_its_own_side_of_the_picture(data):
    size = data.object_size[data.pair_target[data.pairs("test")]]
    for axis in (0, 1):
        shift = np.zeros((len(size), 1, 2))
        shift[:, 0, axis] = 0.0999 * size[:, axis]
        near = predicted(data, pair_points=true_points(data) + shift)
        far = predicted(data, pair_points=true_points(data) + 1.003 * shift)
        assert evaluate(data, near, "scnet", [0.1])[0].results[0]["value"] == 1
        assert evaluate(data, far, "scnet", [0.1])[0].results[0]["value"] == 0


def test_scnet_does_not_change_when_the_pictures_are_stretched(tmp_path, data):
    fields = tiny_arrays()
    factor = np.array([4, 1])
    wide = tiny_dataset(
        tmp_path / "wide.h5",
        object_size=fields["object/size"] * factor,
        object_keypoints=fields["object/keypoints"] * factor,
    )
    off = true_points(data) + np.random.default_rng(0).normal(0, 4, true_points(data).shape)
    a, _ = evaluate(data, predicted(data, pair_points=off), "scnet")
    b, _ = evaluate(wide, predicted(wide, pair_points=off * factor), "scnet")
    assert [r["value"] for r in a.results] == [r["value"] for r in b.results]


def test_an_occluded_keypoint_is_left_out_on_either_side(data):
    rows = data.pairs("test")
    source, target = data.pair_source[rows], data.pair_target[rows]
    wrong = true_points(data)
    wrong[~(data.object_visible[source] & data.object_visible[target])] = 1e6
    result, items = evaluate(data, predicted(data, pair_points=wrong))
    assert result.results[0]["value"] == 1
    np.testing.assert_array_equal(items["n"], data.pair_common[rows])


def test_a_pair_without_common_keypoints_is_counted_and_has_no_score(tmp_path):
    visible = tiny_arrays()["object/visible"]
    visible[4] = False  # source of one test pair, target of another
    data = tiny_dataset(tmp_path / "blind.h5", object_visible=visible)
    result, items = evaluate(data, predicted(data))
    row = result.results[0]
    assert (row["left_out"], row["count"]) == (2, len(data.pairs("test")) - 2)
    assert np.isnan(items["pck@0.1"]).sum() == 2


def test_the_table_has_a_row_a_pair_and_its_mean_is_the_headline(data):
    noisy = true_points(data) + np.random.default_rng(1).normal(0, 3, true_points(data).shape)
    result, items = evaluate(data, predicted(data, pair_points=noisy), alphas=[0.1, 0.05])
    assert list(items.columns) == [
        "pair", "category", "source", "target", "source_image", "target_image", "n", "pck@0.1",
        "pck@0.05",
    ]  # fmt: skip
    pictures = np.stack([items["source_image"], items["target_image"]], axis=1)
    ends = np.stack([items["source"], items["target"]], axis=1)
    assert (np.unique(pictures).size, np.unique(ends).size) == (20, 20)
    assert items["pair"].tolist() == data.pairs("test").tolist()
    assert result.results[0]["value"] == pytest.approx(np.nanmean(items["pck@0.1"]))
    by_category = {
        name: np.nanmean(items.loc[items["category"] == name, "pck@0.1"])
        for name in ("car", "face")
    }
    assert result.results[0]["category_mean"] == pytest.approx(np.mean([*by_category.values()]))
    assert result.results[0]["categories"]["car"]["value"] == pytest.approx(by_category["car"])
    assert result.results[0]["low"] <= result.results[0]["value"] <= result.results[0]["high"]


def test_the_headline_is_the_protocols_own_and_the_three_means_stand_beside_it(data):
    noisy = true_points(data) + np.random.default_rng(1).normal(0, 3, true_points(data).shape)
    said = predicted(data, pair_points=noisy)
    by_pair, by_point = (evaluate(data, said, name)[0].results[1] for name in
                         ("dift-image", "dift-point"))  # fmt: skip
    for mean in ("pair_mean", "pooled", "category_mean"):
        for end in ("", "_low", "_high"):
            assert by_pair[mean + end] == by_point[mean + end]
        assert by_pair[f"{mean}_low"] < by_pair[mean] < by_pair[f"{mean}_high"]
    assert (by_pair["value"], by_pair["low"]) == (by_pair["pair_mean"], by_pair["pair_mean_low"])
    assert (by_point["value"], by_point["high"]) == (by_point["pooled"], by_point["pooled_high"])
    assert by_pair["value"] != by_point["value"]


def test_a_stratum_of_the_result_is_the_score_of_its_pairs(tmp_path):
    truncated = np.arange(60) % 4 < 2
    data = tiny_dataset(tmp_path / "flags.h5", object_truncated=truncated.astype(int))
    noisy = true_points(data) + np.random.default_rng(1).normal(0, 3, true_points(data).shape)
    result, items = evaluate(data, predicted(data, pair_points=noisy))
    row = result.results[1]
    flags = truncated[items["source"]].astype(int) + 2 * truncated[items["target"]]
    names = ("neither", "source", "target", "both")
    assert set(row["strata"]["truncated"]) == {names[flag] for flag in flags}
    for name, found in row["strata"]["truncated"].items():
        own = items.loc[flags == names.index(name), "pck@0.1"]
        assert found["value"] == pytest.approx(own.mean())
        assert found["count"] == own.notna().sum()
    keypoints = row["strata"]["keypoint"]
    assert set(keypoints) == {"car left_wheel", "car right_wheel", "car roof", "car light",
                              "face left_eye", "face right_eye", "face nose"}  # fmt: skip
    assert sum(found["count"] for found in keypoints.values()) == row["points"]
    together = sum(found["value"] * found["count"] for found in keypoints.values())
    assert together / row["points"] == pytest.approx(row["pooled"])


def test_rows_may_come_in_any_order(data):
    noisy = true_points(data) + np.random.default_rng(1).normal(0, 3, true_points(data).shape)
    order = np.random.default_rng(2).permutation(len(noisy))
    a, _ = evaluate(data, predicted(data, pair_points=noisy))
    b, _ = evaluate(
        data, predicted(data, pair_points=noisy[order], pair_row=data.pairs("test")[order])
    )
    assert a.results == b.results


def test_the_curve_agrees_with_the_rows(data):
    noisy = true_points(data) + np.random.default_rng(1).normal(0, 3, true_points(data).shape)
    result, _ = evaluate(data, predicted(data, pair_points=noisy))
    curve = dict(zip(result.curve["alpha"], result.curve["value"], strict=True))
    for row in result.results:
        assert curve[row["alpha"]] == pytest.approx(row["value"])


def test_the_same_predictions_give_the_same_record(data):
    assert (
        evaluate(data, predicted(data))[0].to_json() == evaluate(data, predicted(data))[0].to_json()
    )


@pytest.mark.parametrize(
    ("alpha", "words"),
    [
        (10, r"alpha must be in \(0, 1\]. Got 10; did you mean 0.1\?"),
        (5, r"Got 5; did you mean 0.05\?"),
        (15, r"Got 15; did you mean 0.15\?"),
        (0, r"Got 0, a share of the extent"),
        (-0.1, r"Got -0.1, a share"),
        (float("nan"), r"Got nan, a share"),
    ],
)
def test_an_alpha_out_of_range_is_refused_with_a_proposal(data, alpha, words):
    with pytest.raises(UsageError, match=words):
        evaluate(data, predicted(data), alphas=[0.1, alpha])


def test_an_unknown_protocol_is_refused_with_the_nearest(data):
    with pytest.raises(UsageError, match=r"Did you mean 'scnet'\? Known: jlad, scnet"):
        evaluate(data, predicted(data), "scnt")


def test_a_missing_prediction_of_a_needed_keypoint_is_refused_by_pair_and_name(data):
    points = true_points(data)
    rows = data.pairs("test")
    visible = (
        data.object_visible[data.pair_source[rows]] & data.object_visible[data.pair_target[rows]]
    )
    pair, keypoint = np.argwhere(visible)[5]
    points[pair, keypoint] = np.nan
    name = data.keypoint_names[data.pair_category[rows[pair]]][keypoint]
    with pytest.raises(JladkitError, match=rf"keypoint {keypoint} \({name}\) of pair {pair} "):
        evaluate(data, predicted(data, pair_points=points))
    points[pair, keypoint] = np.inf
    with pytest.raises(JladkitError, match="1 are lacking"):
        evaluate(data, predicted(data, pair_points=points))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows, points: (None, None), "no transferred keypoints"),
        (lambda rows, points: (rows[1:], points[1:]), "each of the 20 pairs .* hold 19 rows"),
        (lambda rows, points: (rows[[0, *range(19)]], points), "among them 19 of those"),
        (lambda rows, points: (rows - rows[0], points), "among them"),
        (lambda rows, points: (rows, points[:, :3]), "have 3 keypoints a pair, but .* has 4"),
    ],
)
def test_predictions_that_do_not_fit_the_split_are_refused(data, change, words):
    rows, points = change(data.pairs("test"), true_points(data))
    with pytest.raises(JladkitError, match=words):
        evaluate(data, predicted(data, pair_row=rows, pair_points=points))


def test_a_split_without_pairs_is_refused(data):
    empty = predicted(data, pair_row=np.empty(0, int), pair_points=np.empty((0, 4, 2)), split="val")
    with pytest.raises(JladkitError, match="no pairs in the val split"):
        evaluate(data, empty)


def test_a_box_without_a_size_is_refused(tmp_path):
    box = tiny_arrays()["object/box"]
    box[4, 2:] = box[4, :2]
    data = tiny_dataset(tmp_path / "flat.h5", object_box=box)
    with pytest.raises(JladkitError, match="the box of object 4 has no size"):
        evaluate(data, predicted(data))
    assert evaluate(data, predicted(data), "scnet")[0].results[0]["value"] == 1
