"""Recordings are found by what happened in them, and told event by event."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest

# What a tool does is the same in both eras of the protocol.
pytestmark = pytest.mark.parametrize("agent", ["auto"], indirect=True)

START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)


class Application:
    """A web application with PostHog's SDK: its events, and what it records."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def send(self, event: str, person: str, seconds: float, **properties: Any) -> None:
        """An event so many seconds after the start."""
        at = (START + timedelta(seconds=seconds)).isoformat()
        await self._post(
            "/batch/", {"batch": [
                {"event": event, "distinct_id": person, "timestamp": at, "properties": properties}]},
        )  # fmt: skip

    async def record(self, session: str, person: str, *events: tuple[float, int, dict[str, Any]]) -> None:
        """Recorded events: second, type and data of rrweb."""
        data = [
            {"type": kind, "timestamp": int(START.timestamp() * 1000 + seconds * 1000), "data": content}
            for seconds, kind, content in events
        ]
        properties = {"distinct_id": person, "$session_id": session, "$snapshot_data": data}
        await self._post("/s/", {"event": "$snapshot", "uuid": str(uuid4()), "properties": properties})

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        reply = await self._client.post(path, json={"api_key": "phc_sandbox", **body})
        assert reply.status_code == 200, reply.text


@pytest.fixture
async def application(sandbox):
    async with httpx2.AsyncClient(base_url=sandbox.environment["POSTHOG_HOST"]) as client:
        yield Application(client)


@pytest.fixture
async def visit(application, name):
    """A visit of two minutes in which a click ends in an error, said to the console as well."""
    session = str(uuid4())
    failed = [{"type": name, "value": "no total"}]
    await application.send(
        "$pageview", name, 0, **{"$session_id": session, "$current_url": "https://x.test/a"}
    )
    await application.send("order placed", name, 50, **{"$session_id": session, "total": 42})
    await application.send("$exception", name, 51, **{"$session_id": session, "$exception_list": failed})
    line = {"plugin": "rrweb/console@1", "payload": {"level": "error", "payload": ['"TypeError: no total"']}}
    await application.record(
        session, name, (0, 4, {"href": "https://x.test/a"}), (50, 3, {"source": 2, "type": 2}), (52, 6, line),
        (120, 3, {"source": 5}),
    )  # fmt: skip
    return session


async def test_a_recording_is_listed_with_what_was_done(agent, name, visit):
    (row,) = await agent.rows("list_recordings", person=name)
    assert row[0] == visit
    assert row[2:] == ["120", "0.002", "1", "1", "1", name, "https://x.test/a"]
    text = await agent.ask("list_recordings", person=name)
    assert "Written by outsiders: id, person, start_url." in text


@pytest.mark.usefixtures("visit")
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"event": "order placed"}, True),
        ({"event": "order cancelled"}, False),
        ({"console_errors": True}, True),
        ({"min_seconds": 120}, True),
        ({"min_seconds": 121}, False),
        ({"date_from": "-1h"}, False),
        ({"order": "console_error_count"}, True),
        ({"offset": 1}, False),
    ],
)
async def test_recordings_are_found_by_what_happened_in_them(agent, name, asked, found):
    text = await agent.ask("list_recordings", person=name, **asked)
    assert ("1 row." in text, "No rows." in text) == (found, not found)


async def test_the_recordings_of_an_error_are_found_by_its_id(agent, name, visit):
    error = (await agent.rows("list_errors", search=f'"{name}"'))[0][0]
    (row,) = await agent.rows("list_recordings", error_id=error)
    assert row[0] == visit
    other = str(uuid4())
    assert "No rows." in await agent.ask("list_recordings", error_id=other)


async def test_the_ids_of_a_person_all_count(agent, application, name, visit):
    await application.send("$identify", f"member-{name}", 200, **{"$anon_distinct_id": name})
    (row,) = await agent.rows("list_recordings", person=f"member-{name}")
    assert row[0] == visit
    uuid = (await agent.record("get_person", person=name))["person"]
    assert (await agent.rows("list_recordings", person=uuid))[0][0] == visit


async def test_a_recording_tells_what_happened_at_which_second(agent, name, visit):
    recording = await agent.record("get_recording", recording_id=visit)
    told = [(event["at"], event.get("event") or event["console"]) for event in recording["events"]]
    assert told == [(0, "$pageview"), (50, "order placed"), (51, "$exception"), (52, "error")]
    assert recording["events"][3]["message"] == "TypeError: no total"
    assert recording["events"][1]["total"] == 42
    assert recording["events"][2]["$exception_values"] == ["no total"]
    assert (recording["seconds"], recording["click_count"]) == (120, 1)
    assert recording["person"]["distinct_ids"] == [name]
    assert recording["url"].endswith(f"/project/1/replay/{visit}")
    assert recording["url_of_a_moment"] == f"{recording['url']}?t=<at>"
    assert set(recording["written_by_outsiders"]) == {"id", "start_url", "person", "events"}


async def test_a_long_recording_is_told_in_parts(agent, visit):
    told: list[str] = []
    more = {}
    for _ in range(3):
        part = await agent.record("get_recording", recording_id=visit, limit=1, **more)
        told += [event.get("event") or event["console"] for event in part["events"]]
        more = {"cursor": part["more_events"].removeprefix("cursor=")} if "more_events" in part else {}
    assert (told, more) == (["$pageview", "order placed", "$exception", "error"], {})


async def test_a_session_without_a_recording_is_said_so(agent, name):
    refusal = await agent.refusal("get_recording", recording_id=f"none-{name}")
    assert f"Session none-{name} has no recording" in refusal
    assert "list_recordings" in refusal


async def test_an_id_with_a_path_in_it_is_refused(agent):
    assert "letters, digits" in await agent.refusal("get_recording", recording_id="../feature_flags")


async def test_a_recording_that_is_not_found_says_what_was_looked_for_and_where_ids_are(agent, name):
    text = await agent.ask("list_recordings", person=f"{name}@example.com", min_seconds=5)
    assert f"Filtered by person {name}@example.com; at least 5 s." in text
    assert "find_persons has the ids of a person, by email or name." in text
    assert "is no id of an error: list_errors has them" in await agent.refusal(
        "list_recordings", error_id="TypeError"
    )
