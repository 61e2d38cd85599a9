"""The 4-D convolution against its own definition, and its gradients."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jladkit.model.conv4d import Conv4d, conv4d


def naive(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The sum of the docstring, tap by tap."""
    side = weight.shape[-1]
    padded = F.pad(x, (side // 2,) * 8)
    h, w, d, t = x.shape[2:]
    y = bias.view(1, -1, 1, 1, 1, 1).expand(len(x), -1, h, w, d, t).clone()
    for a, b, c, e in itertools.product(range(side), repeat=4):
        seen = padded[:, :, a : a + h, b : b + w, c : c + d, e : e + t]
        y += torch.einsum("bihwdt,oi->bohwdt", seen, weight[:, :, a, b, c, e])
    return y


# One channel, few and many of them take different ways through the frequencies.
SHAPES = [
    (1, 1, 1, (3, 3, 3, 3)),
    (1, 9, 3, (3, 2, 4, 2)),
    (9, 1, 3, (2, 3, 2, 4)),
    (9, 10, 3, (3, 4, 2, 3)),
    (1, 2, 5, (1, 3, 2, 2)),  # a kernel larger than the volume
]


@pytest.mark.parametrize(("inputs", "outputs", "side", "shape"), SHAPES)
def test_it_is_the_sum_over_all_taps(inputs: int, outputs: int, side: int, shape: tuple[int, ...]):
    torch.manual_seed(0)
    x = torch.randn(2, inputs, *shape, dtype=torch.float64)
    weight = torch.randn(outputs, inputs, *(side,) * 4, dtype=torch.float64)
    bias = torch.randn(outputs, dtype=torch.float64)
    wanted = naive(x, weight, bias)
    torch.testing.assert_close(conv4d(x, weight, bias), wanted)
    torch.testing.assert_close(conv4d(x, weight), wanted - bias.view(-1, 1, 1, 1, 1))
    single = conv4d(x.float(), weight.float(), bias.float())
    assert (single - wanted).abs().max() < 3e-6 * wanted.abs().max()


@pytest.mark.parametrize(("inputs", "outputs", "side", "shape"), SHAPES)
def test_its_gradients_are_those_of_the_sum(
    inputs: int, outputs: int, side: int, shape: tuple[int, ...]
):
    torch.manual_seed(0)
    leaves = [
        torch.randn(size, dtype=torch.float64, requires_grad=True)
        for size in ((1, inputs, *shape), (outputs, inputs, *(side,) * 4), (outputs,))
    ]
    upstream = torch.randn(1, outputs, *shape, dtype=torch.float64)
    ours, wanted = (torch.autograd.grad(f(*leaves), leaves, upstream) for f in (conv4d, naive))
    for one, other in zip(ours, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_a_single_tap_shifts_the_volume():
    x = torch.arange(24.0).view(1, 1, 2, 3, 2, 2)
    weight = torch.zeros(1, 1, 3, 3, 3, 3)
    weight[0, 0, 1, 2, 0, 1] = 1.0  # reads (h, w + 1, d - 1, t)
    found = conv4d(x, weight)
    wanted = torch.zeros_like(x)
    wanted[:, :, :, :2, 1:] = x[:, :, :, 1:, :1]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_swapped_kernels_are_swapped_volumes():
    torch.manual_seed(0)
    layer, x = Conv4d(2, 3, 3), torch.randn(1, 2, 3, 4, 5, 2)
    there_and_back = layer(x.permute(0, 1, 4, 5, 2, 3)).permute(0, 1, 4, 5, 2, 3)
    torch.testing.assert_close(layer(x, swapped=True), there_and_back)


@pytest.mark.parametrize(
    ("x", "weight", "words"),
    [
        ((1, 2, 3, 3, 3, 3), (1, 3, 3, 3, 3, 3), "must be"),
        ((1, 2, 3, 3, 3), (1, 2, 3, 3, 3, 3), "must be"),
        ((1, 2, 3, 3, 3, 3), (1, 2, 2, 2, 2, 2), "odd sides"),
        ((1, 2, 3, 3, 3, 3), (1, 2, 3, 3, 3, 5), "odd sides"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    x: tuple[int, ...], weight: tuple[int, ...], words: str
):
    with pytest.raises(ValueError, match=words):
        conv4d(torch.zeros(x), torch.zeros(weight))
