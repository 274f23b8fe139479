"""An engine without ClickHouse: keeps what ingestion sends, as a ReplacingMergeTree would show it."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.engine import EngineError, Rows

if TYPE_CHECKING:
    from collections.abc import Callable

_KEYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "events": lambda row: (row["timestamp"][:10], row["event"], row["distinct_id"], row["uuid"]),
    "persons": lambda row: row["id"],
    "person_distinct_ids": lambda row: row["distinct_id"],
    "person_distinct_id_overrides": lambda row: row["distinct_id"],
    "groups": lambda row: (row["index"], row["key"]),
}


class RecordingEngine:
    """`failures` are raised by the next inserts, one each; `inserts` is what was sent, in order."""

    def __init__(self) -> None:
        self.inserts: list[tuple[str, list[dict[str, Any]]]] = []
        self.failures: list[EngineError] = []

    async def insert(self, table: str, rows: bytes) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.inserts.append((table, [json.loads(line) for line in rows.decode().splitlines()]))

    async def query(self, sql: str) -> Rows:
        """The only query of ingestion: how many rows a table has, and the sum of their versions."""
        table = sql.partition("FROM ph.")[2].removesuffix(" FINAL")
        rows = self.rows(table)
        return Rows([], [], [[len(rows), sum(row["version"] for row in rows)]], 0, 0, 0.0)

    async def execute(self, sql: str) -> None:
        table = sql.removeprefix("TRUNCATE TABLE ph.")
        self.inserts = [each for each in self.inserts if each[0] != table]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The newest row of each key."""
        newest: dict[Any, dict[str, Any]] = {}
        for name, rows in self.inserts:
            for row in rows if name == table else ():
                known = newest.get(_KEYS[table](row))
                if known is None or row.get("version", 0) >= known.get("version", 0):
                    newest[_KEYS[table](row)] = row
        return list(newest.values())

    def by(self, table: str, column: str) -> dict[Any, list[dict[str, Any]]]:
        """The rows of a table by the values of one column."""
        groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for row in self.rows(table):
            groups[row[column]].append(row)
        return groups


def stopped() -> EngineError:
    """What the engine raises when its process died."""
    return EngineError(0, "ENGINE_STOPPED", "The sandbox's engine stopped.")
