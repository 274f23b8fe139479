"""Who events are about: people set and unset, anonymous ones, and what PostHog would misread."""

import pytest
from mcp import Client

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.server.app import App
from posthog_mcp.settings import Settings


async def _person(agent, who: str) -> str:
    query = (
        "SELECT properties.plan, properties.seats, properties.source FROM persons WHERE id IN "
        "(SELECT person_id FROM person_distinct_ids WHERE distinct_id = {who})"
    )
    return (await agent.rows("query_hogql", query=query, values={"who": who}))[0]


async def test_properties_are_set_once_and_unset(agent, name):
    await agent.record(
        "set_person_properties", wait=True, distinct_id=name, set={"plan": "pro", "seats": 3},
        set_once={"source": "mail"},
    )  # fmt: skip
    await agent.record(
        "set_person_properties", wait=True, distinct_id=name, set_once={"source": "ad"}, unset=["seats"]
    )
    plan, seats, source = await _person(agent, name)
    assert (plan, source) == ("pro", "mail")
    assert seats in ("", "None", "null")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({}, "Changes nothing"), ({"set": {"a": 1}, "unset": ["a"]}, "cannot be set and taken away")],
)
async def test_a_change_of_nothing_or_of_both_is_refused(agent, name, arguments, words):
    assert words in await agent.refusal("set_person_properties", distinct_id=name, **arguments)


async def test_events_that_make_no_person_are_explained(agent, name):
    for arguments in ({"anonymous": True}, {"properties": {"$process_person_profile": False}}):
        shown = await agent.record("capture_event", dry_run=True, event="seen", distinct_id=name, **arguments)
        assert "identified_only" in shown["note"]
    shown = await agent.record("capture_event", dry_run=True, event="seen", distinct_id=name)
    assert "note" not in shown


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("$identify", "identify_person"),
        ("$create_alias", "alias_person"),
        ("$groupidentify", "identify_group"),
        ("$set", "set_person_properties"),
        ("$exception", "capture_exception"),
        ("$ai_generation", "capture_llm_generation"),
        ("$merge_dangerously", "do it in PostHog"),
        ("$snapshot", "SDKs"),
    ],
)
async def test_events_with_a_tool_of_their_own_name_it(agent, name, event, words):
    assert words in await agent.refusal("capture_event", event=event, distinct_id=name)
    assert words in await agent.refusal("capture_events", events=[{"event": event, "distinct_id": name}])


async def test_what_an_application_sends_itself_is_taken(agent, name):
    events = [
        {"event": "$pageview", "distinct_id": name, "properties": {"$current_url": "https://a.example/"}},
        {"event": "$exception", "distinct_id": name, "properties": {"$exception_list": []}},
        {"event": "$ai_span", "distinct_id": name, "properties": {"$ai_trace_id": "t"}},
        {"event": "survey sent", "distinct_id": name, "properties": {"$survey_id": "s"}},
    ]
    assert (await agent.record("capture_events", wait=True, events=events))["delivered"] == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"properties": {"$set": ["plan"]}}, "no object"),
        ({"properties": {"$unset": "plan"}}, "no list"),
        ({"properties": {"$groups": "acme"}}, "no object"),
        ({"properties": {"$set": {"plan": "pro"}}, "anonymous": True}, "would ignore it"),
    ],
)
async def test_what_posthog_would_misread_is_refused(agent, name, arguments, words):
    assert words in await agent.refusal("capture_event", event="x", distinct_id=name, **arguments)


async def test_an_id_is_no_alias_of_itself(agent, name):
    said = await agent.refusal("alias_person", distinct_id=name, alias=name)
    assert "`alias` is the same id" in said


@pytest.mark.parametrize(
    ("arguments", "disabled"),
    [
        ({}, True),
        ({"properties": {"$ip": "203.0.113.9"}}, None),
        ({"properties": {"$ip": "203.0.113.9"}, "disable_geoip": True}, True),
        ({"disable_geoip": False}, False),
    ],
)
async def test_a_place_is_only_looked_up_where_it_is_the_persons(agent, name, arguments, disabled):
    shown = await agent.record("capture_event", dry_run=True, event="x", distinct_id=name, **arguments)
    assert shown["would_send"][0]["properties"].get("$geoip_disable") is disabled


async def _said(environment: dict[str, str], *calls: tuple[str, dict]) -> list[str]:
    """What a server started so answers to these calls."""
    app = App(Settings.load(environment))
    async with Client(app.server()) as client:
        answers = [await client.call_tool(tool, arguments) for tool, arguments in calls]
    await app.close()
    return [str(answer.content) for answer in answers]


async def test_a_full_outbox_is_told(sandbox: SandboxProcess, tmp_path, name):
    environment = {
        **sandbox.environment,
        "POSTHOG_MCP_DATA_DIR": str(tmp_path),
        "POSTHOG_MCP_OUTBOX_EVENTS": "100",
    }
    events = [{"event": "x", "distinct_id": name}] * 101
    (said,) = await _said(environment, ("capture_events", {"events": events}))
    assert "No event was taken in" in said
    assert "100 events" in said


async def test_an_outbox_that_cannot_be_written_is_told(sandbox: SandboxProcess, tmp_path, name):
    (tmp_path / "file").touch()
    environment = {**sandbox.environment, "POSTHOG_MCP_DATA_DIR": str(tmp_path / "file" / "x")}
    capture = ("capture_event", {"event": "x", "distinct_id": name})
    captured, status = await _said(environment, capture, ("get_status", {}))
    assert "set POSTHOG_MCP_DATA_DIR to a directory that can be written" in captured
    assert "The outbox cannot be read" in status


async def test_events_in_memory_alone_are_not_called_safe(sandbox: SandboxProcess, tmp_path, name):
    environment = {
        **sandbox.environment,
        "POSTHOG_MCP_DATA_DIR": str(tmp_path),
        "POSTHOG_MCP_OUTBOX": "memory",
    }
    capture = ("capture_event", {"event": "x", "distinct_id": name})
    captured, checked = await _said(environment, capture, ("check_delivery", {}))
    assert "memory alone" in captured
    assert "Safe" not in captured
    assert "memory alone" in checked
    assert not (tmp_path / "outbox.db").exists()


async def test_the_status_tells_what_waits_and_a_call_why(agent, name):
    assert (await agent.record("get_status"))["outbox"] == {"waiting": [], "failed": 0}
    answer = await agent.record("capture_event", event="x", distinct_id=name)
    assert answer["accepted"] == 1
    (waiting,) = (await agent.record("check_delivery"))["waiting"]
    assert waiting["events"] == 1
    assert waiting["oldest_seconds"] <= 1
