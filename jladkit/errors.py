"""The errors a user can cause. The command line prints their sentence and no traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class JladkitError(Exception):
    """Something is wrong with a file or with data: what must hold, what was found, what to do.

    Ends the command line with exit code 1.
    """

    exit_code = 1


class Stopped(KeyboardInterrupt):
    """Somebody, or the system, asked to stop: by what signal, and what is to be said of it.

    No JladkitError, so that nothing that goes on after an error goes on after it.
    """

    def __init__(self, signal: int, text: str = "Stopped.") -> None:
        super().__init__(text)
        self.exit_code = 128 + signal  # as shells have it: 130 of Ctrl-C, 143 of `kill`


class UsageError(JladkitError):
    """An option or a name is wrong. Ends the command line with exit code 2."""

    exit_code = 2


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ " Did you mean 'joint'?", to stand behind a sentence; "" where nothing known is near."""
    near = get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
