import numpy as np
import pytest

from jladkit.errors import JladkitError, UsageError
from jladkit.evaluators.iod import evaluate, fit_linear, image_errors, mean_shape, normalisers
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
    assert [row["variant"] for row in result.results] == ["strucrep", "imm", "imm-bias", "paper"]
    assert result.protocol["name"] == "strucrep"
    assert {"iod:imm", "iod:paper", "floor", "object"} <= set(items.columns)
    assert result.results[0]["value"] == pytest.approx(np.nanmean(items["iod:strucrep"]))


def test_image_errors_of_two_images_are_those_computed_by_hand():
    true = np.zeros((2, 3, 2))
    guess = np.array([[[3.0, 4.0], [0, 0], [9, 9]], [[1.0, 0], [np.nan, 0], [0, 3.0]]])
    visible = np.array([[True, True, False], [True, True, True]])
    errors = image_errors(guess, true, visible, np.array([10.0, 4.0]))
    np.testing.assert_allclose(errors, [(5 + 0) / 2 / 10, (1 + 3) / 2 / 4])


def test_the_score_is_the_mean_of_ratios(data):
    result, items = evaluate(data, landmarks_of(data, lambda k: np.tanh(k / 20)))
    assert result.results[0]["value"] == pytest.approx(np.nanmean(items["iod:imm"]))
    by_category = [row["value"] for row in result.results[0]["categories"].values()]
    assert result.results[0]["category_mean"] == pytest.approx(np.mean(by_category))


def test_eyes_normalise_where_a_category_has_them_and_the_box_where_not(data):
    rows = data.objects("test")
    lengths = normalisers(data, rows)
    for row, length in zip(rows, lengths, strict=True):
        if data.object_category[row] == 1:
            eyes = data.object_keypoints[row, 1] - data.object_keypoints[row, 0]
            assert length == pytest.approx(np.hypot(*eyes))
        else:
            box = data.object_box[row]
            assert length == max(box[2] - box[0], box[3] - box[1])
    result, _ = evaluate(data, landmarks_of(data, mixed))
    assert "inter-ocular distance where a category has eyes" in result.results[0]["unit"]


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


def test_fit_linear_gives_the_rank_and_the_smallest_map():
    features = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    weights, rank = fit_linear(features, np.array([[2.0], [4.0], [6.0]]))
    assert rank == 1
    np.testing.assert_allclose(weights, [[1.0], [1.0]])


def test_landmarks_in_one_place_are_no_better_than_the_floor(data):
    result, _ = evaluate(data, landmarks_of(data, lambda k: np.full_like(k, 7.0)))
    row = by_variant(result)["imm-bias"]
    assert row["value"] > 0.9 * row["floor"]


def test_the_floor_is_the_average_in_the_frame_of_the_box(tmp_path):
    fields = tiny_arrays()
    box = fields["object/box"]
    size = (box[:, 2:] - box[:, :2])[:, None]
    place = np.array([[0.2, 0.3], [0.8, 0.3], [0.5, 0.7], [0.4, 0.1]])
    keypoints = box[:, None, :2] + place * size
    keypoints[fields["object/category"] == 1, 3] = np.nan
    data = tiny_dataset(tmp_path / "still.h5", object_keypoints=keypoints)
    found = mean_shape(data, data.objects("train"), data.objects("test"))
    np.testing.assert_allclose(found, keypoints[data.objects("test")], atol=1e-9)


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
