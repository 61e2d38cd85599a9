"""Drawing pictures in PASCAL3D+'s layout, and building from them."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy.io import loadmat

from jladkit.builders.options import Job
from jladkit.builders.synthetic import Options, build, command, draw
from jladkit.builders.synthetic_records import ANCHORS, mat_bytes, record_of
from jladkit.builders.synthetic_render import VIEWPORT, Viewpoint, project, rasterise, visible
from jladkit.builders.synthetic_scene import KINDS, draw_picture
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import open_dataset

SMALL = Options(images=3, faces=2, picture_size=96, seed=4)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn") / "root"
    draw(root, SMALL)
    return root


def read(root: Path, category: str, index: int) -> Any:
    path = root / "Annotations" / f"{category}_imagenet" / f"drawn_{index:06d}.mat"
    return loadmat(path, squeeze_me=True, struct_as_record=False)["record"]


def files_of(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("category", KINDS)
def test_each_category_is_written_in_the_layout_of_pascal3d(drawn: Path, category: str) -> None:
    names = []
    for part in ("train", "val"):
        names += (drawn / "Image_sets" / f"{category}_imagenet_{part}.txt").read_text().split()
    assert sorted(names) == [f"drawn_{i:06d}" for i in range(3)]
    for index in range(3):
        record = read(drawn, category, index)
        with Image.open(drawn / "Images" / f"{category}_imagenet" / record.filename) as picture:
            assert picture.size == tuple(record.imgsize[:2])
            assert picture.size == (record.size.width, record.size.height)
            assert max(picture.size) == 96
        thing = record.objects
        assert getattr(thing, "class") == category
        x1, y1, x2, y2 = thing.bbox
        assert 1 <= x1 < x2 <= record.imgsize[0] and 1 <= y1 < y2 <= record.imgsize[1]
        assert thing.anchors._fieldnames == ANCHORS[category].split()


def test_there_are_124_anchors_as_in_pascal3d() -> None:
    assert sum(len(set(names.split())) for names in ANCHORS.values()) == 124
    assert list(ANCHORS) == list(KINDS)


@pytest.mark.parametrize("category", KINDS)
def test_every_anchor_name_occurs_on_some_object(category: str) -> None:
    shapes = [KINDS[category].make(np.random.default_rng(i)) for i in range(40)]
    assert {name for s in shapes for name in s.anchors} == set(ANCHORS[category].split())


@pytest.mark.parametrize("category", KINDS)
def test_the_stored_viewpoint_lays_the_anchors_at_their_stored_locations(category: str) -> None:
    picture = draw_picture(category, np.random.default_rng(11), 200)
    thing = record_of(picture, category, "x.JPEG")["objects"]
    v = thing["viewpoint"]
    assert v["viewport"] == VIEWPORT and v["focal"] == 1
    view = Viewpoint(v["azimuth"], v["elevation"], v["theta"], v["distance"], v["px"], v["py"])
    seen = 0
    for name, anchor in thing["anchors"].items():
        if anchor["status"] == 1:
            xy, _ = project(picture.shape.anchors[name][None], view)
            np.testing.assert_allclose(anchor["location"], xy[0], atol=1e-3)
            seen += 1
        else:
            assert anchor["location"].size == 0
        assert (anchor["status"] == 5) == (name not in picture.shape.anchors)
    assert seen == v["num_anchor"]


@pytest.mark.parametrize("category", KINDS)
def test_visible_anchors_have_nothing_before_them_and_hidden_ones_do(category: str) -> None:
    """Checked by walking along the line of sight through every triangle."""
    picture = draw_picture(category, np.random.default_rng(21), 160)
    shape, view = picture.shape, picture.view
    anchors = np.array(list(shape.anchors.values()))
    xy, depth = project(shape.vertices, view)
    at, own = project(anchors, view)
    for point, mine, status in zip(at, own, picture.statuses, strict=True):
        if status == 4:
            continue
        nearest = nearest_surface(point, xy[shape.faces], depth[shape.faces])
        if status == 2:
            assert nearest < mine - 0.005
        # Neighbouring samples may show a farther surface; straight on, an edge may cut in.
        elif status == 1 and nearest < mine - 0.03:
            around = [
                nearest_surface(point + np.array([dx, dy]), xy[shape.faces], depth[shape.faces])
                for dx in (-1, 0, 1)
                for dy in (-1, 0, 1)
            ]
            assert max(around) > mine - 0.03


def nearest_surface(point: np.ndarray, corners: np.ndarray, depth: np.ndarray) -> float:
    """The smallest depth of the triangles (F, 3, 2) that hold `point`; infinite for none."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = np.cross(np.c_[b - a, np.zeros(len(a))], np.c_[c - a, np.zeros(len(a))])[:, 2]
    area = np.where(np.abs(area) < 1e-9, np.nan, area)
    d = point - a
    v = (d[:, 0] * (c - a)[:, 1] - d[:, 1] * (c - a)[:, 0]) / area
    w = ((b - a)[:, 0] * d[:, 1] - (b - a)[:, 1] * d[:, 0]) / area
    inside = (v >= 0) & (w >= 0) & (v + w <= 1)
    inverse = (1 - v - w) / depth[:, 0] + v / depth[:, 1] + w / depth[:, 2]
    return float(np.min(1 / inverse[inside], initial=np.inf))


def test_an_anchor_behind_the_object_or_outside_the_picture_is_not_visible() -> None:
    corners = np.array([[10.0, 10], [70, 10], [10, 70], [70, 70]])
    faces = np.array([[0, 1, 2], [1, 3, 2]])
    _, far = rasterise(corners, np.full(4, 9.9), faces, 80, 80)
    view = Viewpoint(0.0, 0.0, 0.0, 10.0, 20.0, 20.0)
    points = np.array([[0, -0.1, 0], [0, 0.3, 0], [5.0, 0, 0]])
    assert visible(points, view, far).tolist() == [True, False, False]


def test_the_box_holds_the_visible_anchors_and_stays_in_the_picture() -> None:
    for index in range(8):
        picture = draw_picture("chair", np.random.default_rng(index), 160)
        x1, y1, x2, y2 = picture.box
        height, width = picture.pixels.shape[:2]
        assert 0 <= x1 < x2 < width and 0 <= y1 < y2 < height
        seen = picture.locations[picture.statuses == 1]
        assert (seen >= np.array([x1, y1]) - 1.5).all() and (seen <= np.array([x2, y2]) + 1.5).all()


def test_a_picture_depends_on_neither_their_number_nor_the_other_categories(
    drawn: Path, tmp_path: Path
) -> None:
    draw(tmp_path / "cars", replace(SMALL, images=2, category=("car",)))
    ours, all_of_them = files_of(tmp_path / "cars"), files_of(drawn)
    pictures = [name for name in ours if name.endswith((".mat", ".JPEG"))]
    assert len(pictures) == 4
    for name in pictures:
        assert ours[name] == all_of_them[name]


def test_the_same_seed_draws_the_same_bytes_with_any_number_of_workers(tmp_path: Path) -> None:
    options = replace(SMALL, images=20, category=("bottle", "tvmonitor"))
    draw(tmp_path / "a", options, workers=1)
    draw(tmp_path / "b", options, workers=2)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    draw(tmp_path / "c", replace(SMALL, seed=5, category=("bottle",)))
    name = "Images/bottle_imagenet/drawn_000000.JPEG"
    assert files_of(tmp_path / "a")[name] != files_of(tmp_path / "c")[name]


def test_a_record_says_nothing_of_when_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = draw_picture("bus", np.random.default_rng(0), 64)
    record = record_of(picture, "bus", "x.JPEG")
    first = mat_bytes(record)
    monkeypatch.setattr(time, "asctime", lambda *_: "another day")
    assert mat_bytes(record) == first


def test_drawing_and_building_gives_a_dataset_with_pairs(tmp_path: Path) -> None:
    arguments = [
        str(tmp_path / "root"),
        "--out",
        str(tmp_path / "x.h5"),
        "--category",
        "diningtable",
        "--category",
        "bottle",
    ]
    arguments += ["--images", "24", "--faces", "0", "--picture-size", "128", "--workers", "1"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    data = open_dataset(tmp_path / "x.h5")
    assert data.categories == ["bottle", "diningtable"]
    assert len(data.pair_source) > 10
    assert data.recipe["builder"] == "synthetic"
    assert data.recipe["options"]["images"] == 24
    turn = np.abs(data.object_viewpoint[data.pair_source] - data.object_viewpoint[data.pair_target])
    assert (np.minimum(turn[:, 0], 360 - turn[:, 0]) <= 20).all() and (turn[:, 1] <= 10).all()


def test_a_folder_drawn_with_the_same_options_is_used_again(drawn: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in drawn.rglob("*")}
    draw(drawn, SMALL)
    assert {p: p.stat().st_mtime_ns for p in drawn.rglob("*")} == before


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UsageError, match="neither empty nor drawn"):
        draw(tmp_path, SMALL, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_drawn_with_other_options_is_replaced_only_when_told_to(tmp_path: Path) -> None:
    one = Options(images=1, faces=0, picture_size=64, category=("bottle",))
    two = Options(images=2, faces=0, picture_size=64, category=("bottle",))
    root = tmp_path / "root"
    draw(root, one)
    with pytest.raises(UsageError, match=r"other options .images 1.*--overwrite"):
        draw(root, two)
    draw(root, two, overwrite=True)
    assert len(list(root.rglob("*.JPEG"))) == 2


def test_an_interrupted_drawing_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jladkit.builders.synthetic.draw_object", stop)
    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path / "root", SMALL)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_drawn(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    for out in ("file", "file/a.h5"):
        with pytest.raises(JladkitError):
            build(tmp_path / "drawn", SMALL, Job(out=tmp_path / out))
    assert not (tmp_path / "drawn").exists()


def test_an_unknown_category_and_a_root_that_is_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No category cow"):
        Options(category=("cow",))
    (tmp_path / "root").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        build(tmp_path / "root", SMALL, Job(out=tmp_path / "x.h5"))
