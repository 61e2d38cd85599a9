"""jladkit build-dataset as it is typed: options, recipes, exit codes, one sentence a mistake."""

import json

import h5py
import pytest

from jladkit.formats.dataset import open_dataset
from tests.builders.layouts import coco_root, pascal3d_root


def test_a_build_says_what_it_made_on_standard_error(jladkit, tmp_path):
    root = pascal3d_root(tmp_path / "in")
    code, out, err = jladkit("build-dataset", "pascal3d", root, "--out", tmp_path / "a.h5")
    assert (code, out) == (0, "")
    assert "car" in err
    assert f"Wrote {tmp_path / 'a.h5'}" in err


def test_every_option_reaches_the_recipe(jladkit, tmp_path):
    root = coco_root(tmp_path / "in")
    code, _, err = jladkit(
        "build-dataset", "coco", root, "--out", tmp_path / "a.h5", "--seed", 5, "--margin", 0.25,
        "--size", 48, "--pose-tolerance", 0.5, "--pairs", 9, "--split", 50, 25, 25, "--name", "mine",
        "--category", "cat", "--min-common", 2,
    )  # fmt: skip
    assert code == 0, err
    data = open_dataset(tmp_path / "a.h5")
    wanted = {"seed": 5, "margin": 0.25, "size": 48, "pose_tolerance": 0.5, "pairs": 9,
              "split": [50, 25, 25], "name": "mine", "category": ["cat"], "min_common": 2}  # fmt: skip
    assert wanted.items() <= data.recipe["options"].items()
    assert data.name == "mine"


def test_a_recipe_gives_the_defaults_and_options_win(jladkit, tmp_path):
    root = coco_root(tmp_path / "in")
    first = ["--margin", 0.3, "--seed", 4, "--category", "cat", "--split", 60, 20, 20]
    jladkit("build-dataset", "coco", root, "--out", tmp_path / "a.h5", *first)
    again = ["build-dataset", "coco", root, "--recipe-from", tmp_path / "a.h5", "--out"]
    assert jladkit(*again, tmp_path / "b.h5")[0] == 0
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert jladkit(*again, tmp_path / "c.h5", "--margin", 0.1)[0] == 0
    options = open_dataset(tmp_path / "c.h5").recipe["options"]
    assert (options["margin"], options["seed"], options["split"]) == (0.1, 4, [60, 20, 20])


def test_a_recipe_of_another_source_is_wrong_usage(jladkit, tmp_path):
    jladkit("build-dataset", "coco", coco_root(tmp_path / "in"), "--out", tmp_path / "a.h5")
    code, _, err = jladkit("build-dataset", "pascal3d", tmp_path, "--out", tmp_path / "b.h5",
                       "--recipe-from", tmp_path / "a.h5")  # fmt: skip
    assert code == 2
    assert "was built with 'coco'" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": [1, 2]}, "its seed is [1, 2]"),
        ({"split": 5}, "its split is 5"),
        ({"split": [70, 20, 10**400]}, "its split is [70, 20, 1000"),
        ({"category": 7}, "its category is 7"),
        ({"margin": "wide"}, "its margin is 'wide'"),
        ({"margin": None}, "its margin is None"),
        ({"split": [None, 20, 10]}, "its split is [None, 20, 10]"),
        ({"name": "a\0b"}, "its name is 'a\\x00b'"),
    ],
)
def test_a_recipe_with_values_that_no_option_can_have_is_refused(jladkit, tmp_path, options, words):
    root, made = coco_root(tmp_path / "in"), tmp_path / "a.h5"
    jladkit("build-dataset", "coco", root, "--out", made)
    with h5py.File(made, "r+") as file:
        file.attrs["recipe"] = json.dumps({"builder": "coco", "options": options})
    again = ["build-dataset", "coco", root, "--out", tmp_path / "b.h5", "--recipe-from", made]
    code, _, err = jladkit(*again)
    assert code == 1
    assert "a.h5 holds no recipe that can be followed: " + words in err


def test_a_builder_that_is_no_word_is_not_printed_as_it_stands(jladkit, tmp_path):
    made = tmp_path / "a.h5"
    jladkit("build-dataset", "coco", coco_root(tmp_path / "in"), "--out", made)
    with h5py.File(made, "r+") as file:
        file.attrs["recipe"] = json.dumps({"builder": "\x1b[31m", "options": {}})
    _, _, err = jladkit("build-dataset", "coco", tmp_path / "in", "--out", tmp_path / "b.h5",
                        "--recipe-from", made)  # fmt: skip
    assert "was built with '\\x1b[31m'." in err
    assert "\x1b" not in err


@pytest.mark.parametrize("source", ["pascal3d", "coco", "pf-pascal"])
def test_help_names_the_shared_options_and_their_defaults(jladkit, source):
    code, out, _ = jladkit("build-dataset", source, "--help")
    assert code == 0
    for option in ("--out", "--seed", "--workers", "--recipe-from", "--overwrite", "--strict"):
        assert option in out
    assert f"jladkit build-dataset {source}" in out


def test_the_list_of_sources_needs_none_of_them(jladkit):
    code, out, _ = jladkit("build-dataset", "--help")
    assert code == 0
    for source in ("pascal3d", "coco", "pf-pascal", "synthetic"):
        assert source in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["pascal3d", "nowhere", "--out", "a.h5"], 2, "There is no folder nowhere"),
        (["pascal3d", ".", "--out", "a.h5"], 1, "not in PASCAL3D+'s layout"),
        (["pf-pascal", ".", "--out", "a.h5"], 1, "There is no file image_pairs/train_pairs.csv"),
        (["coco", ".", "--out", "a.h5"], 2, "Expected one JSON"),
        (["pascal3d", "."], 2, "--out"),
        (["pascal3d", ".", "--out", "a.h5", "--padding", "mirror"], 2, "--padding"),
        (["pascal3d", ".", "--out", "a.h5", "--split", "70", "20"], 2, "--split"),
        (["pascal3d", ".", "--out", "a.h5", "--split", "0", "0", "0"], 2, "--split"),
        (["pascal3d", ".", "--out", "a.h5", "--azimuth-tolerance", "200"], 2, "azimuth"),
        (["coco", ".", "--out", "a.h5", "--recipe-from", "none.h5"], 1, "no file none.h5"),
        (["nothing", ".", "--out", "a.h5"], 2, "nothing"),
    ],
)
def test_a_mistake_ends_in_one_sentence_and_leaves_nothing(
    jladkit, tmp_path, monkeypatch, arguments, code, words
):
    monkeypatch.chdir(tmp_path)
    found, out, err = jladkit("build-dataset", *arguments)
    assert (found, out) == (code, "")
    assert words in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists_needs_overwrite(jladkit, tmp_path):
    root = pascal3d_root(tmp_path / "in")
    command = ["build-dataset", "pascal3d", root, "--out", tmp_path / "a.h5"]
    assert jladkit(*command)[0] == 0
    code, _, err = jladkit(*command)
    assert code == 2
    assert "--overwrite" in err
    assert jladkit(*command, "--overwrite")[0] == 0


def test_data_sets_are_joined_as_typed(jladkit, tmp_path):
    for name, build in (("a", pascal3d_root), ("b", coco_root)):
        source = "pascal3d" if name == "a" else "coco"
        root = build(tmp_path / name)
        words = ("build-dataset", source, root, "--out", tmp_path / f"{name}.h5", "--workers", 1)
        assert jladkit(*words)[0] == 0
    files = [tmp_path / "a.h5", tmp_path / "b.h5", "--out", tmp_path / "c.h5"]
    code, out, err = jladkit("build-dataset", "join", *files, "--allow-leakage")
    assert (code, out) == (0, "") and f"Wrote {tmp_path / 'c.h5'}" in err
    parts = [len(open_dataset(file).object_category) for file in files[:2]]
    data = open_dataset(tmp_path / "c.h5")
    assert (data.name, len(data.object_category)) == ("pascal3d+coco", sum(parts))
    code, _, err = jladkit("build-dataset", "join", tmp_path / "a.h5", "--out", tmp_path / "d.h5")
    assert code == 2 and "two dataset.h5 or more" in err
    assert jladkit("inspect", tmp_path / "c.h5")[0] == 0
