"""Pictures in, pictures out: reading them safely, cutting a square around a box, encoding.

Two frames meet here. Points are xy with (0, 0) at the centre of the top left pixel. Windows are
counted in whole pixels, from the left edge of the first one, so that cutting never blurs.
"""

import io
import math
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from jladkit.errors import JladkitError

QUALITY = 95  # of the JPEGs that are stored
PADDINGS = {"edge": "edge", "reflect": "reflect", "black": "constant"}  # ours to numpy's
ORIENTATION = 0x0112  # EXIF tag
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")


def read_picture(
    path: Path, raw: bytes, annotated_size: tuple[int, int] | None = None
) -> tuple[Image.Image, bool]:
    """Decode a picture whole, turned the way its EXIF orientation says.

    Args:
        path: named in the error.
        raw: the file's bytes.
        annotated_size: width and height that the annotations state. Where they fit only the
            picture as it lies in the file, the orientation is ignored: so did the annotators.

    Returns:
        The RGB picture, and whether it was turned (so that `raw` shows something else).

    Raises:
        JladkitError: the bytes are a web page, a truncated picture or none at all.
    """
    if looks_like_html(raw):
        raise JladkitError(f"{path} is a web page saved as a picture. Download the picture itself.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(raw), formats=FORMATS)
            turned = image.getexif().get(ORIENTATION, 1) not in (0, 1)
            plain = image.convert("RGB")
            if not turned:
                return plain, False
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except UnidentifiedImageError as error:
        raise JladkitError(
            f"{path} is no picture of a kind that is read ({', '.join(FORMATS)}). "
            "Copy or download it again."
        ) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise JladkitError(
            f"{path} is not a whole picture ({error}). Copy or download it again."
        ) from error
    if annotated_size == plain.size and annotated_size != upright.size:
        return plain, False
    return upright, True


def looks_like_html(raw: bytes) -> bool:
    """True where a download left an error page in place of the file."""
    return raw[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html"))


def clip_box(box: np.ndarray, width: int, height: int) -> np.ndarray:
    """(4,) x1 y1 x2 y2 edges of `box` inside a picture; no area is left where it lies outside."""
    low, high = np.array([-0.5, -0.5]), np.array([width - 0.5, height - 0.5])
    return np.concatenate([np.clip(box[:2], low, high), np.clip(box[2:], low, high)])


def square_window(box: np.ndarray, margin: float) -> tuple[int, int, int]:
    """The square of whole pixels around a box.

    Args:
        box: (4,) x1 y1 x2 y2 edges, xy of pixel centres.
        margin: what to add on each side, as a share of the box's longer side.

    Returns:
        left, top and side in pixels. May reach beyond the picture.
    """
    longer = max(box[2] - box[0], box[3] - box[1])
    side = max(1, math.ceil(longer * (1 + 2 * margin) - 1e-9))
    left, top = (round(float(c) + 0.5 - side / 2) for c in (box[:2] + box[2:]) / 2)
    return left, top, side


def cut(
    image: Image.Image, left: int, top: int, side: int, size: int, padding: str = "edge"
) -> tuple[Image.Image, np.ndarray]:
    """Cut a square window out of a picture and shrink it to at most `size` pixels.

    A window smaller than `size` keeps its pixels as they are; enlarging would add bytes only.

    Args:
        image: RGB.
        left, top, side: the window in pixels of `image`; it must touch the picture.
        size: the longest side of the result.
        padding: what lies beyond the picture: "edge" repeats its border, "reflect", "black".

    Returns:
        The square picture, and the (2, 3) affine map from its xy to those of `image`.
    """
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    x1, y1 = max(left, 0), max(top, 0)
    x2, y2 = min(left + side, width), min(top + side, height)
    inside = pixels[y1:y2, x1:x2]
    missing = ((y1 - top, top + side - y2), (x1 - left, left + side - x2), (0, 0))
    square = Image.fromarray(np.pad(inside, missing, PADDINGS[padding]))  # pyright: ignore
    stored = min(side, size)
    if stored < side:
        square = square.resize((stored, stored), Image.Resampling.BICUBIC)
    scale = side / stored
    offset = 0.5 * scale - 0.5
    return square, np.array([[scale, 0.0, left + offset], [0.0, scale, top + offset]])


def encode(image: Image.Image) -> bytes:
    """`image` as a JPEG of the stated quality."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def to_stored(to_source: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """xy (..., 2) of the source picture as xy of the stored one, through the inverse of the map."""
    return (xy - to_source[:, 2]) @ np.linalg.inv(to_source[:, :2]).T
