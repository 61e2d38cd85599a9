"""Every command that the README and the other documents show is there, and runs.

Commands on lines of their own run as they stand, in a folder of their own, on tiny drawn files under
the names that they have. What would take hours is cut short: trainings get the settings of TINY behind
their own, and `reproduce` and `baselines` find all trainings done (tests/cli run those).
"""

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest

from jladkit import registry
from jladkit.cli.offers import presets_of
from jladkit.training.recipe import fill, read_recipe
from tests.cli.conftest import TINY, Typed
from tests.documented import (
    DOCUMENTS,
    ROOT,
    Shown,
    blocks,
    command_of,
    inline,
    parsed,
    settings,
    text_of,
)
from tests.stand_ins import StandIns, put

NETWORK = """
import torch

class Network(torch.nn.Module):
    def forward(self, source, target):
        return torch.zeros(len(source), 2, 256, 256)
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> StandIns:
    return StandIns(tmp_path_factory.mktemp("stand_ins"))


def test_the_documents_are_read_at_all():
    assert len(list(blocks())) > 50
    assert {shown.words[0] for shown in blocks()} >= {
        "build-dataset",
        "train",
        "evaluate",
        "report",
    }
    assert len(list(inline())) > 10 and len(list(settings())) > 10


@pytest.mark.parametrize("shown", dict.fromkeys(blocks()), ids=str)
def test_a_command_on_a_line_runs(
    shown: Shown, stage: StandIns, jladkit: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _, values = parsed(shown.words)
    check_names(values)
    monkeypatch.chdir(tmp_path)
    put(stage, shown.words, values)
    (tmp_path / "network.py").write_text(NETWORK)
    (tmp_path / "mine.py").write_text(mine())
    words = [*shown.words, *shortened(shown.words, values)]
    code, out, err = jladkit(*words)
    assert code == 0, f"{shlex.join(words)}\n{err}"
    for key in ("out", "png"):
        if values.get(key) is not None:
            assert values[key].exists(), f"{shlex.join(words)} wrote no {values[key]}"
    if not values.get("out"):
        assert out.strip(), f"{shlex.join(words)} says nothing"


def shortened(words: tuple[str, ...], values: dict[str, Any]) -> list[str]:
    """What is put behind a command so that it ends soon."""
    if words[:2] == ("build-dataset", "synthetic"):
        return ["--images", "12", "--category", "car", "--faces", "0"]
    if words[0] != "train":
        return []
    settings = [*TINY, "train.steps=[2]"]  # the latter is of landmark methods
    recipe = read_recipe(values["method"], values["recipe"], values["settings"])
    if recipe["train"].get("backbone_from"):
        settings.append("train.backbone_from=blocks.2")  # which is as far as TINY goes
    return [w for s in settings if applies(s, values["method"]) for w in ("--set", s)]


def mine() -> str:
    """The README's own method."""
    return re.findall(r"```python\n(.*?)```", text_of("README.md"), re.DOTALL)[-1]


def applies(setting: str, method: str) -> bool:
    """Whether a method's recipe has the key of a setting."""
    section, _, key = setting.partition("=")[0].partition(".")
    sections = registry.load("method", method).sections
    return section in sections and key in sections[section].__dataclass_fields__


def check_names(values: dict[str, Any]) -> None:
    """The names that click takes as any text: methods, recipes and their settings, protocols."""
    method = values.get("method")
    if method is not None and ":" not in method:
        assert method in registry.names("method")
    protocol = values.get("protocol")
    if protocol not in (None, "all"):
        assert protocol in presets_of(values["metric"])
    if "recipe" in values and method is not None:
        sections = registry.load("method", method).sections
        fill(sections, read_recipe(method, values["recipe"], values["settings"]))


@pytest.mark.parametrize("shown", dict.fromkeys(inline()), ids=str)
def test_a_command_in_prose_is_there_with_the_options_that_it_names(shown: Shown):
    command, rest = command_of(shown.words)
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    named = {word.partition("=")[0] for word in rest if word.startswith("-")}
    assert named - {"--help", "-h", "--version"} <= known
    method = [after for word, after in pairwise(rest) if word == "--method"]
    assert set(method) <= set(registry.names("method"))


@pytest.mark.parametrize(("document", "setting"), list(settings()))
def test_settings_in_prose_are_those_of_the_joint_method(document: str, setting: str):
    section, _, key = setting.partition("=")[0].partition(".")
    config = fill(registry.load("method", "joint").sections, read_recipe("joint", "cpu", [setting]))
    assert hasattr(config[section], key)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_has_every_target_that_is_named(document: str):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = text_of(document)
    lines = re.findall(r"^ {4}make ([a-z ]+?)(?:\s{2,}|$| [A-Z#])", text, re.MULTILINE)
    named = [*lines, *re.findall(r"`make ([a-z ]+)", text)]
    assert {word for words in named for word in words.split()} <= targets


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("evalute --data a.h5", "No such command"),
        ("evaluate --data a.h5 --alphas 0.1", "No such option"),
        ("evaluate --data a.h5 --metric pkc", "is not one of"),
        ("figure alignmnt --out a.pdf", "No such command"),
    ],
)
def test_a_command_that_is_no_more_would_be_found(words: str, said: str):
    with pytest.raises(click.UsageError, match=said):
        parsed(tuple(words.split()))
