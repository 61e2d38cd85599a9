"""A pair whose errors can be worked out by hand, and predictions that go both ways."""

import numpy as np

from tests.tiny import predicted, tiny_arrays, tiny_dataset, true_points

# The source's picture is 200 x 100, its box 100 x 50, its keypoints 80 x 30 wide and high.
SOURCE = {"size": (200, 100), "box": (20, 10, 120, 60), "points": [(30, 20), (110, 50), (70, 30)]}
# The target's picture is 100 x 200, its box 50 x 160, its keypoints 30 x 120.
TARGET = {"size": (100, 200), "box": (10, 20, 60, 180), "points": [(20, 40), (50, 160), (30, 100)]}
OFF = np.array([[12, 0], [0, 15], [-3, 4]])  # of the predictions in the target, in pixels
OFF_BACK = np.array([[8, 0], [0, 9], [6, 8]])  # of those in the source


def both_ways(data, seed=0, width=3.0, **parts):
    """The truth both ways, with noise of `width` pixels."""
    random = np.random.default_rng(seed)
    there, back = (true_points(data, back=way) for way in (False, True))
    return predicted(
        data,
        pair_points=there + random.normal(0, width, there.shape),
        pair_points_back=back + random.normal(0, width, back.shape),
        **parts,
    )


def one_pair(path, **changes):
    """A data set whose test split is the pair worked out above: objects 0 and 2."""
    arrays = tiny_arrays()
    size, box = arrays["object/size"], arrays["object/box"]
    keypoints, visible = arrays["object/keypoints"], arrays["object/visible"]
    for row, told in ((0, SOURCE), (2, TARGET)):
        size[row], box[row] = told["size"], told["box"]
        keypoints[row], visible[row] = np.nan, False
        keypoints[row, :3], visible[row, :3] = told["points"], True
    source, target = arrays["pair/source"], arrays["pair/target"]
    split = np.zeros_like(arrays["pair/split"])
    source[0], target[0], split[0] = 0, 2, 2
    given = {
        "object_size": size,
        "object_box": box,
        "object_keypoints": keypoints,
        "object_visible": visible,
        "pair_source": source,
        "pair_target": target,
        "pair_split": split,
    }
    return tiny_dataset(path, **{**given, **changes})


def off_by_hand(data):
    """Predictions of that pair, OFF and OFF_BACK beside the truth."""
    there, back = (true_points(data, back=way) for way in (False, True))
    there[0, :3] += OFF
    back[0, :3] += OFF_BACK
    return predicted(data, pair_points=there, pair_points_back=back)
