"""`posthog-mcp import` and `posthog-mcp outbox`: files of past events, whole and once, and what waits."""

import asyncio
import gzip
import json
import os
import random
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from posthog_stub import Reply, bad
from test_outbox_delivery import events
from test_outbox_killed import PROGRAM, command

from posthog_mcp.cli._lines import Form, Rejected, Source

START = datetime(2026, 1, 1, tzinfo=UTC)


def lines(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "event": "order placed",
            "distinct_id": f"u{n % 7}",
            "timestamp": (START + timedelta(minutes=n)).isoformat(),
            "properties": {"n": n},
            **more,
        }
        for n in range(count)
    ]


def write(path: Path, items: list[Any]) -> Path:
    text = "".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in items)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz"])
async def test_json_lines_arrive_as_past_events(environment, stub, tmp_path, name):
    path = write(tmp_path / name, lines(1_200))
    code, said = await command(environment, "import", str(path))
    assert code == 0, said
    assert "1,200 events taken, 0 lines rejected." in said
    assert [event["properties"]["n"] for event in stub.taken] == list(range(1_200))
    assert {batch.body["historical_migration"] for batch in stub.batches} == {True}
    assert stub.taken[5]["timestamp"] == "2026-01-01T00:05:00Z"


async def test_a_second_run_sends_the_same_uuids(environment, stub, tmp_path):
    given_uuid = "0195f0c2-0000-7000-8000-000000000001"
    path = write(tmp_path / "e.jsonl", [*lines(20), *lines(1, uuid=given_uuid)])
    for _ in range(2):
        assert (await command(environment, "import", str(path)))[0] == 0
    assert len(stub.uuids) == 42
    assert stub.uuids[:21] == stub.uuids[21:]
    assert stub.uuids[20] == given_uuid
    assert len(set(stub.uuids)) == 21  # equal lines at other places are other events


async def test_csv_with_a_mapping(environment, stub, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(
        "when;Customer;what;Total;Zip;note\n"
        '2026-01-01T10:00:00Z;ada;"order; placed";12.5;01234;"two\nlines"\n'
        "2026-01-02;bob;order placed;7;99;\n"
    )
    mapping = ["timestamp=when", "distinct_id=Customer", "event=what", "total=Total"]
    arguments = [argument for item in mapping for argument in ("--map", item)]
    code, said = await command(environment, "import", str(path), *arguments, "--text", "Zip")
    assert code == 0, said
    first, second = stub.taken
    assert (first["event"], first["distinct_id"], first["timestamp"]) == (
        "order; placed", "ada", "2026-01-01T10:00:00Z",
    )  # fmt: skip
    assert {name: first["properties"].get(name) for name in ("total", "Zip", "note")} == {
        "total": 12.5, "Zip": "01234", "note": "two\nlines",
    }  # fmt: skip
    assert (second["properties"]["total"], second["properties"]["Zip"]) == (7, "99")
    assert "note" not in second["properties"]


async def test_a_column_that_does_not_exist_is_told_with_those_that_do(environment, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("when,who\n2026-01-01,ada\n")
    code, said = await command(environment, "import", str(path), "--map", "timestamp=wen")
    assert code == 1
    assert "has no column wen; it has when, who" in said


async def test_lines_that_are_no_events_are_named_by_their_numbers(environment, stub, tmp_path):
    good = lines(1)[0]
    path = write(
        tmp_path / "e.jsonl",
        [
            good,
            "{broken",
            "",
            {**good, "timestamp": None},
            {**good, "distinct_id": "null"},
            {**good, "event": ""},
            {**good, "uuid": "x"},
            {**good, "properties": [1]},
            {**good, "timestamp": "yesterday"},
            {**good, "timestamp": "2999-01-01T00:00:00Z"},
            "[1]",
            {**good, "distinct_id": 42, "team_id": 7},
        ],
    )
    rejected = tmp_path / "rejected.jsonl"
    code, said = await command(environment, "import", str(path), "--rejected", str(rejected))
    assert code == 1
    assert "2 events taken, 9 lines rejected." in said
    for number, words in [
        (2, "is no JSON"), (4, "--timestamp"), (5, "no id"), (6, "`event`"), (7, "`uuid`"),
        (8, "`properties`"), (9, "no time"), (10, "future"), (11, "no JSON object"),
    ]:  # fmt: skip
        line = next(line for line in said.splitlines() if f"line {number}:" in line)
        assert words in line
    assert "left out: team_id" in said
    kept = [json.loads(line) for line in (await anyio.Path(rejected).read_text()).splitlines()]
    assert [item["line"] for item in kept] == [2, 4, 5, 6, 7, 8, 9, 10, 11]
    assert kept[0]["text"] == "{broken"
    assert stub.taken[1]["distinct_id"] == "42"


async def test_a_timestamp_may_be_given_for_lines_without(environment, stub, tmp_path):
    path = write(tmp_path / "e.jsonl", [{"event": "seen", "distinct_id": "ada"}])
    code, _ = await command(environment, "import", str(path), "--timestamp", "2025-05-05")
    assert code == 0
    assert stub.taken[0]["timestamp"] == "2025-05-05T00:00:00Z"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/nowhere/e.jsonl"], "Cannot read /nowhere/e.jsonl"),
        (["x", "--map", "event"], "must be NAME=COLUMN"),
        (["x", "--timestamp", "soon"], "is no time"),
    ],
)
async def test_what_cannot_start_says_why(environment, arguments, words):
    code, said = await command(environment, "import", *arguments)
    assert code == 2
    assert words in said


async def test_without_a_project_token_it_says_which_variable(environment):
    del environment["POSTHOG_API_KEY"]
    code, said = await command(environment, "import", __file__)
    assert code == 2
    assert "POSTHOG_API_KEY" in said


async def test_a_refused_project_stops_the_import_and_a_later_run_goes_on(environment, stub, tmp_path):
    stub.answer = lambda _: Reply(401)
    path = write(tmp_path / "e.jsonl", lines(700))
    code, said = await command(environment, "import", str(path))
    assert code == 1
    assert "run the same command again" in said
    stub.answer = lambda _: Reply()
    code, said = await command(environment, "import", str(path))
    assert code == 0, said
    assert [event["properties"]["n"] for event in stub.taken] == list(range(700))


def waiting_in(path: Path) -> int:
    """How many events an outbox holds; 0 before it is there."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as db:
        try:
            return db.execute("SELECT count(*) FROM events").fetchone()[0]
        except sqlite3.OperationalError:  # its tables are not there yet
            return 0


async def test_it_takes_half_the_outbox_at_most(environment, stub, tmp_path):
    stub.answer = lambda _: Reply(503)
    environment["POSTHOG_MCP_OUTBOX_EVENTS"] = "2000"
    path = write(tmp_path / "e.jsonl", lines(3_000))
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "import", str(path), env={"PATH": os.environ["PATH"], **environment}
    )
    outbox = tmp_path / "state" / "outbox.db"
    async with asyncio.timeout(45):
        while waiting_in(outbox) < 1_000:  # noqa: ASYNC110 - another process fills it
            await anyio.sleep(0.05)
    for _ in range(20):  # and there it stays
        await anyio.sleep(0.05)
        assert waiting_in(outbox) == 1_000
    stub.answer = lambda _: Reply()
    async with asyncio.timeout(45):
        assert await process.wait() == 0
    assert len(set(stub.uuids)) == 3_000


async def test_killed_again_and_again_posthog_has_exactly_the_lines(sandbox, posthog, tmp_path):
    moments = random.Random(1)
    name, count = f"import-{os.getpid()}", 20_000
    path = write(tmp_path / "e.jsonl.gz", lines(count, event=name))
    environment = {**sandbox.environment, "POSTHOG_MCP_DATA_DIR": str(tmp_path / "state")}
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "import", str(path), env={"PATH": os.environ["PATH"], **environment}
        )
        await anyio.sleep(moments.uniform(0.6, 1.2))
        if process.returncode is None:
            process.kill()
        await process.wait()
    code, said = await command(environment, "import", str(path))
    assert code == 0, said
    query = "SELECT count(), count(DISTINCT uuid), sum(toInt(properties.n)) FROM events WHERE event = {event}"
    assert await posthog.rows(query, event=name) == [[count, count, sum(range(count))]]


async def test_status_flush_retry_and_drop(environment, stub, open_box):
    box = open_box(delivers=False)
    await box.append([*events(3), *events(2, "bad")])
    stub.answer = bad({"bad"}, 400)
    code, said = await command(environment, "outbox", "status")
    assert "5 events wait:" in said
    assert "phc_outb…" in said
    code, said = await command(environment, "outbox", "flush")
    assert code == 1
    assert "3 events delivered." in said
    assert "2 events failed." in said
    code, said = await command(environment, "outbox", "status", "--json")
    report = json.loads(said)
    assert [letter["event"]["event"] for letter in report["failed"]] == ["bad", "bad"]
    assert (await command(environment, "outbox", "drop"))[0] == 1  # nobody said yes
    stub.answer = lambda _: Reply()
    code, said = await command(environment, "outbox", "retry")
    assert (code, said) == (0, "2 failed events are back in line.\n2 events delivered.\n")
    assert (await command(environment, "outbox", "drop", "--yes"))[1] == "There is nothing to drop.\n"
    assert (await command(environment, "outbox", "status"))[1] == "No event waits.\nNo event failed.\n"


async def test_memory_alone_has_no_outbox_to_look_after(environment):
    environment["POSTHOG_MCP_OUTBOX"] = "memory"
    code, said = await command(environment, "outbox", "status")
    assert code == 2
    assert "no outbox that outlives" in said


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=400), cut=st.integers(0, 10))
def test_no_bytes_break_the_reading_and_it_goes_on_where_it_was(tmp_path_factory, data, cut):
    folder = tmp_path_factory.mktemp("bytes")
    for ending in ("jsonl", "csv"):
        path = folder / f"e.{ending}"
        path.write_bytes(b'event,distinct_id,timestamp\n"a",u1,2026-01-01\n' + data)
        source = Source(path, Form())
        found = list(source.lines())
        for line in found:
            with suppress(Rejected):
                assert source.event(line, START).body
        if found:
            last = found[min(cut, len(found) - 1)]
            rest = list(source.lines(last.last, last.end))
            assert [line.raw for line in rest] == [line.raw for line in found[found.index(last) + 1 :]]
