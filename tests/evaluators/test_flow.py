from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jladkit.builders import tss
from jladkit.builders.options import Job
from jladkit.errors import JladkitError, UsageError
from jladkit.evaluators.flow import accuracy, endpoint_errors, evaluate
from jladkit.formats.dataset import Dataset, open_dataset
from tests.builders.layouts_dense import tss_root
from tests.evaluators.test_dense import identity
from tests.tiny import predicted, tiny_arrays, tiny_dataset


def shifts(data: dict[str, np.ndarray] | Dataset) -> np.ndarray:
    """(P, 2) how far from the identity each pair's pixels truly go."""
    count = len(data["pair/source"] if isinstance(data, dict) else data.pair_source)
    return np.random.default_rng(5).uniform(-8, 8, (count, 2)).astype(np.float32).astype(float)


def flow_arrays() -> dict[str, np.ndarray]:
    """Flow for the pairs of `tiny_arrays` but every fifth: identity and a shift, in two columns."""
    fields = tiny_arrays()
    size, parts = fields["object/size"], []
    for row, (source, target) in enumerate(
        zip(fields["pair/source"], fields["pair/target"], strict=True)
    ):
        width, height = size[source]
        flow = np.full((height, width, 2), np.nan, np.float32)
        y, x = np.mgrid[:height, :width]
        to = identity((width, height), size[target]).transpose(1, 2, 0) + shifts(fields)[row]
        flow[:, 3:5] = (to - np.stack([x, y], axis=-1))[:, 3:5]
        parts.append(flow.reshape(-1, 2) if row % 5 else flow[:0].reshape(-1, 2))
    ends = np.cumsum([0, *map(len, parts)])
    return {
        "pair_flow": np.concatenate(parts),
        "pair_flow_span": np.stack([ends[:-1], ends[1:]], axis=1),
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("flow") / "tiny.h5", **flow_arrays())


def fields(data: Dataset, off: np.ndarray | float = 0.0, **parts: Any):
    """Predictions whose fields are the truth and (P, 2) `off`, in pixels of the targets."""
    rows = data.pairs("test")
    moved = shifts(data)[rows] + off
    flow = [
        identity((5, 4), data.object_size[target]) + shift[:, None, None]
        for target, shift in zip(data.pair_target[rows], moved, strict=True)
    ]
    return predicted(data, **{"pair_flow": np.array(flow), **parts})


def extents(data: Dataset) -> np.ndarray:
    return data.object_size[data.pair_target[data.pairs("test")]].max(axis=1)


def test_endpoint_errors_of_four_pixels_are_those_computed_by_hand():
    flow = np.array([[[1.0, 0.0], [np.nan, np.nan]], [[0.0, 2.0], [-1.0, -1.0]]])
    # They belong at (1, 0), nowhere, (0, 3) and (0, 0).
    predicted_at = np.array([[[4.0, 4.0], [7.0, 7.0]], [[0.0, 3.0], [np.nan, 0.0]]])
    np.testing.assert_allclose(endpoint_errors(predicted_at, flow), [5, 0, np.inf])


def test_an_error_of_exactly_alpha_times_the_extent_is_right():
    errors = np.array([5.0, 2.5, 5.1, np.inf])
    np.testing.assert_allclose(accuracy(errors, 100, [0.02, 0.025, 0.05, 0.051, 1]), [0, 0.25, 0.5, 0.75, 0.75])  # fmt: skip


def test_no_pixel_has_no_accuracy():
    assert np.isnan(accuracy(np.empty(0), 100, [0.05, 0.1])).all()


@given(
    arrays(float, st.integers(1, 40), elements=st.floats(0, 200, width=16)),
    st.integers(1, 300),
    st.integers(0, 2**16),
)
def test_it_grows_with_alpha_and_agrees_with_counting(errors, extent, seed):
    alphas = np.linspace(0.01, 1, 25)
    found = accuracy(errors, extent, alphas.tolist())
    assert (np.diff(found) >= 0).all()
    expected = [sum(e / extent <= alpha for e in errors) / len(errors) for alpha in alphas]
    np.testing.assert_allclose(found, expected)
    shuffled = np.random.default_rng(seed).permutation(errors)
    np.testing.assert_array_equal(accuracy(shuffled, extent, alphas.tolist()), found)


def test_shapes_that_differ_are_named():
    with pytest.raises(ValueError, match=r"predicted is \(2, 3, 2\), flow \(3, 2, 2\)"):
        endpoint_errors(np.zeros((2, 3, 2)), np.zeros((3, 2, 2)))


def test_the_truth_scores_1_and_pairs_without_flow_are_left_out(data):
    result, items = evaluate(data, fields(data), alphas=[0.001])
    row = result.results[0]
    without = int((data.pairs("test") % 5 == 0).sum())
    assert (row["value"], row["pooled"], row["category_mean"]) == (1, 1, 1)
    assert (row["count"], row["left_out"]) == (20 - without, without)
    height = data.object_size[data.pair_source[data.pairs("test")], 1]
    np.testing.assert_array_equal(items["n"], np.where(data.pairs("test") % 5, 2 * height, 0))
    assert np.nanmax(items["epe"]) < 1e-5
    assert np.isnan(items["flow@0.001"]).sum() == without


def test_it_measures_by_the_longer_side_of_the_targets_picture(data):
    along = np.stack([extents(data), np.zeros(20)], axis=1)
    near, _ = evaluate(data, fields(data, 0.0499 * along))
    far, _ = evaluate(data, fields(data, 0.0501 * along))
    assert near.results[0]["value"] == 1
    assert far.results[0]["value"] == 0
    assert near.results[0]["alpha"] == 0.05
    sources = data.object_size[data.pair_source[data.pairs("test")]].max(axis=1)
    assert (sources != extents(data)).any()


def test_the_table_has_a_row_a_pair_and_its_mean_is_the_headline(data):
    off = np.random.default_rng(1).normal(0, 3, (20, 2))
    result, items = evaluate(data, fields(data, off), alphas=[0.05, 0.1])
    assert list(items.columns) == [
        "pair", "category", "source", "target", "source_image", "target_image",
        "n", "extent", "epe", "flow@0.05", "flow@0.1",
    ]  # fmt: skip
    assert items["pair"].tolist() == data.pairs("test").tolist()
    seen = items[items["n"] > 0]
    np.testing.assert_allclose(seen["epe"], np.hypot(*off.T)[items["n"] > 0], atol=1e-5)
    expected = (seen["epe"] / seen["extent"] <= 0.1).mean()
    assert result.results[1]["value"] == pytest.approx(expected)
    own = [np.nanmean(items.loc[items["category"] == name, "flow@0.1"]) for name in data.categories]
    assert result.results[1]["category_mean"] == pytest.approx(np.mean(own))
    assert result.results[1]["pooled"] == pytest.approx(
        (seen["flow@0.1"] * seen["n"]).sum() / seen["n"].sum()
    )
    curve = dict(zip(result.curve["alpha"], result.curve["value"], strict=True))
    assert len(curve) == 50
    assert curve[0.1] == pytest.approx(result.results[1]["value"])


def test_pixels_without_a_prediction_are_wrong_and_told(data):
    known = fields(data)
    assert known.pair_flow is not None
    flow = known.pair_flow.copy()
    flow[:, 0] = np.nan
    result, items = evaluate(data, fields(data, pair_flow=flow), alphas=[1.0])
    assert result.results[0]["value"] == 0
    assert np.isinf(items["epe"][items["n"] > 0]).all()
    total = int(items["n"].to_numpy().sum())
    assert f"{total} of {total} pixels have no prediction and count as wrong." in result.notes


def test_rows_may_come_in_any_order(data):
    off = np.random.default_rng(1).normal(0, 3, (20, 2))
    plain = fields(data, off)
    assert plain.pair_flow is not None and plain.pair_row is not None
    order = np.random.default_rng(2).permutation(20)
    turned = fields(data, pair_flow=plain.pair_flow[order], pair_row=plain.pair_row[order])
    assert evaluate(data, plain)[0].results == evaluate(data, turned)[0].results


def test_the_same_predictions_give_the_same_record(data):
    first, second = (evaluate(data, fields(data))[0].to_json() for _ in range(2))
    assert first == second


def test_the_wrong_direction_is_refused(data):
    flow = fields(data).pair_flow
    with pytest.raises(JladkitError, match="hold no dense field from source to target"):
        evaluate(data, predicted(data, pair_flow_back=flow))


def test_a_data_set_without_flow_is_refused(tmp_path):
    plain = tiny_dataset(tmp_path / "plain.h5")
    with pytest.raises(JladkitError, match=r"has true flow, .* Sources with flow: tss"):
        evaluate(plain, predicted(plain, pair_flow=np.zeros((20, 2, 3, 3))))


def test_an_alpha_out_of_range_and_an_unknown_protocol_are_refused(data):
    with pytest.raises(UsageError, match=r"Got 5; did you mean 0.05\?"):
        evaluate(data, fields(data), alphas=[5])
    with pytest.raises(UsageError, match=r"Unknown protocol 'ts' for flow. Did you mean 'tss'\?"):
        evaluate(data, fields(data), "ts")


def test_a_flipped_pair_scores_the_same_kept_and_undone(tmp_path):
    root = tss_root(tmp_path / "in")
    flow, tables = np.random.default_rng(3).uniform(0, 45, (8, 2, 6, 7)), []
    for flips in ("keep", "undo"):
        out = tmp_path / f"{flips}.h5"
        tss.build(root, tss.Options(flips=flips), Job(out=out))
        data = open_dataset(out)
        seen = flow.copy()
        if flips == "undo":  # the same places, in the mirrored targets of the last two pairs
            width = data.object_size[data.pair_target[6:], 0]
            seen[6:, 0] = width[:, None, None] - 1 - flow[6:, 0]
        said = predicted(data, pair_points=np.empty((8, 0, 2)), pair_flow=seen)
        tables.append(evaluate(data, said, alphas=[0.05, 0.3])[1])
    for column in ("epe", "flow@0.05", "flow@0.3"):
        np.testing.assert_allclose(tables[0][column], tables[1][column], atol=1e-4)
    assert tables[0]["flow@0.3"].between(0.1, 0.9).all()
