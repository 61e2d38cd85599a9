"""The commands that a result is made by: that the commands they spell would take them."""

import shlex
from typing import Any

import click
import pytest

from jladkit.cli import evaluate, train
from jladkit.reports.made import commands
from tests.reports.test_tables import iod_result, pck_result

HERE = {"jladkit": "0.1.0"}
TRAINED = {
    "config": {"model": {"backbone": "resnet101", "layers": ["layer2", "layer3"], "weights": ""},
               "train": {"seed": 1, "snapshots": True, "learning_rates": [0.001, 2e-4]}},
    "dataset": "train_set",
    "dataset_digest": "abc",
}  # fmt: skip


def parsed(command: click.Command, words: list[str]) -> dict[str, Any]:
    """What a command understands of a line that calls it."""
    assert words[:2] == ["jladkit", "train" if command is train.command else "evaluate"]
    return command.make_context(words[1], words[2:]).params


def lines(text: str) -> list[list[str]]:
    return [shlex.split(part.replace("\\\n", " ")) for part in text.split("\n\n")]


def test_a_trained_method_is_trained_with_every_setting_and_then_scored():
    first, second = lines(commands(pck_result("joint", config=TRAINED, environment=HERE)))
    told = parsed(train.command, first)
    assert str(told["data"]) == "train_set.h5" and told["method"] == "joint"
    from jladkit.training.recipe import set_over

    assert set_over({}, told["settings"]) == TRAINED["config"]
    told = parsed(evaluate.command, second)
    assert told["checkpoint"] == parsed(train.command, first)["out"]
    assert (str(told["data"]), told["split"], told["protocol"]) == ("tiny.h5", "test", "jlad")
    assert told["alphas"] == (0.05, 0.1)


@pytest.mark.parametrize(
    ("config", "environment", "found"),
    [
        ({}, HERE, {"method": "m", "settings": ()}),
        ({"backbone": "vit", "size": 448}, HERE,
         {"method": "m", "settings": ('model.backbone="vit"', "model.size=448")}),
        ({"weights": "v1"}, HERE, {"method": "m", "settings": ()}),
        ({"official": "best.pth.tar", "model": {}}, HERE, {"method": "m", "checkpoint": "best.pth.tar"}),
        ({}, {}, {"method": None, "stored": "m.csv"}),
    ],
)  # fmt: skip
def test_others_are_scored_by_name_by_weights_or_from_their_file(
    config: dict[str, Any], environment: dict[str, Any], found: dict[str, Any]
):
    (line,) = lines(commands(pck_result("m", config=config, environment=environment)))
    told = parsed(evaluate.command, line)
    assert {key: str(told[key]) for key in found} == {key: str(v) for key, v in found.items()}


def test_iod_says_what_it_is_a_share_of_and_what_it_was_fitted_on():
    result = iod_result()
    result.protocol.update(normaliser="box-diagonal", fit_rows=100, repeats=10)
    told = parsed(evaluate.command, lines(commands(result))[0])
    assert (told["metric"], told["normaliser"]) == ("iod", "box-diagonal")
    assert (told["fit_rows"], told["repeats"], told["alphas"]) == (100, 10, ())


def test_a_name_that_a_shell_would_read_is_quoted():
    (line,) = lines(commands(pck_result("a; rm -rf $HOME", environment=HERE)))
    assert parsed(evaluate.command, line)["method"] == "a; rm -rf $HOME"
