"""Who sends: of all processes only the one that holds a target's lease, for as long as something waits."""

import os
import socket
import sys
import time

from posthog_mcp.outbox.database import Database, Part, mending
from posthog_mcp.outbox.rows import Target

SECONDS = 60.0  # longer than one request may take


class Leases(Part):
    """The leases, and why a target is stopped."""

    def __init__(self, file: Database) -> None:
        super().__init__(file)
        # One owner for each outbox: two of them in one process are two senders, like two processes.
        self.owner = f"{os.getpid()}:{os.urandom(6).hex()}:{socket.gethostname()}"

    @mending
    def take(self, target: Target) -> float:
        """Become the one who sends for the target, or stay it.

        Returns:
            0 when this owner holds the lease now, else the seconds until it ends by itself.
        """
        now = time.time()
        with self.file.transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO targets (id, host, token) VALUES (?, ?, ?)",
                (target.id, target.host, target.token),
            )
            owner, expires = db.execute(
                "SELECT owner, expires FROM targets WHERE id = ?", (target.id,)
            ).fetchone()
            # An end further off than any lease lasts comes from a clock that was set back since.
            if owner not in (None, self.owner) and now < expires <= now + SECONDS and _alive(owner):
                return expires - now
            db.execute(
                "UPDATE targets SET owner = ?, expires = ? WHERE id = ?",
                (self.owner, now + SECONDS, target.id),
            )
            return 0.0

    @mending
    def release(self, target: Target, *, only_if_empty: bool = False) -> bool:
        """Let the lease go; with `only_if_empty` only when nothing waits, seen in the same transaction."""
        with self.file.transaction() as db:
            if (
                only_if_empty
                and db.execute("SELECT 1 FROM events WHERE target = ? LIMIT 1", (target.id,)).fetchone()
            ):
                return False
            db.execute(
                "UPDATE targets SET owner = NULL, expires = NULL WHERE id = ? AND owner = ?",
                (target.id, self.owner),
            )
        return True

    @mending
    def stop(self, target: Target, reason: str, *, refused: bool = False) -> None:
        """Note why nothing is sent for the target; an empty reason takes it back.

        Args:
            target: Which.
            reason: In words.
            refused: Whether only a person can mend it.
        """
        with self.file.transaction() as db:
            db.execute(
                "UPDATE targets SET stopped = ?, refused = ? WHERE id = ?", (reason, refused, target.id)
            )

    @mending
    def stopped(self, target: Target) -> str:
        """Why nothing is sent for the target; empty while all is well."""
        row = self.file.db.execute("SELECT stopped FROM targets WHERE id = ?", (target.id,)).fetchone()
        return row[0] if row else ""


def _alive(owner: str) -> bool:
    """Whether the process that holds a lease still runs; where that cannot be asked, its time decides."""
    pid, _, rest = owner.partition(":")
    _, _, host = rest.partition(":")
    if sys.platform == "win32" or host != socket.gethostname():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
