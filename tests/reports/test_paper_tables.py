"""The paper's tables: its numbers as printed, ours beside them, and words for what is missing."""

from dataclasses import replace

from jladkit.formats.result import write_result
from jladkit.reports.paper_tables import NOT_AT_HAND, NOT_TRAINED, paper_tables, reported
from jladkit.reports.report import report
from tests.reports.test_tables import board, iod_result, pck_result


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
    _, _, third, _ = paper_tables([elsewhere, board(one)])
    assert len(without.cells) == 7
    own = rows(third, "joint")[0]
    assert own["PCK@0.1"].startswith("60.0 [")
    assert own["PCK@0.15"] == "-"  # not evaluated there


def test_table_4_has_k_and_the_error():
    _, _, _, fourth = paper_tables([board(iod_result("cig", 0.13))])
    assert rows(fourth, "CIG")[0]["AFLW"] == "6.98"
    assert rows(fourth, "cig")[0]["measured"].startswith("13.0")
    assert rows(fourth, "fpe")[0]["measured"] == NOT_TRAINED


def test_a_report_writes_them_in_four_forms_when_asked(tmp_path):
    write_result(tmp_path / "results" / "joint.json", pck_result("joint"))
    written = report([tmp_path / "results"], tmp_path / "out", paper=True)
    for number in (1, 2, 3, 4):
        for ending in ("md", "tex", "csv", "html"):
            assert tmp_path / "out" / "tables" / f"paper-{number}.{ending}" in written
    assert not any("paper" in p.name for p in report([tmp_path / "results"], tmp_path / "plain"))
