"""The network of RTN (jladkit.baselines.rtn): features of two levels and one geometry network."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jladkit.errors import UsageError
from jladkit.model.affine import (
    identity_affine,
    places,
    resize_affine,
    transformed_patches,
)
from jladkit.model.correlation import local_correlation
from jladkit.model.geometry import (
    cells_to_pixels,
    pixels_to_cells,
    sample,
    transfer_points,
)
from jladkit.model.geometry_net import GeometryNet, check_groups
from jladkit.model.joint import channels_last
from jladkit.model.levels import Levels

READINGS = ("maps", "patches")


@dataclass(frozen=True)
class RtnConfig:
    """What the network looks like.

    Attributes:
        backbone, weights: see jladkit.model.backbones.Backbone.
        coarse, fine: the layers of each level; the first gives its grid.
        reading: how the target is read where the field points. "maps" samples the level's map,
            which asks for the places alone. "patches" is the released code's way: the last
            convolution of the level is applied to 3x3 patches that the local affine transforms;
            each level then names two modules, a map and the 3x3 convolution that reads it.
        size: side of the square that images are squashed to, in pixels.
        radius: of the search window, in cells; 4 is the paper's 9x9.
        coarse_iterations, fine_iterations: how often the field is updated at each level.
        width: channels of the geometry network's finest layers; the paper has 64.
        depth: how often it halves its grid; the paper has 4.
        kernel: side of its first and last kernel; the paper has 9.
        groups: of group normalisation after its convolutions; 0 is none, as in the paper.
    """

    backbone: str = "efficientnet_lite0"
    weights: str = ""
    coarse: list[str] = field(default_factory=lambda: ["blocks.4", "blocks.5"])
    fine: list[str] = field(default_factory=lambda: ["blocks.2", "blocks.4", "blocks.5"])
    reading: str = "maps"
    size: int = 256
    radius: int = 4
    coarse_iterations: int = 2
    fine_iterations: int = 3
    width: int = 32
    depth: int = 3
    kernel: int = 5
    groups: int = 8

    def __post_init__(self) -> None:
        if self.reading not in READINGS:
            raise UsageError(
                f"model.reading must be one of {', '.join(READINGS)}, not {self.reading!r}."
            )
        for name in ("size", "radius", "width", "depth", "coarse_iterations", "fine_iterations"):
            if getattr(self, name) < 1:
                raise UsageError(f"model.{name} must be at least 1, but is {getattr(self, name)}.")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise UsageError(f"model.kernel must be odd, but is {self.kernel}.")
        check_groups(self.groups, self.width)
        for name in ("coarse", "fine"):
            if self.reading == "patches" and len(getattr(self, name)) != 2:
                raise UsageError(
                    f"model.{name} must name a map and the convolution that reads it, where "
                    f"model.reading is 'patches', but is {getattr(self, name)}."
                )


class RtnNet(nn.Module):
    """Both levels of features, and the recurrence. Categories play no part."""

    def __init__(self, config: RtnConfig, categories: Sequence[str]) -> None:
        super().__init__()
        self.config = config
        both = [*config.coarse, *config.fine]
        self.features = Levels(config.backbone, both, config.weights, config.size)
        if config.reading == "patches":
            for _, name in (config.coarse, config.fine):
                self.check_convolution(name)
        self.geometry = GeometryNet(
            config.radius, config.width, config.depth, config.kernel, config.groups
        )
        self.geometry.to(memory_format=torch.channels_last)
        self.precision = torch.float32
        least = 2**config.depth
        cells = min(self.features.cells[level[0]] for level in (config.coarse, config.fine))
        if cells < least:
            raise UsageError(
                f"model.depth {config.depth} needs maps of at least {least} cells a side, but the "
                f"coarsest has {cells}. Take a smaller depth or a larger model.size."
            )

    def check_convolution(self, name: str) -> None:
        """Raise UsageError unless `name` is a plain 3x3 convolution of the backbone."""
        conv = self.features.body.get_submodule(name)
        plain = isinstance(conv, nn.Conv2d) and (
            (conv.kernel_size, conv.stride, conv.padding, conv.groups)
            == ((3, 3), (1, 1), (1, 1), 1)
        )
        if not plain:
            raise UsageError(
                f"model.reading 'patches' needs 3x3 convolutions with stride 1 and padding 1; "
                f"{name} is none. Take 'maps'."
            )

    def lower(self, like: Tensor) -> torch.autocast:
        """Where the geometry network is of `precision`; positions and losses never are."""
        kind = like.device.type
        return torch.autocast(kind, self.precision, enabled=self.precision != torch.float32)

    def describe(self, maps: dict[str, Tensor], level: Sequence[str]) -> Tensor:
        """(B, C, h, w) unit features of one level, as the picture is."""
        if self.config.reading == "maps":
            return self.features.unit(maps, level)
        return F.normalize(F.relu(maps[level[1]]), dim=1)

    def describe_transformed(
        self, maps: dict[str, Tensor], plain: Tensor, level: Sequence[str], field: Tensor
    ) -> Tensor:
        """(B, C, h, w) unit features of one level, of the picture transformed by `field`.

        Args:
            plain: what `describe` gave.
        """
        if self.config.reading == "maps":
            return F.normalize(sample(plain, places(field)), dim=1)
        conv = self.features.body.get_submodule(level[1])
        assert isinstance(conv, nn.Conv2d)
        patches = transformed_patches(maps[level[0]], field)
        return F.normalize(F.relu(F.conv2d(patches, conv.weight, conv.bias, stride=3)), dim=1)

    def align(self, source: Tensor, target: Tensor) -> list[Tensor]:
        """The field (B, 2, 3, h, w) at the end of each level, coarse first.

        T_{k+1} = T_k + net(correlations of source and target under T_k), from T_0 the identity.
        Args: packed features of each.
        """
        maps_s, maps_t = self.features.unpack(source), self.features.unpack(target)
        config, found = self.config, list[Tensor]()
        levels = (config.coarse, config.coarse_iterations), (config.fine, config.fine_iterations)
        for level, iterations in levels:
            f_s, f_t = self.describe(maps_s, level), self.describe(maps_t, level)
            b, _, h, w = f_s.shape
            field = (
                resize_affine(found[-1], h, w) if found else identity_affine(b, h, w, f_s.device)
            )
            for _ in range(iterations):
                warped = self.describe_transformed(maps_t, f_t, level, field)
                field = field + self.residual(f_s, warped)
            found.append(field)
        return found

    def residual(self, source: Tensor, warped: Tensor) -> Tensor:
        """(B, 2, 3, h, w), from the features of source and of the transformed target."""
        scores = local_correlation(source, warped, self.config.radius)
        with self.lower(source):
            return self.geometry(channels_last(F.normalize(scores, dim=1, eps=1e-6)))

    def carry(self, source: Tensor, target: Tensor, points: Tensor) -> Tensor:
        """Points (B, N, 2) of source where target has them. Both xy in pixels of the squares.

        Args: packed features of each; NaN points stay NaN.
        """
        field = places(self.align(source, target)[-1])
        size, cells = self.config.size, field.shape[-1]
        at = pixels_to_cells(points.float(), size, cells)
        return cells_to_pixels(transfer_points(field, at), size, cells)
