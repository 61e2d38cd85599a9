"""Pictures without annotations: a folder's, VOC's; splits, sizes, what is left out."""

import numpy as np
import pytest

from jladkit.builders import folder, voc
from jladkit.builders.options import Job
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset, open_dataset
from tests.builders.layouts import HTML, build_pascal3d, picture, thing, write_record


def build_folder(root, out, **options) -> Dataset:
    folder.build(root, folder.Options(**options), Job(out=out))
    return open_dataset(out)


@pytest.fixture
def root(tmp_path):
    for i in range(9):
        picture(tmp_path / "in" / f"cats/{i}.png", 100, 80)
    picture(tmp_path / "in/deep/er/a.JPG", 300, 150)
    picture(tmp_path / "in/loose.jpg", 90, 120)
    (tmp_path / "in/notes.txt").write_text("no picture")
    (tmp_path / "in/.hidden.jpg").write_text("no picture")
    return tmp_path / "in"


def test_every_picture_is_an_object_without_keypoints_or_pairs(root, tmp_path):
    data = build_folder(root, tmp_path / "a.h5")
    assert data.categories == ["cats", "deep", "image"]
    assert np.bincount(data.object_category).tolist() == [9, 1, 1]
    assert data.object_keypoints.shape == (11, 0, 2)
    assert len(data.pair_source) == 0
    assert data.object_box[-1].tolist() == [-0.5, -0.5, 89.5, 119.5]
    assert data.encoded(10) == (root / "loose.jpg").read_bytes()


def test_large_pictures_are_shrunk_in_their_own_shape(root, tmp_path):
    data = build_folder(root, tmp_path / "a.h5", size=100)
    assert data.object_size[9].tolist() == [100, 50]
    corner = data.object_to_source[9] @ [99.5, 49.5, 1]
    np.testing.assert_allclose(corner, [299.5, 149.5], atol=1e-9)


def test_the_split_is_drawn_from_the_seed_in_the_shares(root, tmp_path):
    first = build_folder(root, tmp_path / "a.h5", split=(6, 3, 2))
    assert np.bincount(first.object_split).tolist() == [6, 3, 2]
    other = build_folder(root, tmp_path / "b.h5", split=(6, 3, 2), seed=1)
    assert first.object_split.tolist() != other.object_split.tolist()


def test_small_broken_and_saved_pages_are_counted(root, tmp_path):
    picture(root / "small.png", 20, 30)
    (root / "page.jpg").write_bytes(HTML)
    (root / "half.jpg").write_bytes((root / "loose.jpg").read_bytes()[:300])
    data = build_folder(root, tmp_path / "a.h5")
    assert data.source["left_out"] == {
        "box below 64 px": 1, "picture broken": 1, "picture is a web page": 1,
    }  # fmt: skip


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(JladkitError, match=r"no picture in .*\.jpg"):
        build_folder(tmp_path / "in", tmp_path / "a.h5")


def test_the_number_of_workers_changes_nothing(tmp_path):
    for i in range(70):
        picture(tmp_path / "in" / f"{i}.png", 70 + i, 80)
    for workers in (1, 2):
        job = Job(out=tmp_path / f"{workers}.h5", workers=workers)
        folder.build(tmp_path / "in", folder.Options(), job)
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def voc_root(root, train=("2008_01", "2008_02", "2008_03"), val=("2008_04",)):
    """VOC2012 with two image sets."""
    for stem in (*train, *val, "2008_09"):
        picture(root / f"JPEGImages/{stem}.jpg", 120, 90)
    for kind, lists in (("Segmentation", (train[:2], val)), ("Main", (train, val))):
        (root / "ImageSets" / kind).mkdir(parents=True)
        for part, stems in zip(("train", "val"), lists, strict=True):
            (root / "ImageSets" / kind / f"{part}.txt").write_text("".join(f"{s}\n" for s in stems))
    return root


def build_voc(root, out, without=(), **options) -> Dataset:
    voc.build(root, voc.Options(**options), Job(out=out), without)
    return open_dataset(out)


@pytest.mark.parametrize(
    ("name", "splits"),
    [("segmentation", [0, 0, 1]), ("main", [0, 0, 0, 1]), ("all", [0] * 5)],
)
def test_vocs_own_train_and_val_are_kept(tmp_path, name, splits):
    voc_root(tmp_path / "in/VOCdevkit/VOC2012")
    data = build_voc(tmp_path / "in", tmp_path / "a.h5", set=name, split=(1, 0, 0))
    assert data.object_split.tolist() == splits
    assert data.recipe["options"]["set"] == name


def test_pictures_that_another_set_tests_on_are_left_out(tmp_path):
    for i in range(12):
        write_record(tmp_path / "objects", f"car_imagenet/2008_{i:02}", thing())
    objects = build_pascal3d(tmp_path / "objects", tmp_path / "objects.h5")
    held = {str(n)[-12:-5] for n in objects.object_source_image[objects.object_split > 0]}
    stems = [f"2008_{i:02}" for i in range(12)]
    voc_root(tmp_path / "in", tuple(stems[:9]), tuple(stems[9:]))
    data = build_voc(tmp_path / "in", tmp_path / "a.h5", [objects.path], set="main")
    kept = {str(n)[-11:-4] for n in data.object_source_image}
    assert held
    assert kept == set(stems) - held
    assert data.source["left_out"] == {voc.SEEN: len(held)}
    assert data.source["without"] == ["pascal3d"]


def test_several_years_a_missing_list_and_another_layout_are_refused(tmp_path):
    voc_root(tmp_path / "in/VOC2007")
    voc_root(tmp_path / "in/VOC2012")
    with pytest.raises(UsageError, match="VOC2007, VOC2012; give one"):
        build_voc(tmp_path / "in", tmp_path / "a.h5")
    (tmp_path / "in/VOC2007/ImageSets/Main/val.txt").unlink()
    with pytest.raises(JladkitError, match=r"no file .*Main/val\.txt"):
        build_voc(tmp_path / "in/VOC2007", tmp_path / "a.h5", set="main")
    with pytest.raises(JladkitError, match="not in PASCAL VOC's layout"):
        build_voc(tmp_path / "in/VOC2007/ImageSets", tmp_path / "a.h5")


def test_listed_pictures_that_are_not_there_stop_the_build(tmp_path):
    root = voc_root(tmp_path / "in")
    (root / "JPEGImages/2008_04.jpg").unlink()
    with pytest.raises(JladkitError, match=r"(?s)1 of the files .*2008_04\.jpg.*host\.robots"):
        build_voc(root, tmp_path / "a.h5")
