"""Recipes: names, files, overrides, and what is refused."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from jladkit.errors import JladkitError, UsageError
from jladkit.training.joint_recipe import SECTIONS
from jladkit.training.recipe import fill, read_recipe, toml_value


@dataclass(frozen=True)
class Knobs:
    steps: int = 3
    rate: float = 0.5
    name: str = "x"


def test_settings_go_over_the_file_and_the_file_over_defaults(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text("[knobs]\nsteps = 7\nrate = 1\n")
    table = read_recipe("joint", str(file), ["knobs.steps=9"])
    assert fill({"knobs": Knobs}, table)["knobs"] == Knobs(steps=9, rate=1.0, name="x")


@pytest.mark.parametrize("name", ["cpu", "paper"])
def test_every_recipe_of_the_joint_method_fits_its_sections(name: str):
    assert set(fill(SECTIONS, read_recipe("joint", name))) == set(SECTIONS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["train.step=3"], r"\[train\] has no key 'step'\. Known: seed"),
        (["trian.seed=3"], r"Unknown section \[trian\]"),
        (["train.seed='three'"], r"train\.seed must be a whole number, but is 'three'"),
        (["train.seed=true"], r"train\.seed must be a whole number, but is True"),
        (["loss.temperature=nan"], r"loss\.temperature must be a number, but is nan"),
        (
            ["loss.align=['a', 1, 1]"],
            r"loss\.align must be a list of numbers, but is \['a', 1, 1\]",
        ),
        (["train.learning_rates=[1, 0.1, -0.1]"], "three numbers above 0"),
        (["train.seed=-1"], r"train\.seed must be at least 0, but is -1"),
        (["train.rounds=-1"], r"train\.rounds must be at least 0, but is -1"),
        (["loss.window=0"], r"loss\.window must be at least 1, but is 0"),
        (["model.width=24"], r"model\.width must be a multiple of 16, but is 24"),
        (["seed=3"], r"--set must be section\.key=value"),
        (["loss.joint=sum"], "printed, normalised, coordinates, none"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(settings: list[str], message: str):
    with pytest.raises(UsageError, match=message):
        fill(SECTIONS, read_recipe("joint", "cpu", settings))


def test_an_unknown_recipe_is_named_beside_those_there_are():
    with pytest.raises(
        UsageError,
        match=r"has no recipe 'gpu'\. Did you mean 'cpu'\? It has: animals, cpu, faces, faces-tuned, fine, paper, tuned",
    ):
        read_recipe("joint", "gpu")


def test_a_file_that_is_not_toml_or_has_loose_keys_is_refused(tmp_path: Path):
    file = tmp_path / "bad.toml"
    file.write_text("a = = 1")
    with pytest.raises(JladkitError, match="is not TOML"):
        read_recipe("joint", str(file))
    file.write_text("seed = 1")
    with pytest.raises(JladkitError, match="seed must stand in a section"):
        read_recipe("joint", str(file))


def test_a_value_that_is_no_toml_is_text():
    assert toml_value("1e-3") == 1e-3
    assert toml_value("[1, 2]") == [1, 2]
    assert toml_value("weights/r101.pth") == "weights/r101.pth"
