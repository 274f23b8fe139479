"""Ingestion whole: events in, persons, groups, definitions and rows out, durable when it answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from posthog_mcp.sandbox.errors.issues import Issues
from posthog_mcp.sandbox.ingest import mirror
from posthog_mcp.sandbox.ingest.definitions import Definitions
from posthog_mcp.sandbox.ingest.delivery import Delivery, joined
from posthog_mcp.sandbox.ingest.events import Processor, RawEvent
from posthog_mcp.sandbox.ingest.groups import Group, Groups
from posthog_mcp.sandbox.ingest.journal import Journal
from posthog_mcp.sandbox.ingest.merging import Merging, split
from posthog_mcp.sandbox.ingest.people import People
from posthog_mcp.sandbox.ingest.recordings import SNAPSHOTS, replay_rows
from posthog_mcp.sandbox.ingest.seen import Seen
from posthog_mcp.sandbox.ingest.warnings import Warnings

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from posthog_mcp.sandbox.engine import Engine
    from posthog_mcp.sandbox.ingest.person import Person
    from posthog_mcp.sandbox.ingest.properties import JSON
    from posthog_mcp.sandbox.project import Project
    from posthog_mcp.sandbox.store import Store

T = TypeVar("T")

_DELETE_EVENTS = (
    "DELETE FROM ph.events WHERE distinct_id IN "
    "(SELECT distinct_id FROM ph.person_distinct_ids FINAL WHERE person_id = {person:UUID})"
)


class IngestClosed(Exception):  # noqa: N818 - what happened, nobody's mistake
    """The sandbox is stopping: nothing more is taken."""

    def __init__(self) -> None:
        super().__init__("The sandbox is stopping and takes no more events. Send them again once it is back.")


class Ingest:
    """Takes the events of the project.

    `people`, `groups` and `definitions` are there to be read at any time; every change of them goes through
    the methods here, which keep the order of arrival and the engine's mirror. `issues`, of which the engine
    has no copy, may be changed as well. `warnings` are the last ingestion warnings, `merging.on_merge` is
    called inside the transaction of each merge.

    Whoever calls is answered when the change is durable and in the engine. With `early` it is answered when
    the change is durable, and whoever queries the engine awaits `settled` first: twice the events a second,
    since an insert of many rows costs the engine hardly more than one of a few.
    """

    def __init__(self, store: Store, engine: Engine, project: Project, clock: Callable[[], datetime]) -> None:
        """Create the tables where they are missing; `start` comes next.

        Args:
            store: The sandbox's SQLite file.
            engine: The engine that holds events and the mirror.
            project: Whose events these are.
            clock: The time, an aware datetime in UTC.
        """
        self._store = store
        self._engine = engine
        self._clock = clock
        self.warnings = Warnings()
        self.people = People(store, project.id)
        self.groups = Groups(store)
        self.definitions = Definitions(store)
        self.issues = Issues(store)
        self.merging = Merging(self.people, self.warnings)
        self._seen = Seen(store)
        self._processor = Processor(
            project=project,
            people=self.people,
            merging=self.merging,
            groups=self.groups,
            definitions=self.definitions,
            issues=self.issues,
            seen=self._seen,
            warnings=self.warnings,
        )
        self._journal = Journal(_beside(store))
        self._delivery = Delivery(engine, self._journal)
        self._closed = False
        self.early = False

    async def start(self) -> list[str]:
        """Send the engine what a process that was killed still owed it, and repair the mirror.

        Returns:
            The mirror's tables that had to be written anew.
        """
        last = self._seen.last()
        committed = (rows for number, rows in self._journal.entries() if number <= last)
        for table, lines in joined(committed):
            await self._engine.insert(table, lines)
        self._journal.cut(0)
        return await mirror.repair(self._store, self._engine, self.people, self.groups)

    async def close(self) -> None:
        """Finish what was taken; further calls raise IngestClosed."""
        self._closed = True
        await self._delivery.close()
        self._journal.close()

    async def settled(self) -> None:
        """Wait until everything that was answered is in the engine.

        Raises:
            EngineDown: The engine refuses it.
        """
        await self._delivery.settled()

    async def accept(self, events: list[RawEvent]) -> None:
        """Ingest events in order; they are durable, and in every query (but see `early`), when this returns.

        Raises:
            IngestClosed: The sandbox is stopping.
            EngineDown: The events are kept and will be there, but not yet; sending them again does no harm.
        """
        if events:
            await self._change(lambda: self._take(events))

    # -- changes by hand, through the private API

    async def delete_person(self, person: Person, *, delete_events: bool = False) -> None:
        """Delete a person and its distinct ids; its events stay unless asked."""
        if delete_events:
            await self.settled()
            await self._engine.execute(_DELETE_EVENTS, {"person": person.uuid})
        await self._change(lambda: self.people.delete(self._current(person)))

    async def split_person(self, person: Person, main_distinct_id: str | None = None) -> list[Person]:
        """Give every id of the person but the main one (its first when None) a person of its own."""
        return await self._change(lambda: split(self.people, self._current(person), main_distinct_id))

    async def set_person_properties(
        self, person: Person, values: JSON, unset: list[str] | None = None
    ) -> Person:
        """Write and remove properties of a person, at once rather than by an event."""

        def work() -> Person:
            current = self._current(person)
            after = {**current.properties, **values}
            for name in unset or ():
                after.pop(name, None)
            if current.replace_properties(after):
                self.people.changed(current)
                self.definitions.note_values("person", -1, values, self._clock())
            return current

        return await self._change(work)

    async def set_group_properties(
        self, index: int, key: str, values: JSON, unset: list[str] | None = None
    ) -> Group:
        """Write and remove properties of a group, which is created when absent."""

        def work() -> Group:
            now = self._clock()
            group = self.groups.get(index, key) or Group(index, key, {}, now, now)
            after = {**group.properties, **values}
            for name in unset or ():
                after.pop(name, None)
            self.definitions.note_values("group", index, values, now)
            return self.groups.put(replace(group, properties=after, updated_at=now))

        return await self._change(work)

    def _current(self, person: Person) -> Person:
        """The person as it is by now: others may have changed it while the work waited for its turn."""
        return self.people.get(person.uuid) or person

    # -- one transaction

    def _take(self, events: list[RawEvent]) -> None:
        recorded = [event for event in events if event.event in SNAPSHOTS]
        if recorded:
            events = [event for event in events if event.event not in SNAPSHOTS]
            self._replay = replay_rows(recorded)
        self._events += self._processor.rows(events, self._clock())

    async def _change(self, work: Callable[[], T]) -> T:
        """Do a work in a transaction of its own; when it answers depends on `early`."""
        await self._delivery.room()
        if self._closed:
            raise IngestClosed
        result = self._commit(work)
        if not self.early:
            await self._delivery.settled()
        return result

    def _commit(self, work: Callable[[], T]) -> T:
        before = self._journal.size()
        self._events: list[str] = []
        self._replay: dict[str, list[str]] = {}
        try:
            with self._store.transaction():
                result = work()
                lines = {**self.people.write(), **self.groups.write(), **self._replay}
                if self._events:
                    lines["events"] = self._events
                rows = {table: "\n".join(each).encode() for table, each in lines.items()}
                self._journal.append(self._seen.write(len(self._events)), rows)
        except BaseException:
            self._journal.cut(before)
            for part in (self.people, self.groups, self.definitions, self._seen):
                part.forget()
            raise
        self._delivery.add(rows)
        return result


def _beside(store: Store) -> Path | None:
    """Where the journal of a store is: next to its file, nowhere for one in memory."""
    _, _, file = store.db.execute("PRAGMA database_list").fetchone()
    return Path(file).with_suffix(".journal.ingest") if file else None
