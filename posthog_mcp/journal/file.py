"""The file of the journal: private, opened when first needed, in memory where it cannot be."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from posthog_mcp.journal.store import JournalUnusable
from posthog_mcp.limits.lock import SharedLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, host TEXT NOT NULL, project INTEGER NOT NULL,
    kind TEXT NOT NULL, undoes INTEGER NOT NULL, confirmed INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS changes_at ON changes (at);
CREATE INDEX IF NOT EXISTS changes_project ON changes (host, project, id);
CREATE INDEX IF NOT EXISTS changes_undoes ON changes (undoes) WHERE undoes > 0;
CREATE TABLE IF NOT EXISTS claims (change INTEGER PRIMARY KEY, until REAL NOT NULL);
"""
_FIRST = (
    "INSERT INTO sqlite_sequence (name, seq) SELECT 'changes', ?"
    " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'changes')"
)
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class File:
    """One SQLite file, used from any thread.

    Args:
        path: Where it is; None for this process's memory.
        first: The number before that of the first change, where the file is new.

    Attributes:
        path: Where it is; None while it is in this process's memory alone.
    """

    def __init__(self, path: Path | None, first: int = 0) -> None:
        self.path = path
        self._first = first
        self._opening = threading.Lock()
        self._opened: tuple[sqlite3.Connection, SharedLock] | None = None

    def alone(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do it in one transaction, alone among all threads and processes.

        Raises:
            JournalUnusable: It was not done.
        """
        try:
            db, lock = self._open()
            with lock.held(blocking=True):
                return _in_transaction(db, work)
        except sqlite3.Error as error:
            where = f"at {self.path}" if self.path else "in memory"
            raise JournalUnusable(f"The journal of changes {where} cannot be used: {error}.") from None

    def close(self) -> None:
        """Close it; the next use opens it again."""
        with self._opening:
            opened, self._opened = self._opened, None
        if opened is not None:
            db, lock = opened
            with lock.held(blocking=True):
                db.close()
            lock.close()

    def _open(self) -> tuple[sqlite3.Connection, SharedLock]:
        with self._opening:
            if self._opened is None:
                try:
                    self._opened = _open(self.path, self._first)
                except (OSError, sqlite3.Error) as error:
                    _log.warning("changes are kept in the memory of this process alone: %s", error)
                    self.path = None
                    self._opened = _open(None, self._first)
            return self._opened


def _in_transaction(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], _T]) -> _T:
    db.execute("BEGIN IMMEDIATE")
    try:
        done = work(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return done


def _open(path: Path | None, first: int) -> tuple[sqlite3.Connection, SharedLock]:
    if path is None:
        return _connected(None, first), SharedLock(None)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = SharedLock(path.with_suffix(".lock"))
    try:
        with lock.held(blocking=True):
            try:
                return _connected(path, first), lock
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF not in _DAMAGE:
                    raise
                _log.error(
                    "the journal of changes was damaged (%s): it is kept as %s", error, _set_aside(path)
                )
                return _connected(path, first), lock
    except BaseException:
        lock.close()
        raise


def _connected(path: Path | None, first: int) -> sqlite3.Connection:
    if path and not path.exists():
        # Never on a file that is there: closing it would let go of every lock SQLite holds in this process.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA busy_timeout = 10000")
        db.execute("PRAGMA journal_mode = WAL")
        # Killing the process loses nothing that was committed; only a power cut could take the last commits.
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
        if first:
            db.execute(_FIRST, (first,))
    except BaseException:
        db.close()
        raise
    return db


def _set_aside(path: Path) -> Path:
    aside = path.with_name(
        f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}"
    )
    # The log goes first: left behind, it would be read into the new file.
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
