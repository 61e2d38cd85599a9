"""Ctrl-C and `kill` while something runs that must first come to a good end."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass
class Asked:
    """The signal that asked to stop, None as long as none did."""

    signal: int | None = None


@contextlib.contextmanager
def asked_to_stop() -> Iterator[Asked]:
    """Note the first SIGINT or SIGTERM, for the block to end when it can. A second one has the
    effect that it had before. Only the main thread is told of signals; elsewhere none is noted."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before: dict[int, Any] = {}

    def note(number: int, frame: object) -> None:
        asked.signal = number
        print("Stopping when this step is saved; a second time stops at once.", file=sys.stderr)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, note)
    try:
        yield asked
    finally:
        restore()
