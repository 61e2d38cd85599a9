"""The floors: what a score is worth must be seen against what no learning at all gives."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset
from jladkit.training.loading import to_square

SIDE = 256


class Identity:
    """Matches every point to the same relative place of the target picture."""

    name = "identity"
    needs_data = False
    size = SIDE

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}

    @classmethod
    def prepare(cls, data: Dataset | None, device: torch.device) -> "Identity":
        return cls()

    def transfer(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """`points`, unchanged (jladkit.methods.Matcher)."""
        return points


class MeanShape:
    """Puts a category's K landmarks where its keypoints lie on average in the train split.

    It looks at no picture, so a regressor can only give the mean shape back. Supervised: it reads
    the annotations of train. Categories with fewer keypoints repeat their first.
    """

    name = "mean-shape"
    size = SIDE

    def __init__(self, shapes: dict[str, Tensor]) -> None:
        self.shapes = shapes
        self.config: dict[str, Any] = {"supervised": True}

    @classmethod
    def prepare(cls, data: Dataset, device: torch.device) -> "MeanShape":
        """Average the visible keypoints of the train objects, each in its squashed picture.

        Raises:
            JladkitError: no train object has a visible keypoint.
        """
        rows = data.objects("train")
        points = to_square(data.object_keypoints[rows], data.object_size[rows], SIDE)
        points = np.where(data.object_visible[rows][..., None], points, np.nan)
        shapes: dict[str, Tensor] = {}
        for code, name in enumerate(data.categories):
            own = points[data.object_category[rows] == code]
            count = np.isfinite(own[..., 0]).sum(axis=0)
            if not count.any():
                continue
            mean = np.nansum(own, axis=0)[count > 0] / count[count > 0, None]
            filled = np.repeat(mean[:1], points.shape[1], axis=0)
            filled[: len(mean)] = mean
            shapes[name] = torch.from_numpy(filled).float().to(device)
        if not shapes:
            raise JladkitError(
                f"{data.path} has no visible keypoint in train; mean-shape needs some."
            )
        return cls(shapes)

    def detect(self, images: Tensor, category: Sequence[str]) -> Tensor:
        """The category's mean shape, whatever the pictures (jladkit.methods.LandmarkDetector)."""
        unknown = sorted(set(category) - self.shapes.keys())
        if unknown:
            raise JladkitError(f"mean-shape saw no keypoints of {', '.join(unknown)} in train.")
        return torch.stack([self.shapes[name] for name in category])
