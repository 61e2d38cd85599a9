"""jladkit submit: a folder of small entries, none twice, none that cannot be verified."""

import json
from pathlib import Path
from typing import Any

import pytest

from jladkit.formats.result import read_result, write_result
from tests.cli.conftest import Typed
from tests.reports.test_tables import iod_result, pck_result

DIGESTS = {"dataset_digest": "ab" * 32, "predictions_digest": "cd" * 32}


def result(folder: Path, name: str = "result.json", **changes: Any) -> Path:
    rows = [{**row, "strata": {"keypoint": {"car roof": one}, "truncated": {"both": one}}}
            for row in pck_result().results for one in [row["categories"]["car"]]]  # fmt: skip
    given = {**DIGESTS, "results": rows, "items": "result.parquet", **changes}
    write_result(folder / name, pck_result(**given))
    return folder / name


def test_an_entry_is_the_result_without_what_makes_it_large(jladkit: Typed, tmp_path: Path):
    board = tmp_path / "board"
    code, out, err = jladkit("submit", result(tmp_path), "--to", board)
    assert code == 0, err
    (entry,) = board.iterdir()
    assert out.strip() == str(entry)
    assert entry.name == "pck-jlad1-tiny-test-ababab-identity-cdcdcdcdcdcd.json"
    found = read_result(entry)
    assert found.items is None and found.results[0]["value"] == 0.5
    assert found.results[0]["strata"].keys() == {"truncated"}
    assert found.curve == pck_result().curve


def test_iod_loses_its_single_keypoints_and_keeps_its_categories(jladkit: Typed, tmp_path: Path):
    one = iod_result()
    rows = [{**row, "categories": {"car": {**row["categories"]["car"], "keypoints": {"roof": {}}}}}
            for row in one.results]  # fmt: skip
    path = result(tmp_path, metric="iod", results=rows, protocol=one.protocol, curve={})
    code, out, err = jladkit("submit", path, "--to", tmp_path / "board")
    assert code == 0, err
    category = read_result(Path(out.strip())).results[0]["categories"]["car"]
    assert category["keypoints"] == {} and category["floor"] == 0.3


def test_the_same_predictions_are_no_second_entry_under_any_name(jladkit: Typed, tmp_path: Path):
    board = tmp_path / "board"
    assert jladkit("submit", result(tmp_path), "--to", board)[0] == 0
    again = result(tmp_path, "again.json", method="mine", config={"seed": 7})
    code, _, err = jladkit("submit", again, "--to", board)
    assert code == 1 and "is in" in err and "of identity, scores the same predictions" in err
    assert len(list(board.iterdir())) == 1
    for change in ({"predictions_digest": "ef" * 32}, {"split": "val"},
                   {"protocol": {"name": "jlad", "version": 2, "summary": "other"}}):  # fmt: skip
        code, _, err = jladkit("submit", result(tmp_path, "other.json", **change), "--to", board)
        assert code == 0, err
    assert len(list(board.iterdir())) == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"predictions_digest": ""}, "predictions_digest must be the SHA-256 of the predictions"),
        ({"dataset_digest": "abc"}, "dataset_digest must be the SHA-256 of the data"),
        ({"results": [{**pck_result().results[0], "value": None}]}, "has no score"),
    ],
)
def test_what_nobody_could_verify_is_refused(
    jladkit: Typed, tmp_path: Path, changes: dict[str, Any], said: str
):
    code, _, err = jladkit("submit", result(tmp_path, **changes), "--to", tmp_path / "board")
    assert code == 1 and said in err
    assert not (tmp_path / "board").exists()


def test_a_broken_result_and_a_broken_entry_are_named(jladkit: Typed, tmp_path: Path):
    path, board = result(tmp_path), tmp_path / "board"
    record = json.loads(path.read_text())
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({**record, "more": 1}))
    code, _, err = jladkit("submit", wrong, "--to", board)
    assert code == 1 and "wrong.json: missing or unknown keys: more" in err
    board.mkdir()
    (board / "old.json").write_text(json.dumps({**record, "split": 3}))
    code, _, err = jladkit("submit", path, "--to", board)
    assert code == 1 and "old.json: split must be text" in err


def test_two_protocols_of_one_name_and_version_do_not_replace_each_other(
    jladkit: Typed, tmp_path: Path
):
    board = tmp_path / "board"
    assert jladkit("submit", result(tmp_path), "--to", board)[0] == 0
    other = result(tmp_path, protocol={"name": "jlad", "version": 1, "summary": "other"})
    code, _, err = jladkit("submit", other, "--to", board)
    assert code == 1 and "another protocol of the same name" in err
    assert read_result(next(board.iterdir())).protocol["summary"] == "by the box"


def test_a_report_reads_the_folder(jladkit: Typed, tmp_path: Path):
    board = tmp_path / "board"
    jladkit("submit", result(tmp_path), "--to", board)
    jladkit("submit", result(tmp_path, method="b", predictions_digest="ef" * 32), "--to", board)
    code, _, err = jladkit("report", board, "--out", tmp_path / "report")
    assert code == 0, err
    (table,) = (tmp_path / "report/tables").glob("*-alphas.md")
    assert "identity" in table.read_text() and "| b " in table.read_text()
