"""The way of committed rows to the engine: many commits to one insert, which costs as much as a small one."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from posthog_mcp.sandbox.engine import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from posthog_mcp.sandbox.engine import Engine
    from posthog_mcp.sandbox.ingest.journal import Journal, Rows

_log = logging.getLogger(__name__)
_GATHER_SECONDS: Final = 0.05
_INSERT_BYTES: Final = 8 * 1024 * 1024
_RETRY_SECONDS: Final = 1.0
_JOURNAL_LIMIT: Final = 64 * 1024 * 1024
_ENGINE_STOPPED: Final = 0


class EngineDown(Exception):  # noqa: N818 - what happened, nobody's mistake
    """What was taken is safe on disk and will reach the engine; a retry is answered when it has."""

    def __init__(self) -> None:
        super().__init__("The sandbox's engine did not take the events. They are kept: try again later.")


class Delivery:
    """Brings rows from the journal into the engine, in order.

    It starts when somebody waits in `settled`, or 50 ms after a commit. What the engine refuses is tried
    again every second, and whoever waits is told.
    """

    def __init__(self, engine: Engine, journal: Journal) -> None:
        self._engine = engine
        self._journal = journal
        self._owed: list[Rows] = []
        self._added = 0
        self._arrived = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._work = asyncio.Event()
        self._urgent = asyncio.Event()
        self._failure = ""
        self._closed = False
        self._running: asyncio.Task[None] | None = None

    def add(self, rows: Rows) -> None:
        """Take the rows of a commit, which the journal has."""
        if rows:
            self._owed.append(rows)
            self._added += 1
            self._work.set()
            self._running = self._running or asyncio.create_task(self._run())

    async def settled(self) -> None:
        """Wait until everything added so far is in the engine.

        Raises:
            EngineDown: The engine refused it.
        """
        if self._arrived < self._added:
            arrival = asyncio.get_running_loop().create_future()
            self._waiting.append((self._added, arrival))
            self._urgent.set()
            await arrival

    async def room(self) -> None:
        """Wait, when the journal has become large, until it could be emptied."""
        if self._journal.size() > _JOURNAL_LIMIT:
            await self.settled()

    async def close(self) -> None:
        """Deliver what is owed, if the engine takes it, and stop; the journal keeps the rest."""
        self._closed = True
        self._work.set()
        self._urgent.set()
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            if not self._owed:
                return  # only `close` wakes it up for nothing
            if not self._waiting and not self._closed:
                await self._gather()
            self._urgent.clear()
            await self._deliver()
            if self._closed and (self._failure or not self._owed):
                return

    async def _gather(self) -> None:
        """Let more come together, unless somebody waits or it is much already."""
        if not self._failure and sum(map(_size, self._owed)) > _INSERT_BYTES:
            return
        try:
            async with asyncio.timeout(_RETRY_SECONDS if self._failure else _GATHER_SECONDS):
                await self._urgent.wait()
        except TimeoutError:
            return

    async def _deliver(self) -> None:
        owed, written = list(self._owed), self._journal.size()
        try:
            for table, lines in joined(owed):
                await self._insert(table, lines)
            self._journal.drop(written)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, and the rows are tried again
            self._report(error, len(owed))
            self._tell(self._added, EngineDown() if isinstance(error, EngineError) else error)
            return
        self._failure = ""
        del self._owed[: len(owed)]
        self._arrived += len(owed)
        if not self._owed and not self._closed:
            self._work.clear()
        self._tell(self._arrived, None)

    def _report(self, error: Exception, commits: int) -> None:
        """Log a failure; what is not the engine's own is a mistake of ours, whose place is told once."""
        failure = repr(error)
        ours = not isinstance(error, EngineError) and failure != self._failure
        _log.warning("The engine did not take %d commits: %s", commits, failure, exc_info=ours)
        self._failure = failure

    async def _insert(self, table: str, lines: bytes) -> None:
        try:
            await self._engine.insert(table, lines)
        except EngineError as error:
            if error.code != _ENGINE_STOPPED:
                raise
            await self._engine.insert(table, lines)  # it starts again, and stores a row it has only once

    def _tell(self, number: int, error: Exception | None) -> None:
        """Answer those who wait for commits up to a number."""
        waiting, self._waiting = self._waiting, []
        for wanted, arrival in waiting:
            if wanted > number:
                self._waiting.append((wanted, arrival))
            elif arrival.done():  # whoever waited has given up
                continue
            elif error is None:
                arrival.set_result(None)
            else:
                arrival.set_exception(error)


def joined(commits: Iterable[Rows]) -> Iterator[tuple[str, bytes]]:
    """Join the rows of commits to few inserts of some 8 MB, whose cost hardly depends on their size.

    Args:
        commits: In their order.

    Yields:
        Table and rows of an insert; events after what was committed with them, so that none is seen without
        its person.
    """
    together: list[Rows] = []
    size = 0
    for rows in commits:
        together.append(rows)
        size += _size(rows)
        if size > _INSERT_BYTES:
            yield from _by_table(together)
            together, size = [], 0
    yield from _by_table(together)


def _by_table(commits: list[Rows]) -> Iterator[tuple[str, bytes]]:
    tables: dict[str, list[bytes]] = {}
    for rows in commits:
        for table, lines in rows.items():
            tables.setdefault(table, []).append(lines)
    for table in sorted(tables, key="events".__eq__):
        yield table, b"\n".join(tables[table])


def _size(rows: Rows) -> int:
    return sum(map(len, rows.values()))
