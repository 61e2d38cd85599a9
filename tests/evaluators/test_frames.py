from dataclasses import replace

import numpy as np
import pytest

from jladkit.evaluators.frames import keypoint_extents
from jladkit.evaluators.pck import measured
from jladkit.evaluators.pck_protocols import PCK_PROTOCOLS
from tests.evaluators.one_pair import both_ways, one_pair
from tests.tiny import predicted, tiny_dataset, true_points


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("frames") / "tiny.h5")


def test_the_extent_of_keypoints_is_the_longer_side_of_those_that_count():
    points = np.array([[[0, 0], [3, 1], [9, 99]], [[5, 5], [7, 9], [np.nan, 0]], [[1, 1]] * 3])
    visible = np.array([[True, True, False], [True, True, False], [False, True, False]])
    np.testing.assert_array_equal(keypoint_extents(points, visible), [3, 4, 0])
    np.testing.assert_array_equal(keypoint_extents(points, np.zeros_like(visible)), [0, 0, 0])


def test_floored_keypoints_are_compared_and_measured_as_whole_numbers(tmp_path):
    keypoints = one_pair(tmp_path / "whole.h5").object_keypoints.copy()
    keypoints[2, 0] += 0.9
    data = one_pair(tmp_path / "fractions.h5", object_keypoints=keypoints)
    there = true_points(data)
    there[0, 0] = (32, 40)  # 12 pixels beside the whole number
    preset = PCK_PROTOCOLS["visual-ai-willow"]
    floored, rounded, as_is = (
        measured(data, predicted(data, pair_points=there), replace(preset, rounding=how))[1]
        for how in ("floor", "round", "none")
    )
    assert floored[0, 0] == pytest.approx(12 / 100 / 0.6)
    assert rounded[0, 0] == pytest.approx(np.hypot(11 / 100, 1 / 200) / (119 / 200))
    assert as_is[0, 0] == pytest.approx(np.hypot(11.1 / 100, 0.9 / 200) / (119.1 / 200))


def test_the_original_frame_undoes_the_crop(data):
    """Each stored picture is half of its source, which is 10 pixels larger on top of that."""
    said = both_ways(data)
    hpf = PCK_PROTOCOLS["hpf"]
    _, stored, _ = measured(data, said, hpf)
    _, original, extent = measured(data, said, replace(hpf, frame="original"))
    size = data.object_size[data.pair_target[data.pairs("test")]].max(axis=1)
    np.testing.assert_array_equal(extent, 2 * size + 10)
    np.testing.assert_allclose(original, stored * (2 * size / (2 * size + 10))[:, None])
    box = PCK_PROTOCOLS["spair"]
    a, b = (measured(data, said, replace(box, frame=f))[1] for f in ("stored", "original"))
    np.testing.assert_allclose(a, b)


def test_the_longer_side_is_that_of_each_pictures_own_frame(tmp_path):
    """An extent of the other picture is scaled as that one is."""
    data = one_pair(tmp_path / "one.h5")
    preset = replace(PCK_PROTOCOLS["sd-dino"], extent="source-box")
    _, _, extent = measured(data, predicted(data), preset)
    np.testing.assert_array_equal(extent, [100])  # both pictures' longer sides are 200
    size = data.object_size.copy()
    size[0] = (400, 100)
    data = one_pair(tmp_path / "wide.h5", object_size=size)
    _, _, extent = measured(data, predicted(data), preset)
    np.testing.assert_array_equal(extent, [50])
