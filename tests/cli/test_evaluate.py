import json
import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest

from jladkit.formats.dataset import open_dataset
from jladkit.formats.predictions import open_predictions, write_predictions
from jladkit.formats.result import read_result
from tests.tiny import predicted, tiny_dataset, true_points


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """tiny.h5, predictions of it, the same as CSV, and a second data set."""
    folder = tmp_path_factory.mktemp("evaluate")
    data = tiny_dataset(folder / "tiny.h5")
    points = true_points(data) + np.random.default_rng(0).normal(0, 3, true_points(data).shape)
    write_predictions(folder / "oracle.h5", predicted(data, pair_points=points))
    write_predictions(folder / "sharp.h5", predicted(data, config={"seed": 1}))
    write_predictions(folder / "train.h5", predicted(data, "train"))
    tiny_dataset(folder / "other.h5", object_status=np.zeros((60, 4), int))
    pair, keypoint = np.nonzero(np.isfinite(points).all(axis=-1))
    xy = points[pair, keypoint]
    table = pd.DataFrame({"pair": pair, "keypoint": keypoint, "x": xy[:, 0], "y": xy[:, 1]})
    table.to_csv(folder / "crop.csv", index=False)
    table.assign(x=2 * table["x"] + 5, y=2 * table["y"] + 5).to_csv(
        folder / "source.csv", index=False
    )
    with h5py.File(folder / "plain.h5", "w") as file:
        file["pair/points"] = points
        file["object/points"] = np.nan_to_num(data.object_keypoints)
        file["object/row"] = np.arange(60)
    row, landmark = (side.ravel() for side in np.indices((60, 4)))
    xy = np.nan_to_num(data.object_keypoints).reshape(-1, 2)
    marks = pd.DataFrame({"object": row, "landmark": landmark, "x": xy[:, 0], "y": xy[:, 1]})
    marks.to_csv(folder / "marks.csv", index=False)
    return folder


@pytest.fixture
def run(folder, jladkit):
    """Call `jladkit evaluate` on tiny.h5; gives exit code, standard output and error."""

    def call(*words, data="tiny.h5"):
        code, out, err = jladkit("evaluate", "--data", folder / data, *words)
        assert "Traceback" not in err
        return code, out, err

    return call


def test_json_prints_the_record_and_nothing_else(run, folder):
    code, out, err = run("--predictions", folder / "oracle.h5", "--json")
    record = json.loads(out)
    assert (code, err) == (0, "")
    assert [row["alpha"] for row in record["results"]] == [0.05, 0.1, 0.15]
    assert record["results"][1]["metric"] == "pck"
    assert 0 < record["results"][1]["value"] < 1


def test_a_table_shows_every_mean_with_its_interval(run, folder):
    code, out, _ = run("--predictions", folder / "sharp.h5", "--protocol", "scnet")
    assert code == 0
    assert "scnet 2: both pictures squashed to 224 x 224" in out
    assert "0.1    100.0 [100.0, 100.0]" in out
    for word in ("pooled points", "mean of categories", "car", "face", "20 pairs"):
        assert word in out


def test_a_file_of_others_in_either_frame_scores_like_the_one_it_was_made_from(run, folder):
    values = [
        [row["value"] for row in json.loads(run("--predictions", *args, "--json")[1])["results"]]
        for args in (
            (folder / "oracle.h5",),
            (folder / "crop.csv",),
            (folder / "source.csv", "--frame", "source"),
            (folder / "plain.h5",),
        )
    ]
    assert values[0] == values[1] == values[2] == values[3]


def test_landmarks_of_others_score_like_the_file_they_were_made_from(run, folder):
    values = [
        json.loads(run("--metric", "iod", "--predictions", folder / name, "--json")[1])["results"]
        for name in ("oracle.h5", "marks.csv", "plain.h5")
    ]
    assert values[0] == values[1] == values[2]


@pytest.mark.parametrize(
    "alphas", [["--alpha", "0.1", "0.2"], ["--alpha", "0.1", "--alpha", "0.2"]]
)
def test_several_alphas_may_follow_one_option_or_several(run, folder, alphas):
    _, out, _ = run(*alphas, "--predictions", folder / "oracle.h5", "--json")
    assert [row["alpha"] for row in json.loads(out)["results"]] == [0.1, 0.2]


def test_iod_prints_every_variant_beside_its_floor(run, folder):
    code, out, _ = run("--metric", "iod", "--predictions", folder / "oracle.h5")
    assert code == 0
    for word in ("imm", "saic", "recommended", "floor", "backward", "apart", "face by keypoint: "):
        assert word in out


def test_every_iod_protocol_has_a_row(run, folder):
    words = ("--metric", "iod", "--predictions", folder / "marks.csv", "--protocol", "all")
    code, out, _ = run(*words)
    presets = ["imm", "imm-bias", "strucrep", "paper", "saic", "mallis", "stable-keypoints",
               "halves", "recommended", "halves-recommended"]  # fmt: skip
    rows = {line.split()[0]: line for line in out.splitlines() if " linear map " in line}
    assert code == 0
    # Ten objects of a category make halves of five, fewer than eight unknowns.
    assert [*rows] == [name for name in presets if name != "halves"]
    assert "halves: K = 4 landmarks make 8 unknowns" in out and "explained" in out
    record = json.loads(run(*words, "--json")[1])
    assert [r["results"][0]["variant"] for r in record["results"]] == [*rows]
    assert list(record["refused"]) == ["halves"]


def test_what_is_derived_shows_in_the_name_the_file_and_the_table(run, folder, tmp_path):
    words = ("--metric", "iod", "--predictions", folder / "marks.csv", "--out", tmp_path)
    code, out, _ = run(*words, "--normaliser", "box-diagonal")
    assert code == 0 and "imm+box-diagonal 1: linear map" in out
    assert "Share of the diagonal of the box" in out and "recommended+box-diagonal" in out
    code, out, _ = run(*words, "--protocol", "saic", "--fit-rows", "9", "--repeats", "3")
    assert code == 0 and "sd of draws" in out and "drawn 3 times" in out
    written = {path.name for path in tmp_path.rglob("*.json")}
    assert written == {"iod-imm+box-diagonal-test.json", "iod-saic+rows-9x3-test.json"}
    path = next(tmp_path.rglob("iod-saic*.json"))
    assert read_result(path).protocol["name"] == "saic+rows=9x3"
    assert (read_result(path).protocol["fit_rows"], read_result(path).protocol["seed"]) == (9, 0)
    first = path.read_bytes()
    run(*words, "--protocol", "saic", "--fit-rows", "9", "--repeats", "3")
    assert path.read_bytes() == first


def test_out_leaves_a_result_and_its_items_and_the_same_bytes_again(run, folder, tmp_path):
    path = tmp_path / "tiny" / "oracle" / "pck-jlad-test.json"
    code, _, err = run("--predictions", folder / "oracle.h5", "--out", tmp_path)
    assert code == 0 and str(path) in err
    first = path.read_bytes()
    items = pd.read_parquet(path.with_name(str(read_result(path).items)))
    assert np.nanmean(items["pck@0.1"]) == pytest.approx(read_result(path).results[1]["value"])
    run("--predictions", folder / "oracle.h5", "--out", tmp_path)
    assert path.read_bytes() == first
    assert not list(tmp_path.rglob("*.part"))


def test_a_result_of_another_configuration_is_replaced_only_when_told(run, folder, tmp_path):
    run("--predictions", folder / "oracle.h5", "--out", tmp_path)
    code, _, err = run("--predictions", folder / "sharp.h5", "--out", tmp_path)
    assert code == 2 and "--overwrite" in err
    code, _, _ = run("--predictions", folder / "sharp.h5", "--out", tmp_path, "--overwrite")
    assert code == 0
    assert read_result(tmp_path / "tiny/oracle/pck-jlad-test.json").config == {"seed": 1}


def test_every_protocol_has_a_row_or_says_why_it_has_none(run, folder, tmp_path):
    code, out, _ = run(
        "--predictions", folder / "oracle.h5", "--protocol", "all", "--out", tmp_path
    )
    assert code == 0
    rows = [line.split()[0] for line in out.splitlines() if re.match(r"\S+ +\d+  ", line)]
    assert rows[:2] == ["jlad", "scnet"] and "willow-padded-bug" in rows
    assert "cats: cats carries the targets' keypoints to the sources" in out
    written = {path.name for path in tmp_path.rglob("*.json")}
    assert written == {f"pck-{name}-test.json" for name in rows}
    code, out, _ = run("--predictions", folder / "oracle.h5", "--protocol", "all", "--json")
    record = json.loads(out)
    assert [result["protocol"]["name"] for result in record["results"]] == rows
    assert not set(record["refused"]) & set(rows)
    assert record["results"][0] == {
        **json.loads((tmp_path / "tiny/oracle/pck-jlad-test.json").read_text()), "items": None,
    }  # fmt: skip


def test_a_method_is_asked_to_carry_back_only_where_a_protocol_reads_it(run, monkeypatch):
    asked = []
    from jladkit.training import prediction

    own = prediction.predict
    monkeypatch.setattr(
        prediction, "predict", lambda *a, **k: asked.append(k["wanted"]) or own(*a, **k)
    )
    for protocol in ("scnet", "rocco-scnet", "all"):
        code, out, _ = run("--method", "identity", "--protocol", protocol)
        assert code == 0 and "carries the targets'" not in out
    assert asked == [("pair",), ("pair", "back"), ("pair", "back")]


def test_strata_are_printed_when_asked_for_and_always_stored(run, folder):
    plain = run("--predictions", folder / "oracle.h5")[1]
    told = run("--predictions", folder / "oracle.h5", "--strata")[1]
    for word in ("scale ratio", "truncated", "seen in training", "clean", "car left_wheel"):
        assert word in told and word not in plain
    record = json.loads(run("--predictions", folder / "oracle.h5", "--json")[1])
    assert record["results"][0]["strata"]["seen in training"]["clean"]["count"] == 20


def test_the_protocols_own_mean_is_marked_and_stands_alone_if_it_is_another(run, folder):
    def head(protocol):
        out = run("--predictions", folder / "oracle.h5", "--protocol", protocol)[1]
        return next(line for line in out.splitlines() if line.startswith("alpha "))

    assert "mean over pairs *" in head("jlad") and "pooled points *" not in head("jlad")
    assert "pooled points *" in head("dift-point")
    assert head("sd-dino").split()[1:3] == ["headline", "*"]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ([], 2, "Give exactly one of --method, --checkpoint and --predictions. Got none"),
        (["--method", "identity", "--predictions", "x.h5"], 2, "Got --method and --predictions"),
        (["--predictions", "{}/oracle.h5", "--alpha", "10"], 2, "Got 10; did you mean 0.1?"),
        (["--predictions", "{}/oracle.h5", "--alpha", "x"], 2, "not a valid float"),
        (["--predictions", "{}/oracle.h5", "--protocol", "scent"], 2, "Did you mean 'scnet'?"),
        (["--predictions", "{}/oracle.h5", "--metric", "pkc"], 2, "'pkc' is not one of"),
        (["--predictions", "{}/oracle.h5", "--split", "tests"], 2, "'tests' is not one of"),
        (["--predictions", "{}/oracle.h5", "--frame", "source"], 2, "about a CSV"),
        (["--predictions", "{}/oracle.h5", "--metric", "iod", "--alpha", "0.1"], 2, "no alpha"),
        (["--method", "identity", "--frame", "source"], 2, "about a file given as --predictions"),
        (["--predictions", "{}/marks.csv"], 1, "hold no transferred keypoints"),
        (["--predictions", "{}/crop.csv", "--split", "val"], 1, "has no pairs in the val split"),
        (["--predictions", "{}/crop.csv", "--split", "train"], 1, "crop.csv lacks"),
        (["--predictions", "x", "--metric", "flow", "--protocol", "all"], 2, "for PCK and IOD"),
        (["--predictions", "{}/oracle.h5", "--metric", "sparsification"], 1, "how unsure it is"),
        (
            ["--predictions", "{}/oracle.h5", "--metric", "sparsification", "--protocol", "cats"],
            2,
            "Give a protocol that goes that way: jlad",
        ),
        (["--predictions", "x", "--normaliser", "image"], 2, "--normaliser is about IOD"),
        (
            ["--predictions", "x", "--fit-rows", "9", "--repeats", "2"],
            2,
            "--fit-rows and --repeats",
        ),
        (["--predictions", "x", "--metric", "iod", "--normaliser", "w"], 2, "Known: iod-pair"),
        (["--predictions", "x", "--metric", "iod", "--fit-rows", "0"], 2, "at least 1. Got 0"),
        (["--predictions", "x", "--metric", "iod", "--repeats", "3"], 2, "something to draw"),
        (
            ["--predictions", "{}/marks.csv", "--metric", "iod", "--fit-rows", "50"],
            1,
            "imm+rows=50 draws 50 objects of each category, but there are 20 of car",
        ),
        (
            ["--predictions", "{}/marks.csv", "--metric", "iod", "--normaliser", "roof,light"],
            1,
            "face of",
        ),
        (["--predictions", "{}/oracle.h5", "--protocol", "cats"], 1, "not every pair of the test"),
        (["--predictions", "{}/none.h5", "--protocol", "scent"], 2, "Did you mean 'scnet'?"),
        (["--predictions", "{}/oracle.h5", "--protocol", "all", "--alpha", "3"], 2, "Got 3"),
        (["--predictions", "{}/none.h5"], 1, "There is no file"),
        (["--predictions", "{}/none.csv"], 1, "cannot be read"),
        (["--predictions", "{}/crop.csv", "--metric", "iod"], 1, "hold no landmarks"),
        (["--predictions", "{}/tiny.h5"], 1, "must be a jladkit-predictions file"),
        (["--predictions", "{}/train.h5"], 1, "is about the split train, not test"),
    ],
)
def test_bad_input_ends_with_one_sentence_and_its_exit_code(run, folder, args, code, words):
    found, out, err = run(*(arg.replace("{}", str(folder)) for arg in args))
    assert (found, out) == (code, "")
    assert words in err


def test_predictions_of_another_data_set_are_refused(run, folder):
    code, _, err = run("--predictions", folder / "oracle.h5", data="other.h5")
    assert code == 1 and "was made from tiny with digest" in err


def test_a_missing_data_set_is_named(run, folder):
    code, _, err = run("--predictions", folder / "oracle.h5", data="none.h5")
    assert code == 1 and "none.h5" in err


def test_scoring_stored_predictions_does_not_import_torch(folder):
    code = (
        "import sys; from jladkit.cli import main\n"
        f"sys.argv = ['jladkit', 'evaluate', '--data', {str(folder / 'tiny.h5')!r}, "
        f"'--predictions', {str(folder / 'oracle.h5')!r}]\n"
        "main(); assert 'torch' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, env=os.environ, timeout=60
    )


def test_sparsification_prints_its_measures_its_curve_and_leaves_a_result(run, folder, tmp_path):
    data = open_dataset(folder / "tiny.h5")
    points = open_predictions(folder / "oracle.h5").pair_points
    error = np.linalg.norm(points - true_points(data), axis=-1)
    table = pd.read_csv(folder / "crop.csv")
    table["log_sigma"] = np.log(error[table["pair"], table["keypoint"]])
    table.to_csv(tmp_path / "mine.csv", index=False)
    words = ["--metric", "sparsification", "--predictions", tmp_path / "mine.csv"]
    code, out, _ = run(*words, "--out", tmp_path / "results")
    assert code == 0
    assert out.startswith("Sparsification of mine on tiny, test split\njlad 1: ")
    for line in (
        r"gain +\d\d",
        r"ause +\d",
        r"spearman +\d\d",
        r"100\.0 +\d",
        r"5\.0 +100\.0",
        "car",
    ):
        assert re.search(f"^{line}", out, re.MULTILINE), line
    path = tmp_path / "results/tiny/mine/sparsification-jlad-test.json"
    result = read_result(path)
    assert result.results[0]["value"] > 0.5  # pixels are nearly shares of the box
    assert len(pd.read_parquet(path.with_suffix(".parquet"))) == result.results[0]["count"]
    code, out, _ = run(*words, "--alpha", "0.05", "--protocol", "hpf", "--json")
    assert [row["alpha"] for row in json.loads(out)["results"]] == [0.05] * 3
