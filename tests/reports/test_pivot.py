"""Any table of results, and columns that never mix what cannot be compared."""

from pathlib import Path

import pytest

from jladkit.errors import JladkitError, UsageError
from jladkit.reports.cells import NOT_EVALUATED
from jladkit.reports.pivot import pivot
from jladkit.reports.tables import boards
from tests.reports.test_tables import iod_result, pck_result, sparsification_result

SCNET = {"name": "scnet", "version": 1, "summary": "squashed"}


def made(*results, rows="method", columns="category", metric=None, alpha=None):
    found = boards([(Path("result.json"), result) for result in results])
    return pivot(found, rows, columns, metric, alpha)


def test_methods_by_category_at_one_alpha():
    table = made(pck_result("a"), pck_result("b", 0.6), metric="pck", alpha=0.05)
    assert table.cells.columns.tolist() == ["method", "car", "tv_monitor & co", "all"]
    assert table.cells.to_numpy().tolist() == [
        ["a", "50.0 [10.0, 90.0]", "50.0", "50.0 [45.0, 55.0]"],
        ["b", "60.0 [10.0, 90.0]", "60.0", "60.0 [55.0, 65.0]"],
    ]
    assert table.caption == "PCK@0.05 on tiny, test split, jlad 1, method by category"


def test_the_alpha_is_a_tenth_unless_told():
    table = made(pck_result("a"))
    assert table.caption.startswith("PCK@0.1 ")
    assert table.cells["all"].tolist() == ["60.0 [45.0, 55.0]"]


def test_categories_by_method_and_methods_by_setting():
    cells = made(pck_result("a"), pck_result("b"), rows="category", columns="method").cells
    assert cells.columns.tolist() == ["category", "a", "b"]
    assert cells["category"].tolist() == ["car", "tv_monitor & co", "all"]
    cells = made(pck_result("a"), columns="setting").cells
    assert cells.columns.tolist() == ["method", "0.05", "0.1"]
    cells = made(iod_result(), columns="setting").cells
    assert cells.columns.tolist() == ["method", "imm", "paper"]


@pytest.mark.parametrize(
    ("change", "heads"),
    [
        ({"dataset_digest": "other0123"}, ["all, tiny abcdef", "all, tiny other0"]),
        ({"dataset": "small", "dataset_digest": "other"}, ["all, tiny", "all, small"]),
        ({"split": "val"}, ["all, tiny test", "all, tiny val"]),
        ({"protocol": SCNET}, ["all, tiny jlad 1", "all, tiny scnet 1"]),
        ({"protocol": {"name": "jlad", "version": 2, "summary": "by the box"}},
         ["all, tiny jlad 1", "all, tiny jlad 2"]),
        ({"protocol": {"name": "jlad", "version": 1, "summary": "by the box", "side": 9}},
         ["all, tiny (1)", "all, tiny (2)"]),
    ],
)  # fmt: skip
def test_results_that_cannot_be_compared_never_share_a_column(change, heads):
    table = made(pck_result("a"), pck_result("a", 0.7, **change))
    assert [head for head in table.cells.columns if head.startswith("all")] == heads
    assert len(table.cells) == 1
    assert table.cells[heads[0]].tolist() != table.cells[heads[1]].tolist()
    other = made(pck_result("a"), pck_result("b", 0.7, **change))
    assert other.cells[heads[0]].tolist()[1] == NOT_EVALUATED
    assert other.cells[heads[1]].tolist()[0] == NOT_EVALUATED


def test_data_sets_are_columns_of_their_own():
    two = [pck_result("a"), pck_result("a", dataset="small", dataset_digest="other")]
    assert made(*two, columns="dataset").cells.columns.tolist() == ["method", "tiny", "small"]
    with pytest.raises(UsageError, match="Give --columns dataset"):
        made(*two, rows="dataset", columns="method")


def test_backbones_are_read_from_either_place_of_a_config():
    one = pck_result("a", config={"config": {"model": {"backbone": "resnet101"}}})
    two = pck_result("b", config={"backbone": "vit"})
    cells = made(one, two, pck_result("c", config={}), columns="backbone").cells
    assert cells.columns.tolist() == ["method", "resnet101", "vit", "none"]
    with pytest.raises(JladkitError, match="Two results would stand at vit / car: b and d"):
        made(two, pck_result("d", config={"backbone": "vit"}), rows="backbone")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rows": "method", "columns": "method"}, "must differ"),
        ({"alpha": 0.3}, "No PCK result has alpha 0.3"),
        ({"metric": "flow"}, "No result is of the metric flow; there are pck"),
        ({"columns": "setting", "alpha": 0.1}, "Give --alpha or the field"),
    ],
)
def test_a_table_that_is_none_is_refused(options, words):
    with pytest.raises(UsageError, match=words):
        made(pck_result("a"), **options)


def test_several_metrics_want_one_named_and_alpha_is_not_of_all():
    with pytest.raises(UsageError, match="Give --metric: the results are of pck, iod"):
        made(pck_result("a"), iod_result())
    with pytest.raises(UsageError, match="--alpha is of PCK and flow; IOD has none"):
        made(pck_result("a"), iod_result(), metric="iod", alpha=0.1)
    assert len(made(pck_result("a"), sparsification_result(), metric="sparsification").cells) == 1
