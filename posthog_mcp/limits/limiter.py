"""Waiting for a permit: the part that sleeps."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from posthog_mcp.limits.limit import Limit, LimitExceeded, Reservation, Usage
from posthog_mcp.limits.sqlite import Busy, SqliteRings

_log = logging.getLogger(__name__)

_EARLY = 0.25  # seconds: a timer that fired early is not a longer wait
Waiting = Callable[[str, float], Awaitable[None]]


class Rings(Protocol):
    """Where slots are kept; see `SqliteRings` for what each method does."""

    async def reserve(
        self, group: str, limits: Sequence[Limit], patience: float, *, background: bool = False
    ) -> Reservation:
        """Take the first slot that every limit allows."""
        ...

    async def remaining(self, reservation: Reservation) -> float:
        """Seconds until the slot is due."""
        ...

    async def give_back(self, reservation: Reservation) -> None:
        """Return a slot that will not be used."""
        ...

    async def penalize(self, group: str, limits: Sequence[Limit], seconds: float | None) -> float:
        """Note a refusal, and hold everyone back."""
        ...

    async def usage(self, group: str, limits: Sequence[Limit]) -> list[Usage]:
        """What is spent of each limit now."""
        ...

    async def close(self) -> None:
        """Let go of what is held open."""
        ...


class LocalRings:
    """`SqliteRings` for an event loop: in this thread where the file is free, else in a worker thread."""

    def __init__(self, path: Path | None, guard: float) -> None:
        self._rings = SqliteRings(path, guard)

    async def reserve(
        self, group: str, limits: Sequence[Limit], patience: float, *, background: bool = False
    ) -> Reservation:
        """Take the first slot that every limit allows."""
        try:
            return self._rings.reserve(group, limits, patience, background=background, blocking=False)
        except Busy:
            # Not abandoned on cancellation: a slot taken by a thread that nobody waits for would be lost.
            return await anyio.to_thread.run_sync(
                lambda: self._rings.reserve(group, limits, patience, background=background)
            )

    async def remaining(self, reservation: Reservation) -> float:
        """Seconds until the slot is due."""
        try:
            return self._rings.remaining(reservation, blocking=False)
        except Busy:
            return await anyio.to_thread.run_sync(self._rings.remaining, reservation)

    async def give_back(self, reservation: Reservation) -> None:
        """Return a slot that will not be used."""
        await anyio.to_thread.run_sync(self._rings.give_back, reservation)

    async def penalize(self, group: str, limits: Sequence[Limit], seconds: float | None) -> float:
        """Note a refusal, and hold everyone back."""
        return await anyio.to_thread.run_sync(self._rings.penalize, group, limits, seconds)

    async def usage(self, group: str, limits: Sequence[Limit]) -> list[Usage]:
        """What is spent of each limit now."""
        return await anyio.to_thread.run_sync(self._rings.usage, group, limits)

    async def close(self) -> None:
        """Let go of what is held open."""
        self._rings.close()


class Limiter:
    """Some limits, taken together by everyone who shares the rings.

    Args:
        rings: Where slots are kept.
        group: A name for the limits taken together; a cool-down is the group's.
        limits: All of them count.
    """

    def __init__(self, rings: Rings, group: str, limits: Sequence[Limit]) -> None:
        self._rings = rings
        self._group = group
        self._limits = tuple(limits)

    async def acquire(
        self,
        timeout: float,  # noqa: ASYNC109 - the wait is known before it starts, none is cut short
        *,
        background: bool = False,
        waiting: Waiting | None = None,
    ) -> float:
        """Wait for a permit.

        Args:
            timeout: The most seconds to wait; a longer wait is refused at once.
            background: Leave the last tenth of each window to others.
            waiting: Told `(limit group, seconds)` before a wait begins.

        Returns:
            The seconds waited.

        Raises:
            LimitExceeded: No permit within `timeout`; `wait` says when there is one.
        """
        started = anyio.current_time()
        reservation = await self._reserve(timeout, background=background)
        try:
            wait = reservation.wait
            while wait > 0:
                if waiting:
                    await waiting(self._group, wait)
                await anyio.sleep(wait)
                # Read again just before sending: another process may have been refused meanwhile.
                wait = await self._rings.remaining(reservation)
                self._check(wait, timeout - (anyio.current_time() - started))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._rings.give_back(reservation)
            raise
        return anyio.current_time() - started

    def _check(self, wait: float, left: float) -> None:
        if wait > max(left, _EARLY):
            raise LimitExceeded(self._group, wait)

    async def _reserve(self, patience: float, *, background: bool) -> Reservation:
        if not background:
            return await self._rings.reserve(self._group, self._limits, patience)
        deadline = anyio.current_time() + patience
        while True:
            try:
                return await self._rings.reserve(self._group, self._limits, 0, background=True)
            except LimitExceeded as spent:
                if anyio.current_time() + spent.wait > deadline:
                    raise
                # A slot in the future would make people wait behind it, so none is taken before its time.
                await anyio.sleep(spent.wait)

    async def penalize(self, seconds: float | None = None) -> float:
        """Note a refusal (429): everyone holds back for `seconds`, or for a growing time if none was named.

        Returns:
            Seconds until the cool-down ends.
        """
        return await self._rings.penalize(self._group, self._limits, seconds)

    async def usage(self) -> list[Usage]:
        """What is spent of each limit now."""
        return await self._rings.usage(self._group, self._limits)

    async def close(self) -> None:
        """Close the rings."""
        await self._rings.close()
