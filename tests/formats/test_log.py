"""log.jsonl: read whole, or refused by its line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jladkit.errors import JladkitError
from jladkit.formats.log import Scored, Stretch, best, read_log, scores, stretches, terms


def record(step: int, phase: str = "align", **more: Any) -> dict[str, Any]:
    return {"step": step, "phase": phase, "total": 1.5, **more}


def written(path: Path, records: list[Any], end: str = "\n") -> Path:
    path.write_text("\n".join(json.dumps(one) for one in records) + end)
    return path


def test_a_log_comes_back_as_it_was_written(tmp_path: Path):
    records = [record(1), record(2, "detect", peak=0.5, validation={"iod": 0.3})]
    assert read_log(written(tmp_path / "log.jsonl", records)) == records


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path):
    path = written(tmp_path / "log.jsonl", [record(1), record(2)], end='\n{"step": 3, "pha')
    assert [one["step"] for one in read_log(path)] == [1, 2]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"step": 2', "line 2, is no JSON record"),
        ('{"step": 2, "phase": "a", "total": NaN}', "line 2, is no JSON record: NaN is no JSON"),
        ("[1]", "line 2, is no JSON record: it holds no record"),
        ('{"phase": "a"}', "line 2: step must be a whole number and phase a name"),
        ('{"step": true, "phase": "a"}', "line 2: step must be a whole number"),
        ('{"step": 2, "phase": 7}', "line 2: step must be a whole number and phase a name"),
        ('{"step": 1%s, "phase": "a"}' % ("0" * 30), "line 2: step must be a whole number"),
        (
            '{"step": 2, "phase": "a", "total": 1%s}' % ("0" * 400),
            "total must be a number, but is 100",
        ),
        ('{"step": 2, "phase": "a", "total": "x"}', "line 2: total must be a number, but is 'x'"),
        ('{"step": 2, "phase": "a", "validation": 3}', "validation must be a record of scores"),
        ('{"step": 2, "phase": "a", "validation": {"iod": null}}', "iod must be a number"),
        ('{"step": 1, "phase": "a"}', "line 2: steps must rise, but 1 comes after 1"),
    ],
)
def test_a_line_that_is_off_is_refused(tmp_path: Path, line: str, words: str):
    path = written(tmp_path / "log.jsonl", [record(1)], end=f"\n{line}\n")
    with pytest.raises(JladkitError, match=words):
        read_log(path)


def test_a_missing_and_an_empty_log_are_named(tmp_path: Path):
    with pytest.raises(JladkitError, match=r"no file .*log\.jsonl"):
        read_log(tmp_path / "log.jsonl")
    (tmp_path / "log.jsonl").write_text('{"step": 1')
    with pytest.raises(JladkitError, match="no finished step yet"):
        read_log(tmp_path / "log.jsonl")


def test_phases_of_one_name_come_again():
    records = [record(s, p) for s, p in enumerate(["a", "a", "b", "a"], start=1)]
    assert stretches(records) == [Stretch("a", 1, 2), Stretch("b", 3, 3), Stretch("a", 4, 4)]


def test_the_best_of_a_score_is_the_highest_pck_the_lowest_iod_and_the_first_of_equals():
    values = [(10, 0.5, 0.3), (20, 0.7, 0.2), (30, 0.7, 0.2), (40, 0.6, 0.4)]
    records = [record(s, validation={"pck@0.1": p, "iod": i, "spread": 0.1}) for s, p, i in values]
    told = scores([record(1), *records])
    assert best("pck@0.1", told["pck@0.1"]) == Scored(0.7, 20)
    assert best("iod", told["iod"]) == Scored(0.2, 20)
    assert best("spread", told["spread"]) is None
    assert [one.step for one in told["iod"]] == [10, 20, 30, 40]


def test_terms_are_nan_where_a_phase_does_not_have_them():
    found = terms([record(1, peak=0.5), record(2, validation={"iod": 1.0})])
    assert list(found) == ["total", "peak"]
    np.testing.assert_array_equal(found["peak"], [0.5, np.nan])


def test_a_whole_number_of_any_length_is_a_term():
    np.testing.assert_array_equal(terms([record(1, peak=10**30)])["peak"], [1e30])
