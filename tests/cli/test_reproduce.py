"""jladkit reproduce: every run and row once, resumed where it was stopped."""

import json
from pathlib import Path

import pytest

from jladkit.cli import reproduce
from tests.cli.conftest import TINY, Typed

SETTINGS = [w for s in [*TINY, "train.warps=1"] if "rounds" not in s for w in ("--set", s)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reproduce") / "out"


def test_two_runs_with_one_seed_give_seven_rows_and_a_second_call_does_nothing(
    jladkit: Typed, dots_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
):
    words = ["reproduce", dots_path, "--out", whole, "--seed", 0,
             "--run", "joint", "--run", "no-joint", *SETTINGS]  # fmt: skip
    code, out, err = jladkit(*words)
    assert code == 0, err
    lines = out.strip().splitlines()
    made = ("separate", "joint", "no-joint")
    labels = [row.label for row in reproduce.ROWS if row.run in made]
    assert len(labels) == 6
    assert [line.split("  ")[0] for line in lines[-6:]] == labels
    assert reproduce.CONTROL in lines[1]
    assert (whole / "dots" / "table1.txt").read_text().strip() == out.strip()

    monkeypatch.setattr(reproduce, "step", None)  # a step would fail now
    code, again, err = jladkit(*words)
    assert (code, again) == (0, out)


def test_rows_that_are_missing_are_made_from_the_run_that_is_there(
    jladkit: Typed, dots_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
):
    row = next(row for row in reproduce.ROWS if "alternation 2" in row.label)
    lost = reproduce.items_path(whole / "dots", row, 0, "pck", "jlad")
    lost.unlink()
    steps: list[str] = []
    plain = reproduce.step

    def noted(*words: object, **options: bool) -> None:
        steps.append(str(words[0]))
        plain(*words, **options)

    monkeypatch.setattr(reproduce, "step", noted)
    words = ["reproduce", dots_path, "--out", whole, "--seed", 0, "--run", "joint", *SETTINGS]
    code, _, err = jladkit(*words)
    assert code == 0, err
    assert steps == ["train", "predict", "evaluate", "evaluate"]
    assert lost.exists()


def test_runs_begin_with_the_separate_one_unless_their_network_is_another():
    folder = Path("out") / "dots"
    assert reproduce.length(folder, "separate", 1) == ["train.rounds=0"]
    assert reproduce.length(folder, "joint", 1)[2:] == [
        "train.synthetic_steps=0",
        f"train.start={json.dumps('out/dots/separate/seed-1')}",
    ]
    assert reproduce.length(folder, "wo-ss", 1) == ["train.rounds=4", "train.snapshots=true"]
