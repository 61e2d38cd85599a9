"""A method at work on a data set: each picture is decoded once and, where the method can, encoded once.

The pairs of a split show the same pictures again and again, and landmarks are found in them too.
What was made of a picture is therefore kept, up to a limit that does not grow with the split. A
picture is made anew only when so many others came between that it had to go: see `by_picture`.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset
from jladkit.methods import (
    EncodedDetector,
    EncodedMatcher,
    EncodedUnsureMatcher,
    UnsureMatcher,
)
from jladkit.training.loading import Images, as_floats

# Bytes that are kept: 1,365 decoded pictures of 256 px, 3,449 encoded ones of the default backbone.
PICTURES, CODES = 1 << 28, 1 << 30

Rows = NDArray[np.int64]


class Kept:
    """What is made of objects' pictures; the least recently used go first.

    Objects that share a picture share what is made of it. What is made of a picture may depend, in
    its last bits, on those that it was made together with; `pass_by` keeps track of them.

    Args:
        data: the data set.
        make: from rows (B,) of object/* to a (B, ...) tensor.
        limit: bytes that are kept between two calls.
    """

    def __init__(self, data: Dataset, make: Callable[[Rows], Tensor], limit: int) -> None:
        self.make, self.limit = make, limit
        _, inverse = np.unique(data.object_image_span, axis=0, return_inverse=True)
        self.picture: NDArray[np.int64] = inverse.reshape(-1)
        # Of one that was passed by, the rows of all that it is to be made together with.
        self.made: OrderedDict[int, Tensor | Rows] = OrderedDict()
        self.bytes = self.each = 0

    def __call__(self, rows: Rows) -> Tensor:
        """(B, ...) for the pictures of objects `rows` (B,)."""
        pictures = self.entered(rows)
        together = torch.stack([self.got(picture) for picture in pictures])
        self.shrink()
        return together

    def pass_by(self, rows: Rows) -> None:
        """Be as after a call with these rows, which another shard makes, and make nothing yet."""
        if not self.each:
            self.each = self.make(rows[:1])[0].nbytes
        self.entered(rows)
        self.shrink()

    def entered(self, rows: Rows) -> list[int]:
        """The pictures of `rows`, with an entry each; those that had none are to be made together."""
        pictures = self.picture[rows].tolist()
        absent = {p: row for p, row in zip(pictures, rows.tolist(), strict=True)
                  if p not in self.made}  # fmt: skip
        together = np.array(list(absent.values()))
        self.made |= dict.fromkeys(absent, together)
        self.bytes += self.each * len(absent)
        for picture in pictures:
            self.made.move_to_end(picture)
        return pictures

    def got(self, picture: int) -> Tensor:
        """What is made of a picture that has an entry."""
        found = self.made[picture]
        if isinstance(found, Tensor):
            return found
        made = self.make(found)
        if not self.each:
            self.each = made[0].nbytes
            self.bytes = self.each * len(self.made)
        for other, one in zip(self.picture[found].tolist(), made, strict=True):
            if self.made.get(other) is found:
                self.made[other] = one.clone()  # a view would keep the whole batch
        return self.got(picture)

    def shrink(self) -> None:
        """Let the least recently used go."""
        while self.bytes > self.limit:
            self.made.popitem(last=False)
            self.bytes -= self.each

    def holds(self, rows: Rows) -> NDArray[np.bool_]:
        """(n,) which of the objects `rows` (n,) have a picture that is kept."""
        return np.isin(self.picture[rows], list(self.made))


class Runner:
    """Asks a method (jladkit.methods) about rows of object/*, and holds it to its protocol.

    Args:
        method: a Matcher, a LandmarkDetector or both.
        data: the data set.
        device: where the method is.
    """

    def __init__(self, method: Any, data: Dataset, device: torch.device) -> None:
        self.method, self.data, self.device = method, data, device
        self.pictures = Kept(data, self.decode, PICTURES)
        self.codes = Kept(data, self.encode, CODES)

    def decode(self, rows: Rows) -> Tensor:
        """(B, 3, size, size) uint8."""
        images = Images(self.data, rows, self.method.size)
        return torch.stack([images[i] for i in range(len(images))])

    def images(self, rows: Rows) -> Tensor:
        """(B, 3, size, size) float RGB in [0, 1]."""
        return as_floats(self.pictures(rows)).to(self.device)

    def encode(self, rows: Rows) -> Tensor:
        """The method's codes (B, ...)."""
        codes = self.method.encode(self.images(rows))
        if not isinstance(codes, Tensor) or codes.shape[:1] != (len(rows),):
            raise JladkitError(
                f"{self.method.name}.encode must return a tensor with a row for each of {len(rows)} "
                f"images, but returned {form(codes)}."
            )
        return codes

    def pass_transfer(self, source: Rows, target: Rows) -> None:
        """Be as after `transfer`, which another shard does."""
        if isinstance(self.method, EncodedMatcher):
            self.codes.pass_by(np.concatenate([source, target]))

    def pass_detect(self, rows: Rows) -> None:
        """Be as after `detect`, which another shard does."""
        if isinstance(self.method, EncodedDetector):
            self.codes.pass_by(rows)

    def codes_first(self, rows: Rows) -> NDArray[np.int64]:
        """An order of objects (n,): those whose codes are kept first, before others push them out."""
        return np.argsort(~self.codes.holds(rows), kind="stable")

    def transfer(
        self, source: Rows, target: Rows, points: Tensor, category: Sequence[str]
    ) -> tuple[Tensor, Tensor | None]:
        """`Matcher.transfer` for objects (B,) and (B,), points (B, N, 2) in pixels of the square;
        and, from the same pass, log sigma (B, N) of a method that says how unsure it is."""
        encoded = isinstance(self.method, EncodedMatcher)
        both = (self.codes if encoded else self.images)(np.concatenate([source, target]))
        first, second = both.chunk(2)
        told = (first, second, points.to(self.device), category)
        found: Any
        log_sigma: Any = None
        if isinstance(self.method, EncodedUnsureMatcher):
            found, log_sigma = self.method.transfer_encoded_with_log_sigma(*told)
        elif encoded:
            found = self.method.transfer_encoded(*told)
        elif isinstance(self.method, UnsureMatcher):
            found, log_sigma = self.method.transfer_with_log_sigma(*told)
        else:
            found = self.method.transfer(*told)
        moved = self.checked(found, "transfer", len(points), points.shape[1])
        return moved, None if log_sigma is None else self.checked_log_sigma(log_sigma, moved)

    def detect(self, rows: Rows, category: Sequence[str]) -> Tensor:
        """`LandmarkDetector.detect` for objects (B,)."""
        if isinstance(self.method, EncodedDetector):
            found = self.method.detect_encoded(self.codes(rows), category)
        else:
            found = self.method.detect(self.images(rows), category)
        return self.checked(found, "detect", len(rows), "K")

    def checked(self, found: Any, what: str, count: int, points: int | str) -> Tensor:
        """`found`, which must be (count, points, 2).

        Raises:
            JladkitError: it is not.
        """
        fits = isinstance(found, Tensor) and found.dim() == 3 and found.is_floating_point()
        if not fits or found.shape != (count, found.shape[1] if points == "K" else points, 2):
            raise JladkitError(
                f"{self.method.name}.{what} must return floats of size ({count}, {points}, 2), but "
                f"returned {form(found)}."
            )
        return found

    def checked_log_sigma(self, found: Any, moved: Tensor) -> Tensor:
        """`found`, which must be (B, N) for `moved` (B, N, 2), and finite or NaN.

        Raises:
            JladkitError: it is not.
        """
        fits = isinstance(found, Tensor) and found.is_floating_point()
        if not fits or found.shape != moved.shape[:2] or found.isinf().any():
            raise JladkitError(
                f"{self.method.name} must return log sigma as floats of size {tuple(moved.shape[:2])}, "
                f"finite or NaN, but returned {form(found)}."
            )
        return found


def form(value: Any) -> str:
    """What a value is, in an error."""
    if isinstance(value, Tensor):
        infinite = " with infinity in it" if value.isinf().any() else ""
        return f"{str(value.dtype).removeprefix('torch.')} of size {tuple(value.shape)}{infinite}"
    return f"a {type(value).__name__}"


def by_picture(data: Dataset, pairs: Rows) -> NDArray[np.int64]:
    """An order of `pairs` (P,) in which those that share pictures follow one another.

    Pairs join objects of one category, so that category by category no more than one category's
    pictures must be kept for each to be made once.
    """
    keys = (data.pair_target[pairs], data.pair_source[pairs], data.pair_category[pairs])
    return np.lexsort(keys)
