"""The paper's tables: its numbers as printed, ours beside them, and words for what is missing."""

from dataclasses import replace
from pathlib import Path

import pytest

from jladkit.formats.result import write_result
from jladkit.reports.cells import BEST, NOT_EVALUATED
from jladkit.reports.paper_tables import NOT_AT_HAND, NOT_TRAINED, paper_tables, reported
from jladkit.reports.ranking import ranked
from jladkit.reports.report import report
from jladkit.reports.tables import boards
from tests.reports.test_tables import board, iod_result, pck_result

RECOMMENDED = {"name": "recommended", "version": 1, "summary": "with bias"}


def rows(table, method):
    found = table.cells[table.cells["method"] == method]
    return found.to_dict("records")


def test_the_papers_numbers_stand_as_it_prints_them():
    assert [len(reported(number)) for number in (1, 2, 3, 4)] == [5, 6, 7, 7]
    assert reported(2).iloc[-1].to_list()[-1] == "73.6"
    assert reported(3).iloc[-1].to_list() == ["Ours", "52.8", "72.7", "79.2"]
    assert reported(4)["k_faces"].to_list()[1] == "-"  # DEIL has no K


def test_measured_rows_follow_the_reported_ones_in_the_papers_order():
    joint, ncnet = pck_result("joint", 0.7), pck_result("ncnet", 0.6)
    _, second, _, _ = paper_tables([board(joint, ncnet, pck_result("mine", 0.9))])
    methods = second.cells["method"].to_list()
    assert methods[:6] == ["CNNgeo", "CNNinlier", "A2Net", "RTNs", "NCNet", "Ours"]
    assert methods[6:] == ["cnngeo", "cnninlier", "a2net", "rtn", "ncnet", "joint", "mine"]
    own = rows(second, "joint")[0]
    assert own["car"] == "70.0 [10.0, 90.0]"
    assert own["boat"] == NOT_AT_HAND
    assert own["all"] == "70.0 [66.0, 74.0]"
    assert own["source"].startswith("measured, ") and "n=40" in own["source"]
    assert set(list(rows(second, "rtn")[0].values())[2:]) == {NOT_TRAINED}


def test_table_3_takes_pf_pascal_alone():
    elsewhere = board(pck_result("joint"))
    one = replace(pck_result("joint"), dataset="pf-pascal")
    _, _, without, _ = paper_tables([elsewhere])
    assert len(without.cells) == 7
    third = named([elsewhere, board(one)], "paper-3-")[0]
    own = rows(third, "joint")[0]
    assert own["PCK@0.1"].startswith("60.0 [")
    assert own["PCK@0.15"] == NOT_EVALUATED


def test_table_4_has_k_and_the_error_in_a_column_of_its_data():
    _, _, _, fourth = paper_tables([board(iod_result("cig", 0.13))])
    assert fourth.cells.columns.tolist() == [
        "method",
        "K",
        "source",
        "MAFL",
        "AFLW",
        "JLAD",
        "tiny",
    ]
    assert rows(fourth, "CIG")[0]["AFLW"] == "6.98"
    assert rows(fourth, "CIG")[0]["tiny"] == "not in the paper"
    assert rows(fourth, "cig")[0]["tiny"].startswith("13.0")
    assert rows(fourth, "cig")[0]["AFLW"] == "other data"
    assert rows(fourth, "fpe")[0]["tiny"] == NOT_TRAINED


def test_faces_that_the_paper_has_stand_in_its_column():
    aflw = replace(iod_result("cig", 0.13), dataset="aflw-test")
    fourth = paper_tables([board(aflw)])[-1]
    assert fourth.cells.columns.tolist() == ["method", "K", "source", "MAFL", "AFLW", "JLAD"]
    assert rows(fourth, "cig")[0]["AFLW"].startswith("13.0")


def named(boards, start):
    """Those of the paper's tables whose name begins so."""
    return [table for table in paper_tables(boards) if table.name.startswith(start)]


@pytest.mark.parametrize(
    "change",
    [
        {"dataset_digest": "other"},
        {"split": "val"},
        {"protocol": {"name": "jlad", "version": 2, "summary": "by the box"}},
    ],
)
def test_measured_results_that_cannot_be_compared_never_share_a_table(change):
    one, other = pck_result("joint"), replace(pck_result("joint", 0.7), **change)
    first, second = named([board(one), board(other)], "paper-2-")
    for table, text in ((first, "50.0 ["), (second, "70.0 [")):
        (own,) = rows(table, "joint")
        assert own["car"].startswith(text)


def test_what_the_paper_reports_is_never_marked_or_ranked_against_ours():
    always = [ranked(t, lambda *_: True) for t in
              paper_tables([board(pck_result("joint"), pck_result("ncnet", 0.6))])]  # fmt: skip
    marks = {
        (row[0].text, row[1].text): [cell.mark for cell in row if cell.mark]
        for row in always[1].grid.to_numpy().tolist()
    }
    assert not any(marked for (_, source), marked in marks.items() if source == "reported")
    (best,) = [method for (method, _), marked in marks.items() if BEST in marked]
    assert best == "ncnet"


def test_a_report_writes_them_in_four_forms_when_asked(tmp_path):
    write_result(tmp_path / "results" / "joint.json", pck_result("joint"))
    written = report([tmp_path / "results"], tmp_path / "out", paper=True)
    names = {path.name for path in written}
    stems = ("paper-1", "paper-2-pck-tiny-jlad-test-abcdef", "paper-3", "paper-4")
    for stem in stems:
        assert {f"{stem}.{ending}" for ending in ("md", "tex", "csv", "html")} <= names
    assert not any("paper" in p.name for p in report([tmp_path / "results"], tmp_path / "plain"))


def test_table_1_takes_what_reproduce_left_one_row_a_seed():
    def at(run, weights, seed, name):
        return Path(f"out/{run}/seed-{seed}/scores/{weights}/tiny/joint/{name}.json")

    results = [
        (at("separate", "model", 1, "pck"), pck_result("joint", 0.3)),
        (at("separate", "model", 0, "pck"), pck_result("joint", 0.4)),
        (at("joint", "after-02-detect", 0, "pck"), pck_result("joint", 0.5)),
        (at("no-joint", "model", 0, "pck"), pck_result("joint", 0.6)),
        (at("separate", "model", 0, "iod"), replace(iod_result("joint"), protocol=RECOMMENDED)),
    ]
    first = paper_tables(boards(results))[0]
    assert first.name == "paper-1-pck-tiny-jlad-test-abcdef"
    assert first.cells["method"].tolist()[:5] == reported(1)["method"].tolist()
    assert [[row[0], *row[2:]] for row in first.cells.to_numpy().tolist()[5:]] == [
        ["Separate learning, seed-0", "50.0 [35.0, 45.0]", "20.0 [19.0, 21.0]"],
        ["Separate learning, seed-1", "40.0 [25.0, 35.0]", NOT_EVALUATED],
        ["Iteration 1, seed-0", "60.0 [45.0, 55.0]", NOT_EVALUATED],
    ]
    (without, *_) = paper_tables([board(pck_result("joint"))])
    assert without.name == "paper-1" and len(without.cells) == 5
