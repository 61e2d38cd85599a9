"""What a method must offer. Whatever has these members is a method; no base class is needed.

A method is a class. `jladkit.registry` finds it by name and calls one of its makers:

    prepare(data, device)                 -> an instance that needs no training (floors, zero-shot)
    load(checkpoint, device)              -> an instance from what `train` left
    load_official(checkpoint, device)     -> an instance from what the method's authors released
    train(data, recipe, out, ...)         -> trains and writes a checkpoint (jladkit.training)

`prepare` may take `settings` too, a sequence of "section.key=value" (--set of the command line).

An instance is a Matcher, a LandmarkDetector, or both. Images are float RGB in [0, 1], squashed
to `size` x `size`; points are xy in pixels of those, (0, 0) the centre of the top left pixel.
A detector whose landmarks belong to categories may say which in `categories`, a list of names;
it is then asked about no others.

Either may be offered in two steps as well, EncodedMatcher and EncodedDetector: what is made of a
picture alone, and the rest. A picture that stands in many pairs is then encoded once.

A matcher may also say how unsure it is of each point: UnsureMatcher, EncodedUnsureMatcher.

Whoever calls resizes pictures and carries points there and back (jladkit.training.prediction).
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Matcher(Protocol):
    """Carries points of a source image over to a target image of the same category."""

    name: str
    size: int
    config: dict[str, Any]

    def transfer(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """Where `points` of `source` lie in `target`.

        Args:
            source: (B, 3, size, size) RGB in [0, 1].
            target: (B, 3, size, size), paired with source by index.
            points: (B, N, 2) xy in pixels of source; NaN rows are allowed and stay NaN.
            category: B names; the pair's category, the one thing known beside the images.

        Returns:
            (B, N, 2) xy in pixels of target; may lie outside it.
        """
        ...


@runtime_checkable
class LandmarkDetector(Protocol):
    """Finds the same K points on every object of a category."""

    name: str
    size: int
    config: dict[str, Any]

    def detect(self, images: Tensor, category: Sequence[str]) -> Tensor:
        """The landmarks of each image.

        Args:
            images: (B, 3, size, size) RGB in [0, 1].
            category: B names of the objects' categories.

        Returns:
            (B, K, 2) xy in pixels of the image, in the same order for every image.
        """
        ...


@runtime_checkable
class EncodedMatcher(Matcher, Protocol):
    """A Matcher that looks at each picture by itself first.

    `transfer(source, target, points, category)` must be, up to rounding,
    `transfer_encoded(encode(source), encode(target), points, category)`.
    """

    def encode(self, images: Tensor) -> Tensor:
        """What is kept of each image.

        Args:
            images: (B, 3, size, size) RGB in [0, 1].

        Returns:
            (B, ...) of any type; row b depends on image b alone.
        """
        ...

    def transfer_encoded(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """`transfer`, where source and target (B, ...) come from `encode`."""
        ...


@runtime_checkable
class UnsureMatcher(Matcher, Protocol):
    """A Matcher that says how unsure it is of each point that it carries."""

    def transfer_with_log_sigma(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> tuple[Tensor, Tensor | None]:
        """`transfer`, and how unsure it is of each of these points.

        Args:
            source, target, points, category: as `Matcher.transfer` has them.

        Returns:
            (B, N, 2) the very points of `transfer`; and (B, N) the log of sigma, finite, or NaN
            where nothing is said. More is less sure; the scale is the method's own, for scores
            read the order alone. None in its place: this instance says nothing.
        """
        ...


@runtime_checkable
class EncodedUnsureMatcher(EncodedMatcher, Protocol):
    """An UnsureMatcher in two steps."""

    def transfer_encoded_with_log_sigma(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> tuple[Tensor, Tensor | None]:
        """`UnsureMatcher.transfer_with_log_sigma`, where source and target come from `encode`."""
        ...


@runtime_checkable
class EncodedDetector(LandmarkDetector, Protocol):
    """A LandmarkDetector in two steps; the codes are those of EncodedMatcher where it is both.

    `detect(images, category)` must be, up to rounding, `detect_encoded(encode(images), category)`.
    """

    def encode(self, images: Tensor) -> Tensor:
        """As in EncodedMatcher."""
        ...

    def detect_encoded(self, codes: Tensor, category: Sequence[str]) -> Tensor:
        """`detect`, where codes (B, ...) come from `encode`."""
        ...
