"""Whole files or none; HDF5 of another kind is refused by name."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from jladkit.errors import JladkitError, UsageError
from jladkit.formats import files
from jladkit.formats.files import (
    Field,
    check_output,
    digest_of,
    folder_aside,
    make_folder,
    opened,
    read_arrays,
    to_json,
    write_arrays,
    write_text,
    written_aside,
)


def made(path: Path, format_name: str = "ours", schema: int = 1) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["format"], file.attrs["schema"] = format_name, schema
        write_arrays(
            file, {"a/x": np.arange(3.0), "a/name": np.array(["é", "", "c"], dtype=object)}
        )
    return path


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), written_aside(path) as aside:
        aside.write_text("new")
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_a_file_is_replaced_only_when_that_is_wanted(tmp_path):
    write_text(tmp_path / "deep/a.txt", "one")
    with (
        pytest.raises(UsageError, match=r"exists\. Give --overwrite"),
        written_aside(tmp_path / "deep/a.txt", overwrite=False),
    ):
        pass
    write_text(tmp_path / "deep/a.txt", "two")
    assert (tmp_path / "deep/a.txt").read_text() == "two"


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        write_text(tmp_path, "x")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JladkitError, match=r"file cannot be written to: .*file is no folder"):
        write_text(tmp_path / "file/a.txt", "x")
    with pytest.raises(JladkitError, match=r"The folder .*file/deep cannot be made"):
        make_folder(tmp_path / "file/deep")


def test_json_has_sorted_keys_and_no_nan():
    assert to_json({"b": 1, "a": "é"}) == '{"a": "é", "b": 1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(float("nan"))


def test_arrays_come_back_with_their_text(tmp_path):
    fields = {"a/x": Field("f", ("N",)), "a/name": Field("O", ("N",)), "a/y": Field("i", (), True)}
    with opened(made(tmp_path / "a.h5"), "ours", 1, "again") as file:
        arrays = read_arrays(file, fields)
    assert arrays["a/name"].tolist() == ["é", "", "c"]
    assert arrays.keys() == {"a/x", "a/name"}


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "a.h5"
    with (
        pytest.raises(JladkitError, match=r"There is no file .*a\.h5"),
        opened(path, "ours", 1, ""),
    ):
        pass
    path.write_text("<html>")
    with (
        pytest.raises(JladkitError, match=r"not an HDF5 file.*again"),
        opened(path, "ours", 1, "again"),
    ):
        pass
    with (
        pytest.raises(JladkitError, match="must be a theirs file"),
        opened(made(path), "theirs", 1, ""),
    ):
        pass
    with (
        pytest.raises(JladkitError, match="schema 1, this jladkit reads 2"),
        opened(path, "ours", 2, ""),
    ):
        pass


def test_a_truncated_file_is_named(tmp_path):
    path = made(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(JladkitError, match="truncated"), opened(path, "ours", 1, "again"):
        pass


def test_bytes_that_were_overwritten_are_named_when_they_are_read(tmp_path):
    path = made(tmp_path / "a.h5")
    raw = path.read_bytes()
    at = raw.index(b"GCOL")  # where HDF5 keeps text
    path.write_bytes(raw[:at] + b"\xd2" * 64 + raw[at + 64 :])
    fields = {"a/name": Field("O", ("N",))}
    with pytest.raises(JladkitError, match=r"a\.h5 is .*truncated one.*again"):
        read_fields(path, fields)


def read_fields(path, fields):
    with opened(path, "ours", 1, "again") as file:
        return read_arrays(file, fields)


def test_a_label_that_is_no_text_and_no_number_is_refused(tmp_path):
    path = made(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["schema"] = np.arange(3)
    with (
        pytest.raises(JladkitError, match=r"schema \[0 1 2\], this jladkit reads 1"),
        opened(path, "ours", 1, ""),
    ):
        pass


def test_a_field_stored_in_another_file_is_refused(tmp_path):
    path = made(tmp_path / "a.h5")
    (tmp_path / "secret").write_bytes(b"\0" * 24)
    with h5py.File(path, "r+") as file:
        file.create_dataset("a/z", (3,), "f8", external=[(str(tmp_path / "secret"), 0, 24)])
    with (
        opened(path, "ours", 1, "") as file,
        pytest.raises(JladkitError, match="points outside the file"),
    ):
        read_arrays(file, {"a/z": Field("f", ("N",))})


def test_the_digest_sees_names_sizes_and_values_but_no_byte_order():
    first = {"x": np.arange(4, dtype="<i4")}
    assert digest_of(first) == digest_of({"x": np.arange(4, dtype=">i4")})
    others = [{"y": first["x"]}, {"x": first["x"].reshape(2, 2)}, {"x": first["x"] + 1}]
    assert len({digest_of(one) for one in [first, *others]}) == 4


def test_a_folder_is_whole_or_not_there(tmp_path):
    with pytest.raises(RuntimeError), folder_aside(tmp_path / "a") as folder:
        (folder / "half.txt").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with folder_aside(tmp_path / "a" / "b") as folder:
        (folder / "whole.txt").write_text("whole")
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b", "whole.txt"]
    with pytest.raises(UsageError, match="exists and is not empty"), folder_aside(tmp_path / "a"):
        pass


def test_of_two_that_write_at_once_the_last_one_wins_and_the_file_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    with written_aside(path) as one, written_aside(path) as other:
        one.write_text("the outer block ends last")
        other.write_text("gone")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "the outer block ends last"


def test_a_name_that_no_file_can_have_is_refused_in_words(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be a file: File name too long"):
        check_output(tmp_path / ("x" * 300))


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.txt"
    named_already: list[bool] = []
    monkeypatch.setattr(files.os, "fsync", lambda _: named_already.append(path.exists()))
    with written_aside(path) as aside:
        aside.write_text("whole")
    assert named_already == [False]
    assert path.read_text() == "whole"
