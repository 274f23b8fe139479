"""What an agent sends is what PostHog has afterwards."""

import json

import anyio
import httpx2
import pytest

from posthog_mcp.sandbox.process import SandboxProcess


async def _stored(agent, distinct_id: str, column: str) -> str:
    query = f"SELECT event, {column}, person_mode FROM events WHERE distinct_id = {{who}} ORDER BY timestamp"
    return await agent.ask("query_hogql", query=query, values={"who": distinct_id})


async def test_an_event_arrives_with_its_properties(agent, name):
    sent = await agent.record(
        "capture_event", wait=True, event="order placed", distinct_id=name, properties={"total": 42.5}
    )
    assert sent["delivered"] == 1
    assert sent["project"] == "Sandbox (1)"
    text = await _stored(agent, name, "properties.total")
    assert "order placed\t42.5\tfull" in text


async def test_properties_may_be_json_text(agent, name):
    await agent.record(
        "capture_event", wait=True, event="seen", distinct_id=name, properties='{"page": "/a"}'
    )
    assert "seen\t/a" in await _stored(agent, name, "properties.page")


async def test_an_anonymous_event_makes_no_person(agent, name):
    await agent.record("capture_event", wait=True, event="seen", distinct_id=name, anonymous=True)
    assert "propertyless" in await _stored(agent, name, "properties.page")


async def test_groups_travel_with_the_event(agent, name):
    await agent.record("capture_event", wait=True, event="seen", distinct_id=name, groups={"company": "acme"})
    text = await agent.ask(
        "query_hogql", query="SELECT $group_0 FROM events WHERE distinct_id = {who}", values={"who": name}
    )
    assert "acme" in text


async def test_a_timestamp_may_be_relative(agent, name):
    await agent.record("capture_event", wait=True, event="seen", distinct_id=name, timestamp="-2d")
    query = "SELECT dateDiff('hour', timestamp, now()) FROM events WHERE distinct_id = {who}"
    assert (await agent.rows("query_hogql", query=query, values={"who": name})) == [["48"]]


async def test_the_same_uuid_counts_once(agent, name):
    uuid = "0195f0c2-0000-7000-8000-000000000001"
    for _ in range(2):
        await agent.record(
            "capture_event",
            wait=True,
            event=name,
            distinct_id=name,
            uuid=uuid,
            timestamp="2026-03-01T10:00:00Z",
        )
    assert await agent.rows(
        "query_hogql", query="SELECT count() FROM events WHERE event = {e}", values={"e": name}
    ) == [["1"]]


async def test_thousands_go_in_one_call(agent, name):
    events = [{"event": name, "distinct_id": f"{name}-{n % 7}", "properties": {"n": n}} for n in range(3_000)]
    sent = await agent.record("capture_events", wait=True, events=json.dumps(events))
    assert sent["delivered"] == 3_000
    assert sent["uuids_not_shown"] == 2_980
    query = "SELECT count(), uniq(person_id), sum(toInt(properties.n)) FROM events WHERE event = {e}"
    assert await agent.rows("query_hogql", query=query, values={"e": name}) == [
        ["3000", "7", str(sum(range(3_000)))]
    ]


async def test_one_bad_event_stops_all_and_is_named_by_its_place(agent, name):
    events = [{"event": name, "distinct_id": "u"}, {"event": name, "distinct_id": "null"}, {"event": name}]
    refusal = await agent.refusal("capture_events", events=events)
    assert "None of the 3 events was sent" in refusal
    assert "events[1].distinct_id" in refusal
    assert "events[2].distinct_id" in refusal
    assert await agent.rows(
        "query_hogql", query="SELECT count() FROM events WHERE event = {e}", values={"e": name}
    ) == [["0"]]


@pytest.mark.parametrize("distinct_id", ["null", "0", " anonymous ", "undefined", "[object Object]", "  "])
async def test_ids_that_stand_for_nobody_are_refused(agent, distinct_id):
    assert "distinct_id" in await agent.refusal("capture_event", event="x", distinct_id=distinct_id)


async def test_an_event_in_the_future_is_refused_with_what_posthog_would_do(agent, name):
    refusal = await agent.refusal("capture_event", event="x", distinct_id=name, timestamp="2999-01-01")
    assert "in the future" in refusal


async def test_an_event_too_large_is_refused_before_it_is_sent(agent, name):
    refusal = await agent.refusal(
        "capture_event", event="x", distinct_id=name, properties={"text": "x" * 950_000}
    )
    assert "bytes" in refusal


async def test_a_dry_run_shows_the_event_and_sends_nothing(agent, name):
    shown = await agent.record("capture_event", wait=True, event=name, distinct_id=name, dry_run=True)
    assert shown["would_send"][0]["event"] == name
    assert await agent.rows(
        "query_hogql", query="SELECT count() FROM events WHERE event = {e}", values={"e": name}
    ) == [["0"]]


async def test_identifying_links_the_visits_before_it(agent, name):
    visitor, ada = f"{name}-visitor", f"{name}-ada"
    await agent.record("capture_event", wait=True, event="seen", distinct_id=visitor)
    await agent.record(
        "identify_person", wait=True, distinct_id=ada, anonymous_id=visitor, properties={"plan": "pro"}
    )
    await agent.record("capture_event", wait=True, event="bought", distinct_id=ada)
    query = "SELECT uniq(person_id), max(person.properties.plan) FROM events WHERE distinct_id IN ({a}, {b})"
    assert await agent.rows("query_hogql", query=query, values={"a": visitor, "b": ada}) == [["1", "pro"]]


async def test_properties_once_do_not_overwrite(agent, name):
    await agent.record("identify_person", wait=True, distinct_id=name, properties={"plan": "pro"})
    await agent.record(
        "identify_person", wait=True, distinct_id=name, properties_once={"plan": "free", "source": "mail"}
    )
    query = (
        "SELECT properties.plan, properties.source FROM persons "
        "WHERE id IN (SELECT person_id FROM events WHERE distinct_id = {who})"
    )
    assert await agent.rows("query_hogql", query=query, values={"who": name}) == [["pro", "mail"]]


async def test_an_event_outlives_a_server_that_fails(agent, name, sandbox: SandboxProcess):
    async with httpx2.AsyncClient(base_url=sandbox.url) as control:
        await control.post("/_sandbox/faults", json={"route": "/batch*", "status": 503, "times": 1})
        sent = await agent.record("capture_event", wait=True, event=name, distinct_id=name)
        assert sent.get("delivered") == 1  # sent again after the failure, within the same call
        assert (await agent.record("check_delivery", uuids=sent["uuids"]))["events"] == {
            sent["uuids"][0]: "delivered"
        }


async def test_an_event_that_cannot_be_delivered_yet_is_safe_and_says_why(
    agent, name, sandbox: SandboxProcess
):
    async with httpx2.AsyncClient(base_url=sandbox.url) as control:
        await control.post("/_sandbox/faults", json={"route": "/batch*", "status": 503})
        sent = await agent.record("capture_event", event=name, distinct_id=name)
        assert sent["accepted"] == 1
        with anyio.fail_after(10):
            while "503" not in str((await agent.record("check_delivery"))["waiting"]):  # noqa: ASYNC110
                await anyio.sleep(0.05)
        await control.delete("/_sandbox/faults")
    sent_later = await agent.record("capture_event", wait=True, event=name, distinct_id=name)
    assert sent_later["delivered"] == 1
    assert (await agent.record("check_delivery", uuids=sent["uuids"]))["events"] == {
        sent["uuids"][0]: "delivered"
    }


async def test_aliases_and_groups_reach_posthog(agent, name):
    await agent.record("capture_event", event="seen", distinct_id=name, groups={"company": f"{name}-co"})
    await agent.record("alias_person", distinct_id=name, alias=f"{name}-other")
    await agent.record(
        "identify_group", wait=True, group_type="company", group_key=f"{name}-co", properties={"seats": 9}
    )
    query = "SELECT uniq(person_id) FROM person_distinct_ids WHERE distinct_id IN ({a}, {b})"
    assert await agent.rows("query_hogql", query=query, values={"a": name, "b": f"{name}-other"}) == [["1"]]
    query = "SELECT group_0.properties.seats FROM events WHERE distinct_id = {a} AND event = 'seen'"
    assert await agent.rows("query_hogql", query=query, values={"a": name}) == [["9"]]
