"""Durable delivery: an event that was taken in reaches PostHog, whatever happens to the process."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from posthog_mcp.api import Effect, PostHogClient
from posthog_mcp.api.hosts import Hosts
from posthog_mcp.api.transport import Transport
from posthog_mcp.outbox.database import Database
from posthog_mcp.outbox.event import made
from posthog_mcp.outbox.leases import Leases
from posthog_mcp.outbox.letters import Letters
from posthog_mcp.outbox.persons import Persons
from posthog_mcp.outbox.queue import MOST_BYTES, MOST_EVENTS, Queue
from posthog_mcp.outbox.rows import DeadLetter, Event, Lane, Mark, OutboxUnusable, Status, Target
from posthog_mcp.outbox.sender import Sender, Store

_log = logging.getLogger(__name__)

FILE = "outbox.db"
_LOOK_SECONDS = 0.1  # another process may be the one who delivers
_QUOTA_SECONDS = 3600.0


class Outbox:
    """The outbox of one project, in a file that all processes share. Opened by the first call.

    Use it within one event loop.

    Args:
        api_key: Project token, `phc_…`; empty to deliver and look after what others left.
        host: `us`, `eu`, or the address of a PostHog.
        state_dir: Directory of the file; none keeps events in memory alone, and a killed process loses them.
        most_events: More events than these are refused until some are delivered.
        most_bytes: The same by size of the file.
        delivers: False where another process is there to deliver what this one takes in.
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
        delivers: bool = True,
        proxy: str = "",
        ca_file: Path | None = None,
    ) -> None:
        self._token, self._host = api_key, host
        self._path = state_dir / FILE if state_dir else None
        self._bounds = most_events, most_bytes
        self._delivers = delivers
        self._transport = Transport(proxy=proxy, ca_file=ca_file)
        self._clients: dict[str, PostHogClient] = {}
        self._senders: dict[Target, Sender] = {}
        self._opened: _Parts | None = None
        self._own: Target | None = None
        self._quota_checked = 0.0

    @property
    def on_disk(self) -> bool:
        """Whether events outlive the process."""
        return self._path is not None

    # --- taking in ----------------------------------------------------------------------------------------

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
            OutboxUnusable: The file cannot be opened or written; nothing was kept.
            ValueError: The event cannot be sent.
            TimeoutError: With `wait`: it is safe, but not delivered yet.
        """
        taken = made(event, distinct_id, properties or {}, timestamp or datetime.now(UTC), uuid)
        await self.append([taken])
        if wait and not await self.wait_for([taken.uuid], timeout):
            raise TimeoutError("The event is safe on disk and not delivered yet.")
        return taken.uuid

    async def append(
        self, events: Sequence[Event], *, historical: bool = False, mark: Mark | None = None
    ) -> None:
        """Take in events that are ready.

        Args:
            events: In the order they are to be sent in.
            historical: They are from the past, and let those of now go first.
            mark: How far an import has come with them, or without any; kept in the same commit. Imported
                events go last.

        Raises:
            OutboxFull: There is no room; none was kept.
            OutboxUnusable: The file cannot be opened or written; none was kept.
        """
        parts, target = self._parts(), self._target()
        lane = Lane.IMPORT if mark else Lane.PAST if historical else Lane.NOW
        parts.queue.append(target, events, lane=lane, mark=mark)
        if time.monotonic() - self._quota_checked > _QUOTA_SECONDS:
            self._retry_due(parts)
        if events and self._delivers:
            self._sender(target).wake(added=len(events))

    def importing(self) -> int:
        """How many imported events of this project wait."""
        return self._parts().queue.count(self._target(), Lane.IMPORT)

    def mark(self, source: str) -> Mark:
        """How far the import of `source` has come."""
        return self._parts().queue.mark(source)

    def forget_mark(self, source: str) -> None:
        """The import of `source` is done, or is to start again."""
        self._parts().queue.forget_mark(source)

    # --- delivering ---------------------------------------------------------------------------------------

    async def forward(self, events: Sequence[Event]) -> bool:
        """Send events of the past that the caller's own file keeps, without writing them down first.

        Args:
            events: As many as go into one request. While `importing` ones wait they would overtake them.

        Returns:
            Whether PostHog has all of them; where not, `append` them, for all that may be wrong is dealt
            with there. Those it has got already count once.
        """
        return await self._sender(self._target()).forward(events)

    async def wait_for(self, uuids: Sequence[UUID], timeout: float) -> bool:  # noqa: ASYNC109 - False, no error
        """Whether the events left within `timeout` seconds: delivered, or found undeliverable.

        Gives False early when PostHog refuses to take any event of the project.
        """
        parts, target = self._parts(), self._target()
        sender = self._sender(target)
        sender.wake(hurry=True)
        deadline = time.monotonic() + timeout
        left = list(uuids)
        while True:
            # The youngest leave last, so that mostly one of them is looked at.
            while left and not parts.queue.waits(target, left[-1]):
                left.pop()
            if not left:
                return True
            if sender.refusal or not await _progress(sender, deadline):
                return False
            sender.wake()

    async def flush(self, timeout: float = 10.0) -> bool:  # noqa: ASYNC109 - False, no error
        """Send everything in the file now, of this project and all others; whether nothing waits any more.

        Gives False early when what is left is refused.
        """
        parts = self._parts()
        deadline = time.monotonic() + timeout
        for target in parts.queue.targets():
            self._sender(target).wake(hurry=True)
        while targets := parts.queue.targets():
            going = [sender for target in targets if not (sender := self._sender(target)).refusal]
            if not going or not await _progress(going[0], deadline):
                return False
            for sender in going:
                sender.wake()
        return True

    def deliver_leftovers(self) -> None:
        """Send what earlier processes left, for every host and project in the file."""
        parts = self._parts()
        self._retry_due(parts)
        for target in parts.queue.targets():
            self._sender(target).wake()

    def _retry_due(self, parts: "_Parts") -> None:
        self._quota_checked = time.monotonic()
        parts.letters.retry_due()

    # --- looking ------------------------------------------------------------------------------------------

    def person(self, distinct_id: str) -> dict[str, Any]:
        """What was set on a person here within the last ten minutes, for flags that are asked at once.

        Nothing where the file cannot be opened: a flag can be evaluated without.
        """
        try:
            return self._parts().persons.properties(self._target(), distinct_id)
        except OutboxUnusable as error:
            _log.warning("what was set lately is not known: %s", error)
            return {}

    def anonymous_id(self, distinct_id: str) -> str:
        """The id linked to a person here within the last ten minutes, empty when there is none."""
        try:
            return self._parts().persons.anonymous_id(self._target(), distinct_id)
        except OutboxUnusable as error:
            _log.warning("what was linked lately is not known: %s", error)
            return ""

    def problem(self) -> str:
        """Why events of this project do not reach PostHog for the time being; empty while they do."""
        return self._parts().leases.stopped(self._target())

    def refusal(self) -> str:
        """Why this process has stopped sending this project's events; empty while it goes on."""
        return self._sender(self._target()).refusal

    def state_of(self, uuid: UUID) -> str:
        """`waiting`, `delivered`, `unknown`, or `failed: ` with PostHog's reason."""
        return self._parts().letters.state_of(uuid)

    def status(self) -> Status:
        """All that the file holds."""
        return self._parts().letters.status()

    def dead_letters(self, most: int = 100) -> list[DeadLetter]:
        """Events that PostHog does not take, newest first."""
        return self._parts().letters.dead(most)

    def retry(self) -> int:
        """Put dead letters back in line, and try again where sending was stopped; gives how many."""
        count = self._parts().letters.retry()
        for target in self._parts().queue.targets():
            self._sender(target).wake(hurry=True)
        return count

    def drop(self, *, refused: bool = False) -> int:
        """Delete the dead letters; gives how many.

        Args:
            refused: Also what waits for projects that refuse everything, such as one with another token now.
        """
        return self._parts().letters.drop(refused=refused)

    # --- closing ------------------------------------------------------------------------------------------

    async def close(self, timeout: float = 0.7) -> int:  # noqa: ASYNC109 - what is left is safe
        """Send once more within `timeout` seconds, then let go.

        Returns:
            How many events stay; on disk they are for the next process, in memory they are lost.
        """
        parts = self._opened
        if parts is None:
            return 0
        try:
            async with asyncio.timeout(timeout):
                await asyncio.gather(*(sender.finish() for sender in self._senders.values()))
        except TimeoutError:
            pass  # what was under way stays on disk, and counts once when it is sent again
        left = parts.letters.status().events
        if left and self.on_disk:
            _log.warning("%d events stay on disk; the next start delivers them", left)
        elif left:
            _log.error("%d events are lost: they were kept in memory alone and could not be delivered", left)
        parts.file.close()
        self._opened, self._senders = None, {}
        await self._transport.close()
        return left

    def _parts(self) -> "_Parts":
        if self._opened is None:
            self._opened = _Parts(Database(self._path), *self._bounds)
            if not self.on_disk:
                _log.warning(
                    "events are kept in memory alone: those that wait when the process ends are lost"
                )
        return self._opened

    def _target(self) -> Target:
        if self._own is None:
            if not self._token:
                raise ValueError("this outbox has no project token")
            self._own = Target.of(Hosts.of(self._host).public, self._token)
        return self._own

    def _sender(self, target: Target) -> Sender:
        if target not in self._senders:
            if target.host not in self._clients:
                self._clients[target.host] = PostHogClient(
                    target.host, allow=[Effect.EVENT], transport=self._transport
                )
            parts = self._parts()
            store = Store(parts.queue, parts.leases)
            self._senders[target] = Sender(store, target, self._clients[target.host])
        return self._senders[target]


class _Parts:
    """What the file holds."""

    def __init__(self, file: Database, most_events: int, most_bytes: int) -> None:
        self.file = file
        self.queue = Queue(file, most_events, most_bytes)
        self.leases = Leases(file)
        self.letters = Letters(file)
        self.persons = Persons(file)


async def _progress(sender: Sender, deadline: float) -> bool:
    """Wait until the sender gets on, or a moment; False when the deadline is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        return False
    try:
        async with asyncio.timeout(min(left, _LOOK_SECONDS)):
            await sender.progress.wait()
    except TimeoutError:
        return True  # another process may have delivered meanwhile
    return True
