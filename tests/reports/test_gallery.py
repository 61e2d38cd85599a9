"""Pairs of the page: where points lie in the small pictures, and how large it all gets."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from jladkit.reports import gallery as module
from jladkit.reports.gallery import gallery, scaled, spread_pairs, warp
from tests.tiny import predicted, tiny_dataset, true_points


def opened(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


def test_a_pair_has_both_pictures_common_keypoints_and_each_methods_error(tmp_path):
    data = tiny_dataset(tmp_path / "tiny.h5")
    said = predicted(data)
    found = gallery(data, [said, replace(said, pair_points=true_points(data) + np.array([3, 4]))])
    assert found["methods"] == ["oracle #1", "oracle #2"] and found["of"] == len(data.pairs("test"))
    pair = found["pairs"][0]
    row = int(pair["title"].rpartition(" ")[2])
    source, target = int(data.pair_source[row]), int(data.pair_target[row])
    common = np.nonzero(data.object_visible[source] & data.object_visible[target])[0]
    assert pair["keypoints"] == common.tolist()
    assert pair["names"][0] == data.keypoint_names[int(data.pair_category[row])][common[0]]
    # Small pictures are not enlarged, so that points stay where they are.
    assert opened(pair["target"]["uri"]).size == tuple(data.object_size[target])
    assert pair["target"]["points"][0] == pytest.approx(
        data.object_keypoints[target, common[0]], abs=0.051
    )
    box = data.object_box[target]
    assert pair["said"][0]["error"] == 0
    assert pair["said"][1]["error"] == pytest.approx(5 / (box[2:] - box[:2]).max())
    assert pair["said"][0]["warp"] is None


def test_points_go_along_when_a_picture_shrinks():
    large, small = Image.new("RGB", (448, 448)), Image.new("RGB", (224, 112))
    corners = np.array([[-0.5, -0.5], [447.5, 447.5], [223.5, np.nan]])
    moved = scaled(corners, large, small)
    np.testing.assert_allclose(moved, [[-0.5, -0.5], [223.5, 111.5], [111.5, np.nan]])


def test_a_field_that_points_at_itself_warps_nothing_and_what_it_does_not_know_is_white():
    size, cells = 64, 4
    centre = (np.arange(cells) + 0.5) * size / cells - 0.5
    field = np.stack(np.meshgrid(centre, centre))
    picture = Image.fromarray(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (size, 1))).convert(
        "RGB"
    )
    same = np.asarray(opened(warp(field, picture, [picture, picture])), dtype=float)
    assert abs(same - np.asarray(picture, dtype=float))[8:-8, 8:-8].mean() < 3
    field[:, :, :] = np.nan
    assert np.asarray(opened(warp(field, picture, [picture, picture]))).min() > 250


def test_pictures_stay_below_their_budget_but_one_pair_is_always_shown(tmp_path, monkeypatch):
    data = tiny_dataset(tmp_path / "tiny.h5")
    whole = gallery(data, [predicted(data)])["pairs"]
    sizes = [sum(len(uri) for uri in module.uris(pair)) for pair in whole]
    monkeypatch.setattr(module, "BYTES", max(sizes) * 3)
    fewer = gallery(data, [predicted(data)])["pairs"]
    assert 3 <= len(fewer) < len(whole) and all(pair in whole for pair in fewer)
    assert sum(len(uri) for pair in fewer for uri in module.uris(pair)) <= max(sizes) * 3
    monkeypatch.setattr(module, "BYTES", 1)
    assert len(gallery(data, [predicted(data)])["pairs"]) == 1


def test_pairs_are_spread_over_each_categorys_errors_the_middle_first():
    errors = np.array([0.0, 1, 2, 3, 4, 5, 6, 7, np.nan, 9, 8])
    category = np.array([0] * 9 + [1, 1])
    assert spread_pairs(errors, category, 4) == [2, 10, 6, 9]
    assert spread_pairs(errors, category, 2) == [4, 9]
    assert spread_pairs(errors, category, 1) == [4]
    assert spread_pairs(np.full(3, np.nan), category[:3], 4) == []
