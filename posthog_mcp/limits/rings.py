"""Where slots are kept, as the part that sleeps sees it."""

from typing import Protocol

from posthog_mcp.limits.holders import Holder
from posthog_mcp.limits.limit import Budget, Reservation, State, Ticket


class Rings(Protocol):
    """Slots, queues and facts that processes share; see `SqliteRings` for what each method does."""

    @property
    def where(self) -> str:
        """In words for people: who shares them."""
        ...

    async def reserve(self, budget: Budget, patience: float, *, background: bool = False) -> Reservation:
        """Take the first slot that every limit allows."""
        ...

    async def due(self, budget: Budget, reservation: Reservation) -> float:
        """Seconds until the slot is due; to be asked before every send."""
        ...

    async def give_back(self, budget: Budget, reservation: Reservation) -> None:
        """Return a slot that will not be used."""
        ...

    async def penalize(self, budget: Budget, seconds: float | None) -> float:
        """Note a refusal, and hold everyone back."""
        ...

    async def state(self, budget: Budget) -> State:
        """What is known of the budget now."""
        ...

    async def note(self, budget: Budget, remaining: int) -> None:
        """Keep what PostHog said remains."""
        ...

    async def enter(self, queue: str, holder: Holder, seconds: float) -> Ticket:
        """Join a queue; gives the ticket."""
        ...

    async def ahead(self, queue: str, ticket: Ticket) -> int:
        """How many stand before a ticket."""
        ...

    async def leave(self, queue: str, ticket: Ticket) -> None:
        """Leave a queue."""
        ...

    async def learn(self, name: str, value: str) -> str:
        """Keep a fact unless it is known already; gives the value that holds now."""
        ...

    async def recall(self, name: str) -> str:
        """A fact; empty when nothing is known."""
        ...

    async def close(self) -> None:
        """Let go of what is held open."""
        ...
