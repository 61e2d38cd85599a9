"""Cells and the four forms of a table."""

import csv
import io
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from jladkit.reports.board_tables import tables
from jladkit.reports.cells import (
    BEST,
    SECOND,
    Cell,
    Measure,
    Table,
    grid_of,
    scored,
    to_csv,
    to_html,
    to_latex,
    to_markdown,
)
from tests.reports.test_tables import board, pck_result


def small():
    """A best with an interval, a second without, and a word."""
    records = [
        {"method": "a_b|<i>", "PCK@0.1 %": Cell("70.0 [60.0, 80.0]", 0.7, mark=BEST)},
        {"method": "b", "PCK@0.1 %": Cell("60.0", 0.6, mark=SECOND)},
        {"method": "c", "PCK@0.1 %": "not trained"},
    ]
    return Table("t", "Caption", grid_of(records), "Note")


def test_markdown_has_the_best_bold_and_the_second_underlined():
    assert to_markdown(small()).splitlines() == [
        "Caption. Note",
        "",
        "| method | PCK@0.1 % |",
        "| --- | ---: |",
        "| a_b\\|<i> | **70.0** [60.0, 80.0] |",
        "| b | <u>60.0</u> |",
        "| c | not trained |",
    ]


def test_latex_has_marks_as_commands_and_all_else_escaped():
    text = to_latex(small())
    assert r"a\_b|<i> & \textbf{70.0} [60.0, 80.0] \\" in text
    assert r"b & \underline{60.0} \\" in text
    assert r"PCK@0.1 \%" in text and r"\toprule" in text


def test_csv_has_no_marks():
    rows = list(csv.reader(io.StringIO(to_csv(small()))))
    assert rows[1:] == [["a_b|<i>", "70.0 [60.0, 80.0]"], ["b", "60.0"], ["c", "not trained"]]


def test_html_has_marks_as_elements_and_names_as_text():
    text = to_html(small())
    assert "<td><strong>70.0</strong> [60.0, 80.0]</td>" in text
    assert "<td><u>60.0</u></td>" in text and "<td>not trained</td>" in text
    assert "a_b|&lt;i&gt;" in text and "<i>" not in text
    HTMLParser().feed(text)


@pytest.mark.parametrize(
    ("mean", "category", "text", "aggregation"),
    [
        ("", None, "60.0 [45.0, 55.0]", "pair-mean"),
        ("pooled", None, "50.0", "pooled"),
        ("category_mean", None, "50.0 [46.0, 54.0]", "category-mean"),
        ("", "car", "50.0 [10.0, 90.0]", "pair-mean"),
    ],
)
def test_a_cell_knows_which_items_it_sums_up_and_how(mean, category, text, aggregation):
    (entry,) = board(pck_result("a")).entries
    cell = scored(entry, entry.result.results[1], mean, category)
    assert cell.text == text
    assert cell.measure == Measure("pck@0.1", aggregation, category, True)


def test_a_number_that_does_not_exist_is_no_score():
    (entry,) = board(pck_result("a")).entries
    row = entry.result.results[0] | {"value": None, "low": None, "high": None}
    assert scored(entry, row) == Cell("not scored")


def test_a_line_that_lacks_a_column_says_what_it_was_told_to():
    grid = grid_of([{"a": "1"}, {"a": "2", "b": "3"}], "nothing")
    assert replace(small(), grid=grid).cells.to_numpy().tolist() == [["1", "nothing"], ["2", "3"]]


def test_latex_escapes_what_it_would_read_as_commands():
    text = to_latex(tables(board(pck_result("my_method {50%}")))[1])
    assert r"tv\_monitor \& co" in text and r"my\_method \{50\%\}" in text
    assert r"\toprule" in text and r"\bottomrule" in text
    assert r"95 \% intervals" in text


def test_markdown_escapes_pipes():
    text = to_markdown(tables(board(pck_result("a|b")))[0])
    assert r"| a\|b |" in text
