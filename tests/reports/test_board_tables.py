"""Tables of boards: what stands in which column."""

from dataclasses import replace

from jladkit.reports.board_tables import tables
from jladkit.reports.cells import NOT_EVALUATED, NOT_SCORED, to_markdown
from jladkit.reports.tables import tidy
from tests.reports.test_tables import board, iod_result, pck_result, sparsification_result


def test_the_first_table_has_methods_by_alpha_with_intervals_and_counts():
    table = tables(board(pck_result("a", 0.5), pck_result("b", 0.6)))[0]
    assert list(table.cells.columns) == ["method", "pairs", "PCK@0.05", "PCK@0.1"]
    assert table.cells.to_numpy().tolist()[1] == [
        "b",
        "40",
        "60.0 [55.0, 65.0]",
        "70.0 [55.0, 65.0]",
    ]


def test_the_second_has_methods_by_category_and_all_three_means():
    cells = tables(board(pck_result("a")))[1].cells
    assert list(cells.columns) == [
        "method", "car", "tv_monitor & co", "mean of categories", "mean over pairs", "pooled points",
    ]  # fmt: skip
    assert cells.to_numpy().tolist() == [
        ["pairs", "30", "1", "-", "40", "200 points"],
        ["a", "50.0 [10.0, 90.0]", "50.0", "50.0 [46.0, 54.0]", "60.0 [45.0, 55.0]", "50.0"],
    ]


def test_a_headline_that_is_no_mean_over_pairs_is_called_what_it_is():
    result = pck_result("a")
    own = {"pair_mean": 0.4, "pair_mean_low": 0.3, "pair_mean_high": 0.5}
    pooled = replace(
        result,
        protocol={**result.protocol, "aggregation": "pooled"},
        results=[row | own for row in result.results],
    )
    by_alpha, by_category = tables(board(pooled))
    assert by_alpha.caption == "PCK, over the points of all pairs"
    assert by_category.cells["mean over pairs"].tolist()[1] == "40.0 [30.0, 50.0]"
    assert tables(board(result))[0].caption == "PCK, mean over pairs"


def test_an_alpha_that_one_method_lacks_says_that_it_was_not_evaluated():
    short = pck_result("b")
    short = replace(short, results=short.results[:1])
    assert tables(board(pck_result("a"), short))[0].cells["PCK@0.1"].tolist()[1] == NOT_EVALUATED


def test_iod_shows_every_variant_and_the_floor():
    first, second = tables(board(iod_result()))
    assert list(first.cells.columns)[3:] == ["imm", "paper", "mean-shape floor"]
    assert first.cells.to_numpy().tolist()[0][-1] == "30.0"
    assert second.cells.to_numpy().tolist()[1] == ["mean-shape floor", "30.0", "-", "30.0"]


def test_a_metric_that_reports_do_not_know_gets_a_plain_table():
    row = {k: v for k, v in pck_result().results[0].items() if k != "alpha"}
    other = pck_result(metric="flow", results=[row | {"metric": "flow", "unit": "pixels"}])
    assert "flow" in to_markdown(tables(board(other))[0])


def test_a_plain_table_has_a_column_for_each_alpha_or_measure():
    rows = [row | {"metric": "flow"} for row in pck_result().results]
    flow = tables(board(pck_result(metric="flow", results=rows)))[0]
    assert list(flow.cells.columns) == ["method", "count", *(f"flow@{r['alpha']:g}" for r in rows)]
    plain = {k: v for k, v in rows[0].items() if k != "alpha"} | {"metric": "transfer"}
    rows = [plain | {"measure": "iou", "unit": "a"}, plain | {"measure": "loc-err", "unit": "b"}]
    transfer = board(pck_result(metric="transfer", results=rows))
    assert list(tables(transfer)[0].cells.columns) == ["method", "count", "iou", "loc-err"]
    assert tables(transfer)[0].caption == "In % of a, b"
    assert set(tidy(transfer)["setting"]) == {"iou", "loc-err"}


def test_sparsification_shows_its_measures_the_share_kept_and_the_gain_by_category():
    both = board(sparsification_result("a"), sparsification_result("b", 0.7))
    first, second, third = tables(both)
    assert list(first.cells.columns)[2:] == ["gain@0.05", "ause@0.05", "spearman@0.05"]
    assert second.cells["method"].tolist() == ["a", "a, oracle", "b", "b, oracle"]
    assert second.cells["100 % kept"].tolist() == ["50.0"] * 4
    assert second.cells["40 % kept"].tolist() == ["74.0", "100.0"] * 2
    assert third.cells.to_numpy().tolist()[0] == ["points", "30", "1"]
    assert set(tidy(both)["setting"]) == {"gain@0.05", "ause@0.05", "spearman@0.05"}


def test_a_category_that_one_method_does_not_score_says_so():
    short = pck_result("b")
    rows = [row | {"categories": {"car": row["categories"]["car"]}} for row in short.results]
    cells = tables(board(pck_result("a"), replace(short, results=rows)))[1].cells
    assert cells["tv_monitor & co"].tolist() == ["1", "50.0", NOT_SCORED]
    # The other way round no category is lost either, though the first result lacks it.
    cells = tables(board(replace(short, results=rows), pck_result("a")))[1].cells
    assert cells["tv_monitor & co"].tolist() == ["0", NOT_SCORED, "50.0"]
