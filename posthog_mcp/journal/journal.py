"""The journal of changes: a SQLite file that all server processes of a machine share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from posthog_mcp.journal.change import Change
from posthog_mcp.journal.file import File

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from pathlib import Path

_T = TypeVar("_T")

FILE = "journal.db"
DAYS = 90
MOST = 10_000
_SECONDS = DAYS * 86_400
_NOTED = (
    "SELECT id, confirmed, body, (SELECT max(later.id) FROM changes later WHERE later.undoes = changes.id"
    " AND later.undoes > 0 AND later.confirmed) FROM changes WHERE"
)


@dataclass(frozen=True, slots=True)
class Noted:
    """A change with what the journal knows of it.

    Attributes:
        id: Its number, the same for all processes.
        change: The change.
        confirmed: PostHog said that it happened; else the answer never came.
        undone_by: The number of the latest change that undid it; 0 for none.
    """

    id: int
    change: Change
    confirmed: bool
    undone_by: int


class Journal:
    """The changes of the last 90 days, at most 10,000. The file is opened by the first call.

    A change is noted before it is made and confirmed when PostHog has answered, so one whose process dies in
    between is not lost: it stays unconfirmed. Where the file cannot be opened, the journal is this process's
    own from then on; the log says so.

    Args:
        state_dir: Directory of the file; none keeps it in this process's memory.
        secrets: Texts that are never kept.
    """

    def __init__(self, state_dir: Path | None, secrets: Iterable[str] = ()) -> None:
        self._file = File(state_dir / FILE if state_dir else None)
        self._secrets = tuple(secrets)

    @property
    def shared(self) -> bool:
        """Whether other processes have a part in it and it outlives this one."""
        return self._file.path is not None

    async def begin(self, change: Change) -> int:
        """Note a change that is about to be made; gives its number.

        Raises:
            JournalUnusable: It was not noted.
        """
        kept = change.kept(self._secrets)

        def insert(db: sqlite3.Connection) -> int:
            db.execute("DELETE FROM changes WHERE at < ?", (kept.at - _SECONDS,))
            db.execute("DELETE FROM changes WHERE id <= (SELECT max(id) FROM changes) - ?", (MOST - 1,))
            values = (kept.at, kept.host, kept.project_id, kept.kind, kept.undoes, kept.written())
            return db.execute(
                "INSERT INTO changes (at, host, project, kind, undoes, body) VALUES (?, ?, ?, ?, ?, ?)"
                " RETURNING id",
                values,
            ).fetchone()[0]

        return await self._run(insert)

    async def confirm(self, number: int, change: Change) -> None:
        """Note that a change was made, with what is known of it now.

        Raises:
            JournalUnusable: It stays unconfirmed.
        """
        body = change.kept(self._secrets).written()
        update = "UPDATE changes SET confirmed = 1, body = ? WHERE id = ?"
        await self._run(lambda db: db.execute(update, (body, number)))

    async def drop(self, number: int) -> None:
        """Forget a change that was not made.

        Raises:
            JournalUnusable: It stays unconfirmed.
        """
        await self._run(lambda db: db.execute("DELETE FROM changes WHERE id = ?", (number,)))

    async def find(self, number: int, host: str, now: float) -> Noted | None:
        """The change of this number at that PostHog; None where there is none, or none any more.

        Raises:
            JournalUnusable: The file cannot be read.
        """
        values = (number, host, now - _SECONDS)
        found = await self._run(
            lambda db: db.execute(f"{_NOTED} id = ? AND host = ? AND at >= ?", values).fetchone()
        )
        return _noted(found) if found else None

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
            JournalUnusable: The file cannot be read.
        """
        where = "host = ? AND project IN (?, 0) AND at >= ? AND (? = '' OR kind = ?)"
        values = (host, project_id, max(since, now - _SECONDS), kind, kind)

        def select(db: sqlite3.Connection) -> tuple[list[Noted], int]:
            rows = db.execute(f"{_NOTED} {where} ORDER BY id DESC LIMIT ? OFFSET ?", (*values, limit, skip))
            found = [_noted(row) for row in rows]
            (total,) = db.execute(f"SELECT count(*) FROM changes WHERE {where}", values).fetchone()  # noqa: S608 - constants
            return found, total

        return await self._run(select)

    async def close(self) -> None:
        """Close the file; the next call opens it again."""
        await anyio.to_thread.run_sync(self._file.close)

    async def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        # In a thread, since another process may hold the file; to its end, since what happened at PostHog
        # must be noted even when nobody waits for the answer any more.
        done: list[_T] = []
        with anyio.CancelScope(shield=True):
            done.append(await anyio.to_thread.run_sync(self._file.alone, work))
        return done[0]


def _noted(row: tuple[int, int, str, int | None]) -> Noted:
    number, confirmed, body, undone_by = row
    return Noted(number, Change.read(body), bool(confirmed), undone_by or 0)
