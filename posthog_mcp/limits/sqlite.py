"""Reservation rings in the SQLite file that all processes of a machine share.

A budget remembers the times of its latest permits, in order. A caller takes, in one transaction, the first
slot at which every limit has room and no earlier caller stands before it: for a limit of N, the N-th latest
permit must have left the window. So nobody polls, the wait is known before it starts, and a process that dies
holds no lock.
"""

import json
import sqlite3
import time
from typing import NamedTuple

from posthog_mcp.limits.database import Database
from posthog_mcp.limits.holders import Holder
from posthog_mcp.limits.limit import (
    BACKGROUND_SHARE,
    LONGEST_BACK_OFF,
    Budget,
    Limit,
    LimitExceeded,
    Reservation,
    State,
    Ticket,
    Usage,
    allowed,
    tenth,
)


class _Row(NamedTuple):
    """A budget's row: see `reserve` and `penalize` for what its fields do."""

    next: int
    free_until: float
    cool_down: float
    refusals: int
    refused_at: float
    lowered: str | None
    lowered_at: float
    remaining: int | None

    def allowed(self, limit: Limit, now: float) -> int:
        lowered_to = json.loads(self.lowered).get(limit.name) if self.lowered else None
        return allowed(limit, lowered_to, now - self.lowered_at)


_NEW = _Row(0, 0.0, 0.0, 0, 0.0, None, 0.0, None)
_SELECT = f"SELECT {', '.join(_Row._fields)} FROM budgets WHERE name = ?"  # noqa: S608 - our own names
_OWN = "INSERT OR IGNORE INTO budgets (name, seconds) VALUES (?, ?)"


class SqliteRings:
    """The rings of a machine. Safe for threads and for processes.

    Every method takes `blocking`: false raises `Busy` where another process holds the file.

    Args:
        file: Where they are kept.
        guard: Seconds added to every window. It pays for uneven travel time to the server.
    """

    def __init__(self, file: Database, guard: float) -> None:
        self._file = file
        self._guard = guard

    def reserve(
        self,
        budget: Budget,
        patience: float,
        *,
        background: bool = False,
        after: float = 0.0,
        blocking: bool = True,
    ) -> Reservation:
        """Take the first slot that every limit allows.

        Args:
            budget: What to take it from.
            patience: The most seconds to wait for the slot.
            background: Leave the last tenth of each window to others, and take no slot in the future.
            after: No slot before so many seconds from now.
            blocking: Wait for other processes in this thread.

        Raises:
            LimitExceeded: The slot lies beyond the patience; nothing was changed.
        """
        with self._file.alone(blocking=blocking) as db:
            now = self._file.now()
            row = _row(db, budget)
            free = _first_free(db, budget, max(now, row.cool_down), row)
            if free and not background:
                number, slot, spent = free[0], max(free[1], now), budget.title
            else:
                number = row.next
                share = BACKGROUND_SHARE if background else 1.0
                slot, spent = self._room(db, budget, row, number, now, share=share)
                slot = max(slot, now, _at(db, budget, number - 1) or 0.0)
            slot = max(slot, now + after)
            if slot - now > (0 if background else patience):
                raise LimitExceeded(spent, slot - now)
            if not budget.limits:
                return Reservation(slot - now, made=time.monotonic())
            self._put(db, budget, number, slot, newest=number == row.next)
            return Reservation(slot - now, number, made=time.monotonic())

    def record(self, budget: Budget, wait: float, *, blocking: bool = True) -> Reservation:
        """Keep a slot that was given out elsewhere, whatever the limits say here."""
        with self._file.alone(blocking=blocking) as db:
            if not budget.limits:
                return Reservation(wait)
            number = _row(db, budget).next
            self._put(db, budget, number, self._file.now() + wait, newest=True)
            return Reservation(wait, number)

    def due(self, budget: Budget, reservation: Reservation, *, blocking: bool = True) -> float:
        """Seconds until the slot is due; to be asked before every send.

        That is later than first said where a cool-down moved the slot, or where an earlier caller came late
        to its own. Negative when it has passed: so many seconds ago; then the request counts from now.
        """
        with self._file.alone(blocking=blocking) as db:
            now, row, number = self._file.now(), _row(db, budget), reservation.number
            at = _at(db, budget, number)
            if at is None:
                return max(0.0, row.cool_down - now)
            due, _ = self._room(db, budget, row, number, now, share=1.0)
            due = max(due, at)
            if due > at or now > at:
                db.execute(
                    "UPDATE slots SET at = ? WHERE budget = ? AND number = ?",
                    (max(due, now), budget.name, number),
                )
            return due - now

    def give_back(self, budget: Budget, reservation: Reservation, *, blocking: bool = True) -> None:
        """Return a slot that will not be used, so that another caller can have it."""
        with self._file.alone(blocking=blocking) as db:
            row, now, number = _row(db, budget), self._file.now(), reservation.number
            if number < row.next - 1:
                # Others stand behind it already: it goes to whoever comes next.
                db.execute(
                    "UPDATE slots SET free = 1 WHERE budget = ? AND number = ? AND at > ?",
                    (budget.name, number, now),
                )
                db.execute(
                    "UPDATE budgets SET free_until = max(free_until, ?) WHERE name = ?",
                    (_at(db, budget, number) or 0.0, budget.name),
                )
                return
            while number >= 0:
                db.execute("DELETE FROM slots WHERE budget = ? AND number = ?", (budget.name, number))
                db.execute("UPDATE budgets SET next = ? WHERE name = ?", (number, budget.name))
                number -= 1
                newest = db.execute(
                    "SELECT 1 FROM slots WHERE budget = ? AND number = ? AND free AND at > ?",
                    (budget.name, number, now),
                ).fetchone()
                if not newest:
                    return

    def penalize(self, budget: Budget, seconds: float | None, *, blocking: bool = True) -> float:
        """Note that PostHog refused a request, and hold everyone back.

        Slots still to come move by the length of the cool-down, so order and spacing stay. A second refusal
        within a window of the first means that someone else spends the same limit: ours falls by a tenth.

        Args:
            budget: What the request drew on.
            seconds: What `Retry-After` said; None where it was absent.
            blocking: Wait for other processes in this thread.

        Returns:
            Seconds until the cool-down ends.
        """
        shortest = min((limit.seconds for limit in budget.limits), default=LONGEST_BACK_OFF)
        with self._file.alone(blocking=blocking) as db:
            now = self._file.now()
            db.execute(_OWN, (budget.name, budget.seconds))
            row = _row(db, budget)
            # Refusals of requests that were under way when the first one came back tell nothing new.
            known = now < row.cool_down
            again = not known and row.refusals > 0 and now < max(row.cool_down, row.refused_at) + shortest
            refusals = row.refusals if known else row.refusals * again + 1
            wait = seconds
            if wait is None:
                wait = 0.0 if known else min(2.0 ** (refusals - 1), LONGEST_BACK_OFF)
            end = max(row.cool_down, now + wait)
            moved = end - max(row.cool_down, now)
            db.execute("UPDATE slots SET at = at + ? WHERE budget = ? AND at > ?", (moved, budget.name, now))
            db.execute(
                "UPDATE budgets SET cool_down = ?, refusals = ?, refused_at = ?, free_until = free_until + ?"
                " WHERE name = ?",
                (end, refusals, now, moved, budget.name),
            )
            if again and budget.limits:
                _lower(db, budget, row, wait, now)
            return end - now

    def state(self, budget: Budget, *, blocking: bool = True) -> State:
        """What is known of the budget now."""
        with self._file.alone(blocking=blocking) as db:
            now, row = self._file.now(), _row(db, budget)
            usage: list[Usage] = []
            for limit in budget.limits:
                (used,) = db.execute(
                    "SELECT count(*) FROM slots WHERE budget = ? AND at > ? AND NOT free",
                    (budget.name, now - limit.seconds),
                ).fetchone()
                permits = row.allowed(limit, now)
                usage.append(Usage(limit.name, used, permits, limit.seconds, permits < limit.permits))
            return State(tuple(usage), max(0.0, row.cool_down - now), row.remaining)

    def note(self, budget: Budget, remaining: int, *, blocking: bool = True) -> None:
        """Keep what PostHog said remains of something it counts itself, for `state`."""
        with self._file.alone(blocking=blocking) as db:
            db.execute(_OWN, (budget.name, budget.seconds))
            db.execute("UPDATE budgets SET remaining = ? WHERE name = ?", (remaining, budget.name))

    def enter(self, queue: str, holder: Holder, seconds: float, *, blocking: bool = True) -> Ticket:
        """Join a queue behind all who stand in it; the ticket is good for `seconds`."""
        with self._file.alone(blocking=blocking) as db:
            (ticket,) = db.execute(
                "INSERT INTO queue SELECT ?1, ifnull(max(ticket), 0) + 1, ?2, ?3, ?4 FROM queue"
                " WHERE name = ?1 RETURNING ticket",
                (queue, holder.machine, holder.pid, self._file.now() + seconds),
            ).fetchone()
            return Ticket(ticket)

    def ahead(self, queue: str, ticket: Ticket, *, blocking: bool = True) -> int:
        """How many that live stand before a ticket; those whose time is over or who are gone leave."""
        with self._file.alone(blocking=blocking) as db:
            db.execute("DELETE FROM queue WHERE name = ? AND ends < ?", (queue, self._file.now()))
            before = db.execute(
                "SELECT ticket, machine, pid FROM queue WHERE name = ? AND ticket < ?",
                (queue, ticket.number),
            ).fetchall()
            gone = [number for number, machine, pid in before if Holder(machine, pid).gone()]
            db.executemany(
                "DELETE FROM queue WHERE name = ? AND ticket = ?", [(queue, number) for number in gone]
            )
            return len(before) - len(gone)

    def leave(self, queue: str, ticket: Ticket, *, blocking: bool = True) -> None:
        """Leave a queue, served or not."""
        with self._file.alone(blocking=blocking) as db:
            db.execute("DELETE FROM queue WHERE name = ? AND ticket = ?", (queue, ticket.number))

    def learn(self, name: str, value: str, *, blocking: bool = True) -> str:
        """Keep a fact unless it is known already.

        Returns:
            The value that holds now.
        """
        with self._file.alone(blocking=blocking) as db:
            db.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, value))
            return db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()[0]

    def recall(self, name: str, *, blocking: bool = True) -> str:
        """A fact; empty when nothing is known."""
        with self._file.alone(blocking=blocking) as db:
            row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
            return row[0] if row else ""

    def close(self) -> None:
        """Close the file; slots already given out stay given out."""
        self._file.close()

    def _put(self, db: sqlite3.Connection, budget: Budget, number: int, slot: float, *, newest: bool) -> None:
        if newest and not number:
            db.execute(_OWN, (budget.name, budget.seconds))
        if newest:
            db.execute("UPDATE budgets SET next = ? WHERE name = ?", (number + 1, budget.name))
        db.execute("INSERT OR REPLACE INTO slots VALUES (?, ?, ?, 0)", (budget.name, number, slot))
        # Only what has left the longest window goes: who gives a slot back must find the rest in place.
        db.execute(
            "DELETE FROM slots WHERE budget = ? AND number <= ? AND at < ?",
            (budget.name, number - budget.permits, self._file.now() - budget.seconds - self._guard),
        )

    def _room(
        self, db: sqlite3.Connection, budget: Budget, row: _Row, number: int, now: float, *, share: float
    ) -> tuple[float, str]:
        """When every limit has room for the permit of that number, and the limit that decides it."""
        slot, spent = row.cool_down, budget.title
        for limit in budget.limits:
            permits = max(1, int(row.allowed(limit, now) * share))
            must_leave = _at(db, budget, number - permits)
            if must_leave is not None and must_leave + limit.seconds + self._guard > slot:
                slot, spent = must_leave + limit.seconds + self._guard, limit.name
        return slot, spent


def _row(db: sqlite3.Connection, budget: Budget) -> _Row:
    row = db.execute(_SELECT, (budget.name,)).fetchone()
    return _Row(*row) if row else _NEW


def _at(db: sqlite3.Connection, budget: Budget, number: int) -> float | None:
    row = db.execute("SELECT at FROM slots WHERE budget = ? AND number = ?", (budget.name, number)).fetchone()
    return row[0] if row else None


def _first_free(db: sqlite3.Connection, budget: Budget, now: float, row: _Row) -> tuple[int, float] | None:
    """The earliest slot that its taker returned and whose time has not passed."""
    if row.free_until < now:
        return None
    return db.execute(
        "SELECT number, at FROM slots WHERE budget = ? AND free AND at >= ? ORDER BY number LIMIT 1",
        (budget.name, now),
    ).fetchone()


def _lower(db: sqlite3.Connection, budget: Budget, row: _Row, wait: float, now: float) -> None:
    """Allow ourselves a tenth less of the limit that a wait of that length speaks of."""
    permits = {limit.name: row.allowed(limit, now) for limit in budget.limits}
    spent = next((limit for limit in budget.limits if limit.seconds >= wait), budget.limits[-1])
    permits[spent.name] = max(1, permits[spent.name] - tenth(spent))
    lowered = {
        limit.name: permits[limit.name] for limit in budget.limits if permits[limit.name] < limit.permits
    }
    db.execute(
        "UPDATE budgets SET lowered = ?, lowered_at = ? WHERE name = ?",
        (json.dumps(lowered), now, budget.name),
    )
