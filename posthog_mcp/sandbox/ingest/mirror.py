"""Bringing the engine's copy of persons and groups back in step with SQLite, at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from posthog_mcp.sandbox.engine import Engine
    from posthog_mcp.sandbox.ingest.groups import Groups
    from posthog_mcp.sandbox.ingest.people import Lines, People
    from posthog_mcp.sandbox.store import Store

_AT_ONCE: Final = 10_000
# What SQLite says about each of the engine's tables: how many rows, and the sum of their versions.
_TRUTH: Final = {
    "persons": "SELECT count(*), coalesce(sum(version), 0) FROM persons",
    "person_distinct_ids": "SELECT count(*), coalesce(sum(version), 0) FROM person_distinct_ids",
    "person_distinct_id_overrides": (
        "SELECT count(*), coalesce(sum(version), 0) FROM person_distinct_ids WHERE version > 0"
    ),
    "groups": "SELECT count(*), coalesce(sum(version), 0) FROM groups",
}


async def repair(store: Store, engine: Engine, people: People, groups: Groups) -> list[str]:
    """Write every table of the mirror that differs from the truth anew; their names."""
    differing = [table for table in _TRUTH if not await _agrees(store, engine, table)]
    if not differing:
        return []
    lines: Lines = {**people.mirror(), **groups.mirror()}
    for table in differing:
        await engine.execute(f"TRUNCATE TABLE ph.{table}")
        rows = lines.get(table, [])
        for start in range(0, len(rows), _AT_ONCE):
            await engine.insert(table, "\n".join(rows[start : start + _AT_ONCE]).encode())
    return differing


async def _agrees(store: Store, engine: Engine, table: str) -> bool:
    truth = store.db.execute(_TRUTH[table]).fetchone()
    result = await engine.query(f"SELECT count(), sum(version) FROM ph.{table} FINAL")  # noqa: S608 - own names
    return [int(value) for value in result.rows[0]] == list(truth)
