"""How far a long command is: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_LINE_SECONDS = 5.0
_BAR_SECONDS = 0.1


class Progress:
    """Shows bytes done out of a total, events a second, and the time left, on standard error.

    Args:
        total: Bytes to do.
        done: Bytes that an earlier run did.
    """

    def __init__(self, total: int, done: int = 0) -> None:
        self._total, self._before = max(1, total), done
        self._started = self._shown = time.monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._open_bar()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, done: int, count: Callable[[], int], note: str = "") -> None:
        """Show it, though not more often than anybody can read.

        Args:
            done: Bytes done.
            count: Gives how many events this run has delivered.
            note: What holds it up.
        """
        now = time.monotonic()
        if now - self._shown < (_LINE_SECONDS if self._bar is None else _BAR_SECONDS):
            return
        self._shown = now
        events = count()
        rate = events / (now - self._started)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, rate=f"{rate:,.0f}/s", note=note)
            return
        left = (now - self._started) * (self._total - done) / max(1, done - self._before)
        print(
            f"{min(100, done * 100 // self._total)} %, {events:,} events delivered, {rate:,.0f}/s, "
            f"{_words(left)} left{': ' + note if note else ''}",
            file=sys.stderr,
            flush=True,
        )

    def _open_bar(self) -> None:
        try:
            from rich import progress  # noqa: PLC0415 - only for those who look at it
            from rich.console import Console  # noqa: PLC0415
        except ImportError:
            return  # plain lines do as well
        columns: list[Any] = [
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[note]}", markup=False),
        ]
        self._bar = progress.Progress(*columns, console=Console(stderr=True))
        self._task = self._bar.add_task("", total=self._total, completed=self._before, rate="", note="")
        self._bar.start()


def _words(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
