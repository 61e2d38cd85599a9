from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from jladkit.errors import JladkitError
from jladkit.evaluators.comparison import columns_of, compare, paired_difference, sign_flip_p
from jladkit.evaluators.statistics import Part, item_weights


def items(values, first=0, images=None):
    """A table of pairs that share no image, or show `images` (N, 2)."""
    number = np.arange(first, first + len(values))
    shown = np.stack([2 * number, 2 * number + 1], axis=1) if images is None else images
    return pd.DataFrame(
        {
            "pair": number,
            "category": "car",
            "source_image": shown[:, 0],
            "target_image": shown[:, 1],
            "n": 4,
            "pck@0.1": values,
        }
    )


def told(a_items, b_items, column="pck@0.1", *more, **options):
    """The whole difference, every number of which exists."""
    whole, _ = compare(a_items, b_items, column, *more, **options)
    numbers = (whole.a, whole.b, whole.value, whole.low, whole.high, whole.p)
    a, b, value, low, high, p = (float(n) for n in numbers if n is not None)
    return SimpleNamespace(a=a, b=b, value=value, low=low, high=high, p=p, count=whole.count)


def objects(values, images):
    """A table of objects, as IOD has it."""
    return pd.DataFrame(
        {"object": np.arange(len(values)), "category": "face", "image": images, "n": 5,
         "iod:imm": values}
    )  # fmt: skip


def test_a_difference_of_equal_steps_is_narrower_than_the_scores_themselves():
    hard = np.random.default_rng(0).random(200)
    whole = told(items(hard + 0.1), items(hard))
    assert whole.value == pytest.approx(0.1) == pytest.approx(whole.a - whole.b)
    assert whole.high - whole.low < 1e-9
    assert (whole.count, whole.p) == (200, 1 / 10000)
    overall, by_category = compare(items(hard + 0.1), items(hard), "pck@0.1")
    assert by_category == {"car": overall}
    assert paired_difference(items(hard + 0.1), items(hard)).value == pytest.approx(0.1)


def test_the_other_way_round_is_the_negative():
    random = np.random.default_rng(0)
    a, b = items(random.random(40)), items(random.random(40))
    one, other = told(a, b), told(b, a)
    assert (other.value, other.p) == (pytest.approx(-one.value), one.p)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=0.01)


def test_a_result_differs_in_nothing_from_itself():
    table = items(np.random.default_rng(0).random(40))
    whole, _ = compare(table, table, "pck@0.1")
    assert (whole.value, whole.low, whole.high, whole.p) == (0, 0, 0, 1)


def test_items_are_matched_by_name_and_not_by_place():
    values = np.arange(10.0)
    shuffled = items(values).sample(frac=1, random_state=0)
    assert compare(items(values), shuffled, "pck@0.1")[0].value == 0


def test_items_that_one_method_cannot_score_are_left_out():
    a, b = np.array([1.0, np.nan, 0.5]), np.array([0.0, 0.0, np.nan])
    whole, _ = compare(items(a), items(b), "pck@0.1")
    assert (whole.count, whole.value, whole.p) == (1, 1, None)


def test_a_difference_is_summed_up_as_the_protocol_sums_up_scores():
    a, b = np.array([1.0, 0.5, 0.0]), np.array([0.0, 0.5, 0.5])
    columns = {"n": [1, 2, 6], "category": ["a", "b", "b"]}
    one, other = (items(values).assign(**columns) for values in (a, b))
    by_pair, by_point, by_category = (
        compare(one, other, "pck@0.1", how)[0] for how in ("pair-mean", "pooled", "category-mean")
    )
    assert by_pair.value == pytest.approx((1 + 0 - 0.5) / 3)
    assert by_point.value == pytest.approx((1 + 0 - 3) / 9)
    assert by_category.value == pytest.approx((1 - 0.25) / 2)
    assert compare(one, other, "pck@0.1")[1]["b"].value == pytest.approx(-0.25)


def test_four_objects_have_the_p_value_computed_by_hand():
    # |T*| >= |T| = 7 for the signs that give 7 or -7 of 1, 2, 4 and 0: 4 of 16.
    a, b = (objects(np.array(values), np.arange(4)) for values in ([1.0, 2, 4, 0], [0.0] * 4))
    whole, _ = compare(a, b, "iod:imm", "image-mean", flips=40000)
    assert whole.p == pytest.approx(0.25, abs=0.01)


def test_objects_of_one_image_toss_one_coin():
    a, b = (objects(np.full(8, value), np.repeat([3, 9], 4)) for value in (1.0, 0.0))
    assert compare(a, b, "iod:imm", "image-mean", flips=40000)[0].p == pytest.approx(0.5, abs=0.01)


def test_pairs_that_share_no_image_toss_one_coin_each():
    whole, _ = compare(items(np.ones(4)), items(np.zeros(4)), "pck@0.1", flips=40000)
    assert whole.p == pytest.approx(2 / 16, abs=0.01)


def shared_pairs(random, images=60, count=200):
    """(count, 2) pairs among few images."""
    first = random.integers(images, size=count)
    return np.stack([first, (first + random.integers(1, images, count)) % images], axis=1)


def false_positives(effects, trials=300):
    """How often methods that differ by chance alone, image by image, are told apart at 5 %: by
    the test, and by one that tosses a coin for each pair."""
    random = np.random.default_rng(0)
    found = np.zeros(2)
    for trial in range(trials):
        images = shared_pairs(random)
        own = random.normal(0, effects, 60)
        gap = own[images].sum(axis=1) + random.normal(0, 1, len(images))
        weights, _ = item_weights("pair-mean", np.ones(len(gap)), np.zeros(len(gap)))
        for place, shown in enumerate((images, np.arange(len(gap))[:, None])):
            p = sign_flip_p(Part(gap[:, None], weights, shown), flips=199, seed=trial)
            found[place] += p is not None and p <= 0.05
    return found / trials


def test_about_5_of_100_false_differences_are_found_where_pairs_share_images():
    by_image, by_pair = false_positives(effects=1.0)
    assert 0.02 <= by_image <= 0.085
    assert by_pair > 0.3


def test_about_5_of_100_are_found_where_images_do_not_matter():
    by_image, by_pair = false_positives(effects=0.0)
    assert 0.015 <= by_image <= 0.085
    assert 0.02 <= by_pair <= 0.08


def test_a_real_difference_is_found():
    random = np.random.default_rng(0)
    images = shared_pairs(random)
    b = random.random(200)
    gap = 0.2 + random.normal(0, 0.1, 60)[images].sum(axis=1)
    whole = told(items(b + gap, images=images), items(b, images=images))
    assert whole.low > 0 and whole.p < 0.001


def test_p_and_ends_are_seeded():
    random = np.random.default_rng(0)
    images = shared_pairs(np.random.default_rng(1), 12, 30)
    a, b = (items(random.random(30), images=images) for _ in "ab")
    one, same, other = (told(a, b, seed=seed) for seed in (0, 0, 1))
    assert one == same != other
    assert one.p == pytest.approx(other.p, abs=0.03)


def test_other_items_and_other_columns_are_refused():
    with pytest.raises(JladkitError, match="same pairs only: one has 3, the other 3, and 2"):
        compare(items(np.ones(3)), items(np.ones(3), first=1), "pck@0.1")
    with pytest.raises(JladkitError, match=r"must have the columns pair, .*, pck@0\.05, but one"):
        compare(items(np.ones(3)), items(np.ones(3)), "pck@0.05")
    old = items(np.ones(3)).drop(columns=["source_image"])
    with pytest.raises(JladkitError, match=r"must say which images .* Evaluate again"):
        compare(old, old, "pck@0.1")


def test_columns_are_those_that_both_tables_have():
    a = items(np.ones(2)).assign(**{"pck@0.05": 0.0, "pck@0.2": 0.0, "iod:imm": 0.0})
    b = items(np.ones(2)).assign(**{"pck@0.2": 0.0})
    assert columns_of([a, b], "pck") == ["pck@0.1", "pck@0.2"]
    assert columns_of([a, b], "iod") == []
