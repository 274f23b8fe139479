"""The SQLite file of the outbox: shared by all processes of a user, set aside when it is damaged.

Its log is written ahead, so killing a process at any moment loses nothing that was committed; only a power
cut could take the last commits.
"""

import json
import logging
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from posthog_mcp.limits.lock import SharedLock
from posthog_mcp.outbox.rows import OutboxUnusable

_log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS targets (
    id INTEGER PRIMARY KEY, host TEXT NOT NULL, token TEXT NOT NULL,
    owner TEXT, expires REAL, stopped TEXT NOT NULL DEFAULT '', refused INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, target INTEGER NOT NULL, uuid BLOB NOT NULL,
    lane INTEGER NOT NULL, who INTEGER NOT NULL, at REAL NOT NULL, body BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS events_uuid ON events (target, uuid) WHERE lane < 2;
CREATE INDEX IF NOT EXISTS events_order ON events (target, lane, seq);
CREATE TABLE IF NOT EXISTS held (
    target INTEGER NOT NULL, who INTEGER NOT NULL, tries INTEGER NOT NULL, until REAL NOT NULL,
    PRIMARY KEY (target, who)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, target INTEGER NOT NULL, uuid BLOB NOT NULL,
    lane INTEGER NOT NULL, who INTEGER NOT NULL, body BLOB NOT NULL, reason TEXT NOT NULL,
    died REAL NOT NULL, again REAL
);
CREATE INDEX IF NOT EXISTS dead_uuid ON dead (uuid);
CREATE TABLE IF NOT EXISTS persons (
    seq INTEGER PRIMARY KEY, target INTEGER NOT NULL, distinct_id TEXT NOT NULL, at REAL NOT NULL,
    changes TEXT NOT NULL, link TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS persons_id ON persons (target, distinct_id);
CREATE INDEX IF NOT EXISTS persons_link ON persons (target, link);
CREATE TABLE IF NOT EXISTS delivered (seq INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS imports (
    source TEXT PRIMARY KEY, line INTEGER NOT NULL, offset INTEGER NOT NULL, rejected INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS total (one INTEGER PRIMARY KEY CHECK (one = 1), events INTEGER NOT NULL);
INSERT OR IGNORE INTO total VALUES (1, 0);
"""
_LOG_BYTES = 16 << 20  # what the log written ahead keeps on disk after a burst
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_COLUMNS = "target, uuid, lane, who, at, body"

P = ParamSpec("P")
R = TypeVar("R")


class Database:
    """The file, or a stand-in for it in memory.

    Args:
        path: Where; none keeps events in memory alone.

    Raises:
        OutboxUnusable: It cannot be opened.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._inode = 0
        try:
            if path:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Before SQLite's own lock, whose waiting starves: with eight writers the slowest took a second.
            self._alone = SharedLock(path.with_name(path.name + ".lock") if path else None)
            with self._alone.held(blocking=True):
                self.db = self._opened()
        except sqlite3.DatabaseError as error:
            if path is None or not is_damage(error):
                raise unusable(path, error) from None
            self._inode = path.stat().st_ino
            self.db = sqlite3.connect(":memory:")
            self.set_aside(error)
        except OSError as error:
            raise unusable(path, error) from None

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """All or nothing, and alone among writers."""
        with self._alone.held(blocking=True), _transaction(self.db):
            yield self.db

    def follow(self) -> None:
        """Go along when the file of this name is another one now: set aside by a process, or deleted."""
        if self.path is None:
            return
        try:
            inode = os.stat(self.path).st_ino  # noqa: PTH116 - at every call, and three times as fast
        except FileNotFoundError:
            inode = 0
        if inode != self._inode:
            self.db.close()
            with self._alone.held(blocking=True):
                self.db = self._opened()

    def set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Keep the damaged file under another name for whoever can repair it, and go on with a new one.

        What can still be read of its events waits in the new file.
        """
        path = self.path
        if path is None:
            raise unusable(path, error)
        if sys.platform == "win32":
            self.db.close()  # an open file cannot be renamed there
        try:
            with self._alone.held(blocking=True):
                if path.exists() and path.stat().st_ino == self._inode:
                    aside = _renamed(path)
                    # Closed only now: of a file that has moved, SQLite leaves the log as it is.
                    self.db.close()
                    self.db = self._opened()
                    saved = self._save_from(aside)
                    _log.error(
                        "the outbox was damaged (%s): it is kept as %s, and %d of its events wait again",
                        error,
                        aside,
                        saved,
                    )
                else:
                    self.db.close()
                    self.db = self._opened()
        except (OSError, sqlite3.Error) as failure:
            raise unusable(path, failure) from None

    def shrink(self) -> None:
        """Give pages of events that have left back to the disk, some at a time."""
        # As a script: `execute` takes one step, and each step frees one page.
        self.db.executescript("PRAGMA incremental_vacuum(4096)")

    def close(self) -> None:
        """Close the file."""
        self.db.close()
        self._alone.close()

    def _opened(self) -> sqlite3.Connection:
        path = self.path
        if path:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # it may have been deleted since
            _make_private(path)
            self._inode = path.stat().st_ino
        db = sqlite3.connect(path or ":memory:", isolation_level=None)
        try:
            db.execute("PRAGMA busy_timeout = 10000")
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA wal_autocheckpoint = 8000")
            db.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
            db.executescript(_SCHEMA)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _save_from(self, aside: Path) -> int:
        """Copy what can be read of a damaged file: its events from both ends up to the damage."""
        found: dict[int, tuple[object, ...]] = {}
        targets: list[tuple[object, ...]] = []
        try:
            with closing(sqlite3.connect(f"{aside.as_uri()}?mode=ro", uri=True)) as old:
                targets += old.execute("SELECT id, host, token FROM targets")
                for order in ("ASC", "DESC"):
                    _read(old, f"SELECT seq, {_COLUMNS} FROM events ORDER BY seq {order}", found)  # noqa: S608
        except sqlite3.DatabaseError:
            _log.warning("nothing more can be read of %s", aside)
        rows = [row for _, row in sorted(found.items()) if _is_json(row[-1])]
        with _transaction(self.db) as db:
            db.executemany("INSERT OR IGNORE INTO targets (id, host, token) VALUES (?, ?, ?)", targets)
            saved = db.executemany(
                f"INSERT OR IGNORE INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
                rows,
            ).rowcount
            db.execute("UPDATE total SET events = events + ?", (max(0, saved),))
        return max(0, saved)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Generator[sqlite3.Connection]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


class Part:
    """One part of what the file holds."""

    def __init__(self, file: Database) -> None:
        self.file = file


S = TypeVar("S", bound=Part)


def mending(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Let a method run again in a new file when the old one turns out to be damaged.

    Raises:
        OutboxUnusable: There is nothing to be mended here: no room on the disk, no right to write.
    """

    @wraps(method)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            self.file.follow()
            return method(self, *args, **kwargs)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise unusable(self.file.path, error) from None
            self.file.set_aside(error)
            return method(self, *args, **kwargs)
        except OSError as error:
            raise unusable(self.file.path, error) from None

    return run


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is the problem; a table that is not there was lost with its page."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in _DAMAGE or (code == sqlite3.SQLITE_ERROR and "no such" in str(error))


def unusable(path: Path | None, error: Exception) -> OutboxUnusable:
    """The error that says why the file cannot be used."""
    reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return OutboxUnusable(f"The outbox at {path} cannot be used: {reason}." if path else f"{reason}.")


def _make_private(path: Path) -> None:
    """Create the file, or take back what others may do with it.

    It is never opened when it exists: closing it again would drop the locks of connections this process has.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        path.chmod(0o600)


def _renamed(path: Path) -> Path:
    stamp = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}"
    # The log goes first: left behind, it would be read into the new file.
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(path.with_name(f"{path.name}.damaged-{stamp}{suffix}"))
    return path.with_name(f"{path.name}.damaged-{stamp}")


def _read(db: sqlite3.Connection, query: str, found: dict[int, tuple[object, ...]]) -> None:
    try:
        for seq, *row in db.execute(query):
            if seq in found:
                return
            found[seq] = tuple(row)
    except sqlite3.DatabaseError:
        return  # as far as it goes


def _is_json(body: object) -> bool:
    if not isinstance(body, bytes):
        return False
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False
