"""Sends planned data into a sandbox: its events through ingestion, its objects through the private API."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

from posthog_mcp.sandbox.seed import objects
from posthog_mcp.sandbox.seed.answers import Answers
from posthog_mcp.sandbox.seed.assistant import assisted
from posthog_mcp.sandbox.seed.feedback import surveyed
from posthog_mcp.sandbox.seed.plan import Plan, Size, planning
from posthog_mcp.sandbox.seed.recordings import recorded
from posthog_mcp.sandbox.seed.render import events

if TYPE_CHECKING:
    from posthog_mcp.sandbox.ingest import RawEvent
    from posthog_mcp.sandbox.sandbox import Sandbox

_KIND: Final = "seed"
_BATCH: Final = 4_000
_AT_ONCE: Final = 3
_TOLD_EACH: Final = 100_000


class HalfSeededError(Exception):
    """An earlier process was stopped while it filled this sandbox."""

    def __init__(self) -> None:
        super().__init__(
            "An earlier sandbox was stopped while it filled this data directory. "
            "Remove the directory, or name another with --data."
        )


def _silent(sent: int) -> None:
    del sent


async def fill(sandbox: "Sandbox", size: Size, told: Callable[[int], None] = _silent) -> Answers | None:
    """Fill a sandbox with 8 weeks of product data that end now, once.

    Args:
        sandbox: One that runs.
        size: `small` (300 members, 8,400 events) or `large` (40,000 members, 1,000,000 events).
        told: Called with the number of events so far, after each 100,000.

    Returns:
        The right answers about the data, or None when the sandbox was filled before and nothing was done.

    Raises:
        HalfSeededError: See there.
    """
    before = sandbox.store.get(_KIND, 1)
    if before is not None:
        if not before["done"]:
            raise HalfSeededError
        return None
    sandbox.store.put(_KIND, 1, {"size": size, "done": False})
    now = sandbox.clock()
    made = await _plan(size, now)
    # Answers name the survey that they are about.
    survey = await objects.create_surveys(sandbox, made)
    await _send(sandbox, surveyed(assisted(recorded(events(made), now), now), survey), told)
    await objects.create(sandbox, made)
    sandbox.store.put(_KIND, 1, {"size": size, "done": True})
    return Answers(made)


async def _plan(size: Size, now: datetime) -> Plan:
    steps = planning(size, now)
    made = next(steps)
    for _ in steps:  # which complete it
        # The large one takes seconds, in which the sandbox may be told to stop.
        await asyncio.sleep(0)
    return made


async def _send(sandbox: "Sandbox", made: Iterable["RawEvent"], told: Callable[[int], None]) -> None:
    """Ingest events in order, a batch being made ready while the engine takes the one before."""
    sending: deque[asyncio.Task[None]] = deque()
    try:
        for count, batch in enumerate(_batches(made)):
            if count and count * _BATCH % _TOLD_EACH == 0:
                told(count * _BATCH)
            sending.append(asyncio.create_task(sandbox.ingest.accept(batch)))
            if len(sending) == _AT_ONCE:
                await sending.popleft()
        while sending:
            await sending.popleft()
    finally:
        await asyncio.gather(*sending, return_exceptions=True)


def _batches(made: Iterable["RawEvent"]) -> Iterator[list["RawEvent"]]:
    batch: list[RawEvent] = []
    for event in made:
        batch.append(event)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch
