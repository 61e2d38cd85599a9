"""CSV files: columns in any order, lines counted as an editor counts them."""

from pathlib import Path

import numpy as np
import pytest

from jladkit.errors import JladkitError
from jladkit.formats.table import few, read_table


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "p.csv"
    path.write_bytes(text.encode())
    return path


def test_columns_may_come_in_any_order_with_others_between_them(tmp_path: Path):
    text = "x, y ,note,keypoint,pair\n1,2,a,nose,a>b\n3.5,-4e1,b,eye,a>b\n"
    table = read_table(written(tmp_path, text))
    pair, keypoint = table.keys["pair"], table.keys["keypoint"]
    assert (pair.words, pair.codes.tolist()) == (["a>b"], [0, 0])
    assert (keypoint.words, keypoint.codes.tolist()) == (["nose", "eye"], [0, 1])
    assert table.xy.tolist() == [[1, 2], [3.5, -40]]


def test_either_kind_of_key_is_found(tmp_path: Path):
    assert list(read_table(written(tmp_path, "object,landmark,x,y\n")).keys) == [
        "object", "landmark",
    ]  # fmt: skip
    text = "pair,keypoint,x,y,direction\n"
    assert list(read_table(written(tmp_path, text)).keys) == ["pair", "keypoint", "direction"]


def test_log_sigma_is_read_where_there_is_such_a_column(tmp_path: Path):
    text = "log_sigma,pair,keypoint,x,y\n-1.5,0,0,1,2\n,0,1,1,2\n"
    found = read_table(written(tmp_path, text))
    np.testing.assert_array_equal(found.log_sigma, [-1.5, np.nan])
    assert found.only(np.array([True, False])).log_sigma == [-1.5]
    assert read_table(written(tmp_path, "pair,keypoint,x,y\n0,0,1,2\n")).log_sigma is None
    with pytest.raises(JladkitError, match="each column once, but log_sigma comes again"):
        read_table(written(tmp_path, text.replace("keypoint,", "keypoint,log_sigma,")))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_are_counted_with_the_empty_ones_and_those_inside_quotes(tmp_path: Path, end: str):
    text = end.join(
        ["\ufeffpair,keypoint,x,y,note", "", "0,0,1,2,a", '1,0,1,2,"b', 'c"', "2,0,1,2,"]
    )
    assert read_table(written(tmp_path, text)).lines.tolist() == [3, 5, 6]


def test_what_is_no_number_is_nan(tmp_path: Path):
    table = read_table(written(tmp_path, "pair,keypoint,x,y\n0,0,one,2\n0,1,1,\n0,2,1,2\n"))
    assert np.isnan(table.xy).any(axis=1).tolist() == [True, True, False]


def test_a_refusal_names_the_first_few_lines_and_counts_the_rest(tmp_path: Path):
    rows = "".join(f"{n},0,1,2\n" for n in range(6))
    table = read_table(written(tmp_path, "pair,keypoint,x,y\n" + rows))
    table.refuse(np.zeros(6, dtype=bool), "nothing")
    with pytest.raises(JladkitError) as caught:
        table.refuse(np.array([0, 1, 1, 1, 0, 1], dtype=bool), "pair must be odd")
    assert str(caught.value) == (
        f"{tmp_path / 'p.csv'}: pair must be odd. Not so in 4 of 6 rows: line 3 (pair 1, keypoint "
        "0), line 4 (pair 2, keypoint 0), line 5 (pair 3, keypoint 0) and 1 more."
    )


def test_a_few_are_told_whole():
    assert few([1, 2, 3], str) == "1, 2, 3"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must have the columns pair,keypoint,x,y or object,landmark,x,y, but its first line"),
        ("pair;keypoint;x;y\n", "first line is 'pair;keypoint;x;y'"),
        ("pair,keypoint,x\n0,0,1\n", "must have the columns"),
        ("pair,landmark,x,y\n", "must have the columns"),
        ("pair,keypoint,object,landmark,x,y\n", "must have the columns"),
        ("pair,keypoint,x,y,x\n", "must have each column once, but x comes again"),
        ("pair,keypoint,x,y\n0,0,1,2\n0,1,1\n", "line 3: 3 values, but there are 4 columns"),
        ("pair,keypoint,x,y\n0,1,1,2,3\n", "line 2: 5 values, but there are 4 columns"),
        ("pair,keypoint,x,y\n" + "1" * 200_000 + ",0,1,2\n", "cannot be read as CSV: field larger"),
        ("\x00\x01\x02", "must have the columns"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str, words: str):
    with pytest.raises(JladkitError, match=words):
        read_table(written(tmp_path, text))


def test_a_csv_that_is_not_text_or_not_there_is_refused(tmp_path: Path):
    (tmp_path / "p.csv").write_bytes(b"\xff\xfe\x00pair")
    for path in (tmp_path / "p.csv", tmp_path / "none.csv", tmp_path):
        with pytest.raises(JladkitError, match="cannot be read as CSV"):
            read_table(path)
