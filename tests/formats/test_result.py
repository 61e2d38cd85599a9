import json
from dataclasses import replace

import pytest

from jladkit.errors import JladkitError
from jladkit.formats.result import read_result, write_result
from tests.reports.test_tables import iod_result, pck_result


@pytest.mark.parametrize("result", [pck_result(), iod_result()])
def test_a_result_comes_back_as_it_was_written(tmp_path, result):
    write_result(tmp_path / "r.json", result)
    assert read_result(tmp_path / "r.json") == result


def test_the_file_is_sorted_json_with_a_newline_at_the_end(tmp_path):
    write_result(tmp_path / "r.json", pck_result())
    text = (tmp_path / "r.json").read_text()
    assert text.endswith("}\n")
    assert list(json.loads(text)) == sorted(json.loads(text))


def test_numbers_that_json_does_not_have_are_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_result(tmp_path / "r.json", replace(pck_result(), seconds_per_item=float("nan")))
    assert list(tmp_path.iterdir()) == []


def changed(record, path, value):
    """`record` with the value at `path`, keys and indices, replaced; ... removes it."""
    *way, last = path
    inner = record
    for key in way:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return record


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            ["schema"],
            9,
            "has schema 9, this jladkit reads 1. A newer jladkit wrote it: install that, or make",
        ),
        (["format"], "other", "is not a jladkit-result file"),
        (["curve"], ..., "missing or unknown keys: curve"),
        (["extra"], 1, "missing or unknown keys: extra"),
        (["method"], 3, "method must be text, but is 3"),
        (["peak_memory"], True, "peak_memory must be a whole number, but is True"),
        (["protocol"], {"name": "jlad"}, "protocol version is missing"),
        (["curve"], {"alpha": [0.1]}, "as many numbers in alpha as in value"),
        (
            ["curve"],
            {"kept": [1.0], "value": [0.5], "oracle": [1.0], "random": []},
            "as many numbers in kept as in value",
        ),
        (
            ["curve"],
            {"kept": [1], "value": [1], "oracle": [1], "random": [1], "low": ["x"]},
            "as many numbers in kept as in value",
        ),
        (["curve"], {"alpha": [0.1], "value": "x"}, "as many numbers in alpha as in value"),
        (["results", 0, "value"], float("nan"), "NaN or infinity, which JSON does not have"),
        (["results"], [], "results must be a list of at least one row"),
        (["results", 0], 3, r"results\[0\] must be a record"),
        (["results", 1, "value"], "58.4", r"results\[1\] value must be a number or null"),
        (["results", 0, "alpha"], ..., r"results\[0\] alpha is missing"),
        (["results", 0, "pooled"], ..., r"results\[0\] pooled is missing"),
        (["results", 0, "categories", "car"], 0.5, "categories car must be a record"),
        (["results", 0, "strata"], [], r"results\[0\] strata must be a record of records"),
        (
            ["results", 1, "strata"],
            {"scale": 1},
            r"results\[1\] strata must be a record of records",
        ),
        (["results", 0, "strata"], {"scale": {"2": 1}}, "strata scale 2 must be a record"),
        (["results", 0, "strata"], {"scale": {"2": {}}}, "strata scale 2 value is missing"),
        (["results", 0, "categories", "car", "count"], ..., "categories car count is missing"),
        (["results", 0, "category_mean_low"], [], "category_mean_low must be a number or null"),
        (["results", 0, "categories", "car", "floor"], {}, "car floor must be a number or null"),
    ],
)
def test_a_record_that_is_off_is_refused_by_its_key(tmp_path, path, value, words):
    record = changed(json.loads(pck_result().to_json()), path, value)
    (tmp_path / "r.json").write_text(json.dumps(record))
    with pytest.raises(JladkitError, match=words):
        read_result(tmp_path / "r.json")


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", "<html>", "[" * 10000, "\x00"])
def test_what_is_no_result_is_refused_in_a_sentence(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(JladkitError, match=r"r\.json is not"):
        read_result(tmp_path / "r.json")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(JladkitError, match="cannot be read"):
            read_result(path)
