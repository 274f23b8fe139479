"""Events on disk until PostHog has them: one SQLite file for all processes, hosts and projects of a user.

An event is safe once `append` returns: the file has a log written ahead, so killing the process at any moment
loses nothing; only a power cut could take the last commits.
"""

import json
import os
import sqlite3
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from posthog_mcp.outbox.rows import DeadLetter, Event, OutboxDamaged, OutboxFull, Row, Status, Waiting

_SCHEMA = """
CREATE TABLE IF NOT EXISTS targets (
    id INTEGER PRIMARY KEY, host TEXT NOT NULL, token TEXT NOT NULL,
    owner TEXT, expires REAL, stopped TEXT NOT NULL DEFAULT '', UNIQUE (host, token)
);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, target INTEGER NOT NULL, uuid BLOB NOT NULL,
    historical INTEGER NOT NULL, at REAL NOT NULL, body BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS events_uuid ON events (target, uuid);
CREATE INDEX IF NOT EXISTS events_order ON events (target, seq);
CREATE TABLE IF NOT EXISTS dead (
    seq INTEGER PRIMARY KEY, target INTEGER NOT NULL, uuid BLOB NOT NULL, historical INTEGER NOT NULL,
    body BLOB NOT NULL, reason TEXT NOT NULL, died REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS persons (
    seq INTEGER PRIMARY KEY, target INTEGER NOT NULL, distinct_id TEXT NOT NULL, at REAL NOT NULL,
    properties TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS persons_id ON persons (target, distinct_id);
CREATE TABLE IF NOT EXISTS delivered (seq INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS total (one INTEGER PRIMARY KEY CHECK (one = 1), events INTEGER NOT NULL);
INSERT OR IGNORE INTO total VALUES (1, 0);
"""
MOST_EVENTS, MOST_BYTES = 1_000_000, 1 << 30
PERSON_SECONDS = 600.0
LEASE_SECONDS = 60.0  # longer than one request may take
_REMEMBERED = 100_000  # delivered uuids that can still be told from unknown ones


class Store:
    """The file.

    Args:
        path: Where; none keeps events in memory alone.
        most_events: More than these are refused, so that the oldest stay.
        most_bytes: The same by size of the file.

    Raises:
        OutboxDamaged: The file cannot be read and could not be set aside.
    """

    def __init__(
        self, path: Path | None, *, most_events: int = MOST_EVENTS, most_bytes: int = MOST_BYTES
    ) -> None:
        self._path = path
        self._most_events, self._most_bytes = most_events, most_bytes
        # One owner for each store: two stores in one process are two senders, like two processes.
        self.owner = f"{os.getpid()}:{os.urandom(6).hex()}"
        try:
            self._db = _open(path)
        except sqlite3.DatabaseError as error:
            if path is None or isinstance(error, sqlite3.OperationalError):
                raise OutboxDamaged(f"The outbox cannot be opened: {error}.") from None
            _set_aside(path)
            self._db = _open(path)

    # --- taking in ----------------------------------------------------------------------------------------

    def target(self, host: str, token: str) -> int:
        """The number of a project at a host."""
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO targets (host, token) VALUES (?, ?)", (host, token))
            return self._db.execute(
                "SELECT id FROM targets WHERE host = ? AND token = ?", (host, token)
            ).fetchone()[0]

    def append(self, target: int, events: Sequence[Event], *, historical: bool = False) -> None:
        """Keep events; they are safe when this returns. One whose uuid waits already is kept once.

        Raises:
            OutboxFull: None of them was kept.
        """
        now = time.time()
        with self._transaction():
            self._check_room(len(events))
            added = self._db.executemany(
                "INSERT OR IGNORE INTO events (target, uuid, historical, at, body) VALUES (?, ?, ?, ?, ?)",
                [(target, event.uuid.bytes, historical, now, event.body) for event in events],
            ).rowcount
            self._db.execute("UPDATE total SET events = events + ?", (added,))
            self._remember_persons(target, events, now)

    def person(self, target: int, distinct_id: str) -> dict[str, Any]:
        """What was set on a person through this file within the last ten minutes.

        PostHog takes a moment to know it; a flag evaluated until then has to be told.
        """
        rows = self._db.execute(
            "SELECT properties FROM persons WHERE target = ? AND distinct_id = ? AND at > ? ORDER BY seq",
            (target, distinct_id, time.time() - PERSON_SECONDS),
        )
        known: dict[str, Any] = {}
        for (properties,) in rows:
            known.update(json.loads(properties))
        return known

    def _remember_persons(self, target: int, events: Sequence[Event], now: float) -> None:
        set_now = [
            (target, event.distinct_id, now, json.dumps(event.person)) for event in events if event.person
        ]
        if set_now:
            self._db.execute("DELETE FROM persons WHERE at < ?", (now - PERSON_SECONDS,))
            self._db.executemany(
                "INSERT INTO persons (target, distinct_id, at, properties) VALUES (?, ?, ?, ?)", set_now
            )

    def room(self) -> int:
        """How many more events fit."""
        if self._bytes() >= self._most_bytes:
            return 0
        return max(0, self._most_events - self._db.execute("SELECT events FROM total").fetchone()[0])

    def _check_room(self, wanted: int) -> None:
        if wanted > self.room():
            raise OutboxFull(
                f"The outbox is full: it keeps {self._most_events:,} events, {self._most_bytes >> 20:,} MiB, "
                "until PostHog takes them."
            )

    def _bytes(self) -> int:
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    # --- sending ------------------------------------------------------------------------------------------

    def take_lease(self, target: int) -> float:
        """Become the one who sends for the target.

        Returns:
            0 when this store holds the lease now, else the seconds until it may be free.
        """
        now = time.time()
        with self._transaction():
            owner, expires = self._db.execute(
                "SELECT owner, expires FROM targets WHERE id = ?", (target,)
            ).fetchone()
            if owner not in (None, self.owner) and expires > now and _alive(owner):
                return expires - now
            self._db.execute(
                "UPDATE targets SET owner = ?, expires = ? WHERE id = ?",
                (self.owner, now + LEASE_SECONDS, target),
            )
            return 0.0

    def release(self, target: int, *, only_if_empty: bool) -> bool:
        """Let the lease go; with `only_if_empty` only when nothing waits, seen in the same transaction."""
        with self._transaction():
            waiting = self._db.execute("SELECT 1 FROM events WHERE target = ? LIMIT 1", (target,)).fetchone()
            if only_if_empty and waiting:
                return False
            self._db.execute(
                "UPDATE targets SET owner = NULL, expires = NULL WHERE id = ? AND owner = ?",
                (target, self.owner),
            )
            return True

    def next_rows(self, target: int, most: int, most_bytes: int) -> list[Row]:
        """The oldest rows of the target that fit into one request; at least one where any waits."""
        rows: list[Row] = []
        room = most_bytes
        for seq, uuid, historical, body in self._db.execute(
            "SELECT seq, uuid, historical, body FROM events WHERE target = ? ORDER BY seq LIMIT ?",
            (target, most),
        ):
            room -= len(body)
            if rows and (room < 0 or rows[0].historical != bool(historical)):
                break
            rows.append(Row(seq, uuid, bool(historical), body))
        return rows

    def delivered(self, target: int, rows: Sequence[Row]) -> None:
        """Forget what PostHog has taken; `rows` lie side by side in the target's order."""
        with self._transaction():
            self._remove(target, rows)
            self._db.executemany(
                "INSERT OR IGNORE INTO delivered (uuid) VALUES (?)", [(row.uuid,) for row in rows]
            )
            self._db.execute(
                "DELETE FROM delivered WHERE seq <= (SELECT max(seq) FROM delivered) - ?", (_REMEMBERED,)
            )

    def bury(self, target: int, rows: Sequence[Row], reason: str) -> None:
        """Keep aside what PostHog does not take, with its reason."""
        now = time.time()
        with self._transaction():
            self._remove(target, rows)
            self._db.executemany(
                "INSERT INTO dead VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(row.seq, target, row.uuid, row.historical, row.body, reason, now) for row in rows],
            )

    def stop(self, target: int, reason: str) -> None:
        """Note why nothing is sent for the target; an empty reason takes it back."""
        with self._transaction():
            self._db.execute("UPDATE targets SET stopped = ? WHERE id = ?", (reason, target))

    def _remove(self, target: int, rows: Sequence[Row]) -> None:
        removed = self._db.execute(
            "DELETE FROM events WHERE target = ? AND seq BETWEEN ? AND ?", (target, rows[0].seq, rows[-1].seq)
        ).rowcount
        self._db.execute("UPDATE total SET events = events - ?", (removed,))

    # --- looking ------------------------------------------------------------------------------------------

    def targets(self) -> list[tuple[int, str, str]]:
        """Number, host and token of every target for which something waits."""
        return self._db.execute(
            "SELECT id, host, token FROM targets"
            " WHERE EXISTS (SELECT 1 FROM events WHERE target = targets.id)"
        ).fetchall()

    def waiting(self, target: int, uuids: Sequence[UUID]) -> bool:
        """Whether any of these events still waits."""
        return any(
            self._db.execute(
                "SELECT 1 FROM events WHERE target = ? AND uuid = ?", (target, uuid.bytes)
            ).fetchone()
            for uuid in uuids
        )

    def state_of(self, uuid: UUID) -> str:
        """`waiting`, `delivered`, `unknown`, or the reason why PostHog does not take the event."""
        key = (uuid.bytes,)
        if self._db.execute("SELECT 1 FROM events WHERE uuid = ?", key).fetchone():
            return "waiting"
        dead = self._db.execute("SELECT reason FROM dead WHERE uuid = ?", key).fetchone()
        if dead:
            return f"failed: {dead[0]}"
        return (
            "delivered"
            if self._db.execute("SELECT 1 FROM delivered WHERE uuid = ?", key).fetchone()
            else "unknown"
        )

    def status(self) -> Status:
        """All that is kept."""
        rows = self._db.execute(
            "SELECT host, token, count(*), min(at), stopped FROM events JOIN targets ON targets.id = target"
            " GROUP BY target ORDER BY host, token"
        )
        waiting = [
            Waiting(host, f"{token[:8]}…", count, at, stopped) for host, token, count, at, stopped in rows
        ]
        (dead,) = self._db.execute("SELECT count(*) FROM dead").fetchone()
        damaged = sorted(self._path.parent.glob(f"{self._path.name}.damaged-*")) if self._path else []
        return Status(waiting, dead, [str(path) for path in damaged], on_disk=self._path is not None)

    def dead_letters(self, most: int = 100) -> list[DeadLetter]:
        """Events that PostHog does not take, newest first."""
        rows = self._db.execute(
            "SELECT uuid, host, reason, died, body FROM dead JOIN targets ON targets.id = target"
            " ORDER BY died DESC, seq DESC LIMIT ?",
            (most,),
        )
        return [DeadLetter(UUID(bytes=uuid), *rest) for uuid, *rest in rows]

    def retry(self) -> int:
        """Put dead letters back in line, and send again where sending was stopped; gives how many."""
        with self._transaction():
            count = self._db.execute(
                "INSERT OR IGNORE INTO events (target, uuid, historical, at, body)"
                " SELECT target, uuid, historical, died, body FROM dead ORDER BY seq"
            ).rowcount
            self._db.execute("DELETE FROM dead")
            self._db.execute("UPDATE targets SET stopped = ''")
            self._db.execute("UPDATE total SET events = events + ?", (count,))
            return count

    def drop(self) -> int:
        """Delete the dead letters; gives how many."""
        with self._transaction():
            return self._db.execute("DELETE FROM dead").rowcount

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _open(path: Path | None) -> sqlite3.Connection:
    if path:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA busy_timeout = 10000")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _set_aside(path: Path) -> None:
    """Keep a file that cannot be read, under a name of its own, for whoever can repair it."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(path.with_name(f"{path.name}.damaged-{stamp}{suffix}"))


def _alive(owner: str) -> bool:
    """Whether the process that holds a lease still runs; where that cannot be asked, its time decides."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(int(owner.partition(":")[0]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
