"""Which events were taken before: a retry of a delivered request must not be done twice."""

from __future__ import annotations

import marshal
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from posthog_mcp.sandbox.store import Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS ingested (
    id INTEGER PRIMARY KEY AUTOINCREMENT, events INTEGER NOT NULL, keys BLOB NOT NULL
);
"""
_KEY: Final = 8
_REMEMBERED: Final = 100_000
# Format 2 of marshal has no references to earlier values: equal JSON gives equal bytes.
_FORMAT: Final = 2


def key_of(*parts: Any) -> bytes:
    """Eight bytes that stand for an event as the client sent it."""
    return blake2b(marshal.dumps(parts, _FORMAT), digest_size=_KEY).digest()


class Seen:
    """The keys of the last 100,000 events or more, one row for each commit: they outlive the process."""

    def __init__(self, store: Store) -> None:
        """Create the table where it is missing, and read it."""
        self._db = store.db
        self._db.executescript(_SCHEMA)
        self._recent: set[bytes] = set()
        self._older: set[bytes] = set()
        self._new: list[bytes] = []
        self._read()

    def first_time(self, key: bytes) -> bool:
        """Note a key; False when it was noted before."""
        if key in self._recent or key in self._older:
            return False
        self._recent.add(key)
        self._new.append(key)
        return True

    def write(self, events: int) -> int:
        """Store a commit of that many events and their keys; its number, one more than the last one's."""
        cursor = self._db.execute(
            "INSERT INTO ingested (events, keys) VALUES (?, ?)", (events, b"".join(self._new))
        )
        number = cursor.lastrowid
        assert number is not None  # noqa: S101 - an insert has one
        self._db.execute("DELETE FROM ingested WHERE id = ? AND length(keys) = 0", (number - 1,))
        self._new.clear()
        if len(self._recent) >= _REMEMBERED:
            self._older, self._recent = self._recent, set()
            self._db.execute("DELETE FROM ingested WHERE id <= ?", (self._obsolete(),))
        return number

    def last(self) -> int:
        """The number of the last commit, 0 when there was none."""
        (number,) = self._db.execute("SELECT coalesce(max(id), 0) FROM ingested").fetchone()
        return number

    def forget(self) -> None:
        """Go back to what is stored."""
        self._new.clear()
        self._recent.clear()
        self._older.clear()
        self._read()

    def _obsolete(self) -> int:
        """The newest commit that need not be remembered, since those after it hold enough keys."""
        row = self._db.execute(
            "SELECT id FROM (SELECT id, sum(length(keys)) OVER (ORDER BY id DESC) AS held FROM ingested) "
            "WHERE held >= ? ORDER BY id DESC LIMIT 1",
            (2 * _REMEMBERED * _KEY,),
        ).fetchone()
        return row[0] - 1 if row else 0

    def _read(self) -> None:
        for (keys,) in self._db.execute("SELECT keys FROM ingested"):
            self._recent.update(keys[at : at + _KEY] for at in range(0, len(keys), _KEY))
