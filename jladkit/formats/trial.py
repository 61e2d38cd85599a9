"""A look at an HDF5 file in another process, before this one opens it.

At some damaged files HDF5 itself goes around in circles for ever, or ends its process. What is read
here in vain is read by a copy of the process, which may be ended.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import h5py

from jladkit.errors import JladkitError
from jladkit.formats.stored import check_stored

PATIENCE = 5.0  # seconds, of which a whole file takes a hundredth
RATE = 20e6  # bytes a second beyond that, on a slow disk
PIECE = 1 << 24  # bytes that are read at a time


def check_survives(path: Path) -> None:
    """Raise JladkitError where HDF5 does not come to an end with a file.

    Where processes cannot be copied (Windows) nothing is checked.
    """
    if not hasattr(os, "fork"):
        return
    patience = PATIENCE + path.stat().st_size / RATE
    ended = in_a_copy(path, patience)
    if ended is None:  # a copy of a process with threads may wait for a lock: a fresh one has none
        code = "import sys; from jladkit.formats.trial import look; look(sys.argv[1])"
        with contextlib.suppress(subprocess.TimeoutExpired):
            command = [sys.executable, "-c", code, str(path)]
            ended = subprocess.run(
                command, capture_output=True, timeout=2 * patience, check=False
            ).returncode
    if ended is None or ended < 0:
        what = "HDF5 finds no end in it" if ended is None else f"HDF5 dies of it (signal {-ended})"
        raise JladkitError(f"{path} is damaged: {what}. Get or make it again.")


def in_a_copy(path: Path, patience: float) -> int | None:
    """How a copy of this process ended that looked at the file; None where it had to be ended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12's, about threads
        child = os.fork()
    if not child:
        try:
            look(str(path))
        finally:
            os._exit(0)  # errors are for the process that reads in earnest
    until, pause = time.monotonic() + patience, 1e-4
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def look(path: str) -> None:
    """Read all of a file that is not plain bytes: labels, texts, what is stored in chunks."""
    with h5py.File(path, "r") as file:
        with contextlib.suppress(Exception):
            list(file.attrs.items())

        def visit(name: str, found: Any) -> None:
            with contextlib.suppress(Exception):
                if isinstance(found, h5py.Dataset):
                    look_at(path, name, found)

        file.visititems(visit)


def look_at(path: str, name: str, found: h5py.Dataset) -> None:
    """Read one field, unless it lies in one piece."""
    check_stored(path, name, found)
    if found.id.get_offset() is not None or found.is_virtual:
        return
    rows = max(1, PIECE // max(1, found.nbytes // max(1, len(found))))
    for start in range(0, len(found), rows):
        found[start : start + rows]
