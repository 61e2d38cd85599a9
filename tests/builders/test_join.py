"""Several data sets in one: nothing of any changes, and nothing leaks unsaid."""

import json

import numpy as np
import pytest

from jladkit.builders import coco, join, pascal3d, pf_pascal
from jladkit.builders.join import build
from jladkit.builders.options import Job
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import content_digest, input_files, open_dataset, write_dataset
from jladkit.formats.masks import encode_mask, vertex_names
from tests.builders.layouts import pascal3d_root
from tests.tiny import NAMES, tiny_arrays

OTHER = [["roof", "left_wheel", "door", ""], ["whisker", "", "", ""]]  # of car, and of cat


def saved(path, seed=0, builder="coco", **changes):
    """A tiny data set whose pictures are called after it; `changes` replace fields."""
    arrays = tiny_arrays(seed=seed)
    images = [f"{path.stem}-{row}.png" for row in range(60)]
    arrays["object/source_image"] = np.array(images, dtype=object)
    for name, array in changes.items():
        arrays[name.replace("_", "/", 1)] = array
    recipe = {"builder": builder, "options": {"seed": seed}}
    write_dataset(path, arrays, name=path.stem, recipe=recipe, source={})
    return open_dataset(path)


def other(path, seed=1, **changes):
    """One with other categories and keypoints than `saved`."""
    rows = np.arange(60)
    visible = tiny_arrays(seed=seed)["object/visible"]
    visible[:, 3] = False
    visible[rows % 2 == 1, 1:] = False
    told = {
        "category_name": np.array(["car", "cat"], dtype=object),
        "category_keypoint_names": np.array(OTHER, dtype=object),
        "category_flip": np.array([[0, -1, 2, -1], [0, -1, -1, -1]]),
        "category_iod_pair": np.full((2, 2), -1),
        "object_visible": visible,
        "object_status": visible.astype(int),
    }
    return saved(path, seed, "pf-pascal", **{**told, **changes})


@pytest.fixture
def two(tmp_path):
    return saved(tmp_path / "a.h5"), other(tmp_path / "b.h5")


def joined(tmp_path, *datas, **options):
    """The data sets in one, opened."""
    build([data.path for data in datas], tmp_path / "c.h5", overwrite=True, **options)
    return open_dataset(tmp_path / "c.h5")


def told_of(data, row):
    """All that a data set says of an object, keypoints by name."""
    names = data.keypoint_names[data.object_category[row]]
    points = {
        name: (*xy, bool(seen), int(status))
        for name, xy, seen, status in zip(
            names, data.object_keypoints[row].tolist(), data.object_visible[row],
            data.object_status[row], strict=False,
        )
        if np.isfinite(xy).all()
    }  # fmt: skip
    plain = ("source_image", "source_index", "source_size", "to_source", "box", "size", "truncated",
             "occluded", "difficult", "split")  # fmt: skip
    fields = [data.arrays[f"object/{name}"][row].tolist() if name != "source_image"
              else str(data.object_source_image[row]) for name in plain]  # fmt: skip
    return data.categories[data.object_category[row]], points, fields, data.encoded(row)


def test_every_object_is_as_it_was(tmp_path, two):
    data = joined(tmp_path, *two)
    assert len(data.object_category) == 120
    for row in range(120):
        part, own = two[row // 60], row % 60
        assert told_of(data, row) == told_of(part, own)
    assert np.isnan(data.object_viewpoint).all()


def test_every_pair_is_as_it_was(tmp_path, two):
    data = joined(tmp_path, *two)
    assert len(data.pair_source) == 120
    for row in range(120):
        part, own = two[row // 60], row % 60
        for end in ("source", "target"):
            mine, theirs = data.arrays[f"pair/{end}"][row], part.arrays[f"pair/{end}"][own]
            assert mine == theirs + row // 60 * 60
        assert data.categories[data.pair_category[row]] == part.categories[part.pair_category[own]]
        assert data.pair_split[row] == part.pair_split[own]
        assert data.pair_common[row] == part.pair_common[own]


def test_a_category_of_one_name_has_the_keypoints_of_all_files(tmp_path, two):
    data = joined(tmp_path, *two)
    assert data.categories == ["car", "face", "cat"]
    assert data.keypoint_names == [
        ["left_wheel", "right_wheel", "roof", "light", "door"],
        ["left_eye", "right_eye", "nose"],
        ["whisker"],
    ]
    # Where b did not know the left wheel's other side, a did; the door is b's.
    assert data.category_flip.tolist() == [[1, 0, 2, 3, 4], [1, 0, 2, -1, -1], [0, -1, -1, -1, -1]]
    assert data.category_iod_pair.tolist() == [[-1, -1], [0, 1], [-1, -1]]
    # b's cars have no right wheel and no light.
    cars = 60 + np.nonzero(two[1].object_category == 0)[0]
    assert np.isnan(data.object_keypoints[cars][:, [1, 3]]).all()
    assert not data.object_visible[cars][:, [1, 3]].any()
    assert (data.object_status[cars][:, [1, 3]] == -1).all()


def test_the_order_of_the_files_is_that_of_their_objects_and_names(tmp_path, two):
    data = joined(tmp_path, *two[::-1])
    assert data.categories == ["car", "cat", "face"]
    assert data.keypoint_names[0] == ["roof", "left_wheel", "door", "right_wheel", "light"]
    assert data.category_flip[0].tolist() == [0, 3, 2, 1, 4]
    assert data.category_iod_pair[2].tolist() == [0, 1]
    assert told_of(data, 0) == told_of(two[1], 0) and told_of(data, 60) == told_of(two[0], 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"category_flip": np.array([[1, 0, 2, -1], [0, -1, -1, -1]])},
         "on the category car: where a mirror takes roof"),
        ({"category_flip": np.array([[0, -1, 1, -1], [0, -1, -1, -1]])},
         "on the category car: which keypoints are each other's mirror"),
        ({"category_name": np.array(["car", "face"], dtype=object),
          "category_keypoint_names": np.array([OTHER[0], NAMES[1]], dtype=object),
          "category_flip": np.full((2, 4), -1),
          "category_iod_pair": np.array([[-1, -1], [0, 2]])},
         "on the category face: the two keypoints that normalise IOD"),
        ({"category_keypoint_names": np.array([vertex_names(4), OTHER[1]], dtype=object),
          "category_flip": np.full((2, 4), -1)},
         "on the category car: whether its keypoints are a polygon's vertices"),
        ({"category_name": np.array(["car", "car"], dtype=object)}, "several categories called car"),
        ({"category_keypoint_names": np.array([["a", "b", "a", ""], OTHER[1]], dtype=object)},
         "several keypoints of car called a"),
    ],
)  # fmt: skip
def test_files_that_disagree_are_refused(tmp_path, changes, words):
    a, b = saved(tmp_path / "a.h5"), other(tmp_path / "b.h5", **changes)
    with pytest.raises(JladkitError, match=words) as error:
        joined(tmp_path, a, b)
    assert str(b.path) in str(error.value)
    assert not (tmp_path / "c.h5").exists()


def test_eyes_in_the_other_order_are_the_same_distance(tmp_path):
    a = saved(tmp_path / "a.h5")
    b = saved(tmp_path / "b.h5", 1, category_iod_pair=np.array([[-1, -1], [1, 0]]))
    assert joined(tmp_path, a, b).category_iod_pair.tolist() == [[-1, -1], [0, 1]]


def leaky(tmp_path):
    """Two files: b's rows 0 and 2 (train) show what a tests on in rows 4 and 5; row 10 (test) what
    a trains on in row 0."""
    a, b = saved(tmp_path / "a.h5"), other(tmp_path / "b.h5")
    images = b.object_source_image.astype(object)
    images[[0, 2, 10]] = ["VOC/a-4.jpg", "VOC/a-5.jpg", "VOC/a-0.jpg"]
    return a, other(tmp_path / "b.h5", object_source_image=images)


def test_what_one_file_trains_on_and_another_tests_on_is_refused(tmp_path):
    words = (
        r"of another: 3 train-test\. The first: a-0\.png in train of .*a\.h5 is VOC/a-0\.jpg in test of "
        r".*b\.h5\. .* --leave-out-leakage, or keep them with --allow-leakage"
    )
    with pytest.raises(JladkitError, match=words):
        joined(tmp_path, *leaky(tmp_path))
    assert not (tmp_path / "c.h5").exists()


def test_leakage_that_is_allowed_is_counted(tmp_path):
    data = joined(tmp_path, *leaky(tmp_path), allow_leakage=True)
    assert len(data.object_category) == 120 and data.source["left_out"] == {}
    assert data.source["leakage"]["train-test"]["images"] == 3
    assert data.recipe["options"]["allow_leakage"] is True


def test_leakage_is_left_out_of_the_earlier_split_with_its_pairs(tmp_path):
    a, b = leaky(tmp_path)
    data = joined(tmp_path, a, b, leave_out_leakage=True)
    kept = np.delete(np.arange(120), [0, 60, 62])
    assert data.object_source_image.tolist() == [
        str((a, b)[row // 60].object_source_image[row % 60]) for row in kept
    ]
    for mine, row in enumerate(kept.tolist()):
        assert told_of(data, mine) == told_of((a, b)[row // 60], row % 60)
    ends = [
        tuple(int(part.arrays[f"pair/{end}"][row]) + 60 * place for end in ("source", "target"))
        for place, part in enumerate((a, b))
        for row in range(60)
    ]
    whole = [pair for pair in ends if not {0, 60, 62} & set(pair)]
    found = kept[np.stack([data.pair_source, data.pair_target], axis=1)]
    assert [tuple(pair) for pair in found.tolist()] == whole
    assert data.source["leakage"]["train-test"]["images"] == 0
    assert data.source["left_out"] == {
        "object in train of a, whose picture is in a later split of another file": 1,
        "object in train of b, whose picture is in a later split of another file": 2,
        "pair of a with such an object": 2,
        "pair of b with such an object": 120 - len(whole) - 2,
    }
    # Test stays whole, and so do scores on it; nothing of what was left out stays in the file.
    assert len(data.pairs("test")) == len(a.pairs("test")) + len(b.pairs("test"))
    assert data.on_disk("object/image_bytes").shape[0] == sum(
        len((a, b)[row // 60].encoded(row % 60)) for row in kept.tolist()
    )


def test_what_the_splits_of_one_file_share_is_its_own_affair(tmp_path):
    images = np.array([f"a-{row // 6}.png" for row in range(60)], dtype=object)
    a, b = saved(tmp_path / "a.h5", object_source_image=images), other(tmp_path / "b.h5")
    data = joined(tmp_path, a, b)
    assert len(data.object_category) == 120
    assert data.source["leakage"]["train-test"]["images"] == 10


def test_masks_and_flow_of_one_file_are_carried(tmp_path):
    random, sizes = np.random.default_rng(3), tiny_arrays()["object/size"]
    masks = [random.random((h, w)) < 0.5 for w, h in sizes]
    raw = [encode_mask(mask) if row % 3 else b"" for row, mask in enumerate(masks)]
    ends = np.cumsum([len(one) for one in raw])
    flows = [random.normal(size=(h * w if row % 4 else 0, 2)) for row, (w, h) in enumerate(sizes)]
    stops = np.cumsum([len(one) for one in flows])
    a = saved(
        tmp_path / "a.h5",
        object_mask_bytes=np.frombuffer(b"".join(raw), np.uint8),
        object_mask_span=np.stack([ends - [len(one) for one in raw], ends], axis=1),
        pair_flow=np.concatenate(flows),
        pair_flow_span=np.stack([stops - [len(one) for one in flows], stops], axis=1),
    )
    b = other(tmp_path / "b.h5")
    for first, parts in ((0, (a, b)), (60, (b, a))):
        data = joined(tmp_path, *parts)
        for row in range(60):
            for name in ("mask", "flow"):
                mine, theirs = getattr(data, name)(first + row), getattr(a, name)(row)
                np.testing.assert_array_equal(mine, theirs)
                assert getattr(data, name)(60 - first + row) is None
        assert any(data.mask(first + row) is not None for row in range(60))


def test_the_same_files_give_the_same_bytes_in_pieces_of_any_length(tmp_path, two, monkeypatch):
    data = joined(tmp_path, *two)
    before = data.path.read_bytes()
    assert content_digest(data.path) == data.digest
    monkeypatch.setattr(join, "PIECE", 97)
    assert joined(tmp_path, *two).path.read_bytes() == before


def test_pictures_that_lie_beside_a_virtual_file_are_copied(tmp_path):
    root = pascal3d_root(tmp_path / "in", 12)
    pascal3d.build(root, pascal3d.Options(), Job(out=tmp_path / "v.h5", virtual=True))
    virtual, a = open_dataset(tmp_path / "v.h5"), saved(tmp_path / "a.h5")
    data = joined(tmp_path, a, virtual)
    for row in range(len(virtual.object_category)):
        assert data.encoded(60 + row) == virtual.encoded(row)
        assert data.object_viewpoint[60 + row].tolist() == virtual.object_viewpoint[row].tolist()


def test_the_recipe_names_each_file_and_its_contents(tmp_path, two):
    data = joined(tmp_path, *two)
    assert data.name == "a+b"
    assert data.recipe["builder"] == "join"
    assert data.recipe["inputs"] == [
        {"name": part.name, "digest": part.digest, "recipe": part.recipe} for part in two
    ]
    assert input_files(data.path) == {"a": two[0].digest, "b": two[1].digest}
    counts = [(part["name"], part["objects"], part["pairs"]) for part in data.source["parts"]]
    assert counts == [("a", 60, 60), ("b", 60, 60)]
    assert joined(tmp_path, *two, name="mine").name == "mine"


def test_the_cards_tell_the_terms_of_every_source(tmp_path, two):
    whole = joined(tmp_path, *two, allow_leakage=True)
    text = whole.path.with_suffix(".card.md").read_text()
    assert coco.ABOUT.citation in text and pf_pascal.ABOUT.licence in text
    assert f"- part of it: b, 60 objects and 60 pairs, contents `{two[1].digest}`" in text
    command = "jladkit build-dataset join a.h5 b.h5 --out again.h5 --name a+b --allow-leakage"
    assert f"    {command}\n" in text
    record = json.loads(whole.path.with_suffix(".croissant.json").read_text())
    facts = {fact["name"]: fact["value"] for fact in record["additionalProperty"]}
    inputs = {fact["name"]: fact["value"] for fact in facts["recipe"]}["inputs"]
    names = [{fact["name"]: fact["value"] for fact in one["value"]}["name"] for one in inputs]
    assert names == ["a", "b"]


def test_a_joined_file_can_be_joined_and_its_sources_are_told(tmp_path, two):
    build([data.path for data in two], tmp_path / "ab.h5", name="ab")
    c = saved(tmp_path / "d.h5", 5, builder="of their own")
    data = joined(tmp_path, open_dataset(tmp_path / "ab.h5"), c)
    text = data.path.with_suffix(".card.md").read_text()
    for words in (coco.ABOUT.citation, pf_pascal.ABOUT.citation, "of their own"):
        assert words in text
    assert told_of(data, 60) == told_of(two[1], 0) and told_of(data, 120) == told_of(c, 0)


def test_what_cannot_be_joined_is_wrong_usage(tmp_path, two):
    a, b = (data.path for data in two)
    copy = tmp_path / "copy.h5"
    copy.write_bytes(a.read_bytes())
    for files, out, options, words in (
        ([a], "c.h5", {}, "two dataset.h5 or more"),
        ([a, b, copy], "c.h5", {}, r"a\.h5 and .*copy\.h5 have the same contents"),
        ([a, b], "b.h5", {"overwrite": True}, "one of the files to join"),
        ([a, b], "b.h5", {}, "exists. Give --overwrite"),
        ([a, b], "c.h5", {"allow_leakage": True, "leave_out_leakage": True}, "not both"),
    ):
        told: dict[str, bool] = options
        with pytest.raises(UsageError, match=words):
            build(files, tmp_path / out, name="c", **told)
    with pytest.raises(JladkitError, match=r"There is no file .*none\.h5"):
        build([a, tmp_path / "none.h5"], tmp_path / "c.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "b.h5", "copy.h5"]


def test_a_span_that_ends_before_it_begins_is_refused(tmp_path):
    span = tiny_arrays(seed=1)["object/image_span"]
    span[3] = span[3, ::-1]
    a, b = saved(tmp_path / "a.h5"), other(tmp_path / "b.h5", object_image_span=span)
    with pytest.raises(JladkitError, match=r"b\.h5: object/image_span must not end before"):
        joined(tmp_path, a, b)
