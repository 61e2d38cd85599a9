"""jladkit inspect: any of the three files, in words, as JSON and as pictures."""

import json
import shutil
from functools import partial

import h5py
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from jladkit.formats.predictions import write_predictions
from jladkit.formats.result import Result, write_result
from jladkit.reports import contact_sheet
from jladkit.training.checkpoint import write_checkpoint
from tests.builders.layouts import build_pascal3d, pascal3d_root
from tests.tiny import predicted, tiny_dataset


@pytest.fixture
def run(jladkit):
    return partial(jladkit, "inspect")


def test_a_data_set_is_counted_by_category_and_split(run, tmp_path):
    data = build_pascal3d(pascal3d_root(tmp_path / "in", 12), tmp_path / "a.h5")
    code, out, _ = run(data.path, "--json")
    said = json.loads(out)
    assert code == 0
    assert sum(said["objects"]["car"].values()) == 12
    assert sum(said["pairs"]["car"].values()) == len(data.pair_split)
    assert said["keypoints"]["car"]["roof"] == 12
    assert said["viewpoints"]["azimuth_by_30_degrees"] == [12] + [0] * 11
    assert said["digest"] == data.digest
    assert said["recipe"]["builder"] == "pascal3d"
    words = run(data.path)[1]
    assert f"digest: {data.digest}" in words
    assert "train" in words


def test_a_data_set_without_viewpoints_is_summarised(run, tmp_path):
    said = json.loads(run(tiny_dataset(tmp_path / "a.h5").path, "--json")[1])
    assert said["viewpoints"]["known"] == 0
    assert said["viewpoints"]["elevation"] is None


def test_predictions_are_summarised(run, tmp_path):
    data = tiny_dataset(tmp_path / "a.h5")
    write_predictions(tmp_path / "p.h5", predicted(data))
    code, out, _ = run(tmp_path / "p.h5", "--json")
    said = json.loads(out)
    assert (code, said["method"], said["pairs"]) == (0, "oracle", 20)
    assert said["points"]["object"]["of_each"] == 4


def test_a_result_is_shown_whole(run, tmp_path):
    row = {
        "metric": "pck",
        "alpha": 0.1,
        "value": 0.5,
        "unit": "share",
        "higher_is_better": True,
        "count": 3,
        "low": 0.4,
        "high": 0.6,
        "categories": {},
        "pooled": 0.5,
        "category_mean": 0.5,
    }
    rows = [row]
    write_result(
        tmp_path / "r.json",
        Result(
            "m",
            "pck",
            {"name": "jlad", "version": 1, "summary": ""},
            "test",
            "d",
            "0",
            rows,
            {},
            {},
            "",
        ),
    )
    assert json.loads(run(tmp_path / "r.json", "--json")[1])["results"] == rows
    assert "value: 0.5" in run(tmp_path / "r.json")[1] or "value 0.5" in run(tmp_path / "r.json")[1]
    code, _, err = run(tmp_path / "r.json", "--png", tmp_path / "a.png")
    assert code == 2
    assert "no pictures" in err


def test_a_caption_keeps_its_number_and_cuts_a_long_name():
    draw = ImageDraw.Draw(Image.new("RGB", (9, 9)))
    assert contact_sheet.caption(draw, "cat", "  object 7", 196) == "cat  object 7"
    short = contact_sheet.caption(draw, "a very long name of a category indeed", "  object 7", 196)
    assert short.startswith("a very long name")
    assert short.endswith("...  object 7")
    assert draw.textlength(short) <= 196
    assert contact_sheet.caption(draw, "x" * 5000, "  object 7", 20) == "...  object 7"


def test_a_contact_sheet_shows_as_many_pairs_as_asked(run, tmp_path):
    path = tiny_dataset(tmp_path / "a.h5").path
    code, _, err = run(path, "--png", tmp_path / "a.png", "--count", 5, "--split", "test")
    assert code == 0
    assert "5 pairs" in err
    size = Image.open(tmp_path / "a.png").size
    assert size[0] > 4 * 2 * contact_sheet.TILE
    again = run(path, "--png", tmp_path / "b.png", "--count", 5, "--split", "test")
    assert again[0] == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_predictions_are_drawn_over_their_data_set(run, tmp_path):
    data = tiny_dataset(tmp_path / "a.h5")
    write_predictions(tmp_path / "p.h5", predicted(data))
    write_predictions(tmp_path / "o.h5", predicted(data, pair_row=None, pair_points=None))
    assert run(tmp_path / "p.h5", "--png", tmp_path / "a.png")[0] == 2
    for name, what in (("p", "pairs"), ("o", "objects")):
        options = ["--data", data.path, "--png", tmp_path / f"{name}.png", "--count", 3]
        code, _, err = run(tmp_path / f"{name}.h5", *options)
        assert code == 0, err
        assert f"3 {what}" in err


def test_predictions_of_another_data_set_are_refused(run, tmp_path):
    data = tiny_dataset(tmp_path / "a.h5")
    write_predictions(tmp_path / "p.h5", predicted(data, dataset_digest="f" * 64))
    code, _, err = run(tmp_path / "p.h5", "--data", data.path)
    assert code == 1
    assert "was made from" in err


def test_an_edited_data_set_is_found_out(run, tmp_path):
    path = tiny_dataset(tmp_path / "a.h5").path
    with h5py.File(path, "r+") as file:
        file["object/box"][0] += 1  # pyright: ignore[reportIndexIssue, reportOperatorIssue]
    code, _, err = run(path)
    assert code == 1
    assert "was changed after it was built" in err


@pytest.mark.parametrize("kind", ["absent", "text", "truncated", "foreign", "json", "folder"])
def test_any_other_file_is_refused_in_one_sentence(run, tmp_path, kind):
    path = tmp_path / "a.h5"
    if kind == "text":
        path.write_text("<html></html>")
    elif kind == "json":
        path.write_text("{}")
    elif kind == "truncated":
        shutil.copy(tiny_dataset(tmp_path / "b.h5").path, path)
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "foreign":
        h5py.File(path, "w").close()
    elif kind == "folder":
        path.mkdir()
    code, out, err = run(path)
    assert (code, out) == (1, "")
    assert "a.h5" in err
    assert "Traceback" not in err


def test_pairs_are_chosen_evenly_over_categories():
    codes = np.array([0] * 50 + [1] * 3 + [2] * 20)
    rows = contact_sheet.choose(codes, np.arange(73) + 100, 12, seed=0)
    assert np.bincount(codes[rows - 100]).tolist() == [5, 3, 4] or np.bincount(
        codes[rows - 100]
    ).tolist() == [4, 3, 5]
    assert (np.diff(rows) > 0).all()


def test_a_keypoint_has_the_same_mark_in_both_pictures(tmp_path):
    data = tiny_dataset(tmp_path / "a.h5")
    image = Image.new("RGB", (50, 40))
    points = np.array([[10.0, 10.0], [40.0, 30.0]])
    shown = np.asarray(contact_sheet.tile(image, points, np.array([True, False])))
    x, y = ((points[0] + 0.5) * 4 - 0.5).round().astype(int)
    assert tuple(shown[y, x]) == tuple(bytes.fromhex(contact_sheet.COLOURS[0][1:]))
    assert not shown[100:].any()
    assert contact_sheet.sheet_of_pairs(data, np.arange(2)).height < 2 * contact_sheet.TILE


def trained(folder, **terms):
    """The folder of a run of 40 steps, as the training loop leaves its log."""
    folder.mkdir()
    with (folder / "log.jsonl").open("w") as file:
        for step in range(1, 41):
            record = {
                "step": step,
                "phase": "align" if step < 21 else "detect",
                "total": 2.0,
                **terms,
            }
            if step % 10 == 0:
                record["validation"] = {"pck@0.1": 0.5 + step / 1000, "iod": 0.3, "spread": 0.04}
            file.write(json.dumps(record) + "\n")
    return folder


def test_a_run_is_summarised_with_its_best_scores_and_drawn(run, tmp_path):
    folder = trained(tmp_path / "run", log_sigma=1.0)
    code, out, err = run(folder, "--png", tmp_path / "curves.png")
    assert (code, "40 steps" in err) == (0, True)
    assert "phases: align 1-20, detect 21-40" in out
    assert "pck@0.1: best 0.54, at_step 40, last 0.54" in out
    assert "iod: best 0.3, at_step 10, last 0.3" in out
    assert "collapsed: nothing that is known of" in out
    assert Image.open(tmp_path / "curves.png").size == (1500, 1650)
    said = json.loads(run(folder, "--json")[1])
    assert said["phases"][1] == {"phase": "detect", "first": 21, "last": 40}
    assert (said["steps"], said["collapsed"]) == (40, [])


def test_what_has_collapsed_in_a_run_is_said(run, tmp_path):
    folder = trained(tmp_path / "run", log_sigma=7.0, background=0.999, peak=0.01)
    out = run(folder)[1]
    assert "collapsed 1: The landmark maps have faded by step 40" in out
    assert "collapsed 2: The uncertainty swallows (6) by step 40" in out
    assert len(json.loads(run(folder, "--json")[1])["collapsed"]) == 2


def test_the_pull_to_the_identity_is_read_from_the_weights_of_a_run(run, tmp_path):
    folder = trained(tmp_path / "run", displacement=1e-7)
    assert "collapsed: nothing" in run(folder)[1]
    label = {"method": "joint", "dataset": "d", "config": {"loss": {"identity": 5.0}}}
    write_checkpoint(folder / "model.safetensors", {"a": torch.zeros(1)}, label)
    out = run(folder)[1]
    assert "method: joint" in out and "The field froze at the identity" in out


def test_a_run_has_no_pairs_and_a_folder_without_a_log_is_no_run(run, tmp_path):
    folder = trained(tmp_path / "run")
    code, _, err = run(folder, "--split", "test")
    assert code == 2 and "--data and --split are not for it" in err
    (folder / "log.jsonl").write_text("{}\n")
    code, _, err = run(folder)
    assert code == 1 and "log.jsonl, line 1: step must be a whole number" in err
    (folder / "log.jsonl").unlink()
    code, _, err = run(folder)
    assert code == 1 and "is a folder without log.jsonl" in err
