"""Any sequence of events leaves persons, ids, overrides and rows consistent with each other."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st
from recording_engine import RecordingEngine

from posthog_mcp.sandbox.ingest import Ingest, RawEvent
from posthog_mcp.sandbox.ingest.person import uuid_of
from posthog_mcp.sandbox.project import Project
from posthog_mcp.sandbox.store import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
IDS = st.sampled_from(["a", "b", "c", "d", "guest"])
VALUES = st.dictionaries(
    st.sampled_from(["x", "y"]), st.integers(0, 2) | st.booleans() | st.none(), max_size=2
)


def event(name: str, distinct_id: str, **properties: Any) -> RawEvent:
    return RawEvent(name, distinct_id, properties, str(uuid4()))


SEEN = st.builds(lambda i, s: event("seen", i, **{"$set": s}), IDS, VALUES)
PERSONLESS = st.builds(lambda i: event("seen", i, **{"$process_person_profile": False}), IDS)
IDENTIFY = st.builds(
    lambda i, o, s: event("$identify", i, **{"$anon_distinct_id": o, "$set": s}), IDS, IDS, VALUES
)
ALIAS = st.builds(
    lambda name, i, o: event(name, i, alias=o),
    st.sampled_from(["$create_alias", "$merge_dangerously"]),
    IDS,
    IDS,
)
UNSET = st.builds(lambda i: event("$set", i, **{"$unset": ["x"]}), IDS)
BATCHES = st.lists(
    st.lists(st.one_of(SEEN, PERSONLESS, IDENTIFY, ALIAS, UNSET), min_size=1, max_size=4), max_size=8
)


async def ingested(
    batches: list[list[RawEvent]], folder: Path, *, twice: bool = False
) -> tuple[Ingest, RecordingEngine]:
    engine = RecordingEngine()
    ingest = Ingest(Store(folder / f"{uuid4()}.sqlite"), engine, Project(), lambda: NOW)  # pyright: ignore[reportArgumentType]
    for batch in batches:
        for _ in range(1 + twice):
            await ingest.accept(batch)
    return ingest, engine


async def close(ingest: Ingest) -> None:
    await ingest.close()
    ingest._store.close()


async def check(batches: list[list[RawEvent]], folder: Path) -> None:
    ingest, engine = await ingested(batches, folder)
    events = [one for batch in batches for one in batch]
    kept = [one for one in events if one.uuid in {row["uuid"] for row in engine.rows("events")}]
    assert kept == events  # none of these is one that ingestion drops
    ingest.people.forget()  # what is in the store, not in memory
    persons = {row["id"]: row for row in engine.rows("persons")}
    ids = {row["distinct_id"]: row["person_id"] for row in engine.rows("person_distinct_ids")}
    overrides = {row["distinct_id"]: row["person_id"] for row in engine.rows("person_distinct_id_overrides")}
    named = {one.distinct_id for one in events if "$process_person_profile" not in one.properties}
    assert named <= ids.keys()
    for distinct_id, person_id in ids.items():
        person = ingest.people.person_of(distinct_id)
        assert person is not None
        assert person.uuid == person_id
        assert distinct_id in ingest.people.distinct_ids(person.uuid)
        row = persons[person.uuid]
        assert (row["is_deleted"], row["version"], row["properties"]) == (0, person.version, person.text())
        assert row["is_identified"] == person.is_identified
    for row in engine.rows("events"):
        # However an event was stored, queries give it to the person that has its id now.
        owner = overrides.get(row["distinct_id"], row["person_id"])
        assert owner == ids.get(row["distinct_id"], uuid_of(1, row["distinct_id"]))
    alive = {person_id for person_id, row in persons.items() if not row["is_deleted"]}
    assert alive == set(ids.values())
    assert await ingest.start() == []  # the mirror needs no repair
    await close(ingest)


async def compare(batches: list[list[RawEvent]], folder: Path) -> None:
    once, first = await ingested(batches, folder)
    twice, second = await ingested(batches, folder, twice=True)
    for table in ("events", "persons", "person_distinct_ids", "person_distinct_id_overrides"):
        assert sorted(map(str, first.rows(table))) == sorted(map(str, second.rows(table)))
    await close(once)
    await close(twice)


@settings(max_examples=60, deadline=None)
@given(BATCHES)
def test_every_id_has_one_person_and_no_event_is_lost(batches: list[list[RawEvent]]):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(batches, Path(folder)))


@settings(max_examples=30, deadline=None)
@given(BATCHES)
def test_sending_every_batch_twice_changes_nothing(batches: list[list[RawEvent]]):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(compare(batches, Path(folder)))
