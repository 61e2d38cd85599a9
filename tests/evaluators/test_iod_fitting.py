from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jladkit.errors import JladkitError
from jladkit.evaluators.iod_fitting import Objects, backward, draws, forward, halves, shown_together
from jladkit.evaluators.iod_protocols import IOD_PROTOCOLS, derived
from jladkit.evaluators.items import pictures
from tests.tiny import tiny_arrays, tiny_dataset

RECOMMENDED = IOD_PROTOCOLS["recommended"]
PLAIN = [name for name, preset in IOD_PROTOCOLS.items() if not preset.ridged]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("fitting") / "tiny.h5")


def objects_of(data, landmarks):
    return Objects(data, landmarks, data.objects("train"), data.objects("test"))


def near_keypoints(data, seed=0, number=2):
    """(N, L, 2): the first keypoints, with noise."""
    noise = np.random.default_rng(seed).normal(0, 4, (len(data.object_category), number, 2))
    return np.nan_to_num(data.object_keypoints)[:, :number] + noise


def squares(tmp_path):
    """Like tiny.h5, in pictures of 64 x 64 whose boxes are of one size, anywhere: a shift or a
    scale of a frame is then the same in all of them."""
    arrays = tiny_arrays()
    number = len(arrays["object/size"])
    return tiny_dataset(
        tmp_path / "squares.h5",
        object_size=np.full((number, 2), 64),
        object_box=np.tile([-0.5, -0.5, 63.5, 63.5], (number, 1)),
    )


@pytest.mark.parametrize("name", PLAIN)
def test_an_invertible_map_of_landmarks_changes_nothing_without_a_ridge(tmp_path, name):
    data = squares(tmp_path)
    landmarks = near_keypoints(data)
    matrix = np.random.default_rng(1).normal(size=(4, 4))
    # In the frame, where a map without a bias keeps the origin.
    middle = 31.5 if IOD_PROTOCOLS[name].frame in ("centre", "unit") else 0
    other = ((landmarks - middle).reshape(-1, 4) @ matrix).reshape(-1, 2, 2) + middle
    one, two = (forward(objects_of(data, own), IOD_PROTOCOLS[name]) for own in (landmarks, other))
    np.testing.assert_allclose(one.points, two.points, rtol=1e-6)


@pytest.mark.parametrize("name", IOD_PROTOCOLS)
def test_the_order_of_landmarks_does_not_matter(data, name):
    landmarks = near_keypoints(data, number=3)
    one, two = (
        forward(objects_of(data, own), IOD_PROTOCOLS[name])
        for own in (landmarks, landmarks[:, [2, 0, 1]])
    )
    np.testing.assert_allclose(one.points, two.points, rtol=1e-6)


@pytest.mark.parametrize("name", ["imm-bias", "saic", "mallis", "recommended"])
def test_with_a_bias_the_origin_of_landmarks_does_not_matter(tmp_path, name):
    data = squares(tmp_path)
    landmarks = near_keypoints(data)
    one, two = (
        forward(objects_of(data, own), IOD_PROTOCOLS[name]) for own in (landmarks, landmarks + 30)
    )
    np.testing.assert_allclose(one.points, two.points, rtol=1e-6)


def test_landmarks_that_tell_nothing_score_the_floor_under_the_recommended_map(tmp_path):
    data = squares(tmp_path)  # the box is the picture, so a fixed place says nothing of it
    landmarks = np.full((len(data.object_category), 4, 2), 20.0)
    found = forward(objects_of(data, landmarks), RECOMMENDED)
    # The same keypoints are scored in both: those that two training objects show.
    np.testing.assert_allclose(found.points, np.where(np.isnan(found.points), np.nan, found.floor))
    assert found.averaged == found.mapped
    assert found.ranks == {0: 1, 1: 1}


def test_landmarks_that_are_the_keypoints_are_met_under_the_recommended_map(data):
    landmarks = np.nan_to_num(data.object_keypoints)[:, :3]
    found = forward(objects_of(data, landmarks), RECOMMENDED)
    true = data.object_keypoints[data.objects("test")][:, :3]
    off = np.linalg.norm(found.points[0, :, :3] - true, axis=-1)
    away = np.linalg.norm(found.floor[0, :, :3] - true, axis=-1)
    assert off.max() < 1e-2 and away.mean() > 5


def test_what_is_fitted_on_is_never_what_is_scored_but_where_the_protocol_says_so(data):
    for preset in IOD_PROTOCOLS.values():
        for folds in draws(objects_of(data, near_keypoints(data)), preset):
            for fitted, scored in folds:
                both = np.intersect1d(fitted, scored)
                assert len(both) == (len(scored) if preset.fitted_on == "scored" else 0)
            assert sorted(np.concatenate([b for _, b in folds])) == data.objects("test").tolist()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_halves_share_no_picture(data, seed):
    names = tiny_arrays()["object/source_image"]
    names[:] = [f"{row // 4}.jpg" for row in range(len(names))]
    shared = replace(data, arrays={**data.arrays, "object/source_image": names})
    rows = data.objects("test")
    first, second = halves(shared, rows, np.random.default_rng(seed))
    image = pictures(shared)[0]
    assert not set(image[first]) & set(image[second])
    assert sorted([*first, *second]) == rows.tolist()
    assert abs(len(set(image[first])) - len(set(image[second]))) <= 1


def test_one_picture_cannot_be_halved(data):
    with pytest.raises(JladkitError, match="all of one picture"):
        halves(data, data.objects("test")[:1], np.random.default_rng(0))


def test_rows_are_drawn_from_each_category_and_the_same_again(data):
    objects = objects_of(data, near_keypoints(data))
    preset = derived(IOD_PROTOCOLS["imm"], fit_rows=7, repeats=3)
    drawn = [folds[0][0] for folds in draws(objects, preset)]
    for rows in drawn:
        assert np.bincount(data.object_category[rows]).tolist() == [7, 7]
        assert len(set(rows.tolist())) == 14 and set(rows) <= set(data.objects("train"))
    assert len({tuple(rows) for rows in drawn}) == 3
    fewer = [folds[0][0] for folds in draws(objects, replace(preset, repeats=2))]
    np.testing.assert_array_equal(fewer, drawn[:2])


def test_more_rows_than_there_are_cannot_be_drawn(data):
    objects = objects_of(data, near_keypoints(data))
    with pytest.raises(JladkitError, match="draws 21 objects of each category, but there are 20"):
        forward(objects, derived(IOD_PROTOCOLS["imm"], fit_rows=21))


def test_all_rows_drawn_are_what_is_fitted_without_a_draw(data):
    objects = objects_of(data, near_keypoints(data))
    one = forward(objects, IOD_PROTOCOLS["saic"])
    two = forward(objects, derived(IOD_PROTOCOLS["saic"], fit_rows=20, repeats=2))
    np.testing.assert_allclose(two.points, np.repeat(one.points, 2, axis=0))
    np.testing.assert_allclose(two.floor, np.repeat(one.floor, 2, axis=0))


def test_backward_maps_are_the_naive_formula(data):
    landmarks = near_keypoints(data)
    found, used = backward(objects_of(data, landmarks), IOD_PROTOCOLS["imm"])
    size = data.object_size[:, None].astype(float)
    unit = [(2 * points + 1) / size - 1 for points in (data.object_keypoints, landmarks)]
    test = data.objects("test")
    for code, members in used.items():
        own, new = (
            rows[(data.object_category[rows] == code)
                 & data.object_visible[rows][:, members].all(axis=1)]
            for rows in (data.objects("train"), test)
        )  # fmt: skip
        x = np.hstack([unit[0][:, members].reshape(60, -1), np.ones((60, 1))])
        weights = np.linalg.lstsq(x[own], unit[1][own].reshape(len(own), -1), rcond=None)[0]
        said = ((x[new] @ weights).reshape(-1, 2, 2) + 1) * size[new] / 2 - 0.5
        place = np.searchsorted(test, new)
        np.testing.assert_allclose(found.points[0, place], said)
        average = (unit[1][own].mean(axis=0) + 1) * size[new] / 2 - 0.5
        np.testing.assert_allclose(found.floor[0, place], average)
    assert np.isfinite(found.points[0, :, 0, 0]).sum() < len(test)


def test_keypoints_are_read_while_half_of_the_objects_show_them_together():
    visible = np.array(
        [[1, 1, 0, 1], [1, 1, 0, 0], [1, 0, 1, 1], [1, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 0]], bool
    )
    # 0 (5 of 6), then 1 (4 of these), then 2 or 3 would leave 1.
    assert shown_together(visible).tolist() == [0, 1]
    assert shown_together(np.ones((3, 2), bool)).tolist() == [0, 1]
    assert shown_together(np.zeros((3, 2), bool)).tolist() == []
    assert shown_together(np.zeros((0, 2), bool)).tolist() == []
