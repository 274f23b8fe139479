"""Issues of error tracking: one for each fingerprint, until people merge and split them.

Source: PostHog's `rust/cymbal` and `products/error_tracking`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import uuid4

from posthog_mcp.sandbox.http.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from posthog_mcp.sandbox.store import Store

JSON = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS error_issues (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS error_fingerprints (
    fingerprint TEXT PRIMARY KEY, issue_id TEXT NOT NULL, first_seen TEXT NOT NULL, moved INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fingerprints_of_an_issue ON error_fingerprints (issue_id);
"""
_LONGEST_DESCRIPTION: Final = 255


class Issues:
    """Every issue of the project; changed inside the store's transaction.

    An issue is `{id, status, name, description, first_seen, assignee}`.
    """

    def __init__(self, store: Store) -> None:
        """Create the tables where they are missing."""
        self._store = store
        self._db = store.db
        self._db.executescript(_SCHEMA)

    def take(self, properties: JSON, at: datetime) -> bool:
        """Find or make the issue of an exception that was described, and write its id into the properties.

        An issue that was resolved is active again.

        Returns:
            False when the event must be dropped: its issue is suppressed.
        """
        fingerprint = properties.get("$exception_fingerprint")
        if "$exception_issue_id" not in properties or not isinstance(fingerprint, str):
            return True
        row = self._db.execute(
            "SELECT issue_id, first_seen FROM error_fingerprints WHERE fingerprint = ?", (fingerprint,)
        ).fetchone()
        if row is None:
            self._open(fingerprint, properties, iso(at))
            return True
        issue_id, first_seen = row
        issue = self._issue(issue_id)
        if issue["status"] == "suppressed":
            return False
        properties["$exception_issue_id"] = issue_id
        if issue["status"] != "active":
            self._put({**issue, "status": "active"})
        if iso(at) < first_seen:
            self._db.execute(
                "UPDATE error_fingerprints SET first_seen = ? WHERE fingerprint = ?", (iso(at), fingerprint)
            )
        return True

    def all(self) -> list[JSON]:
        """Every issue, in the order of their ids."""
        rows = self._db.execute("SELECT body FROM error_issues ORDER BY id")
        return [self._whole(json.loads(body)) for (body,) in rows]

    def get(self, issue_id: str) -> JSON | None:
        """The issue of that id, or None."""
        row = self._db.execute("SELECT body FROM error_issues WHERE id = ?", (issue_id,)).fetchone()
        return self._whole(json.loads(row[0])) if row else None

    def fingerprints(self, issue_id: str) -> list[str]:
        """The fingerprints whose events belong to an issue, the first seen first."""
        rows = self._db.execute(
            "SELECT fingerprint FROM error_fingerprints WHERE issue_id = ? ORDER BY first_seen, fingerprint",
            (issue_id,),
        )
        return [fingerprint for (fingerprint,) in rows]

    def of_fingerprint(self, fingerprint: str) -> str | None:
        """The id of the issue that events of a fingerprint belong to, or None."""
        row = self._db.execute(
            "SELECT issue_id FROM error_fingerprints WHERE fingerprint = ?", (fingerprint,)
        ).fetchone()
        return row[0] if row else None

    def moved(self) -> dict[str, str]:
        """The issue of every fingerprint whose older events name another one."""
        rows = self._db.execute("SELECT fingerprint, issue_id FROM error_fingerprints WHERE moved = 1")
        return dict(rows.fetchall())

    def update(self, issue_id: str, changes: Mapping[str, Any]) -> JSON:
        """Write fields of an issue; the issue as it is then. KeyError for one that does not exist."""
        with self._store.transaction():
            self._put({**self._issue(issue_id), **changes})
        return self._whole(self._issue(issue_id))

    def merge(self, target: str, sources: Iterable[str]) -> None:
        """Give the events of the sources to the target; the sources are gone."""
        with self._store.transaction():
            for source in sources:
                self._db.execute(
                    "UPDATE error_fingerprints SET issue_id = ?, moved = 1 WHERE issue_id = ?",
                    (target, source),
                )
                self._db.execute("DELETE FROM error_issues WHERE id = ?", (source,))

    def split(self, issue_id: str, parts: Iterable[Mapping[str, Any]]) -> list[str]:
        """Give each fingerprint of an issue an issue of its own; their ids.

        Args:
            issue_id: The issue.
            parts: `{fingerprint, name?, description?}` each; without names those of the issue.
        """
        made: list[str] = []
        with self._store.transaction():
            issue = self._issue(issue_id)
            for part in parts:
                named = {name: part[name] for name in ("name", "description") if part.get(name)}
                made.append(str(uuid4()))
                self._put({**issue, **named, "id": made[-1], "status": "active", "assignee": None})
                self._db.execute(
                    "UPDATE error_fingerprints SET issue_id = ?, moved = 1 WHERE fingerprint = ?",
                    (made[-1], part["fingerprint"]),
                )
        return made

    def _open(self, fingerprint: str, properties: JSON, first_seen: str) -> None:
        first = cast("list[JSON]", properties["$exception_list"])[0]
        name = _text(properties.get("$issue_name")) or _text(first.get("type"))
        description = _text(properties.get("$issue_description")) or _text(first.get("value"))
        issue_id = properties["$exception_issue_id"]
        if self.get(issue_id) is not None:  # its own fingerprint was split off
            issue_id = properties["$exception_issue_id"] = str(uuid4())
        self._put(
            {
                "id": issue_id,
                "status": "active",
                "name": name,
                "description": description[:_LONGEST_DESCRIPTION],
                "assignee": None,
            }
        )
        self._db.execute(
            "INSERT INTO error_fingerprints VALUES (?, ?, ?, 0)", (fingerprint, issue_id, first_seen)
        )

    def _issue(self, issue_id: str) -> JSON:
        row = self._db.execute("SELECT body FROM error_issues WHERE id = ?", (issue_id,)).fetchone()
        if row is None:
            raise KeyError(issue_id)
        return json.loads(row[0])

    def _put(self, issue: JSON) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO error_issues VALUES (?, ?)", (issue["id"], json.dumps(issue))
        )

    def _whole(self, issue: JSON) -> JSON:
        (first_seen,) = self._db.execute(
            "SELECT min(first_seen) FROM error_fingerprints WHERE issue_id = ?", (issue["id"],)
        ).fetchone()
        return {**issue, "first_seen": first_seen}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
