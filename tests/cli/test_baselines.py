"""jladkit baselines: every method trained and scored once, into one table."""

from pathlib import Path

import pytest

from jladkit.cli.baselines import able, check_names, meant_for, parse_test
from jladkit.errors import UsageError
from tests.cli.conftest import TINY, Typed


def test_a_test_names_a_file_and_its_protocols():
    assert parse_test("a=b.h5=scnet,jlad") == (Path("a=b.h5"), ["scnet", "jlad"])
    for wrong in ("a.h5", "=jlad", "a.h5="):
        with pytest.raises(UsageError, match="FILE=PROTOCOL"):
            parse_test(wrong)


def test_a_setting_goes_to_the_method_that_it_names_or_to_all():
    settings = ["joint:model.size=64", "train.seed=1", "ncnet:model.layers=['a:b']"]
    assert meant_for("joint", settings) == ["model.size=64", "train.seed=1"]
    assert meant_for("ncnet", settings) == ["train.seed=1", "model.layers=['a:b']"]


def test_a_recipe_goes_to_the_method_that_it_names_or_to_all():
    assert meant_for("joint", ["cpu", "joint:faces"])[-1] == "faces"
    assert meant_for("ncnet", ["cpu", "joint:faces", "fpe:own/recipe.toml"])[-1] == "cpu"
    with pytest.raises(UsageError, match="jont"):
        meant_for("ncnet", ["jont:faces"])


def test_each_metric_takes_the_methods_that_do_what_it_scores():
    assert {"identity", "nearest", "joint"} <= set(able("pck"))
    assert {"mean-shape", "joint"} <= set(able("iod"))
    assert "mean-shape" not in able("pck")


def test_methods_are_trained_and_scored_once(jladkit: Typed, dots_path: Path, tmp_path: Path):
    words = ["baselines", dots_path, "--metric", "pck", "--test", f"{dots_path}=jlad,scnet",
             "--method", "identity", "--method", "joint", "--out", tmp_path,
             *(word for s in TINY for word in ("--set", f"joint:{s}"))]  # fmt: skip
    code, out, err = jladkit(*words)
    assert code == 0, err
    lines = out.splitlines()
    assert sum(line.startswith(("identity ", "joint ")) for line in lines) == 2
    assert "jlad @0.1" in lines[1] and "scnet @0.1" in lines[1]
    assert err.count("$ jladkit train") == 1
    code, again, err = jladkit(*words)
    assert (code, again) == (0, out)
    assert "$ jladkit" not in err
    assert (tmp_path / "table.txt").read_text().strip() == out.strip()


def test_data_sets_of_one_name_are_refused(jladkit: Typed, dots_path: Path, tmp_path: Path):
    other = tmp_path / "other.h5"
    other.write_bytes(dots_path.read_bytes())
    code, _, err = jladkit(
        "baselines", dots_path, "--metric", "pck", "--test", f"{dots_path}=jlad",
        "--test", f"{other}=jlad", "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 2 and "both called 'dots'" in err and str(other) in err
    check_names([dots_path, dots_path])  # scored twice, by other protocols
