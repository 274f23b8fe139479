"""Recordings: what messages of recorded events add up to, and how recordings are found."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_making import CLICK, FOCUS, KEY, MOVE, MUTATION, console, page, snapshot

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.ingest import RawEvent
from posthog_mcp.sandbox.ingest.recordings import replay_rows
from posthog_mcp.sandbox.sandbox import Options

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
RECORDINGS = "/api/projects/1/session_recordings/"
LONG, SHORT, OLD = (f"0195{n}000-0000-7000-8000-00000000000{n}" for n in (1, 2, 3))
ERROR = {"type": "recording", "key": "console_error_count", "operator": "gt", "value": 0}


@pytest.fixture
def options() -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: NOW)


@pytest.fixture
async def recorded(sandbox: Sandbox):
    """Ann's long recording in two messages, Bob's short one, and an old one of Bob's."""
    start = NOW - timedelta(hours=2)
    await sandbox.ingest.accept([
        RawEvent("signed up", "ann", {"$session_id": LONG, "plan": "pro", "$set": {"email": "ann@x.test"}},
                 timestamp=start + timedelta(seconds=30)),
        RawEvent("seen", "bob", {"$session_id": SHORT}, timestamp=start),
        snapshot(LONG, "ann", start, (0, page("https://shop.test/a")), (1, CLICK), (3, KEY), (4, MUTATION)),
        snapshot(LONG, "ann", start, (60, page("https://shop.test/b")), (61, MOVE), (70, FOCUS),
                 (71, console("error", '"boom"', "42")), (72, console("warn", '"hm"'))),
        snapshot(SHORT, "bob", start + timedelta(hours=1), (0, page("https://shop.test/c")), (2, CLICK),
                 **{"$snapshot_source": "mobile", "$lib": "posthog-ios"}),
        snapshot(OLD, "bob", NOW - timedelta(days=20), (0, page("https://shop.test/a")), (5, CLICK)),
    ])  # fmt: skip


async def listed(api: AsyncClient, **query: Any) -> Any:
    shown = {
        name: value if isinstance(value, str | int) else json.dumps(value) for name, value in query.items()
    }
    reply = await api.get(RECORDINGS, params=shown)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def ids(api: AsyncClient, **query: Any) -> list[str]:
    return [recording["id"] for recording in (await listed(api, **query))["results"]]


@pytest.mark.usefixtures("recorded")
async def test_the_messages_of_a_session_add_up_to_its_recording(api: AsyncClient):
    recording = (await api.get(f"{RECORDINGS}{LONG}/")).json()
    told = {
        "distinct_id": "ann", "recording_duration": 72, "start_url": "https://shop.test/a",
        "start_time": "2026-03-10T10:00:00Z", "end_time": "2026-03-10T10:01:12Z",
        "click_count": 1, "keypress_count": 1, "mouse_activity_count": 3,
        "console_log_count": 0, "console_warn_count": 1, "console_error_count": 1,
        "snapshot_source": "web", "viewed": False, "ongoing": False,
        # 1 to 3 s without a pause, then a move and a focus 9 s apart, each of them alone.
        "active_seconds": 2.002, "inactive_seconds": 69.998,
    }  # fmt: skip
    assert {name: recording[name] for name in told} == told
    assert recording["person"]["properties"]["email"] == "ann@x.test"


@pytest.mark.usefixtures("recorded")
async def test_what_is_recorded_is_no_event(api: AsyncClient):
    events = (await api.get("/api/projects/1/events/", params={"event": "$snapshot"})).json()["results"]
    assert events == []


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [SHORT, LONG]),
        ({"order": "duration"}, [LONG, SHORT]),
        ({"order": "start_time", "order_direction": "ASC"}, [LONG, SHORT]),
        ({"date_from": "-30d"}, [SHORT, LONG, OLD]),
        ({"date_from": "-30d", "date_to": "-7d"}, [OLD]),
        ({"distinct_ids": ["ann"]}, [LONG]),
        ({"session_ids": [SHORT, OLD]}, [SHORT]),
        ({"session_recording_id": OLD}, [OLD]),
        ({"events": [{"id": "signed up", "type": "events"}]}, [LONG]),
        ({"events": [{"id": "signed up", "properties": [{"key": "plan", "value": "free"}]}]}, []),
        ({"events": [{"id": "signed up"}, {"id": "seen"}]}, []),
        ({"events": [{"id": "signed up"}, {"id": "seen"}], "operand": "OR"}, [SHORT, LONG]),
        ({"properties": [{"key": "email", "type": "person", "value": "ann@x.test"}]}, [LONG]),
        ({"properties": [{"key": "plan", "type": "event", "value": "pro"}]}, [LONG]),
        ({"properties": [{"key": "visited_page", "type": "recording", "operator": "icontains",
                          "value": "test/b"}]}, [LONG]),
        ({"having_predicates": [ERROR]}, [LONG]),
        ({"having_predicates": [{**ERROR, "key": "duration", "operator": "lt", "value": 60}]}, [SHORT]),
        ({"properties": [{"key": "snapshot_source", "type": "recording", "value": ["mobile"]}]}, [SHORT]),
        ({"console_log_filters": [{"type": "log_entry", "key": "message", "operator": "icontains",
                                   "value": "BOOM"}]}, [LONG]),
        ({"limit": 1, "offset": 1}, [LONG]),
    ],
)  # fmt: skip
async def test_recordings_are_narrowed_ordered_and_cut(api: AsyncClient, query: dict, expected: list[str]):
    assert await ids(api, **query) == expected


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("order", ["start_time", "activity_score", "click_count", "inactive_seconds"])
async def test_a_cursor_goes_on_where_the_page_ended(api: AsyncClient, order: str):
    seen: list[str] = []
    after: dict[str, str] = {}
    for _ in range(3):
        page_ = await listed(api, date_from="-30d", limit=1, order=order, **after)
        seen += [recording["id"] for recording in page_["results"]]
        after = {"after": page_["next_cursor"]} if page_["has_next"] else {}
    assert (sorted(seen), after) == (sorted([LONG, SHORT, OLD]), {})


@pytest.mark.usefixtures("recorded")
async def test_viewed_recordings_can_be_left_out(api: AsyncClient):
    assert (await api.patch(f"{RECORDINGS}{SHORT}/", json={"viewed": True})).json() == {"success": True}
    assert (await api.get(f"{RECORDINGS}{SHORT}/")).json()["viewed"] is True
    assert await ids(api, hide_viewed_recordings="current-user") == [LONG]
    assert (await api.patch(f"{RECORDINGS}{SHORT}/", json={})).status_code == 400


@pytest.mark.usefixtures("recorded")
async def test_a_deleted_recording_is_gone_and_its_events_stay(api: AsyncClient):
    assert (await api.delete(f"{RECORDINGS}{LONG}/")).status_code == 204
    missing = await api.get(f"{RECORDINGS}{LONG}/")
    assert (missing.status_code, missing.json()["detail"]) == (404, "Recording not found")
    events = (await api.get("/api/projects/1/events/", params={"event": "signed up"})).json()["results"]
    assert len(events) == 1


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"order": "luck"}, "order"),
        ({"order": "surfacing_score"}, "surfacing_score"),
        ({"events": "{"}, "Must be JSON"),
        ({"after": "nonsense"}, "Invalid cursor"),
        ({"having_predicates": '[{"type":"recording","key":"luck","value":1}]'}, "'luck'"),
        ({"surprise": "1"}, "surprise"),
    ],
)
async def test_what_cannot_be_asked_is_refused(api: AsyncClient, query: dict, said: str):
    reply = await api.get(RECORDINGS, params=query)
    assert reply.status_code == 400
    assert said in reply.json()["detail"]


@pytest.mark.usefixtures("recorded")
async def test_hogql_reads_recordings_their_people_and_console_lines(api: AsyncClient):
    async def rows(query: str) -> Any:
        body = {"query": {"kind": "HogQLQuery", "query": query}}
        return (await api.post("/api/projects/1/query/", json=body)).json()["results"]

    assert await rows(
        "SELECT person.properties.email, session.$start_timestamp, all_urls, message_count "
        f"FROM session_replay_events WHERE session_id = '{LONG}'"
    ) == [["ann@x.test", "2026-03-10T10:00:30Z", ["https://shop.test/a", "https://shop.test/b"], 2]]
    assert await rows("SELECT level, message FROM log_entries ORDER BY timestamp") == [
        ["error", "boom 42"],
        ["warn", "hm"],
    ]


async def test_sdks_send_recordings_to_an_endpoint_of_their_own(api: AsyncClient, sandbox: Sandbox):
    message = snapshot(LONG, "ann", NOW, (0, page("https://shop.test/a")))
    body = {
        "api_key": "phc_sandbox",
        "event": "$snapshot",
        "uuid": "0197f000-0000-7000-8000-0000000000aa",
        "properties": {**message.properties, "distinct_id": "ann"},
    }
    for _ in range(2):  # a retry adds nothing
        assert (await api.post("/s/", json=body)).json() == {"status": "Ok"}
    recording = (await api.get(f"{RECORDINGS}{LONG}/")).json()
    assert (recording["distinct_id"], recording["start_url"]) == ("ann", "https://shop.test/a")
    rows = await sandbox.engine.query("SELECT count() FROM ph.session_replay_blocks FINAL")
    assert rows.rows == [[1]]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
recorded_events = st.fixed_dictionaries(
    {"type": st.integers(0, 7) | json_values, "timestamp": st.integers(0, 2**43) | json_values},
    optional={
        "data": json_values
        | st.fixed_dictionaries(
            {},
            optional={
                "source": st.integers(0, 16),
                "type": st.integers(0, 11),
                "href": json_values,
                "plugin": st.just("rrweb/console@1"),
                "payload": json_values
                | st.fixed_dictionaries({"level": json_values, "payload": json_values}),
            },
        )
    },
)


@settings(max_examples=150, deadline=None)
@given(st.lists(recorded_events | json_values, max_size=6) | json_values)
def test_whatever_was_recorded_makes_rows_that_the_engine_can_read(data: Any):
    rows = replay_rows([RawEvent("$snapshot", "ann", {"$session_id": LONG, "$snapshot_data": data})])
    blocks = [json.loads(line) for line in rows.get("session_replay_blocks", [])]
    lines = [json.loads(line) for line in rows.get("log_entries", [])]
    assert len(blocks) <= 1
    for block in blocks:
        assert block["first_timestamp"] <= block["last_timestamp"]
        assert len(block["all_urls"]) <= 25
        assert min(value for name, value in block.items() if name.endswith("_count")) >= 0
        duration = datetime.fromisoformat(block["last_timestamp"]) - datetime.fromisoformat(
            block["first_timestamp"]
        )
        assert block["active_milliseconds"] <= duration / timedelta(milliseconds=1) + block["event_count"]
    assert all(line["level"] in ("info", "warn", "error") for line in lines)


@pytest.mark.parametrize("session", ["", "a b", "x" * 71, "../x", 7, None])
def test_a_message_without_a_session_makes_nothing(session: Any):
    message = snapshot(session, "ann", NOW, (0, CLICK))
    assert replay_rows([message]) == {}
