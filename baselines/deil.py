"""DEIL: Thewlis, Bilen, Vedaldi, Unsupervised Object Learning from Dense Equivariant Image
Labelling, NeurIPS 2017.

Every pixel gets a label, three numbers, a place on the object's own sphere. Two views of a picture
must agree: the pixel of one whose label is likest must be where the known warp says. Labels have no
landmarks of their own; those come from a regressor on frozen labels, trained on the annotated
keypoints of the train objects. So the landmarks, unlike the labels, are SUPERVISED, K is the number
of annotated keypoints, and scores are not to be read beside those of methods that see none.

The authors' MatConvNet code is not public; network, loss and regressor are as the first author's
later DVE (jamt9000/DVE) has them, which calls this network its "NeurIPS 2017 style" one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention as attention

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.model.geometry import from_normalised, sample_points, to_normalised
from jladkit.model.landmarks import Body, LandmarkModel, MapNet
from jladkit.training import loop
from jladkit.training.landmarks import LandmarkBaseline, LandmarkTrainee, Rows, TrainConfig
from jladkit.training.loading import to_square
from jladkit.training.views import View, ViewConfig

LABELS, POINTS = "labels", "points"  # phases
AVERAGED = 200  # train objects of a category whose labels at keypoints are averaged


@dataclass(frozen=True)
class Model(LandmarkModel):
    """See LandmarkModel; `landmarks` is set to the number of annotated keypoints.

    Attributes:
        dimensions: of a label; 3 in the paper.
        virtual: points that each landmark is regressed from, the paper's 50.
        beta: factor on the products of descriptors and labels before the softmax over places.
    """

    dimensions: int = 3
    virtual: int = 50
    beta: float = 100.0


@dataclass(frozen=True)
class Loss:
    """The dense loss.

    Attributes:
        power: the exponent of distances in pixels.
        stride: it is taken at every so many places of the source, across and down; the paper's 1.
        points_decay: L2 penalty in phase "points".
    """

    power: float = 0.5
    stride: int = 1
    points_decay: float = 5e-4


SECTIONS = {"model": Model, "loss": Loss, "train": TrainConfig, "views": ViewConfig}


class SmallNet(Body):
    """Convolutions, some dilated, at half the grid of the picture."""

    channels, stride = 256, 2

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        shapes = ((20, 5, 1), (48, 5, 1), (64, 5, 2), (80, 3, 4), (256, 3, 2))
        inputs = 3
        for outputs, kernel, dilation in shapes:
            pad = dilation * (kernel // 2)
            layers += [nn.Conv2d(inputs, outputs, kernel, padding=pad, dilation=dilation)]
            layers += [nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)]
            layers += [nn.MaxPool2d(2)] if inputs == 3 else []
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class VirtualPoints(nn.Module):
    """For each landmark of each category, points that have a descriptor each, and the linear map from
    their places to the landmark's; no bias."""

    def __init__(self, sets: int, config: Model) -> None:
        super().__init__()
        shape = (sets, config.landmarks, config.virtual)
        self.beta = config.beta
        self.descriptors = nn.Parameter(torch.randn(*shape, config.dimensions) / 10)
        # Begins as the mean of the points: (sets, K, 2 in, virtual, 2 out).
        mean = torch.eye(2)[:, None, :].expand(2, config.virtual, 2) / config.virtual
        self.mixing = nn.Parameter(mean.expand(*shape[:2], -1, -1, -1).clone())

    def forward(self, labels: Tensor, places: Tensor, which: Tensor) -> Tensor:
        """(B, K, 2) landmarks. A point lies at the mean of the places, by a softmax over the products of
        its descriptor and their labels, which is attention.

        Args:
            labels: (B, C, H, W).
            places: (H * W, 2) of the cells, in [-1, 1].
            which: (B,) sets.
        """
        asking, asked = self.descriptors[which].flatten(1, 2), labels.flatten(2).mT.contiguous()
        # As many columns as a label has: else attention takes a way four times as slow.
        answers = F.pad(places, (0, max(labels.shape[1] - 2, 0))).expand(len(labels), -1, -1)
        at = attention(asking[:, None], asked[:, None], answers[:, None], scale=self.beta)
        at = at[:, 0, :, :2].unflatten(1, self.descriptors.shape[1:3])
        return torch.einsum("bkia,bkaio->bko", at, self.mixing[which])

    def begin(self, code: int, means: Tensor, generator: torch.Generator) -> None:
        """Put a category's descriptors about (K, C) mean labels, and average the points again."""
        noise = torch.randn(self.descriptors.shape[1:], generator=generator)
        scale = means.square().mean().sqrt().clamp_min(1e-3)
        with torch.no_grad():
            self.descriptors[code] = means[:, None] + 0.1 * scale * noise.to(means)


class DeilNet(MapNet):
    """Dense labels, and virtual points on them."""

    config: Model

    def __init__(self, config: Model, categories: Sequence[str]) -> None:
        super().__init__(config, categories, config.dimensions, SmallNet)
        sets = len(self.categories) if config.per_category else 1
        self.points = VirtualPoints(sets, config)

    def landmarks(self, labels: Tensor, which: Tensor) -> Tensor:
        """(B, K, 2) landmarks in [-1, 1] of the square."""
        side = self.config.size
        places = to_normalised(self.places(labels.device), side, side)
        sets = which if self.config.per_category else torch.zeros_like(which)
        return self.points(labels, places, sets)

    def detect(self, inputs: Tensor, which: Tensor) -> Tensor:
        side = self.config.size
        return from_normalised(self.landmarks(self.scores(inputs, which), which), side, side)

    def cells_at(self, points: Tensor) -> Tensor:
        """The inverse of `pixels`."""
        zero, one = (self.pixels(points.new_full((1,), at)) for at in (0.0, 1.0))
        return (points - zero) / (one - zero)


def dense_loss(source: Tensor, target: Tensor, aim: Tensor, places: Tensor, power: float) -> Tensor:
    """Sum over v of p(v|u) |v - g(u)|^power, with p(v|u) a softmax over v of the labels' products;
    (B, N) for each u.

    Args:
        source: (B, C, N) labels of places u.
        target: (B, C, M) labels of places v.
        aim: (B, N, 2) g(u), in pixels.
        places: (M, 2) v, in pixels.
    """
    near = (source.mT @ target).softmax(dim=-1)
    x, y = (aim[..., axis, None] - places[:, axis] for axis in (0, 1))
    # In place: as large as `near`, and nothing is differentiated here.
    away = x.square_().add_(y.square_()).sqrt_().pow_(power)
    return torch.linalg.vecdot(near, away)


class DeilTrainee(LandmarkTrainee):
    """DEIL in training: phase "labels" sees pictures only, phase "points" their keypoints."""

    method = "deil"
    detector: DeilNet
    losses: Loss

    def __init__(self, data: Dataset, config: dict[str, Any], **options: Any) -> None:
        if len(config["train"].steps) != 2:
            raise UsageError("train.steps and train.rates must be two: for labels and for points.")
        count = data.object_keypoints.shape[1]
        config = {**config, "model": replace(config["model"], landmarks=count)}
        super().__init__(data, config, DeilNet, **options)
        if not self.scored:
            raise JladkitError(
                f"{data.path} needs visible keypoints in train and val: DEIL learns its landmarks from "
                "them. The labels alone are not a detector."
            )
        side = self.size
        rows = data.objects("train")
        self.annotated = rows[data.object_visible[rows].any(axis=1)]
        self.keypoints = to_square(data.object_keypoints, data.object_size, side)
        self.places = self.detector.places(self.device)
        cells, stride = self.detector.cells, self.losses.stride
        grid = torch.arange(cells**2, device=self.device).view(cells, cells)
        self.at = grid[stride // 2 :: stride, stride // 2 :: stride].flatten()

    def phases(self) -> list[loop.Phase]:
        (labels, points), (first, second) = self.plan.steps, self.plan.rates
        return [
            loop.Phase(LABELS, int(labels), first, weight_decay=self.plan.weight_decay),
            loop.Phase(POINTS, int(points), second, weight_decay=self.losses.points_decay),
        ]

    def parameters(self, phase: loop.Phase) -> Iterable[tuple[str, nn.Parameter]]:
        for name, parameter in super().parameters(phase):
            if name.startswith("points.") == (phase.name == POINTS):
                yield name, parameter

    def loss(self, phase: loop.Phase, generator: np.random.Generator) -> dict[str, Tensor]:
        if phase.name == LABELS:
            return super().loss(phase, generator)
        self.detector.eval()  # labels are frozen, and so are their batch statistics
        return self.points_loss(generator.choice(self.annotated, self.plan.batch))

    def terms(self, view: View, phase: loop.Phase) -> dict[str, Tensor]:
        """Each place of the source must find its own in the target, where that shows it."""
        net = self.detector
        labels = net.scores(torch.cat([view.source, view.target]), torch.cat([view.which] * 2))
        source, target = labels.flatten(2).chunk(2)
        source, aim = source[..., self.at], self.carried(view, self.places[self.at])
        low, high = self.places.min(), self.places.max()
        inside = ((aim >= low) & (aim <= high)).all(dim=-1)
        each = dense_loss(source, target, aim, self.places, self.losses.power)
        total = (each * inside).sum() / inside.sum().clamp_min(1)
        return {"length": labels.detach().norm(dim=1).mean(), "total": total}

    def points_loss(self, rows: Rows) -> dict[str, Tensor]:
        """Smooth L1 of ten times the coordinates in [-1, 1], mean over visible keypoints."""
        net, which = self.detector, self.views.which(rows)
        with torch.no_grad():
            labels = net.scores(self.views.plain(rows), which)
        points = torch.from_numpy(self.keypoints[rows]).float().to(self.device)
        goal = to_normalised(points, self.size, self.size)
        seen = torch.from_numpy(self.data.object_visible[rows]).to(self.device)
        apart = F.smooth_l1_loss(
            10 * net.landmarks(labels, which), 10 * torch.nan_to_num(goal), reduction="none"
        ).sum(dim=-1)
        return {"total": (apart * seen).sum() / seen.sum().clamp_min(1)}

    def validate(self, phase: loop.Phase, latest: Any) -> loop.Scores:
        """As others; while labels are learned, points begin anew from their means at keypoints."""
        if phase.name == LABELS:
            self.begin_points()
        return super().validate(phase, latest)

    def begin_points(self) -> None:
        """Descriptors about the mean label at each keypoint of some train objects."""
        net, generator = self.detector, torch.Generator().manual_seed(self.plan.seed)
        codes = self.data.object_category[self.annotated]
        for code in np.unique(codes) if net.config.per_category else [None]:
            own = self.annotated if code is None else self.annotated[codes == code]
            few = np.random.default_rng(0).permutation(own)[:AVERAGED]
            sums = torch.zeros(net.config.landmarks, net.config.dimensions, device=self.device)
            count = torch.zeros(net.config.landmarks, 1, device=self.device)
            for start in range(0, len(few), self.plan.batch):
                rows = few[start : start + self.plan.batch]
                labels = net.scores(self.views.plain(rows), self.views.which(rows))
                points = torch.from_numpy(self.keypoints[rows]).float().to(self.device)
                seen = torch.from_numpy(self.data.object_visible[rows]).to(self.device)[..., None]
                at = net.cells_at(torch.nan_to_num(points))
                sums += (sample_points(labels, at) * seen).sum(dim=0)
                count += seen.sum(dim=0)
            means = sums / count.clamp_min(1)
            never = (count == 0).expand_as(means)
            means = torch.where(never, sums.sum(dim=0) / count.sum().clamp_min(1), means)
            net.points.begin(0 if code is None else int(code), means, generator)


class Deil(LandmarkBaseline):
    """Dense labels that move with the object; a map takes them to its keypoints (DEIL, NeurIPS 2017; supervised).

    A LandmarkDetector (jladkit.methods).
    """

    name = "deil"
    sections = SECTIONS
    network = DeilNet
    trainee = DeilTrainee
    supervised = True
