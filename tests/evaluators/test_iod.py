from dataclasses import replace

import numpy as np
import pytest

from jladkit.errors import JladkitError, UsageError
from jladkit.evaluators.iod import BACKWARD, evaluate
from jladkit.evaluators.iod_protocols import IOD_PROTOCOLS, derived
from tests.tiny import predicted, tiny_arrays, tiny_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("iod") / "tiny.h5")


def landmarks_of(data, function):
    """Predictions whose landmarks are `function` of the objects' keypoints (M, K, 2)."""
    rows = np.union1d(data.objects("train"), data.objects("test"))
    keypoints = np.nan_to_num(data.object_keypoints[rows])
    return predicted(data, object_points=function(keypoints))


def by_variant(result):
    return {row["variant"]: row for row in result.results}


def mixed(keypoints):
    """An invertible linear map without bias of all eight coordinates."""
    matrix = np.random.default_rng(3).normal(size=(8, 8))
    return (keypoints.reshape(-1, 8) @ matrix).reshape(-1, 4, 2)


def test_an_exact_linear_map_has_no_error(data):
    result, _ = evaluate(data, landmarks_of(data, mixed))
    assert result.results[0]["variant"] == "imm"
    assert result.results[0]["value"] == pytest.approx(0, abs=1e-9)
    assert result.results[0]["floor"] > 0.1


def test_the_scale_of_landmarks_does_not_matter(data):
    noise = np.random.default_rng(0).normal(0, 2, (60, 4, 2))
    values = [
        evaluate(data, landmarks_of(data, lambda k, s=scale: s * (k + noise)))[0].results[0][
            "value"
        ]
        for scale in (1, 100)
    ]
    assert values[0] > 0.01
    assert values[0] == pytest.approx(values[1])


def test_without_a_bias_the_origin_matters_and_with_one_it_does_not(tmp_path):
    # Pictures of one size, so that a shift of the frame is the same constant everywhere.
    fields = tiny_arrays()
    generator = np.random.default_rng(0)
    keypoints = generator.uniform(10, 50, (60, 4, 2))
    keypoints[fields["object/category"] == 1, 3] = np.nan
    data = tiny_dataset(
        tmp_path / "square.h5", object_size=np.full((60, 2), 64), object_keypoints=keypoints
    )
    noise = generator.normal(0, 4, (60, 4, 2))
    here = by_variant(evaluate(data, landmarks_of(data, lambda k: k + noise))[0])
    there = by_variant(evaluate(data, landmarks_of(data, lambda k: k + noise + 30))[0])
    assert abs(here["imm"]["value"] - there["imm"]["value"]) > 1e-3
    assert abs(here["imm"]["value"] - here["strucrep"]["value"]) > 1e-3
    assert here["imm-bias"]["value"] == pytest.approx(there["imm-bias"]["value"])


def test_fitting_on_the_scored_objects_flatters(data):
    noise = np.random.default_rng(0).normal(0, 5, (60, 4, 2))
    rows = by_variant(evaluate(data, landmarks_of(data, lambda k: k + noise))[0])
    assert rows["paper"]["value"] < rows["imm"]["value"]
    assert (rows["paper"]["fitted_on"], rows["imm"]["fitted_on"]) == (20, 40)


def test_the_asked_preset_comes_first_and_all_others_follow(data):
    result, items = evaluate(data, landmarks_of(data, mixed), "strucrep")
    others = [name for name in IOD_PROTOCOLS if name != "strucrep"]
    assert [row["variant"] for row in result.results] == ["strucrep", *others]
    assert result.protocol["name"] == "strucrep"
    assert {"iod:imm", "iod:paper", "floor", "object"} <= set(items.columns)
    assert result.results[0]["value"] == pytest.approx(np.nanmean(items["iod:strucrep"]))


def test_the_score_is_the_mean_of_ratios(data):
    result, items = evaluate(data, landmarks_of(data, lambda k: np.tanh(k / 20)))
    assert result.results[0]["value"] == pytest.approx(np.nanmean(items["iod:imm"]))
    by_category = [row["value"] for row in result.results[0]["categories"].values()]
    assert result.results[0]["category_mean"] == pytest.approx(np.mean(by_category))


def test_a_face_that_hides_an_eye_has_no_score_and_is_counted(tmp_path):
    visible = tiny_arrays()["object/visible"]
    visible[5, 0] = False
    data = tiny_dataset(tmp_path / "one-eye.h5", object_visible=visible)
    result, items = evaluate(data, landmarks_of(data, mixed))
    assert result.results[0]["left_out"] == 1
    assert items.loc[np.isnan(items["iod:imm"]), "object"].tolist() == [5]


def test_only_visible_keypoints_are_fitted_and_scored(tmp_path, data):
    fields = tiny_arrays()
    wild = np.where(fields["object/visible"][..., None], fields["object/keypoints"], 1e5)
    wild = np.where(np.isfinite(fields["object/keypoints"]), wild, np.nan)
    changed = tiny_dataset(tmp_path / "wild.h5", object_keypoints=wild)
    points = landmarks_of(data, lambda k: np.tanh(k / 20)).object_points
    a, _ = evaluate(data, predicted(data, object_points=points))
    b, _ = evaluate(changed, predicted(changed, object_points=points))
    assert [r["value"] for r in a.results] == [r["value"] for r in b.results]
    assert [r["floor"] for r in a.results] == [r["floor"] for r in b.results]


def test_a_keypoint_seen_in_too_few_training_objects_is_left_out_and_named(tmp_path):
    fields = tiny_arrays()
    visible = fields["object/visible"]
    cars = np.nonzero((fields["object/category"] == 0) & (fields["object/split"] == 0))[0]
    visible[cars[7:], 2] = False
    data = tiny_dataset(tmp_path / "rare.h5", object_visible=visible)
    result, items = evaluate(data, landmarks_of(data, mixed))
    assert any("car roof (" in note and "imm: 1 of 7 keypoints" in note for note in result.notes)
    assert result.results[0]["keypoints"] == 6
    counted = data.object_visible[items["object"]]
    counted[items["category"] == "car", 2] = False
    np.testing.assert_array_equal(items["n"], counted.sum(axis=1))


def test_dependent_landmarks_are_reported_with_their_rank(data):
    result, _ = evaluate(data, landmarks_of(data, lambda k: k[:, [0, 0, 1, 1]]))
    assert any("span, of 8: car 4, face 4" in note for note in result.notes)


def test_landmarks_in_one_place_are_no_better_than_the_floor(data):
    result, _ = evaluate(data, landmarks_of(data, lambda k: np.full_like(k, 7.0)))
    row = by_variant(result)["imm-bias"]
    assert row["value"] > 0.9 * row["floor"]


def test_more_landmarks_than_rows_are_refused(data):
    many = landmarks_of(data, lambda k: np.tile(k, (1, 6, 1)))
    with pytest.raises(JladkitError, match=r"K = 24 landmarks make 48 unknowns .* more than the"):
        evaluate(data, many)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (lambda d, p: {"object_row": None, "object_points": None}, "hold no landmarks"),
        (lambda d, p: {"object_points": np.zeros((60, 0, 2))}, "hold no landmarks"),
        (lambda d, p: cut(p, p.object_row != d.objects("test")[3]), "1 are missing, the first is"),
        (lambda d, p: cut(p, np.isin(p.object_row, d.objects("test"))), "no landmarks of training"),
        (lambda d, p: cut(p, [0, *range(60)]), "hold an object twice"),
        (lambda d, p: {"object_points": p.object_points * np.nan}, "object 0 without a position"),
    ],
)
def test_incomplete_landmarks_are_refused(data, parts, words):
    with pytest.raises(JladkitError, match=words):
        evaluate(data, predicted(data, **parts(data, predicted(data))))


def cut(predictions, rows):
    return {
        "object_row": predictions.object_row[rows],
        "object_points": predictions.object_points[rows],
    }


def test_a_split_without_objects_is_refused(data):
    with pytest.raises(JladkitError, match="no objects in the val split"):
        evaluate(data, predicted(data, split="val"))


def test_an_unknown_preset_and_an_alpha_are_refused(data):
    with pytest.raises(UsageError, match="Did you mean 'imm'"):
        evaluate(data, predicted(data), "im")
    with pytest.raises(UsageError, match="no alpha"):
        evaluate(data, predicted(data), None, [0.1])


def at_one_place(fixed):
    """Landmarks that all lie in one place: of every picture, or in the middle of the keypoints."""

    def place(data):
        rows = np.union1d(data.objects("train"), data.objects("test"))
        size = data.object_size[rows][:, None].astype(float)
        middle = np.nan_to_num(data.object_keypoints[rows])[:, :3].mean(axis=1, keepdims=True)
        points = 0.35 * size - 0.5 if fixed else middle
        return predicted(data, object_points=np.repeat(points, 3, axis=1))

    return place


def whole_cars(tmp_path):
    """Like tiny.h5, but every object shows all its keypoints."""
    visible = np.asarray(np.isfinite(tiny_arrays()["object/keypoints"]).all(axis=-1))
    return tiny_dataset(tmp_path / "whole.h5", object_visible=visible)


def test_landmarks_that_never_move_have_a_backward_floor_of_0_and_are_warned_of(data):
    result, _ = evaluate(data, at_one_place(True)(data))
    back = result.results[0]["backward"]
    assert back["value"] == pytest.approx(0, abs=1e-9)
    assert (back["floor"], back["apart"]) == (pytest.approx(0, abs=1e-9),) * 2
    assert back["explained"] is None
    assert any(note.startswith("The landmarks hardly move: they are ") for note in result.notes)
    assert any("of an object lie in one place" in note for note in result.notes)


def test_landmarks_in_one_place_that_follow_the_object_are_told_by_how_far_apart_they_lie(tmp_path):
    data = whole_cars(tmp_path)
    result, _ = evaluate(data, at_one_place(False)(data))
    back = result.results[0]["backward"]
    # In the unit frame of pictures of many sizes the middle is still linear in the keypoints.
    assert back["explained"] == pytest.approx(1)
    assert back["floor"] > 0.05
    assert back["apart"] == pytest.approx(0, abs=1e-9)
    assert any("of an object lie in one place" in note for note in result.notes)
    assert not any("hardly move" in note for note in result.notes)


def test_landmarks_that_follow_the_keypoints_are_explained_by_them(tmp_path):
    data = whole_cars(tmp_path)
    result, _ = evaluate(data, landmarks_of(data, lambda k: k[:, :3]))
    row = result.results[0]
    assert row["backward"]["value"] == pytest.approx(0, abs=1e-9)
    assert row["backward"]["explained"] == pytest.approx(1)
    assert row["backward"]["apart"] > 0.1 and row["backward"]["floor"] > 0.1
    car = row["backward"]["categories"]["car"]
    assert car["keypoints"] == ["left_wheel", "right_wheel", "roof", "light"]
    assert (car["count"], car["floor"] > 0.1) == (10, True)
    assert BACKWARD in result.notes


def test_landmarks_at_random_are_explained_by_nothing(data):
    noise = np.random.default_rng(0).uniform(0, 20, (60, 4, 2))
    result, _ = evaluate(data, landmarks_of(data, lambda k: noise), "recommended")
    assert result.results[0]["backward"]["explained"] < 0.2
    row = result.results[0]
    assert row["value"] == pytest.approx(row["floor"], rel=0.25)


def test_only_objects_that_show_all_keypoints_it_reads_have_a_backward_error(data):
    result, _ = evaluate(data, landmarks_of(data, mixed))
    for name, own in result.results[0]["backward"]["categories"].items():
        code = data.categories.index(name)
        rows = data.objects("test")
        rows = rows[data.object_category[rows] == code]
        places = [data.keypoint_names[code].index(keypoint) for keypoint in own["keypoints"]]
        assert own["count"] == data.object_visible[rows][:, places].all(axis=1).sum()


def test_each_keypoint_has_an_error_a_floor_and_a_number_of_images(data):
    result, _ = evaluate(data, landmarks_of(data, lambda k: np.tanh(k / 20)))
    rows = data.objects("test")
    for name, own in result.results[0]["categories"].items():
        code = data.categories.index(name)
        mine = rows[data.object_category[rows] == code]
        assert list(own["keypoints"]) == data.keypoint_names[code]
        counts = [point["count"] for point in own["keypoints"].values()]
        assert counts == data.object_visible[mine].sum(axis=0)[: len(counts)].tolist()
        values = [point["value"] for point in own["keypoints"].values()]
        assert min(values) < own["value"] < max(values)
    assert "keypoints" not in result.results[1]["categories"]["car"]


def test_repeats_are_averaged_and_their_spread_is_told(data):
    said = landmarks_of(
        data, lambda k: k[:, :2] + np.random.default_rng(0).normal(0, 3, (60, 2, 2))
    )
    preset = derived(IOD_PROTOCOLS["saic"], fit_rows=12, repeats=4)
    result, items = evaluate(data, said, preset)
    row = result.results[0]
    assert row["variant"] == "saic+rows=12x4" == result.protocol["name"]
    assert row["value"] == pytest.approx(np.nanmean(items["iod:saic+rows=12x4"]))
    values = row["repeats"]["values"]
    assert (len(set(values)), row["repeats"]["seed"], row["fitted_on"]) == (4, 0, 24)
    assert row["repeats"]["deviation"] == pytest.approx(np.std(values, ddof=1))
    one = evaluate(data, said, derived(IOD_PROTOCOLS["saic"], fit_rows=12))[0].results[0]
    assert one["value"] == pytest.approx(values[0])
    assert "repeats" not in one
    assert evaluate(data, said, preset)[0].to_json() == result.to_json()
    assert any("mean over 4 draws" in note for note in result.notes)
    other = evaluate(data, said, derived(IOD_PROTOCOLS["saic"], fit_rows=12, repeats=4, seed=1))
    assert other[0].results[0]["repeats"]["values"] != values


def test_presets_that_cannot_draw_so_many_rows_are_named(data):
    said = landmarks_of(data, lambda k: k[:, :1])
    result, _ = evaluate(data, said, derived(IOD_PROTOCOLS["imm"], fit_rows=15))
    variants = [row["variant"] for row in result.results]
    assert "saic+rows=15" in variants and "halves+rows=15" not in variants
    assert any("halves+rows=15 is not in the table" in note for note in result.notes)


def test_a_split_can_be_scored_without_train_by_what_is_fitted_inside_it(data):
    said = landmarks_of(data, lambda k: k[:, :1])
    assert said.object_row is not None
    kept = np.isin(said.object_row, data.objects("test"))
    alone = replace(said, **cut(said, kept))
    result, _ = evaluate(data, alone, "halves")
    variants = [row["variant"] for row in result.results]
    assert variants == ["halves", "paper", "halves-recommended"]
    assert result.results[0]["value"] is not None and result.results[1]["floor"] is not None
    assert any("imm is not in the table. There are no landmarks" in note for note in result.notes)


def test_a_ridge_lets_a_map_have_more_unknowns_than_rows_unless_scored_on_them(data):
    many = landmarks_of(data, lambda k: np.tile(k, (1, 6, 1)))
    rows = by_variant(evaluate(data, many, "recommended")[0])
    assert rows["recommended"]["keypoints"] == 7
    assert rows["saic"]["value"] is not None and rows["imm"]["value"] is None


def test_a_keypoint_that_no_map_tells_has_its_average(data):
    result, _ = evaluate(data, at_one_place(True)(data), "recommended")
    row = result.results[0]
    # In the box's frame the place of the picture's middle still moves, so not for all of them.
    assert row["value"] < 1.3 * row["floor"]
    assert any("no map does better on objects left out" in note for note in result.notes)


def test_without_a_length_to_divide_by_there_is_no_score(tmp_path):
    visible = tiny_arrays()["object/visible"]
    visible[:, 1:] = False
    data = tiny_dataset(tmp_path / "one.h5", object_visible=visible)
    said = landmarks_of(data, lambda k: k[:, :1])
    preset = derived(IOD_PROTOCOLS["imm"], normaliser="keypoint-extent")
    with pytest.raises(JladkitError, match="has a longer side of the visible keypoints' extent"):
        evaluate(data, said, preset)


def test_a_ridge_too_needs_objects_that_show_a_keypoint(data):
    said = landmarks_of(data, lambda k: k[:, :2])
    with pytest.raises(JladkitError, match="fits a keypoint on at least 2 objects"):
        evaluate(data, said, derived(IOD_PROTOCOLS["recommended"], fit_rows=1))
