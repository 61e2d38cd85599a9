import numpy as np
import pytest

from jladkit.evaluators.iod_errors import Errors, image_errors, mean_of
from jladkit.evaluators.iod_fitting import Regression


def test_image_errors_of_two_images_are_those_computed_by_hand():
    true = np.zeros((2, 3, 2))
    guess = np.array([[[3.0, 4.0], [0, 0], [9, 9]], [[1.0, 0], [np.nan, 0], [0, 3.0]]])
    visible = np.array([[True, True, False], [True, True, True]])
    errors = image_errors(guess, true, visible, np.array([10.0, 4.0]))
    np.testing.assert_allclose(errors, [(5 + 0) / 2 / 10, (1 + 3) / 2 / 4])


def test_errors_of_two_repeats_are_those_computed_by_hand():
    true = np.zeros((1, 2, 2))
    points = np.array([[[[3.0, 4.0], [0, 1]]], [[[0, 3.0], [np.nan, np.nan]]]])
    floor = np.full((2, 1, 2, 2), [0.0, 10.0])
    found = Errors.of(
        Regression(points, floor, 2, 5), true, np.ones((1, 2), bool), np.array([10.0])
    )
    np.testing.assert_allclose(found.images, [[0.3], [0.3]])
    np.testing.assert_allclose(found.points, [[[0.5, 0.1]], [[0.3, np.nan]]])
    # The floor is scored on the very points that the map says.
    np.testing.assert_allclose(found.floors, [[1], [1]])
    assert found.scored.tolist() == [2]
    assert found.explained() == pytest.approx(1 - (25 + 1 + 9) / 300)


def test_what_never_moves_is_not_explained():
    still = np.zeros((1, 3, 2, 2))
    found = Errors.of(Regression(still, still, 2, 5), still[0], np.ones((3, 2), bool), np.ones(3))
    assert found.explained() is None


def test_a_mean_passes_over_what_is_missing():
    np.testing.assert_allclose(mean_of(np.array([[1.0, np.nan], [3, np.nan]])), [2, np.nan])
