"""Rows of events: what is stored of an event, once, and what is not."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.ingest import RawEvent
from posthog_mcp.sandbox.ingest.elements import elements_chain
from posthog_mcp.sandbox.sandbox import Options

if TYPE_CHECKING:
    from posthog_mcp.sandbox.sandbox import Sandbox

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
UUID_A = "0197f000-0000-7000-8000-0000000000aa"
SESSION = "0197F000-0000-7000-8000-0000000000BB"


@pytest.fixture
def options() -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: NOW)


async def take(sandbox: Sandbox, *events: RawEvent) -> None:
    await sandbox.ingest.accept(list(events))


async def rows(sandbox: Sandbox, columns: str = "*", where: str = "1") -> list[dict[str, Any]]:
    await sandbox.ingest.settled()
    found = await sandbox.engine.query(
        f"SELECT {columns} FROM ph.events FINAL WHERE {where} ORDER BY event, timestamp, distinct_id"
    )
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


async def properties(sandbox: Sandbox) -> dict[str, Any]:
    (row,) = await rows(sandbox, "properties")
    return json.loads(row["properties"])


def warnings(sandbox: Sandbox) -> list[str]:
    return [warning.type for warning in sandbox.ingest.warnings]


async def test_an_event_is_stored_with_all_its_columns(sandbox: Sandbox):
    event = RawEvent(
        "order placed",
        "ann",
        {"total": 42.5, "$session_id": SESSION, "$window_id": "W", "$groups": {"company": "acme"}},
        UUID_A,
        "2026-03-01T10:00:00.5Z",
        sent_at=datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC),
        set={"plan": "pro"},
        ip="10.0.0.1",
    )
    await take(sandbox, event)
    (row,) = await rows(sandbox)
    person = sandbox.ingest.people.person_of("ann")
    assert person is not None
    assert row == {
        "uuid": UUID_A,
        "event": "order placed",
        "timestamp": "2026-03-01T09:59:50.500000Z",
        "distinct_id": "ann",
        "person_id": person.uuid,
        "properties": row["properties"],
        "person_properties": person.text(),
        "person_created_at": "2026-03-01T09:59:50.500000Z",
        "person_mode": "full",
        "elements_chain": "",
        "$session_id": SESSION.lower(),
        "$window_id": "W",
        "$group_0": "acme",
        "$group_1": "",
        "$group_2": "",
        "$group_3": "",
        "$group_4": "",
        "created_at": "2026-03-01T12:00:00.000000Z",
        "inserted_at": "2026-03-01T12:00:00.000000Z",
    }
    assert json.loads(row["properties"]) == {
        "total": 42.5,
        "$session_id": SESSION.lower(),
        "$window_id": "W",
        "$groups": {"company": "acme"},
        "$group_0": "acme",
        "$set": {"plan": "pro"},
        "$ip": "10.0.0.1",
        "$sent_at": "2026-03-01T12:00:10.000000Z",
    }


async def test_an_event_without_a_uuid_gets_one_of_version_7(sandbox: Sandbox):
    await take(sandbox, RawEvent("seen", "ann"), RawEvent("seen", "ann"))
    made = [UUID(row["uuid"]) for row in await rows(sandbox, "uuid")]
    assert {one.version for one in made} == {7}
    assert {one.int >> 80 for one in made} == {int(NOW.timestamp() * 1000)}
    assert len(set(made)) == 2


async def test_the_correction_of_clocks_can_be_turned_off(sandbox: Sandbox):
    event = RawEvent("seen", "ann", {"$ignore_sent_at": True}, timestamp="2026-03-01T10:00:00Z")
    event.sent_at = datetime(2026, 3, 1, 11, tzinfo=UTC)
    await take(sandbox, event)
    assert (await rows(sandbox, "timestamp"))[0]["timestamp"] == "2026-03-01T10:00:00.000000Z"


async def test_the_time_of_receipt_counts_rather_than_that_of_ingestion(sandbox: Sandbox):
    await take(sandbox, RawEvent("seen", "ann", received_at=datetime(2026, 3, 1, 11, tzinfo=UTC)))
    (row,) = await rows(sandbox, "timestamp, created_at")
    assert row == {"timestamp": "2026-03-01T11:00:00.000000Z", "created_at": "2026-03-01T12:00:00.000000Z"}


async def test_an_own_ip_is_kept_and_none_is_in_a_project_that_wants_none(sandbox: Sandbox):
    await take(sandbox, RawEvent("a", "ann", {"$ip": "1.2.3.4"}, ip="10.0.0.1"))
    sandbox.project.settings["anonymize_ips"] = True
    await take(sandbox, RawEvent("b", "ann", {"$ip": "1.2.3.4"}, ip="10.0.0.1"))
    shown = [row["ip"] for row in await rows(sandbox, "JSONExtractString(properties, '$ip') AS ip")]
    assert shown == ["1.2.3.4", ""]


@pytest.mark.parametrize("session", ["NOT-A-UUID", 5, None])
async def test_a_session_id_that_is_no_uuid_stays_as_it_is(sandbox: Sandbox, session):
    await take(sandbox, RawEvent("seen", "ann", {"$session_id": session}))
    assert await properties(sandbox) == {"$session_id": session}
    (row,) = await rows(sandbox, "`$session_id` AS s")
    assert row["s"] == (session if isinstance(session, str) else "")


async def test_names_are_cut_and_ids_too_long_dropped(sandbox: Sandbox):
    await take(sandbox, RawEvent("n" * 300, "i" * 400), RawEvent("seen", "i" * 401))
    assert await rows(sandbox, "event, distinct_id") == [{"event": "n" * 200, "distinct_id": "i" * 400}]
    assert warnings(sandbox) == ["distinct_id_too_long"]


async def test_what_no_text_can_hold_is_replaced(sandbox: Sandbox):
    odd = "a\x00b\ud800c"
    await take(sandbox, RawEvent(odd, odd, {odd: odd, "n": float("inf"), "x": [{"\x00": "\\u0000"}]}))
    (row,) = await rows(sandbox, "event, distinct_id, properties")
    clean = "a\ufffdb\ufffdc"
    assert (row["event"], row["distinct_id"]) == (clean, clean)
    assert json.loads(row["properties"]) == {clean: clean, "n": None, "x": [{"\ufffd": "\\u0000"}]}
    assert sandbox.ingest.people.person_of(odd) is sandbox.ingest.people.person_of(clean) is not None


async def test_text_of_any_kind_comes_back_as_it_was(sandbox: Sandbox):
    text = "tab\t nl\n quote\" back\\ slash/ ümlaut \U0001f600 \u2028 <b> 'q' `b`"
    await take(sandbox, RawEvent(text, text, {text: text, "$window_id": text}))
    (row,) = await rows(sandbox, "event, distinct_id, properties, `$window_id` AS w")
    assert row["event"] == row["distinct_id"] == row["w"] == text
    assert json.loads(row["properties"]) == {text: text, "$window_id": text}


async def test_what_is_never_stored_is_removed(sandbox: Sandbox):
    gone = ("ph_product_tours", "$product_tours_activated", "$override_feature_flag_payloads")
    await take(sandbox, RawEvent("seen", "ann", {"a": 1, **dict.fromkeys(gone, 1)}))
    assert await properties(sandbox) == {"a": 1}


async def test_elements_move_to_their_column(sandbox: Sandbox):
    elements = [{"tag_name": "a", "attr__href": "/x", "nth_child": 1, "nth_of_type": 2, "$el_text": "Go"}]
    both = {"$elements_chain": 'b:nth-child="1"', "$elements": [{}]}
    await take(sandbox, RawEvent("$autocapture", "a", {"$elements": elements}))
    await take(sandbox, RawEvent("$autocapture", "b", both))
    assert await rows(sandbox, "elements_chain, properties") == [
        {
            "elements_chain": 'a:attr__href="/x"href="/x"nth-child="1"nth-of-type="2"text="Go"',
            "properties": "{}",
        },
        {"elements_chain": 'b:nth-child="1"', "properties": "{}"},
    ]


def test_a_chain_is_written_as_posthog_writes_it():
    button = {
        "tag_name": "button", "attr__class": "primary buy", "attr__id": "go",
        "nth_child": 2, "nth_of_type": 1,
        "$el_text": 'Buy "now"',
    }  # fmt: skip
    chain = elements_chain([button, {"tag_name": "div", "nth_child": 1, "nth_of_type": 1}])
    assert chain == (
        'button.buy.primary:attr__class="primary buy"attr__id="go"attr_id="go"nth-child="2"nth-of-type="1"'
        'text="Buy \\"now\\"";div:nth-child="1"nth-of-type="1"'
    )


async def test_a_clients_own_warning_is_a_warning_and_no_event(sandbox: Sandbox):
    text = {"$$client_ingestion_warning_message": "too many"}
    await take(sandbox, RawEvent("$$client_ingestion_warning", "ann", text))
    assert await rows(sandbox) == []
    assert sandbox.ingest.warnings[0].details["message"] == "too many"


async def test_an_event_shows_the_person_as_it_left_it(sandbox: Sandbox):
    for number in (1, 2, 3):
        await take(sandbox, RawEvent(f"e{number}", "ann", {"$set": {f"p{number}": number}}))
    seen = [json.loads(row["person_properties"]) for row in await rows(sandbox, "person_properties")]
    assert [sorted(key for key in one if key.startswith("p")) for one in seen] == [
        ["p1"],
        ["p1", "p2"],
        ["p1", "p2", "p3"],
    ]


# -- the same event again


def sent(**changes: Any) -> RawEvent:
    event = RawEvent("buy", "ann", {"total": 1}, UUID_A, "2026-03-01T10:00:00Z")
    for name, value in changes.items():
        setattr(event, name, value)
    return event


async def test_an_event_sent_twice_is_one(sandbox: Sandbox):
    await take(sandbox, sent(), sent())
    await take(sandbox, sent())
    assert len(await rows(sandbox)) == 1


async def test_of_two_events_with_one_uuid_the_later_write_wins(sandbox: Sandbox):
    await take(sandbox, sent(), sent(properties={"total": 2}))
    assert (await properties(sandbox))["total"] == 2


@pytest.mark.parametrize(
    "change", [{"event": "sell"}, {"distinct_id": "bob"}, {"timestamp": "2026-02-28T10:00:00Z"}]
)
async def test_one_uuid_with_another_name_person_or_day_is_another_event(sandbox: Sandbox, change):
    await take(sandbox, sent(), sent(**change))
    assert len(await rows(sandbox)) == 2


async def test_a_retry_does_not_undo_what_came_after(sandbox: Sandbox):
    free = sent(properties={"$set": {"plan": "free"}})
    await take(sandbox, free)
    await take(sandbox, RawEvent("$set", "ann", {"$set": {"plan": "pro"}}))
    await take(sandbox, free)
    person = sandbox.ingest.people.person_of("ann")
    assert person is not None
    assert person.properties["plan"] == "pro"
    (row,) = await rows(sandbox, "person_properties", "event = 'buy'")
    assert json.loads(row["person_properties"])["plan"] == "free"


async def test_many_requests_at_once_are_all_kept_in_their_order(sandbox: Sandbox):

    async def one(number: int) -> None:
        await take(sandbox, RawEvent(f"e{number:03}", "ann", {"$set": {"last": number, f"p{number}": 1}}))

    await asyncio.gather(*(one(number) for number in range(50)))
    person = sandbox.ingest.people.person_of("ann")
    assert person is not None
    assert person.properties["last"] == 49
    found = await rows(sandbox, "person_properties")
    assert [json.loads(row["person_properties"])["last"] for row in found] == list(range(50))
