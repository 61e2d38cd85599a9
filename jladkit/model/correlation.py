"""Correlation of two feature maps inside a window around each cell, by matrix products.

A loop over the (2r+1)² shifts reads both maps once a shift, and unfold copies the target (2r+1)²
times. Here whole bands of rows are multiplied at once, which is what a CPU or GPU is fastest at,
and the wanted products are read out of the result through a strided view.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from jladkit.model.geometry import cell_grid


def local_correlation(source: Tensor, target: Tensor, radius: int) -> Tensor:
    """<F_i^s, F_j^t> for every cell i of source and every cell j of target within `radius` of it.

    Under autocast the products are of the lower precision; the result has that of `source`.

    Args:
        source: (B, C, H, W).
        target: (B, C, H, W).
        radius: r, in cells.

    Returns:
        (B, (2r+1)², H, W); channel (dy + r) * (2r + 1) + (dx + r) holds the product with the cell
        at offset (dx, dy). Cells outside the map score 0.

    Raises:
        ValueError: the two maps differ in shape, or radius is negative.
    """
    if source.shape != target.shape or source.dim() != 4:
        raise ValueError(
            f"source and target must both be (B, C, H, W), but are {tuple(source.shape)} "
            f"and {tuple(target.shape)}."
        )
    if radius < 0:
        raise ValueError(f"radius must not be negative, but is {radius}.")
    result: Tensor = _LocalCorrelation.apply(source, target, radius)  # pyright: ignore
    return result


def local_similarity(source: Tensor, target: Tensor, radius: int) -> Tensor:
    """Eq. (3): `local_correlation`, each window's scores divided by their L2 norm."""
    return F.normalize(local_correlation(source, target, radius), dim=1, eps=1e-6)


def window_offsets(radius: int, device: torch.device | None = None) -> Tensor:
    """((2r+1)², 2): the xy offset that each channel of `local_correlation` stands for."""
    steps = torch.arange(-radius, radius + 1, dtype=torch.float32, device=device)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def window_inside(
    height: int, width: int, radius: int, device: torch.device | None = None
) -> Tensor:
    """((2r+1)², H, W) bool: which cells of each window lie on the map."""
    steps = torch.arange(-radius, radius + 1, device=device)[:, None]
    y, x = (torch.arange(n, device=device) + steps for n in (height, width))  # (2r+1, n)
    down, across = (y >= 0) & (y < height), (x >= 0) & (x < width)
    return (down[:, None, :, None] & across[:, None]).flatten(0, 1)


def expected_offset(scores: Tensor, radius: int) -> Tensor:
    """(B, 2, H, W): the mean xy offset under the softmax over each window of scores (B, (2r+1)², H, W);
    cells off the map have no share."""
    height, width = scores.shape[-2:]
    inside = window_inside(height, width, radius, scores.device)
    offsets = window_offsets(radius, scores.device)
    with torch.autocast(scores.device.type, enabled=False):
        shares = scores.masked_fill(~inside, float("-inf")).softmax(dim=1)
        return torch.einsum("bnhw,nc->bchw", shares, offsets)


def compute_type(like: Tensor) -> torch.dtype:
    """Of which products and convolutions are here: autocast's, else that of `like`."""
    kind = like.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else like.dtype


def consistent_matches(
    source: Tensor, target: Tensor, radius: int, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Each cell's best match in its window, and whether the best match of that comes back.

    Args:
        source, target: (B, C, H, W) unit features.
        radius: of the windows, in cells.
        tolerance: how far from where it began, in cells along x and along y, it may come back.

    Returns:
        (B, 2, H, W) xy in cells of target; (B, H, W) bool.
    """
    forward, backward = (
        best_in_window(a, b, radius) for a, b in ((source, target), (target, source))
    )
    height, width = source.shape[-2:]
    index = (forward[:, 1] * width + forward[:, 0]).long().flatten(1)
    back = backward.flatten(2).gather(2, index[:, None].expand(-1, 2, -1))
    start = cell_grid(height, width, source.device)
    apart = (back.unflatten(2, (height, width)) - start).abs().amax(dim=1)
    return forward, apart <= tolerance


def best_in_window(source: Tensor, target: Tensor, radius: int) -> Tensor:
    """(B, 2, H, W): for each cell of source, the xy of the cell of target, on the map and within
    its window, with the highest correlation."""
    height, width = source.shape[-2:]
    inside = window_inside(height, width, radius, source.device)
    scores = local_correlation(source, target, radius).masked_fill(~inside, float("-inf"))
    offsets = window_offsets(radius, source.device)[scores.argmax(dim=1)]  # (B, H, W, 2)
    return cell_grid(height, width, source.device) + offsets.movedim(-1, 1)


def _bands(height: int, width: int, radius: int) -> range:
    """First rows of the bands: a band of b rows costs b * (b + 2r) row products, so b near 2r
    wastes at most half of the work, and small maps are one product."""
    return range(0, height, height if height * width <= 400 else max(2 * radius, 4))


def _windows(product: Tensor, rows: int, width: int, radius: int) -> Tensor:
    """View of a band's padded product (B, rows * W, rows + 2r, W + 2r) as (B, 2r+1, 2r+1, rows, W)."""
    side, padded = 2 * radius + 1, width + 2 * radius
    batch, per_cell = product.stride(0), product.stride(1)
    return product.as_strided(
        (product.shape[0], side, side, rows, width),
        (batch, padded, 1, width * per_cell + padded, per_cell + 1),
    )


def _products(
    rows: Tensor, columns: Tensor, width: int, first: int, count: int, radius: int
) -> Tensor:
    """The windows (B, 2r+1, 2r+1, count, W) of `count` rows of cells from `first` on, a view of their
    products with all cells that are near enough in y. What it has beyond the map is of any value.

    Args:
        rows: (B, H * W, C) of source.
        columns: (B, C, H * W) of target.
    """
    side, height = 2 * radius + 1, columns.shape[2] // width
    top, bottom = max(first - radius, 0), min(first + count + radius, height)
    shape = (len(rows), count * width, (bottom - top) * width)
    # The first window begins, and the last ends, so much outside the products.
    margin = radius * (width + 1)
    room = rows.new_empty(math.prod(shape) + 2 * margin)
    product = room[margin : len(room) - margin].view(shape)
    own = slice(first * width, (first + count) * width)
    torch.bmm(rows[:, own], columns[:, :, top * width : bottom * width], out=product)
    per_cell = shape[2]
    return room.as_strided(
        (len(rows), side, side, count, width),
        (shape[1] * per_cell, width, 1, width * (per_cell + 1), per_cell + 1),
        margin + (first - radius - top) * width - radius,
    )


class _LocalCorrelation(torch.autograd.Function):
    """Autograd of the strided read-out would scatter element by element; copying back through the
    same view is one pass over memory."""

    @staticmethod
    def forward(ctx: Any, source: Tensor, target: Tensor, radius: int) -> Tensor:
        b, c, h, w = source.shape
        side = 2 * radius + 1
        lower = compute_type(source)
        rows = source.reshape(b, c, h * w).transpose(1, 2).to(lower)  # (B, H*W, C)
        own = target is source
        columns = rows.mT if own else target.reshape(b, c, h * w).to(lower)
        ctx.save_for_backward(rows, columns)
        ctx.radius, ctx.size = radius, (h, w)
        out = source.new_empty(b, side, side, h, w)
        bands = _bands(h, w, radius)
        for y in bands:
            n = min(bands.step, h - y)
            out[:, :, :, y : y + n] = _products(rows, columns, w, y, n, radius)
        out = out.view(b, side * side, h, w)
        return out.masked_fill_(~window_inside(h, w, radius, out.device), 0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        rows, columns = ctx.saved_tensors
        radius, (h, w) = ctx.radius, ctx.size
        b, _, c = rows.shape
        side, padded = 2 * radius + 1, w + 2 * radius
        grad = grads[0].reshape(b, side, side, h, w).to(rows.dtype)
        to_source, to_target = ctx.needs_input_grad[:2]
        grad_rows = torch.empty_like(rows, memory_format=torch.contiguous_format)
        grad_columns = torch.zeros_like(columns)
        bands = _bands(h, w, radius)
        for y in bands:
            n = min(bands.step, h - y)
            top, bottom = max(y - radius, 0), min(y + n + radius, h)
            cells, span = slice(y * w, (y + n) * w), slice(top * w, bottom * w)
            # Padded: else entries of windows that reach beyond the map would lie on others'.
            product = grad.new_zeros(b, n * w, n + 2 * radius, padded)
            _windows(product, n, w, radius).copy_(grad[:, :, :, y : y + n])
            first = radius + top - y
            product = product[:, :, first : first + bottom - top, radius : radius + w].flatten(2)
            if to_source:
                grad_rows[:, cells] = torch.bmm(product, columns[:, :, span].transpose(1, 2))
            if to_target:
                grad_columns[:, :, span] += torch.bmm(rows[:, cells].transpose(1, 2), product)
        wanted = grads[0].dtype
        grad_source = (
            grad_rows.transpose(1, 2).reshape(b, c, h, w).to(wanted) if to_source else None
        )
        grad_target = grad_columns.view(b, c, h, w).to(wanted) if to_target else None
        return grad_source, grad_target, None
