"""How a process that serves standard input ends: at once, with code 0, whatever it was doing."""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 0.9
_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]


class Ending:
    """While entered, signals that end a process call `stop` in the event loop.

    Once the end has begun, the process has 0.9 seconds before it is ended with code 0: a host takes any other
    code, or a process that stays, for a failure. After leaving, signals are ignored, since hosts send a
    second one while the process is ending.
    """

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self._ends = 0.0
        self._begun: queue.SimpleQueue[None] = queue.SimpleQueue()  # may be filled inside a signal handler
        threading.Thread(target=self._backstop, daemon=True, name="backstop").start()

    def begin(self) -> None:
        """Start the time the process has left. May be called from any thread."""
        self._ends = self._ends or time.monotonic() + _SECONDS
        self._begun.put(None)

    def seconds_left(self) -> float:
        """How much time the process has left."""
        return self._ends - time.monotonic() if self._ends else _SECONDS

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def end(*_: object) -> None:
            self.begin()
            loop.call_soon_threadsafe(self._stop)

        for number in _SIGNALS:
            with suppress(NotImplementedError):  # not on Windows; elsewhere it lets a signal wake the loop
                loop.add_signal_handler(number, self._stop)
            signal.signal(number, end)
        return self

    def __exit__(self, *_: object) -> None:
        for number in _SIGNALS:
            with suppress(NotImplementedError):
                asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)

    def _backstop(self) -> None:
        self._begun.get()
        time.sleep(_SECONDS)
        os._exit(0)
