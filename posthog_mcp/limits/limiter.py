"""Waiting for a permit: the part that sleeps."""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from pathlib import Path

import anyio

from posthog_mcp.limits.limit import Budget, Limit, LimitExceeded, State
from posthog_mcp.limits.rings import Rings

FILE = "limits.db"
TELL_EVERY = 5.0  # seconds: clients take a call that says nothing for longer for lost
_LEAST_LATE = 0.05  # seconds: nobody wakes in no time, whatever the guard
_EARLY = 0.25  # seconds: a timer that fired early is not a longer wait

Waiting = Callable[[str, float | None], Awaitable[None]]


async def _nobody(what: str, seconds: float | None) -> None:
    del what, seconds


waiting: ContextVar[Waiting] = ContextVar("waiting", default=_nobody)
"""Told `(what for, seconds)` when a wait begins and while it lasts, None where nobody knows how long."""


class Limiter:
    """One budget, for everyone who shares the rings.

    Args:
        rings: Where slots are kept.
        budget: What is shared; its limits are taken together.
        guard: What the rings add to every window.
    """

    def __init__(self, rings: Rings, budget: Budget, guard: float = 1.0) -> None:
        self._rings = rings
        self._budget = budget
        self._late = max(guard, _LEAST_LATE)

    async def acquire(
        self,
        timeout: float,  # noqa: ASYNC109 - the wait is known before it starts, none is cut short
        *,
        background: bool = False,
        what: str = "",
    ) -> float:
        """Wait for a permit. To be sent at once when this returns.

        Args:
            timeout: The most seconds to wait; a longer wait is refused at once.
            background: Leave the last tenth of each window to others.
            what: What is waited for, in words for whoever listens to `waiting`.

        Returns:
            The seconds waited.

        Raises:
            LimitExceeded: No permit within `timeout`; `seconds` says when there is one.
        """
        started = anyio.current_time()
        deadline = started + timeout
        while not await self._attempt(deadline, background=background, what=what or self._budget.title):
            pass
        return anyio.current_time() - started

    async def _attempt(self, deadline: float, *, background: bool, what: str) -> bool:
        """Take a slot and wait for it; false when it was missed."""
        patience = max(0.0, deadline - anyio.current_time())
        try:
            reservation = await self._rings.reserve(
                self._budget, 0.0 if background else patience, background=background
            )
        except LimitExceeded as spent:
            if not background or spent.seconds is None or spent.seconds > patience:
                raise
            # A slot in the future would make people wait behind it, so none is taken before its time.
            await _sleep(what, spent.seconds)
            return False
        wait, known = reservation.wait, reservation.made
        try:
            while wait > 0:
                await _sleep(what, wait)
                # Read again just before sending: another process may have been refused meanwhile.
                known = time.monotonic()
                wait = await self._rings.due(self._budget, reservation)
                self._check(wait, deadline)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._rings.give_back(self._budget, reservation)
            raise
        # Later than the guard pays for, others may have been promised the place in the window.
        late = time.monotonic() - known - wait
        return late <= self._late or not self._budget.limits

    def _check(self, wait: float, deadline: float) -> None:
        if wait > max(0.0, deadline - anyio.current_time()) + _EARLY:
            raise LimitExceeded(self._budget.title, wait)

    async def penalize(self, seconds: float | None = None) -> float:
        """Note a refusal (429): everyone holds back for `seconds`, or for a growing time if none was named.

        Returns:
            Seconds until the cool-down ends.
        """
        return await self._rings.penalize(self._budget, seconds)

    async def state(self) -> State:
        """What is spent of each limit now, and how long nothing is sent."""
        return await self._rings.state(self._budget)

    async def close(self) -> None:
        """Close the rings."""
        await self._rings.close()


async def _sleep(what: str, seconds: float) -> None:
    if seconds >= _EARLY:
        await waiting.get()(what, seconds)
    await anyio.sleep(min(seconds, TELL_EVERY))


def open_limiter(
    state_dir: Path | str, limits: Sequence[Limit], guard: float = 1.0, redis_url: str = ""
) -> Limiter:
    """A limiter that every process with the same directory, or the same Redis, shares.

    Nothing is opened before the first `acquire`.

    Args:
        state_dir: Directory of the file; made when missing.
        limits: Taken together: a permit counts in all of them. Those who name the same ones share them.
        guard: Seconds added to every window. It pays for uneven travel time to the server.
        redis_url: A Redis or Valkey that several machines share; the file is used while it cannot be reached.
    """
    name = " and ".join(f"{limit.name} {limit.seconds:g}" for limit in limits)
    budget = Budget(name, tuple(limits), name)
    return Limiter(open_rings(Path(state_dir), guard, redis_url), budget, guard)


def open_rings(state_dir: Path, guard: float, redis_url: str = "") -> Rings:
    """The rings of a directory, and of a Redis if there is one; nothing is opened yet."""
    # Listing tools needs no database, and redis is an extra.
    from posthog_mcp.limits.local import LocalRings  # noqa: PLC0415

    local = LocalRings(state_dir / FILE, guard)
    if not redis_url:
        return local
    from posthog_mcp.limits.shared import SharedRings  # noqa: PLC0415

    return SharedRings(redis_url, local, guard)
