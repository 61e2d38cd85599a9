"""Pictures in, pictures out: opening them safely, cutting a window around a box, encoding.

Two frames meet here. Points are xy with (0, 0) at the centre of the top left pixel. Windows are
counted from the left edge of the first pixel, so that cutting whole pixels never blurs.
"""

import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from jladkit.errors import JladkitError
from jladkit.formats.pictures import FORMATS, open_encoded

QUALITY = 95  # of the JPEGs that are stored
PADDINGS = ("edge", "reflect", "black")
SHAPES = ("square", "squash", "aspect")
ENCODINGS = {"jpeg": "JPEG", "png": "PNG", "raw": "PPM"}  # ours to Pillow's
ORIENTATION = 0x0112  # EXIF tag
SHRINKS = (8, 4, 2)  # what a JPEG decoder does by leaving frequencies out
HAIR = 1e-6  # of a pixel
Corners = tuple[int, int, int, int]  # left, top, right, bottom


class Window(NamedTuple):
    """A part of a picture, in its pixels from the left and top edge; may reach beyond it."""

    left: float
    top: float
    width: float
    height: float


class Opened(NamedTuple):
    """A picture of which only the header was read. `size` is its width and height upright."""

    path: Path
    image: Image.Image
    turned: bool
    size: tuple[int, int]

    def decode(self, shrink: int = 1) -> Image.Image:
        """The upright RGB picture, decoded `shrink` times smaller, which must be of `shrink_for`.

        Raises:
            JladkitError: it is truncated or broken.
        """
        try:
            if shrink > 1:
                width, height = self.image.size
                self.image.draft("RGB", (width // shrink, height // shrink))
            upright = ImageOps.exif_transpose(self.image) if self.turned else self.image
            return as_rgb(upright)
        except (OSError, ValueError, SyntaxError) as error:
            raise JladkitError(
                f"{self.path} is not a whole picture ({error}). Copy or download it again."
            ) from error

    def shrink_for(self, windows: Iterable[tuple[Window, tuple[int, int]]]) -> int:
        """How many times smaller (1, 2, 4, 8) it may be decoded without enlarging any window.

        Only a JPEG's decoder shrinks as it decodes, which saves most of its time.

        Args:
            windows: each with the size that it will be stored with.
        """
        if self.image.format != "JPEG":
            return 1
        room = min(min(w.width / size[0], w.height / size[1]) for w, size in windows)
        return next((shrink for shrink in SHRINKS if shrink <= room), 1)


def open_picture(path: Path, raw: bytes, annotated_size: tuple[int, int] | None = None) -> Opened:
    """Read a picture's header.

    Args:
        path: named in errors.
        raw: the file's bytes.
        annotated_size: width and height that the annotations state. Where they fit only the
            picture as it lies in the file, the EXIF orientation is ignored: so did the annotators.

    Raises:
        JladkitError: the bytes are a web page, or no picture.
    """
    if looks_like_html(raw):
        raise JladkitError(f"{path} is a web page saved as a picture. Download the picture itself.")
    try:
        image = open_encoded(raw)
        orientation = image.getexif().get(ORIENTATION, 1)
    except UnidentifiedImageError as error:
        raise JladkitError(
            f"{path} is no picture of a kind that is read ({', '.join(FORMATS)}). "
            "Copy or download it again."
        ) from error
    except (OSError, ValueError, SyntaxError) as error:
        raise JladkitError(
            f"{path} is not a whole picture, or too large a one ({error}). Copy or download it again."
        ) from error
    width, height = image.size
    upright = (height, width) if orientation in (5, 6, 7, 8) else (width, height)
    turned = orientation not in (0, 1)
    if annotated_size == image.size and annotated_size != upright:
        turned, upright = False, image.size
    return Opened(path, image, turned, upright)


def as_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of any mode; 16-bit grey keeps its upper 8 bits, transparency is dropped."""
    if image.mode == "F":
        raise ValueError("its pixels are floats, whose range is not known")
    if image.mode.startswith("I"):
        upper = np.clip(np.asarray(image) >> 8, 0, 255)
        return Image.fromarray(upper.astype(np.uint8)).convert("RGB")
    if image.mode == "RGB":  # convert would copy it
        image.load()
        return image
    return image.convert("RGB")


def looks_like_html(raw: bytes) -> bool:
    """True where a download left an error page in place of the file."""
    return raw[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html"))


def clip_box(box: np.ndarray, width: int, height: int) -> np.ndarray:
    """(4,) x1 y1 x2 y2 edges of `box` inside a picture; no area is left where it lies outside."""
    high = np.array([width, height, width, height]) - 0.5
    return np.minimum(np.maximum(box, -0.5), high)


def window_around(box: np.ndarray, margin: float, shape: str = "square") -> Window:
    """The whole pixels around a box.

    Args:
        box: (4,) x1 y1 x2 y2 edges, xy of pixel centres.
        margin: what to add on each side, as a share of the box's longer side.
        shape: "square" makes both sides as long as the longer one; else the box's shape stays.
    """
    x1, y1, x2, y2 = box.tolist()  # plain numbers: of so few, arrays take several times as long
    longer = max(x2 - x1, y2 - y1)
    wide, high = (longer, longer) if shape == "square" else (x2 - x1, y2 - y1)
    width, height = (max(1, math.ceil(side + 2 * margin * longer - 1e-9)) for side in (wide, high))
    left, top = (x1 + x2) / 2 + 0.5 - width / 2, (y1 + y2) / 2 + 0.5 - height / 2
    return Window(round(left), round(top), width, height)


def stored_size(window: Window, size: int, shape: str) -> tuple[int, int]:
    """Width and height that a window is stored with: its own, or shrunk to at most `size`.

    A window smaller than `size` keeps its pixels as they are; enlarging would add bytes only.
    "squash" makes a square of it, whatever its shape.
    """
    longer = max(window.width, window.height)
    side = min(math.ceil(longer), size)
    if shape == "squash":
        return side, side
    scale = side / longer
    return max(1, round(window.width * scale)), max(1, round(window.height * scale))


def cut(
    image: Image.Image,
    window: Window,
    size: tuple[int, int],
    padding: str = "edge",
    shrink: int = 1,
) -> tuple[Image.Image, np.ndarray]:
    """Cut a window out of a picture and resize it.

    Args:
        image: RGB.
        window: in pixels of the picture before it was shrunk; it must touch the picture.
        size: width and height of the result. Equal to those of a window of whole pixels, the
            pixels are copied; else they are resampled (bicubic, antialiased).
        padding: what lies beyond the picture: "edge" repeats its border, "reflect", "black".
        shrink: how many times smaller `image` was decoded.

    Returns:
        The picture, and the (2, 3) affine map from its xy to those of the unshrunk picture.
    """
    part = Window(*(value / shrink for value in window))
    x, y = round(part.left), round(part.top)
    if part == (x, y, *size):
        canvas = padded(image, x, y, x + size[0], y + size[1], padding)
    elif padding == "edge":
        canvas = resized_with_edges(image, part, size)
    else:
        canvas = resized(image, part, size, padding)
    scale = window.width / size[0], window.height / size[1]
    return canvas, np.array(
        [
            [scale[0], 0.0, window.left + 0.5 * scale[0] - 0.5],
            [0.0, scale[1], window.top + 0.5 * scale[1] - 0.5],
        ]
    )


def resized(
    image: Image.Image,
    part: Window,
    size: tuple[int, int],
    padding: str,
    more: Corners = (0, 0, 0, 0),
) -> Image.Image:
    """A part of the picture, resampled to `size`.

    Args:
        image, part: what to resample; it may reach beyond the picture.
        size: width and height of the result.
        padding: what lies beyond the picture.
        more: pixels beyond the part that the filter may look at: left, top, right, bottom.
    """
    left, top, right, bottom = part.left, part.top, part.left + part.width, part.top + part.height
    # Whole pixels that rounding moved by a hair stay whole.
    x1, y1 = math.floor(left + HAIR) - more[0], math.floor(top + HAIR) - more[1]
    x2, y2 = math.ceil(right - HAIR) + more[2], math.ceil(bottom - HAIR) + more[3]
    canvas = padded(image, x1, y1, x2, y2, padding)
    # One axis at a time: in a single call Pillow is off by some grey levels where a box is given.
    across = (max(left - x1, 0), 0, min(right, x2) - x1, canvas.height)
    canvas = canvas.resize((size[0], canvas.height), Image.Resampling.BICUBIC, box=across)
    down = (0, max(top - y1, 0), size[0], min(bottom, y2) - y1)
    return canvas.resize(size, Image.Resampling.BICUBIC, box=down)


def resized_with_edges(image: Image.Image, part: Window, size: tuple[int, int]) -> Image.Image:
    """As `resized` with "edge", but what lies wholly beyond the picture is resampled only once.

    There every row, or column, is the same. A wide object in a square is mostly that.
    """
    (x1, x2, more_left, more_right), (y1, y2, more_top, more_bottom) = (
        changing(part[axis], part[axis + 2], size[axis], image.size[axis]) for axis in (0, 1)
    )
    step = part.width / size[0], part.height / size[1]
    inner = Window(part.left + x1 * step[0], part.top + y1 * step[1],
                   (x2 - x1) * step[0], (y2 - y1) * step[1])  # fmt: skip
    more = (more_left, more_top, more_right, more_bottom)
    middle = resized(image, inner, (x2 - x1, y2 - y1), "edge", more)
    return middle if middle.size == size else framed(middle, x1, y1, size)


def changing(start: float, length: float, count: int, side: int) -> tuple[int, int, int, int]:
    """Which samples along one axis are not copies of their neighbour.

    Args:
        start, length: the part of the axis that is sampled, in pixels from the picture's edge.
        count: how many samples.
        side: of the picture.

    Returns:
        First and last+1 sample that see the picture, with one more beside them where more lie
        beyond; and how many pixels of padding their filter looks at on either side.
    """
    step = length / count
    reach = 2 * max(step, 1.0)  # of the bicubic filter, widened where it shrinks
    first = min(max(0, math.floor((-reach - start) / step - 0.5)), count - 1)
    last = max(min(count, math.ceil((side + reach - start) / step + 0.5)), first + 1)
    beyond = math.ceil(reach + step)
    return first, last, beyond if first else 0, beyond if last < count else 0


def padded(image: Image.Image, x1: int, y1: int, x2: int, y2: int, padding: str) -> Image.Image:
    """The pixels x1..x2-1, y1..y2-1 of `image`, filled up where they lie beyond it."""
    if x1 >= 0 and y1 >= 0 and x2 <= image.width and y2 <= image.height:
        return image.crop((x1, y1, x2, y2))
    part = (max(x1, 0), max(y1, 0), min(x2, image.width), min(y2, image.height))
    inside = image.crop(part)
    left, top = part[0] - x1, part[1] - y1
    if padding == "edge":
        return framed(inside, left, top, (x2 - x1, y2 - y1))
    if padding == "reflect":
        missing = ((top, y2 - part[3]), (left, x2 - part[2]), (0, 0))
        return Image.fromarray(np.pad(np.asarray(inside), missing, "reflect"))
    whole = Image.new("RGB", (x2 - x1, y2 - y1))
    whole.paste(inside, (left, top))
    return whole


def framed(inside: Image.Image, left: int, top: int, size: tuple[int, int]) -> Image.Image:
    """`inside` at (left, top) of a picture of `size`, its border repeated all around."""
    whole = Image.new("RGB", size, None)  # not blackened first: every pixel is set below
    whole.paste(inside, (left, top))
    right, below = left + inside.width, top + inside.height
    # Rows first, then columns of what is there by then.
    spread(whole, (left, top, right, top + 1), (left, 0, right, top))
    spread(whole, (left, below - 1, right, below), (left, below, right, whole.height))
    spread(whole, (left, 0, left + 1, whole.height), (0, 0, left, whole.height))
    spread(whole, (right - 1, 0, right, whole.height), (right, 0, *whole.size))
    return whole


def spread(image: Image.Image, line: Corners, over: Corners) -> None:
    """Fill a part of `image` with copies of one of its rows or columns."""
    size = over[2] - over[0], over[3] - over[1]
    if min(size) > 0:
        image.paste(image.resize(size, Image.Resampling.NEAREST, box=line), over)


def encode(image: Image.Image, encoding: str = "jpeg", quality: int = QUALITY) -> bytes:
    """`image` as the bytes of a file.

    Args:
        image: RGB.
        encoding: "jpeg" of `quality`; "png", without loss; "raw", a PPM: the pixels behind a
            short header, without loss and without work.
        quality: of a JPEG, 1 to 100.
    """
    stream = io.BytesIO()
    more = {"quality": quality} if encoding == "jpeg" else {}
    image.save(stream, ENCODINGS[encoding], **more)
    return stream.getvalue()
