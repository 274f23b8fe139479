"""The sandbox's documents: everything that is not an event, in one SQLite file."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

Document = dict[str, Any]
_FIRST_BEYOND = 2**63

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, id INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS last_ids (kind TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
"""


class Store:
    """Documents by kind (`feature_flag`, `annotation`, `cohort`, ...) and integer id.

    Used from the event loop's thread alone. Other parts of the sandbox keep tables of their own through `db`,
    inside the same `transaction()`.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or create it readable by its owner alone."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        # With a write-ahead log this survives the process being killed; only a power cut can lose a commit.
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Commit what happens inside, or take all of it back on an exception. Joins an outer transaction."""
        if self.db.in_transaction:
            yield
            return
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def create(self, kind: str, body: Document) -> Document:
        """Keep a new document and return it with the `id` it got; ids are never given out twice."""
        with self.transaction():
            (number,) = self.db.execute(
                "INSERT INTO last_ids VALUES (?, 1)"
                " ON CONFLICT (kind) DO UPDATE SET id = id + 1 RETURNING id",
                (kind,),
            ).fetchone()
            document = {**body, "id": number}
            self.put(kind, number, document)
        return document

    def get(self, kind: str, document_id: int) -> Document | None:
        """The document, or None."""
        if document_id >= _FIRST_BEYOND:
            return None  # SQLite holds no such number
        row = self.db.execute(
            "SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, document_id)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def all(self, kind: str) -> list[Document]:
        """Every document of the kind, oldest id first."""
        rows = self.db.execute("SELECT body FROM documents WHERE kind = ? ORDER BY id", (kind,))
        return [json.loads(row[0]) for row in rows]

    def put(self, kind: str, document_id: int, body: Document) -> None:
        """Write the whole document under that id."""
        self.db.execute(
            "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)",
            (kind, document_id, json.dumps(body, separators=(",", ":"))),
        )

    def remove(self, kind: str, document_id: int) -> bool:
        """Forget the document; False when there was none."""
        cursor = self.db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, document_id))
        return cursor.rowcount > 0

    def close(self) -> None:
        """Close the file."""
        self.db.close()
