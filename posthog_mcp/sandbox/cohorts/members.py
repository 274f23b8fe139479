"""Who is in which cohort: static members in SQLite, all of them as rows of the engine's `cohort_people`.

A calculation writes the members under a new version and then names that version in the cohort's document, so
that a query sees the last finished calculation whole.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.cohorts.filters import condition, leaves
from posthog_mcp.sandbox.compiler import Compiled, CompileError, compile_query
from posthog_mcp.sandbox.compiler.trees import field, select
from posthog_mcp.sandbox.engine.errors import STOPPED, EngineError
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.http.times import iso, read_iso
from posthog_mcp.sandbox.queries.world import world_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from posthog_mcp.sandbox.sandbox import Sandbox
    from posthog_mcp.sandbox.store import Document

_KIND = "cohort"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS static_cohort_people (
    cohort_id INTEGER NOT NULL, person_uuid TEXT NOT NULL, PRIMARY KEY (cohort_id, person_uuid)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS static_cohorts_of_a_person ON static_cohort_people (person_uuid);
"""
_EVERYONE = 1_000_000_000
# PostHog calculates every cohort about once a day.
_STALE = timedelta(days=1)


class Cohorts:
    """Keeps the members of the project's cohorts."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Create the table where it is missing, and follow merges of persons."""
        self._sandbox = sandbox
        self._db = sandbox.store.db
        self._db.executescript(_SCHEMA)
        self._moved: set[int] = set()
        sandbox.ingest.merging.on_merge.append(self._merged)

    async def calculate(self, cohort: Document) -> Document:
        """Find the members by the cohort's filters or its list; the cohort with its new count.

        What the engine refuses, such as a pattern that is none, counts as an error of the cohort. Raises
        `ApiError` 400 for filters that mean nothing. The members of before stay then.
        """
        version = cohort["version"] + 1
        if cohort["is_static"]:
            await self._copy_list(cohort["id"], version)
        else:
            try:
                await self._find(cohort, version)
            except EngineError as error:
                if error.code == STOPPED:
                    raise
                failed = {**cohort, "errors_calculating": cohort["errors_calculating"] + 1}
                self._sandbox.store.put(_KIND, cohort["id"], failed)
                return failed
        counted = await self._sandbox.engine.query(
            "SELECT uniqExact(person_id) FROM ph.cohort_people"
            " WHERE cohort_id = {cohort:Int64} AND version = {version:Int64}",
            {"cohort": cohort["id"], "version": version},
        )
        current = self._sandbox.store.get(_KIND, cohort["id"]) or cohort
        after = {
            **current,
            "version": version,
            "count": counted.rows[0][0],
            "is_calculating": False,
            "last_calculation": iso(self._sandbox.clock()),
            "errors_calculating": 0,
        }
        self._sandbox.store.put(_KIND, cohort["id"], after)
        return after

    async def refresh(self) -> None:
        """Before a query: follow merges, and calculate again what is a day old."""
        moved, self._moved = self._moved, set()
        for cohort in self._sandbox.store.all(_KIND):
            if not cohort["deleted"] and (cohort["id"] in moved or self._is_stale(cohort)):
                await self.calculate(cohort)

    def members(self, cohort_id: int) -> list[str]:
        """The list of a static cohort."""
        rows = self._db.execute(
            "SELECT person_uuid FROM static_cohort_people WHERE cohort_id = ?", (cohort_id,)
        )
        return [row[0] for row in rows]

    def add(self, cohort_id: int, uuids: Iterable[str]) -> None:
        """Put persons on the list of a static cohort; `calculate` comes next."""
        self._db.executemany(
            "INSERT OR IGNORE INTO static_cohort_people VALUES (?, ?)", [(cohort_id, uuid) for uuid in uuids]
        )

    def remove(self, cohort_id: int, uuid: str) -> None:
        """Take a person off the list of a static cohort; `calculate` comes next."""
        self._db.execute(
            "DELETE FROM static_cohort_people WHERE cohort_id = ? AND person_uuid = ?", (cohort_id, uuid)
        )

    def check(self, filters: Document, own_id: int | None) -> None:
        """Refuse filters that mean nothing, or that lead back to the cohort itself (`ApiError` 400)."""
        self._compile(filters)
        waiting, seen = [filters], set[int]()
        while waiting:
            for leaf in leaves(waiting.pop()):
                if leaf.get("type") != "cohort":
                    continue
                number = _id(leaf)
                if number == own_id:
                    raise invalid("Cohorts cannot reference other cohorts in a loop.", "filters")
                other = self._sandbox.store.get(_KIND, number)
                if other and number not in seen:
                    seen.add(number)
                    waiting.append(other["filters"] or {})

    async def _find(self, cohort: Document, version: int) -> None:
        compiled = self._compile(cohort["filters"] or {})
        # The compiled SQL names nothing of the user's; the numbers are ours.
        await self._sandbox.engine.execute(
            "INSERT INTO ph.cohort_people (cohort_id, person_id, version)"  # noqa: S608
            f" SELECT {cohort['id']:d}, tuple(*).1, {version:d} FROM ({compiled.sql})"
        )

    async def _copy_list(self, cohort_id: int, version: int) -> None:
        lines = [
            f'{{"cohort_id":{cohort_id},"person_id":"{uuid}","version":{version}}}'
            for uuid in self.members(cohort_id)
        ]
        if lines:
            await self._sandbox.engine.insert("cohort_people", "\n".join(lines).encode())

    def _compile(self, filters: Document) -> Compiled:
        world = replace(world_of(self._sandbox), max_rows=_EVERYONE)
        tree = select([field("id")], "persons", where=condition(filters, world))
        tree.limit = ast.Constant(value=_EVERYONE)
        try:
            return compile_query(tree, world)
        except CompileError as error:
            raise invalid(error.message, "filters", error.code) from error

    def _is_stale(self, cohort: Document) -> bool:
        if cohort["is_static"] or cohort["last_calculation"] is None:
            return False
        return self._sandbox.clock() - read_iso(cohort["last_calculation"]) > _STALE

    def _merged(self, away: str, into: str) -> None:
        rows = self._db.execute("SELECT cohort_id FROM static_cohort_people WHERE person_uuid = ?", (away,))
        cohorts = [row[0] for row in rows]
        if cohorts:
            for cohort_id in cohorts:
                self.add(cohort_id, [into])
            self._db.execute("DELETE FROM static_cohort_people WHERE person_uuid = ?", (away,))
            self._moved.update(cohorts)


def _id(leaf: Document) -> int:
    value = leaf.get("value")
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else 0
