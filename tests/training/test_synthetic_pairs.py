"""Pictures and the same pictures under known warps."""

import numpy as np
import pytest
import torch

from jladkit.formats.dataset import Dataset
from jladkit.model.backbones import Backbone
from jladkit.model.warps import WarpRange
from jladkit.training.loading import batch_of
from jladkit.training.pictures import Pictures
from jladkit.training.synthetic_pairs import SyntheticPairs, noisy


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


def test_noise_bends_each_vector_by_its_share_and_leaves_it_a_unit_one():
    drawn = torch.randn(4, 300, 9, 9, generator=torch.Generator().manual_seed(1))
    maps = torch.nn.functional.normalize(drawn, dim=1)
    bent = noisy(maps, 2.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(bent.norm(dim=1), torch.ones_like(bent[:, 0]))
    along = (bent * maps).sum(dim=1).mean().item()  # cos of the angle, of a vector 1 and noise of 2
    assert along == pytest.approx(1 / (1 + 2**2) ** 0.5, rel=0.02)


def test_a_share_of_a_batch_gets_the_noise_that_it_gets_in_the_whole():
    maps = torch.nn.functional.normalize(torch.ones(4, 8, 3, 3), dim=1)
    whole = noisy(maps, 1.0, torch.Generator().manual_seed(0))
    share = noisy(maps[1:3], 1.0, torch.Generator().manual_seed(0), 4, slice(1, 3))
    assert torch.equal(share, whole[1:3])
