"""Which pictures of several data sets are the same, and which of those leak."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jladkit.builders.same_pictures import first_leak, leak_counts, leaking, same_pictures
from jladkit.formats.dataset import open_dataset, write_dataset
from tests.tiny import tiny_arrays


def saved(path, images, sizes=None, files=(), seed=0):
    """A data set of as many objects as `images`, the names of their source pictures."""
    arrays = tiny_arrays(12, seed)
    arrays["object/source_image"] = np.array(
        [*images, *(f"{path.stem}-{n}" for n in range(12 - len(images)))], dtype=object
    )
    arrays["object/source_size"][: len(images)] = (
        [[500, 375]] * len(images) if sizes is None else sizes
    )
    write_dataset(path, arrays, name=path.stem, recipe={"builder": "x"}, source={}, files=files)
    return open_dataset(path)


def shared(*datas):
    """{(data set, row)} of objects whose pictures other data sets have too, in sets."""
    numbers = same_pictures(datas)
    groups: dict[int, set[tuple[int, int]]] = {}
    for place, own in enumerate(numbers):
        for row, number in enumerate(own.tolist()):
            groups.setdefault(number, set()).add((place, row))
    return [group for group in groups.values() if len({place for place, _ in group}) > 1]


def test_a_photograph_is_known_by_its_name_whatever_folder_ending_and_size(tmp_path):
    a = saved(tmp_path / "a.h5", ["2008_000066.jpg", "2008_000099.jpg"])
    b = saved(tmp_path / "b.h5", ["x", "VOC/2008_000066.png"], [[9, 9], [50, 37]], seed=1)
    assert shared(a, b) == [{(0, 0), (1, 1)}]


def test_a_name_that_several_pictures_of_a_file_have_tells_only_with_the_size(tmp_path):
    sizes = [[300, 200], [200, 300], [80, 80]]
    a = saved(tmp_path / "a.h5", ["car/image1.png", "dog/image1.png", "cat/image1.png"], sizes)
    b = saved(tmp_path / "b.h5", ["image1.png"], [[200, 300]], seed=1)
    assert shared(a, b) == [{(0, 1), (1, 0)}]


def test_the_same_stored_bytes_are_the_same_picture(tmp_path):
    a, b = (saved(tmp_path / f"{name}.h5", [name]) for name in "ab")
    assert shared(a, b) == [{(0, row), (1, row)} for row in range(12)]


def test_the_same_source_file_is_the_same_picture_under_another_name(tmp_path):
    a = saved(tmp_path / "a.h5", ["one.jpg"], files=[("one.jpg", "ab" * 32)])
    b = saved(tmp_path / "b.h5", ["x", "two.jpg"], files=[("two.jpg", "ab" * 32)], seed=1)
    assert shared(a, b) == [{(0, 0), (1, 1)}]


def test_objects_of_one_picture_share_its_number(tmp_path):
    a, b = (saved(tmp_path / f"{name}.h5", [name, name], seed=ord(name)) for name in "ab")
    for own in same_pictures([a, b]):
        assert own[0] == own[1] and len(np.unique(own)) == 11


part = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=0, max_size=6)


@given(st.lists(part, min_size=2, max_size=3))
def test_leaks_are_those_that_a_plain_search_finds(told):
    pictures, splits = (
        [np.array([one[k] for one in own], dtype=int) for own in told] for k in (0, 1)
    )
    plain: dict[tuple[int, int], list[tuple[int, int]]] = {}
    ways: dict[str, set[int]] = {}
    for i, own in enumerate(told):
        for row, (picture, split) in enumerate(own):
            for j, others in enumerate(told):
                for other, (same, later) in enumerate(others):
                    if i != j and same == picture and later > split:
                        plain.setdefault((i, row), []).append((j, other))
                        names = ("train", "val", "test")
                        ways.setdefault(f"{names[split]}-{names[later]}", set()).add(picture)
    leaks = leaking(pictures, splits)
    found = {(i, int(row)) for i, leak in enumerate(leaks) for row in np.nonzero(leak)[0]}
    assert found == set(plain)
    assert leak_counts(pictures, splits) == {way: len(seen) for way, seen in ways.items()}
    first = first_leak(pictures, splits, leaks)
    assert (first is None) == (not plain)
    if first is not None:
        assert first == (min(plain), min(plain[first[0]]))
    # Without the objects that leak, no file has a picture that another has later.
    kept = [~leak for leak in leaks]
    rest = [
        [values[k] for values, k in zip(part, kept, strict=True)] for part in (pictures, splits)
    ]
    assert not any(leak.any() for leak in leaking(*rest))
