"""Queries as the project runs them: a place, the budget, the time limit, and the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.sandbox.queries.asked import Answer, Asked
from posthog_mcp.sandbox.queries.budget import Budget
from posthog_mcp.sandbox.queries.jobs import Job, Jobs
from posthog_mcp.sandbox.queries.kept import Kept
from posthog_mcp.sandbox.queries.kinds import runner_of
from posthog_mcp.sandbox.queries.slots import Slots
from posthog_mcp.sandbox.queries.world import world_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from posthog_mcp.sandbox.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Request:
    """A query object and the id it runs under."""

    query: object
    query_id: str


class Queries:
    """Runs the project's queries."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Take places, limits and the clock from the sandbox's options."""
        options = sandbox.options
        self._sandbox = sandbox
        self.budget: Budget = options.budget
        self.slots = Slots(options.concurrent_queries, options.queue_seconds, sandbox.project.id)
        self.jobs = Jobs(sandbox.project.id, sandbox.clock)
        self._kept = Kept(sandbox.clock)

    def kept(self, request: Request) -> dict[str, Any] | None:
        """The answer that the query had in the background, while it is fresh."""
        return self._kept.find(runner_of(request.query)[1])

    async def run(self, request: Request) -> Answer:
        """Run to the end and answer. Raises `ApiError` as PostHog would answer."""
        self.budget.check()
        async with self.slots.place(request.query_id):
            return await self._run(request, self._sandbox.options.query_seconds)

    def start(self, request: Request, done: Callable[[dict[str, Any]], object] | None = None) -> Job:
        """Begin and answer at once; the job tells how it goes on, and `done` is handed its answer."""
        self.budget.check()
        _, query = runner_of(request.query)

        async def work(job: Job) -> dict[str, Any]:
            async with self.slots.place(request.query_id, patient=True):
                job.picked_up = self._sandbox.clock()
                body = (await self._run(request, self._sandbox.options.async_query_seconds)).body
            self._kept.add(query, body)
            if done is not None:
                done(body)
            return body

        return self.jobs.start(request.query_id, work)

    async def cancel(self, query_id: str) -> None:
        """Stop the query of that id, in the background or not; nothing happens when there is none."""
        await self.jobs.cancel(query_id)
        await self._sandbox.engine.cancel(query_id)

    async def close(self) -> None:
        """Stop what runs in the background."""
        await self.jobs.close()

    async def _run(self, request: Request, seconds: float) -> Answer:
        runner, query = runner_of(request.query)
        await self._sandbox.cohorts.refresh()
        world = world_of(self._sandbox, _modifiers(query))
        answer = await runner(Asked(self._sandbox, query, world, request.query_id, seconds))
        self.budget.debit(answer.read_bytes)
        return answer


def _modifiers(query: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A query's own modifiers, or those of the query that it reads."""
    source = query.get("source")
    if query.get("modifiers") or not isinstance(source, dict):
        return query.get("modifiers")
    return _modifiers(cast("dict[str, Any]", source))
