"""The command line. A command's module is imported when the command is called, not before."""

import io
import re
import signal
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from jladkit.errors import JladkitError, Stopped, did_you_mean

COMMANDS = {
    "baselines": "jladkit.cli.baselines:command",
    "build-dataset": "jladkit.cli.build:command",
    "carry": "jladkit.cli.carry:command",
    "compare": "jladkit.cli.compare:command",
    "demo": "jladkit.cli.demo:command",
    "detect": "jladkit.cli.match:detect_command",
    "evaluate": "jladkit.cli.evaluate:command",
    "export-pairs": "jladkit.cli.export:command",
    "figure": "jladkit.cli.figure:command",
    "inspect": "jladkit.cli.inspect:command",
    "list": "jladkit.cli.list:command",
    "match": "jladkit.cli.match:match_command",
    "merge-predictions": "jladkit.cli.merge:command",
    "predict": "jladkit.cli.predict:command",
    "report": "jladkit.cli.report:command",
    "reproduce": "jladkit.cli.reproduce:command",
    "submit": "jladkit.cli.submit:command",
    "train": "jladkit.cli.train:command",
}

SUMMARIES = {
    "baselines": "Train every method on one data set, score each on others, one table.",
    "build-dataset": "Turn a source's pictures and annotations into a dataset.h5.",
    "carry": "Carry keypoints by landmarks: what landmarks know of alignment.",
    "compare": "Two results: their difference, its interval, and whether it can be chance.",
    "demo": "Go the whole way on drawn data, in ten minutes.",
    "detect": "The landmarks of your own photographs.",
    "evaluate": "Score a method, a checkpoint or a predictions file: PCK, IOD.",
    "export-pairs": "Write a split's pairs as files, for methods that know nothing of jladkit.",
    "figure": "One figure as PDF, SVG or PNG: the paper's, and those beside them.",
    "inspect": "Summarise a file or a training; draw its pairs or its curves.",
    "list": "What there is: datasets, methods, metrics, protocols, recipes.",
    "match": "Where the points of one photograph lie in another.",
    "merge-predictions": "Put the shards of a split's predictions together.",
    "predict": "Store what a method says about a split.",
    "report": "Tables and figures from result files.",
    "reproduce": "Table 1 on your data: separate against joint learning, with controls.",
    "submit": "Add a result to a folder that is a leaderboard.",
    "train": "Train a method.",
}


class LazyGroup(click.Group):
    """A click group whose commands are "module:object" until they are called."""

    def __init__(
        self,
        *args: object,
        table: Callable[[], Mapping[str, str]],
        summaries: Mapping[str, str],
        **kwargs: object,
    ) -> None:
        super().__init__(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        self.table = table
        self.summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = self.table().get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click has it, but a name that is none is told what it may have been meant for."""
        name, known = args[0], self.table()
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(
                f"No such command {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}."
            )
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names and summaries without importing any command, then the group's own options."""
        own = [
            CompletionItem(name, help=self.summaries.get(name))
            for name in self.table()
            if name.startswith(incomplete)
        ]
        return own + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List names and summaries without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.summaries.get(name, "")) for name in self.table()])


@click.command(
    cls=LazyGroup,
    table=lambda: COMMANDS,
    summaries=SUMMARIES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="jladkit")
def group() -> None:
    """Data sets, methods and scores for semantic alignment and landmark detection."""


def main() -> None:
    """Run the command line; a JladkitError ends it with its sentence and exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console that has no é says \\xe9
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, stop)
    try:
        group.main(standalone_mode=False)
    except click.exceptions.Abort as abort:
        reason = abort.__context__  # older versions of click raise it `from None`
        why = reason if isinstance(reason, Stopped) else Stopped(signal.SIGINT)
        click.echo(str(why), err=True)
        sys.exit(why.exit_code)
    except click.ClickException as error:
        error.show()
        hint = hint_of(error)
        if hint:
            click.echo(hint, err=True)
        sys.exit(error.exit_code)
    except JladkitError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of our output, `head` say, has had enough
        sys.exit(141)
    except MemoryError:
        click.echo(
            "Error: The memory does not suffice. Give less at once, or more memory.", err=True
        )
        sys.exit(1)
    except OSError as error:  # a disk that is full, a folder that is gone
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"Error: {where}{error.strerror or error}.", err=True)
        sys.exit(1)


def stop(number: int, frame: object) -> NoReturn:
    """Leave as for Ctrl-C: what is written aside is removed, what was read is kept."""
    raise Stopped(number)


def hint_of(error: click.ClickException) -> str:
    """What a value that is none of an option's choices may have been meant for, or ""."""
    kind = getattr(getattr(error, "param", None), "type", None)
    word = re.match(r"(['\"])(.*?)\1 is not", error.message)  # all that click says of the value
    if not isinstance(kind, click.Choice) or word is None:
        return ""
    return did_you_mean(word[2], map(str, kind.choices)).strip()
