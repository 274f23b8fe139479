"""What was said of people within the last ten minutes: until PostHog knows it, flags have to be told."""

import json
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from posthog_mcp.outbox.database import Part, mending
from posthog_mcp.outbox.rows import Event, Target

SECONDS = 600.0


class Persons(Part):
    """The memory of people."""

    @mending
    def properties(self, target: Target, distinct_id: str) -> dict[str, Any]:
        """What was set on a person, under any id that was linked to this one; their own id's values win."""
        known: dict[str, Any] = {}
        since = time.time() - SECONDS
        rows = self.file.db.execute(
            "SELECT changes FROM persons WHERE target = :target AND at > :since AND (distinct_id = :who"
            " OR distinct_id IN"
            " (SELECT link FROM persons WHERE target = :target AND distinct_id = :who AND at > :since)"
            " OR distinct_id IN"
            " (SELECT distinct_id FROM persons WHERE target = :target AND link = :who AND at > :since))"
            " ORDER BY distinct_id = :who, seq",
            {"target": target.id, "since": since, "who": distinct_id},
        )
        for (changes,) in rows:
            given = json.loads(changes)
            known.update(given["set"])
            for name in given["unset"]:
                known.pop(name, None)
        return known

    @mending
    def anonymous_id(self, target: Target, distinct_id: str) -> str:
        """The id that was linked to this one last, empty when none was."""
        row = self.file.db.execute(
            "SELECT link FROM persons WHERE target = ? AND distinct_id = ? AND at > ? AND link != ''"
            " ORDER BY seq DESC LIMIT 1",
            (target.id, distinct_id, time.time() - SECONDS),
        ).fetchone()
        return row[0] if row else ""


def remember(db: sqlite3.Connection, target: Target, events: Sequence[Event], now: float) -> None:
    """Keep what the events say of people; within the caller's transaction."""
    rows = [
        (
            target.id,
            event.distinct_id,
            now,
            json.dumps({"set": dict(event.change.set), "unset": event.change.unset}, default=str),
            event.change.link,
        )
        for event in events
        if event.change
    ]
    if rows:
        db.execute("DELETE FROM persons WHERE at < ?", (now - SECONDS,))
        db.executemany(
            "INSERT INTO persons (target, distinct_id, at, changes, link) VALUES (?, ?, ?, ?, ?)", rows
        )
