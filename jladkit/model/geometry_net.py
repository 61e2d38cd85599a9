"""A U-Net from local correlations to a residual affine field (RTN's; the pixel level of PARN)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jladkit.errors import UsageError
from jladkit.model.joint import zeroed


def layer(inputs: int, outputs: int, kernel: int, groups: int, stride: int = 1) -> nn.Sequential:
    """Convolution, group normalisation (none where `groups` is 0), ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    norm = [nn.GroupNorm(groups, outputs)] if groups else []
    return nn.Sequential(conv, *norm, nn.ReLU(inplace=True))


def pair_of_layers(inputs: int, outputs: int, kernel: int, groups: int) -> nn.Sequential:
    """Two of them, the second 3x3."""
    return nn.Sequential(layer(inputs, outputs, kernel, groups), layer(outputs, outputs, 3, groups))


def check_groups(groups: int, width: int) -> None:
    """Raise UsageError unless `groups` of a model is 0 or divides its `width`."""
    if groups < 0 or (groups and width % groups):
        raise UsageError(f"model.groups must be 0 or divide model.width {width}, but is {groups}.")


class GeometryNet(nn.Module):
    """U-Net from normalised correlations (B, (2r+1)², h, w) to a residual field (B, 2, 3, h, w).

    The last layer starts at zero, so that the field starts as the identity. Grids must be at least
    2^depth cells a side. `groups` of group normalisation must divide `width`; RTN has none, 0.
    """

    def __init__(self, radius: int, width: int, depth: int, kernel: int, groups: int = 0) -> None:
        super().__init__()
        self.radius = radius
        widths = [width * 2 ** min(level, 3) for level in range(depth + 1)]
        first = pair_of_layers((2 * radius + 1) ** 2, width, kernel, groups)
        deeper = [pair_of_layers(a, b, 3, groups) for a, b in pairwise(widths)]
        self.down = nn.ModuleList([first, *deeper])
        self.up = nn.ModuleList(
            pair_of_layers(a + b, a, 3, groups)
            for a, b in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.last = zeroed(nn.Conv2d(width, 6, kernel, padding=kernel // 2))

    def forward(self, similarity: Tensor) -> Tensor:
        """The linear part has no unit; places are in units of the window's radius, so that one
        network serves grids of any fineness."""
        skipped: list[Tensor] = []
        x = similarity
        for number, layers in enumerate(self.down):
            x = layers(F.max_pool2d(x, 2) if number else x)
            skipped.append(x)
        for layers, finer in zip(self.up, skipped[-2::-1], strict=True):
            x = F.interpolate(x, finer.shape[-2:], mode="bilinear", align_corners=False)
            x = layers(torch.cat([x, finer], dim=1))
        residual = self.last(x).float().unflatten(1, (2, 3))
        unit = residual.new_tensor([1.0, 1.0, self.radius])
        return residual * unit[:, None, None]
