"""Best and second: what is bold, what is underlined, and what nothing can be said of."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from jladkit.evaluators.comparison import compare
from jladkit.formats.result import write_result
from jladkit.reports.board_tables import tables
from jladkit.reports.cells import BEST, SECOND
from jladkit.reports.ranking import RULE, ranked, teller
from jladkit.reports.tables import boards, read_entries
from tests.reports.test_tables import pck_result

PAIRS = 40
COLUMNS = ("pck@0.05", "pck@0.1")


def written(folder, method, scores, with_items=True):
    """A result of 40 pairs of cars, all of other images, whose score at both alphas is `scores`."""
    value = float(np.mean(scores))
    number = np.arange(PAIRS)
    table = {"pair": number, "category": "car", "source_image": 2 * number,
             "target_image": 2 * number + 1, "n": 4}  # fmt: skip
    result = pck_result(method)
    rows = []
    for row in result.results:
        own = {"value": value, "pooled": value, "category_mean": value}
        rows.append(row | own | {"categories": {"car": row["categories"]["car"] | own}})
    result = replace(result, results=rows, items=f"{method}.parquet" if with_items else None)
    write_result(folder / f"{method}.json", result)
    if with_items:
        frame = pd.DataFrame(table | dict.fromkeys(COLUMNS, scores))
        frame.to_parquet(folder / f"{method}.parquet")


def marks_of(folder, tell=None):
    """{method: mark at alpha 0.1}, and the table's note."""
    (board,) = boards(read_entries([folder]))
    table = ranked(tables(board)[0], tell or teller(compare))
    names = [cell.text for cell in table.grid["method"]]
    return dict(zip(names, [c.mark for c in table.grid["PCK@0.1"]], strict=True)), table.note


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(0, 0.02, PAIRS)


def test_a_best_that_differs_from_the_second_is_bold_and_the_second_underlined(tmp_path, noise):
    for method, value in (("a", 0.5), ("b", 0.8), ("c", 0.7)):
        written(tmp_path, method, value + noise * (1 + ord(method) % 3))
    marks, note = marks_of(tmp_path)
    assert marks == {"a": "", "b": BEST, "c": SECOND}
    assert note.endswith(RULE)


def test_a_best_whose_difference_may_be_chance_is_not_bold(tmp_path):
    scores = np.random.default_rng(1).random(PAIRS)
    shift = np.where(np.arange(PAIRS) % 2, 0.3, -0.29)
    written(tmp_path, "a", scores)
    written(tmp_path, "b", scores + shift)
    written(tmp_path, "c", scores - 0.5)
    marks, _ = marks_of(tmp_path)
    assert marks == {"a": SECOND, "b": SECOND, "c": ""}


def test_what_is_equally_good_shares_the_second_place(tmp_path, noise):
    written(tmp_path, "a", 0.5 + noise)
    written(tmp_path, "b", 0.5 + noise)
    written(tmp_path, "c", 0.5 + noise)
    marks, _ = marks_of(tmp_path)
    assert set(marks.values()) == {SECOND}


def test_without_tables_of_items_nothing_is_bold_and_the_note_says_why(tmp_path, noise):
    written(tmp_path, "a", 0.5 + noise, with_items=False)
    written(tmp_path, "b", 0.9 + noise)
    marks, note = marks_of(tmp_path)
    assert marks == {"a": SECOND, "b": SECOND}
    assert "These results could not be tested" in note
    written(tmp_path, "a", 0.5 + noise)
    assert marks_of(tmp_path)[0] == {"a": SECOND, "b": BEST}
    (tmp_path / "a.parquet").write_bytes(b"cut")
    assert "could not be tested" in marks_of(tmp_path)[1]
    (tmp_path / "a.parquet").unlink()
    assert "could not be tested" in marks_of(tmp_path)[1]


def test_nothing_that_tells_results_apart_leaves_all_unbold(tmp_path, noise):
    written(tmp_path, "a", 0.5 + noise)
    written(tmp_path, "b", 0.9 + noise)
    (board,) = boards(read_entries([tmp_path]))
    table = ranked(tables(board)[0], None)
    assert {cell.mark for cell in table.grid["PCK@0.1"]} == {SECOND}


def test_less_is_better_where_the_result_says_so(tmp_path, noise):
    written(tmp_path, "a", 0.5 + noise)
    written(tmp_path, "b", 0.9 + noise)
    for path in tmp_path.glob("*.json"):
        text = path.read_text().replace('"higher_is_better": true', '"higher_is_better": false')
        path.write_text(text)
    assert marks_of(tmp_path)[0] == {"a": BEST, "b": SECOND}


def test_one_result_alone_is_not_ranked(tmp_path, noise):
    written(tmp_path, "a", 0.5 + noise)
    marks, note = marks_of(tmp_path)
    assert marks == {"a": ""} and RULE not in note


def test_a_category_is_decided_by_its_own_items(tmp_path):
    asked = []

    def spy(a_items, b_items, column, aggregation):
        asked.append((set(a_items["category"]), len(a_items), column, aggregation))
        return compare(a_items, b_items, column, aggregation)

    written(tmp_path, "a", np.full(PAIRS, 0.9))
    written(tmp_path, "b", np.full(PAIRS, 0.5))
    for name in ("a", "b"):
        frame = pd.read_parquet(tmp_path / f"{name}.parquet")
        frame["category"] = np.where(np.arange(PAIRS) < 30, "car", "boat")
        frame.to_parquet(tmp_path / f"{name}.parquet")
    (board,) = boards(read_entries([tmp_path]))
    ranked(tables(board)[1], teller(spy))
    assert ({"car"}, 30, "pck@0.1", "pair-mean") in asked
    assert ({"car", "boat"}, PAIRS, "pck@0.1", "category-mean") in asked
    assert ({"car", "boat"}, PAIRS, "pck@0.1", "pooled") in asked
