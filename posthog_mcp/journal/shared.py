"""Changes for several machines: in Redis while it answers, in this machine's file while it does not."""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, TypeVar

from posthog_mcp.journal.local import LocalStore
from posthog_mcp.journal.redis import RedisStore
from posthog_mcp.journal.store import JournalUnusable
from posthog_mcp.limits.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from posthog_mcp.journal.change import Change
    from posthog_mcp.journal.store import Noted

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_LONGEST_CALL_SECONDS = 900.0
_BLOCKS, _BLOCK = 1 << 20, 1 << 32
"""Each machine numbers what it notes alone from a block of its own, far above the numbers of Redis."""


class SharedStore:
    """What the file holds goes to Redis as soon as that answers, under the same numbers.

    Args:
        url: Of the Redis.
        path: The file for the time without it; None keeps changes in memory.
    """

    def __init__(self, url: str, path: Path | None) -> None:
        self._redis = RedisStore(url)
        self._local = LocalStore(path, first=(secrets.randbelow(_BLOCKS) + 1) * _BLOCK)
        self._reach = Reach(
            lambda: f"Changes are noted {self._meanwhile} until it answers again.",
            "Changes are shared with the other machines.",
        )
        # What an earlier process could not hand over is there from the start.
        self._left = path is not None and path.exists()

    @property
    def caveat(self) -> str:
        """What is missing while Redis cannot be reached."""
        since = self._reach.lost_since
        if since is None:
            return ""
        return (
            f"Redis cannot be reached since {since:%H:%M:%S} UTC: only what was noted {self._meanwhile} "
            "meanwhile is shown."
        )

    async def begin(self, change: Change) -> int:
        """Note a change that is about to be made."""
        number = await self._ask(self._redis.number)
        if number is not None and await self._ask(lambda: self._redis.put(number, change, confirmed=False)):
            return number
        self._left = True
        return await self._local.begin(change, number)

    async def confirm(self, number: int, change: Change) -> None:
        """Note that it was made, wherever it was noted before."""
        if not await self._ask(lambda: self._redis.put(number, change, confirmed=True)):
            self._left = True
            await self._local.confirm(number, change)

    async def drop(self, number: int) -> bool:
        """Forget it; gives whether it was there."""
        shared = await self._ask(lambda: self._redis.drop(number))
        own = self._left and await self._local.drop(number)
        if shared is None and not own:
            raise _away()
        return own or bool(shared)

    async def find(self, number: int, host: str, since: float) -> Noted | None:
        """One change, unless it was made before `since`."""
        shared = await self._ask(lambda: self._redis.find(number, host, since))
        if shared:
            return shared[0]
        own = await self._local.find(number, host, since) if self._left else None
        if shared is None and own is None:
            raise _away()
        return own

    async def changes(
        self, host: str, project_id: int, *, kind: str, since: float, limit: int, skip: int
    ) -> tuple[list[Noted], int]:
        """Changes since then, newest first, and how many there are in all."""

        def of(store: LocalStore | RedisStore) -> Awaitable[tuple[list[Noted], int]]:
            return store.changes(host, project_id, kind=kind, since=since, limit=limit, skip=skip)

        return await self._ask(lambda: of(self._redis)) or await of(self._local)

    async def claim(self, number: int, undone_by: int, seconds: float) -> bool:
        """Take the right to undo a change."""
        shared = await self._ask(lambda: self._redis.claim(number, undone_by, seconds))
        if shared is None:
            return await self._local.claim(number, undone_by, seconds)
        return shared

    async def release(self, number: int) -> None:
        """Give it back; where nobody can be told, it lapses."""
        if not await self._ask(lambda: self._redis.release(number)):
            await self._local.release(number)

    async def close(self) -> None:
        """Let go of the connections and the file."""
        await self._redis.close()
        await self._local.close()

    async def _ask(self, question: Callable[[], Awaitable[_T]]) -> _T | None:
        """What Redis says, once it has what the file holds; None while it cannot be reached."""

        async def caught_up() -> _T:
            if self._left:
                await self._hand_over()
            return await question()

        return await self._reach.ask(caught_up)

    async def _hand_over(self) -> None:
        """Give Redis what was noted without it, apart from what calls still work on."""
        self._left, left = False, True  # first: what is noted meanwhile sets it again
        try:
            finished, total = await self._local.finished(time.time() - _LONGEST_CALL_SECONDS)
            for noted in finished:
                await self._redis.put(noted.id, noted.change, confirmed=noted.confirmed)
                await self._local.drop(noted.id)
            left = len(finished) < total
        except JournalUnusable as error:
            _log.warning("what was noted without Redis stays here: %s", error)
        finally:
            self._left = self._left or left

    @property
    def _meanwhile(self) -> str:
        return "in the memory of this process" if self._local.caveat else "by the servers of this machine"


def _away() -> JournalUnusable:
    return JournalUnusable(
        "Redis, which keeps the changes of all machines, cannot be reached.",
        "Call it again later; list_changes shows what was noted meanwhile.",
    )
