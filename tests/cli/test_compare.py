import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from jladkit.formats.dataset import open_dataset
from jladkit.formats.predictions import write_predictions
from jladkit.formats.result import read_result, write_result
from tests.tiny import predicted, tiny_dataset, true_points


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """tiny.h5, other.h5 and what two methods said of them."""
    folder = tmp_path_factory.mktemp("compare")
    for name, changes in (("tiny", {}), ("other", {"object_status": np.zeros((60, 4), int)})):
        data = tiny_dataset(folder / f"{name}.h5", **changes)
        for method, width in (("sharp", 1.0), ("blunt", 6.0)):
            noise = np.random.default_rng(0).normal(0, width, true_points(data).shape)
            said = predicted(data, method=method, pair_points=true_points(data) + noise)
            write_predictions(folder / f"{name}-{method}.h5", said)
    return folder


@pytest.fixture
def result_of(folder, tmp_path, jladkit):
    """Evaluate a method's predictions; gives the path of the result."""

    def call(method, *words, data="tiny", protocol="jlad"):
        given = ("--protocol", protocol, *words)
        code, _, err = jladkit("evaluate", "--data", folder / f"{data}.h5", "--predictions",
                               folder / f"{data}-{method}.h5", "--out", tmp_path, *given)  # fmt: skip
        assert code == 0, err
        return tmp_path / "tiny" / method / f"pck-{protocol}-test.json"

    return call


def test_a_table_says_how_far_apart_two_methods_are(result_of, jladkit):
    code, out, err = jladkit("compare", result_of("sharp"), result_of("blunt"))
    assert (code, err) == (0, "")
    for word in ("A minus B", "jlad 1", "pck@0.05", "pck@0.15", "car", "< 0.001", "more is better"):
        assert word in out


def test_json_holds_the_difference_of_the_two_results_and_its_seed(result_of, jladkit):
    paths = [result_of("sharp"), result_of("blunt")]
    code, out, _ = jladkit("compare", *paths, "--alpha", "0.1", "--json", "--seed", "3")
    record = json.loads(out)
    (found,) = record["differences"]
    one, other = (read_result(path).results[1]["value"] for path in paths)
    assert code == 0 and found["column"] == "pck@0.1"
    assert found["value"] == pytest.approx(one - other)
    assert found["low"] < found["value"] < found["high"]
    assert set(found["categories"]) == {"car", "face"}
    assert (record["statistics"]["seed"], record["statistics"]["flips"]) == (3, 9999)


def test_several_alphas_may_follow_one_option(result_of, jladkit):
    words = ("--alpha", "0.15", "0.05", "--json")
    out = jladkit("compare", result_of("sharp"), result_of("blunt"), *words)[1]
    columns = [found["column"] for found in json.loads(out)["differences"]]
    assert columns == ["pck@0.15", "pck@0.05"]


def test_the_protocols_own_mean_is_compared(result_of, jladkit):
    paths = [result_of(method, protocol="dift-point") for method in ("sharp", "blunt")]
    found = json.loads(jladkit("compare", *paths, "--json")[1])["differences"]
    rows = [read_result(path).results for path in paths]
    for difference, one, other in zip(found, *rows, strict=True):
        assert difference["value"] == pytest.approx(one["pooled"] - other["pooled"])
        assert difference["a"] == pytest.approx(one["value"])


def test_iod_is_compared_by_its_own_protocol_and_by_image(result_of, jladkit):
    """As `jladkit evaluate --metric iod` leaves it: a column of images, one a preset."""
    paths = []
    for method, error in (("sharp", 0.1), ("blunt", 0.3)):
        path = result_of(method)
        result = read_result(path)
        row = {**result.results[0], "metric": "iod", "variant": "imm", "floor": None,
               "higher_is_better": False}  # fmt: skip
        protocol = {"name": "imm", "version": 1, "summary": "", "aggregation": "image-mean"}
        write_result(path, replace(result, metric="iod", protocol=protocol, results=[row]))
        errors = error + np.random.default_rng(0).random(20) / 10
        pd.DataFrame({"object": range(20), "category": "face", "image": np.arange(20) // 2, "n": 3,
                      "iod:imm": errors, "iod:paper": 0.0}).to_parquet(
            path.parent / str(result.items))  # fmt: skip
        paths.append(path)
    code, out, _ = jladkit("compare", *paths)
    assert code == 0
    assert "less is better" in out and "iod:paper" not in out
    assert re.search(r"all +20 +\S+ +\S+ +-20\.0 \[-20\.0, -20\.0\] +0\.00\d", out)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"protocol": "scnet"}, "the same protocol, but .* has jlad 1 and .* has scnet 2"),
        ({"words": ["--alpha", "0.2"]}, "have no column of pck in common"),
    ],
)
def test_results_of_other_things_are_refused_in_a_sentence(result_of, jladkit, other, told):
    words = other.pop("words", [])
    code, out, err = jladkit("compare", result_of("sharp"), result_of("blunt", *words, **other))
    assert (code, out) == (1, "")
    assert re.search(told, err) and "Traceback" not in err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"split": "val"}, "the same split, but .* has test and .* has val"),
        ({"dataset_digest": "0" * 64}, r"the same data set, but .* has tiny \(\w{12}\) and"),
        ({"items": None}, "names no table of items"),
        ({"items": "gone.parquet"}, r"gone\.parquet, the items of .*, cannot be read"),
        ({"items": "../../../../etc/passwd"}, r"blunt/passwd, the items of"),
    ],
)
def test_results_that_do_not_fit_are_refused_in_a_sentence(result_of, jladkit, change, told):
    a, b = result_of("sharp"), result_of("blunt")
    write_result(b, replace(read_result(b), **change))
    code, out, err = jladkit("compare", a, b)
    assert (code, out) == (1, "")
    assert re.search(told, err) and "Traceback" not in err


def test_the_same_name_with_other_choices_is_refused(result_of, jladkit):
    a, b = result_of("sharp"), result_of("blunt")
    result = read_result(b)
    write_result(b, replace(result, protocol={**result.protocol, "comparator": "<"}))
    code, _, err = jladkit("compare", a, b)
    assert code == 1 and "another under the same name and version" in err


def test_an_alpha_that_was_not_scored_is_refused(result_of, jladkit):
    code, _, err = jladkit("compare", result_of("sharp"), result_of("blunt"), "--alpha", "0.3")
    assert code == 2 and "must have pck@0.3; they have pck@0.05, pck@0.1, pck@0.15" in err


def test_a_broken_table_and_a_missing_result_are_refused(result_of, jladkit, tmp_path):
    a, b = result_of("sharp"), result_of("blunt")
    b.with_suffix(".parquet").write_bytes(b"no table")
    code, _, err = jladkit("compare", a, b)
    assert code == 1 and "cannot be read" in err and "Traceback" not in err
    code, _, err = jladkit("compare", a, tmp_path / "none.json")
    assert code == 1 and "none.json cannot be read" in err


def test_landmark_results_are_compared_by_image_and_less_is_better(folder, tmp_path, jladkit):
    data = folder / "tiny.h5"
    paths = []
    for method, width in (("sharp", 1.0), ("blunt", 6.0)):
        said = predicted(open_dataset(data), method=method)
        assert said.object_points is not None
        noise = np.random.default_rng(0).normal(0, width, said.object_points.shape)
        file = tmp_path / f"{method}.h5"
        write_predictions(file, replace(said, object_points=said.object_points + noise))
        words = ("--metric", "iod", "--data", data, "--predictions", file, "--out", tmp_path)
        assert jladkit("evaluate", *words)[0] == 0
        paths.append(tmp_path / "tiny" / method / "iod-imm-test.json")
    code, out, err = jladkit("compare", *paths)
    assert (code, err) == (0, "")
    assert "iod:imm" in out and "less is better" in out
    record = json.loads(jladkit("compare", *paths, "--json")[1])
    assert record["differences"][0]["value"] < 0
    assert not record["differences"][0]["higher_is_better"]


def test_results_of_a_protocol_and_of_what_is_derived_from_it_are_not_compared(
    folder, tmp_path, jladkit
):
    def path_of(*words, name):
        code, _, err = jladkit("evaluate", "--metric", "iod", "--data", folder / "tiny.h5",
                               "--predictions", folder / "tiny-sharp.h5", "--out", tmp_path, *words)  # fmt: skip
        assert code == 0, err
        return tmp_path / "tiny" / "sharp" / f"iod-{name}-test.json"

    plain = path_of(name="imm")
    box = path_of("--normaliser", "image", name="imm+image")
    code, out, err = jladkit("compare", plain, box)
    assert (code, out) == (1, "") and "has imm 1 and" in err and "has imm+image 1" in err
    code, out, _ = jladkit("compare", box, box)
    assert code == 0 and "iod:imm+image" in out and "less is better" in out
