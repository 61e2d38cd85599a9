"""The floors and the nearest neighbour."""

import numpy as np
import torch

from jladkit.baselines.floors import Identity, MeanShape
from jladkit.baselines.nearest import Nearest, NearestConfig
from jladkit.formats.dataset import Dataset
from jladkit.training.loading import to_square

CPU = torch.device("cpu")


def test_identity_leaves_points_where_they_are(dots: Dataset):
    points = torch.tensor([[[3.0, 250.0]]])
    images = torch.zeros(1, 3, 256, 256)
    assert torch.equal(Identity.prepare(dots, CPU).transfer(images, images, points, ["x"]), points)


def test_mean_shape_is_the_mean_of_the_train_objects_visible_keypoints(dots: Dataset):
    rows = dots.objects("train")
    mean = to_square(dots.object_keypoints[rows], dots.object_size[rows], 256).mean(axis=0)
    found = MeanShape.prepare(dots, CPU).detect(torch.zeros(2, 3, 256, 256), ["kind0"] * 2)
    np.testing.assert_allclose(found[1].numpy(), mean, rtol=1e-5)


def test_nearest_finds_the_cell_that_a_patch_was_moved_to(dots: Dataset):
    method = Nearest(NearestConfig(layers=["blocks.2"], size=128), CPU)
    source = torch.zeros(1, 3, 128, 128)
    source[0, 0, 40:56, 40:56] = 1
    target = torch.roll(source, (16, -16), dims=(2, 3))
    points = torch.tensor([[[47.5, 47.5], [float("nan"), 1.0]]])
    with torch.inference_mode():
        found = method.transfer(source, target, points, ["x"])
    assert (found[0, 0] - torch.tensor([31.5, 63.5])).abs().max() <= 8
    assert found[0, 1, 0].isnan()
