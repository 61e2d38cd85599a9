"""The errors a user can cause. The command line prints their sentence and no traceback."""


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
