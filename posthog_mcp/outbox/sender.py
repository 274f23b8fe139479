"""Sends what waits for one project, in order, for as long as anything waits."""

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass

from posthog_mcp.api import BatchAnswer, PostHogClient
from posthog_mcp.api.errors import (
    Answered,
    BadAnswer,
    Invalid,
    NoAnswer,
    PostHogError,
    RateLimited,
    ServerError,
    TooLarge,
)
from posthog_mcp.outbox import leases
from posthog_mcp.outbox.leases import Leases
from posthog_mcp.outbox.queue import Queue
from posthog_mcp.outbox.quota import limited_rows
from posthog_mcp.outbox.rows import Batch, Event, Lane, OutboxUnusable, Row, Target

_log = logging.getLogger(__name__)

FULL = 2_000  # events in one request
FULL_BYTES = 4 * 1024 * 1024  # PostHog takes 20 MiB, its SDKs send 5
_LEAST_BYTES = 64 * 1024
_GATHER_SECONDS = 1.0  # how long a batch that is not full waits for more
_LOOK_SECONDS = 1.0  # how often to look whether another process that sends is still there
_SEND_SECONDS = 30.0
# A host that cannot be reached is asked often: that costs nothing, and it may be back any moment.
_FIRST_PAUSE, _LONGEST_PAUSE, _LONGEST_PAUSE_UNREACHABLE, _LONGEST_NAMED = 1.0, 30.0, 4.0, 60.0
_STOPPED_SECONDS = 60.0  # after a refusal that only a person can mend
_REQUEST_TIMEOUT = 408
_SMALLER = (
    4  # a batch that failed is tried at a quarter of its size, to find out whether an event is to blame
)
_MOST_TRIES = 10  # of an event that PostHog fails on while it takes others
_QUOTA_SECONDS = 3600.0


class LeaseLost(Exception):  # noqa: N818 - it is no fault: the machine slept, another process took over
    """Another process sends now."""


@dataclass(frozen=True, slots=True)
class Store:
    """What a sender needs of the file."""

    queue: Queue
    leases: Leases


@dataclass(frozen=True, slots=True)
class _Turn:
    rows: list[Row]
    held: bool = False
    wait: float = 0.0


class Sender:
    """The sender of one target in this process; of all processes only the one with the lease sends.

    Args:
        store: Where the events wait.
        target: Whose events.
        client: Sends them.

    Attributes:
        progress: Set, and replaced, whenever something was delivered or refused.
        refusal: Why it gave up since it was last woken; empty while it has not.
    """

    def __init__(self, store: Store, target: Target, client: PostHogClient) -> None:
        self._queue, self._leases, self._target, self._client = store.queue, store.leases, target, client
        self._hurry = asyncio.Event()
        self.progress = asyncio.Event()
        self.refusal = ""
        self._refused_until = 0.0
        self._most, self._most_bytes = FULL, FULL_BYTES
        self._hurried = 0.0  # what was taken in before does not wait for more
        self._fresh = 0
        self._pause = 0.0
        self._noted = True  # whether the file may hold a reason why nothing is sent
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self, *, added: int = 0, hurry: bool = False) -> None:
        """See to it that somebody sends.

        Args:
            added: How many events have just been taken in.
            hurry: Send at once, without gathering or pausing first; only what PostHog asked for is waited.
        """
        self._fresh += added
        if hurry:
            self._hurried = time.time()
        if hurry or self._fresh >= FULL:
            self._hurry.set()
        running = self._task is not None and not self._task.done()
        if running or (self.refusal and not hurry and time.monotonic() < self._refused_until):
            return
        self.refusal = ""
        # In a context of its own: it outlives the call that woke it, and has no part in its trace or waits.
        self._task = asyncio.create_task(self._run(), context=Context())

    async def forward(self, events: Sequence[Event]) -> bool:
        """Send events of the past that are not in the file, once; whether PostHog has all of them."""
        try:
            answer = await self._send(events, historical=True)
        except PostHogError:
            return False
        return not limited_rows(answer.quota_limited, events)

    async def finish(self) -> None:
        """Send once more if anything waits, and let go; cancel it when time is up."""
        if self._task is None or self._task.done():
            return
        self._closing.set()
        self._hurry.set()
        try:
            await asyncio.shield(self._task)
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            raise

    # --- one turn -----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while await self._became_ours() and not await self._drained():
                continue
        except OutboxUnusable as error:
            self._refuse(str(error))

    async def _drained(self) -> bool:
        """Send while we may; False when another process has taken over."""
        try:
            await self._drain()
        except LeaseLost:
            return False
        finally:
            self._leases.release(self._target)
        return True

    async def _became_ours(self) -> bool:
        """Wait for the lease; False when another process has sent everything, or time is up."""
        while (seconds := self._leases.take(self._target)) > 0:
            # The other delivers our events as well. Should it die, the lease is free and we go on.
            if await _set_within(self._closing, min(seconds, _LOOK_SECONDS)):
                return False
            self._note_progress()
            if not self._queue.any(self._target):
                return False
        return True

    async def _drain(self) -> None:
        while True:
            self._renew()
            turn = self._next()
            self._hurry.clear()
            self._fresh = 0
            if turn.rows:
                if not await self._attempt(turn.rows, held=turn.held):
                    return
            elif self._leases.release(self._target, only_if_empty=True):
                self._queue.file.shrink()
                return
            elif self._closing.is_set():
                return
            else:
                await self._until_hurry(turn.wait)

    def _next(self) -> "_Turn":
        """What to send now.

        Events of now come before events of the past: an import must not keep them waiting. While a few of
        them gather, the past goes on.
        """
        due = self._queue.held_row(self._target)
        if due:
            return _Turn([due], held=True)
        wait = self._queue.seconds_until_due(self._target)
        wait = _GATHER_SECONDS if wait is None else min(wait, _GATHER_SECONDS)
        for lane in Lane:
            batch = self._queue.next_batch(self._target, self._most, self._most_bytes, lane=lane)
            gathering = self._seconds_until_ripe(batch)
            if batch.rows and gathering <= 0:
                return _Turn(batch.rows)
            wait = min(wait, gathering)
        return _Turn([], wait=max(wait, 0.01))

    def _seconds_until_ripe(self, batch: Batch) -> float:
        """How long a batch should wait for more, so that a burst of single events is one request."""
        if not batch.rows:
            return _GATHER_SECONDS
        if batch.full or self._closing.is_set() or batch.rows[0].at <= self._hurried:
            return 0.0
        age = time.time() - batch.rows[0].at
        return _GATHER_SECONDS - age if age >= 0 else 0.0  # the clock was set back: its age is not known

    async def _attempt(self, rows: Sequence[Row], *, held: bool) -> bool:
        """Send these; False when there is nothing more to be done for now."""
        try:
            await self._deliver(rows)
        except PostHogError as error:
            return await self._failed(error, rows, held=held)
        self._recovered()
        return True

    def _recovered(self) -> None:
        self._pause = 0.0
        self._most = min(FULL, self._most * _SMALLER)
        self._note("")

    def _note(self, reason: str, *, refused: bool = False) -> None:
        """Let every process see why nothing is sent."""
        if reason or self._noted:
            self._leases.stop(self._target, reason, refused=refused)
        self._noted = bool(reason)

    async def _failed(self, error: PostHogError, rows: Sequence[Row], *, held: bool) -> bool:
        if not _passes(error):
            self._refuse(str(error))
            self._note(str(error), refused=True)
            return False
        if _may_be_the_events(error):
            if len(rows) == 1 and await self._others_pass(rows[0]):
                self._hold_back(rows[0], str(error))
                return True
            self._most = max(1, len(rows) // _SMALLER)
        if held:
            self._queue.hold(self._target, rows[0].who, count=False)
        self._note(str(error))
        self._note_progress()
        if self._closing.is_set():
            return False
        await self._back_off(error)
        return True

    async def _others_pass(self, row: Row) -> bool:
        """Whether PostHog takes another person's event while it fails on this one."""
        others = self._queue.next_batch(self._target, 1, 1, lane=row.lane, other_than=row.who).rows
        if not others:
            return False
        try:
            await self._deliver(others)
        except PostHogError:
            return False
        self._recovered()
        return True

    def _hold_back(self, row: Row, reason: str) -> None:
        tries = self._queue.hold(self._target, row.who, count=True)
        _log.warning("an event is held back, because PostHog fails on it and takes others: %s", reason)
        if tries >= _MOST_TRIES:
            self._queue.bury(self._target, [row], f"PostHog failed on it {tries} times. {reason}")
            self._note_progress()

    def _refuse(self, reason: str) -> None:
        self.refusal = reason
        self._refused_until = time.monotonic() + _STOPPED_SECONDS
        _log.warning("events stay in the outbox until this is mended: %s", reason)
        self._note_progress()

    # --- waiting ------------------------------------------------------------------------------------------

    async def _back_off(self, error: PostHogError) -> None:
        reached = not isinstance(error, NoAnswer) or error.sent
        longest = _LONGEST_PAUSE if reached else _LONGEST_PAUSE_UNREACHABLE
        self._pause = min(max(self._pause * 2, _FIRST_PAUSE), longest)
        # Jitter: many processes that lost the same host do not return in step.
        seconds = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        named = min(getattr(error, "wait", None) or 0.0, _LONGEST_NAMED)
        until = time.monotonic() + named
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, leases.SECONDS / 3))
            self._renew()
        await self._until_hurry(seconds - named)

    async def _until_hurry(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if await _set_within(self._hurry, min(left, leases.SECONDS / 3)):
                return
            self._renew()

    def _renew(self) -> None:
        if self._leases.take(self._target) > 0:
            raise LeaseLost

    # --- sending ------------------------------------------------------------------------------------------

    async def _deliver(self, rows: Sequence[Row]) -> None:
        """Send rows in one request; those PostHog refuses are found by halving, and kept aside."""
        self._renew()
        try:
            answer = await self._send(rows, historical=rows[0].lane != Lane.NOW)
        except (Invalid, TooLarge) as error:
            if isinstance(error, TooLarge):
                self._most_bytes = max(_LEAST_BYTES, sum(len(row.body) for row in rows) // 2)
            if len(rows) == 1:
                self._queue.bury(self._target, rows, str(error))
                self._note_progress()
                return
            middle = len(rows) // 2
            await self._deliver(rows[:middle])
            await self._deliver(rows[middle:])
            return
        dropped = limited_rows(answer.quota_limited, rows)
        if dropped:
            reason = f"PostHog dropped it: over the billing limit for {', '.join(answer.quota_limited)}."
            self._queue.bury(self._target, dropped, reason, again=_QUOTA_SECONDS)
            _log.warning("%d events are kept and sent again in an hour. %s", len(dropped), reason)
        lost = {row.seq for row in dropped}
        kept = [row for row in rows if row.seq not in lost]
        if kept:
            self._queue.delivered(self._target, kept)
        self._note_progress()

    async def _send(self, events: Sequence[Row] | Sequence[Event], *, historical: bool) -> BatchAnswer:
        return await self._client.send_batch(
            [event.body for event in events],
            token=self._target.token,
            historical=historical,
            seconds=_SEND_SECONDS,
        )

    def _note_progress(self) -> None:
        self.progress.set()
        self.progress = asyncio.Event()


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event is set within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


def _passes(error: PostHogError) -> bool:
    """Whether the same request may succeed later without anybody doing anything."""
    if isinstance(error, Answered):
        return isinstance(error, ServerError | RateLimited) or error.status == _REQUEST_TIMEOUT
    return isinstance(error, NoAnswer | BadAnswer)


def _may_be_the_events(error: PostHogError) -> bool:
    """Whether what was sent may be the reason, so that a smaller batch is worth a try."""
    return not isinstance(error, RateLimited) and not (isinstance(error, NoAnswer) and not error.sent)
