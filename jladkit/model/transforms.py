"""The parametric warps that CNNGeo and its successors regress: affine, thin-plate spline, homography.

A transform takes places of one picture to places of another, both normalised to [-1, 1] as
jladkit.model.geometry has it. Its parameters theta are those of the papers:

    affine      6: (a11, a12, tx, a21, a22, ty), the rows of [A | t]
    tps        18: where nine control points go, nine x, then nine y; the points are the 3x3 grid
               over [-1, 1]², column by column: x = -1, -1, -1, 0, ..., y = -1, 0, 1, -1, ...
    homography  8: where the corners go, four x, then four y, column by column as above
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from jladkit.model.geometry import from_normalised, to_normalised
from jladkit.model.warps import Warp, control_grid, spline_weights, straight, warped


def affine(theta: Tensor, points: Tensor) -> Tensor:
    """A p + t. Args: theta (B, 6); points (B, N, 2) or (N, 2). Returns (B, N, 2)."""
    return straight(theta.reshape(-1, 2, 3))(points)


def spline(theta: Tensor, points: Tensor, smoothing: float = 0.0) -> Tensor:
    """The thin-plate spline that takes the 3x3 grid to theta.

    Args:
        theta: (B, 18).
        points: (B, N, 2) or (N, 2).
        smoothing: λ on the diagonal of the spline's system; above 0 it no longer interpolates.

    Returns:
        (B, N, 2).
    """
    control = by_columns(3).to(theta)
    shift = theta.reshape(-1, 2, 9).transpose(1, 2) - control
    weights, bend = spline_weights(control, shift, smoothing)
    return points + Warp(bend, weights, control)(points)


def homography(theta: Tensor, points: Tensor) -> Tensor:
    """The homography that takes the four corners to theta.

    Args: theta (B, 8); points (B, N, 2) or (N, 2). Returns (B, N, 2). Points of the horizon are kept
    1e-5 from it.
    """
    corners = by_columns(2).to(theta)  # (4, 2)
    ends = theta.reshape(-1, 2, 4).transpose(1, 2)  # (B, 4, 2)
    ones = torch.cat([corners, corners.new_ones(4, 1)], dim=1).expand(len(theta), -1, -1)
    # Each corner gives two equations in h11 ... h32, with h33 = 1: h_row · (x, y, 1) = end * h_3 · (x, y, 1).
    zeros = torch.zeros_like(ones)
    left = torch.cat(
        [
            torch.cat([ones, zeros, -ends[..., :1] * ones[..., :2]], dim=2),
            torch.cat([zeros, ones, -ends[..., 1:] * ones[..., :2]], dim=2),
        ],
        dim=1,
    )
    right = torch.cat([ends[..., 0], ends[..., 1]], dim=1)
    solved = torch.linalg.solve(left, right)
    matrix = torch.cat([solved, solved.new_ones(len(solved), 1)], dim=1).view(-1, 3, 3)
    carried = points @ matrix[:, :, :2].transpose(1, 2) + matrix[:, None, :, 2]
    depth = carried[..., 2:]
    return carried[..., :2] / (depth + 1e-5 * depth.sign())


def by_columns(side: int) -> Tensor:
    """(side², 2) points spread evenly over [-1, 1]², column by column."""
    return control_grid(side).flip(1)


POINTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "affine": affine,
    "tps": spline,
    "homography": homography,
}
IDENTITY: dict[str, list[float]] = {
    "affine": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    "tps": by_columns(3).T.flatten().tolist(),
    "homography": by_columns(2).T.flatten().tolist(),
}


@dataclass(frozen=True)
class Transform:
    """A batch of transforms of one kind.

    Attributes:
        kind: "affine", "tps" or "homography".
        theta: (B, 6 | 18 | 8).
        reach: where the papers' ±1 lies, in [-1, 1] of the picture. Their code puts it at the
            centre of the outermost pixels, which is 1 - 1 / size here; 1 is the outer edge.
        smoothing: λ of the spline.
    """

    kind: str
    theta: Tensor
    reach: float = 1.0
    smoothing: float = 0.0

    def __call__(self, points: Tensor) -> Tensor:
        """Carry (B, N, 2) points in [-1, 1]; (N, 2) stands for the same points in each. NaN stays NaN."""
        points = points / self.reach
        if self.kind == "tps":
            return spline(self.theta, points, self.smoothing) * self.reach
        return POINTS[self.kind](self.theta, points) * self.reach

    def take(self, which: Tensor) -> "Transform":
        """The transforms (B,) of a larger batch."""
        return replace(self, theta=self.theta[which])

    def apply(self, images: Tensor) -> Tensor:
        """(B, C, H, W): pictures made from the images; outside, these are mirrored at their edges."""
        return warped(images, self)


def identity(kind: str, count: int) -> Transform:
    """`count` transforms that leave every point where it is."""
    return Transform(kind, torch.tensor(IDENTITY[kind]).expand(count, -1))


@dataclass(frozen=True)
class Chain:
    """Transforms (B,) one after another, in the order in which they were found.

    The first was found between the pictures as they are, the next between source and the target
    read along the first, and so on: points of source go through the last one first.
    """

    steps: Sequence[Transform]

    def __call__(self, points: Tensor) -> Tensor:
        """As `Transform.__call__`."""
        for step in reversed(self.steps):
            points = step(points)
        return points

    def carry(self, points: Tensor, size: int) -> Tensor:
        """(B, N, 2) points, xy in pixels of a square of `size`, in pixels of the other square."""
        return from_normalised(self(to_normalised(points, size, size)), size, size)
