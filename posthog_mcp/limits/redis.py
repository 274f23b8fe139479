"""Reservation rings that several machines share through Redis or Valkey; see `script.lua`.

Imported only where a Redis is configured: the library is the extra `redis`.
"""

import json
import time
from pathlib import Path
from typing import Any

import anyio

from posthog_mcp.limits.holders import Holder
from posthog_mcp.limits.limit import (
    BACKGROUND_SHARE,
    LONGEST_BACK_OFF,
    LOWERED_SECONDS,
    RAISED_EVERY,
    Budget,
    LimitExceeded,
    Reservation,
    State,
    Ticket,
    Usage,
    tenth,
)
from posthog_mcp.limits.reach import ANSWER_SECONDS, PREFIX, connect

_KEPT_SECONDS = LOWERED_SECONDS + 10 * RAISED_EVERY + 600  # until nothing learned can matter any more
_NO_SLOT = -2
_FACTS_SECONDS = 30 * 86_400.0
_SCRIPT = Path(__file__).with_name("script.lua")


class RedisRings:
    """The rings on one server. Every method raises `redis.RedisError` or `OSError` where it cannot be used.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        guard: Seconds added to every window.
        clock: The time instead of the server's, in seconds; for tests.
    """

    def __init__(self, url: str, guard: float, clock: Any = None) -> None:
        self._guard = guard
        self._clock = clock
        self._client = connect(url)
        self._script = self._client.register_script(_SCRIPT.read_text(encoding="utf-8"))

    async def reserve(self, budget: Budget, patience: float, *, background: bool = False) -> Reservation:
        """Take the first slot that every limit allows."""
        made = time.monotonic()
        number, wait, spent = await self._run(
            "reserve", budget, patience=0.0 if background else patience, background=background
        )
        if number == _NO_SLOT:
            raise LimitExceeded(spent, float(wait))
        return Reservation(float(wait), shared=number, made=made)

    async def due(self, budget: Budget, reservation: Reservation) -> float:
        """Seconds until the slot is due; to be asked before every send."""
        return float(await self._run("due", budget, number=reservation.shared))

    async def give_back(self, budget: Budget, reservation: Reservation) -> None:
        """Return a slot that will not be used."""
        await self._run("give_back", budget, number=reservation.shared)

    async def penalize(self, budget: Budget, seconds: float | None) -> float:
        """Note a refusal, and hold everyone back."""
        shortest = min((limit.seconds for limit in budget.limits), default=LONGEST_BACK_OFF)
        wait = -1.0 if seconds is None else seconds
        return float(await self._run("penalize", budget, wait=wait, shortest=shortest))

    async def state(self, budget: Budget) -> State:
        """What is known of the budget now."""
        used, permits, cool_down, remaining = await self._run("state", budget)
        usage = tuple(
            Usage(limit.name, spent, ours, limit.seconds, ours < limit.permits)
            for limit, spent, ours in zip(budget.limits, used, permits, strict=True)
        )
        return State(usage, float(cool_down), None if remaining is None else int(remaining))

    async def note(self, budget: Budget, remaining: int) -> None:
        """Keep what PostHog said remains."""
        await self._run("note", budget, remaining=str(remaining))

    async def enter(self, queue: str, holder: Holder, seconds: float) -> Ticket:
        """Join a queue."""
        words = f"{holder.pid} {holder.machine}"
        return Ticket(-1, await self._run("enter", Budget(queue), seconds=seconds, holder=words))

    async def ahead(self, queue: str, ticket: Ticket) -> int:
        """How many stand before a ticket; who ran on this machine and is gone leaves."""
        waiting: list[str] = await self._run("ahead", Budget(queue), ticket=ticket.shared)
        living = 0
        for member in waiting:
            number, pid, machine = member.split(" ", 2)
            if Holder(machine, int(pid)).gone():
                await self.leave(queue, Ticket(-1, int(number)))
            else:
                living += 1
        return living

    async def leave(self, queue: str, ticket: Ticket) -> None:
        """Leave a queue."""
        await self._run("leave", Budget(queue), ticket=ticket.shared)

    async def learn(self, name: str, value: str) -> str:
        """Keep a fact unless it is known already; gives the value that holds now."""
        known: str = await self._run("learn", Budget("facts"), fact=name, value=value)
        with anyio.fail_after(ANSWER_SECONDS):
            await self._client.expire(_keys("facts")[0], int(_FACTS_SECONDS))
        return known

    async def recall(self, name: str) -> str:
        """A fact; empty when nothing is known."""
        return await self._run("recall", Budget("facts"), fact=name) or ""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _run(self, operation: str, budget: Budget, **arguments: object) -> Any:
        words = json.dumps(
            {
                **arguments,
                "title": budget.title,
                "limits": [
                    {
                        "name": limit.name,
                        "permits": limit.permits,
                        "seconds": limit.seconds,
                        "tenth": tenth(limit),
                    }
                    for limit in budget.limits
                ],
                "seconds": arguments.get("seconds", budget.seconds),
                "guard": self._guard,
                "keep": budget.seconds + _KEPT_SECONDS,
                "background_share": BACKGROUND_SHARE,
                "lowered_seconds": LOWERED_SECONDS,
                "raised_every": RAISED_EVERY,
                "longest_back_off": LONGEST_BACK_OFF,
            }
        )
        now = repr(self._clock()) if self._clock else ""
        with anyio.fail_after(ANSWER_SECONDS):
            return await self._script(keys=_keys(budget.name), args=[operation, now, words])


def _keys(name: str) -> list[str]:
    # The braces put all keys of a budget on one node of a cluster.
    return [f"{PREFIX}:{{{name}}}:{part}" for part in ("state", "slots", "free")]
