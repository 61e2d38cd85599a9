"""Masks: stored and read again, and polygons filled by the even-odd rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jladkit.formats.masks import (
    decode_mask,
    encode_mask,
    fill_polygon,
    is_polygon,
    vertex_names,
)


def naive(xy: np.ndarray, width: int, height: int) -> np.ndarray:
    """Each pixel on its own: how many edges does a ray to its right cross?"""
    mask = np.zeros((height, width), bool)
    for row in range(height):
        for column in range(width):
            for (x0, y0), (x1, y1) in zip(xy, np.roll(xy, 1, axis=0), strict=True):
                spans = y0 <= row < y1 or y1 <= row < y0
                if spans and column < (x1 - x0) * (row - y0) / (y1 - y0) + x0:
                    mask[row, column] = not mask[row, column]
    return mask


def test_a_rectangle_holds_its_left_and_upper_edges_only():
    mask = fill_polygon(np.array([[1, 1], [4, 1], [4, 3], [1, 3]]), 6, 5)
    expected = np.zeros((5, 6), bool)
    expected[1:3, 1:4] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_triangle_by_hand():
    mask = fill_polygon(np.array([[0.5, 0.5], [4.5, 0.5], [0.5, 4.5]]), 6, 6)
    rows = ["......", ".###..", ".##...", ".#....", "......", "......"]
    np.testing.assert_array_equal(mask, [[cell == "#" for cell in row] for row in rows])


def test_what_is_enclosed_twice_is_outside():
    outer = [[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]
    inner = [[3, 3], [6, 3], [6, 6], [3, 6], [3, 3]]
    mask = fill_polygon(np.array(outer + inner), 10, 10)
    assert mask.sum() == 81 - 9
    assert not mask[3:6, 3:6].any()


def test_polygons_that_share_an_edge_share_no_pixel():
    left = fill_polygon(np.array([[0, 0], [5, 0], [3, 8], [0, 8]]), 10, 10)
    right = fill_polygon(np.array([[5, 0], [9, 0], [9, 8], [3, 8]]), 10, 10)
    whole = fill_polygon(np.array([[0, 0], [9, 0], [9, 8], [0, 8]]), 10, 10)
    assert not (left & right).any()
    np.testing.assert_array_equal(left | right, whole)


@pytest.mark.parametrize("xy", [np.zeros((0, 2)), [[3, 3]], [[1, 1], [7, 6]], [[20, 20]] * 3])
def test_nothing_is_covered_by_fewer_than_three_vertices_or_from_afar(xy):
    assert not fill_polygon(np.asarray(xy, dtype=float), 8, 8).any()


def test_a_polygon_around_the_picture_covers_it():
    huge = 1e12 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    assert fill_polygon(huge, 7, 5).all()


vertices = st.integers(1, 9).flatmap(
    lambda n: arrays(float, (n, 2), elements=st.floats(-5, 20, width=16))
)


@settings(max_examples=60)
@given(vertices, st.integers(1, 15), st.integers(1, 12))
def test_it_agrees_with_a_naive_rasterisation(xy, width, height):
    np.testing.assert_array_equal(fill_polygon(xy, width, height), naive(xy, width, height))


@given(vertices, st.integers(0, 8))
def test_where_a_polygon_starts_does_not_matter(xy, first):
    turned = np.roll(xy, first, axis=0)
    np.testing.assert_array_equal(fill_polygon(xy, 15, 12), fill_polygon(turned, 15, 12))


@given(arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_a_mask_comes_back_as_it_was(mask):
    np.testing.assert_array_equal(decode_mask(encode_mask(mask)), mask)
    np.testing.assert_array_equal(decode_mask(encode_mask(mask[:, ::-1])), mask[:, ::-1])


def test_vertices_are_told_from_named_keypoints():
    assert vertex_names(3) == ["v000", "v001", "v002"]
    assert is_polygon(vertex_names(400))
    assert not is_polygon(["v000", "v002"])
    assert not is_polygon(["left_eye"])
    assert not is_polygon([])
