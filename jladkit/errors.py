"""The errors a user can cause. The command line prints their sentence and no traceback."""


class JladkitError(Exception):
    """Something is wrong with a file or with data: what must hold, what was found, what to do.

    Ends the command line with exit code 1.
    """

    exit_code = 1


class UsageError(JladkitError):
    """An option or a name is wrong. Ends the command line with exit code 2."""

    exit_code = 2
