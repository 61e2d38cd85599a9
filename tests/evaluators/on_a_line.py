"""Objects whose maps can be worked out by hand: all in pictures of 100 x 100, one landmark at
(t, t), one keypoint at (u, u), so that every map is one of u on t."""

import numpy as np

from tests.tiny import predicted, tiny_arrays, tiny_dataset

TRAIN = np.array([[10.0, 20.0], [20.0, 30.0], [30.0, 60.0]])  # t, u
TEST = np.array([[40.0, 50.0], [20.0, 45.0], [10.0, 25.0], [35.0, 60.0]])
SIDE = 100


def cars(arrays, split):
    """Rows of the cars of a split."""
    return np.nonzero((arrays["object/category"] == 0) & (arrays["object/split"] == split))[0]


def on_a_line(path):
    """A data set that shows keypoint 0 of TRAIN and TEST and no others, the box being the picture."""
    arrays = tiny_arrays()
    keypoints = np.zeros_like(arrays["object/keypoints"])
    visible = np.zeros_like(arrays["object/visible"])
    for split, told in ((0, TRAIN), (2, TEST)):
        rows = cars(arrays, split)[: len(told)]
        keypoints[rows, 0], visible[rows, 0] = told[:, 1:], True
    keypoints[arrays["object/category"] == 1, 3] = np.nan
    return tiny_dataset(
        path,
        object_keypoints=keypoints,
        object_visible=visible,
        object_size=np.full((len(visible), 2), SIDE),
        object_box=np.tile([-0.5, -0.5, SIDE - 0.5, SIDE - 0.5], (len(visible), 1)),
    )


def landmarks_on_a_line(data):
    """Predictions of the landmarks of TRAIN and TEST; those of all others are at (0, 0)."""
    arrays = tiny_arrays()
    train, test = cars(arrays, 0)[: len(TRAIN)], data.objects("test")
    points = np.zeros((len(data.object_category), 1, 2))
    points[train, 0] = TRAIN[:, :1]
    points[cars(arrays, 2)[: len(TEST)], 0] = TEST[:, :1]
    rows = np.union1d(train, test)
    return predicted(data, object_row=rows, object_points=points[rows])
