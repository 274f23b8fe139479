"""What is taken in goes out: whole, in order, in few requests, and nobody else's stays behind."""

import asyncio
import json
import logging
import sqlite3
from datetime import UTC, datetime, timedelta
from uuid import UUID

import anyio
import pytest
from posthog_stub import Reply, Stub, in_turn

from posthog_mcp.api.calls import witness
from posthog_mcp.outbox import Outbox, OutboxFull, made

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


def events(count: int, name: str = "seen", people: int = 5, size: int = 0) -> list:
    return [
        made(name, f"u{n % people}", {"n": n, "text": "x" * size}, NOW + timedelta(seconds=n))
        for n in range(count)
    ]


def order_of(stub: Stub) -> dict[str, list[int]]:
    """The numbers of each person's events in the order they first arrived."""
    found: dict[str, list[int]] = {}
    for event in {event["uuid"]: event for event in stub.taken}.values():
        found.setdefault(event["distinct_id"], []).append(event["properties"]["n"])
    return found


async def test_an_event_arrives_as_posthog_wants_it(box, stub):
    uuid = await box.capture("ada", "order placed", {"total": 42.5}, timestamp=NOW, wait=True)
    (batch,) = stub.batches
    assert batch.body["api_key"] == "phc_outbox_test"
    assert batch.body["historical_migration"] is False
    (event,) = batch.events
    assert event["uuid"] == str(uuid)
    assert event["timestamp"] == "2026-03-01T10:00:00Z"
    assert event["properties"] | {"$lib_version": 0} == {
        "total": 42.5, "$lib": "posthog-mcp", "$lib_version": 0, "$geoip_disable": True,
    }  # fmt: skip
    assert box.state_of(uuid) == "delivered"
    assert not box.status().waiting


async def test_new_uuids_are_of_version_7_and_in_order(box):
    uuids = [await box.capture("ada", "seen") for _ in range(50)]
    assert {uuid.version for uuid in uuids} == {7}
    assert len(set(uuids)) == 50
    assert [uuid.int >> 80 for uuid in uuids] == sorted(uuid.int >> 80 for uuid in uuids)


async def test_it_is_on_disk_before_the_call_returns(open_box, tmp_path):
    box = open_box(host="http://127.0.0.1:9")
    uuid = await box.capture("ada", "seen")
    other = sqlite3.connect(tmp_path / "state" / "outbox.db")
    assert other.execute("SELECT uuid FROM events").fetchall() == [(uuid.bytes,)]
    other.close()


async def test_a_burst_of_single_events_is_one_request(box, stub):
    for n in range(30):
        await box.capture("ada", "seen", {"n": n})
    with anyio.fail_after(5):
        while box.status().events:  # noqa: ASYNC110 - another process would look the same way
            await anyio.sleep(0.02)
    assert [len(batch.events) for batch in stub.batches] == [30]


async def test_a_full_batch_does_not_wait_for_more(box, stub):
    started = asyncio.get_running_loop().time()
    await box.append(events(2_000))
    with anyio.fail_after(5):
        while not stub.taken:  # noqa: ASYNC110
            await anyio.sleep(0.01)
    assert asyncio.get_running_loop().time() - started < 0.9


async def test_batches_stay_below_4_mebibytes(box, stub):
    await box.append(events(30, size=300_000))
    assert await box.flush()
    assert len(stub.taken) == 30
    assert len(stub.batches) == 3
    assert all(batch.size < 4.2 * 1024 * 1024 for batch in stub.batches)


async def test_one_request_at_a_time_and_in_order(box, stub):
    stub.answer = lambda _: Reply(delay=0.01)
    await box.append(events(5_000))
    assert await box.flush()
    assert stub.most_at_once == 1
    assert order_of(stub) == {f"u{who}": list(range(who, 5_000, 5)) for who in range(5)}


async def test_what_waits_already_is_kept_once(box, stub):
    batch = events(3)
    await box.append(batch)
    await box.append([*batch, *events(1, "other")])
    assert await box.flush()
    assert len(stub.taken) == 4


async def test_events_of_the_past_go_down_their_lane_and_let_those_of_now_go_first(box, stub):
    stub.answer = lambda _: Reply(delay=0.05)
    await box.append(events(6_000, "old"), historical=True)
    await anyio.sleep(0.06)  # the first request is on its way
    await box.capture("ada", "now", wait=True)
    lanes = [(batch.body["historical_migration"], set(batch.names)) for batch in stub.batches]
    assert (False, {"now"}) in lanes
    assert lanes[0] == (True, {"old"})
    assert len(stub.batches) < 4
    assert await box.flush()
    assert len(stub.taken) == 6_001


async def test_a_trickle_of_now_does_not_stop_the_past(box, stub):
    await box.append(events(10_000, "old"), historical=True)
    for _ in range(10):
        await box.capture("ada", "now")
        await anyio.sleep(0.05)
    assert sum(event["event"] == "old" for event in stub.taken) == 10_000
    assert await box.flush()


async def test_several_projects_and_hosts_lie_side_by_side(open_box, stub):
    async with Stub() as second:
        first, other, elsewhere = open_box(), open_box("phc_other"), open_box(host=second.url)
        for box in (first, other, elsewhere):
            await box.capture("ada", "seen")
        assert {item.host for item in first.status().waiting} == {stub.url, second.url}
        assert await first.flush()
        assert sorted(batch.body["api_key"] for batch in stub.batches) == ["phc_other", "phc_outbox_test"]
        assert [batch.body["api_key"] for batch in second.batches] == ["phc_outbox_test"]


async def test_a_project_that_is_refused_does_not_hold_up_another(open_box, stub):
    stub.answer = lambda batch: Reply(401 if batch.body["api_key"] == "phc_wrong" else 200)
    wrong, right = open_box("phc_wrong"), open_box()
    await wrong.capture("ada", "seen")
    await right.capture("ada", "seen", wait=True)
    assert not await wrong.flush(5)
    assert [event["event"] for event in stub.taken] == ["seen"]
    assert wrong.status().events == 1


async def test_a_later_outbox_delivers_what_an_earlier_one_left_for_every_host(open_box, stub):
    async with Stub() as second:
        for host, token in ((stub.url, "phc_a"), (second.url, "phc_b")):
            box = open_box(token, host, delivers=False)
            await box.append(events(3))
            await box.close()
        caretaker = open_box("")
        caretaker.deliver_leftovers()
        with anyio.fail_after(5):
            while caretaker.status().events:  # noqa: ASYNC110
                await anyio.sleep(0.02)
        assert len(stub.taken) == len(second.taken) == 3


async def test_closing_sends_what_it_can_and_says_what_stays(open_box, stub, caplog):
    box = open_box()
    await box.append(events(10))
    assert await box.close() == 0
    assert len(stub.taken) == 10
    stub.answer = lambda _: Reply(delay=5)
    late = open_box()
    await late.append(events(4, "late"))
    started = asyncio.get_running_loop().time()
    assert await late.close(0.2) == 4
    assert asyncio.get_running_loop().time() - started < 1
    assert "4 events stay on disk" in caplog.text


async def test_an_idle_outbox_has_nothing_running(box):
    await box.capture("ada", "seen", wait=True)
    with anyio.fail_after(3):
        while any("Sender._run" in repr(task) for task in asyncio.all_tasks()):  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def test_nothing_is_opened_before_the_first_event(open_box, tmp_path):
    box = open_box()
    assert not (tmp_path / "state").exists()
    assert await box.close() == 0
    assert not (tmp_path / "state").exists()


async def test_a_full_outbox_refuses_and_keeps_the_oldest(open_box, stub):
    stub.answer = lambda _: Reply(503)
    box = open_box(most_events=100)
    kept = events(100)
    await box.append(kept)
    with pytest.raises(OutboxFull, match="100 events"):
        await box.append(events(1))
    assert [box.state_of(event.uuid) for event in kept[:2]] == ["waiting", "waiting"]
    stub.answer = lambda _: Reply()
    assert await box.flush()
    await box.append(events(1))


async def test_failed_events_take_room_until_they_are_dropped(open_box, stub):
    stub.answer = lambda _: Reply(400)
    box = open_box(most_events=10)
    await box.append(events(10))
    await box.flush()
    assert box.status().dead == 10
    with pytest.raises(OutboxFull):
        await box.append(events(1))
    assert box.drop() == 10
    await box.append(events(10))


async def test_the_size_of_the_file_is_bounded_as_well(open_box):
    box = open_box(host="http://127.0.0.1:9", most_bytes=2 << 20)
    with pytest.raises(OutboxFull):  # noqa: PT012 - one of them is the last
        for _ in range(100):
            await box.append(events(10, size=10_000))
    assert 100 <= box.status().events <= 250


async def test_memory_alone_is_said_loudly(stub, caplog):
    box = Outbox("phc_x", stub.url, None)
    await box.capture("ada", "seen", wait=True)
    assert "memory alone" in caplog.text
    assert not box.status().on_disk
    stub.answer = lambda _: Reply(503)
    await box.capture("ada", "seen")
    assert await box.close(0.1) == 1
    assert "1 events are lost" in caplog.text
    assert any(record.levelno == logging.ERROR for record in caplog.records)


async def test_a_wait_ends_when_time_is_up_and_the_event_stays(box, stub):
    stub.answer = lambda _: Reply(delay=2)
    with pytest.raises(TimeoutError, match="safe on disk"):
        await box.capture("ada", "seen", wait=True, timeout=0.1)
    assert box.status().events == 1


@pytest.mark.parametrize("properties", [{"n": float("nan")}, {"text": "x" * 1_000_000}, {"deep": None}])
async def test_what_cannot_be_sent_is_refused_at_once(box, properties):
    if "deep" in properties:
        for _ in range(100_000):
            properties = {"deep": properties}
    with pytest.raises(ValueError, match=r"holds|bytes"):
        await box.capture("ada", "seen", properties)


async def test_the_persons_own_address_gives_the_place(box, stub):
    await box.capture("ada", "seen", {"$ip": "203.0.113.9"}, wait=True)
    assert "$geoip_disable" not in stub.taken[0]["properties"]


async def test_half_a_pair_of_surrogates_is_sent_as_a_question_mark(box, stub):
    await box.capture("ada\udc00", "seen", {"text": "a\ud83dz", "$set": {"name": "\ud83d"}}, wait=True)
    assert stub.taken[0]["properties"]["text"] == "a?z"
    assert stub.taken[0]["distinct_id"] == "ada?"


async def test_times_and_sets_of_a_program_are_written_as_json_has_them(box, stub):
    await box.capture("ada", "seen", {"at": NOW, "$set": {"born": NOW, "tags": {"a"}}}, wait=True)
    assert stub.taken[0]["properties"]["at"] == "2026-03-01T10:00:00Z"
    assert stub.taken[0]["properties"]["$set"]["tags"] == ["a"]
    assert "born" in box.person("ada")


async def test_the_events_a_sender_is_given_are_what_was_kept(box, stub):
    await box.append([made("ü", "ä", {"ß": ["€", {"x": None}]}, NOW, UUID(int=7))])
    assert await box.flush()
    assert json.dumps(stub.taken[0]["properties"]["ß"]) == json.dumps(["€", {"x": None}])
    assert stub.taken[0]["uuid"] == str(UUID(int=7))


@pytest.mark.usefixtures("impatient")
async def test_a_retry_after_an_answer_that_was_lost_counts_once(box, stub):
    stub.answer = in_turn(Reply(drop="after"))
    uuid = await box.capture("ada", "seen", wait=True)
    assert stub.uuids == [str(uuid)] * 2
    assert stub.taken[0] == stub.taken[1]


async def test_what_is_sent_has_no_part_in_the_call_that_woke_it(box):
    seen: list[str] = []

    async def told(request, send):
        seen.append(str(request.endpoint))
        return await send()

    call = witness.set(told)
    await box.capture("ada", "seen", wait=True)
    witness.reset(call)
    assert seen == []
