"""The rings of this machine, for an event loop."""

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from posthog_mcp.limits.database import Busy, Database
from posthog_mcp.limits.holders import Holder
from posthog_mcp.limits.limit import Budget, LimitExceeded, Reservation, State, Ticket
from posthog_mcp.limits.sqlite import SqliteRings

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class LocalRings:
    """The rings of this machine: opened when first needed, in this thread where the file is free.

    Where the file cannot be used, they are this process's own from then on; the log says so once.

    Args:
        path: The file; None keeps the rings in this process alone.
        guard: Seconds added to every window.
    """

    def __init__(self, path: Path | None, guard: float) -> None:
        self._path = path
        self._guard = guard
        self._rings: SqliteRings | None = None
        self._opening = anyio.Lock()

    @property
    def where(self) -> str:
        """In words for people: who shares them."""
        return "all processes of this machine" if self._path else "this process alone"

    async def reserve(
        self, budget: Budget, patience: float, *, background: bool = False, after: float = 0.0
    ) -> Reservation:
        """Take the first slot that every limit allows."""
        return await self._run(
            lambda rings, blocking: rings.reserve(
                budget, patience, background=background, after=after, blocking=blocking
            )
        )

    async def record(self, budget: Budget, wait: float) -> Reservation:
        """Keep a slot that was given out elsewhere."""
        return await self._run(lambda rings, blocking: rings.record(budget, wait, blocking=blocking))

    async def due(self, budget: Budget, reservation: Reservation) -> float:
        """Seconds until the slot is due; to be asked before every send."""
        return await self._run(lambda rings, blocking: rings.due(budget, reservation, blocking=blocking))

    async def give_back(self, budget: Budget, reservation: Reservation) -> None:
        """Return a slot that will not be used."""
        await self._run(lambda rings, blocking: rings.give_back(budget, reservation, blocking=blocking))

    async def penalize(self, budget: Budget, seconds: float | None) -> float:
        """Note a refusal, and hold everyone back."""
        return await self._run(lambda rings, blocking: rings.penalize(budget, seconds, blocking=blocking))

    async def state(self, budget: Budget) -> State:
        """What is known of the budget now."""
        return await self._run(lambda rings, blocking: rings.state(budget, blocking=blocking))

    async def note(self, budget: Budget, remaining: int) -> None:
        """Keep what PostHog said remains."""
        await self._run(lambda rings, blocking: rings.note(budget, remaining, blocking=blocking))

    async def enter(self, queue: str, holder: Holder, seconds: float) -> Ticket:
        """Join a queue; gives the ticket."""
        return await self._run(lambda rings, blocking: rings.enter(queue, holder, seconds, blocking=blocking))

    async def ahead(self, queue: str, ticket: Ticket) -> int:
        """How many stand before a ticket."""
        return await self._run(lambda rings, blocking: rings.ahead(queue, ticket, blocking=blocking))

    async def leave(self, queue: str, ticket: Ticket) -> None:
        """Leave a queue."""
        await self._run(lambda rings, blocking: rings.leave(queue, ticket, blocking=blocking))

    async def learn(self, name: str, value: str) -> str:
        """Keep a fact unless it is known already; gives the value that holds now."""
        return await self._run(lambda rings, blocking: rings.learn(name, value, blocking=blocking))

    async def recall(self, name: str) -> str:
        """A fact; empty when nothing is known."""
        return await self._run(lambda rings, blocking: rings.recall(name, blocking=blocking))

    async def close(self) -> None:
        """Close the file; slots already given out stay given out."""
        rings, self._rings = self._rings, None
        if rings:
            rings.close()

    async def _run(self, do: Callable[[SqliteRings, bool], _T]) -> _T:
        rings = self._rings or await self._opened()
        try:
            try:
                return do(rings, False)
            except Busy:
                # Not abandoned on cancellation: a slot taken by a thread that nobody waits for would be lost.
                return await anyio.to_thread.run_sync(do, rings, True)
        except LimitExceeded:
            raise
        except (OSError, sqlite3.Error) as error:
            if self._path is None:
                raise
            await self._keep_to_ourselves(error)
            return await self._run(do)

    async def _opened(self) -> SqliteRings:
        async with self._opening:
            if self._rings is None:
                try:
                    self._rings = await anyio.to_thread.run_sync(self._open)
                except (OSError, sqlite3.Error) as error:
                    if self._path is None:
                        raise
                    await self._keep_to_ourselves(error)
                    self._rings = self._open()
            return self._rings

    def _open(self) -> SqliteRings:
        return SqliteRings(Database(self._path), self._guard)

    async def _keep_to_ourselves(self, error: Exception) -> None:
        await self.close()
        path, self._path = self._path, None
        if path:
            reason = getattr(error, "strerror", None) or str(error)
            _log.warning(
                "Limits are counted for this process alone: %s cannot be used (%s). "
                "Other copies of the server do not see what it sends.",
                path,
                reason,
            )
