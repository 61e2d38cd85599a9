"""Every preset, worked out by hand, its values pinned on one prediction set, and what is derived."""

from dataclasses import replace

import numpy as np
import pytest

from jladkit.errors import UsageError
from jladkit.evaluators.iod import PROTOCOLS, evaluate
from jladkit.evaluators.iod_fitting import halves
from jladkit.evaluators.iod_protocols import IOD_PROTOCOLS, alike, derived, pair_of
from jladkit.evaluators.regression import RIDGES
from tests.evaluators.on_a_line import SIDE, TEST, TRAIN, cars, landmarks_on_a_line, on_a_line
from tests.tiny import predicted, tiny_arrays, tiny_dataset


def through(origin, fitted, scored):
    """u of `scored` by a line through `origin` and near `fitted`."""
    t, u = (fitted - origin).T
    return origin + (scored[:, 0] - origin) * (t @ u) / (t @ t)


def with_constant(fitted, scored, ridge=0.0):
    """u of `scored` by a line near `fitted`. Both coordinates of the landmark are t, so X'X is S
    in all four places, 2 S along the line, and its largest entry S."""
    t, u = (fitted - fitted.mean(axis=0)).T
    slope = 2 * (t @ u) / (2 * (t @ t) + ridge * (t @ t))
    return fitted[:, 1].mean() + (scored[:, 0] - fitted[:, 0].mean()) * slope


def left_out_one_by_one(known):
    """The ridge whose lines, fitted on `known` without a row, are nearest to that row."""
    errors = []
    for ridge in RIDGES:
        whole = (known[:, 0] - known[:, 0].mean()) @ (known[:, 0] - known[:, 0].mean())
        rows = range(len(known))
        distance = []
        for row in rows:
            rest, one = np.delete(known, row, axis=0), known[row : row + 1]
            t, u = (rest - rest.mean(axis=0)).T
            slope = 2 * (t @ u) / (2 * (t @ t) + ridge * whole)
            said = rest[:, 1].mean() + (one[0, 0] - rest[:, 0].mean()) * slope
            distance.append(abs(said - one[0, 1]))
        errors.append(np.mean(distance))
    return RIDGES[int(np.argmin(errors))]


MIDDLE = (SIDE - 1) / 2
BY_HAND = {
    "imm": lambda: 13 / 7 * TEST[:, 0],  # (200 + 600 + 1800) / (100 + 400 + 900)
    "imm-bias": lambda: 110 / 3 + 2 * (TEST[:, 0] - 20),
    "strucrep": lambda: through(MIDDLE, TRAIN, TEST),
    "paper": lambda: 5250 / 3325 * TEST[:, 0],
    "saic": lambda: with_constant(TRAIN, TEST, 1e-5),
    "mallis": lambda: with_constant(TRAIN, TEST, 1e-3),
    "stable-keypoints": lambda: through(MIDDLE, TRAIN, TEST),
    "halves": lambda: None,  # both halves: see HALVES
    "recommended": lambda: with_constant(TRAIN, TEST, left_out_one_by_one(TRAIN)),
    "halves-recommended": lambda: None,
}
# What lines fitted on `known` say of `asked`. Which those are depends on the draw.
HALVES = {
    "halves": lambda known, asked: through(0, known, asked),
    "halves-recommended": lambda k, a: with_constant(k, a, left_out_one_by_one(k)),
}


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    return on_a_line(tmp_path_factory.mktemp("line") / "line.h5")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("presets") / "tiny.h5")


def two_landmarks(data):
    """Predictions of two landmarks: noisy mixtures of the first three keypoints."""
    random = np.random.default_rng(5)
    keypoints = np.nan_to_num(data.object_keypoints)[:, :3].reshape(-1, 6)
    points = keypoints @ random.normal(size=(6, 4)) / 2
    points += random.normal(0, 3, points.shape)
    rows = np.union1d(data.objects("train"), data.objects("test"))
    return predicted(data, object_points=points.reshape(-1, 2, 2)[rows])


def errors_of(items, name, rows):
    """What a preset gives the objects `rows`."""
    return items[f"iod:{name}"].to_numpy()[np.searchsorted(items["object"].to_numpy(), rows)]


def test_every_preset_is_worked_out_by_hand():
    assert list(BY_HAND) == list(IOD_PROTOCOLS) == list(PROTOCOLS)


@pytest.mark.parametrize("name", [name for name in BY_HAND if name not in HALVES])
def test_each_preset_gives_the_errors_computed_by_hand(line, name):
    _, items = evaluate(line, landmarks_on_a_line(line), name)
    found = errors_of(items, name, cars(tiny_arrays(), 2)[: len(TEST)])
    off = np.sqrt(2) * np.abs(BY_HAND[name]() - TEST[:, 1]) / SIDE
    np.testing.assert_allclose(found, off, rtol=1e-9)
    assert np.isfinite(items[f"iod:{name}"].to_numpy()).sum() == len(TEST)


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("seed", [0, 1])
def test_halves_are_fitted_on_the_pictures_of_the_other_half(line, name, seed):
    preset = derived(IOD_PROTOCOLS[name], seed=seed)
    _, items = evaluate(line, landmarks_on_a_line(line), preset)
    parts = halves(line, line.objects("test"), np.random.default_rng([seed, 0]))
    rows = cars(tiny_arrays(), 2)[: len(TEST)]
    for fitted, scored in (parts, parts[::-1]):
        known, asked = TEST[np.isin(rows, fitted)], TEST[np.isin(rows, scored)]
        found = errors_of(items, name, np.intersect1d(rows, scored))
        if len(known) < 2:
            assert np.isnan(found).all()
            continue
        off = np.sqrt(2) * np.abs(HALVES[name](known, asked) - asked[:, 1]) / SIDE
        np.testing.assert_allclose(found, off, rtol=1e-9)
    assert np.isfinite(items[f"iod:{name}"].to_numpy()).any()


# IOD of one prediction set, by preset. A number here changes only together with the preset's
# version.
PINNED = {
    "imm": 0.47416576,
    "imm-bias": 0.66576637,
    "strucrep": 0.57141637,
    "paper": 0.33918874,
    "saic": 0.6657514,
    "mallis": 0.66428783,
    "stable-keypoints": 0.63525426,
    "halves": 1.36390587,
    "recommended": 0.63802984,
    "halves-recommended": 0.73366908,
}


def test_presets_are_pinned_on_one_prediction_set(data):
    said = two_landmarks(data)
    found = {n: round(evaluate(data, said, n)[0].results[0]["value"], 8) for n in IOD_PROTOCOLS}
    assert found == PINNED


def test_the_variant_table_has_what_each_preset_gives_by_itself(data):
    said = two_landmarks(data)
    rows = {row["variant"]: row["value"] for row in evaluate(data, said, "saic")[0].results}
    assert list(rows) == ["saic", *(name for name in IOD_PROTOCOLS if name != "saic")]
    for name in IOD_PROTOCOLS:
        assert rows[name] == evaluate(data, said, name)[0].results[0]["value"]


def test_each_result_holds_every_choice_of_its_preset(data):
    result, _ = evaluate(data, two_landmarks(data), "saic")
    unit = "inter-ocular distance where a category has eyes, else longer side of the box"
    assert result.protocol == {
        "name": "saic",
        "version": 1,
        "summary": f"{IOD_PROTOCOLS['saic'].summary}; share of the {unit}",
        "frame": "corner",
        "bias": True,
        "penalty": "relative",
        "ridge": 1e-5,
        "fitted_on": "train",
        "fit_rows": None,
        "repeats": 1,
        "seed": 0,
        "normaliser": "iod-pair-or-box",
        "aggregation": "image-mean",
    }


@pytest.mark.parametrize(
    ("preset", "changes", "name"),
    [
        ("imm", {}, "imm"),
        ("imm", {"normaliser": "iod-pair-or-box"}, "imm"),
        ("imm", {"normaliser": "box-diagonal"}, "imm+box-diagonal"),
        ("imm", {"fit_rows": 100, "repeats": 10}, "imm+rows=100x10"),
        ("saic", {"fit_rows": 6}, "saic+rows=6"),
        ("halves", {"repeats": 5}, "halves+repeats=5"),
        ("imm", {"normaliser": "left_eye,nose"}, "imm+left_eye,nose"),
        ("saic", {"normaliser": "a,b", "fit_rows": 6, "repeats": 2}, "saic+a,b+rows=6x2"),
    ],
)
def test_a_derivation_shows_in_the_name(preset, changes, name):
    found = derived(IOD_PROTOCOLS[preset], **changes)
    assert found.name == name
    for key, value in changes.items():
        assert getattr(found, key) == value


def test_an_underived_preset_is_itself():
    assert derived(IOD_PROTOCOLS["saic"]) == IOD_PROTOCOLS["saic"]


def test_the_presets_beside_a_derived_one_have_its_normaliser_and_draws():
    others = alike(derived(IOD_PROTOCOLS["imm"], normaliser="image", fit_rows=9, repeats=3))
    assert [p.name for p in others][:2] == ["imm-bias+image+rows=9x3", "strucrep+image+rows=9x3"]
    others = {p.name for p in alike(derived(IOD_PROTOCOLS["halves"], repeats=3))}
    assert others - set(IOD_PROTOCOLS) == {"halves-recommended+repeats=3"}
    assert set(IOD_PROTOCOLS) - others == {"halves", "halves-recommended"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"normaliser": "box"}, "Unknown normaliser 'box'. Known: iod-pair-or-box, box-longer"),
        ({"normaliser": "a,a"}, "Two different keypoints"),
        ({"normaliser": "a,"}, "Two different keypoints"),
        ({"normaliser": "a,b,c"}, "Two different keypoints"),
        ({"fit_rows": 0}, "--fit-rows must be at least 1. Got 0"),
        ({"fit_rows": 5, "repeats": 0}, "--repeats must be at least 1. Got 0"),
        ({"repeats": 5}, "--repeats needs something to draw"),
    ],
)
def test_what_cannot_be_derived_is_refused(changes, words):
    with pytest.raises(UsageError, match=words):
        derived(IOD_PROTOCOLS["imm"], **changes)


def test_a_pair_is_two_names():
    assert pair_of("left_eye, nose") == ("left_eye", "nose")
    assert pair_of("image") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"ridge": -1.0},
        {"ridge": None},
        {"penalty": "leave-one-out"},
        {"repeats": 2},
        {"fit_rows": 0},
    ],
)
def test_a_protocol_that_contradicts_itself_is_refused(changes):
    with pytest.raises(ValueError, match="imm"):
        replace(IOD_PROTOCOLS["imm"], **changes)


def test_spaces_around_the_names_of_a_pair_do_not_make_another_protocol():
    spaced, plain = (derived(IOD_PROTOCOLS["imm"], normaliser=n) for n in ("a , b", "a,b"))
    assert spaced == plain


def test_a_protocol_with_an_unknown_normaliser_is_refused():
    with pytest.raises(UsageError, match="Unknown normaliser 'iod'"):
        replace(IOD_PROTOCOLS["imm"], normaliser="iod")


def test_a_protocol_of_ones_own_is_scored_by(data):
    own = replace(IOD_PROTOCOLS["imm-bias"], name="mine", ridge=1e9)
    result, _ = evaluate(data, two_landmarks(data), own)
    rows = {row["variant"]: row for row in result.results}
    assert list(rows)[:2] == ["mine", "imm"]
    # An endless ridge in the picture's frame leaves the keypoints' mean place, not a line.
    assert abs(rows["mine"]["value"] - rows["imm-bias"]["value"]) > 1e-3
