"""Encoded pictures, opened without trust: kinds that only decoders read, and not too large."""

import io
import warnings
from typing import IO

from PIL import Image

# Pillow hands other kinds on: EPS, for one, to an interpreter of PostScript, which is a program.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MOST_PIXELS = 1 << 26  # of a picture, 8192 x 8192; a file of a few bytes may claim any number


def open_encoded(source: bytes | IO[bytes]) -> Image.Image:
    """A picture of which only the header was read.

    Args:
        source: the bytes of a file, or the file, opened for reading bytes.

    Raises:
        OSError, SyntaxError: it is no picture of FORMATS.
        ValueError: it has more than MOST_PIXELS.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(stream, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(f"{image.width} x {image.height} are more than {MOST_PIXELS} pixels")
    return image
