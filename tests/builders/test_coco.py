"""COCO keypoints: coordinates, flags, poses, and JSON that is none."""

import json
from typing import Any, cast

import numpy as np
import pytest

from jladkit.builders import coco
from jladkit.builders.options import Job
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import open_dataset
from tests.builders.layouts import HTML, build_coco, coco_content, coco_root


def test_coordinates_are_0_based_and_boxes_are_edges(tmp_path):
    data = build_coco(coco_root(tmp_path / "in"), tmp_path / "a.h5", margin=0.0)
    map_ = data.object_to_source[0]
    np.testing.assert_allclose(data.object_keypoints[0] @ map_[:, :2].T + map_[:, 2],
                               [[60, 20], [62, 20], [60, 30], [20, 40]])  # fmt: skip
    corners = data.object_box[0].reshape(2, 2) @ map_[:, :2].T + map_[:, 2]
    np.testing.assert_allclose(corners, [[9.5, 9.5], [69.5, 49.5]])
    assert data.categories == ["cat"]
    assert data.category_iod_pair.tolist() == [[0, 1]]
    assert data.category_flip.tolist() == [[1, 0, 2, 3]]
    assert np.isnan(data.object_viewpoint).all()


def test_hidden_keypoints_have_a_place_and_absent_ones_none(tmp_path):
    content = coco_content()
    content["annotations"][0]["keypoints"] = [60, 20, 1, 0, 0, 0, 60, 30, 2, 20, 40, 2]
    data = build_coco(coco_root(tmp_path / "in", content), tmp_path / "a.h5", min_keypoints=2)
    assert data.object_visible[0].tolist() == [False, False, True, True]
    assert data.object_status[0].tolist() == [1, 0, 2, 2]
    assert np.isfinite(data.object_keypoints[0, :, 0]).tolist() == [True, False, True, True]


def test_random_pairs_mix_poses_and_a_tolerance_parts_them(tmp_path):
    root = coco_root(tmp_path / "in", coco_content(24))
    facing = []
    for name, tolerance in (("a", None), ("b", 0.3)):
        data = build_coco(root, tmp_path / f"{name}.h5", pose_tolerance=tolerance)
        left = data.object_source_index * 0 + [int(n[:2]) % 2 for n in data.object_source_image]
        facing.append((left[data.pair_source] == left[data.pair_target]).mean())
    assert facing[0] < 1
    assert facing[1] == 1


def test_crowds_are_left_out(tmp_path):
    content = coco_content()
    content["annotations"][3]["iscrowd"] = 1
    data = build_coco(coco_root(tmp_path / "in", content), tmp_path / "a.h5")
    assert data.source["left_out"] == {"a crowd": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bbox": [1, 2, 3]}, "annotation broken"),
        ({"bbox": [200, 10, 60, 40]}, "box empty or outside the picture"),
        ({"bbox": [10, 10, -5, 40]}, "box empty or outside the picture"),
        ({"keypoints": [1, 2, 2]}, "annotation broken"),
        ({"keypoints": ["x"] * 12}, "annotation broken"),
        ({"keypoints": None}, "annotation broken"),
        ({"image_id": 99}, "annotation of an image that is not listed"),
    ],
)
def test_a_broken_annotation_is_counted_and_strict_stops(tmp_path, changes, reason):
    content = coco_content()
    content["annotations"][2] |= changes
    root = coco_root(tmp_path / "in", content)
    assert build_coco(root, tmp_path / "a.h5").source["left_out"] == {reason: 1}
    with pytest.raises(JladkitError, match=reason):
        build_coco(root, tmp_path / "b.h5", strict=True)


def test_pictures_that_are_web_pages_or_absent_are_counted(tmp_path):
    root = coco_root(tmp_path / "in")
    (root / "images/00.jpg").write_bytes(HTML)
    (root / "images/01.jpg").unlink()
    with pytest.raises(JladkitError, match=r"1 of the files .*\n.*01\.jpg"):
        build_coco(root, tmp_path / "a.h5")
    coco.build(root, coco.Options(), Job(out=tmp_path / "a.h5", allow_missing=True))
    expected = {"picture is a web page": 1, "file missing": 1}
    assert open_dataset(tmp_path / "a.h5").source["left_out"] == expected


def test_a_file_name_must_not_lead_out_of_the_folder(tmp_path):
    root = coco_root(tmp_path / "in")
    content = coco_content()
    content["images"][0]["file_name"] = "../secret.jpg"
    (root / "annotations.json").write_text(json.dumps(content))
    left_out = build_coco(root, tmp_path / "a.h5").source["left_out"]
    assert left_out == {"file_name leads out of the picture folder": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<html>", "is not JSON"),
        ("[1, 2]", "not in COCO's layout"),
        ('{"images": [], "annotations": []}', "not in COCO's layout"),
        ('{"images": [3], "annotations": [], "categories": []}', "not in COCO's layout"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}', "names no keypoints"),
        ('{"images": [{}], "annotations": [], "categories": [{"id": 1, "name": "a", "keypoints": ["b"]}]}', "must have an id and a file_name"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a", "keypoints": ["b"]}]}', "has no annotations"),
    ],
)  # fmt: skip
def test_a_json_of_another_kind_is_named(tmp_path, text, words):
    root = coco_root(tmp_path / "in")
    (root / "annotations.json").write_text(text)
    with pytest.raises(JladkitError, match=rf"annotations\.json.*{words}"):
        build_coco(root, tmp_path / "a.h5")


def test_the_json_and_the_pictures_may_be_named(tmp_path):
    root = coco_root(tmp_path / "in")
    (root / "more.json").write_text("{}")
    with pytest.raises(UsageError, match=r"found annotations\.json, more\.json"):
        build_coco(root, tmp_path / "a.h5")
    with pytest.raises(UsageError, match=r"There is no file .*none\.json"):
        build_coco(root, tmp_path / "a.h5", annotations="none.json")
    with pytest.raises(UsageError, match=r"There is no folder .*nothing"):
        build_coco(root, tmp_path / "a.h5", annotations="annotations.json", images="nothing")
    data = build_coco(root, tmp_path / "a.h5", annotations="annotations.json")
    assert data.recipe["options"]["annotations"] == "annotations.json"
    assert data.recipe["options"]["images"] == "images"


def test_a_path_elsewhere_enters_the_recipe_by_its_last_name(tmp_path):
    root = coco_root(tmp_path / "in")
    away = tmp_path / "away.json"
    (root / "annotations.json").rename(away)
    data = build_coco(root, tmp_path / "a.h5", annotations=str(away))
    assert data.recipe["options"]["annotations"] == "away.json"
    assert str(tmp_path).encode() not in data.path.read_bytes()


def test_only_wanted_categories_are_read(tmp_path):
    content = coco_content()
    content["categories"].append({"id": 2, "name": "dog", "keypoints": ["nose"]})
    root = coco_root(tmp_path / "in", content)
    with pytest.raises(UsageError, match=r"No category cow .* Known: cat, dog"):
        build_coco(root, tmp_path / "a.h5", category=("cow",))
    assert build_coco(root, tmp_path / "a.h5", category=("cat",)).categories == ["cat"]


NAMES = [{"id": 1, "name": "cat", "keypoints": ["eye", "nose"]}]


@pytest.mark.parametrize(
    ("categories", "words"),
    [
        ([NAMES[0] | {"id": [1]}], "must have an id and a name"),
        ([NAMES[0] | {"keypoints": ["eye", "eye"]}], "a name of its own"),
        ([NAMES[0] | {"keypoints": ["eye", ""]}], "a name of its own"),
        ([NAMES[0], NAMES[0] | {"id": 2}], "the category cat must come once"),
    ],
)
def test_categories_and_keypoints_must_be_told_apart(tmp_path, categories, words):
    root = coco_root(tmp_path / "in", coco_content() | {"categories": categories})
    with pytest.raises(JladkitError, match=rf"annotations\.json.*{words}"):
        build_coco(root, tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"keypoints": [20, 20, None] * 4}, "annotation broken"),
        ({"keypoints": [20, 20, 7] * 4}, "annotation broken"),
        ({"image_id": [0]}, "annotation of an image that is not listed"),
        ({"category_id": [1]}, "of another category, or one without keypoints"),
    ],
)
def test_an_annotation_with_a_field_of_the_wrong_kind_is_counted(tmp_path, change, reason):
    content = coco_content()
    content["annotations"][0] |= change
    data = build_coco(coco_root(tmp_path / "in", content), tmp_path / "a.h5")
    assert data.source["left_out"] == {reason: 1}


def test_a_folder_in_place_of_the_json_is_named(tmp_path):
    root = coco_root(tmp_path / "in")
    (root / "annotations.json").unlink()
    (root / "annotations.json").mkdir()
    with pytest.raises(JladkitError, match=r"annotations\.json cannot be read: Is a directory"):
        build_coco(root, tmp_path / "a.h5")


def test_a_name_that_hdf5_cannot_hold_is_refused(tmp_path):
    content = coco_content()
    content["categories"][0]["name"] = "c\0at"
    with pytest.raises(JladkitError, match="NUL character"):
        build_coco(coco_root(tmp_path / "in", content), tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize("option", ["annotations", "images"])
def test_a_name_that_no_file_can_have_is_not_there(tmp_path, option):
    root = coco_root(tmp_path / "in")
    with pytest.raises(UsageError, match=f"There is no .* --{option} is relative to ROOT"):
        build_coco(root, tmp_path / "a.h5", **cast(Any, {option: "9" * 5000}))
