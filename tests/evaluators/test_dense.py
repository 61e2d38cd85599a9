import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import map_coordinates

from jladkit.errors import JladkitError
from jladkit.evaluators.dense import fields_of, pixel_field
from tests.tiny import predicted, tiny_dataset

sizes = st.tuples(st.integers(1, 30), st.integers(1, 30)).map(np.array)


def identity(cells: tuple[int, int], other: np.ndarray) -> np.ndarray:
    """(2, h, w) the field that sends every cell to the same relative place."""
    x, y = ((np.arange(c) + 0.5) * n / c - 0.5 for c, n in zip(cells, other, strict=True))
    return np.stack(np.meshgrid(x, y))


def test_between_two_cells_a_pixel_reads_both():
    # Two cells over four pixels: their centres lie at 0.5 and 2.5, moved by 1 and by 5 pixels.
    field = (
        identity((2, 1), np.array([4, 1])) + np.array([1.0, 5.0]) * np.array([1, 0])[:, None, None]
    )
    found = pixel_field(field, np.array([4, 1]), np.array([4, 1]))
    np.testing.assert_allclose(found[0, :, 0], [0 + 1, 1 + 2, 2 + 4, 3 + 5])
    np.testing.assert_allclose(found[0, :, 1], 0)


@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), sizes, sizes)
def test_the_identity_is_exact_to_the_border(cells, size, other):
    x = (np.arange(size[0]) + 0.5) * other[0] / size[0] - 0.5
    y = (np.arange(size[1]) + 0.5) * other[1] / size[1] - 0.5
    found = pixel_field(identity(cells, other), size, other)
    np.testing.assert_allclose(found, np.stack(np.meshgrid(x, y), axis=-1), atol=1e-9)


@given(sizes, st.integers(0, 2**32 - 1))
def test_a_field_with_a_cell_for_each_pixel_stays_as_it_is(size, seed):
    field = np.random.default_rng(seed).uniform(-50, 50, (2, size[1], size[0]))
    field[:, 0, -1] = np.nan
    found = pixel_field(field, size, np.array([17, 40]))
    np.testing.assert_allclose(found, field.transpose(1, 2, 0), atol=1e-9)


@given(sizes, st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_it_agrees_with_reading_the_difference_from_the_identity(size, width, height, seed):
    other = np.array([23, 31])
    field = np.random.default_rng(seed).uniform(-50, 50, (2, height, width))
    y, x = np.mgrid[: size[1], : size[0]]
    at = ((y + 0.5) * height / size[1] - 0.5, (x + 0.5) * width / size[0] - 0.5)
    moved = field - identity((width, height), other)
    read = [map_coordinates(part, at, order=1, mode="nearest") for part in moved]
    expected = np.stack(
        [(p + 0.5) * n / m - 0.5 for p, n, m in zip((x, y), other, size, strict=True)]
    )
    found = pixel_field(field, size, other)
    np.testing.assert_allclose(found, (expected + read).transpose(1, 2, 0), atol=1e-9)


def test_a_cell_that_is_not_known_takes_those_pixels_that_read_it():
    field = identity((3, 1), np.array([6, 1]))
    field[1, 0, 2] = np.nan
    found = pixel_field(field, np.array([6, 1]), np.array([6, 1]))
    # Centres lie at 0.5, 2.5 and 4.5; pixels 3, 4 and 5 read the last one.
    assert np.isfinite(found[0]).all(axis=-1).tolist() == [True, True, True, False, False, False]


@given(arrays(bool, (4, 5)), st.integers(1, 12), st.integers(1, 12))
def test_what_is_not_known_never_leaks_into_a_number(known, width, height):
    field = np.where(known, identity((5, 4), np.array([8, 9])), np.nan)
    found = pixel_field(field, np.array([width, height]), np.array([8, 9]))
    whole = pixel_field(
        identity((5, 4), np.array([8, 9])), np.array([width, height]), np.array([8, 9])
    )
    there = np.isfinite(found).all(axis=-1)
    np.testing.assert_allclose(found[there], whole[there])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("dense") / "tiny.h5")


@pytest.mark.parametrize(
    ("direction", "words"),
    [
        ("source->target", r"from source to target \(pair/flow\)\. Run: jladkit predict --dense"),
        ("target->source", r"from target to source \(pair/flow_back\)"),
    ],
)
def test_a_missing_field_is_named_with_how_to_make_it(data, direction, words):
    other = np.zeros((20, 2, 3, 3))
    one = predicted(data, pair_flow_back=other)
    if direction == "target->source":
        one = predicted(data, pair_flow=other)
    with pytest.raises(JladkitError, match=words):
        fields_of(one, direction)
