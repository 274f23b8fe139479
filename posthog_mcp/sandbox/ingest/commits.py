"""Group commit: whoever comes while a commit is on its way shares the next one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from posthog_mcp.sandbox.engine import EngineError

if TYPE_CHECKING:
    from posthog_mcp.sandbox.engine import Engine
    from posthog_mcp.sandbox.ingest.journal import Journal, Rows

Work = Callable[[], Any]
"""Changes the store inside its transaction. Runs again when another of the same transaction failed."""
Transact = Callable[[list[Work]], "tuple[list[Any], Rows]"]

_log = logging.getLogger(__name__)
_ROWS: Final = 2_000
_JOURNAL_LIMIT: Final = 64 * 1024 * 1024
_ENGINE_STOPPED: Final = 0


class IngestClosed(Exception):  # noqa: N818 - what happened, nobody's mistake
    """The sandbox is stopping: nothing more is taken."""

    def __init__(self) -> None:
        super().__init__("The sandbox is stopping and takes no more events. Send them again once it is back.")


class EngineDown(Exception):  # noqa: N818 - what happened, nobody's mistake
    """What was taken is safe on disk and will reach the engine; a retry is answered when it has."""

    def __init__(self) -> None:
        super().__init__("The sandbox's engine did not take the events. They are kept: try again later.")


@dataclass(slots=True)
class _Job:
    work: Work
    rows: int
    done: asyncio.Future[Any]
    result: Any = None


class CommitQueue:
    """Does works in order of arrival, several to a transaction; answers each when the engine has its rows.

    While the engine takes the rows of one transaction the next one is worked on. `transact` runs works inside
    one transaction and returns their results and the rows for the engine, which are in the journal by then.
    """

    def __init__(self, engine: Engine, journal: Journal, transact: Transact) -> None:
        self._engine = engine
        self._journal = journal
        self._transact = transact
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._running: asyncio.Task[None] | None = None
        self._owed: list[Rows] = []
        self._on_the_way = 0
        self._closed = False

    async def do(self, work: Work, rows: int = 0) -> Any:
        """Wait for a work's turn, its commit and the engine; what the work returned.

        Args:
            work: See `Work`.
            rows: How many rows for the engine it is about to make.

        Raises:
            IngestClosed: The queue is closed.
            EngineDown: The work is done and stays done, but the engine has not taken its rows yet.
        """
        if self._closed:
            raise IngestClosed
        self._running = self._running or asyncio.create_task(self._run())
        job = _Job(work, rows, asyncio.get_running_loop().create_future())
        self._jobs.put_nowait(job)
        return await job.done

    async def close(self) -> None:
        """Finish what was taken, then stop."""
        self._closed = True
        self._jobs.put_nowait(None)
        if self._running is not None:
            await self._running
        self._journal.close()

    async def _run(self) -> None:
        delivery: asyncio.Task[None] | None = None
        while (job := await self._jobs.get()) is not None:
            jobs = self._share(job)
            if delivery is not None and self._journal.size() > _JOURNAL_LIMIT:
                await delivery  # the journal can only be emptied when nothing is on its way
            rows = self._commit(jobs)
            self._on_the_way += len(rows)
            if delivery is not None:
                await delivery
            delivery = asyncio.create_task(self._deliver(jobs, rows))
        if delivery is not None:
            await delivery

    def _share(self, first: _Job) -> list[_Job]:
        """The next works that fit into one transaction."""
        jobs, rows = [first], first.rows
        while rows < _ROWS and not self._jobs.empty():
            job = self._jobs.get_nowait()
            if job is None:
                self._jobs.put_nowait(None)
                break
            jobs.append(job)
            rows += job.rows
        return jobs

    def _commit(self, jobs: list[_Job]) -> list[Rows]:
        try:
            results, rows = self._transact([job.work for job in jobs])
        except Exception as error:  # noqa: BLE001 - whoever asked for the work is told
            if len(jobs) > 1:  # one of them failed and took the others with it: each for itself
                return [rows for job in jobs for rows in self._commit([job])]
            _settle(jobs[0], error)
            return []
        for job, result in zip(jobs, results, strict=True):
            job.result = result
        return [rows]

    async def _deliver(self, jobs: list[_Job], rows: list[Rows]) -> None:
        self._owed += rows
        try:
            while self._owed:
                await self._insert(self._owed[0])
                self._owed.pop(0)
                self._on_the_way -= 1
            if not self._on_the_way:
                self._journal.cut(0)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, and the next delivery tries again
            _log.warning("The engine did not take %d commits: %s", len(self._owed), error)
            failure = EngineDown() if isinstance(error, EngineError) else error
        else:
            failure = None
        for job in jobs:
            _settle(job, failure)

    async def _insert(self, rows: Rows) -> None:
        for table, lines in rows.items():
            try:
                await self._engine.insert(table, lines)
            except EngineError as error:
                if error.code != _ENGINE_STOPPED:
                    raise
                await self._engine.insert(table, lines)  # it starts again, and stores a row it has only once


def _settle(job: _Job, error: Exception | None) -> None:
    if job.done.done():  # cancelled by whoever waited, or failed already
        return
    if error is None:
        job.done.set_result(job.result)
    else:
        job.done.set_exception(error)
