"""The way of somebody without jladkit: export, predict with csv and numpy, hand in, be scored."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from drawn import drawn_arrays
from PIL import Image

from jladkit.formats.dataset import Dataset, open_dataset, write_dataset
from tests.cli.conftest import Typed
from tests.tiny import tiny_arrays, tiny_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("export") / "tiny.h5")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def numbers(record: dict[str, str], *names: str) -> np.ndarray:
    return np.array([float(record[name]) for name in names])


def write(path: Path, head: str, lines: Sequence[Sequence[object]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head.split(","), *lines])
    return path


def results(jladkit: Typed, data: Dataset, *words: object) -> list[dict[str, object]]:
    code, out, err = jladkit("evaluate", "--data", data.path, *words, "--json")
    assert code == 0, err
    return json.loads(out)["results"]


def test_identity_from_the_export_alone_has_the_score_of_identity(
    data: Dataset, tmp_path: Path, jladkit: Typed
):
    out = tmp_path / "out"
    code, _, err = jladkit("export-pairs", "--data", data.path, "--out", out)
    assert code == 0 and f"Wrote {out}: 20 pairs, 60 objects." in err
    pairs = {record["pair"]: record for record in table(out / "pairs.csv")}
    lines = []
    for record in table(out / "keypoints.csv"):
        pair = pairs[record["pair"]]
        with Image.open(out / pair["source"]) as source, Image.open(out / pair["target"]) as target:
            sizes = np.array([source.size, target.size])
        assert sizes[0].tolist() == numbers(pair, "source_width", "source_height").tolist()
        assert sizes[1].tolist() == numbers(pair, "target_width", "target_height").tolist()
        x, y = (numbers(record, "x", "y") + 0.5) * sizes[1] / sizes[0] - 0.5
        lines.append((record["pair"], record["name"], x, y))
    mine = write(tmp_path / "mine.csv", "pair,keypoint,x,y", lines)
    for protocol in ("jlad", "scnet"):
        theirs = results(jladkit, data, "--predictions", mine, "--protocol", protocol)
        assert theirs == results(jladkit, data, "--method", "identity", "--protocol", protocol)


def test_identity_in_the_original_files_has_the_score_of_identity(
    data: Dataset, tmp_path: Path, jladkit: Typed
):
    out = tmp_path / "out"
    assert jladkit("export-pairs", "--data", data.path, "--out", out, "--paths")[0] == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "README.txt", "keypoints.csv", "objects.csv", "pairs.csv",
    ]  # fmt: skip
    assert "--frame source" in (out / "README.txt").read_text()
    objects = {record["object"]: record for record in table(out / "objects.csv")}
    pairs = {record["pair"]: record for record in table(out / "pairs.csv")}
    lines = []
    for record in table(out / "keypoints.csv"):
        source, target = (
            objects[pairs[record["pair"]][f"{end}_object"]] for end in ("source", "target")
        )
        there, here = (numbers(one, *"abcdef").reshape(2, 3) for one in (target, source))
        sizes = [numbers(one, "crop_width", "crop_height") for one in (source, target)]
        cut = np.linalg.solve(here[:, :2], numbers(record, "x", "y") - here[:, 2])
        x, y = there[:, :2] @ ((cut + 0.5) * sizes[1] / sizes[0] - 0.5) + there[:, 2]
        lines.append((record["pair"], record["keypoint"], x, y))
    mine = write(tmp_path / "mine.csv", "pair,keypoint,x,y", lines)
    theirs = results(jladkit, data, "--predictions", mine, "--frame", "source")
    assert theirs == results(jladkit, data, "--method", "identity")


def test_an_hdf5_in_the_form_that_the_readme_asks_for_is_scored_too(
    data: Dataset, tmp_path: Path, jladkit: Typed
):
    out = tmp_path / "out"
    assert jladkit("export-pairs", "--data", data.path, "--out", out)[0] == 0
    pairs = table(out / "pairs.csv")
    place = {record["pair"]: number for number, record in enumerate(pairs)}
    points = np.full((len(pairs), 4, 2), np.nan)
    for record in table(out / "keypoints.csv"):
        pair = pairs[place[record["pair"]]]
        scale = numbers(pair, "target_width", "target_height") / numbers(
            pair, "source_width", "source_height"
        )
        moved = (numbers(record, "x", "y") + 0.5) * scale - 0.5
        points[place[record["pair"]], int(record["keypoint"])] = moved
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file["pair/id"] = [record["pair"] for record in pairs]
        file["pair/points"] = points
    theirs = results(jladkit, data, "--predictions", tmp_path / "mine.h5")
    assert theirs == results(jladkit, data, "--method", "identity")


def test_landmarks_from_the_export_alone_are_scored(data: Dataset, tmp_path: Path, jladkit: Typed):
    out = tmp_path / "out"
    assert jladkit("export-pairs", "--data", data.path, "--out", out)[0] == 0
    records = table(out / "objects.csv")
    assert {record["split"] for record in records} == {"train", "test"}
    lines = [
        (record["object"], landmark, *(numbers(record, "width", "height") * share - 0.5))
        for record in records
        for landmark, share in enumerate((0.25, 0.5))
    ]
    mine = write(tmp_path / "mine.csv", "object,landmark,x,y", lines)
    row = results(jladkit, data, "--metric", "iod", "--predictions", mine)[0]
    assert row["landmarks"] == 2 and row["count"] == 20


def test_nothing_tells_where_the_keypoints_lie_in_the_targets(
    data: Dataset, tmp_path: Path, jladkit: Typed
):
    jladkit("export-pairs", "--data", data.path, "--out", tmp_path / "out")
    for record in table(tmp_path / "out" / "keypoints.csv"):
        assert set(record) == {"pair", "keypoint", "name", "x", "y"}
        source = int(record["pair"][:3])
        number = int(record["keypoint"])
        assert data.object_visible[source, number]
        assert numbers(record, "x", "y").tolist() == data.object_keypoints[source, number].tolist()
    for name in ("pairs.csv", "objects.csv"):
        assert not {"x", "y", "box"} & set(table(tmp_path / "out" / name)[0])


def test_without_objects_only_pictures_of_pairs_are_written(
    data: Dataset, tmp_path: Path, jladkit: Typed
):
    out = tmp_path / "out"
    assert jladkit("export-pairs", "--data", data.path, "--out", out, "--no-objects")[0] == 0
    assert len(table(out / "objects.csv")) == len(list((out / "images").iterdir())) == 20
    assert "LANDMARKS" not in (out / "README.txt").read_text()


def test_a_picture_that_objects_share_is_written_once(tmp_path: Path, jladkit: Typed):
    span = tiny_arrays()["object/image_span"]
    size = tiny_arrays()["object/size"]
    span[10], size[10] = span[4], size[4]
    data = tiny_dataset(tmp_path / "d.h5", object_image_span=span, object_size=size)
    out = tmp_path / "out"
    assert jladkit("export-pairs", "--data", data.path, "--out", out)[0] == 0
    images = [record["image"] for record in table(out / "objects.csv")]
    assert images[10] == images[4] == "images/000004.png"
    assert len(list((out / "images").iterdir())) == len(set(images)) == 59


def test_pairs_that_a_list_repeats_come_once_and_count_as_often_as_listed(
    tmp_path: Path, jladkit: Typed
):
    arrays = tiny_arrays()
    test = np.nonzero(arrays["pair/split"] == 2)[0]
    for field in ("source", "target", "category", "common"):
        arrays[f"pair/{field}"][test[5]] = arrays[f"pair/{field}"][test[2]]
    changes = {name.replace("/", "_"): arrays[name] for name in arrays if name.startswith("pair/")}
    data = tiny_dataset(tmp_path / "d.h5", **changes)
    same_score(data, tmp_path, jladkit, pairs=19)
    assert len(data.pairs("test")) == 20


def test_objects_that_share_an_id_go_by_number(tmp_path: Path, jladkit: Typed):
    images = tiny_arrays()["object/source_image"]
    images[:] = "one.png"
    data = tiny_dataset(tmp_path / "d.h5", object_source_image=images)
    same_score(data, tmp_path, jladkit, pairs=20)
    assert table(tmp_path / "out" / "pairs.csv")[7]["pair"] == "7"
    assert table(tmp_path / "out" / "objects.csv")[7]["object"] == "7"


def same_score(data: Dataset, tmp_path: Path, jladkit: Typed, pairs: int) -> None:
    """Export `data`, whose exported pairs are counted, and predict identity from the export."""
    out = tmp_path / "out"
    assert jladkit("export-pairs", "--data", data.path, "--out", out)[0] == 0
    sizes = {record["pair"]: record for record in table(out / "pairs.csv")}
    assert len(sizes) == len(table(out / "pairs.csv")) == pairs
    lines = []
    for record in table(out / "keypoints.csv"):
        pair = sizes[record["pair"]]
        scale = numbers(pair, "target_width", "target_height") / numbers(
            pair, "source_width", "source_height"
        )
        lines.append((record["pair"], record["keypoint"],
                      *((numbers(record, "x", "y") + 0.5) * scale - 0.5)))  # fmt: skip
    mine = write(tmp_path / "mine.csv", "pair,keypoint,x,y", lines)
    assert results(jladkit, data, "--predictions", mine) == results(
        jladkit, data, "--method", "identity"
    )


def test_a_split_without_pairs_is_exported_for_landmarks(tmp_path: Path, jladkit: Typed):
    arrays = drawn_arrays()
    pairs = {name: array[:0] for name, array in arrays.items() if name.startswith("pair/")}
    write_dataset(tmp_path / "d.h5", {**arrays, **pairs}, name="d", recipe={}, source={})
    out = tmp_path / "out"
    assert jladkit("export-pairs", "--data", tmp_path / "d.h5", "--out", out)[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["README.txt", "images", "objects.csv"]
    text = (out / "README.txt").read_text()
    assert "object,landmark,x,y" in text and "pair,keypoint" not in text
    words = ("export-pairs", "--data", tmp_path / "d.h5", "--out", tmp_path / "b", "--no-objects")
    code, _, err = jladkit(*words)
    assert code == 1 and "has no pairs in the test split" in err


def test_the_same_export_has_the_same_bytes(data: Dataset, tmp_path: Path, jladkit: Typed):
    for name in ("a", "b"):
        jladkit("export-pairs", "--data", data.path, "--out", tmp_path / name)
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_bad_input_ends_in_a_sentence_and_leaves_nothing(
    data: Dataset, tmp_path: Path, jladkit: Typed
):
    full, broken = tmp_path / "full", tmp_path / "broken.h5"
    full.mkdir()
    (full / "note.txt").write_text("mine")
    arrays = tiny_arrays()
    arrays["object/image_bytes"] = np.zeros_like(arrays["object/image_bytes"])
    write_dataset(broken, arrays, name="broken", recipe={}, source={})
    for words, code, said in (
        (("--data", data.path, "--out", full), 2, "exists and is not empty"),
        (("--data", data.path, "--out", full / "note.txt" / "a"), 1, "is no folder"),
        (("--data", data.path, "--out", full / "note.txt"), 2, "is a file"),
        (("--data", tmp_path / "none.h5", "--out", tmp_path / "a"), 1, "There is no file"),
        (("--data", data.path, "--out", tmp_path / "a", "--split", "tests"), 2, "is not one of"),
        (("--data", data.path, "--out", tmp_path / "a", "--split", "val"), 1, "has no pairs and no objects"),
        (("--data", broken, "--out", tmp_path / "a"), 1, "the picture of object 0 is broken"),
    ):  # fmt: skip
        found, out, err = jladkit("export-pairs", *words)
        assert (found, out) == (code, ""), err
        assert said in err and "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.h5", "full"]
    assert [path.name for path in full.iterdir()] == ["note.txt"]


def test_an_empty_folder_may_be_filled(data: Dataset, tmp_path: Path, jladkit: Typed):
    (tmp_path / "out").mkdir()
    assert jladkit("export-pairs", "--data", data.path, "--out", tmp_path / "out")[0] == 0
    assert len(open_dataset(data.path).pairs("test")) == len(table(tmp_path / "out" / "pairs.csv"))
