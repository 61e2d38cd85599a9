"""Scores during training, by the same evaluators that score a finished model."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from jladkit import registry
from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import Predictions
from jladkit.training.loading import batches, from_square, to_square

Carry = Callable[[NDArray[np.int64], Tensor], Tensor]
Detect = Callable[[NDArray[np.int64]], Tensor]
FITTED = 1000  # training objects at most that landmarks are regressed on
NEAR = 0.01  # of the square's side: landmarks that lie nearer to one another are one
OWN: dict[str, Any] = {"method": "validation", "config": {}, "environment": {}, "created": ""}


def transfer_pairs(
    data: Dataset,
    rows: NDArray[np.int64],
    size: int,
    carry: Carry,
    batch: int = 16,
    back: bool = False,
) -> NDArray[np.float64]:
    """Every keypoint of every pair's source, carried to its target.

    Args:
        rows: (P,) rows of pair/*.
        size: side of the square that `carry` works in.
        carry: from (B,) pair rows and (B, K, 2) points of the sources' squares, NaN where there
            is none, to (B, K, 2) points of the targets' squares.
        back: from target to source instead, here and in `carry`.

    Returns:
        (P, K, 2) xy in pixels of the targets' stored pictures.
    """
    sizes = data.object_size
    out = np.full((len(rows), *data.object_keypoints.shape[1:]), np.nan)
    done = 0
    for part in batches(rows, batch):
        source, target = ends_of(data, part, back)
        points = to_square(data.object_keypoints[source], sizes[source], size)
        moved = carry(part, torch.from_numpy(points).float()).double().cpu().numpy()
        out[done : done + len(part)] = from_square(moved, sizes[target], size)
        done += len(part)
    return out


def ends_of(data: Dataset, rows: NDArray[np.int64], back: bool) -> tuple[np.ndarray, np.ndarray]:
    """The objects (B,) of some pairs that points are carried from, and those they go to."""
    source, target = data.pair_source[rows], data.pair_target[rows]
    return (target, source) if back else (source, target)


def pair_pck(
    data: Dataset, split: str, size: int, carry: Carry, alpha: float = 0.1
) -> float | None:
    """PCK under the protocol `jlad`, mean over pairs; None where no pair has a keypoint that is visible
    in both pictures. See `transfer_pairs` for `carry`."""
    rows = data.pairs(split)
    visible = [data.object_visible[ends] for ends in ends_of(data, rows, False)]
    if not (visible[0] & visible[1]).any():
        return None
    predictions = Predictions(
        **OWN,
        split=split,
        dataset=data.name,
        dataset_digest=data.digest,
        pair_row=rows,
        pair_points=transfer_pairs(data, rows, size, carry),
    )
    result, _ = registry.load("metric", "pck")(data, predictions, "jlad", [alpha])
    return result.results[0]["value"]


class Sureness:
    """Carries points for `transfer_pairs`, and remembers how unsure that was and how wrong.

    Args:
        carry: from (B,) pair rows and (B, K, 2) points of the sources' squares to the points of the
            targets' squares and their log σ (B, K).
        size: side of the squares.
    """

    def __init__(
        self,
        data: Dataset,
        size: int,
        carry: Callable[[NDArray[np.int64], Tensor], tuple[Tensor, Tensor]],
    ) -> None:
        self.data, self.size, self.unsure = data, size, carry
        self.log_sigma: list[Tensor] = []
        self.error: list[Tensor] = []

    def carry(self, rows: NDArray[np.int64], points: Tensor) -> Tensor:
        moved, log_sigma = self.unsure(rows, points)
        target = self.data.pair_target[rows]
        true = to_square(
            self.data.object_keypoints[target], self.data.object_size[target], self.size
        )
        self.log_sigma.append(log_sigma.cpu().flatten())
        self.error.append((moved.cpu() - torch.from_numpy(true)).norm(dim=-1).flatten())
        return moved

    def rank_correlation(self) -> float:
        """Of log σ with the error, over all points carried so far that lie in both pictures: 1 where
        it knows which points are worse than which, 0 where it knows nothing or says the same of all."""
        log_sigma, error = torch.cat(self.log_sigma), torch.cat(self.error)
        known = ~(log_sigma.isnan() | error.isnan())
        if log_sigma[known].unique().numel() < 2:
            return 0.0
        ranks = [rankdata(values[known].numpy()) for values in (log_sigma, error)]
        return float(np.corrcoef(*ranks)[0, 1])


class LandmarkScores(NamedTuple):
    """What `landmark_iod` finds, each a share.

    Attributes:
        iod: the mean error, as a share of the normaliser; None where train or val has no keypoint.
        spread: how far landmarks stray from their mean place in a category, of the square's side.
        distinct: how many of the landmarks have no other within NEAR, on average over objects.
    """

    iod: float | None
    spread: float
    distinct: float


def distinct(points: NDArray[np.float64], near: float) -> float:
    """The share of landmarks (N, L, 2) that have no other one within `near`, in units of points."""
    apart = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
    alone = (apart > near).sum(axis=2) == points.shape[1] - 1  # all but itself are farther
    return float(alone.mean())


def landmark_iod(data: Dataset, size: int, detect: Detect) -> LandmarkScores:
    """IOD of the val objects under the protocol `recommended`, fitted on training objects.

    Args:
        size: side of the square that `detect` works in.
        detect: from (B,) rows of object/* to (B, L, 2) landmarks in pixels of their squares.
    """
    train = data.objects("train")
    few = np.random.default_rng(0).permutation(train)[:FITTED]
    rows = np.sort(np.concatenate([few, data.objects("val")]))
    found = [detect(part).double().cpu().numpy() for part in batches(rows, 16)]
    points = np.concatenate(found)
    groups = data.object_category[rows]
    strays = [points[groups == code].std(axis=0).mean() for code in np.unique(groups)]
    spread = float(np.mean(strays)) / size
    iod = None
    if annotated(data):
        predictions = Predictions(
            **OWN,
            split="val",
            dataset=data.name,
            dataset_digest=data.digest,
            object_row=rows,
            object_points=from_square(points, data.object_size[rows], size),
        )
        result, _ = registry.load("metric", "iod")(data, predictions, "recommended")
        iod = result.results[0]["value"]
    return LandmarkScores(iod, spread, distinct(points, NEAR * size))


def annotated(data: Dataset) -> bool:
    """Whether train and val have keypoints, so that landmarks can be regressed and scored."""
    return all(bool(data.object_visible[data.objects(name)].any()) for name in ("train", "val"))
