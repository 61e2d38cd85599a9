from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from jladkit.errors import JladkitError
from jladkit.reports.figures import (
    matched_pairs,
    pck_curve,
    representative_pairs,
    save,
    sparsification_curve,
)
from jladkit.reports.tables import boards
from tests.reports.test_tables import pck_result, sparsification_result
from tests.tiny import predicted, tiny_dataset, true_points


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("figures") / "tiny.h5")


def board(*results):
    (one,) = boards([(Path("result.json"), result) for result in results])
    return one


def test_the_curve_has_a_labelled_line_a_method():
    figure = pck_curve(board(pck_result("a"), pck_result("b", 0.6)))
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    assert list(np.asarray(axes.lines[0].get_ydata())) == pytest.approx([50, 60])


def test_results_without_a_curve_are_refused():
    with pytest.raises(JladkitError, match="holds a curve"):
        pck_curve(board(pck_result(curve={})))


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_same_figure_gives_the_same_bytes(tmp_path, suffix):
    for name in ("a", "b"):
        save(pck_curve(board(pck_result())), tmp_path / f"{name}.{suffix}")
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_pairs_come_from_every_category_and_show_the_median_first(data):
    shift = np.linspace(0, 10, 20)[:, None, None]
    predictions = predicted(data, pair_points=true_points(data) + shift)
    chosen = representative_pairs(data, predictions, 6)
    category = data.pair_category[data.pairs("test")[chosen]]
    assert category.tolist() == [0, 1, 0, 1, 0, 1]
    assert len(set(chosen)) == 6


def test_matched_pairs_has_a_source_and_a_target_for_each_method(data):
    other = predicted(data, method="other", pair_points=true_points(data) + 3)
    figure = matched_pairs(data, [predicted(data), other], 4)
    assert isinstance(figure, Figure)
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert titles[1:3] == ["oracle", "other"]
    assert len(titles) == 4 * 3


def test_methods_on_other_pairs_are_not_drawn_together(data):
    rows = data.pairs("test")
    short = predicted(data, method="b", pair_row=rows[1:], pair_points=true_points(data)[1:])
    with pytest.raises(JladkitError, match="of b are not about the pairs of those of oracle"):
        matched_pairs(data, [predicted(data), short])


def test_predictions_without_pairs_cannot_be_drawn(data):
    with pytest.raises(JladkitError, match="no transferred keypoints to draw"):
        matched_pairs(data, [predicted(data, pair_row=None, pair_points=None)])


def test_a_sparsification_curve_has_its_gain_its_bounds_and_its_band():
    figure = sparsification_curve(
        board(sparsification_result("a"), sparsification_result("b", 0.7))
    )
    (axes,), (legend,) = figure.axes, figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words[:2] == ["a: gain 40.0 %", "b: gain 70.0 %"]
    assert words[2].startswith("oracle") and words[3].startswith("random")
    oracle, random, curve = (np.asarray(line.get_ydata()) for line in axes.lines[:3])
    assert (random == 50).all() and (oracle[0], oracle[-1]) == (50, 100)
    assert (curve[0], curve[-1]) == pytest.approx((50, 88))
    assert len(axes.collections) == 2
    left, right = axes.get_xlim()
    assert left > right  # to the right, less is kept
    with pytest.raises(JladkitError, match="holds a curve"):
        sparsification_curve(board(pck_result()))
