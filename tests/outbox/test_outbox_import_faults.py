"""Imports while PostHog fails, refuses or drops, and processes are killed: whole, once, in order."""

import asyncio
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from posthog_stub import Reply, bad, in_turn
from test_outbox_import import lines, write
from test_outbox_killed import PROGRAM, command


def ever_kept(folder: Path) -> int:
    """How many events were ever written to the outbox."""
    with closing(sqlite3.connect(folder / "state" / "outbox.db")) as db:
        row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return row[0] if row else 0


def numbers(taken: list[dict]) -> list[int]:
    return [event["properties"]["n"] for event in taken]


async def test_what_posthog_takes_at_once_is_not_written_down(environment, stub, tmp_path):
    code, said = await command(environment, "import", str(write(tmp_path / "e.jsonl", lines(5_000))))
    assert code == 0, said
    assert numbers(stub.taken) == list(range(5_000))
    assert [len(batch.events) for batch in stub.batches] == [2_000, 2_000, 1_000]
    assert ever_kept(tmp_path) == 0


@pytest.mark.parametrize(
    "fault", [Reply(503), Reply(429, headers={"retry-after": "1"}), Reply(drop="before")]
)
async def test_after_a_fault_the_rest_is_sent_in_order(environment, stub, tmp_path, fault):
    stub.answer = in_turn(Reply(), fault, fault)
    code, said = await command(environment, "import", str(write(tmp_path / "e.jsonl", lines(8_000))))
    assert code == 0, said
    assert numbers(stub.taken) == list(range(8_000))


async def test_a_lost_answer_is_answered_with_the_same_uuids(environment, stub, tmp_path):
    stub.answer = in_turn(Reply(), Reply(drop="after"))
    code, said = await command(environment, "import", str(write(tmp_path / "e.jsonl", lines(5_000))))
    assert code == 0, said
    assert len(stub.taken) > len(set(stub.uuids)) == 5_000


async def test_an_event_posthog_refuses_is_put_aside_and_the_others_arrive(environment, stub, tmp_path):
    stub.answer = bad({"bad"}, 400)
    items = lines(5_000)
    items[2_500]["event"] = "bad"
    code, said = await command(environment, "import", str(write(tmp_path / "e.jsonl", items)))
    assert code == 1
    assert "PostHog does not take 1 events" in said
    assert numbers(stub.taken) == [n for n in range(5_000) if n != 2_500]
    _, said = await command(environment, "outbox", "status", "--json")
    assert [letter["event"]["properties"]["n"] for letter in json.loads(said)["failed"]] == [2_500]


@pytest.mark.parametrize(("limit", "failed"), [("events", 10), ("recordings", 0)])
async def test_what_a_quota_drops_is_kept_for_later(environment, stub, tmp_path, limit, failed):
    stub.answer = lambda _: Reply(body={"status": "Ok", "quota_limited": [limit]})
    code, _ = await command(environment, "import", str(write(tmp_path / "e.jsonl", lines(10))))
    assert code == bool(failed)
    _, said = await command(environment, "outbox", "status", "--json")
    assert len(json.loads(said)["failed"]) == failed
    assert (ever_kept(tmp_path) > 0) == bool(failed)


async def test_large_events_go_in_requests_that_posthog_takes(environment, stub, tmp_path):
    path = write(
        tmp_path / "e.jsonl", [{**line, "properties": {"text": "x" * 800_000}} for line in lines(15)]
    )
    code, said = await command(environment, "import", str(path))
    assert code == 0, said
    assert max(batch.size for batch in stub.batches) < 5 << 20
    assert len(set(stub.uuids)) == 15


async def test_a_small_outbox_is_enough(environment, stub, tmp_path):
    environment["POSTHOG_MCP_OUTBOX_EVENTS"] = "100"
    stub.answer = in_turn(Reply(), Reply(503))
    async with asyncio.timeout(45):
        code, said = await command(environment, "import", str(write(tmp_path / "e.jsonl", lines(300))))
    assert code == 0, said
    assert numbers(stub.taken) == list(range(300))


async def test_killed_between_two_requests_no_rejected_line_is_lost_or_told_twice(
    environment, stub, tmp_path
):
    items = [line if n % 100 else "{broken" for n, line in enumerate(lines(5_000))]
    arguments = ("import", str(write(tmp_path / "e.jsonl", items)), "--rejected", str(tmp_path / "rejected"))
    stub.answer = in_turn(Reply(), Reply(delay=60))
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *arguments, env={"PATH": os.environ["PATH"], **environment}
    )
    with anyio.fail_after(20):
        while len(stub.batches) < 2:  # noqa: ASYNC110
            await anyio.sleep(0.01)
    process.kill()
    await process.wait()
    code, said = await command(environment, *arguments)
    assert code == 1
    assert "Went on after 2,000 lines" in said
    kept = (await anyio.Path(tmp_path / "rejected").read_text()).splitlines()
    assert [json.loads(line)["line"] for line in kept] == list(range(1, 5_000, 100))
    assert numbers(stub.taken) == [n for n in range(5_000) if n % 100]
