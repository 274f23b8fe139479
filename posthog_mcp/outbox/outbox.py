"""Durable delivery: an event that was taken in reaches PostHog, whatever happens to the process."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from posthog_mcp.api import Effect, PostHogClient
from posthog_mcp.api.transport import Transport
from posthog_mcp.outbox.event import made
from posthog_mcp.outbox.rows import DeadLetter, Event, Status
from posthog_mcp.outbox.sender import FULL, Sender
from posthog_mcp.outbox.store import MOST_BYTES, MOST_EVENTS, Store

FILE = "outbox.db"
_LOOK_AGAIN = 0.1  # seconds; another process may be the one who delivers


class Outbox:
    """The outbox of one project, in a file that all processes share. Opened by the first call.

    Args:
        api_key: Project token, `phc_…`.
        host: `us`, `eu`, or the address of a PostHog.
        state_dir: Directory of the file; none keeps events in memory alone, and a killed process loses them.
        most_events: More waiting events than these are refused.
        most_bytes: The same by size of the file.
        proxy: URL of an HTTP proxy.
        ca_file: PEM file of certificate authorities to trust.
    """

    def __init__(
        self,
        api_key: str,
        host: str = "",
        state_dir: Path | None = None,
        *,
        most_events: int = MOST_EVENTS,
        most_bytes: int = MOST_BYTES,
        proxy: str = "",
        ca_file: Path | None = None,
    ) -> None:
        self._token, self._host = api_key, host
        self._path = state_dir / FILE if state_dir else None
        self._bounds = {"most_events": most_events, "most_bytes": most_bytes}
        self._transport = Transport(proxy=proxy, ca_file=ca_file)
        self._clients: dict[str, PostHogClient] = {}
        self._senders: dict[int, Sender] = {}
        self._opened: Store | None = None
        self._own: int | None = None

    async def capture(
        self,
        distinct_id: str,
        event: str,
        properties: Mapping[str, Any] | None = None,
        *,
        timestamp: datetime | None = None,
        uuid: UUID | None = None,
        wait: bool = False,
        timeout: float = 10.0,  # noqa: ASYNC109 - the event is safe either way
    ) -> UUID:
        """Take one event in; when this returns, it survives the process.

        Args:
            distinct_id: Who did it.
            event: What was done.
            properties: What is known of it; PostHog's own (`$set`, `$groups` …) go in here as well.
            timestamp: When; now by default.
            uuid: Its id; a new one by default.
            wait: Return only when PostHog has it.
            timeout: Longest such wait in seconds.

        Returns:
            Its uuid.

        Raises:
            OutboxFull: There is no room; nothing was kept.
            ValueError: The event cannot be sent.
            TimeoutError: With `wait`: it is safe, but not delivered yet.
        """
        taken = made(event, distinct_id, properties or {}, timestamp or datetime.now(UTC), uuid)
        await self.append([taken])
        if wait and not await self.wait_for([taken.uuid], timeout):
            raise TimeoutError("The event is safe on disk and not delivered yet.")
        return taken.uuid

    async def append(self, events: Sequence[Event], *, historical: bool = False) -> None:
        """Take in events that are ready.

        Raises:
            OutboxFull: There is no room; none was kept.
        """
        store, target = self._store(), self._target()
        if len(events) > FULL:
            await asyncio.to_thread(store.append, target, events, historical=historical)
        else:
            store.append(target, events, historical=historical)
        self._sender(target).wake(hurry=len(events) >= FULL)

    async def wait_for(self, uuids: Sequence[UUID], timeout: float) -> bool:  # noqa: ASYNC109 - False, no error
        """Whether the events left within `timeout` seconds: delivered, or found undeliverable."""
        store, target = self._store(), self._target()
        sender = self._sender(target)
        deadline = asyncio.get_running_loop().time() + timeout
        while store.waiting(target, uuids):
            sender.wake(hurry=True)
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            try:
                async with asyncio.timeout(min(left, _LOOK_AGAIN)):
                    await sender.progress.wait()
            except TimeoutError:
                continue
        return True

    async def flush(self, timeout: float = 10.0) -> bool:  # noqa: ASYNC109 - False, no error
        """Send everything of this project now; whether nothing waits any more."""
        deadline = asyncio.get_running_loop().time() + timeout
        store, target = self._store(), self._target()
        while rows := store.next_rows(target, 1, 1):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or not await self.wait_for([UUID(bytes=rows[0].uuid)], left):
                return False
        return True

    def person(self, distinct_id: str) -> dict[str, Any]:
        """What was set on a person here within the last ten minutes, for flags that are asked at once."""
        return self._store().person(self._target(), distinct_id)

    def deliver_leftovers(self) -> None:
        """Send what earlier processes left, for every host and project in the file."""
        for target, host, token in self._store().targets():
            self._sender(target, host, token).wake(hurry=False)

    def state_of(self, uuid: UUID) -> str:
        """`waiting`, `delivered`, `unknown`, or `failed: ` with PostHog's reason."""
        return self._store().state_of(uuid)

    def status(self) -> Status:
        """All that the file holds."""
        return self._store().status()

    def dead_letters(self, most: int = 100) -> list[DeadLetter]:
        """Events that PostHog does not take, newest first."""
        return self._store().dead_letters(most)

    def retry(self) -> int:
        """Put dead letters back in line; gives how many."""
        count = self._store().retry()
        self.deliver_leftovers()
        return count

    def drop(self) -> int:
        """Delete the dead letters; gives how many."""
        return self._store().drop()

    async def close(self, timeout: float = 0.7) -> int:  # noqa: ASYNC109 - what is left is safe
        """Send once more within `timeout` seconds, then let go; gives how many events stay on disk."""
        if self._opened is None:
            return 0
        for sender in self._senders.values():
            await sender.stop()
        try:
            async with asyncio.timeout(timeout):
                await asyncio.gather(*(sender.send_once() for sender in self._senders.values()))
        except TimeoutError:
            pass  # what was under way stays on disk, and counts once when it is sent again
        left = self._opened.status().events
        await self._transport.close()
        self._opened.close()
        self._opened = None
        return left

    def _store(self) -> Store:
        if self._opened is None:
            self._opened = Store(self._path, **self._bounds)
        return self._opened

    def _target(self) -> int:
        if self._own is None:
            self._own = self._store().target(self._client(self._host).hosts.public, self._token)
        return self._own

    def _sender(self, target: int, host: str = "", token: str = "") -> Sender:
        if target not in self._senders:
            client = self._client(host or self._host)
            self._senders[target] = Sender(self._store(), target, client, token or self._token)
        return self._senders[target]

    def _client(self, host: str) -> PostHogClient:
        if host not in self._clients:
            self._clients[host] = PostHogClient(host, allow=[Effect.EVENT], transport=self._transport)
        return self._clients[host]
