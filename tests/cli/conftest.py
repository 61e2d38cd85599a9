"""The command line, typed within this process."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jladkit import cli

Typed = Callable[..., tuple[int, str, str]]
TINY = [
    "model.size=64",
    "model.layers=['blocks.2']",
    "model.width=16",
    "model.landmarks=2",
    "model.radius=2",
    "train.batch=4",
    "train.synthetic_steps=2",
    "train.rounds=1",
    "train.align_steps=1",
    "train.detect_steps=1",
]


@pytest.fixture
def jladkit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Run `jladkit WORDS...`; gives exit code, standard output and standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["jladkit", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture(scope="session")
def run(dots_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training of four steps."""
    out = tmp_path_factory.mktemp("cli") / "run"
    settings = [word for setting in TINY for word in ("--set", setting)]
    words = ["train", "--data", dots_path, "--method", "joint", "--out", out, *settings]
    command = [sys.executable, "-m", "jladkit", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "model.safetensors" in done.stderr
    return out
