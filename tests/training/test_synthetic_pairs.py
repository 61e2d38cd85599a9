"""Pictures and the same pictures under known warps."""

import numpy as np
import pytest
import torch

from jladkit.formats.dataset import Dataset
from jladkit.model.backbones import Backbone
from jladkit.model.warps import WarpRange
from jladkit.training.loading import batch_of
from jladkit.training.pictures import Pictures
from jladkit.training.synthetic_pairs import SyntheticPairs


@pytest.mark.parametrize("warps", [0, 2])
def test_the_source_is_the_target_under_the_warp(dots: Dataset, warps: int):
    backbone = Backbone("efficientnet_lite0", ["blocks.1"], "random")
    pictures = Pictures(dots, backbone, 32, cache=None, device=torch.device("cpu"), progress=False)
    rows = dots.objects("train")
    if warps:
        pictures.keep(rows)
    pairs = SyntheticPairs(pictures, rows, WarpRange(), 0, warps)
    warp, source, target, drawn = pairs.draw(np.random.default_rng(0), 3)
    chosen = rows[np.random.default_rng(0).integers(len(rows), size=3)]
    assert np.array_equal(drawn, chosen)
    images = batch_of(dots, chosen, 32)
    with torch.inference_mode():
        expected = backbone(warp.apply(images)), backbone(images)
    torch.testing.assert_close((source, target), expected, atol=2e-3, rtol=0)
    again, same, _, _ = pairs.draw(np.random.default_rng(0), 3)
    assert torch.equal(again.affine, warp.affine) and torch.equal(same, source)
