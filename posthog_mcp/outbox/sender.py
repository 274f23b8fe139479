"""Sends what waits for one project, in order, for as long as anything waits."""

import asyncio
import logging
import random
from collections.abc import Sequence

from posthog_mcp.api import PostHogClient
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
from posthog_mcp.outbox.rows import Row
from posthog_mcp.outbox.store import LEASE_SECONDS, Store

_log = logging.getLogger(__name__)

FULL = 1_000  # events in one request
_FULL_BYTES = 4 * 1024 * 1024  # PostHog takes 20 MiB, its SDKs send 5
_GATHER_SECONDS = 1.0  # how long a batch that is not full waits for more
_LONGEST_PAUSE = 60.0
_SEND_SECONDS = 30.0
_REQUEST_TIMEOUT = 408


class Sender:
    """The sender of one target in this process; of all processes only the one with the lease sends.

    Args:
        store: Where the events wait.
        target: Whose events.
        client: Sends them.
        token: The project token.
    """

    def __init__(self, store: Store, target: int, client: PostHogClient, token: str) -> None:
        self._store, self._target, self._client, self._token = store, target, client, token
        self._hurry = asyncio.Event()
        self.progress = asyncio.Event()
        self._pause = 0.0
        self._task: asyncio.Task[None] | None = None

    def wake(self, *, hurry: bool) -> None:
        """See to it that somebody sends; with `hurry`, without gathering or pausing first."""
        if hurry:
            self._hurry.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop sending at once and let others do it."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def send_once(self) -> None:
        """One request with the oldest events, if nobody else is sending; whatever fails stays."""
        if self._store.take_lease(self._target) > 0:
            return
        try:
            rows = self._next_rows()
            if rows:
                await self._deliver(rows)
        except PostHogError as error:
            _log.info("events stay on disk: %s", error)
        finally:
            self._store.release(self._target, only_if_empty=False)

    async def _run(self) -> None:
        while True:
            held_by_another = self._store.take_lease(self._target)
            if held_by_another <= 0:
                break
            # The other delivers our events as well. Should it die, the lease ends and we go on.
            await asyncio.sleep(min(held_by_another, LEASE_SECONDS / 10))
            if not self._next_rows():
                return
        try:
            await self._drain()
        except BaseException:
            self._store.release(self._target, only_if_empty=False)
            raise

    async def _drain(self) -> None:
        while not self._store.release(self._target, only_if_empty=True):
            await self._gather()
            self._store.take_lease(self._target)
            try:
                await self._deliver(self._next_rows())
                self._pause = 0.0
                self._store.stop(self._target, "")
            except PostHogError as error:
                if not _passes(error):
                    self._store.stop(self._target, str(error))
                    self._store.release(self._target, only_if_empty=False)
                    _log.warning("events stay on disk until this is mended: %s", error)
                    return
                await self._back_off(error)

    async def _gather(self) -> None:
        """Wait a moment for a batch to fill, so that a burst of single events is one request."""
        if len(self._next_rows()) < FULL and not self._hurry.is_set():
            await self._until_hurry(_GATHER_SECONDS)
        self._hurry.clear()

    async def _back_off(self, error: PostHogError) -> None:
        self._pause = min(max(self._pause * 2, 1.0), _LONGEST_PAUSE)
        named = getattr(error, "wait", None) or 0.0
        # Full jitter above half: many processes that lost the same host do not return in step.
        seconds = max(named, self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        self._store.stop(self._target, str(error))
        while seconds > 0 and not self._hurry.is_set():
            step = min(seconds, LEASE_SECONDS / 3)
            await self._until_hurry(step)
            self._store.take_lease(self._target)
            seconds -= step

    async def _until_hurry(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return

    async def _deliver(self, rows: Sequence[Row]) -> None:
        """Send rows that lie side by side; the ones PostHog refuses are found by halving, and kept aside."""
        if not rows:
            return
        try:
            answer = await self._client.send_batch(
                [row.body for row in rows],
                token=self._token,
                historical=rows[0].historical,
                seconds=_SEND_SECONDS,
            )
        except (Invalid, TooLarge) as error:
            if len(rows) == 1:
                self._store.bury(self._target, rows, str(error))
                self._note_progress()
                return
            middle = len(rows) // 2
            await self._deliver(rows[:middle])
            await self._deliver(rows[middle:])
            return
        if answer.quota_limited:
            # PostHog answers 200 and drops them: they are not delivered, and sending again at once is no use.
            limited = ", ".join(answer.quota_limited)
            self._store.bury(self._target, rows, f"PostHog dropped it: over the billing limit for {limited}.")
        else:
            self._store.delivered(self._target, rows)
        self._note_progress()

    def _next_rows(self) -> list[Row]:
        return self._store.next_rows(self._target, FULL, _FULL_BYTES)

    def _note_progress(self) -> None:
        self.progress.set()
        self.progress = asyncio.Event()


def _passes(error: PostHogError) -> bool:
    """Whether the same request may succeed later without anybody doing anything."""
    if isinstance(error, Answered):
        return isinstance(error, ServerError | RateLimited) or error.status == _REQUEST_TIMEOUT
    return isinstance(error, NoAnswer | BadAnswer)
