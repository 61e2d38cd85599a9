"""Real data in its own layouts: what a builder must find, keypoint by keypoint.

The folder comes from the environment variable JLADKIT_SHARED_DATA.
"""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jladkit.builders import coco, pascal3d, pf_pascal
from jladkit.builders.options import Job
from jladkit.formats.dataset import Dataset, open_dataset

REPO = Path(__file__).parents[2]
SHARED = Path(os.environ.get("JLADKIT_SHARED_DATA", REPO / "../shared/data"))


def folder(name: str) -> Path:
    """A real source; the test is skipped where it is absent."""
    if not (SHARED / name).is_dir():
        pytest.skip(f"no real data: {name} is not in the folder of JLADKIT_SHARED_DATA")
    return SHARED / name


def found_points(data: Dataset) -> dict[str, list[dict[str, np.ndarray]]]:
    """Picture to, for each of its objects, the visible keypoints in pixels of the source."""
    objects = defaultdict(list)
    for row, image in enumerate(data.object_source_image):
        map_ = data.object_to_source[row]
        back = data.object_keypoints[row] @ map_[:, :2].T + map_[:, 2]
        names = data.keypoint_names[data.object_category[row]]
        shown = np.nonzero(data.object_visible[row])[0]
        objects[image.removeprefix("Images/")].append({names[k]: back[k] for k in shown})
    return objects


def matches(found: dict[str, np.ndarray], true: dict[str, list[float]]) -> bool:
    """The same names, each within 0.1 px."""
    return found.keys() == true.keys() and all(
        np.abs(found[name] - true[name]).max() <= 0.1 for name in true
    )


@pytest.mark.parametrize("name", ["pascal3d_cad", "pascal3d_cad_traps"])
def test_every_true_keypoint_comes_back_and_none_is_invented(name, tmp_path):
    root = folder(name)
    pascal3d.build(root, pascal3d.Options(), Job(out=tmp_path / "a.h5", workers=2))
    found = found_points(open_dataset(tmp_path / "a.h5"))
    truth: dict[str, list[Any]] = defaultdict(list)
    for record in json.loads((root / "truth.json").read_text()):
        truth[record["file"]].append(record["keypoints"])
    assert found.keys() == truth.keys()
    for image, records in truth.items():
        left = list(found[image])
        for true in records:
            here = [k for k, one in enumerate(left) if matches(one, true)]
            assert here, f"{image}: {sorted(true)} not found"
            del left[here[0]]
        assert not left, f"{image}: {len(left)} objects too many"


def test_pf_pascal_has_its_official_counts(tmp_path):
    pf_pascal.build(folder("pf-pascal"), pf_pascal.Options(), Job(out=tmp_path / "a.h5"))
    data = open_dataset(tmp_path / "a.h5")
    assert np.bincount(data.pair_split).tolist() == [316, 65, 65]
    # The untrained floor of the field's protocol: both pictures squashed to 224, source's own xy.
    rows = data.pairs("test")
    source, target = data.pair_source[rows], data.pair_target[rows]
    points = (data.object_keypoints + 0.5) / data.object_size[:, None] * 224
    apart = np.linalg.norm(points[source] - points[target], axis=-1)
    pck = np.mean([np.mean(a[np.isfinite(a)] <= 22.4) for a in apart])
    assert 100 * pck == pytest.approx(30.2, abs=0.1)  # as independent scripts measured it


def test_a_category_of_the_animals_is_read_whole(tmp_path):
    options = coco.Options(category=("cow",), pose_tolerance=0.4, min_side=1, min_keypoints=0)
    coco.build(folder("animals"), options, Job(out=tmp_path / "a.h5", workers=2))
    data = open_dataset(tmp_path / "a.h5")
    assert len(data.object_category) == 702
    assert data.category_iod_pair.tolist() == [[0, 1]]
