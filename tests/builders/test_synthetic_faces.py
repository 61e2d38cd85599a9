"""Drawn faces, in CelebA's and MAFL's layout."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jladkit.builders.synthetic import Options, draw
from jladkit.builders.synthetic_faces import HEIGHT, WIDTH, draw_face, draw_face_file


@pytest.fixture(scope="module")
def celeba(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faces") / "root"
    draw(root, Options(images=1, category=("bottle",), picture_size=64, faces=10))
    return root / "CelebA"


def test_the_landmark_list_has_a_count_a_header_and_a_row_for_each_picture(celeba: Path) -> None:
    lines = (celeba / "list_landmarks_align_celeba.txt").read_text().splitlines()
    assert lines[0] == "10"
    assert lines[1] == (
        "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y "
        "leftmouth_x leftmouth_y rightmouth_x rightmouth_y"
    )
    names = [line.split()[0] for line in lines[2:]]
    assert names == [f"{i:06d}.jpg" for i in range(1, 11)]
    assert sorted(p.name for p in (celeba / "img_align_celeba").iterdir()) == names
    for line in lines[2:]:
        assert len([int(value) for value in line.split()[1:]]) == 10


def test_pictures_have_the_size_of_celebas(celeba: Path) -> None:
    with Image.open(celeba / "img_align_celeba" / "000001.jpg") as picture:
        assert picture.size == (178, 218)
        assert picture.mode == "RGB"


def test_mafl_lists_a_part_of_the_pictures_none_in_both(celeba: Path) -> None:
    training = (celeba / "MAFL" / "training.txt").read_text().split()
    testing = (celeba / "MAFL" / "testing.txt").read_text().split()
    assert training == [f"{i:06d}.jpg" for i in range(5, 9)]
    assert testing == ["000009.jpg", "000010.jpg"]


@pytest.mark.parametrize("seed", range(12))
def test_landmarks_lie_on_a_face_the_right_way_round(seed: int) -> None:
    pixels, landmarks = draw_face(np.random.default_rng(seed))
    assert pixels.shape == (HEIGHT, WIDTH, 3) and pixels.dtype == np.uint8
    left_eye, right_eye, nose, left_mouth, right_mouth = landmarks
    assert 20 < left_eye[0] < right_eye[0] < WIDTH - 20
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_eyes_are_where_celeba_has_them_on_average() -> None:
    found = np.mean([draw_face(np.random.default_rng(i))[1][:2] for i in range(40)], axis=0)
    np.testing.assert_allclose(found, [[69, 111], [108, 111]], atol=5)


def test_eyes_are_drawn_at_their_landmarks() -> None:
    """Pupils are dark, the white around them bright: the middle of an eye is its darkest part."""
    offsets = []
    for seed in range(24):
        pixels, landmarks = draw_face(np.random.default_rng(seed))
        grey = pixels.mean(axis=2)
        for x, y in np.rint(landmarks[:2]).astype(int):
            patch = grey[y - 2 : y + 3, x - 6 : x + 7].min(axis=0)
            weight = np.maximum(np.median(patch) - patch, 0) + 1e-6
            offsets.append(np.sum(weight * np.arange(-6, 7)) / np.sum(weight))
    assert abs(np.median(offsets)) < 1.0


def test_a_face_depends_on_its_seed_and_number_only(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder / "img_align_celeba").mkdir(parents=True)
    first = draw_face_file(tmp_path / "a", 3, seed=1)
    draw_face_file(tmp_path / "b", 0, seed=1)
    again = draw_face_file(tmp_path / "b", 3, seed=1)
    np.testing.assert_array_equal(first, again)
    name = Path("img_align_celeba") / "000004.jpg"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
