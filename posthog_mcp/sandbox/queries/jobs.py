"""Queries that run on after the request: their status, and how they are cancelled."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.http.errors import ApiError
from posthog_mcp.sandbox.http.times import iso

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

_log = logging.getLogger(__name__)
_KEPT = timedelta(minutes=20)


@dataclass(slots=True)
class Job:
    """One asynchronous query, and what became of it."""

    id: str
    team_id: int
    started: datetime
    ended: datetime | None = None
    picked_up: datetime | None = None
    results: dict[str, Any] | None = None
    failed: bool = False
    message: str | None = None
    labels: list[str] | None = None
    task: asyncio.Task[None] | None = None

    def status(self, progress: dict[str, Any] | None = None) -> dict[str, Any]:
        """PostHog's `query_status`."""
        return {
            "id": self.id,
            "team_id": self.team_id,
            "complete": self.ended is not None,
            "error": self.failed,
            "error_message": self.message,
            "query_async": True,
            "start_time": iso(self.started),
            "pickup_time": iso(self.picked_up) if self.picked_up else None,
            "end_time": iso(self.ended) if self.ended else None,
            "expiration_time": iso(self.ended + _KEPT) if self.ended else None,
            "insight_id": None,
            "dashboard_id": None,
            "labels": self.labels,
            "task_id": self.id,
            "results": self.results,
            "query_progress": progress,
        }


class Jobs:
    """The asynchronous queries of the last twenty minutes."""

    def __init__(self, team_id: int, clock: Callable[[], datetime]) -> None:
        """`clock` gives the time in UTC."""
        self._team_id = team_id
        self._clock = clock
        self._jobs: dict[str, Job] = {}

    def start(self, job_id: str, work: Callable[[Job], Coroutine[Any, Any, dict[str, Any]]]) -> Job:
        """Run `work` in the background; a job of that id that still runs is joined instead."""
        self._forget_old()
        running = self._jobs.get(job_id)
        if running is not None and running.ended is None:
            return running
        job = Job(job_id, self._team_id, self._clock())
        self._jobs[job_id] = job
        job.task = asyncio.create_task(self._run(job, work(job)))
        return job

    def get(self, job_id: str) -> Job | None:
        """The job, unless it is unknown or too old."""
        self._forget_old()
        return self._jobs.get(job_id)

    async def cancel(self, job_id: str) -> bool:
        """Stop a job that runs; whether there was one."""
        job = self._jobs.get(job_id)
        if job is None or job.task is None or job.ended is not None:
            return False
        job.task.cancel()
        await asyncio.wait([job.task])
        return True

    async def close(self) -> None:
        """Stop all of them."""
        for job_id in list(self._jobs):
            await self.cancel(job_id)

    async def _run(self, job: Job, work: Awaitable[dict[str, Any]]) -> None:
        try:
            job.results = await work
        except asyncio.CancelledError:
            # The only ones who cancel are `cancel` and `close`, and they wait for this end.
            job.failed, job.message = True, "The query was cancelled."
        except ApiError as error:
            job.failed = True
            # PostHog tells of mistakes in the query and of nothing else.
            job.message = error.detail if error.status == HTTPStatus.BAD_REQUEST else None
        except Exception:  # noqa: BLE001 - nobody waits for a job: the log is where it can be told
            _log.exception("The asynchronous query %s failed", job.id)
            job.failed = True
        job.ended = self._clock()

    def _forget_old(self) -> None:
        now = self._clock()
        for job_id, job in list(self._jobs.items()):
            if job.ended is not None and now - job.ended > _KEPT:
                del self._jobs[job_id]
