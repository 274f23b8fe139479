"""Reservation rings in one SQLite file that all processes of a machine share.

For each limit a ring keeps the times of its latest permits. A caller takes, in one transaction, the first
slot at which every limit has room and no earlier caller stands before it; so nobody polls, the wait is known
before it starts, and a process that dies holds no lock. A slot's running number in its limit is its address:
`number % size` is its row.
"""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from posthog_mcp.limits.clock import boot_id, since_boot
from posthog_mcp.limits.limit import Limit, LimitExceeded, Mark, Reservation, Usage
from posthog_mcp.limits.lock import SharedLock

_SCHEMA = """
CREATE TABLE IF NOT EXISTS machine (
    one INTEGER PRIMARY KEY CHECK (one = 1), boot TEXT, clock REAL, wall REAL
);
CREATE TABLE IF NOT EXISTS limits (
    name TEXT PRIMARY KEY, size INTEGER NOT NULL, next INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL, lowered_to INTEGER, lowered_at REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS slots (
    name TEXT, place INTEGER, at REAL, PRIMARY KEY (name, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS groups (
    name TEXT PRIMARY KEY, cool_down REAL NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0, refused_at REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS given_back (
    name TEXT, at REAL, marks TEXT, PRIMARY KEY (name, at)
) WITHOUT ROWID;
"""

# One row per limit: its ring's next number and size, what a refusal taught, the slot that must have left the
# window before another is given, and the newest slot.
_RING = """
SELECT next, size, lowered_to, lowered_at,
    (SELECT at FROM slots WHERE slots.name = limits.name AND place = (next - ?2 + size) % size),
    (SELECT at FROM slots WHERE slots.name = limits.name AND place = (next - 1 + size) % size)
FROM limits WHERE name = ?1
"""

BACKGROUND_SHARE = 0.9  # background callers leave the last tenth of each window to people
LOWERED_FOR = 3_600.0  # how long a limit stays lowered after PostHog refused us twice within it
RAISED_EVERY = 600.0  # then a tenth of the known limit comes back at a time
LONGEST_BACK_OFF = 60.0  # where PostHog names no time


class Busy(Exception):  # noqa: N818 - a state, not a fault
    """Another process holds the file; the caller was not willing to wait in this thread."""


class SqliteRings:
    """The rings of one host. Safe for threads and for processes.

    Args:
        path: The file; none keeps the rings in this process alone.
        guard: Seconds added to every window. It pays for uneven travel time to the server.
        clock: Seconds since the machine started.
        boot: The identity of that start.
    """

    def __init__(
        self,
        path: Path | None,
        guard: float,
        *,
        clock: Callable[[], float] = since_boot,
        boot: str | None = None,
    ) -> None:
        self._guard = guard
        self._clock = clock
        self._boot = boot_id() if boot is None else boot
        self._lock = SharedLock(path.with_suffix(".lock")) if path else None
        if path:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA busy_timeout = 10000")
        with self._alone(blocking=True, write=False):
            self._db.execute("PRAGMA journal_mode = WAL")
            # Losing the last permits in a power cut is harmless: the machine was away longer than that.
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.executescript(_SCHEMA)
        with self._alone(blocking=True):
            self._notice_restart()

    def reserve(
        self,
        group: str,
        limits: Sequence[Limit],
        patience: float,
        *,
        background: bool = False,
        blocking: bool = True,
    ) -> Reservation:
        """Take the first slot that every limit allows.

        Args:
            group: The name of the limits taken together; a cool-down is the group's.
            limits: All of them count.
            patience: The most seconds to wait for the slot.
            background: Leave the last tenth of each window to others, and take no slot in the future.
            blocking: Wait for other processes in this thread.

        Raises:
            LimitExceeded: The slot lies beyond the patience; nothing was changed.
            Busy: Another process holds the file, and `blocking` is false.
        """
        with self._alone(blocking=blocking):
            now = self._clock()
            slot, spent = self._cool_down(group), group
            for limit in limits:
                earliest = self._earliest(limit, now, background=background)
                if earliest > slot:
                    slot, spent = earliest, limit.name
            returned = self._given_back(group, now)
            slot = returned[0] if returned else max(slot, now)
            if slot - now > (0 if background else patience):
                raise LimitExceeded(spent, slot - now)
            if returned:
                self._db.execute("DELETE FROM given_back WHERE name = ? AND at = ?", (group, slot))
            marks = returned[1] if returned else [self._take(limit.name, slot) for limit in limits]
            return Reservation(group, slot - now, marks)

    def remaining(self, reservation: Reservation, *, blocking: bool = True) -> float:
        """Seconds until the slot is due; later than first said where a cool-down moved it."""
        mark = reservation.marks[0]
        with self._alone(blocking=blocking, write=False):
            due = max(self._at(mark) or 0.0, self._cool_down(reservation.group))
            return max(0.0, due - self._clock())

    def give_back(self, reservation: Reservation) -> None:
        """Return a slot that will not be used, so that another caller can have it."""
        with self._alone(blocking=True):
            newest = {mark.limit: self._next(mark.limit) - 1 for mark in reservation.marks}
            if all(newest[mark.limit] == mark.number for mark in reservation.marks):
                for mark in reservation.marks:
                    self._write(mark.limit, mark.number, mark.replaced)
                    self._db.execute("UPDATE limits SET next = next - 1 WHERE name = ?", (mark.limit,))
                return
            at = self._at(reservation.marks[0])
            if at is not None and at > self._clock():
                marks = json.dumps([[mark.limit, mark.number] for mark in reservation.marks])
                self._db.execute(
                    "INSERT OR REPLACE INTO given_back VALUES (?, ?, ?)", (reservation.group, at, marks)
                )

    def penalize(self, group: str, limits: Sequence[Limit], seconds: float | None) -> float:
        """Note that PostHog refused a request of the group, and hold everyone back.

        Slots still to come move by the length of the cool-down, so order and spacing stay. A second
        refusal within a window of the first means that someone else spends the same limit: ours is lowered
        by a tenth.

        Args:
            group: As in `reserve`.
            limits: The group's limits.
            seconds: What `Retry-After` said; none where it was absent.

        Returns:
            Seconds until the cool-down ends.
        """
        shortest = min(limit.seconds for limit in limits)
        with self._alone(blocking=True):
            now = self._clock()
            self._db.execute("INSERT OR IGNORE INTO groups (name) VALUES (?)", (group,))
            end, refusals, refused_at = self._db.execute(
                "SELECT cool_down, refusals, refused_at FROM groups WHERE name = ?", (group,)
            ).fetchone()
            # Refusals of requests already under way when the first one came back tell nothing new.
            in_a_row = refused_at is not None and end <= now < max(end, refused_at) + shortest
            refusals = refusals + 1 if in_a_row or end > now else 1
            wait = seconds if seconds is not None else min(2.0 ** (refusals - 1), LONGEST_BACK_OFF)
            new_end = max(end, now + wait)
            moved = new_end - max(end, now)
            for limit in limits:
                self._db.execute(
                    "UPDATE slots SET at = at + ? WHERE name = ? AND at > ?", (moved, limit.name, now)
                )
            self._db.execute(
                "UPDATE given_back SET at = at + ? WHERE name = ? AND at > ?", (moved, group, now)
            )
            self._db.execute(
                "UPDATE groups SET cool_down = ?, refusals = ?, refused_at = ? WHERE name = ?",
                (new_end, refusals, now, group),
            )
            if in_a_row:
                self._lower(next((limit for limit in limits if limit.seconds >= wait), limits[-1]), now)
            return new_end - now

    def usage(self, group: str, limits: Sequence[Limit]) -> list[Usage]:
        """What is spent of each limit now."""
        with self._alone(blocking=True, write=False):
            now = self._clock()
            cool_down = max(0.0, self._cool_down(group) - now)
            found: list[Usage] = []
            for limit in limits:
                (used,) = self._db.execute(
                    "SELECT count(*) FROM slots WHERE name = ? AND at > ?", (limit.name, now - limit.seconds)
                ).fetchone()
                permits = _permits(limit, self._learned(limit.name), now)
                found.append(Usage(limit.name, used, permits, limit.seconds, cool_down))
            return found

    def close(self) -> None:
        """Close the file; slots already given out stay given out."""
        self._db.close()
        if self._lock:
            self._lock.close()

    # --- inside a transaction -----------------------------------------------------------------------------

    def _earliest(self, limit: Limit, now: float, *, background: bool) -> float:
        row = self._ring(limit, limit.permits)
        permits = _permits(limit, row[2:4], now)
        if background:
            permits = max(1, int(permits * BACKGROUND_SHARE))
        if permits != limit.permits:
            row = self._ring(limit, permits)
        must_leave, newest = row[4], row[5]
        after_window = must_leave + limit.seconds + self._guard if must_leave is not None else 0.0
        return max(after_window, newest or 0.0)

    def _ring(
        self, limit: Limit, permits: int
    ) -> tuple[int, int, int | None, float | None, float | None, float | None]:
        row = self._db.execute(_RING, (limit.name, permits)).fetchone()
        if row is None or row[1] < limit.permits:
            self._grow(limit)
            row = self._db.execute(_RING, (limit.name, permits)).fetchone()
        return row

    def _grow(self, limit: Limit) -> None:
        """Make the ring as long as the limit asks, keeping what it holds."""
        kept = sorted(
            at
            for (at,) in self._db.execute("SELECT at FROM slots WHERE name = ?", (limit.name,))
            if at is not None
        )
        self._db.execute("DELETE FROM slots WHERE name = ?", (limit.name,))
        self._db.executemany(
            "INSERT INTO slots VALUES (?, ?, ?)", [(limit.name, place, at) for place, at in enumerate(kept)]
        )
        self._db.execute(
            "INSERT INTO limits (name, size, next, seconds) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT (name) DO UPDATE SET size = ?2, next = ?3",
            (limit.name, limit.permits, len(kept), limit.seconds),
        )

    def _take(self, limit: str, slot: float) -> Mark:
        number = self._next(limit)
        mark = Mark(limit, number)
        mark.replaced = self._at(mark)
        self._write(limit, number, slot)
        self._db.execute("UPDATE limits SET next = next + 1 WHERE name = ?", (limit,))
        return mark

    def _next(self, limit: str) -> int:
        return self._db.execute("SELECT next FROM limits WHERE name = ?", (limit,)).fetchone()[0]

    def _at(self, mark: Mark) -> float | None:
        row = self._db.execute(
            "SELECT at FROM slots WHERE name = ?1 AND place = ?2 % (SELECT size FROM limits WHERE name = ?1)",
            (mark.limit, mark.number),
        ).fetchone()
        return row[0] if row else None

    def _write(self, limit: str, number: int, at: float | None) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO slots VALUES (?1, ?2 % (SELECT size FROM limits WHERE name = ?1), ?3)",
            (limit, number, at),
        )

    def _given_back(self, group: str, now: float) -> tuple[float, list[Mark]] | None:
        """The earliest slot that its taker returned and whose time has not passed; rings already count it."""
        self._db.execute("DELETE FROM given_back WHERE name = ? AND at < ?", (group, now))
        row = self._db.execute(
            "SELECT at, marks FROM given_back WHERE name = ? ORDER BY at LIMIT 1", (group,)
        ).fetchone()
        return (row[0], [Mark(limit, number) for limit, number in json.loads(row[1])]) if row else None

    def _cool_down(self, group: str) -> float:
        row = self._db.execute("SELECT cool_down FROM groups WHERE name = ?", (group,)).fetchone()
        return row[0] if row else 0.0

    def _learned(self, limit: str) -> tuple[int | None, float | None]:
        row = self._db.execute(
            "SELECT lowered_to, lowered_at FROM limits WHERE name = ?", (limit,)
        ).fetchone()
        return row or (None, None)

    def _lower(self, limit: Limit, now: float) -> None:
        permits = _permits(limit, self._learned(limit.name), now)
        self._db.execute(
            "UPDATE limits SET lowered_to = ?, lowered_at = ? WHERE name = ?",
            (max(1, permits - max(1, limit.permits // 10)), now, limit.name),
        )

    def _notice_restart(self) -> None:
        """Carry times over to this start of the machine, or note how they can be carried over to the next."""
        now, wall = self._clock(), time.time()
        row = self._db.execute("SELECT boot, clock, wall FROM machine").fetchone()
        if row and (row[0] != self._boot or row[1] > now):
            shift = (row[2] - row[1]) - (wall - now)  # old clock -> wall -> this clock
            for table, column in (
                ("slots", "at"),
                ("groups", "cool_down"),
                ("groups", "refused_at"),
                ("limits", "lowered_at"),
            ):
                self._db.execute(f"UPDATE {table} SET {column} = {column} + ?", (shift,))  # noqa: S608
            # The wall clock may have been wrong: nothing may seem further away than a window.
            self._db.execute(
                "UPDATE slots SET at = min(at, ? + (SELECT seconds FROM limits l WHERE l.name = slots.name))",
                (now,),
            )
            self._db.execute("UPDATE groups SET cool_down = min(cool_down, ?)", (now + LONGEST_BACK_OFF,))
            self._db.execute("DELETE FROM given_back")
        self._db.execute("INSERT OR REPLACE INTO machine VALUES (1, ?, ?, ?)", (self._boot, now, wall))

    @contextmanager
    def _alone(self, *, blocking: bool, write: bool = True) -> Generator[None]:
        if self._lock is None:
            with self._transaction(write=write):
                yield
            return
        with self._lock.held(blocking=blocking) as held:
            if not held:
                raise Busy
            with self._transaction(write=write):
                yield

    @contextmanager
    def _transaction(self, *, write: bool) -> Generator[None]:
        if not write:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _permits(limit: Limit, learned: tuple[int | None, float | None], now: float) -> int:
    """How many we allow ourselves: the known limit, less what a refusal taught, coming back slowly."""
    lowered_to, lowered_at = learned
    if lowered_to is None or lowered_at is None:
        return limit.permits
    steps = max(0, int((now - lowered_at - LOWERED_FOR) // RAISED_EVERY) + 1)
    return min(limit.permits, lowered_to + steps * max(1, limit.permits // 10))
