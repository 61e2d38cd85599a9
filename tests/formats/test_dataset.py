"""dataset.h5 comes back as it was written, and every defect is refused by name."""

import io
import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import (
    FIELDS,
    LONG,
    REMEDY,
    TYPES,
    content_digest,
    input_files,
    open_dataset,
    split_code,
    write_dataset,
)
from jladkit.formats.files import Pieces
from tests.tiny import tiny_arrays, tiny_dataset

REQUIRED = sorted(name for name, field in FIELDS.items() if not field.optional)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A sound file."""
    return tiny_dataset(tmp_path_factory.mktemp("data") / "whole.h5").path


@pytest.fixture
def broken(whole, tmp_path) -> Path:
    """A copy of it to spoil."""
    path = tmp_path / "broken.h5"
    shutil.copy(whole, path)
    return path


def replace(path: Path, field: str, array: np.ndarray | None) -> None:
    with h5py.File(path, "r+") as file:
        del file[field]
        if array is not None:
            file[field] = array


def test_every_field_comes_back(whole):
    data, arrays = open_dataset(whole), tiny_arrays()
    for field in set(REQUIRED) - {"object/image_bytes"}:
        np.testing.assert_array_equal(data.arrays[field], arrays[field], err_msg=field)
    assert (
        data.encoded(3)
        == arrays["object/image_bytes"][slice(*arrays["object/image_span"][3])].tobytes()
    )
    assert data.image(3).size == tuple(arrays["object/size"][3])
    assert (data.name, data.recipe) == ("tiny", {"builder": "tiny"})
    assert data.categories == ["car", "face"]
    assert data.keypoint_names[1] == ["left_eye", "right_eye", "nose"]


def test_the_same_arrays_give_the_same_bytes(whole, tmp_path):
    again = tiny_dataset(tmp_path / "other.h5").path
    assert again.read_bytes() == whole.read_bytes()
    assert content_digest(again) == open_dataset(whole).digest


def test_types_on_disk_do_not_depend_on_the_arrays_given(tmp_path):
    arrays = {k: v.astype(np.int64) if v.dtype.kind == "i" else v for k, v in tiny_arrays().items()}
    write_dataset(tmp_path / "a.h5", arrays, name="tiny", recipe={"builder": "tiny"}, source={})
    with h5py.File(tmp_path / "a.h5") as file:
        for field, kind in ((f, TYPES[f]) for f in REQUIRED if f in TYPES):
            assert file[field].dtype == kind, field  # pyright: ignore[reportAttributeAccessIssue]


def test_splits_partition_pairs_and_objects(whole):
    data = open_dataset(whole)
    for rows, count in ((data.pairs, len(data.pair_split)), (data.objects, len(data.object_split))):
        together = np.concatenate([rows(split) for split in ("train", "val", "test")])
        assert sorted(together) == list(range(count))
    with pytest.raises(UsageError, match="Unknown split 'tets'"):
        split_code("tets")


def test_an_open_data_set_goes_to_another_process(whole):
    data = open_dataset(whole)
    data.image(0)
    assert pickle.loads(pickle.dumps(data)).encoded(5) == data.encoded(5)


@pytest.mark.parametrize("field", REQUIRED)
def test_a_missing_field_is_named(broken, field):
    replace(broken, field, None)
    with pytest.raises(JladkitError, match=rf"broken\.h5: the field {field} is missing"):
        open_dataset(broken)


@pytest.mark.parametrize("field", REQUIRED)
def test_a_field_of_another_type_is_named(broken, field):
    kind = {"f": np.int32, "i": np.float64, "b": np.int8, "O": np.int32}[FIELDS[field].kind]
    with h5py.File(broken) as file:
        shape = file[field].shape  # pyright: ignore[reportAttributeAccessIssue]
    replace(broken, field, np.zeros(shape, kind))
    with pytest.raises(JladkitError, match=rf"broken\.h5: {field} must be"):
        open_dataset(broken)


@pytest.mark.parametrize("field", sorted(set(REQUIRED) - {"object/image_bytes"}))
def test_a_field_of_another_size_is_refused(broken, field):
    with h5py.File(broken) as file:
        array = np.asarray(file[field])[:-1]  # pyright: ignore[reportIndexIssue]
    replace(broken, field, array)
    with pytest.raises(JladkitError, match=r"broken\.h5: .* must be .* of size"):
        open_dataset(broken)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pair/source", 60),
        ("pair/target", -1),
        ("pair/category", 2),
        ("object/category", 7),
        ("pair/split", 3),
        ("object/split", 3),
    ],
)
def test_a_row_number_that_points_outside_is_refused(broken, field, value):
    array = tiny_arrays()[field].astype(np.int32)
    array[0] = value
    replace(broken, field, array)
    with pytest.raises(JladkitError, match=rf"broken\.h5: {field} must lie in 0\.\."):
        open_dataset(broken)


def test_pictures_beyond_the_bytes_are_refused(broken):
    span = tiny_arrays()["object/image_span"]
    span[-1, 1] += 1
    replace(broken, "object/image_span", span)
    with pytest.raises(JladkitError, match="object/image_span points outside"):
        open_dataset(broken)


def test_a_visible_keypoint_needs_a_position(tmp_path):
    arrays = tiny_arrays()
    arrays["object/keypoints"][4, 0] = np.nan
    arrays["object/visible"][4, 0] = True
    with pytest.raises(JladkitError, match="object 4 has a visible keypoint without a position"):
        write_dataset(tmp_path / "a.h5", arrays, name="", recipe={}, source={})
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_data_set_is_not_written(tmp_path):
    arrays = tiny_arrays()
    del arrays["pair/common"]
    with pytest.raises(JladkitError, match="pair/common missing"):
        write_dataset(tmp_path / "a.h5", arrays, name="", recipe={}, source={})
    assert list(tmp_path.iterdir()) == []


def test_a_broken_picture_is_named_when_it_is_read(broken):
    size = open_dataset(broken).on_disk("object/image_bytes").shape[0]
    replace(broken, "object/image_bytes", np.zeros(size, np.uint8))
    with pytest.raises(JladkitError, match="the picture of object 2 is broken"):
        open_dataset(broken).image(2)


@pytest.mark.parametrize("attribute", ["name", "digest"])
def test_a_missing_name_or_digest_is_named(broken, attribute):
    with h5py.File(broken, "r+") as file:
        del file.attrs[attribute]
    with pytest.raises(JladkitError, match=rf"broken\.h5: the attribute {attribute} is missing"):
        open_dataset(broken)


@pytest.mark.parametrize("attribute", ["recipe", "source"])
def test_a_missing_or_broken_attribute_is_named(broken, attribute):
    for text in (None, "{not json", "[1, 2]", '{"a": NaN}'):
        with h5py.File(broken, "r+") as file:
            if text is None:
                del file.attrs[attribute]
            else:
                file.attrs[attribute] = text
        with pytest.raises(
            JladkitError, match=f"attribute {attribute} is missing or no JSON record"
        ):
            open_dataset(broken)


def test_an_edited_file_has_another_content_digest(broken):
    before = open_dataset(broken).digest
    with h5py.File(broken, "r+") as file:
        file["object/keypoints"][0, 0, 0] += 1  # pyright: ignore[reportIndexIssue, reportOperatorIssue]
    assert open_dataset(broken).digest == before
    assert content_digest(broken) != before


def test_another_schema_says_how_to_rebuild(broken):
    with h5py.File(broken, "r+") as file:
        file.attrs["schema"] = 99
    with pytest.raises(JladkitError, match=rf"schema 99, this jladkit reads 1\. .*{REMEDY}"):
        open_dataset(broken)


def with_masks_and_flow() -> dict[str, np.ndarray | Pieces]:
    """Object 1 has a mask, pair 2 a flow."""
    arrays: dict[str, np.ndarray | Pieces] = dict(tiny_arrays())
    size, source = tiny_arrays()["object/size"], tiny_arrays()["pair/source"]
    stream = io.BytesIO()
    Image.fromarray(np.eye(size[1][1], size[1][0]) > 0).save(stream, "PNG")
    spans = np.zeros((len(size), 2), dtype=int)
    spans[1, 1] = spans[2:] = len(stream.getvalue())
    width, height = size[source[2]]
    flow = np.arange(width * height * 2, dtype=np.float32).reshape(-1, 2)
    flow_span = np.zeros((len(source), 2), dtype=int)
    flow_span[2, 1] = flow_span[3:] = len(flow)
    arrays |= {
        "object/mask_bytes": np.frombuffer(stream.getvalue(), np.uint8),
        "object/mask_span": spans,
        "pair/flow": Pieces(flow.shape, flow.dtype, lambda: iter([flow[:5], flow[5:]])),
        "pair/flow_span": flow_span,
    }
    return arrays


def test_masks_and_flows_come_back_where_there_are_any(whole, tmp_path):
    path = tmp_path / "a.h5"
    digest = write_dataset(path, with_masks_and_flow(), name="", recipe={}, source={})
    data, size = open_dataset(path), tiny_arrays()["object/size"]
    mask, flow = data.mask(1), data.flow(2)
    assert mask is not None
    assert flow is not None
    np.testing.assert_array_equal(mask, np.eye(size[1][1], size[1][0]) > 0)
    assert flow.shape[:2] == tuple(size[data.pair_source[2]][::-1])
    assert flow[0, 1].tolist() == [2, 3]
    assert data.mask(0) is data.mask(2) is data.flow(0) is data.flow(5) is None
    assert open_dataset(whole).mask(1) is open_dataset(whole).flow(2) is None
    assert content_digest(path) == data.digest == digest


@pytest.mark.parametrize("field", ["object/mask_bytes", "pair/flow"])
def test_masks_and_flows_come_with_their_spans(tmp_path, field):
    path = tmp_path / "a.h5"
    write_dataset(path, with_masks_and_flow(), name="", recipe={}, source={})
    with h5py.File(path, "r+") as file:
        del file[LONG[field]]
    with pytest.raises(JladkitError, match=f"{field} and {LONG[field]} must come together"):
        open_dataset(path)


def test_input_files_are_listed_and_no_part_of_the_digest(tmp_path):
    files = [("a.jpg", "ab" * 32), ("b.jpg", "cd" * 32)]
    first = write_dataset(tmp_path / "a.h5", tiny_arrays(), name="", recipe={}, source={},
                          files=files)  # fmt: skip
    other = write_dataset(tmp_path / "b.h5", tiny_arrays(), name="", recipe={}, source={})
    assert input_files(tmp_path / "a.h5") == dict(files)
    assert input_files(tmp_path / "b.h5") == {}
    assert first == other
