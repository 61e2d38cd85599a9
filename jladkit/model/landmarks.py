"""Parts that the landmark networks of several papers share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jladkit.errors import UsageError
from jladkit.model.backbones import Backbone
from jladkit.model.geometry import cell_grid
from jladkit.model.joint import block, channels_last


@dataclass(frozen=True)
class LandmarkModel:
    """What the network of every landmark baseline has to choose.

    Attributes:
        backbone: "" for the paper's own network, learned from nothing; else a frozen backbone
            whose maps a small decoder reads, for small machines and small data sets.
        layers, weights: of the backbone (jladkit.model.backbones.Backbone).
        size: side of the square that images are squashed to, in pixels.
        window: side of the part of that square that the network sees; 0 is the whole.
        offset: pixels of the square left of the window, and above it.
        landmarks: K.
        per_category: maps for each category; the rest of the network is shared. Else one set for all.
        width: channels of the decoder on a frozen backbone.
        sharpness: factor on the scores of the landmark maps.
    """

    backbone: str = ""
    layers: list[str] = field(default_factory=lambda: ["blocks.2", "blocks.4"])
    weights: str = ""
    size: int = 128
    window: int = 0
    offset: int = 0
    landmarks: int = 10
    per_category: bool = True
    width: int = 64
    sharpness: float = 1.0

    def __post_init__(self) -> None:
        for name in ("size", "landmarks"):
            if getattr(self, name) < 1:
                raise UsageError(f"model.{name} must be at least 1, but is {getattr(self, name)}.")
        if self.width < 16 or self.width % 16:  # half of it is normalised in eight groups
            raise UsageError(f"model.width must be a multiple of 16, but is {self.width}.")
        if self.window < 0 or self.offset < 0 or self.offset + self.seen > self.size:
            raise UsageError(
                f"The window of {self.window} at {self.offset} must lie in the square of {self.size}."
            )

    @property
    def seen(self) -> int:
        """Side of what the network sees, in pixels."""
        return self.window or self.size


class Body(nn.Module):
    """A network up to its last features: (B, inputs, h, w) to (B, channels, H, W).

    `stride` is the pixels from one cell of its maps to the next; 0 says that they cover what
    was seen. Maps lie in the middle of what was seen, as padding and lost borders are even.
    """

    channels: int
    stride: int = 0


class Decoder(Body):
    """From the maps of a frozen backbone to maps of twice their grid."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.channels = width // 2
        self.trunk = nn.Sequential(block(inputs, width), block(width, width))
        self.fine = block(width, width // 2)

    def forward(self, maps: Tensor) -> Tensor:
        trunk = self.trunk(channels_last(maps))
        return self.fine(F.interpolate(trunk, scale_factor=2, mode="bilinear", align_corners=False))


class MapNet(nn.Module, ABC):
    """Score maps of pictures: a body, and a 1x1 convolution with `maps` outputs for each category.

    Args:
        config: its choices.
        categories: names, in order of the data set's codes.
        maps: how many maps a category has.
        own: makes the paper's body; called where config has no backbone.
    """

    def __init__(
        self,
        config: LandmarkModel,
        categories: Sequence[str],
        maps: int,
        own: Callable[[], Body],
    ) -> None:
        super().__init__()
        self.config, self.categories, self.count = config, list(categories), maps
        self.precision = torch.float32
        self.features: Backbone | None = None
        self.inputs = 3
        probe = torch.zeros(1, 3, config.seen, config.seen)
        if config.backbone:
            self.features = Backbone(config.backbone, config.layers, config.weights)
            with torch.no_grad():
                probe = self.features(probe)
            self.inputs = probe.shape[1]
            self.body: Body = Decoder(self.inputs, config.width)
        else:
            self.body = own()
        sets = len(self.categories) if config.per_category else 1
        self.outputs = sets * maps
        self.last: nn.Module = nn.Conv2d(self.body.channels, self.outputs, 1)
        with torch.no_grad():
            self.cells: int = self.body.eval()(probe).shape[-1]
        self.body.train()
        self.to(memory_format=torch.channels_last)

    def lower(self, like: Tensor) -> torch.autocast:
        """Where convolutions are of `precision`; positions and losses never are."""
        kind = like.device.type
        return torch.autocast(kind, self.precision, enabled=self.precision != torch.float32)

    def seen(self, images: Tensor) -> Tensor:
        """(B, 3, size, size) cropped to the window."""
        start, end = self.config.offset, self.config.offset + self.config.seen
        return images[..., start:end, start:end]

    def look(self, images: Tensor) -> Tensor:
        """What `scores` reads of (B, 3, size, size) pictures: maps of the backbone, or the window."""
        if self.features is None:
            return channels_last(self.seen(images))
        with torch.no_grad(), self.lower(images):
            # Unit vectors over hundreds of channels have entries near 0.05; bring them near 1.
            return self.features(self.seen(images)).float() * self.inputs**0.5

    def scores(self, inputs: Tensor, which: Tensor) -> Tensor:
        """(B, count, H, W) of each picture's own category.

        Args:
            inputs: of `look`.
            which: (B,) rows of categories.
        """
        with self.lower(inputs):
            found = self.last(self.body(inputs)).float() * self.config.sharpness
        return own_set(found, which, self.count, self.config.per_category)

    def pixels(self, cells: Tensor) -> Tensor:
        """xy in cells of the maps, as xy in pixels of the square."""
        stride = self.body.stride or self.config.seen / self.cells
        first = (self.config.seen - 1 - stride * (self.cells - 1)) / 2
        return cells * stride + first + self.config.offset

    def places(self, device: torch.device | None = None) -> Tensor:
        """(H * W, 2): the centres of all cells, xy in pixels of the square."""
        return self.pixels(cell_grid(self.cells, self.cells, device).flatten(1).T)

    @abstractmethod
    def detect(self, inputs: Tensor, which: Tensor) -> Tensor:
        """(B, K, 2) landmarks, xy in pixels of the square. Args as `scores` has them."""


def own_set(found: Tensor, which: Tensor, size: int, per_category: bool) -> Tensor:
    """(B, size, ...) channels of each row's category out of (B, sets * size, ...)."""
    if not per_category:
        return found
    sets = found.unflatten(1, (-1, size))
    return sets[torch.arange(len(which), device=found.device), which]


def spatial_softmax(scores: Tensor) -> Tensor:
    """A distribution over places for each map of (B, K, H, W)."""
    return scores.flatten(2).softmax(dim=2).view_as(scores)


def factorised_positions(scores: Tensor) -> Tensor:
    """(B, K, 2) xy in cells: a softmax over columns of the mean of each column, over rows likewise.

    Not the mean under `spatial_softmax`: there the exponential comes before the sum (CIG, eq. 3).

    Args:
        scores: (B, K, H, W), of any sign.
    """
    x = torch.arange(scores.shape[-1], device=scores.device, dtype=scores.dtype)
    y = torch.arange(scores.shape[-2], device=scores.device, dtype=scores.dtype)
    columns = scores.mean(dim=-2).softmax(dim=-1)
    rows = scores.mean(dim=-1).softmax(dim=-1)
    return torch.stack([columns @ x, rows @ y], dim=-1)


def gaussian_maps(positions: Tensor, side: int, width: float) -> Tensor:
    """exp(-d² / width²) about each position; no factor 2, so the deviation is width / √2.

    Args:
        positions: (B, K, 2) xy, shares of the picture's side (0 its first edge, 1 its last).
        side: of the maps.
        width: a share of the picture's side.

    Returns:
        (B, K, side, side), 1 at a position.
    """
    axis = (torch.arange(side, device=positions.device, dtype=positions.dtype) + 0.5) / side
    near = torch.exp(-(((positions[..., None] - axis) / width) ** 2))  # (B, K, 2, side)
    return near[:, :, 1, :, None] * near[:, :, 0, None, :]


def convolutions(
    inputs: int,
    outputs: int,
    count: int = 1,
    *,
    kernel: int = 3,
    stride: int = 1,
    slope: float = 0.0,
) -> nn.Sequential:
    """`count` convolutions with batch normalisation and (leaky) ReLU, padded to keep the grid; the
    first has the stride."""
    layers: list[nn.Module] = []
    for number in range(count):
        layers += [
            nn.Conv2d(
                inputs if not number else outputs,
                outputs,
                kernel,
                stride=1 if number else stride,
                padding=kernel // 2,
                bias=False,
            ),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(slope, inplace=True) if slope else nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class Hourglass(Body):
    """Two convolutions at each grid, halved by pooling; on the way back each grid is added to what
    passed by it in `skip` convolutions.

    Args:
        inputs: channels in.
        widths: channels at each grid, the finest first; the grid is halved between two.
        skip: convolutions of the way past.
        slope: of the leaky ReLU.
    """

    def __init__(
        self, inputs: int, widths: Sequence[int], skip: int = 3, slope: float = 0.01
    ) -> None:
        super().__init__()
        self.channels = widths[0]
        before = [inputs, *widths]
        self.down = nn.ModuleList(
            convolutions(i, o, 2, slope=slope) for i, o in zip(before, widths, strict=False)
        )
        self.past = nn.ModuleList(convolutions(w, w, skip, slope=slope) for w in widths[:-1])
        self.up = nn.ModuleList(
            convolutions(coarse, fine, 2, slope=slope) for fine, coarse in pairwise(widths)
        )

    def forward(self, maps: Tensor) -> Tensor:
        passed: list[Tensor] = []
        for down, past in zip(self.down, self.past, strict=False):
            maps = down(maps)
            passed.append(past(maps))
            maps = F.max_pool2d(maps, 2, ceil_mode=True)
        maps = self.down[-1](maps)
        for up, fine in zip(reversed(self.up), reversed(passed), strict=True):
            maps = fine + F.interpolate(up(maps), fine.shape[-2:], mode="nearest")
        return maps
