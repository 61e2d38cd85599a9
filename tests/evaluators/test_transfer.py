from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jladkit.builders import caltech101
from jladkit.builders.options import Job
from jladkit.errors import JladkitError, UsageError
from jladkit.evaluators.transfer import (
    evaluate,
    intersection_over_union,
    label_transfer_accuracy,
    localisation_error,
    mask_scores,
    polygon_scores,
    warped_mask,
)
from jladkit.formats.dataset import Dataset, open_dataset
from tests.builders.layouts import picture
from tests.builders.layouts_dense import (
    SQUARE,
    TRIANGLE,
    caltech_root,
    caltech_row,
    write_caltech_list,
)
from tests.evaluators.test_dense import identity
from tests.formats.test_masks import naive
from tests.tiny import predicted, tiny_dataset


def block(height: int, width: int, rows: slice, columns: slice) -> np.ndarray:
    """(H, W) bool, True in a rectangle."""
    mask = np.zeros((height, width), bool)
    mask[rows, columns] = True
    return mask


def same_place(height: int, width: int) -> np.ndarray:
    """(H, W, 2) the field that leaves every pixel where it is."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y], axis=-1).astype(float)


def test_accuracy_and_overlap_of_two_rectangles_by_hand():
    first, second = block(5, 8, slice(1, 3), slice(0, 4)), block(5, 8, slice(1, 3), slice(2, 6))
    assert label_transfer_accuracy(first, second) == (40 - 8) / 40
    assert intersection_over_union(first, second) == 4 / 12
    assert np.isnan(intersection_over_union(first & ~first, first & ~first))


def test_a_mask_is_read_where_the_targets_pixels_come_from():
    source = block(4, 6, slice(1, 3), slice(3, 5))
    # Each pixel of the target reads the source two to the right: the object moves to the left.
    carried = warped_mask(source, same_place(4, 6) + np.array([2, 0]))
    np.testing.assert_array_equal(carried, block(4, 6, slice(1, 3), slice(1, 3)))


def test_a_mask_is_read_bilinearly_with_zeros_around_and_half_is_not_the_object():
    source = np.ones((1, 3), bool)
    at = np.array([-0.6, -0.5, -0.4, 0.0, 2.4, 2.5, 3.0, np.nan])
    field = np.stack([at, np.zeros(8)], axis=-1)[None]
    expected = [[False, False, True, True, True, False, False, False]]
    np.testing.assert_array_equal(warped_mask(source, field), expected)


def test_localisation_counts_columns_from_1_and_the_left_from_0():
    source, target = block(6, 6, slice(0, 6), slice(1, 3)), block(6, 6, slice(0, 6), slice(2, 6))
    # Columns 1 to 4 are strictly inside. In the source (x + 1 - 1) / 2, in the target
    # (x + 1 - 2) / 4: they differ by (x + 1) / 4. Rows do not differ.
    found = localisation_error(source, target, same_place(6, 6))
    assert found == pytest.approx(np.mean([2, 3, 4, 5]) / 4)


def test_localisation_cuts_a_place_to_its_pixel():
    source, target = block(6, 9, slice(1, 4), slice(2, 7)), block(6, 9, slice(0, 5), slice(1, 4))
    # Within the same pixels, and no pixel leaves the inside: its column 7.9 is below the last, 8.
    whole, part = same_place(6, 9), same_place(6, 9)
    part[:, 1:8, 0] += 0.9
    expected = localisation_error(source, target, whole)
    assert localisation_error(source, target, part) == pytest.approx(expected)


def test_nothing_sent_inside_has_no_localisation():
    mask = block(4, 4, slice(1, 3), slice(1, 3))
    assert np.isnan(localisation_error(mask, mask, same_place(4, 4) - 90))
    assert np.isnan(localisation_error(mask, mask, np.full((4, 4, 2), np.nan)))


def test_an_object_that_stays_has_no_error():
    mask = block(7, 9, slice(2, 5), slice(3, 8))
    assert mask_scores(mask, mask, same_place(7, 9)) == {"lt-acc": 1, "iou": 1, "loc-err": 0}


def naive_scores(source: np.ndarray, target: np.ndarray, field: np.ndarray) -> list[float]:
    """The three measures pixel by pixel, as WeakAlign words them."""
    height, width = source.shape
    extents = []
    for mask in (source, target):
        rows, columns = np.where(mask)
        extents.append((columns.min(), rows.min(), columns.max() - columns.min() + 1,
                        rows.max() - rows.min() + 1))  # fmt: skip
    right = both = either = 0
    errors = []
    for y in range(target.shape[0]):
        for x in range(target.shape[1]):
            fx, fy = field[y, x]
            left, top = int(np.floor(fx)), int(np.floor(fy))
            value = 0.0
            for column in (left, left + 1):
                for row in (top, top + 1):
                    if 0 <= column < width and 0 <= row < height:
                        weight = (1 - abs(fx - column)) * (1 - abs(fy - row))
                        value += weight * source[row, column]
            carried = value > 0.5
            right += carried == target[y, x]
            both += carried and target[y, x]
            either += carried or target[y, x]
            if 0 < fx < width - 1 and 0 < fy < height - 1:
                (a, b, w, h), (c, d, v, g) = extents
                errors.append(abs((left + 1 - a) / w - (x + 1 - c) / v)
                              + abs((top + 1 - b) / h - (y + 1 - d) / g))  # fmt: skip
    return [right / target.size, both / either, float(np.mean(errors)) if errors else np.nan]


masks = arrays(bool, st.tuples(st.integers(2, 9), st.integers(2, 9))).filter(np.any)


@settings(max_examples=50)
@given(masks, masks, st.integers(0, 2**32 - 1))
def test_it_agrees_with_a_loop_over_the_targets_pixels(source, target, seed):
    field = np.random.default_rng(seed).uniform(-2, 10, (*target.shape, 2))
    found = list(mask_scores(source, target, field).values())
    np.testing.assert_allclose(found, naive_scores(source, target, field))


@given(masks, masks, st.integers(0, 2**32 - 1))
def test_measures_stay_in_their_ranges_and_overlap_is_the_harder(source, target, seed):
    field = np.random.default_rng(seed).uniform(-2, 10, (*target.shape, 2))
    found = mask_scores(source, target, field)
    assert 0 <= found["iou"] <= 1
    assert 0 <= found["lt-acc"] <= 1
    assert not found["loc-err"] < 0
    assert 1 - found["lt-acc"] <= 1 - found["iou"] + 1e-12  # errors over all pixels or the union


def test_polygons_by_hand():
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]])
    found = polygon_scores(square + np.array([2, 0]), square, np.array([8, 8]), None)
    assert found == {"lt-acc": (64 - 16) / 64, "iou": 8 / 24}
    assert polygon_scores(square, square, np.array([8, 8]), 300) == {"lt-acc": 1, "iou": 1}
    away = polygon_scores(square + 99, square, np.array([8, 8]), None)
    assert away == {"lt-acc": 48 / 64, "iou": 0}


def test_a_large_picture_is_scored_at_300_pixels():
    square = np.array([[21, 11], [121, 11], [121, 91], [21, 91]])
    carried, size = square + np.array([13, 0]), np.array([600, 400])
    at_half = polygon_scores(carried / 2, square / 2, size // 2, None)
    assert polygon_scores(carried, square, size, 300) == at_half
    assert polygon_scores(carried, square, size, None) != at_half


def test_the_longer_side_may_come_out_at_299_as_it_does_in_single_precision():
    size = np.array([311, 460])
    whole = np.array([[-9, -9], [999, -9], [999, 999], [-9, 999]])
    pixel = np.array([[-1, -1], [0.5, -1], [0.5, 0.5], [-1, 0.5]])
    assert polygon_scores(pixel, whole, size, 300)["lt-acc"] == 1 / (202 * 299)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three pairs in two categories, masks and polygons, all pictures of 80 x 60."""
    folder = tmp_path_factory.mktemp("transfer")
    return built(caltech_root(folder / "in"), folder / "caltech.h5")


def built(root: Path, out: Path) -> Dataset:
    caltech101.build(root, caltech101.Options(), Job(out=out))
    return open_dataset(out)


def said(data: Dataset, shift: Any = 0.0, **parts: Any):
    """Predictions that everything stays at its relative place, but for `shift`."""
    rows = data.pairs("test")
    sizes = data.object_size[data.pair_source[rows]]
    back = np.array([identity((8, 6), size) for size in sizes])
    points = data.object_keypoints[data.pair_source[rows]]
    by = np.broadcast_to(shift, (len(rows), 2))
    given = {"pair_flow_back": back + by[..., None, None], "pair_points": points + by[:, None]}
    return predicted(data, **{**given, **parts})


def test_masks_that_stay_score_as_the_masks_overlap(data):
    result, items = evaluate(data, said(data))
    assert [row["measure"] for row in result.results] == ["lt-acc", "iou", "loc-err"]
    assert result.protocol["name"] == "rocco-masks"
    for pair in range(3):
        source = data.mask(int(data.pair_source[pair]))
        target = data.mask(int(data.pair_target[pair]))
        assert source is not None and target is not None
        assert items["transfer:iou"][pair] == (source & target).sum() / (source | target).sum()
        assert items["transfer:lt-acc"][pair] == (source == target).mean()
    errors = items["transfer:loc-err"].to_numpy()
    assert errors[1] == pytest.approx(errors[2])  # the same two, exchanged
    assert result.results[1]["value"] == pytest.approx(items["transfer:iou"].mean())
    own = [
        np.mean(items.loc[items["category"] == name, "transfer:iou"]) for name in data.categories
    ]
    assert result.results[1]["category_mean"] == pytest.approx(np.mean(own))
    assert [row["higher_is_better"] for row in result.results] == [True, True, False]


def test_polygons_that_stay_score_as_the_polygons_overlap(data):
    result, items = evaluate(data, said(data), "hpf-polygons")
    assert [row["measure"] for row in result.results] == ["lt-acc", "iou"]
    first, second = (naive(xy, 80, 60) for xy in (TRIANGLE, SQUARE))
    assert items["transfer:iou"][0] == (first & second).sum() / (first | second).sum()
    assert items["transfer:lt-acc"][0] == (first == second).mean()


def test_the_source_is_carried_to_the_target_and_not_the_other_way(tmp_path):
    root, shift = tmp_path / "in", np.array([12.0, -5.0])
    names = ("emu/image_0001", "emu/image_0002")
    for name, size in zip(names, ((80, 60), (90, 66)), strict=True):
        picture(root / f"101_ObjectCategories/{name}.jpg", *size)
    away = SQUARE * [90 / 80, 66 / 60] + shift  # relative to the picture, and a step on
    write_caltech_list(root, [caltech_row(*names, (SQUARE, away))])
    data = built(root, tmp_path / "a.h5")
    back = identity((9, 6), np.array([80, 60])) - (shift * [80 / 90, 60 / 66])[:, None, None]
    wrong = identity((9, 6), np.array([80, 60])) + (shift * [80 / 90, 60 / 66])[:, None, None]
    points = np.where(np.isfinite(data.object_keypoints[:1]), away, np.nan)
    right = said(data, pair_flow_back=back[None], pair_points=points)
    for protocol in ("rocco-masks", "hpf-polygons"):
        rows = evaluate(data, right, protocol)[0].results
        assert rows[1]["value"] > 0.93, protocol
    assert evaluate(data, said(data, pair_flow_back=wrong[None]))[0].results[1]["value"] < 0.4
    swapped = said(data, pair_points=data.object_keypoints[:1] - shift)
    assert evaluate(data, swapped, "hpf-polygons")[0].results[1]["value"] < 0.4


def test_the_table_has_a_row_a_pair_in_file_order(data):
    _, items = evaluate(data, said(data))
    assert list(items.columns) == [
        "pair", "category", "source", "target", "source_image", "target_image",
        "transfer:lt-acc", "transfer:iou", "transfer:loc-err",
    ]  # fmt: skip
    order = np.array([2, 0, 1])
    plain = said(data)
    assert plain.pair_flow_back is not None and plain.pair_points is not None
    turned = said(
        data,
        pair_row=data.pairs("test")[order],
        pair_flow_back=plain.pair_flow_back[order],
        pair_points=plain.pair_points[order],
    )
    for protocol in ("rocco-masks", "hpf-polygons"):
        a, b = (evaluate(data, one, protocol)[0].results for one in (plain, turned))
        assert a == b


def test_a_pair_that_is_sent_nowhere_has_no_localisation_and_is_left_out(data):
    result, items = evaluate(data, said(data, np.array([[0, 0], [500, 0], [0, 0]])))
    assert np.isnan(items["transfer:loc-err"]).tolist() == [False, True, False]
    assert [row["left_out"] for row in result.results] == [0, 0, 1]
    assert items["transfer:iou"].tolist()[1] == 0


def test_what_a_protocol_needs_is_asked_for(data, tmp_path):
    with pytest.raises(JladkitError, match=r"from target to source \(pair/flow_back\)"):
        evaluate(data, said(data, pair_flow_back=None, pair_flow=np.zeros((3, 2, 4, 4))))
    with pytest.raises(JladkitError, match="carried vertices of polygons, but they have none"):
        evaluate(data, said(data, pair_points=None), "hpf-polygons")
    plain = said(data)
    assert plain.pair_points is not None
    points = plain.pair_points.copy()
    points[1, :2] = np.nan
    with pytest.raises(JladkitError, match="lack 2 of the 4 vertices of pair 1"):
        evaluate(data, said(data, pair_points=points), "hpf-polygons")
    with pytest.raises(UsageError, match="no alpha"):
        evaluate(data, said(data), alphas=[0.1])
    with pytest.raises(UsageError, match="Did you mean 'rocco-masks'"):
        evaluate(data, said(data), "rocco-mask")


def test_keypoints_with_names_are_no_polygon_and_objects_without_masks_are_refused(tmp_path):
    named = tiny_dataset(tmp_path / "tiny.h5")
    with pytest.raises(JladkitError, match=r"the keypoints of car in .* are none"):
        evaluate(named, predicted(named), "hpf-polygons")
    fields = np.zeros((20, 2, 3, 3))
    with pytest.raises(JladkitError, match=r"object \d+ has no mask.* caltech101, tss"):
        evaluate(named, predicted(named, pair_flow_back=fields))


def test_the_same_predictions_give_the_same_record(data):
    assert evaluate(data, said(data))[0].to_json() == evaluate(data, said(data))[0].to_json()
