"""A U-Net from local correlations to a residual affine field (RTN's; the pixel level of PARN)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jladkit.model.joint import zeroed


def pair_of_layers(inputs: int, outputs: int, kernel: int, groups: int) -> nn.Sequential:
    """Two convolutions, the second 3x3, each with group normalisation (none where `groups` is 0)
    and ReLU."""
    layers: list[nn.Module] = []
    for channels, side in ((inputs, kernel), (outputs, 3)):
        layers.append(nn.Conv2d(channels, outputs, side, padding=side // 2))
        if groups:
            layers.append(nn.GroupNorm(groups, outputs))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


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
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer is not self.last:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

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
