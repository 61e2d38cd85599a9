from dataclasses import replace
from pathlib import Path

import pytest

from jladkit.errors import JladkitError
from jladkit.formats.result import Result, write_result
from jladkit.reports.tables import boards, read_entries, tables, tidy, to_latex, to_markdown


def pck_result(method="identity", value=0.5, **changes):
    """A result with two alphas and two categories, one named like a LaTeX command."""
    row = {
        "metric": "pck",
        "value": value,
        "low": value - 0.05,
        "high": value + 0.05,
        "count": 40,
        "unit": "share",
        "higher_is_better": True,
        "pooled": value,
        "points": 200,
        "left_out": 0,
        "category_mean": value,
        "category_mean_low": value - 0.04,
        "category_mean_high": value + 0.04,
        "categories": {
            "car": {"value": value, "low": 0.1, "high": 0.9, "count": 30},
            "tv_monitor & co": {"value": value, "low": None, "high": None, "count": 1},
        },
    }
    result = Result(
        method=method,
        metric="pck",
        protocol={"name": "jlad", "version": 1, "summary": "by the box"},
        split="test",
        dataset="tiny",
        dataset_digest="abcdef0123",
        results=[row | {"alpha": 0.05}, row | {"alpha": 0.1, "value": value + 0.1}],
        config={"seed": 0},
        environment={},
        created="2020-01-01T00:00:00+00:00",
        curve={"alpha": [0.05, 0.1], "value": [value, value + 0.1]},
    )
    return replace(result, **changes)


def iod_result(method="mean-shape", value=0.2):
    row = {
        "metric": "iod",
        "value": value,
        "low": value - 0.01,
        "high": value + 0.01,
        "count": 20,
        "unit": "longer side of the box",
        "higher_is_better": False,
        "floor": 0.3,
        "landmarks": 10,
        "categories": {"car": {"value": value, "low": 0.1, "high": 0.3, "count": 20, "floor": 0.3}},
    }
    return pck_result(
        method, metric="iod", results=[row | {"variant": "imm"}, row | {"variant": "paper"}],
        protocol={"name": "imm", "version": 1, "summary": "no bias"}, curve={},
    )  # fmt: skip


def board(*results):
    (one,) = boards([(Path("result.json"), result) for result in results])
    return one


@pytest.mark.parametrize(
    "change",
    [
        {"dataset_digest": "other"},
        {"split": "val"},
        {"protocol": {"name": "scnet", "version": 1, "summary": "squashed"}},
        {"protocol": {"name": "jlad", "version": 2, "summary": "by the box"}},
    ],
)
def test_results_that_cannot_be_compared_never_share_a_table(tmp_path, change):
    results = [pck_result("a"), pck_result("b", **change), pck_result("c")]
    found = boards([(tmp_path, result) for result in results])
    assert [[entry.label for entry in one.entries] for one in found] == [["a", "c"], ["b"]]
    assert "b" not in to_markdown(tables(found[0])[0]).replace("bracket", "")


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


def test_an_alpha_that_one_method_lacks_is_a_dash():
    short = pck_result("b")
    short = replace(short, results=short.results[:1])
    assert tables(board(pck_result("a"), short))[0].cells.to_numpy().tolist()[1][-1] == "-"


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


def test_two_runs_of_a_method_are_told_apart_by_their_config():
    first, second = pck_result("joint"), pck_result("joint", config={"seed": 1})
    labels = [entry.label for entry in board(first, second).entries]
    assert labels == ["joint (seed=0)", "joint (seed=1)"]
    labels = [entry.label for entry in board(first, first, pck_result("b")).entries]
    assert labels == ["joint #1", "joint #2", "b"]


def test_latex_escapes_what_it_would_read_as_commands():
    text = to_latex(tables(board(pck_result("my_method {50%}")))[1])
    assert r"tv\_monitor \& co" in text and r"my\_method \{50\%\}" in text
    assert r"\toprule" in text and r"\bottomrule" in text
    assert r"95 \% intervals" in text


def test_markdown_escapes_pipes():
    text = to_markdown(tables(board(pck_result("a|b")))[0])
    assert r"| a\|b |" in text


def test_csv_has_every_number_unrounded():
    frame = tidy(board(pck_result("a", 1 / 3)))
    rows = frame[(frame["setting"] == 0.05) & (frame["category"] == "all")]
    assert rows["value"].tolist() == [1 / 3]
    assert len(frame) == 2 * 3


def test_a_folder_is_searched_and_other_json_in_it_is_passed_over(tmp_path):
    write_result(tmp_path / "tiny" / "a" / "pck.json", pck_result("a"))
    (tmp_path / "tiny" / "log.json").write_text('{"step": 1}')
    (tmp_path / "list.json").write_text("[1, 2]")
    found = read_entries([tmp_path, tmp_path / "tiny" / "a" / "pck.json"])
    assert [result.method for _, result in found] == ["a"]


def test_a_broken_result_in_a_folder_is_named(tmp_path):
    (tmp_path / "cut.json").write_text(pck_result("a").to_json()[:100])
    with pytest.raises(JladkitError, match=r"cut\.json is not JSON"):
        read_entries([tmp_path])


def test_no_results_and_no_such_folder_are_refused(tmp_path):
    with pytest.raises(JladkitError, match=r"No result files \(\*\.json\) under"):
        read_entries([tmp_path])
    with pytest.raises(JladkitError, match="There is no file or folder"):
        read_entries([tmp_path / "none"])


def sparsification_result(method="joint", gain=0.4, **changes):
    """A result whose curve rises from 50 % to 90 %."""
    kept = [step / 20 for step in range(20, 0, -1)]
    row = pck_result().results[0] | {"metric": "sparsification", "value": gain}
    return pck_result(
        method,
        metric="sparsification",
        results=[row | {"measure": name} for name in ("gain", "ause", "spearman")],
        curve={
            "kept": kept,
            "value": [0.9 - 0.4 * share for share in kept],
            "oracle": [min(1, 0.5 / share) for share in kept],
            "random": [0.5] * 20,
            "low": [0.8 - 0.4 * share for share in kept],
            "high": [1 - 0.4 * share for share in kept],
        },
        **changes,
    )


def test_sparsification_shows_its_measures_the_share_kept_and_the_gain_by_category():
    both = board(sparsification_result("a"), sparsification_result("b", 0.7))
    first, second, third = tables(both)
    assert list(first.cells.columns)[2:] == ["gain@0.05", "ause@0.05", "spearman@0.05"]
    assert second.cells["method"].tolist() == ["a", "a, oracle", "b", "b, oracle"]
    assert second.cells["100 % kept"].tolist() == ["50.0"] * 4
    assert second.cells["40 % kept"].tolist() == ["74.0", "100.0"] * 2
    assert third.cells.to_numpy().tolist()[0] == ["points", "30", "1"]
    assert set(tidy(both)["setting"]) == {"gain@0.05", "ause@0.05", "spearman@0.05"}
