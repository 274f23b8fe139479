"""The journal of changes: noted before they are made, confirmed when PostHog has answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

from posthog_mcp.journal.local import LocalStore
from posthog_mcp.journal.store import KEPT_SECONDS, MOST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable
    from pathlib import Path

    from posthog_mcp.journal.change import Change
    from posthog_mcp.journal.store import Noted, Store

_T = TypeVar("_T")

FILE = "journal.db"
_LARGEST_ID = (1 << 63) - 1  # that SQLite takes
FILE_WITHOUT_REDIS = "journal-without-redis.db"


class Journal:
    """The changes of the last 90 days, at most 10,000. Nothing is opened before the first call.

    A change is noted before it is made and confirmed when PostHog has answered, so one whose process dies in
    between is not lost: it stays unconfirmed. Where neither Redis nor the file can be used, the journal is
    this process's own; the log says so, and `caveat`.

    Args:
        state_dir: Directory of the file; none keeps it in this process's memory.
        secrets: Texts that are never kept.
        redis_url: A Redis or Valkey that several machines share; the file is used while it cannot be reached.
    """

    def __init__(self, state_dir: Path | None, secrets: Iterable[str] = (), redis_url: str = "") -> None:
        self._secrets = tuple(secrets)
        self._store = _store(state_dir, redis_url)

    @property
    def caveat(self) -> str:
        """In one sentence: who has no part in it for now; empty while all have that should."""
        return self._store.caveat

    async def begin(self, change: Change) -> int:
        """Note a change that is about to be made; gives its number.

        Raises:
            JournalUnusable: It was not noted.
        """
        return await _whole(self._store.begin(change.kept(self._secrets)))

    async def confirm(self, number: int, change: Change) -> None:
        """Note that a change was made, with what is known of it now.

        Raises:
            JournalUnusable: It stays unconfirmed.
        """
        await _whole(self._store.confirm(number, change.kept(self._secrets)))

    async def drop(self, number: int) -> None:
        """Forget a change that was not made.

        Raises:
            JournalUnusable: It stays unconfirmed.
        """
        await _whole(self._store.drop(number))

    async def find(self, number: int, host: str, now: float) -> Noted | None:
        """The change of this number at that PostHog; None where there is none, or none any more.

        Raises:
            JournalUnusable: It cannot be looked up.
        """
        return await self._store.find(min(number, _LARGEST_ID), host, now - KEPT_SECONDS)

    async def changes(
        self,
        host: str,
        project_id: int,
        *,
        now: float,
        kind: str = "",
        since: float = 0.0,
        limit: int,
        skip: int,
    ) -> tuple[list[Noted], int]:
        """Changes of a project, and of what belongs to none, newest first.

        Args:
            host: The origin of the PostHog.
            project_id: The project.
            now: Seconds since 1970; what is older than 90 days then is not there.
            kind: Only objects of this kind; empty for all.
            since: Only changes from then on.
            limit: The most to give.
            skip: How many of the newest to leave out.

        Returns:
            The changes, and how many there are in all.

        Raises:
            JournalUnusable: They cannot be read.
        """
        since = max(since, now - KEPT_SECONDS)
        return await self._store.changes(
            host, project_id, kind=kind, since=since, limit=limit, skip=min(skip, MOST)
        )

    async def claim(self, noted: Noted, seconds: float) -> bool:
        """Take the right to undo a change, for so many seconds at most.

        Returns:
            False where somebody else has it, or undid the change since it was looked up.

        Raises:
            JournalUnusable: Nobody can tell.
        """
        return await _whole(self._store.claim(noted.id, noted.undone_by, seconds))

    async def release(self, noted: Noted) -> None:
        """Give the right back.

        Raises:
            JournalUnusable: It lapses by itself.
        """
        await _whole(self._store.release(noted.id))

    async def close(self) -> None:
        """Close what is open; the next call opens it again."""
        await self._store.close()


def _store(state_dir: Path | None, redis_url: str) -> Store:
    if not redis_url:
        return LocalStore(state_dir / FILE if state_dir else None)
    # Redis is an extra.
    from posthog_mcp.journal.shared import SharedStore  # noqa: PLC0415

    return SharedStore(redis_url, state_dir / FILE_WITHOUT_REDIS if state_dir else None)


async def _whole(noting: Awaitable[_T]) -> _T:
    """To its end: what happened at PostHog must be noted even when nobody waits for the answer any more."""
    done: list[_T] = []
    with anyio.CancelScope(shield=True):
        done.append(await noting)
    return done[0]
