"""Changes in a SQLite file that all server processes of a machine share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread

from posthog_mcp.journal.change import Change
from posthog_mcp.journal.file import File
from posthog_mcp.journal.store import KEPT_SECONDS, MOST, Noted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")

_NOTED = (
    "SELECT id, confirmed, body, (SELECT max(later.id) FROM changes later WHERE later.undoes = changes.id"
    " AND later.undoes > 0 AND later.confirmed) FROM changes WHERE"
)
_INSERT = (
    "INSERT INTO changes (id, at, host, project, kind, undoes, body, confirmed)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET confirmed = excluded.confirmed, body = excluded.body RETURNING id"
)


class LocalStore:
    """Opened by the first call. Where the file cannot be opened, it is this process's memory from then on.

    Args:
        path: The file; None keeps changes in memory.
        first: The number before the first one that it gives, where the file is new.
    """

    def __init__(self, path: Path | None, first: int = 0) -> None:
        self._file = File(path, first)

    @property
    def caveat(self) -> str:
        """Whether the changes end with this process."""
        return "" if self._file.path else "They are kept in the memory of this process alone."

    async def begin(self, change: Change, number: int | None = None) -> int:
        """Note a change, under a number that others gave it or one of its own."""

        def insert(db: sqlite3.Connection) -> int:
            db.execute("DELETE FROM changes WHERE at < ?", (change.at - KEPT_SECONDS,))
            db.execute(
                "DELETE FROM changes WHERE id IN"
                " (SELECT id FROM changes ORDER BY at DESC, id DESC LIMIT -1 OFFSET ?)",
                (MOST - 1,),
            )
            return db.execute(_INSERT, _row(number, change, confirmed=False)).fetchone()[0]

        return await self._run(insert)

    async def confirm(self, number: int, change: Change) -> None:
        """Note that it was made, be it noted here before or elsewhere."""
        await self._run(lambda db: db.execute(_INSERT, _row(number, change, confirmed=True)).fetchone())

    async def drop(self, number: int) -> bool:
        """Forget it; gives whether it was there."""
        return await self._run(
            lambda db: db.execute("DELETE FROM changes WHERE id = ?", (number,)).rowcount > 0
        )

    async def find(self, number: int, host: str, since: float) -> Noted | None:
        """One change, unless it was made before `since`."""
        values = (number, host, since)
        found = await self._run(
            lambda db: db.execute(f"{_NOTED} id = ? AND host = ? AND at >= ?", values).fetchone()
        )
        return _noted(found) if found else None

    async def changes(
        self, host: str, project_id: int, *, kind: str, since: float, limit: int, skip: int
    ) -> tuple[list[Noted], int]:
        """Changes since then, newest first, and how many there are in all."""
        where = "host = ? AND project IN (?, 0) AND at >= ? AND (? = '' OR kind = ?)"
        values = (host, project_id, since, kind, kind)

        def select(db: sqlite3.Connection) -> tuple[list[Noted], int]:
            rows = db.execute(f"{_NOTED} {where} ORDER BY id DESC LIMIT ? OFFSET ?", (*values, limit, skip))
            found = [_noted(row) for row in rows]
            (total,) = db.execute(f"SELECT count(*) FROM changes WHERE {where}", values).fetchone()  # noqa: S608 - constants
            return found, total

        return await self._run(select)

    async def claim(self, number: int, undone_by: int, seconds: float) -> bool:
        """Take the right to undo a change."""

        def take(db: sqlite3.Connection) -> bool:
            now = time.time()
            db.execute("DELETE FROM claims WHERE until <= ?", (now,))
            (latest,) = db.execute(
                "SELECT max(id) FROM changes WHERE undoes = ? AND undoes > 0 AND confirmed", (number,)
            ).fetchone()
            if (latest or 0) != undone_by:
                return False
            taken = db.execute("INSERT OR IGNORE INTO claims VALUES (?, ?)", (number, now + seconds))
            return taken.rowcount > 0

        return await self._run(take)

    async def release(self, number: int) -> None:
        """Give it back."""
        await self._run(lambda db: db.execute("DELETE FROM claims WHERE change = ?", (number,)))

    async def finished(self, before: float) -> tuple[list[Noted], int]:
        """What nobody works on any more: confirmed, or begun before then. And how many changes there are."""

        def select(db: sqlite3.Connection) -> tuple[list[Noted], int]:
            rows = db.execute(f"{_NOTED} confirmed OR at < ? ORDER BY id", (before,))
            found = [_noted(row) for row in rows]
            (total,) = db.execute("SELECT count(*) FROM changes").fetchone()
            return found, total

        return await self._run(select)

    async def close(self) -> None:
        """Close the file; the next call opens it again."""
        await anyio.to_thread.run_sync(self._file.close)

    async def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        # In a thread, since another process may hold the file.
        return await anyio.to_thread.run_sync(self._file.alone, work)


def _row(number: int | None, change: Change, *, confirmed: bool) -> tuple[object, ...]:
    kept = (change.at, change.host, change.project_id, change.kind, change.undoes, change.written())
    return number, *kept, confirmed


def _noted(row: tuple[int, int, str, int | None]) -> Noted:
    number, confirmed, body, undone_by = row
    return Noted(number, Change.read(body), bool(confirmed), undone_by or 0)
