"""4-D convolution, made for a CPU: the Fourier transform over two axes, convolution over the others.

A plain 4-D convolution of k⁴ taps costs k⁴ products for each pair of channels and each cell, and is
limited by those. By the convolution theorem the two axes of the source become frequencies, of
which each has a 2-D convolution of complex numbers of its own over the axes of the target: about
(h + k/2)(w + k/2)/2 of them with four real products each, k² taps, so that 5⁴ taps cost ten times
less at 25 cells. Sides are short, so the transforms are products with small matrices, which are
faster here than a library's FFT and pad to the very cell.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW = 8  # channels below which grouped convolution is slower than taking windows apart


def conv4d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Cross-correlation of a volume with a kernel, zeros outside, the sides kept.

    y[b, o, p] = bias[o] + sum over i and offsets q of weight[o, i, q + r] x[b, i, p + q], where r is
    half the kernel's side, rounded down. Up to rounding: about 1e-6 of the largest value of y.

    Args:
        x: (B, I, h, w, d, t).
        weight: (O, I, k, k, k, k), k odd.
        bias: (O,), or None.

    Returns:
        (B, O, h, w, d, t).

    Raises:
        ValueError: the shapes do not fit, or k is even.
    """
    side = weight.shape[-1]
    if x.dim() != 6 or weight.dim() != 6 or x.shape[1] != weight.shape[1]:
        raise ValueError(
            "x must be (B, I, h, w, d, t) and weight (O, I, k, k, k, k), but they are "
            f"{tuple(x.shape)} and {tuple(weight.shape)}."
        )
    if side % 2 == 0 or set(weight.shape[2:]) != {side}:
        raise ValueError(
            f"The kernel must have equal odd sides, but has {tuple(weight.shape[2:])}."
        )
    b, inputs, h, w, d, t = x.shape
    outputs = len(weight)
    # Zeros for half a kernel are enough: what wraps around at one border meets them at the other.
    rows, columns = h + side // 2, w + side // 2
    along_w = waves(columns, w, columns // 2 + 1).to(x)  # (F, 2, w)
    half = torch.matmul(along_w.flatten(0, 1), x.flatten(4)).unflatten(3, (-1, 2))
    found = (
        one_column(part, weight, f, (rows, columns), (d, t))
        for f, part in enumerate(half.unbind(3))
    )
    if torch.is_grad_enabled():
        half = torch.stack(list(found), dim=3)
    else:  # each piece is done with once it was read, and may be overwritten
        kept = half if inputs == outputs else half.new_empty(b, outputs, *half.shape[2:])
        for f, part in enumerate(found):
            kept[:, :, :, f] = part
        half = kept
        del kept
    del found  # the volumes are large: none is kept longer than it is needed
    half = half.flatten(3, 4)  # (B, O, h, 2F, dt)
    y = torch.matmul(unwaves(along_w, columns), half).reshape(b, outputs, h, w, d, t)
    return y if bias is None else y.add_(bias.view(-1, 1, 1, 1, 1))


def waves(padded: int, side: int, count: int) -> Tensor:
    """(count, 2, side): cosine and minus sine of the first `count` frequencies of `padded` cells."""
    angle = torch.outer(torch.arange(count), torch.arange(side)).double() * (2 * math.pi / padded)
    return torch.stack([angle.cos(), -angle.sin()], dim=1)


def unwaves(along: Tensor, padded: int) -> Tensor:
    """(side, 2F): the inverse of `waves` for a real signal of which only half are held."""
    twice = along.new_full((len(along), 1, 1), 2.0)
    twice[0] = 1.0
    if padded % 2 == 0:
        twice[-1] = 1.0
    return (along * twice / padded).flatten(0, 1).T.contiguous()


def turned(along: Tensor) -> Tensor:
    """Complex numbers as 2 x 2 matrices: (..., 2, n) becomes (..., 2, n, 2).

    The first 2 is what comes out, the last what goes in: (re, -im) and (im, re).
    """
    re, im = along.unbind(-2)
    return torch.stack([torch.stack([re, -im], -1), torch.stack([im, re], -1)], dim=-3)


def one_column(
    half: Tensor, weight: Tensor, f: int, padded: tuple[int, int], plane: tuple[int, int]
) -> Tensor:
    """What one frequency of the second axis gives, at all frequencies of the first.

    Args:
        half: (B, I, h, 2, dt) its real and imaginary part.
        weight: as `conv4d` has it.
        f: the frequency.
        padded: of the two axes, as the transform sees them.
        plane: d and t.

    Returns:
        (B, O, h, 2, dt).
    """
    b, inputs, h = half.shape[:3]
    rows = padded[0]
    forth = turned(waves(rows, h, rows).to(half))  # (R, 2, h, 2)
    seen = torch.matmul(forth.flatten(2).flatten(0, 1), half.flatten(2, 3))  # (B, I, R2, dt)
    seen = seen.reshape(b, inputs, rows, 2, *plane).movedim(2, 1).flatten(2, 3)  # (B, R, I2, d, t)
    found = planes(seen, kernels(weight, f, padded))  # (B, R, O2, d, t)
    found = found.unflatten(2, (-1, 2)).movedim(1, 2).flatten(4).flatten(2, 3)  # (B, O, R2, dt)
    back = forth.permute(2, 3, 0, 1).flatten(2).flatten(0, 1) / rows  # (h2, R2), the adjoint
    return torch.matmul(back, found).unflatten(2, (h, 2))


def kernels(weight: Tensor, f: int, padded: tuple[int, int]) -> Tensor:
    """The 2-D kernel of each frequency of the first axis, at frequency f of the second.

    Returns:
        (R, 2O, 2I, k, k): complex products written as real ones.
    """
    outputs, inputs, side = weight.shape[:3]
    rows, columns = padded
    at = torch.arange(side).double() - side // 2
    turn = torch.outer(torch.arange(rows).double(), at / rows)[:, :, None] + f * at / columns
    angle = 2 * math.pi * turn.flatten(1)
    taps = weight.permute(2, 3, 0, 1, 4, 5).flatten(0, 1)  # (kk, O, I, k, k)
    re, im = (
        torch.matmul(part.to(weight), taps.flatten(1)).unflatten(1, taps.shape[1:])
        for part in (angle.cos(), angle.sin())
    )
    both = torch.stack([torch.stack([re, -im], 3), torch.stack([im, re], 3)], dim=2)
    return both.reshape(rows, 2 * outputs, 2 * inputs, side, side)


def planes(maps: Tensor, kernel: Tensor) -> Tensor:
    """A 2-D convolution for each frequency.

    Args:
        maps: (B, R, I, d, t).
        kernel: (R, O, I, k, k).

    Returns:
        (B, R, O, d, t).
    """
    b, rows, inputs, d, t = maps.shape
    outputs, side = kernel.shape[1], kernel.shape[-1]
    if inputs < FEW:  # windows side by side, then one product
        windows = F.unfold(maps.flatten(0, 1), side, padding=side // 2)
        return torch.matmul(kernel.flatten(2), windows.unflatten(0, (b, rows))).unflatten(3, (d, t))
    if outputs < FEW:  # one product, then what each cell gives to its neighbours is added up
        spread = kernel.flip(3, 4).permute(0, 1, 3, 4, 2).flatten(1, 3)  # (R, Okk, I)
        given = torch.matmul(spread, maps.flatten(3)).flatten(0, 1)
        added = F.fold(given, (d, t), side, padding=side // 2)
        return added.unflatten(0, (b, rows))
    found = F.conv2d(maps.flatten(1, 2), kernel.flatten(0, 1), padding=side // 2, groups=rows)
    return found.unflatten(1, (rows, outputs))


class Conv4d(nn.Module):
    """`conv4d` with weights of its own, drawn as PyTorch's convolutions draw theirs."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs * side**4)
        self.weight = nn.Parameter(
            torch.empty(outputs, inputs, *(side,) * 4).uniform_(-bound, bound)
        )
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor, swapped: bool = False) -> Tensor:
        """See `conv4d`. `swapped` exchanges the kernel's first two axes with its last two: the
        same as exchanging those of x, and of what comes out again."""
        weight = self.weight.permute(0, 1, 4, 5, 2, 3) if swapped else self.weight
        return conv4d(x, weight, self.bias)
