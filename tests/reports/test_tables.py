from dataclasses import replace
from pathlib import Path

import pytest

from jladkit.errors import JladkitError
from jladkit.formats.result import Result, write_result
from jladkit.reports.board_tables import tables
from jladkit.reports.cells import to_markdown
from jladkit.reports.tables import boards, read_entries, tidy


def pck_result(method="identity", value=0.5, **changes):
    """A result with two alphas and two categories, one named like a LaTeX command."""
    row = {
        "metric": "pck",
        "value": value,
        "low": value - 0.05,
        "high": value + 0.05,
        "count": 40,
        "unit": "share",
        "higher_is_better": True,
        "pooled": value,
        "points": 200,
        "left_out": 0,
        "category_mean": value,
        "category_mean_low": value - 0.04,
        "category_mean_high": value + 0.04,
        "categories": {
            "car": {"value": value, "low": 0.1, "high": 0.9, "count": 30},
            "tv_monitor & co": {"value": value, "low": None, "high": None, "count": 1},
        },
    }
    result = Result(
        method=method,
        metric="pck",
        protocol={"name": "jlad", "version": 1, "summary": "by the box"},
        split="test",
        dataset="tiny",
        dataset_digest="abcdef0123",
        results=[row | {"alpha": 0.05}, row | {"alpha": 0.1, "value": value + 0.1}],
        config={"seed": 0},
        environment={},
        created="2020-01-01T00:00:00+00:00",
        curve={"alpha": [0.05, 0.1], "value": [value, value + 0.1]},
    )
    return replace(result, **changes)


def iod_result(method="mean-shape", value=0.2):
    row = {
        "metric": "iod",
        "value": value,
        "low": value - 0.01,
        "high": value + 0.01,
        "count": 20,
        "unit": "longer side of the box",
        "higher_is_better": False,
        "floor": 0.3,
        "landmarks": 10,
        "categories": {"car": {"value": value, "low": 0.1, "high": 0.3, "count": 20, "floor": 0.3}},
    }
    return pck_result(
        method, metric="iod", results=[row | {"variant": "imm"}, row | {"variant": "paper"}],
        protocol={"name": "imm", "version": 1, "summary": "no bias"}, curve={},
    )  # fmt: skip


def board(*results):
    (one,) = boards([(Path("result.json"), result) for result in results])
    return one


@pytest.mark.parametrize(
    "change",
    [
        {"dataset_digest": "other"},
        {"split": "val"},
        {"protocol": {"name": "scnet", "version": 1, "summary": "squashed"}},
        {"protocol": {"name": "jlad", "version": 2, "summary": "by the box"}},
    ],
)
def test_results_that_cannot_be_compared_never_share_a_table(tmp_path, change):
    results = [pck_result("a"), pck_result("b", **change), pck_result("c")]
    found = boards([(tmp_path, result) for result in results])
    assert [[entry.label for entry in one.entries] for one in found] == [["a", "c"], ["b"]]
    assert "b" not in to_markdown(tables(found[0])[0]).replace("bracket", "")


def test_two_runs_of_a_method_are_told_apart_by_their_config():
    first, second = pck_result("joint"), pck_result("joint", config={"seed": 1})
    labels = [entry.label for entry in board(first, second).entries]
    assert labels == ["joint (seed=0)", "joint (seed=1)"]
    labels = [entry.label for entry in board(first, first, pck_result("b")).entries]
    assert labels == ["joint #1", "joint #2", "b"]


def test_csv_has_every_number_unrounded():
    frame = tidy(board(pck_result("a", 1 / 3)))
    rows = frame[(frame["setting"] == 0.05) & (frame["category"] == "all")]
    assert rows["value"].tolist() == [1 / 3]
    assert len(frame) == 2 * 3


def test_a_folder_is_searched_and_other_json_in_it_is_passed_over(tmp_path):
    write_result(tmp_path / "tiny" / "a" / "pck.json", pck_result("a"))
    (tmp_path / "tiny" / "log.json").write_text('{"step": 1}')
    (tmp_path / "list.json").write_text("[1, 2]")
    found = read_entries([tmp_path, tmp_path / "tiny" / "a" / "pck.json"])
    assert [result.method for _, result in found] == ["a"]


def test_a_broken_result_in_a_folder_is_named(tmp_path):
    (tmp_path / "cut.json").write_text(pck_result("a").to_json()[:100])
    with pytest.raises(JladkitError, match=r"cut\.json is not JSON"):
        read_entries([tmp_path])


def test_no_results_and_no_such_folder_are_refused(tmp_path):
    with pytest.raises(JladkitError, match=r"No result files \(\*\.json\) under"):
        read_entries([tmp_path])
    with pytest.raises(JladkitError, match="There is no file or folder"):
        read_entries([tmp_path / "none"])


def sparsification_result(method="joint", gain=0.4, **changes):
    """A result whose curve rises from 50 % to 90 %."""
    kept = [step / 20 for step in range(20, 0, -1)]
    row = pck_result().results[0] | {"metric": "sparsification", "value": gain}
    return pck_result(
        method,
        metric="sparsification",
        results=[row | {"measure": name} for name in ("gain", "ause", "spearman")],
        curve={
            "kept": kept,
            "value": [0.9 - 0.4 * share for share in kept],
            "oracle": [min(1, 0.5 / share) for share in kept],
            "random": [0.5] * 20,
            "low": [0.8 - 0.4 * share for share in kept],
            "high": [1 - 0.4 * share for share in kept],
        },
        **changes,
    )


def test_boards_of_one_protocol_with_other_choices_have_files_of_their_own():
    other = {"name": "jlad", "version": 1, "summary": "by the box", "side": 9}
    results = [pck_result("a"), pck_result("b", protocol=other), pck_result("c", split="val")]
    found = boards([(Path("result.json"), result) for result in results])
    assert [one.slug for one in found] == [
        "pck-tiny-jlad-test-abcdef",
        "pck-tiny-jlad-test-abcdef-2",
        "pck-tiny-jlad-val-abcdef",
    ]


def test_runs_of_a_trained_method_are_told_apart_by_a_setting_and_not_by_what_they_reached():
    runs = [
        pck_result("joint", config={"config": {"train": {"seed": k}}, "best": {"pck@0.1": [k, 1]}})
        for k in (0, 1)
    ]
    labels = [entry.label for entry in board(*runs).entries]
    assert labels == ["joint (train.seed=0)", "joint (train.seed=1)"]


def test_runs_whose_settings_are_too_many_are_told_apart_by_their_folders():
    many = [{f"setting_{k}_of_many": run for k in range(9)} for run in (0, 1)]
    paths = [Path(f"out/{name}/seed-0/joint/pck.json") for name in ("joint", "pulled")]
    results = [pck_result("joint", config=config) for config in many]
    (one,) = boards(list(zip(paths, results, strict=True)))
    assert [entry.label for entry in one.entries] == ["joint", "joint (pulled)"]
    (one,) = boards([(paths[1], results[0]), (Path("out/other/pck.json"), results[1])])
    assert [e.label for e in one.entries] == ["joint (pulled/seed-0/joint)", "joint (other)"]
