"""One writer to an output: a lock that goes with its process, however that ends."""

import contextlib
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

from jladkit.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextlib.contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Keep others that ask for the same `path` out until the block ends.

    The lock is on .NAME.lock beside `path`, whose folder must be there; one that a dead process
    left behind is no obstacle. What such a process was writing aside is removed.

    Args:
        path: the file that is to be written.
        what: who else it may be, such as "build".

    Raises:
        UsageError: another process is at it.
        OSError: the folder cannot be written.
    """
    sidecar = path.with_name(f".{path.name}.lock")
    held = locked(sidecar)
    if held is None:
        raise UsageError(
            f"Another {what} is writing {path} right now. Wait for it, or give another --out."
        )
    try:
        for left in path.parent.glob(f".{path.name}.*.part"):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        yield
    finally:
        sidecar.unlink(missing_ok=True)  # before it is let go: a lock on it would be worth nothing
        os.close(held)


def locked(sidecar: Path) -> int | None:
    """The open file that holds the lock; None where another process holds it."""
    while True:
        file = os.open(sidecar, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            if fcntl is None:
                raise OSError("no locks on this system")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        except OSError as error:  # some network file systems
            warnings.warn(
                f"{sidecar.parent} cannot lock files ({error}): nothing keeps a second process from "
                "writing there at the same time.",
                stacklevel=3,
            )
            return file
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), sidecar.stat()):
                return file
        os.close(file)  # the one that held it removed it meanwhile
