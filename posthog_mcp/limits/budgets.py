"""What a request to PostHog draws on, who shares it, and what is learned from PostHog's answers."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from posthog_mcp.limits.holders import Holder
from posthog_mcp.limits.limit import Budget, LimitExceeded, State, Ticket
from posthog_mcp.limits.limiter import TELL_EVERY, Limiter, open_rings, waiting
from posthog_mcp.limits.plan import KNOWN, QUERIES_AT_ONCE, budget_of
from posthog_mcp.limits.rings import Rings
from posthog_mcp.settings import LimitScope, Settings
from posthog_mcp.values import Rate

GUARD_SECONDS = 1.0
_LOOK_EVERY = 0.05  # seconds: nobody knows when a query ends, so those who wait for one look
_LOOK_AT_LEAST_EVERY = 0.5
_SLACK_SECONDS = 5.0
_ALL = 2**53  # more than any ticket


@dataclass(frozen=True, slots=True)
class Draw:
    """A request, as its limits see it.

    Attributes:
        host: The origin of the PostHog.
        limit_class: A key of `plan.KNOWN`; anything else draws on no limit and only honours cool-downs.
        endpoint: Method and path template.
        key: What tells the key from others; not the key itself.
        project_id: The project in its path, else empty.
        organization_id: The organization in its path, else empty.
        runs_query: Whether PostHog runs a query while it is answered.
    """

    host: str
    limit_class: str
    endpoint: str = ""
    key: str = ""
    project_id: str = ""
    organization_id: str = ""
    runs_query: bool = False


BYTES_READ = "bytes that queries may read"
AT_ONCE = f"{QUERIES_AT_ONCE} queries at once"


class Budgets:
    """The budgets of every PostHog that this process talks to.

    They are the host's until it is known which organization a project or a key belongs to. The first
    organization known on a host goes on with the host's own budget, so nothing spent before is forgotten.

    Args:
        rings: Where they are kept.
        scope: Who shares them.
        overrides: Rates of an instance that sets others than PostHog Cloud.
        guard: What the rings add to every window.
    """

    def __init__(
        self,
        rings: Rings,
        *,
        scope: LimitScope = LimitScope.ORGANIZATION,
        overrides: Sequence[Rate] = (),
        guard: float = GUARD_SECONDS,
    ) -> None:
        self._rings = rings
        self._scope = scope
        self._overrides = tuple(overrides)
        self._guard = guard
        self._facts: dict[str, str] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> "Budgets | None":
        """The budgets of a start, opened at the first request; None where they are switched off."""
        if settings.limits is None:
            return None
        redis_url = settings.redis_url.get_secret_value() if settings.redis_url else ""
        rings = open_rings(settings.data_dir, GUARD_SECONDS, redis_url)
        return cls(rings, scope=settings.limit_scope, overrides=settings.limits)

    @asynccontextmanager
    async def permit(self, draw: Draw, timeout: float, seconds: float) -> AsyncGenerator[float]:  # noqa: ASYNC109
        """Wait for a permit, send inside.

        Args:
            draw: The request.
            timeout: The most seconds to wait.
            seconds: The most it may take in all, after which a place among the running queries is lost.

        Yields:
            The seconds waited.

        Raises:
            LimitExceeded: No permit within `timeout`.
        """
        started = anyio.current_time()
        owner = await self._owner(draw)
        requests = self._limiter(self._budget(draw, owner))
        what = f"the {self._scope}'s {draw.limit_class} limit"
        if not draw.runs_query:
            yield await requests.acquire(timeout, what=what)
            return

        def left() -> float:
            return max(0.0, started + timeout - anyio.current_time())

        read = self._limiter(_bytes(draw, owner))
        async with self._place(owner, left(), seconds):
            await read.acquire(left(), what="the project's query budget")
            await requests.acquire(left(), what=what)
            await read.acquire(0)  # someone may have used it up meanwhile
            yield anyio.current_time() - started

    @asynccontextmanager
    async def running(self, draw: Draw, seconds: float) -> AsyncGenerator[None]:
        """Count a query that PostHog already runs among those that may run at once.

        Args:
            draw: The request that started it.
            seconds: The most it is waited for, after which its place is lost.
        """
        async with self._ticket(_queue(await self._owner(draw)), seconds):
            yield

    async def penalize(self, draw: Draw, seconds: float | None, *, spent: str = "requests") -> float:
        """PostHog refused a request (429): nobody sends a like one for so long.

        Args:
            draw: The request.
            seconds: What `Retry-After` said; None where it was absent.
            spent: `bytes` for the project's budget of bytes read, anything else for the limit of requests.

        Returns:
            Seconds until the cool-down ends.
        """
        owner = await self._owner(draw)
        budget = _bytes(draw, owner) if spent == "bytes" else self._budget(draw, owner)
        return await self._rings.penalize(budget, seconds)

    async def note_bytes(self, draw: Draw, remaining: int) -> None:
        """Keep how many bytes PostHog said the project's queries may still read."""
        await self._rings.note(_bytes(draw, await self._owner(draw)), remaining)

    async def learn(self, draw: Draw, organizations: Mapping[str, str]) -> None:
        """Keep which organization projects and keys belong to, as an answer named them.

        Args:
            draw: The request that was answered.
            organizations: By `project 1` or `key`.
        """
        if self._scope is not LimitScope.ORGANIZATION:
            return
        before = await self._owner(draw)
        for what, organization in organizations.items():
            await self._keep(f"{draw.host} home", organization)
            await self._keep(_fact(draw, what), organization)
            await self._keep(_fact(draw, "key"), organization)
        after = await self._owner(draw)
        if after != before:
            # The request that told whose it is was counted elsewhere.
            await self._rings.reserve(self._budget(draw, after), float("inf"))

    async def status(self, draw: Draw) -> dict[str, Any]:
        """How much is spent, as far as we count it, of everything that requests like `draw` share."""
        owner = await self._owner(draw)
        states = {
            limit_class: await self._rings.state(budget_of(owner, limit_class, self._overrides))
            for limit_class in KNOWN
        }
        read = await self._rings.state(_bytes(draw, owner))
        at_once = await self._rings.ahead(_queue(owner), Ticket(_ALL, _ALL))
        found: dict[str, Any] = {"counted_for": f"one {self._scope}", "shared_by": self._rings.where}
        found["limits"] = {limit_class: _shown(state) for limit_class, state in states.items()}
        found["queries_at_once"] = {"running_or_waiting": at_once, "of": QUERIES_AT_ONCE}
        found["query_budget"] = _shown_bytes(read)
        return found

    async def close(self) -> None:
        """Close what was opened."""
        await self._rings.close()

    @asynccontextmanager
    async def _place(self, owner: str, timeout: float, seconds: float) -> AsyncGenerator[None]:  # noqa: ASYNC109
        """Hold one of the organization's places for running queries, given out in order of arrival."""
        queue, deadline = _queue(owner), anyio.current_time() + timeout
        async with self._ticket(queue, seconds) as ticket:
            await self._turn(queue, ticket, deadline)
            yield

    @asynccontextmanager
    async def _ticket(self, queue: str, seconds: float) -> AsyncGenerator[Ticket]:
        """Stand in a queue, for so long at most."""
        ticket = await self._rings.enter(queue, Holder.own(), seconds + _SLACK_SECONDS)
        try:
            yield ticket
        finally:
            with anyio.CancelScope(shield=True):
                await self._rings.leave(queue, ticket)

    async def _turn(self, queue: str, ticket: Ticket, deadline: float) -> None:
        pause, told = _LOOK_EVERY, 0.0
        while await self._rings.ahead(queue, ticket) >= QUERIES_AT_ONCE:
            now = anyio.current_time()
            if now >= deadline:
                raise LimitExceeded(AT_ONCE, None)
            if now - told >= TELL_EVERY:
                told = now
                await waiting.get()(f"one of the {QUERIES_AT_ONCE} queries that may run at once to end", None)
            await anyio.sleep(min(pause, deadline - now))
            pause = min(pause * 1.5, _LOOK_AT_LEAST_EVERY)

    def _budget(self, draw: Draw, owner: str) -> Budget:
        if draw.limit_class in KNOWN:
            return budget_of(owner, draw.limit_class, self._overrides)
        return Budget(f"{draw.host} {draw.endpoint}", title=f"requests to {draw.endpoint}")

    def _limiter(self, budget: Budget) -> Limiter:
        return Limiter(self._rings, budget, self._guard)

    async def _owner(self, draw: Draw) -> str:
        if self._scope is LimitScope.HOST:
            return draw.host
        if self._scope is LimitScope.KEY:
            return f"{draw.host} key {draw.key}"
        organization = draw.organization_id
        if not organization and draw.project_id:
            organization = await self._known(_fact(draw, f"project {draw.project_id}"))
        organization = organization or await self._known(_fact(draw, "key"))
        if organization in ("", await self._known(_fact(draw, "home"))):
            return draw.host
        return f"{draw.host} organization {organization}"

    async def _known(self, fact: str) -> str:
        if fact not in self._facts:
            found = await self._rings.recall(fact)
            if not found:
                return ""
            self._facts[fact] = found
        return self._facts[fact]

    async def _keep(self, fact: str, value: str) -> None:
        if fact not in self._facts:
            self._facts[fact] = await self._rings.learn(fact, value)


def _fact(draw: Draw, what: str) -> str:
    return f"{draw.host} {what} {draw.key}" if what == "key" else f"{draw.host} {what}"


def _queue(owner: str) -> str:
    return f"{owner} queries"


def _bytes(draw: Draw, owner: str) -> Budget:
    return Budget(f"{owner} project {draw.project_id} bytes read", title=BYTES_READ)


def _shown(state: State) -> dict[str, Any]:
    limits = [
        {
            "seconds": usage.seconds,
            "used": usage.used,
            "left": max(0, usage.permits - usage.used),
            **({"lowered_to": usage.permits} if usage.lowered else {}),
        }
        for usage in state.usage
    ]
    return {"windows": limits, **_shown_cool_down(state)}


def _shown_bytes(state: State) -> dict[str, Any]:
    return {"bytes_left": state.left, **_shown_cool_down(state)}


def _shown_cool_down(state: State) -> dict[str, Any]:
    return {"cool_down_seconds": round(state.cool_down, 1)} if state.cool_down else {}
