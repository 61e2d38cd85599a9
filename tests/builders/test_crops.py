"""Cutting is exact, and nothing that is no picture gets through."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from jladkit.builders import crops, objects
from jladkit.errors import JladkitError
from tests.builders.layouts import HTML

HERE = Path("picture.jpg")


def jpeg(image: Image.Image, **more: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **more)  # pyright: ignore[reportArgumentType]
    return stream.getvalue()


def to_stored(to_source: np.ndarray, xy: np.ndarray) -> np.ndarray:
    return objects.to_stored(to_source[None], xy.reshape(1, -1, 2)).reshape(xy.shape)


@settings(max_examples=80, deadline=None)
@given(
    left=st.integers(-30, 60),
    top=st.integers(-30, 50),
    width=st.integers(31, 150),
    height=st.integers(31, 150),
    shape=st.sampled_from(["square", "squash", "aspect"]),
    fraction=st.sampled_from([0.0, 0.25, 0.5]),
    size=st.integers(16, 120),
    shrink=st.sampled_from([1, 2, 4]),
)
def test_the_map_takes_the_crops_edges_to_the_windows(
    left, top, width, height, shape, fraction, size, shrink
):
    window = crops.Window(left + fraction, top + fraction, width, height)
    stored = crops.stored_size(window, size, shape)
    image = Image.new("RGB", (92 // shrink, 72 // shrink))
    cut, to_source = crops.cut(image, window, stored, shrink=shrink)
    assert cut.size == stored
    corners = np.array([[0, 0], stored]) - 0.5
    there = corners @ to_source[:, :2].T + to_source[:, 2]
    wanted = np.array([window[:2], np.add(window[:2], window[2:])]) - 0.5
    np.testing.assert_allclose(there, wanted, atol=0.01)
    np.testing.assert_allclose(to_stored(to_source, there), corners, atol=0.01)


def test_a_crop_is_square_squashed_or_as_its_box():
    box = np.array([-0.5, -0.5, 99.5, 49.5])
    for shape, window, size in (
        ("square", (0, -25, 100, 100), (64, 64)),
        ("squash", (0, 0, 100, 50), (64, 64)),
        ("aspect", (0, 0, 100, 50), (64, 32)),
    ):
        found = crops.window_around(box, 0, shape)
        assert found == window
        assert crops.stored_size(found, 64, shape) == size


@pytest.mark.parametrize(
    ("window", "size", "shrink"),
    [
        ((-20, 3, 110, 110), (64, 64), 1),
        ((10, -15, 90, 90), (50, 50), 1),
        ((0, 0, 100, 100), (100, 100), 1),
        ((5, 5, 70, 70), (33, 33), 1),
        ((5.5, 5.25, 70, 60), (35, 40), 1),
        ((5, 5, 70, 70), (33, 33), 2),
        ((-21, 3, 110, 88), (22, 22), 4),
    ],
)
def test_a_dots_centre_lands_where_the_map_says(window, size, shrink):
    spot = np.array([52.0, 41.0])
    y, x = np.mgrid[:80, :100]
    blob = 255 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * 4**2))
    image = Image.fromarray(blob.round().astype(np.uint8)).convert("RGB").reduce(shrink)
    cut, to_source = crops.cut(image, crops.Window(*window), size, shrink=shrink)
    light = np.asarray(cut.convert("L"), dtype=float)
    v, u = np.mgrid[: cut.height, : cut.width]
    centre = np.array([(u * light).sum(), (v * light).sum()]) / light.sum()
    np.testing.assert_allclose(centre, to_stored(to_source, spot), atol=0.1)


def test_a_window_below_the_size_keeps_its_pixels():
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    cut, to_source = crops.cut(Image.fromarray(pixels), crops.Window(5, 6, 20, 20), (20, 20))
    np.testing.assert_array_equal(np.asarray(cut), pixels[6:26, 5:25])
    np.testing.assert_array_equal(to_source, [[1, 0, 5], [0, 1, 6]])


def test_beyond_the_border_the_edge_goes_on_or_is_mirrored_or_it_is_black():
    pixels = np.full((10, 10, 3), 100, dtype=np.uint8)
    pixels[:, 0] = 200
    left = {}
    for padding in crops.PADDINGS:
        image, window = Image.fromarray(pixels), crops.Window(-5, 0, 10, 10)
        left[padding] = np.asarray(crops.cut(image, window, (10, 10), padding)[0])[:, :5]
    assert (left["edge"] == 200).all()
    assert (left["reflect"] == 100).all()
    assert (left["black"] == 0).all()


def test_a_jpeg_is_shrunk_in_the_decoder_only_as_far_as_no_window_needs_enlarging():
    def window(side: int) -> tuple[crops.Window, tuple[int, int]]:
        return crops.Window(0, 0, side, side), (64, 64)

    image = Image.new("RGB", (640, 640))
    opened = crops.open_picture(HERE, jpeg(image))
    assert opened.shrink_for([window(600)]) == 8
    assert opened.shrink_for([window(500), window(300)]) == 4
    assert opened.shrink_for([window(600), window(64)]) == 1
    assert crops.open_picture(HERE, crops.encode(image, "png")).shrink_for([window(600)]) == 1
    assert opened.decode(4).size == (160, 160)


def test_what_the_decoder_shrinks_looks_as_if_shrunk_afterwards():
    y, x = np.mgrid[:1203, :1601]
    waves = [127 + 100 * np.sin(x / (9 + c) + y / (23 - c)) for c in range(3)]
    raw = jpeg(Image.fromarray(np.stack(waves, -1).astype(np.uint8)), quality=95)
    window, size = crops.Window(-40, 100, 1200, 1200), (256, 256)
    whole, slow = crops.cut(crops.open_picture(HERE, raw).decode(), window, size)
    small, fast = crops.cut(crops.open_picture(HERE, raw).decode(4), window, size, shrink=4)
    np.testing.assert_allclose(fast, slow)
    error = np.abs(np.asarray(whole, dtype=float) - np.asarray(small, dtype=float))
    assert error.mean() < 2


@pytest.mark.parametrize("encoding", ["jpeg", "png", "raw"])
def test_png_and_raw_keep_every_bit(encoding):
    noise = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    raw = crops.encode(Image.fromarray(noise), encoding, 60)
    back = np.asarray(Image.open(io.BytesIO(raw)))
    assert np.array_equal(back, noise) == (encoding != "jpeg")


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
    left, top, side, _ = crops.window_around(box, margin)
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
    opened = crops.open_picture(HERE, jpeg(image, exif=exif))
    assert (opened.size, opened.turned, opened.decode().size) == ((10, 20), True, (10, 20))


def test_exif_is_ignored_where_the_annotators_ignored_it():
    exif = Image.Exif()
    exif[crops.ORIENTATION] = 6
    raw = jpeg(Image.new("RGB", (20, 10)), exif=exif)
    for annotated in ((20, 10), (10, 20)):
        opened = crops.open_picture(HERE, raw, annotated)
        assert opened.size == opened.decode().size == annotated


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_any_mode_becomes_rgb(mode):
    assert crops.open_picture(HERE, jpeg(Image.new(mode, (8, 8)))).decode().mode == "RGB"


@pytest.mark.parametrize("kind", ["16-bit grey", "16-bit TIFF", "palette", "transparent", "CMYK"])
def test_rare_pixels_come_out_right(kind):
    grey = np.full((8, 8), 200 * 257, dtype=np.uint16)
    colour = Image.new("RGB", (8, 8), (200, 100, 50))
    image, ending, wanted = {
        "16-bit grey": (Image.fromarray(grey), "PNG", (200, 200, 200)),
        "16-bit TIFF": (Image.fromarray(grey), "TIFF", (200, 200, 200)),
        "palette": (colour.quantize(4), "PNG", (200, 100, 50)),
        "transparent": (Image.new("RGBA", (8, 8), (200, 100, 50, 9)), "PNG", (200, 100, 50)),
        "CMYK": (colour.convert("CMYK"), "JPEG", (200, 100, 50)),
    }[kind]
    stream = io.BytesIO()
    image.save(stream, ending)
    decoded = np.asarray(crops.open_picture(HERE, stream.getvalue()).decode())
    np.testing.assert_allclose(decoded[4, 4], wanted, atol=2)


def test_pixels_of_unknown_range_are_refused():
    stream = io.BytesIO()
    Image.fromarray(np.ones((8, 8), dtype=np.float32)).save(stream, "TIFF")
    with pytest.raises(JladkitError, match="whose range is not known"):
        crops.open_picture(HERE, stream.getvalue()).decode()


@pytest.mark.parametrize("kind", ["html", "truncated", "empty", "noise"])
def test_what_is_no_whole_picture_is_refused_by_name(kind):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    whole = jpeg(Image.fromarray(noise))
    raw = {"html": HTML, "truncated": whole[: len(whole) // 2], "empty": b"", "noise": b"\x01" * 99}
    with pytest.raises(JladkitError, match=r"picture\.jpg is"):
        crops.open_picture(HERE, raw[kind]).decode()


@settings(deadline=None)
@given(
    side=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    corner=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    window=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
)
def test_padding_that_is_resampled_once_looks_like_padding_that_is_resampled(
    side, corner, window, size
):
    pixels = np.random.default_rng(0).integers(0, 256, (side[1], side[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    # From almost left of the picture to almost right of it.
    left, top = (
        min(round((c + 1) / 2 * (s + w)) - w, s - 1)
        for c, s, w in zip(corner, side, window, strict=True)
    )
    left, top = max(left, 1 - window[0]), max(top, 1 - window[1])
    part = crops.Window(left, top, *window)
    short = np.asarray(crops.resized_with_edges(image, part, size), dtype=int)
    whole = np.asarray(crops.resized(image, part, size, "edge"), dtype=int)
    assert np.abs(short - whole).max() <= 2  # what rounding twice may do to noise


@given(
    box=arrays(float, 4, elements=st.floats(-500, 500)),
    margin=st.sampled_from([0.0, 0.1, 0.25]),
    shape=st.sampled_from(crops.SHAPES),
)
def test_the_window_is_that_of_the_formula_written_with_arrays(box, margin, shape):
    box = np.sort(box.reshape(2, 2), axis=0).reshape(4)
    sides = box[2:] - box[:2]
    wide = np.full(2, sides.max()) if shape == "square" else sides
    size = np.maximum(np.ceil(wide + 2 * margin * sides.max() - 1e-9), 1)
    corner = np.round((box[:2] + box[2:]) / 2 + 0.5 - size / 2)
    assert crops.window_around(box, margin, shape) == (*corner, *size)


@given(box=arrays(float, 4, elements=st.floats(-500, 500)))
def test_a_clipped_box_has_its_edges_on_the_picture(box):
    clipped = crops.clip_box(box, 100, 50)
    expected = [min(max(value, -0.5), side - 0.5)
                for value, side in zip(box, (100, 50, 100, 50), strict=True)]  # fmt: skip
    assert clipped.tolist() == expected
    assert np.isnan(crops.clip_box(np.array([np.nan, 0, 1, 1]), 100, 50)[0])
