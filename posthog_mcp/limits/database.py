"""The SQLite file that the server processes of a machine share: one at a time, on one clock."""

import os
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from posthog_mcp.limits.clock import boot_id, since_boot
from posthog_mcp.limits.limit import LONGEST_BACK_OFF
from posthog_mcp.limits.lock import SharedLock

_SCHEMA = """
CREATE TABLE IF NOT EXISTS machine (
    one INTEGER PRIMARY KEY CHECK (one = 1), boot TEXT NOT NULL, clock REAL NOT NULL, wall REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS budgets (
    name TEXT PRIMARY KEY,
    next INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL,
    free_until REAL NOT NULL DEFAULT 0,
    cool_down REAL NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,
    refused_at REAL NOT NULL DEFAULT 0,
    lowered TEXT,
    lowered_at REAL NOT NULL DEFAULT 0,
    remaining INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS slots (
    budget TEXT, number INTEGER, at REAL NOT NULL, free INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (budget, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS queue (
    name TEXT, ticket INTEGER, machine TEXT NOT NULL, pid INTEGER NOT NULL, ends REAL NOT NULL,
    PRIMARY KEY (name, ticket)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_FOREIGN_LOCK_MS = 2_000


class Busy(Exception):  # noqa: N818 - a state, not a fault
    """Another process holds the file; the caller was not willing to wait in this thread."""


class Database:
    """The file, its lock and its clock.

    Args:
        path: The file; None keeps everything in this process alone.
        clock: Seconds since the machine started.
        boot: The identity of that start.

    Raises:
        OSError: The file cannot be made.
        sqlite3.Error: It cannot be used.
    """

    def __init__(
        self, path: Path | None, *, clock: Callable[[], float] = since_boot, boot: str | None = None
    ) -> None:
        self.now = clock
        self._boot = boot_id() if boot is None else boot
        if path:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = SharedLock(path.with_suffix(".lock") if path else None)
        try:
            with self._lock.held(blocking=True):
                self._db = _connected(path)
        except BaseException:
            self._lock.close()
            raise
        try:
            with self.alone(blocking=True):
                self._notice_restart()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def alone(self, *, blocking: bool) -> Generator[sqlite3.Connection]:
        """A transaction while no other process or thread has one.

        Raises:
            Busy: Another one has, and `blocking` is false.
        """
        with self._lock.held(blocking=blocking) as held:
            if not held:
                raise Busy
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file; what was given out stays given out."""
        with self._lock.held(blocking=True):
            self._db.close()
        self._lock.close()

    def _notice_restart(self) -> None:
        """Carry times over to this start of the machine, and note how they can be carried to the next."""
        now, wall = self.now(), time.time()
        row = self._db.execute("SELECT boot, clock, wall FROM machine").fetchone()
        if row and (row[0] != self._boot or row[1] > now):
            self._translate((row[2] - row[1]) - (wall - now), now)  # old clock -> wall -> this clock
        self._db.execute("INSERT OR REPLACE INTO machine VALUES (1, ?, ?, ?)", (self._boot, now, wall))

    def _translate(self, shift: float, now: float) -> None:
        # The wall clock may have been wrong in between: nothing may seem further away than a window.
        self._db.execute(
            "UPDATE slots SET at = min(at + ?, ? + (SELECT seconds FROM budgets WHERE name = budget))",
            (shift, now),
        )
        self._db.execute(
            "UPDATE budgets SET cool_down = min(cool_down + ?1, ?2), refused_at = min(refused_at + ?1, ?3),"
            " lowered_at = min(lowered_at + ?1, ?3), free_until = free_until + ?1",
            (shift, now + LONGEST_BACK_OFF, now),
        )
        self._db.execute("DELETE FROM queue")  # its holders are gone


def _connected(path: Path | None) -> sqlite3.Connection:
    if path and not path.exists():
        # Never on a file that is there: closing it would let go of every lock SQLite holds in this process.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    try:
        db.execute(f"PRAGMA busy_timeout = {_FOREIGN_LOCK_MS}")
        db.execute("PRAGMA journal_mode = WAL")
        # Losing the last permits in a power cut is harmless: starting again takes longer than that.
        db.execute("PRAGMA synchronous = OFF")
        db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db
