"""Rings for several machines: Redis while it answers, this machine's file while it does not."""

import anyio

from posthog_mcp.limits.holders import Holder
from posthog_mcp.limits.limit import Budget, LimitExceeded, Reservation, State, Ticket
from posthog_mcp.limits.local import LocalRings
from posthog_mcp.limits.reach import Reach
from posthog_mcp.limits.redis import RedisRings


class SharedRings:
    """Every permit is kept in the local file too, so going to it and coming back forgets nothing we sent.

    While Redis answers it alone decides. After it was lost, both decide until the windows have passed.

    Args:
        url: Of the Redis.
        local: The rings of this machine.
        guard: Seconds added to every window.
    """

    def __init__(self, url: str, local: LocalRings, guard: float) -> None:
        self._redis = RedisRings(url, guard)
        self._local = local
        self._reach = Reach(
            lambda: f"Limits are counted for {local.where} until it answers again.",
            "Limits are shared with the other machines.",
            refusal=LimitExceeded,
        )

    @property
    def where(self) -> str:
        """In words for people: who shares them."""
        since = self._reach.lost_since
        if since is None:
            return "all machines that use this Redis"
        return f"{self._local.where} (Redis cannot be reached since {since:%H:%M:%S} UTC)"

    async def reserve(self, budget: Budget, patience: float, *, background: bool = False) -> Reservation:
        """Take the first slot that every limit allows."""
        shared = await self._reach.ask(lambda: self._redis.reserve(budget, patience, background=background))
        if shared is None:
            return await self._local.reserve(budget, patience, background=background)
        if not self._forgot(budget):
            own = await self._local.record(budget, shared.wait)
            return Reservation(shared.wait, own.number, shared.shared, shared.made)
        try:
            own = await self._local.reserve(budget, max(patience, shared.wait), after=shared.wait)
        except LimitExceeded:
            await self._give_back_shared(budget, shared)
            raise
        return Reservation(own.wait, own.number, shared.shared, shared.made)

    async def due(self, budget: Budget, reservation: Reservation) -> float:
        """Seconds until the slot is due; to be asked before every send."""
        shared = await self._reach.ask(lambda: self._redis.due(budget, reservation))
        if shared is not None and not self._forgot(budget):
            return shared
        own = await self._local.due(budget, reservation)
        return own if shared is None else max(own, shared)

    async def give_back(self, budget: Budget, reservation: Reservation) -> None:
        """Return a slot that will not be used."""
        await self._local.give_back(budget, reservation)
        await self._give_back_shared(budget, reservation)

    async def penalize(self, budget: Budget, seconds: float | None) -> float:
        """Note a refusal, and hold everyone back."""
        shared = await self._reach.ask(lambda: self._redis.penalize(budget, seconds))
        own = await self._local.penalize(budget, seconds if shared is None else shared)
        return own if shared is None else shared

    async def state(self, budget: Budget) -> State:
        """What is known of the budget now."""
        return await self._reach.ask(lambda: self._redis.state(budget)) or await self._local.state(budget)

    async def note(self, budget: Budget, remaining: int) -> None:
        """Keep what PostHog said remains."""
        await self._reach.ask(lambda: self._redis.note(budget, remaining))
        await self._local.note(budget, remaining)

    async def enter(self, queue: str, holder: Holder, seconds: float) -> Ticket:
        """Join a queue; gives the ticket."""
        own = await self._local.enter(queue, holder, seconds)
        with anyio.CancelScope(shield=True):  # a place that nobody knows of would stay taken
            shared = await self._reach.ask(lambda: self._redis.enter(queue, holder, seconds))
            if shared is not None:
                return Ticket(own.number, shared.shared)
        return own

    async def ahead(self, queue: str, ticket: Ticket) -> int:
        """How many stand before a ticket."""
        own = await self._local.ahead(queue, ticket)
        if ticket.shared < 0:
            return own
        shared = await self._reach.ask(lambda: self._redis.ahead(queue, ticket))
        return own if shared is None else shared

    async def leave(self, queue: str, ticket: Ticket) -> None:
        """Leave a queue."""
        await self._local.leave(queue, ticket)
        if ticket.shared >= 0:
            await self._reach.ask(lambda: self._redis.leave(queue, ticket))

    async def learn(self, name: str, value: str) -> str:
        """Keep a fact unless it is known already; gives the value that holds now."""
        known = await self._reach.ask(lambda: self._redis.learn(name, value))
        own = await self._local.learn(name, known or value)
        return known or own

    async def recall(self, name: str) -> str:
        """A fact; empty when nothing is known."""
        return await self._reach.ask(lambda: self._redis.recall(name)) or await self._local.recall(name)

    async def close(self) -> None:
        """Let go of the connections and the file."""
        await self._redis.close()
        await self._local.close()

    async def _give_back_shared(self, budget: Budget, reservation: Reservation) -> None:
        if reservation.shared >= 0:
            await self._reach.ask(lambda: self._redis.give_back(budget, reservation))

    def _forgot(self, budget: Budget) -> bool:
        """Whether Redis may not know all that we sent within the budget's windows."""
        return anyio.current_time() < self._reach.found_at + budget.seconds
