"""Figures of warps, self-similarity and landmarks: what stands where, and in which look."""

from typing import Any

import numpy as np
import pytest

from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset
from jladkit.reports.figures import common, save
from jladkit.reports.landmarks import landmark_faces, landmark_pairs
from jladkit.reports.own import landmark_figure, match_figure
from jladkit.reports.palette import COLOURS, MARKERS, look
from jladkit.reports.similarity import similarity_figure
from jladkit.reports.warps import Aligned, alignment_grid
from jladkit.training.own import Match, Similarity
from tests.tiny import predicted, tiny_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("warps") / "tiny.h5")


def identity(data: Dataset, row: int, sigma: float | None = None) -> Match:
    """A match whose field maps the source's square onto the target's."""
    width, height = data.object_size[data.pair_target[row]]
    y, x = np.mgrid[:4, :4]
    field = np.stack([(x + 0.5) * width / 4 - 0.5, (y + 0.5) * height / 4 - 0.5], axis=2)
    none = np.zeros((0, 2))
    return Match(none, none, None, field, None if sigma is None else np.full((4, 4), sigma) + x)


def titles(figure: Any) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]


def marks(axes: Any) -> list[tuple[Any, str, str]]:
    """(x and y, marker, colour) of what is drawn on a picture, without white rims."""
    return [
        ((float(line.get_xdata()[0]), float(line.get_ydata()[0])), line.get_marker(), colour)
        for line in axes.lines
        for colour in [line.get_markeredgecolor() if line.get_markerfacecolor() == "none"
                       else line.get_color()]
        if colour != "white"
    ]  # fmt: skip


def test_28_keypoints_look_different_and_the_29th_as_the_first():
    assert len({look(number) for number in range(28)}) == len(COLOURS) * len(MARKERS) == 28
    assert look(28) == look(0) == (COLOURS[0], "o") and look(7) == (COLOURS[0], "s")


def test_a_row_has_source_target_and_a_warp_a_method_with_sigma_where_it_is_told(data):
    rows = [0, 1, 2]
    with_sigma = Aligned("with", [identity(data, row, 0.5) for row in rows])
    without = Aligned("without", [identity(data, row) for row in rows])
    figure = alignment_grid(data, rows, [without, with_sigma], uncertainty=True)
    assert titles(figure) == ["source", "target", "without", "with", "log sigma"]
    assert sum(bool(axes.images) for axes in figure.axes) == 3 * 5
    shown = [axes.images[1] for axes in figure.axes if len(axes.images) == 2]
    assert len(shown) == 3 and {image.get_clim() for image in shown} == {(0.5, 3.5)}
    plain = alignment_grid(data, rows, [without, with_sigma])
    assert titles(plain) == ["source", "target", "without", "with"]


def test_rings_in_a_warp_are_the_sources_keypoints_in_their_looks(data):
    figure = alignment_grid(data, [0], [Aligned("a", [identity(data, 0)])])
    source, target, warp = figure.axes
    shared = common(data, 0)
    assert len(shared) > 1
    wanted = [
        (tuple(data.object_keypoints[data.pair_source[0], k]), *look(k)[::-1]) for k in shared
    ]
    assert marks(source) == marks(warp) == wanted
    assert marks(target) != wanted and [m[1:] for m in marks(target)] == [w[1:] for w in wanted]


def test_an_identity_field_squashes_the_target_into_the_sources_frame(data):
    figure = alignment_grid(data, [0], [Aligned("a", [identity(data, 0)])])
    shapes = [np.asarray(axes.images[0].get_array()).shape[1::-1] for axes in figure.axes]
    sizes = [tuple(data.object_size[end[0]]) for end in (data.pair_source, data.pair_target)]
    assert shapes == [sizes[0], sizes[1], sizes[0]]


def test_maps_of_self_similarity_lie_over_their_windows_on_one_scale(data):
    keypoints = common(data, 0)[:2].tolist()
    boxes = np.array([[-4.5, 2.0, 9.5, 16.0], [5.0, 5.0, 19.0, 19.0]])
    found = [Similarity(np.full((2, 3, 3), value), boxes) for value in (0.2, 0.4)]
    figure = similarity_figure(data, 0, keypoints, found)
    names = data.keypoint_names[data.pair_category[0]]
    assert titles(figure) == ["source", *(names[k] for k in keypoints), "target"]
    maps = [axes.images[1] for axes in figure.axes if len(axes.images) == 2]
    assert [image.get_extent() for image in maps[:2]] == [
        [-4.5, 9.5, 16.0, 2.0],
        [5.0, 19.0, 19.0, 5.0],
    ]
    assert {image.get_clim() for image in maps} == {(0, 0.4)}
    first = figure.axes[1]
    assert first.get_xlim() == (-0.5, data.object_size[data.pair_source[0]][0] - 0.5)


def test_landmarks_stand_where_they_were_found_and_alike_in_every_picture(data):
    said = predicted(data)
    objects = data.objects("test")[:3].tolist()
    figure = landmark_faces(data, objects, [said], 8)
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(pictures) == 3
    assert said.object_row is not None and said.object_points is not None
    place = {int(row): number for number, row in enumerate(said.object_row)}
    for axes, row in zip(pictures, objects, strict=True):
        points = said.object_points[place[row]]
        assert marks(axes) == [(tuple(p), *look(k)[::-1]) for k, p in enumerate(points)]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["0", "1", "2", "3"]


def test_several_methods_have_a_row_each_over_the_same_objects(data):
    figure = landmark_faces(data, data.objects("test")[:4].tolist(),
                            [predicted(data), predicted(data, method="b")], 2)  # fmt: skip
    assert titles(figure) == ["oracle", "b"]
    assert sum(bool(axes.images) for axes in figure.axes) == 8


def test_both_ends_of_a_pair_have_their_landmarks(data):
    said, rows = predicted(data), data.pairs("test")[:4].tolist()
    figure = landmark_pairs(data, rows, [said])
    pictures = [axes for part in figure.subfigs for axes in part.axes if axes.images]
    assert len(pictures) == 8 and all(len(marks(axes)) == 4 for axes in pictures)


def test_objects_without_landmarks_and_predictions_without_any_are_named(data):
    row = int(data.pair_source[data.pairs("test")[0]])
    few = predicted(data, object_row=np.array([row]), object_points=np.zeros((1, 2, 2)))
    with pytest.raises(JladkitError, match="hold no landmarks of object"):
        landmark_pairs(data, data.pairs("test")[:1].tolist(), [few])
    none = predicted(data, object_row=None, object_points=None)
    with pytest.raises(JladkitError, match="hold no landmarks to draw"):
        landmark_faces(data, [row], [none], 4)


def test_few_points_are_tied_and_numbered_and_many_are_not(data):
    pictures = data.image(0), data.image(1)
    for count, lines in ((3, 3), (13, 0)):
        points = np.full((count, 2), 5.0)
        found = Match(points, points + 1, None, identity(data, 0).field, None)
        figure = match_figure(*pictures, found, ("a.jpg", "b.jpg"))
        assert len(figure.artists) == lines
        assert [text.get_text() for text in figure.axes[0].texts] == [str(n) for n in range(lines)]
        assert titles(figure)[:2] == ["source: a.jpg", "target: b.jpg"]


@pytest.mark.parametrize("suffix", ["pdf", "png", "svg"])
def test_pictures_give_the_same_bytes_in_every_format(data, tmp_path, suffix):
    for name in ("a", "b"):
        aligned = [Aligned("m", [identity(data, 0, 1.0)])]
        save(alignment_grid(data, [0], aligned, uncertainty=True), tmp_path / f"{name}.{suffix}")
    first, second = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("a", "b"))
    assert first == second and len(first) > 1000


def test_landmarks_of_photographs_have_names_and_a_key(data):
    figure = landmark_figure([data.image(0), data.image(1)], np.ones((2, 3, 2)), ["a", "b"])
    assert titles(figure) == ["a", "b"]
    assert len(figure.legends[0].get_texts()) == 3
