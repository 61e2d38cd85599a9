"""Pictures and points in the squashed square."""

import pickle
from pathlib import Path

import numpy as np
import torch
from drawn import drawn_arrays
from hypothesis import given
from hypothesis import strategies as st

from jladkit.formats.dataset import Dataset, open_dataset, write_dataset
from jladkit.training.loading import (
    Images,
    batch_of,
    cells_in_boxes,
    from_square,
    to_square,
)


def test_a_dot_stands_where_its_keypoint_says_after_squashing(dots: Dataset):
    rows = np.arange(4)
    images = batch_of(dots, rows, 96)
    points = to_square(dots.object_keypoints[rows], dots.object_size[rows], 96)
    for image, own in zip(images, points, strict=True):
        for channel, point in enumerate(own):
            bright = image[channel] - image.sum(dim=0) / 3 > 0.3
            y, x = torch.nonzero(bright, as_tuple=True)
            # The dot was drawn at the rounded position: half a pixel of 48 is one of 96.
            assert abs(float(x.float().mean()) - point[0]) < 1.3
            assert abs(float(y.float().mean()) - point[1]) < 1.3


@given(st.floats(-100, 900), st.integers(1, 900), st.integers(1, 900), st.integers(1, 512))
def test_points_come_back_from_the_square(x: float, width: int, height: int, side: int):
    points, sizes = np.array([[[x, -x]]]), np.array([[width, height]], dtype=np.int32)
    back = from_square(to_square(points, sizes, side), sizes, side)
    np.testing.assert_allclose(back, points, atol=1e-6)


def test_the_corners_of_a_picture_are_the_corners_of_its_square():
    sizes = np.array([[300, 200]], dtype=np.int32)
    corners = np.array([[[-0.5, -0.5], [299.5, 199.5]]])
    np.testing.assert_allclose(to_square(corners, sizes, 64), [[[-0.5, -0.5], [63.5, 63.5]]])


def test_the_torch_data_set_can_be_sent_to_a_worker(dots: Dataset):
    images = Images(dots, [1, 0], 32)
    first = images[0]
    again = pickle.loads(pickle.dumps(images))
    assert len(again) == 2
    assert torch.equal(again[0], first)


def test_cells_are_in_a_box_when_their_centres_are(tmp_path: Path):
    # Pictures of 48 x 56 pixels on 4 x 4 cells: a cell is 12 x 14 pixels.
    boxes = np.tile([-0.5, -0.5, 47.5, 55.5], (12, 1))
    boxes[1] = [5.5, 20.5, 29.4, 55.5]  # centres of cells lie at 5.5, 17.5, 29.5; 6.5, 20.5, ...
    arrays = {**drawn_arrays(), "object/box": boxes}
    write_dataset(tmp_path / "d.h5", arrays, name="d", recipe={}, source={})
    inside = cells_in_boxes(open_dataset(tmp_path / "d.h5"), np.array([1, 0]), 4)
    assert inside[0].int().tolist() == [[0, 0, 0, 0], *[[1, 1, 0, 0]] * 3]
    assert inside[1].all()
