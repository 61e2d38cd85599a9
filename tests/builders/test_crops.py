"""Cutting is exact, and nothing that is no picture gets through."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jladkit.builders import crops
from jladkit.errors import JladkitError
from tests.builders.layouts import HTML

HERE = Path("picture.jpg")


def jpeg(image: Image.Image, **more: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **more)  # pyright: ignore[reportArgumentType]
    return stream.getvalue()


@settings(max_examples=60, deadline=None)
@given(
    left=st.integers(-30, 60),
    top=st.integers(-30, 50),
    side=st.integers(31, 150),
    size=st.integers(16, 120),
)
def test_the_map_takes_the_crops_edges_to_the_windows(left, top, side, size):
    square, to_source = crops.cut(Image.new("RGB", (90, 70)), left, top, side, size)
    n = square.width
    corners = np.array([[-0.5, -0.5], [n - 0.5, n - 0.5]])
    there = corners @ to_source[:, :2].T + to_source[:, 2]
    wanted = np.array([[left, top], [left + side, top + side]]) - 0.5
    np.testing.assert_allclose(there, wanted, atol=0.01)
    np.testing.assert_allclose(crops.to_stored(to_source, there), corners, atol=0.01)
    assert square.size == (n, n)
    assert n == min(side, size)


@pytest.mark.parametrize(
    ("window", "size"),
    [((-20, 3, 110), 64), ((10, -15, 90), 50), ((0, 0, 100), 100), ((5, 5, 70), 33)],
)
def test_a_dots_centre_lands_where_the_map_says(window, size):
    spot = np.array([52.0, 41.0])
    y, x = np.mgrid[:80, :100]
    blob = 255 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * 2.5**2))
    image = Image.fromarray(blob.astype(np.uint8)).convert("RGB")
    left, top, side = window
    square, to_source = crops.cut(image, left, top, side, size)
    light = np.asarray(square.convert("L"), dtype=float)
    v, u = np.mgrid[: square.height, : square.width]
    centre = np.array([(u * light).sum(), (v * light).sum()]) / light.sum()
    np.testing.assert_allclose(centre, crops.to_stored(to_source, spot), atol=0.1)


def test_a_window_below_the_size_keeps_its_pixels():
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    square, to_source = crops.cut(Image.fromarray(pixels), 5, 6, 20, 256)
    np.testing.assert_array_equal(np.asarray(square), pixels[6:26, 5:25])
    np.testing.assert_array_equal(to_source, [[1, 0, 5], [0, 1, 6]])


def test_beyond_the_border_the_edge_goes_on_or_it_is_black():
    pixels = np.full((10, 10, 3), 100, dtype=np.uint8)
    pixels[:, 0] = 200
    edge, _ = crops.cut(Image.fromarray(pixels), -5, 0, 10, 64, "edge")
    black, _ = crops.cut(Image.fromarray(pixels), -5, 0, 10, 64, "black")
    assert (np.asarray(edge)[:, :5] == 200).all()
    assert (np.asarray(black)[:, :5] == 0).all()


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(-0.5, 300),
    y=st.floats(-0.5, 300),
    width=st.floats(1, 200),
    height=st.floats(1, 200),
    margin=st.floats(0, 0.5),
)
def test_the_window_holds_the_box_and_its_margin(x, y, width, height, margin):
    box = np.array([x, y, x + width, y + height])
    left, top, side = crops.square_window(box, margin)
    spare = margin * max(width, height) - 0.51  # the centre is rounded to whole pixels
    assert left - 0.5 <= x - spare + 1e-6
    assert top - 0.5 <= y - spare + 1e-6
    assert left + side - 0.5 >= x + width + spare - 1e-6
    assert side < max(width, height) * (1 + 2 * margin) + 1


def test_a_box_is_clipped_to_the_picture():
    clipped = crops.clip_box(np.array([-9.0, 3, 200, 30]), 100, 50)
    np.testing.assert_array_equal(clipped, [-0.5, 3, 99.5, 30])


def test_a_picture_is_turned_as_its_exif_says():
    image = Image.new("RGB", (20, 10))
    exif = Image.Exif()
    exif[crops.ORIENTATION] = 6
    raw = jpeg(image, exif=exif)
    assert (crops.read_picture(HERE, raw)[0].size, crops.read_picture(HERE, raw)[1]) == (
        (10, 20),
        True,
    )


def test_exif_is_ignored_where_the_annotators_ignored_it():
    exif = Image.Exif()
    exif[crops.ORIENTATION] = 6
    raw = jpeg(Image.new("RGB", (20, 10)), exif=exif)
    assert crops.read_picture(HERE, raw, (20, 10))[0].size == (20, 10)
    assert crops.read_picture(HERE, raw, (10, 20))[0].size == (10, 20)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_any_mode_becomes_rgb(mode):
    assert crops.read_picture(HERE, jpeg(Image.new(mode, (8, 8))))[0].mode == "RGB"


@pytest.mark.parametrize("kind", ["html", "truncated", "empty", "noise"])
def test_what_is_no_whole_picture_is_refused_by_name(kind):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    whole = jpeg(Image.fromarray(noise))
    raw = {"html": HTML, "truncated": whole[: len(whole) // 2], "empty": b"", "noise": b"\x01" * 99}
    with pytest.raises(JladkitError, match=r"picture\.jpg is"):
        crops.read_picture(HERE, raw[kind])
