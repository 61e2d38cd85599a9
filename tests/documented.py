"""The commands that the documents show, and the files that stand in for those they name."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from jladkit import cli

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")))  # fmt: skip
SETTING = re.compile(r"(model|loss|train|warp)\.\w+=\S+")


class Shown(NamedTuple):
    """A command as a document shows it, without `jladkit`."""

    document: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document}: {shlex.join(self.words)}"


def text_of(document: str) -> str:
    """A document, lines that go on in the next joined."""
    return re.sub(r"\\\n\s*", " ", (ROOT / document).read_text())


def blocks() -> Iterator[Shown]:
    """The commands that stand on lines of their own, whole."""
    for document in DOCUMENTS:
        for line in text_of(document).splitlines():
            found = re.match(r"\s+(?:\$ )?jladkit (.*)", line)
            if found:
                yield Shown(document, tuple(shlex.split(found[1], comments=True)))


def spans(pattern: str) -> Iterator[tuple[str, str]]:
    """(document, text) of what stands between backquotes within prose and matches `pattern`."""
    for document in DOCUMENTS:
        prose = re.sub(r"```.*?```", "", text_of(document), flags=re.DOTALL)
        for found in re.findall(r"`([^`]+)`", re.sub(r"\s+", " ", prose)):
            if re.fullmatch(pattern, found):
                yield document, found


def inline() -> Iterator[Shown]:
    """The commands that prose names, perhaps without all that they need; alternatives one by one."""
    for document, span in spans(r"jladkit( .*)?"):
        words = span.split()[1:]
        last = words[-1].split("|") if words else []
        for end in last if len(last) > 1 else last[:1]:
            yield Shown(document, (*words[:-1], end))


def settings() -> Iterator[tuple[str, str]]:
    """(document, "section.key=value") of the settings of the joint method that prose names."""
    for document, span in spans(rf"{SETTING.pattern}( {SETTING.pattern})*"):
        for setting in span.split():
            yield document, setting


def command_of(words: tuple[str, ...]) -> tuple[click.Command, list[str]]:
    """The command that words lead to, and what is left of them.

    Raises:
        click.UsageError: there is none of that name.
    """
    here: click.Command = cli.group
    context, rest = click.Context(here), list(words)
    while isinstance(here, click.Group) and rest and not rest[0].startswith("-"):
        name, found, rest = here.resolve_command(context, rest)
        assert found is not None and name is not None
        here, context = found, click.Context(found, parent=context, info_name=name)
    return here, rest


def parsed(words: tuple[str, ...]) -> tuple[click.Command, dict[str, Any]]:
    """The command and the values of its options, checked as click checks them.

    Raises:
        click.UsageError: a command, an option or a value is none.
    """
    command, rest = command_of(words)
    assert not isinstance(command, click.Group), f"{shlex.join(words)} names no command"
    return command, command.make_context(command.name, rest).params
