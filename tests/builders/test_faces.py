"""Crops of aligned faces: the papers' windows, points that move along, CelebA's and MAFL's lists."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jladkit.builders import celeba, crops, faces, jlad, mafl
from jladkit.builders.options import Job
from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset, open_dataset
from tests.builders.layouts import HTML, pascal3d_root, picture
from tests.builders.layouts_faces import celeba_root, points_of


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return celeba_root(tmp_path_factory.mktemp("celeba"))


def build_mafl(root, out, allow_missing: bool = False, **options) -> Dataset:
    mafl.build(root, mafl.Options(**options), Job(out=out, allow_missing=allow_missing))
    return open_dataset(out)


def build_celeba(root, out, **options) -> Dataset:
    celeba.build(root, celeba.Options(**options), Job(out=out))
    return open_dataset(out)


@pytest.mark.parametrize(
    ("crop", "size", "eye"),
    [
        # x' = (x * 100 / 178 - 10) / 80 * size for edges; a pixel's centre lies half beyond its edge
        ("full", (178, 218), (69, 109)),
        ("strucrep-80", (80, 80), ((69.5 * 100 / 178 - 10) - 0.5, (109.5 * 100 / 218 - 10) - 0.5)),
        ("imm-128", (128, 128), ((69.5 * 160 / 178 - 16) - 0.5, (109.5 * 160 / 218 - 16) - 0.5)),
        ("dve-70", (70, 70), ((69.5 * 100 / 178 - 15) - 0.5, (79.5 * 100 / 178 - 15) - 0.5)),
    ],
)
def test_a_crop_is_the_papers_and_the_points_move_along(root, tmp_path, crop, size, eye):
    data = build_mafl(root, tmp_path / "a.h5", crop=crop)
    assert (data.object_size == size).all()
    assert data.image(0).size == size
    np.testing.assert_allclose(data.object_keypoints[0, 0], eye, atol=1e-9)
    matrix = data.object_to_source[0]
    back = data.object_keypoints[0] @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(back.ravel(), points_of(0), atol=0.01)
    edges = [-0.5, -0.5, size[0] - 0.5, size[1] - 0.5]
    np.testing.assert_allclose(data.object_box[0], edges, atol=1e-9)


@pytest.mark.parametrize("crop", [name for name, preset in faces.CROPS.items() if preset])
@given(share=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_crop_pixels_go_back_to_source_pixels(crop, share):
    window, size = faces.CROPS[crop] or (crops.Window(0, 0, 1, 1), (1, 1))
    _, to_source = crops.cut(Image.new("RGB", faces.ALIGNED), window, size)
    there = to_source[:, :2] @ (np.multiply(share, size) - 0.5) + to_source[:, 2]
    np.testing.assert_allclose(there, np.multiply(share, window[2:]) + window[:2] - 0.5, atol=0.01)


def test_mafl_has_its_splits_and_names(root, tmp_path):
    data = build_mafl(root, tmp_path / "a.h5", pairs=50)
    numbers = [int(path.rpartition("/")[2][:6]) for path in data.object_source_image]
    assert numbers == list(range(1, 37))
    assert data.object_split.tolist() == [0] * 27 + [1] * 3 + [2] * 6
    assert data.keypoint_names == [list(faces.NAMES)]
    assert data.category_iod_pair.tolist() == [[0, 1]]
    assert data.category_flip.tolist() == [[1, 0, 2, 4, 3]]
    assert data.object_visible.all()
    np.testing.assert_array_equal(data.object_split[data.pair_source], data.pair_split)
    np.testing.assert_array_equal(data.object_split[data.pair_target], data.pair_split)
    assert np.bincount(data.pair_split).tolist() == [35, 3, 5]  # of three faces there are 3 pairs
    assert "differs from the official" in data.source["unofficial"]["training.txt"]


def test_the_official_layouts_own_folders_are_searched(root, tmp_path):
    other = tmp_path / "CelebA"
    for folder, name in (("Img", celeba.PICTURES), ("Anno", celeba.LANDMARKS), ("", "MAFL")):
        (other / folder).mkdir(parents=True, exist_ok=True)
        (other / folder / name).symlink_to(root / name)
    data = build_mafl(other, tmp_path / "a.h5")
    assert data.object_source_image[0] == "Img/img_align_celeba/000001.jpg"


def test_missing_pictures_are_counted_and_those_without_landmarks_left_out(tmp_path):
    root = celeba_root(tmp_path / "in")
    for number in (1, 2, 31):
        (root / f"img_align_celeba/{number:06}.jpg").unlink()
    lines = (root / celeba.LANDMARKS).read_text().split("\n")
    (root / celeba.LANDMARKS).write_text("\n".join(["39", lines[1], *lines[2:4], *lines[5:]]))
    with pytest.raises(JladkitError, match=r"(?s)3 of the files.*000001\.jpg.*19,000 and 1,000"):
        build_mafl(root, tmp_path / "a.h5")
    data = build_mafl(root, tmp_path / "a.h5", allow_missing=True)
    assert data.source["left_out"] == {
        "file missing": 3,
        f"no landmarks in {celeba.LANDMARKS}": 1,
    }
    assert len(data.object_split) == 32


@pytest.mark.parametrize(
    ("which", "count"),
    [
        ("train-minus-mafl-test", 26),
        ("train-minus-mafl", 3),
        ("all-minus-mafl-test", 34),
        ("all-minus-mafl", 4),
        ("all", 40),
    ],
)
def test_named_lists_leave_out_what_they_say(root, tmp_path, capsys, which, count):
    data = build_celeba(root, tmp_path / "a.h5", list=which, pairs=3, split=(1, 0, 0))
    names = {path.rpartition("/")[2] for path in data.object_source_image}
    test = set((root / "MAFL/testing.txt").read_text().split())
    assert len(names) == count
    assert bool(names & test) == (which == "all")
    official = celeba.LISTS[which][2]
    assert f"has {count} pictures here, officially {official}" in capsys.readouterr().err


def test_pictures_alone_are_enough_to_learn_from(tmp_path):
    root = celeba_root(tmp_path / "in")
    (root / celeba.LANDMARKS).unlink()
    data = build_celeba(root, tmp_path / "a.h5", list="all-minus-mafl-test")
    assert not data.object_visible.any()
    assert np.isnan(data.object_keypoints).all()
    assert len(data.pair_source) > 100


def test_the_counts_of_the_named_lists_are_the_published_ones():
    assert [official for _, _, official in celeba.LISTS.values()] == [
        161_962, 146_501, 201_599, 182_599, 202_599,
    ]  # fmt: skip


def test_the_official_lists_are_known_by_their_digest(tmp_path, monkeypatch):
    root = celeba_root(tmp_path / "in")
    raw = (root / "MAFL/testing.txt").read_bytes()
    digest = hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest()
    monkeypatch.setitem(celeba.MAFL_GIT, "testing", digest[:7])
    (root / "MAFL/testing.txt").write_bytes(raw + b"\n")  # some copies end with a new line
    notes: dict[str, str] = {}
    celeba.mafl_names(root, "testing", mafl.Found(), notes)
    assert notes == {}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (celeba.LANDMARKS, HTML, "is a web page saved as a data file"),
        (celeba.LANDMARKS, b"2\nheader\n000001.jpg 1 2 3\n", "line 3: expected a name and ten"),
        (celeba.LANDMARKS, b"7\nheader\n", "as many faces as its first line says"),
        (celeba.LANDMARKS, b"\xff\xfe\x00", "is no text"),
        ("MAFL/training.txt", b"../secret.jpg\n", "is no file name"),
        ("MAFL/testing.txt", None, "There is no file"),
    ],
)
def test_broken_lists_are_refused_by_name(tmp_path, name, content, words):
    root = celeba_root(tmp_path / "in")
    if content is None:
        (root / name).unlink()
    else:
        (root / name).write_bytes(content)
    with pytest.raises(JladkitError, match=words):
        build_mafl(root, tmp_path / "a.h5")


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "..", "a\0b"])
def test_a_partition_that_leads_out_of_the_folder_of_pictures_is_refused(tmp_path, name):
    root = celeba_root(tmp_path / "in")
    with (root / "list_eval_partition.txt").open("a") as file:
        file.write(f"{name} 0\n")
    with pytest.raises(JladkitError, match=r"list_eval_partition\.txt: .* is no file name"):
        build_celeba(root, tmp_path / "a.h5")


def test_a_picture_that_is_not_aligned_has_no_crop(tmp_path):
    root = celeba_root(tmp_path / "in")
    picture(root / "img_align_celeba/000003.jpg", 200, 218)
    data = build_mafl(root, tmp_path / "a.h5", crop="imm-128")
    assert data.source["left_out"] == {"picture is not 178 x 218": 1}


def test_jlad_has_viewpoint_pairs_of_objects_and_random_pairs_of_faces(root, tmp_path):
    pascal = pascal3d_root(pascal3d_root(tmp_path / "p", 20), 20, category="boat")
    options = jlad.Options(pairs=60, face_crop="imm-128")
    jlad.build(pascal, root, options, Job(out=tmp_path / "a.h5"))
    data = open_dataset(tmp_path / "a.h5")
    assert data.categories == ["boat", "car", "face"]
    assert data.keypoint_names[2] == list(faces.NAMES)
    face = data.object_category == 2
    assert face.sum() == 30
    assert not any(f"{n:06}.jpg" in p for n in range(31, 41) for p in data.object_source_image)
    assert (data.object_size[face] == 128).all()
    for category in range(3):
        counts = np.bincount(data.pair_split[data.pair_category == category], minlength=3)
        np.testing.assert_allclose(counts / counts.sum(), [0.7, 0.2, 0.1], atol=0.02)
    assert all(not any(shared.values()) for shared in data.source["leakage"].values())


def test_some_of_jlads_categories_can_be_built(root, tmp_path):
    pascal = pascal3d_root(pascal3d_root(tmp_path / "p", 8), 8, category="boat")
    for wanted in (("face",), ("boat",), ("boat", "face")):
        out = tmp_path / f"{'-'.join(wanted)}.h5"
        jlad.build(pascal, root, jlad.Options(category=wanted), Job(out=out))
        assert open_dataset(out).categories == list(wanted)
