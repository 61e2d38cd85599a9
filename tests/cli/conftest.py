"""The command line, typed within this process."""

import sys
from collections.abc import Callable

import pytest

from jladkit import cli

Typed = Callable[..., tuple[int, str, str]]


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
