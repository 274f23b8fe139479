"""What was acknowledged stays, what was not can be sent again: through crashes of sandbox and engine."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from recording_engine import RecordingEngine, stopped

from posthog_mcp.sandbox.engine import EngineError
from posthog_mcp.sandbox.ingest import EngineDown, Ingest, IngestClosed, RawEvent
from posthog_mcp.sandbox.project import Project
from posthog_mcp.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from posthog_mcp.sandbox.sandbox import Sandbox

STORES: list[Store] = []
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def opened(path: Path, engine: RecordingEngine) -> Ingest:
    """Ingestion on that file as a new process would open it."""
    STORES.append(Store(path / "s.sqlite"))
    return Ingest(STORES[-1], engine, Project(), lambda: NOW)  # pyright: ignore[reportArgumentType]


@pytest.fixture(autouse=True)
def closed_stores() -> Iterator[None]:
    yield
    while STORES:
        STORES.pop().close()


def batch(*properties: dict[str, Any], start: int = 0) -> list[RawEvent]:
    return [
        RawEvent("seen", "ann", one, f"0197f000-0000-7000-8000-{start + number:012d}")
        for number, one in enumerate(properties)
    ]


def person_properties(engine: RecordingEngine) -> list[str]:
    rows = sorted(engine.rows("events"), key=lambda row: row["uuid"])
    return [row["person_properties"] for row in rows]


async def test_it_answers_after_the_engine_took_the_rows(tmp_path: Path):
    engine = RecordingEngine()
    ingest = opened(tmp_path, engine)
    await ingest.accept(batch({}))
    assert [table for table, _ in engine.inserts] == ["person_distinct_ids", "persons", "events"]
    assert (tmp_path / "s.journal.ingest").stat().st_size == 0


async def test_an_engine_that_starts_again_is_not_noticed(tmp_path: Path):
    engine = RecordingEngine()
    engine.failures = [stopped()]
    await opened(tmp_path, engine).accept(batch({}))
    assert len(engine.rows("events")) == 1


async def test_events_an_engine_refuses_are_kept_and_delivered_later_once(tmp_path: Path):
    engine = RecordingEngine()
    ingest = opened(tmp_path, engine)
    engine.failures = [EngineError(243, "NOT_ENOUGH_SPACE", "The disk is full.")]
    events = batch({"$set": {"a": 1}})
    with pytest.raises(EngineDown):
        await ingest.accept(events)
    assert engine.rows("events") == []
    await ingest.accept(events)
    assert len(engine.rows("events")) == len(engine.rows("persons")) == 1
    assert (tmp_path / "s.journal.ingest").stat().st_size == 0


async def test_a_retry_is_not_answered_before_the_engine_has_the_first_try(tmp_path: Path):
    engine = RecordingEngine()
    ingest = opened(tmp_path, engine)
    engine.failures = [EngineError(243, "NOT_ENOUGH_SPACE", "The disk is full.") for _ in range(2)]
    for _ in range(2):
        with pytest.raises(EngineDown):
            await ingest.accept(batch({}))


async def test_what_a_killed_process_owed_the_engine_arrives_at_the_next_start(tmp_path: Path):
    lost = RecordingEngine()
    lost.failures = [stopped(), stopped()]
    events = batch({"$set": {"plan": "free"}}, {}, {"$set": {"plan": "pro"}})
    with pytest.raises(EngineDown):  # committed, but nothing reached the engine: the process dies here
        await opened(tmp_path, lost).accept(events)
    engine = RecordingEngine()
    ingest = opened(tmp_path, engine)
    assert await ingest.start() == []
    first = person_properties(engine)
    await ingest.accept(events)  # the client saw no answer and sends it again
    assert person_properties(engine) == first
    assert ["free" in one for one in first] == [True, True, False]
    assert [row["id"] for row in engine.rows("persons")] == [ingest.people.person_of("ann").uuid]  # type: ignore[union-attr]


@pytest.mark.parametrize("cut", [1, 40, 10_000])
async def test_a_commit_that_did_not_happen_leaves_nothing_behind(tmp_path: Path, cut: int):
    engine = RecordingEngine()
    ingest = opened(tmp_path, engine)
    await ingest.accept(batch({"n": 1}))
    # The process died after writing the journal, whole or in part, and before SQLite's commit.
    line = b'[2, [["events", 10]]]\n{"not": 1}' * 50
    (tmp_path / "s.journal.ingest").write_bytes(line[:cut])
    again = opened(tmp_path, engine)
    before = list(engine.inserts)
    assert await again.start() == []
    assert engine.inserts == before
    await again.accept(batch({"n": 2}, start=1))
    assert len(engine.rows("events")) == 2


async def test_known_uuids_outlive_the_process(tmp_path: Path):
    events = batch({"$set": {"plan": "free"}})
    await opened(tmp_path, RecordingEngine()).accept(events)
    again = opened(tmp_path, RecordingEngine())
    await again.accept([RawEvent("$set", "ann", {"$set": {"plan": "pro"}})])
    await again.accept(events)
    person = again.people.person_of("ann")
    assert person is not None
    assert person.properties["plan"] == "pro"


async def test_one_event_that_fails_takes_no_other_with_it(tmp_path: Path):
    engine = RecordingEngine()
    ingest = opened(tmp_path, engine)
    bad = RawEvent("seen", "bob", {"no JSON": object()})
    done = await asyncio.gather(
        ingest.accept(batch({})),
        ingest.accept([bad]),
        ingest.accept(batch({}, start=5)),
        return_exceptions=True,
    )
    assert [type(each) for each in done] == [type(None), TypeError, type(None)]
    assert len(engine.rows("events")) == 2
    assert ingest.people.person_of("bob") is None


async def test_a_store_that_fails_loses_nothing_but_the_request(tmp_path: Path):
    engine = RecordingEngine()
    ingest = opened(tmp_path, engine)
    await ingest.accept(batch({"$set": {"a": 1}}))
    other = sqlite3.connect(tmp_path / "s.sqlite", isolation_level=None)
    other.execute("PRAGMA busy_timeout = 0")
    ingest._store.db.execute("PRAGMA busy_timeout = 0")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError):
        await ingest.accept(batch({"$set": {"a": 2}}, start=1))
    other.execute("ROLLBACK")
    other.close()
    person = ingest.people.person_of("ann")
    assert person is not None
    assert person.properties["a"] == 1
    await ingest.accept(batch({"$set": {"a": 2}}, start=1))
    assert ingest.people.person_of("ann").properties["a"] == 2  # type: ignore[union-attr]
    assert len(engine.rows("events")) == 2


async def test_an_early_answer_is_durable_and_settling_makes_it_visible(tmp_path: Path):
    engine = RecordingEngine()
    ingest = opened(tmp_path, engine)
    ingest.early = True
    for number in range(20):
        await ingest.accept(batch({}, start=number))
    assert engine.inserts == []
    assert len(list(ingest._journal.entries())) == 20
    await ingest.settled()
    assert [(table, len(rows)) for table, rows in engine.inserts][-1] == ("events", 20)
    assert (tmp_path / "s.journal.ingest").stat().st_size == 0
    await ingest.settled()
    assert len(engine.rows("events")) == 20


async def test_many_small_commits_of_a_killed_process_arrive_at_the_start_once_and_in_few_inserts(
    tmp_path: Path,
):
    lost = opened(tmp_path, RecordingEngine())
    lost.early = True
    for number in range(1000):
        await lost.accept(batch({"$set": {"n": number}}, start=number))
    lost._delivery._running.cancel()  # type: ignore[union-attr]  # the process dies: what it owes stays owed
    assert lost._engine.inserts == []  # type: ignore[attr-defined]
    engine = RecordingEngine()
    assert await opened(tmp_path, engine).start() == []
    assert [(table, len(rows)) for table, rows in engine.inserts] == [
        ("person_distinct_ids", 1),
        ("persons", 1000),
        ("events", 1000),
    ]
    assert len(engine.rows("events")) == 1000
    assert (tmp_path / "s.journal.ingest").stat().st_size == 0


async def test_no_insert_at_the_start_is_much_larger_than_the_limit(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("posthog_mcp.sandbox.ingest.delivery._INSERT_BYTES", 20_000)
    lost = opened(tmp_path, RecordingEngine())
    lost.early = True
    for number in range(100):
        await lost.accept(batch({"text": "x" * 1000}, start=number))
    lost._delivery._running.cancel()  # type: ignore[union-attr]
    engine = RecordingEngine()
    await opened(tmp_path, engine).start()
    events = [len(rows) for table, rows in engine.inserts if table == "events"]
    assert sum(events) == 100
    assert 5 <= max(events) <= 20


class Held(RecordingEngine):
    """Keeps each insert waiting until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def insert(self, table: str, rows: bytes) -> None:
        self.reached.set()
        await self.go.wait()
        await super().insert(table, rows)


async def test_what_arrived_leaves_the_journal_while_more_is_under_way(tmp_path: Path):
    engine = Held()
    ingest = opened(tmp_path, engine)
    ingest.early = True
    for number in range(50):
        await ingest.accept(batch({}, start=number))
    first = asyncio.create_task(ingest.settled())
    await engine.reached.wait()
    await ingest.accept(batch({}, start=50))
    engine.go.set()
    await first
    left = [rows["events"] for _, rows in ingest._journal.entries()]
    assert len(left) == 1
    assert b"000000000050" in left[0]
    await ingest.accept(batch({}, start=51))
    ingest._delivery._running.cancel()  # type: ignore[union-attr]  # the process dies
    again = RecordingEngine()
    await opened(tmp_path, again).start()
    assert [row["uuid"][-2:] for row in again.rows("events")] == ["50", "51"]


async def test_a_mistake_of_ours_is_logged_with_its_place_once(tmp_path: Path, caplog, monkeypatch):
    monkeypatch.setattr("posthog_mcp.sandbox.ingest.delivery._RETRY_SECONDS", 0.01)
    engine = RecordingEngine()
    engine.failures = [TypeError("not bytes"), TypeError("not bytes")]  # type: ignore[list-item]
    ingest = opened(tmp_path, engine)
    ingest.early = True
    await ingest.accept(batch({}))
    async with asyncio.timeout(5):
        while not engine.rows("events"):  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.01)
    assert len(caplog.records) == 2
    assert caplog.text.count("Traceback (most recent call last)") == 1
    assert "not bytes" in caplog.text


async def test_an_early_answer_reaches_the_engine_without_being_asked_for(tmp_path: Path):
    engine = RecordingEngine()
    ingest = opened(tmp_path, engine)
    ingest.early = True
    engine.failures = [stopped(), stopped()]  # and once more a second later
    await ingest.accept(batch({}))
    async with asyncio.timeout(5):
        while not engine.rows("events"):  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.01)


async def test_a_journal_that_grows_too_large_makes_events_wait_for_the_engine(tmp_path, monkeypatch):
    monkeypatch.setattr("posthog_mcp.sandbox.ingest.delivery._JOURNAL_LIMIT", 10_000)
    engine = RecordingEngine()
    ingest = opened(tmp_path, engine)
    ingest.early = True
    sizes: list[int] = []
    for number in range(100):
        await ingest.accept(batch({"text": "x" * 100}, start=number))
        sizes.append((tmp_path / "s.journal.ingest").stat().st_size)
    assert max(sizes) < 12_000
    assert len(engine.rows("events")) > 80


async def test_what_is_owed_at_the_end_is_delivered_or_kept(tmp_path: Path):
    engine = RecordingEngine()
    first = opened(tmp_path, engine)
    first.early = True
    await first.accept(batch({}))
    await first.close()
    assert len(engine.rows("events")) == 1
    second = opened(tmp_path, engine)
    second.early = True
    await second.accept(batch({}, start=1))
    engine.failures = [stopped(), stopped()]
    await second.close()
    assert len(engine.rows("events")) == 1
    await opened(tmp_path, engine).start()
    assert len(engine.rows("events")) == 2


async def test_closing_finishes_what_was_taken_and_takes_no_more(tmp_path: Path):
    engine = RecordingEngine()
    ingest = opened(tmp_path, engine)
    waiting = asyncio.create_task(ingest.accept(batch({})))
    await asyncio.sleep(0)
    await ingest.close()
    await waiting
    assert len(engine.rows("events")) == 1
    with pytest.raises(IngestClosed):
        await ingest.accept(batch({}))


async def test_whoever_stops_waiting_does_not_stop_the_others(tmp_path: Path):
    engine = RecordingEngine()
    ingest = opened(tmp_path, engine)
    given_up = asyncio.create_task(ingest.accept(batch({})))
    await asyncio.sleep(0)
    given_up.cancel()
    await ingest.accept(batch({}, start=1))
    assert len(engine.rows("events")) == 2


async def test_the_mirror_is_written_anew_where_it_differs(tmp_path: Path):
    engine = RecordingEngine()
    ingest = opened(tmp_path, engine)
    groups = {"$group_type": "company", "$group_key": "acme", "$group_set": {"a": 1}}
    await ingest.accept(
        [
            RawEvent("seen", "ann", {"$set": {"name": "Änn"}}),
            RawEvent("seen", "anon"),
            RawEvent("$identify", "ann", {"$anon_distinct_id": "anon"}),
            RawEvent("$groupidentify", "acme", groups),
        ]
    )
    await ingest.delete_person(ingest.people.person_of("acme"))  # type: ignore[arg-type]
    assert await ingest.start() == []
    empty = RecordingEngine()
    again = opened(tmp_path, empty)
    tables = ["persons", "person_distinct_ids", "person_distinct_id_overrides", "groups"]
    assert await again.start() == tables
    for table in tables:
        assert sorted(map(str, empty.rows(table))) == sorted(map(str, engine.rows(table)))
    assert await again.start() == []


async def test_the_journal_is_readable_by_its_owner_alone(tmp_path: Path):
    opened(tmp_path, RecordingEngine())
    assert os.stat(tmp_path / "s.journal.ingest").st_mode & 0o777 == 0o600  # noqa: PTH116 - a path of the test


async def test_the_real_engine_gets_back_what_its_mirror_lost(sandbox: Sandbox):
    await sandbox.ingest.accept(
        [RawEvent("seen", "ann"), RawEvent("seen", "bob"), RawEvent("$create_alias", "ann", {"alias": "bob"})]
    )
    await sandbox.ingest.settled()
    await sandbox.engine.execute("TRUNCATE TABLE ph.persons")
    assert await sandbox.ingest.start() == ["persons"]
    found = await sandbox.engine.query("SELECT id FROM ph.persons FINAL WHERE NOT is_deleted")
    assert found.rows == [[sandbox.ingest.people.person_of("bob").uuid]]  # type: ignore[union-attr]
