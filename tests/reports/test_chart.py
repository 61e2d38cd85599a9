"""Curves as lengths of the page's pictures."""

import pytest

from jladkit.reports.chart import BOTTOM, LEFT, RIGHT, TOP, chart, dash
from tests.reports.test_tables import board, iod_result, pck_result, sparsification_result


def points(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split())]


def test_pck_rises_from_the_lower_left_with_a_bar_at_each_alpha_of_the_tables():
    drawn = chart(board(pck_result("a", 0.5)))
    assert drawn is not None
    (line,) = drawn.lines
    low, high = points(line.points)  # 50 % at 0.05, 60 % at 0.1
    assert low == pytest.approx(((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2), abs=0.06)
    assert high == pytest.approx((RIGHT, BOTTOM - 0.6 * (BOTTOM - TOP)), abs=0.06)
    assert [bar[0] for bar in line.bars] == pytest.approx([low[0], high[0]], abs=0.06)
    height = BOTTOM - TOP
    assert [low - high for _, low, high in line.bars] == pytest.approx([0.1 * height] * 2)
    assert [text for _, text in drawn.x_ticks] == ["0", "0.025", "0.05", "0.075", "0.1"]


def test_sparsification_runs_to_the_right_as_less_is_kept():
    drawn = chart(board(sparsification_result("joint")))
    assert drawn is not None
    (line,) = drawn.lines
    xs = [x for x, _ in points(line.points)]
    assert xs[0] == LEFT and xs == sorted(xs)
    assert len(points(line.band)) == 2 * len(xs) and len(line.beside) == 2


def test_a_metric_without_a_curve_has_no_picture():
    assert chart(board(iod_result())) is None


def test_the_eighth_line_has_the_first_ones_colour_and_other_dashes():
    assert dash(0) == dash(6) == "none" != dash(7)
