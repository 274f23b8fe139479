"""What became of events: those that wait, those delivered, those PostHog does not take."""

import time
from pathlib import Path
from uuid import UUID

from posthog_mcp.outbox.database import Part, mending
from posthog_mcp.outbox.rows import DeadLetter, Status, Waiting

_BACK = (
    "INSERT OR IGNORE INTO events (target, uuid, lane, who, at, body)"
    " SELECT target, uuid, lane, who, died, body FROM dead"
)


class Letters(Part):
    """The record of what waits and what failed."""

    @mending
    def state_of(self, uuid: UUID) -> str:
        """`waiting`, `delivered`, `unknown`, or `failed: ` with PostHog's reason."""
        db, key = self.file.db, (uuid.bytes,)
        if db.execute(
            "SELECT 1 FROM targets CROSS JOIN events ON target = targets.id WHERE uuid = ? AND lane < 2", key
        ).fetchone():
            return "waiting"
        dead = db.execute("SELECT reason FROM dead WHERE uuid = ?", key).fetchone()
        if dead:
            return f"failed: {dead[0]}"
        delivered = db.execute("SELECT 1 FROM delivered WHERE uuid = ?", key).fetchone()
        return "delivered" if delivered else "unknown"

    @mending
    def status(self) -> Status:
        """All that is kept."""
        rows = self.file.db.execute(
            "SELECT host, token, count(*), min(at), stopped, refused,"
            " (SELECT count(*) FROM held WHERE held.target = targets.id)"
            " FROM events JOIN targets ON targets.id = target GROUP BY target ORDER BY host, token"
        )
        waiting = [Waiting(host, f"{token[:8]}…", *rest) for host, token, *rest in rows]
        (dead,) = self.file.db.execute("SELECT count(*) FROM dead").fetchone()
        path = self.file.path
        return Status(waiting, dead, _damaged(path) if path else [], on_disk=path is not None)

    @mending
    def dead(self, most: int) -> list[DeadLetter]:
        """Events that PostHog does not take, newest first."""
        rows = self.file.db.execute(
            "SELECT uuid, host, reason, died, body FROM dead JOIN targets ON targets.id = target"
            " ORDER BY seq DESC LIMIT ?",
            (most,),
        )
        return [DeadLetter(UUID(bytes=uuid), *rest) for uuid, *rest in rows]

    @mending
    def retry(self) -> int:
        """Put all dead letters back in line, and hold nobody back any more; gives how many."""
        with self.file.transaction() as db:
            (before,) = db.execute("SELECT count(*) FROM dead").fetchone()
            back = db.execute(f"{_BACK} ORDER BY seq").rowcount
            db.execute("DELETE FROM dead")
            db.execute("DELETE FROM held")
            db.execute("UPDATE targets SET stopped = '', refused = 0")
            db.execute("UPDATE total SET events = events - ? + ?", (before, back))
        return before

    @mending
    def retry_due(self) -> None:
        """Put back in line what PostHog dropped for want of quota, when it has been long enough ago."""
        now = time.time()
        if not self.file.db.execute("SELECT 1 FROM dead WHERE again <= ? LIMIT 1", (now,)).fetchone():
            return
        with self.file.transaction() as db:
            back = db.execute(f"{_BACK} WHERE again <= ? ORDER BY seq", (now,)).rowcount
            gone = db.execute("DELETE FROM dead WHERE again <= ?", (now,)).rowcount
            db.execute("UPDATE total SET events = events - ? + ?", (gone, back))

    @mending
    def drop(self, *, refused: bool) -> int:
        """Delete the dead letters; gives how many.

        Args:
            refused: Also what waits for targets that refuse everything.
        """
        with self.file.transaction() as db:
            gone = db.execute("DELETE FROM dead").rowcount
            if refused:
                gone += db.execute(
                    "DELETE FROM events WHERE target IN (SELECT id FROM targets WHERE refused)"
                ).rowcount
                db.execute("DELETE FROM imports")  # they would go on after what is gone now
            db.execute("UPDATE total SET events = events - ?", (gone,))
        return gone


def _damaged(path: Path) -> list[str]:
    parts = path.parent.glob(f"{path.name}.damaged-*")
    return sorted(str(part) for part in parts if not part.name.endswith(("-wal", "-shm")))
