"""RTN: Kim, Lin, Jeon, Min, Sohn, "Recurrent Transformer Networks for Semantic Correspondence",
NeurIPS 2018.

A field of local affine transforms starts as the identity. Again and again, the target's features
are read where the field points, correlated with the source's in a window around each cell, and one
U-Net, the same in all iterations and at both levels, gives the residual that is added to the field.
It is trained on synthetic warps first (phase "synthetic"), then on real pairs by the classification
of the centre of each window (phase "weak").

SUPERVISION. The weak phase counts the cells inside the source object's bounding box alone, as the
released code does. It is told boxes as well as pairs; the checkpoint says so in `supervision`, and
loss.box=false leaves them out.

As in the released code, and not as the paper's text reads: fields are summed, T + dT, not composed.

What differs, in all recipes:

- The field goes from source to target in cells of each level, and residual places count in radii of
  the search window; the released code counts in halves of the picture's side, so that the shared
  network's outputs mean twice as many cells at the finer level.
- The weak loss is taken at the last field. The released code takes it before the last residual,
  which is then never taught directly.
- Losses are means over cells; gradients reach the places alone in phase "synthetic", since the
  loss is on them (the released code cuts the linear part's off).
- Synthetic pairs are drawn by jladkit.model.warps on whole stored pictures, mirrored at their
  edges, with the paper's ranges; the released code crops the middle of a padded picture.
- Pairs are turned round at random; the released code mirrors them as well.

Recipe "cpu" differs further: frozen EfficientNet-Lite0; the target's maps are sampled at the
field's places ("maps"), where the released code applies the last convolution to 3x3 patches that
the local affine transforms ("patches", recipe "paper"). Its linear part is then read by nothing and
stays the identity. The network is smaller, and the loss is taken at both levels with a temperature.

Reported: PF-PASCAL PCK@0.1 of 75.9 with ResNet-101 features by the paper; 69.3 on its 12
categories by the joint method's paper (at 0.05 and 0.15: 49.2 and 76.2).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jladkit.baselines.rtn_net import RtnNet
from jladkit.baselines.rtn_trainee import SECTIONS, RtnTrainee
from jladkit.formats.dataset import Dataset
from jladkit.training import loop
from jladkit.training.recipe import fill, read_recipe
from jladkit.training.trained import net_of


class Rtn:
    """The trained method: an EncodedMatcher (jladkit.methods)."""

    name = "rtn"

    def __init__(self, net: RtnNet, config: dict[str, Any]) -> None:
        self.net, self.config = net, config
        self.size = net.config.size

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "Rtn":
        """From the model.safetensors of a training.

        Raises:
            JladkitError: it is no checkpoint, or one of another method, or does not fit.
        """
        net, shown = net_of(path, cls.name, SECTIONS, RtnNet)
        return cls(net.to(device), shown)

    @classmethod
    def train(
        cls,
        data: Dataset,
        recipe: str,
        settings: Sequence[str],
        out: Path,
        *,
        device: torch.device,
        resume: bool = False,
        cache: Path | None = None,
        progress: bool = True,
    ) -> Path:
        """Train by a recipe (SECTIONS says what can stand in one); returns the best weights.

        `cache` is a folder for the maps of a frozen backbone, which other runs read again.
        """
        config = fill(SECTIONS, read_recipe(cls.name, recipe, settings))
        trainee = RtnTrainee(data, config, device, cache, progress)
        plan = trainee.plan
        return loop.train(
            trainee,
            out,
            seed=plan.seed,
            validate_every=plan.validate_every,
            resume=resume,
            progress=progress,
        )

    def transfer(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.Matcher; the category is not needed."""
        f_s, f_t = self.encode(torch.cat([source, target])).chunk(2)
        return self.transfer_encoded(f_s, f_t, points, category)

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, h, w) packed features (jladkit.methods.EncodedMatcher)."""
        return self.net.features(images)

    def transfer_encoded(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        """See jladkit.methods.EncodedMatcher."""
        return self.net.carry(source, target, points)
