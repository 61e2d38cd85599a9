"""jladkit figure: every figure from the files that it reads, and what is refused in words."""

import subprocess
import sys
from pathlib import Path

import pytest

from jladkit.cli.figure import FIGURES, SUMMARIES
from jladkit.training.checkpoint import read_checkpoint, write_checkpoint
from tests.cli.conftest import Typed
from tests.documented import ROOT, parsed
from tests.stand_ins import StandIns, put

PAIRS = "--data animals.h5 --count 1"
LINES = {
    "alignment": f"{PAIRS} --method identity --checkpoint mine=runs/a",
    "alternations": "reproduced/animals",
    "categories": "results --alpha 0.1",
    "dataset": "animals.h5",
    "landmark-pairs": "--data animals.h5 --predictions joint.h5 --count 2 --category cat",
    "landmarks": "--data animals.h5 --predictions joint.h5 --count 2",
    "matches": "--data animals.h5 --predictions joint.h5 --count 1",
    "pck": "results --protocol jlad",
    "self-similarity": f"{PAIRS} --checkpoint runs/a",
    "sparsification": "results",
    "strata": "results --stratum azimuth difference",
    "training": "runs/a",
    "uncertainty": f"{PAIRS} --checkpoint runs/a",
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> StandIns:
    return StandIns(tmp_path_factory.mktemp("figures"))


@pytest.fixture
def here(stage: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    monkeypatch.chdir(tmp_path)
    return stage


def words_of(name: str, out: str) -> tuple[str, ...]:
    line = LINES[name].replace("azimuth difference", "azimuth_difference").split()
    return ("figure", name, *(w.replace("azimuth_", "azimuth ") for w in line), "--out", out)


def test_each_figure_has_a_summary_and_a_line_here():
    assert FIGURES.keys() == SUMMARIES.keys() == LINES.keys()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_written_as_vectors(here: StandIns, jladkit: Typed, name: str):
    words = words_of(name, "figures/a.svg")
    put(here, words, parsed(words)[1])
    code, said, err = jladkit(*words)
    assert (code, said) == (0, ""), err
    assert "Wrote figures/a.svg" in err
    assert Path("figures/a.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("pck results --out a.jpg", 2, "a.jpg must end in .pdf or .svg"),
        ("pck none --out a.pdf", 1, "There is no file or folder none"),
        ("pck results --protocol scnt --out a.pdf", 2,
         "There are: 2 of --metric pck --dataset animals --protocol jlad --split test"),
        ("categories mixed --out a.pdf", 2, "cannot be compared"),
        ("sparsification results --out a.pdf", 2, "No result has --metric sparsification"),
        ("alignment --data animals.h5 --out a.pdf", 2, "Give --method or --checkpoint"),
        ("alignment --data animals.h5 --method identity --pair 9999 --out a.pdf", 2, "pairs of animals.h5"),
        ("alignment --data animals.h5 --method identity --category cta --out a.pdf", 2,
         "There is no category 'cta'. Did you mean 'cat'? Known: cat."),
        ("alignment --data animals.h5 --method mean-shape --out a.pdf", 2, "does not match pictures"),
        ("uncertainty --data animals.h5 --out a.pdf", 2, "Give --method or --checkpoint"),
        ("training animals.h5 --out a.pdf", 1, "There is no file animals.h5/log.jsonl"),
        ("alternations results --out a.pdf", 1, "has neither log.jsonl of a training nor scores"),
        ("landmarks --data animals.h5 --predictions flat.h5 --out a.pdf", 1, "There is no file flat.h5"),
        ("dataset none.h5 --out a.pdf", 1, "There is no file none.h5"),
    ],
)  # fmt: skip
def test_bad_input_ends_with_one_sentence_and_no_file(
    here: StandIns, jladkit: Typed, line: str, code: int, said: str
):
    here.results(Path("results"), "animals", ("pck",))
    here.results(Path("mixed"), "animals", ("pck", "iod"))
    put(here, ("inspect", "animals.h5"), {"file": Path("animals.h5")})
    found, _, err = jladkit("figure", *line.split())
    assert found == code, err
    assert said in err and "Traceback" not in err
    assert not Path("a.pdf").exists()


def test_a_model_without_uncertainty_has_no_such_figure(here: StandIns, jladkit: Typed):
    words = ("figure", "uncertainty", *PAIRS.split(), "--checkpoint", "runs/a", "--out", "a.svg")
    put(here, words, parsed(words)[1])
    path = Path("runs/a/model.safetensors")
    tensors, label = read_checkpoint(path)
    label["config"]["model"]["uncertainty"] = False
    write_checkpoint(path, tensors, label)
    code, _, err = jladkit(*words)
    assert code == 2 and "None of these models says how unsure it is" in err


def test_figures_that_run_no_model_import_no_torch(here: StandIns):
    lines: list[list[str]] = []
    for name in ("pck", "dataset", "matches", "training", "landmarks"):
        words = words_of(name, f"{name}.svg")
        put(here, words, parsed(words)[1])
        lines.append(list(words))
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from jladkit.cli import group\n"
        f"for words in {lines!r}: group.main(words, standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
