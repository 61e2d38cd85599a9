"""The camera and the z-buffer of the drawn objects."""

import numpy as np
import pytest

from jladkit.builders.synthetic_render import (
    SAMPLES,
    Viewpoint,
    project,
    rasterise,
    rotation,
    spread,
    unproject,
    visible,
)
from jladkit.builders.synthetic_scene import KINDS
from jladkit.builders.synthetic_solids import box

FRONT = Viewpoint(0.0, 0.0, 0.0, 10.0, 100.0, 80.0)


def pascal_camera(points: np.ndarray, view: Viewpoint) -> np.ndarray:
    """PASCAL3D+'s projection step by step, as its own viewer writes it."""
    a, e, d = np.radians(view.azimuth), np.radians(view.elevation), view.distance
    centre = d * np.array([np.cos(e) * np.sin(a), -np.cos(e) * np.cos(a), np.sin(e)])
    a, e = -a, -(np.pi / 2 - e)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(e), -np.sin(e)], [0, np.sin(e), np.cos(e)]])
    turn = about_x @ about_z
    camera = np.diag([3000.0, 3000.0, -1.0]) @ np.column_stack([turn, -turn @ centre])
    x = camera @ np.column_stack([points, np.ones(len(points))]).T
    x = x[:2] / x[2]
    t = np.radians(view.theta)
    x = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) @ x
    return (x * [[1], [-1]]).T + np.array([view.px, view.py])


@pytest.mark.parametrize("azimuth", [0, 37, 90, 200, 330])
@pytest.mark.parametrize(("elevation", "theta"), [(0, 0), (25, -8), (-5, 12)])
def test_the_camera_is_that_of_pascal3d(azimuth: float, elevation: float, theta: float) -> None:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3))
    view = Viewpoint(azimuth, elevation, theta, 11.0, 150.0, 110.0)
    xy, depth = project(points, view)
    np.testing.assert_allclose(xy, pascal_camera(points, view), atol=1e-9)
    assert (depth > 0).all()


def test_from_the_front_x_goes_right_z_goes_up_and_minus_y_is_near() -> None:
    xy, depth = project(np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, -1, 0]]), FRONT)
    np.testing.assert_allclose(xy[:3], [[100, 80], [400, 80], [100, -220]])
    np.testing.assert_allclose(depth, [10, 10, 10, 9])


def test_from_azimuth_90_the_side_of_positive_x_is_near() -> None:
    view = Viewpoint(90.0, 0.0, 0.0, 10.0, 0.0, 0.0)
    assert project(np.array([[1.0, 0, 0]]), view)[1] == pytest.approx(9)
    np.testing.assert_allclose(rotation(view) @ rotation(view).T, np.eye(3), atol=1e-12)


def test_unproject_takes_projected_points_back() -> None:
    points = np.random.default_rng(1).uniform(-0.5, 0.5, (20, 3))
    view = Viewpoint(215.0, 14.0, 6.0, 9.0, 160.0, 120.0)
    np.testing.assert_allclose(unproject(*project(points, view), view), points, atol=1e-12)


def test_a_triangle_covers_the_pixels_whose_centres_it_holds() -> None:
    corners = np.array([[0.5, 0.5], [4.5, 0.5], [0.5, 4.5]])
    face, depth = rasterise(corners, np.full(3, 2.0), np.array([[0, 1, 2]]), 6, 6)
    expected = np.full((6, 6), -1)
    for y in range(1, 5):
        for x in range(1, 5):
            expected[y, x] = 0 if x + y <= 5 else -1
    np.testing.assert_array_equal(face, expected)
    np.testing.assert_allclose(depth[face == 0], 2.0)
    assert np.isinf(depth[face < 0]).all()


def test_the_nearer_of_two_triangles_is_seen_in_whatever_order_they_come() -> None:
    corners = np.array([[0, 0], [9, 0], [0, 9.0]])
    both = np.concatenate([corners, corners])
    depth = np.array([5, 5, 5, 3, 3, 3.0])
    for faces, nearer in (([[0, 1, 2], [3, 4, 5]], 1), ([[3, 4, 5], [0, 1, 2]], 0)):
        face, far = rasterise(both, depth, np.array(faces), 10, 10)
        assert set(face[face >= 0]) == {nearer}
        np.testing.assert_allclose(far[face >= 0], 3.0)


def test_the_depth_of_a_slanted_triangle_is_that_of_its_plane() -> None:
    view = Viewpoint(0.0, 0.0, 0.0, 10.0, 20.0, 20.0)
    points = np.array([[-0.05, -0.5, -0.05], [0.06, 0.5, -0.04], [0.0, 0.9, 0.06]])
    xy, depth = project(points, view)
    face, far = rasterise(xy, depth, np.array([[0, 1, 2]]), 41, 41)
    row, column = np.nonzero(face >= 0)
    assert len(row) > 100
    back = unproject(np.column_stack([column, row]), far[row, column], view)
    normal = np.cross(points[1] - points[0], points[2] - points[0])
    np.testing.assert_allclose((back - points[0]) @ normal, 0, atol=1e-12)


def test_what_lies_outside_the_picture_is_left_out_of_the_buffer() -> None:
    corners = np.array([[-50, -50], [60, -50], [-50, 60], [200, 200], [210, 200], [200, 210.0]])
    face, _ = rasterise(corners, np.ones(6), np.array([[0, 1, 2], [3, 4, 5]]), 8, 8)
    assert (face[:5, :5] == 0).all()
    assert not (face == 1).any()


def test_spread_counts_up_within_each_row() -> None:
    rows, offsets = spread(np.array([2, 0, -3, 3]))
    assert rows.tolist() == [0, 0, 3, 3, 3]
    assert offsets.tolist() == [0, 1, 0, 1, 2]


def test_of_a_box_seen_from_a_corner_only_the_hidden_corner_is_hidden() -> None:
    corners, faces = box((-0.3, -0.3, -0.3), (0.3, 0.3, 0.3))
    view = Viewpoint(45.0, 30.0, 0.0, 12.0, 150.0, 150.0)
    xy, depth = project(corners, view)
    _, far = rasterise((xy + 0.5) * SAMPLES - 0.5, depth, faces, 300 * SAMPLES, 300 * SAMPLES)
    points = corners[:8]
    hidden = points[~visible(points, view, far)]
    np.testing.assert_allclose(hidden, [[-0.3, 0.3, -0.3]])


@pytest.mark.parametrize("category", KINDS)
def test_a_shape_is_centred_with_diagonal_one_and_its_anchors_on_it(category: str) -> None:
    styles = set()
    for seed in range(12):
        shape = KINDS[category].make(np.random.default_rng(seed))
        low, high = shape.vertices.min(axis=0), shape.vertices.max(axis=0)
        np.testing.assert_allclose(low + high, 0, atol=1e-9)
        assert np.linalg.norm(high - low) == pytest.approx(1)
        assert len(shape.faces) == len(shape.materials)
        assert shape.faces.max() < len(shape.vertices)
        anchors = np.array(list(shape.anchors.values()))
        assert (anchors > low - 0.02).all() and (anchors < high + 0.02).all()
        styles.add(shape.style)
    assert len(styles) > 1


@pytest.mark.parametrize("category", KINDS)
def test_paired_anchors_mirror_each_other_across_the_middle(category: str) -> None:
    shape = KINDS[category].make(np.random.default_rng(3))
    # Pedals stand opposite each other; everything else is symmetric.
    for name, at in shape.anchors.items():
        if "left" in name and "pedal" not in name:
            other = shape.anchors[name.replace("left", "right")]
            assert at[0] != pytest.approx(other[0])
            np.testing.assert_allclose(at[1:], other[1:], atol=1e-9)


@pytest.mark.parametrize("category", KINDS)
def test_left_is_negative_x_but_for_the_rear_ends_of_cars_and_trains(category: str) -> None:
    shape = KINDS[category].make(np.random.default_rng(5))
    for name, at in shape.anchors.items():
        if "left" in name:
            behind = category in ("car", "train") and any(
                part in name for part in ("tail", "rearwindow", "trunk")
            )
            other = shape.anchors[name.replace("left", "right")]
            assert (at[0] > other[0]) == behind
