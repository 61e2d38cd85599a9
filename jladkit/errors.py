"""The errors a user can cause. The command line prints their sentence and no traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class JladkitError(Exception):
    """Something is wrong with a file or with data: what must hold, what was found, what to do.

    Ends the command line with exit code 1.
    """

    exit_code = 1


class UsageError(JladkitError):
    """An option or a name is wrong. Ends the command line with exit code 2."""

    exit_code = 2


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ " Did you mean 'joint'?", to stand behind a sentence; "" where nothing known is near."""
    near = get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
