"""What the command line says to a name that is none, and what a shell offers for one."""

import os
import subprocess
import sys

import pytest

from jladkit import registry
from tests.cli.conftest import Typed
from tests.documented import ROOT

SCRIPT = "import sys; sys.argv = ['jladkit']; from jladkit.cli import main; main()"


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("evalute", "evaluate"),
        ("figure alignmnt", "alignment"),
        ("build-dataset pascal", "pascal3d"),
        ("list metric", "metrics"),
        ("evaluate --data {} --metric pkc", "pck"),
        ("evaluate --data {} --method identiy", "identity"),
        ("evaluate --data {} --method identity --protocol scnt", "scnet"),
        ("evaluate --data {} --method identity --metric iod --protocol recomended", "recommended"),
        ("train --data {} --method jont --out run", "joint"),
        ("train --data {} --method joint --recipe papr --out run", "paper"),
        ("train --data {} --method joint --set trian.batch=2 --out run", "train"),
        ("train --data {} --method joint --set train.bach=2 --out run", "batch"),
    ],
)
def test_a_name_that_is_none_is_told_what_was_meant(
    jladkit: Typed, dots_path: object, line: str, meant: str
):
    code, _, err = jladkit(*line.replace("{}", str(dots_path)).split())
    assert code == 2
    assert "Did you mean" in err and f"'{meant}'" in err.partition("Did you mean")[2][:40], err


def test_an_option_that_is_none_is_told_what_was_meant_in_the_words_of_any_click(jladkit: Typed):
    code, _, err = jladkit("evaluate", "--data", "a.h5", "--splitt", "test")
    assert code == 2
    assert "--split" in err.partition("--splitt")[2], err


def test_a_name_that_is_near_to_nothing_is_told_what_there_is(jladkit: Typed):
    code, _, err = jladkit("xyzzy")
    assert code == 2 and "Did you mean" not in err and "Known: baselines, build-dataset" in err


def shell(mode: str, *words: str) -> str:
    """What the shell's completion gets for `jladkit WORDS`, the last being unfinished."""
    told = {"_JLADKIT_COMPLETE": mode, "COMP_WORDS": " ".join(["jladkit", *words]),
            "COMP_CWORD": str(len(words))}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONPATH": str(ROOT), **told},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_comes_out(name: str):
    script = shell(f"{name}_source")
    assert "_JLADKIT_COMPLETE" in script and f"{name}_complete" in script and "jladkit" in script


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["fig"], ["figure"]),
        (["figure", "al"], ["alternations", "alignment"]),
        (["build-dataset", "pf"], ["pf-pascal", "pf-willow"]),
        (["train", "--method", "c"], ["cig", "cnngeo", "cnninlier"]),
        (["evaluate", "--method", "c"], ["cig", "cnngeo", "cnninlier", "consensus"]),
        (["train", "--method", "joint", "--recipe", "p"], ["paper"]),
        (["evaluate", "--metric", "iod", "--protocol", "rec"], ["recommended"]),
        (["evaluate", "--metric", "sp"], ["sparsification"]),
        (["list", "me"], ["methods", "metrics"]),
    ],
)
def test_names_are_offered(words: list[str], offered: list[str]):
    lines = shell("bash_complete", *words).split()
    assert [line.partition(",")[2] for line in lines] == offered


def test_every_method_is_offered_without_importing_any():
    code = (
        "import sys, click; from jladkit.cli import offers\n"
        "print(*offers.methods(None, None, '')); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True, timeout=60, check=True)  # fmt: skip
    assert done.stdout.split() == list(registry.names("method"))
