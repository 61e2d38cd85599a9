"""Every preset, on one pair worked out by hand, and its values pinned on one prediction set."""

from dataclasses import replace

import numpy as np
import pytest

from jladkit.evaluators.pck import PROTOCOLS, evaluate, measured
from jladkit.evaluators.pck_protocols import PCK_PROTOCOLS
from tests.evaluators.one_pair import both_ways, off_by_hand, one_pair
from tests.tiny import predicted, tiny_arrays, tiny_dataset, true_points

by_target_box = [12 / 160, 15 / 160, 5 / 160]
squashed_target = [12 / 100, 15 / 200, np.hypot(3 / 100, 4 / 200)]
squashed_source = [8 / 200, 9 / 100, np.hypot(6 / 200, 8 / 100)]
BY_HAND = {
    "jlad": by_target_box,
    "scnet": squashed_target,
    "rocco-scnet": squashed_source,
    "rocco-pf": [8 / 80, 9 / 80, 10 / 80],
    "proposal-flow": by_target_box,
    "hpf": [12 / 200, 15 / 200, 5 / 200],
    "spair": by_target_box,
    "willow-kp": [12 / 120, 15 / 120, 5 / 120],
    "dhpf": squashed_target,
    # Squashed, the target's box is half of the width and 0.8 of the height.
    "dhpf-box": [share / 0.8 for share in squashed_target],
    "cats": squashed_source,
    # Squashed, the source's box is half of both.
    "cats-box": [share / 0.5 for share in squashed_source],
    "sfnet": squashed_source,
    "sfnet-box": [8 / 100, 9 / 100, 10 / 100],
    "dense-matching": [8 / 200, 9 / 200, 10 / 200],
    "dense-matching-box": [8 / 100, 9 / 100, 10 / 100],
    "dift-point": by_target_box,
    "dift-image": by_target_box,
    "sd-dino": by_target_box,
    "sd-dino-image": [12 / 200, 15 / 200, 5 / 200],
    "geo-aware": by_target_box,
    # Squashed, the target's keypoints are 0.3 of the width and 0.6 of the height.
    "visual-ai-willow": [share / 0.6 for share in squashed_target],
    # Counted from 1 and at 240, the largest coordinate is y = 161 x 240 / 200 = 193.2; plus 1.
    "willow-padded-bug": [240 * share / 194.2 for share in squashed_target],
    "dense-matching-last-extent-bug": [8 / 100, 9 / 100, 10 / 100],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("presets") / "tiny.h5")


def test_every_preset_is_worked_out_by_hand():
    assert list(BY_HAND) == list(PCK_PROTOCOLS) == list(PROTOCOLS)


@pytest.mark.parametrize("name", BY_HAND)
def test_each_preset_gives_the_errors_computed_by_hand(tmp_path, name):
    data = one_pair(tmp_path / "one.h5")
    rows, errors, _ = measured(data, off_by_hand(data), PCK_PROTOCOLS[name])
    assert rows.tolist() == [0]
    np.testing.assert_allclose(errors[0, :3], BY_HAND[name], rtol=1e-12)
    assert np.isnan(errors[0, 3])


@pytest.mark.parametrize("name", PCK_PROTOCOLS)
def test_the_truth_scores_1_under_every_preset(data, name):
    preset = PCK_PROTOCOLS[name]
    if preset.rounding != "none":  # unrounded truth is not the truth there
        preset = replace(preset, rounding="none")
    row = evaluate(data, both_ways(data, width=0.0), preset, [0.01])[0].results[0]
    assert (row["value"], row["pair_mean"], row["pooled"], row["category_mean"]) == (1, 1, 1, 1)
    assert (row["low"], row["high"]) == (1, 1)


# PCK@0.1 of one prediction set, by preset. A number here changes only together with the preset's
# version.
PINNED = {
    "jlad": 0.625,
    "scnet": 0.625,
    "rocco-scnet": 0.633333,
    "rocco-pf": 0.25,
    "proposal-flow": 0.625,
    "hpf": 0.745833,
    "spair": 0.625,
    "willow-kp": 0.2875,
    "dhpf": 0.625,
    "dhpf-box": 0.516667,
    "cats": 0.633333,
    "cats-box": 0.558333,
    "sfnet": 0.633333,
    "sfnet-box": 0.675,
    "dense-matching": 0.825,
    "dense-matching-box": 0.675,
    "dift-point": 0.650794,
    "dift-image": 0.625,
    "sd-dino": 0.642857,
    "sd-dino-image": 0.767857,
    "geo-aware": 0.625,
    "visual-ai-willow": 0.229167,
    "willow-padded-bug": 0.466667,
    "dense-matching-last-extent-bug": 0.730159,
}


def test_presets_are_pinned_on_one_prediction_set(data):
    said = both_ways(data)
    found = {n: round(evaluate(data, said, n)[0].results[1]["value"], 6) for n in PCK_PROTOCOLS}
    assert found == PINNED


def test_each_result_holds_every_choice_of_its_preset(data):
    result, _ = evaluate(data, both_ways(data), "cats-box")
    assert result.protocol == {
        "name": "cats-box",
        "version": 2,
        "summary": PCK_PROTOCOLS["cats-box"].summary,
        "direction": "target->source",
        "frame": "square",
        "side": 256,
        "extent": "source-box",
        "comparator": "<=",
        "rounding": "none",
        "aggregation": "pair-mean",
    }


# What is known to have gone wrong elsewhere.


@pytest.mark.parametrize("name", PCK_PROTOCOLS)
def test_keypoints_that_do_not_count_never_change_an_extent(tmp_path, name):
    """The WILLOW bug: keypoints filled up with -1 made every tolerance too wide."""
    plain = one_pair(tmp_path / "plain.h5")
    keypoints = plain.object_keypoints.copy()
    keypoints[[0, 2], 3] = -1
    padded = one_pair(tmp_path / "padded.h5", object_keypoints=keypoints)
    for data in (plain, padded):
        _, errors, _ = measured(data, off_by_hand(data), PCK_PROTOCOLS[name])
        np.testing.assert_allclose(errors[0, :3], BY_HAND[name], rtol=1e-12)


def test_the_padded_extent_is_the_wrong_one_and_larger(data):
    extents = [measured(data, both_ways(data), PCK_PROTOCOLS[name])[2] for name in
               ("dhpf", "visual-ai-willow", "willow-padded-bug")]  # fmt: skip
    right = extents[1] * 240 / 768
    assert (extents[2] > right * 1.05).all()


def test_counting_pixels_from_1_moves_nothing_but_the_padded_extent(tmp_path, data):
    arrays = tiny_arrays()
    moved = tiny_dataset(
        tmp_path / "from1.h5",
        object_keypoints=arrays["object/keypoints"] + 1,
        object_box=arrays["object/box"] + 1,
    )
    for name in PCK_PROTOCOLS:
        a, b = (measured(d, both_ways(d), PCK_PROTOCOLS[name])[1] for d in (data, moved))
        assert np.allclose(a, b, equal_nan=True) == (name != "willow-padded-bug"), name


def test_the_last_extent_bug_measures_every_pair_by_the_last_box(data):
    said = both_ways(data)
    rows, wrong, extent = measured(data, said, PCK_PROTOCOLS["dense-matching-last-extent-bug"])
    _, right, own = measured(data, said, PCK_PROTOCOLS["dense-matching-box"])
    assert len(set(extent)) == 1 and extent[0] == own[-1] and len(set(own)) > 5
    np.testing.assert_allclose(wrong * extent[:, None], right * own[:, None])
    assert len(rows) == 20


def test_a_squashed_square_measures_alike_whatever_its_side(data):
    said = both_ways(data)
    a, b, c = (measured(data, said, PCK_PROTOCOLS[n])[1] for n in ("rocco-scnet", "cats", "sfnet"))
    np.testing.assert_allclose(a, b)
    np.testing.assert_allclose(a, c)


def test_a_squashed_square_is_not_the_longer_side(data):
    said = both_ways(data)
    squashed, longer = (measured(data, said, PCK_PROTOCOLS[n])[1] for n in ("scnet", "hpf"))
    assert not np.allclose(squashed, longer, equal_nan=True)
    _, padded, _ = measured(data, said, PCK_PROTOCOLS["sd-dino-image"])
    np.testing.assert_allclose(longer, padded)


def test_below_and_within_part_at_the_boundary(tmp_path):
    data = one_pair(tmp_path / "one.h5")
    there = true_points(data)
    there[0, :3, 0] += 16  # a tenth of the longer side of the target's box
    said = predicted(data, pair_points=there)
    values = {n: evaluate(data, said, n, [0.1])[0].results[0]["value"] for n in
              ("jlad", "spair", "dift-image", "geo-aware", "sd-dino", "proposal-flow")}  # fmt: skip
    assert values == {"jlad": 1, "spair": 1, "dift-image": 1,
                      "geo-aware": 0, "sd-dino": 0, "proposal-flow": 0}  # fmt: skip


def test_an_extent_of_0_is_told(tmp_path):
    keypoints = one_pair(tmp_path / "a.h5").object_keypoints.copy()
    keypoints[2, :3] = (20, 40)
    data = one_pair(tmp_path / "b.h5", object_keypoints=keypoints)
    result, _ = evaluate(data, predicted(data), "willow-kp")
    assert result.results[0]["value"] == 1
    assert result.notes[0].startswith("1 pairs have an extent of 0")


def test_a_protocol_of_ones_own_is_scored_by_its_fields(data):
    own = replace(PCK_PROTOCOLS["jlad"], name="mine", extent="target-picture")
    result, _ = evaluate(data, both_ways(data), own)
    assert result.protocol["name"] == "mine"
    assert result.results == evaluate(data, both_ways(data), "hpf")[0].results


@pytest.mark.parametrize("change", [{"side": 224}, {"frame": "square"}, {"extent": "side"}])
def test_a_protocol_whose_side_does_not_fit_its_frame_is_refused(change):
    with pytest.raises(ValueError, match="side"):
        replace(PCK_PROTOCOLS["jlad"], **change)
