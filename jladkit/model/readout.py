"""From the scores of all cells of a map to one place: where a point's match is."""

import torch
from torch import Tensor

from jladkit.model.geometry import cell_grid

READOUTS = ("argmax", "soft", "window", "kernel")


def read_out(scores: Tensor, readout: str, temperature: float = 1.0, reach: float = 1.0) -> Tensor:
    """The place that each map of scores points at.

    Args:
        scores: (B, N, H, W).
        readout: "argmax", the cell with the highest score; "soft", the mean place under the
            softmax over all cells; "window", the same over the cells that lie within `reach` of
            the highest in x and in y (GeoAware-SC); "kernel", over all cells, their scores first
            multiplied by a Gaussian around the highest (SFNet).
        temperature: factor on the scores before the softmax.
        reach: of "window", the radius; of "kernel", the standard deviation; in cells.

    Returns:
        (B, N, 2) xy in cells; whole numbers for "argmax".

    Raises:
        ValueError: there is no such readout.
    """
    if readout not in READOUTS:
        raise ValueError(f"readout must be one of {', '.join(READOUTS)}, not {readout!r}.")
    height, width = scores.shape[-2:]
    best = scores.flatten(2).argmax(dim=2)
    peak = torch.stack([best % width, best // width], dim=2).to(scores.dtype)
    if readout == "argmax":
        return peak
    grid = cell_grid(height, width, scores.device).to(scores.dtype)
    away = grid - peak[..., None, None]  # (B, N, 2, H, W)
    if readout == "window":
        outside = away.abs().amax(dim=2) > reach
        scores = scores.masked_fill(outside, float("-inf"))
    elif readout == "kernel":
        scores = scores * torch.exp(-away.square().sum(dim=2) / (2 * reach**2))
    weights = (temperature * scores).flatten(2).softmax(dim=2).view_as(scores)
    return torch.einsum("bnhw,chw->bnc", weights, grid)
