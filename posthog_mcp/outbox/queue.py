"""Events that wait: taken in, handed out in order, taken out when PostHog has them."""

import time
import zlib
from collections.abc import Sequence
from uuid import UUID

from posthog_mcp.outbox import persons
from posthog_mcp.outbox.database import Database, Part, mending
from posthog_mcp.outbox.rows import Batch, Event, Lane, Mark, OutboxFull, Row, Target

MOST_EVENTS, MOST_BYTES = 1_000_000, 1 << 30
_ROW = "seq, uuid, lane, who, body, at"  # of constants, so no query is made of anything given
_PAGE = 4096
_REMEMBERED = 100_000  # delivered uuids that can still be told from unknown ones
_HOLD_SECONDS, _LONGEST_HOLD = 5.0, 600.0


class Queue(Part):
    """The events that wait.

    Args:
        file: Where they are kept.
        most_events: More than these, those that failed included, are refused, so that the oldest stay.
        most_bytes: The same by size of the file.
    """

    def __init__(self, file: Database, most_events: int, most_bytes: int) -> None:
        super().__init__(file)
        self._most_events, self._most_bytes = most_events, most_bytes

    # --- taking in ----------------------------------------------------------------------------------------

    @mending
    def append(
        self,
        target: Target,
        events: Sequence[Event],
        *,
        lane: Lane = Lane.NOW,
        mark: Mark | None = None,
    ) -> None:
        """Keep events; they are safe when this returns. One whose uuid waits already is kept once.

        Args:
            target: Where they go.
            events: In their order.
            lane: In which line they wait.
            mark: How far the import has come with them.

        Raises:
            OutboxFull: None of them was kept.
        """
        now = time.time()
        rows = [
            (target.id, event.uuid.bytes, lane, zlib.crc32(event.distinct_id.encode()), now, event.body)
            for event in events
        ]
        with self.file.transaction() as db:
            if len(events) > self._room():
                raise OutboxFull(
                    f"The outbox is full: it keeps {self._most_events:,} events and "
                    f"{self._most_bytes >> 20:,} MiB, those that failed included."
                )
            db.execute(
                "INSERT OR IGNORE INTO targets (id, host, token) VALUES (?, ?, ?)",
                (target.id, target.host, target.token),
            )
            added = db.executemany(
                "INSERT OR IGNORE INTO events (target, uuid, lane, who, at, body) VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            ).rowcount
            db.execute("UPDATE total SET events = events + ?", (max(0, added),))
            if mark:
                db.execute(
                    "INSERT OR REPLACE INTO imports VALUES (?, ?, ?, ?)",
                    (mark.source, mark.line, mark.offset, mark.rejected),
                )
            else:
                persons.remember(db, target, events, now)

    def _room(self) -> int:
        """How many more events fit in."""
        if self._bytes() >= self._most_bytes:
            return 0
        (kept,) = self.file.db.execute("SELECT events FROM total").fetchone()
        return max(0, self._most_events - kept)

    def _bytes(self) -> int:
        (pages,) = self.file.db.execute("PRAGMA page_count").fetchone()
        if pages * _PAGE < self._most_bytes // 4:
            return pages * _PAGE
        (free,) = self.file.db.execute("PRAGMA freelist_count").fetchone()
        return (pages - free) * _PAGE

    # --- handing out --------------------------------------------------------------------------------------

    @mending
    def next_batch(
        self, target: Target, most: int, most_bytes: int, *, lane: int, other_than: int = -1
    ) -> Batch:
        """The oldest events of a lane that fit into one request; at least one where any may be sent.

        Those of people who are held back stay, and so do those of the person `other_than`.
        """
        rows: list[Row] = []
        room = most_bytes
        for row in self.file.db.execute(
            f"SELECT {_ROW} FROM events WHERE target = ? AND lane = ? AND who != ?"  # noqa: S608
            " AND who NOT IN (SELECT who FROM held WHERE target = ?) ORDER BY seq LIMIT ?",
            (target.id, lane, other_than, target.id, most),
        ):
            found = Row(*row)
            room -= len(found.body)
            if rows and room < 0:
                return Batch(rows, full=True)
            rows.append(found)
        return Batch(rows, full=len(rows) >= most)

    @mending
    def held_row(self, target: Target) -> Row | None:
        """The first event of a person who was held back and whose time has come."""
        due = self.file.db.execute(
            "SELECT who FROM held WHERE target = ? AND until <= ? LIMIT 1", (target.id, time.time())
        ).fetchone()
        if not due:
            return None
        row = self.file.db.execute(
            f"SELECT {_ROW} FROM events WHERE target = ? AND who = ? ORDER BY lane, seq LIMIT 1",  # noqa: S608
            (target.id, due[0]),
        ).fetchone()
        if not row:
            self.file.db.execute("DELETE FROM held WHERE target = ? AND who = ?", (target.id, due[0]))
        return Row(*row) if row else None

    @mending
    def seconds_until_due(self, target: Target) -> float | None:
        """When the next person who is held back may be tried again; None when nobody is."""
        (until,) = self.file.db.execute(
            "SELECT min(until) FROM held WHERE target = ?", (target.id,)
        ).fetchone()
        return None if until is None else max(0.0, until - time.time())

    @mending
    def any(self, target: Target) -> bool:
        """Whether anything waits for the target."""
        found = self.file.db.execute("SELECT 1 FROM events WHERE target = ? LIMIT 1", (target.id,)).fetchone()
        return found is not None

    @mending
    def count(self, target: Target, lane: Lane) -> int:
        """How many events wait for the target in this lane."""
        (count,) = self.file.db.execute(
            "SELECT count(*) FROM events WHERE target = ? AND lane = ?", (target.id, lane)
        ).fetchone()
        return count

    @mending
    def waits(self, target: Target, uuid: UUID) -> bool:
        """Whether this event still waits; not for imported ones."""
        found = self.file.db.execute(
            "SELECT 1 FROM events WHERE target = ? AND uuid = ? AND lane < 2", (target.id, uuid.bytes)
        ).fetchone()
        return found is not None

    @mending
    def targets(self) -> list[Target]:
        """Every target for which something waits."""
        return [
            Target(*row)
            for row in self.file.db.execute(
                "SELECT id, host, token FROM targets"
                " WHERE EXISTS (SELECT 1 FROM events WHERE target = targets.id)"
            )
        ]

    # --- taking out ---------------------------------------------------------------------------------------

    @mending
    def delivered(self, target: Target, rows: Sequence[Row]) -> None:
        """Forget what PostHog has taken."""
        with self.file.transaction() as db:
            self._remove(target, rows)
            if rows[0].lane != Lane.IMPORT:
                db.executemany(
                    "INSERT OR IGNORE INTO delivered (uuid) VALUES (?)", [(row.uuid,) for row in rows]
                )
                db.execute(
                    "DELETE FROM delivered WHERE seq <= (SELECT max(seq) FROM delivered) - ?", (_REMEMBERED,)
                )
            self._let_go(target, rows)

    @mending
    def bury(self, target: Target, rows: Sequence[Row], reason: str, *, again: float | None = None) -> None:
        """Keep aside what PostHog does not take, with its reason.

        Args:
            target: Whose.
            rows: Which.
            reason: Why, in words.
            again: Seconds after which it may be tried once more; None: when somebody asks for it.
        """
        now = time.time()
        with self.file.transaction() as db:
            kept = self._remove(target, rows)
            db.executemany(
                "INSERT INTO dead (target, uuid, lane, who, body, reason, died, again)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        target.id,
                        row.uuid,
                        row.lane,
                        row.who,
                        row.body,
                        reason,
                        now,
                        None if again is None else now + again,
                    )
                    for row in rows
                ],
            )
            db.execute("UPDATE total SET events = events + ?", (kept,))
            self._let_go(target, rows)

    def _remove(self, target: Target, rows: Sequence[Row]) -> int:
        # By uuid as well: after a damaged file was set aside, numbers start again.
        db = self.file.db
        removed = db.executemany(
            "DELETE FROM events WHERE seq = ? AND target = ? AND uuid = ?",
            [(row.seq, target.id, row.uuid) for row in rows],
        ).rowcount
        db.execute("UPDATE total SET events = events - ?", (max(0, removed),))
        return max(0, removed)

    # --- holding back -------------------------------------------------------------------------------------

    @mending
    def hold(self, target: Target, who: int, *, count: bool) -> int:
        """Hold a person's events back for a while, longer each time; gives how often.

        Args:
            target: Whose project.
            who: Whose events.
            count: False to put it off without counting, when it was not the event's fault.
        """
        with self.file.transaction() as db:
            row = db.execute(
                "SELECT tries FROM held WHERE target = ? AND who = ?", (target.id, who)
            ).fetchone()
            tries = (row[0] if row else 0) + count
            pause = min(_HOLD_SECONDS * 2 ** max(0, tries - 1), _LONGEST_HOLD)
            db.execute(
                "INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?)",
                (target.id, who, tries, time.time() + pause),
            )
            return tries

    def _let_go(self, target: Target, rows: Sequence[Row]) -> None:
        if self.file.db.execute("SELECT 1 FROM held WHERE target = ?", (target.id,)).fetchone():
            self.file.db.executemany(
                "DELETE FROM held WHERE target = ? AND who = ?", [(target.id, row.who) for row in rows]
            )

    # --- imports ------------------------------------------------------------------------------------------

    @mending
    def mark(self, source: str) -> Mark:
        """How far the import of `source` has come."""
        row = self.file.db.execute(
            "SELECT line, offset, rejected FROM imports WHERE source = ?", (source,)
        ).fetchone()
        return Mark(source, *row) if row else Mark(source)

    @mending
    def forget_mark(self, source: str) -> None:
        """The import of `source` is done, or is to start again."""
        self.file.db.execute("DELETE FROM imports WHERE source = ?", (source,))
