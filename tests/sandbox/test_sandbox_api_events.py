"""The lists of events and persons, and the values of properties."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from posthog_mcp.sandbox.ingest import RawEvent

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

EVENTS = "/api/projects/1/events/"
PERSONS = "/api/projects/1/persons/"
START = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
async def shop(sandbox: Sandbox):
    browsers = ["Chrome", "Chrome", "Firefox", "Safari 50%"]
    people = [
        ("ann", "Ann@example.com", "pro"),
        ("bob", "bob@example.com", "free"),
        ("cat", "cat@x.test", "pro"),
    ]
    events = [
        RawEvent("seen", "ann", {"$browser": name, "n": n}, timestamp=START + timedelta(minutes=n))
        for n, name in enumerate(browsers)
    ]
    events += [
        RawEvent(
            "signed up",
            distinct_id,
            {"$set": {"email": email, "plan": plan}},
            timestamp=START + timedelta(hours=1 + n),
        )
        for n, (distinct_id, email, plan) in enumerate(people)
    ]
    await sandbox.ingest.accept(events)


async def found(api: AsyncClient, **query: Any):
    reply = await api.get(EVENTS, params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()["results"]


async def people(api: AsyncClient, **query: Any):
    reply = await api.get(PERSONS, params=query)
    assert reply.status_code == 200, reply.text
    return [one["distinct_ids"][0] for one in reply.json()["results"]]


@pytest.mark.usefixtures("shop")
async def test_events_come_newest_first_with_their_person(api: AsyncClient):
    first, *rest = await found(api)
    assert (first["event"], first["distinct_id"], first["timestamp"]) == (
        "signed up",
        "cat",
        "2026-03-01T13:00:00Z",
    )
    assert first["person"]["properties"]["plan"] == "pro"
    assert first["person"]["distinct_ids"] == ["cat"]
    assert len(rest) == 6
    assert (await api.get(f"{EVENTS}{first['id']}/")).json() == first


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"event": "signed up", "distinct_id": "bob"}, 1),
        ({"after": "2026-03-01T10:01:00Z", "before": "2026-03-01T10:03:00Z"}, 1),
        ({"properties": json.dumps([{"key": "$browser", "value": "Chrome"}])}, 2),
        ({"properties": json.dumps({"$browser": "Firefox"})}, 1),
        ({"properties": json.dumps([{"key": "plan", "type": "person", "value": ["free"]}])}, 1),
        ({"where": "properties.n > 1"}, 2),
        ({"event": "nothing"}, 0),
    ],
)
async def test_events_are_narrowed(api: AsyncClient, query: dict[str, Any], expected: Any):
    assert len(await found(api, **query)) == expected


@pytest.mark.usefixtures("shop")
async def test_pages_of_events_have_no_count_and_miss_none(api: AsyncClient):
    page = (await api.get(EVENTS, params={"limit": 3, "orderBy": '["timestamp"]'})).json()
    assert "count" not in page
    seen = [one["id"] for one in page["results"]]
    while page["next"]:
        page = (await api.get(page["next"])).json()
        seen += [one["id"] for one in page["results"]]
    assert len(seen) == len(set(seen)) == 7


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    "query",
    [
        {"properties": "{"},
        {"properties": "3"},
        {"properties": '[{"key": "x", "operator": "near", "value": 1}]'},
        {"where": "select"},
        {"orderBy": "timestamp"},
        {"offset": "50001"},
    ],
)
async def test_what_cannot_be_read_is_400(api: AsyncClient, query: dict[str, Any]):
    assert (await api.get(EVENTS, params=query)).status_code == 400


async def test_an_event_that_is_not_there_is_404_and_no_uuid_is_400(api: AsyncClient):
    assert (await api.get(f"{EVENTS}0197f000-0000-7000-8000-00000000ffff/")).status_code == 404
    assert (await api.get(f"{EVENTS}latest/")).status_code == 400


@pytest.mark.usefixtures("shop")
async def test_values_come_most_frequent_first_and_are_searched_as_text(api: AsyncClient):
    async def values(path: str, **query: Any):
        return (await api.get(path, params=query)).json()

    assert (await values(f"{EVENTS}values/", key="$browser"))[0] == {"name": "Chrome"}
    assert await values(f"{EVENTS}values/", key="$browser", value="50%") == [{"name": "Safari 50%"}]
    assert await values(f"{EVENTS}values/", key="$browser", event_name="signed up") == []
    assert await values(f"{PERSONS}values/", key="plan") == [
        {"name": "pro", "count": 2},
        {"name": "free", "count": 1},
    ]
    assert await values(f"{PERSONS}values/", key="$virt_revenue") == []
    assert (await api.get(f"{EVENTS}values/")).json()["attr"] == "key"


@pytest.mark.usefixtures("shop")
async def test_persons_are_searched_and_filtered(api: AsyncClient):
    assert set(await people(api)) == {"ann", "bob", "cat"}
    assert set(await people(api, search="EXAMPLE.com")) == {"ann", "bob"}
    assert await people(api, search="cat") == ["cat"]
    assert await people(api, email="bob@example.com") == ["bob"]
    assert await people(api, distinct_id="bob") == ["bob"]
    pro = json.dumps([{"key": "plan", "type": "person", "value": "pro", "operator": "exact"}])
    assert set(await people(api, properties=pro)) == {"ann", "cat"}
    assert await people(api, properties=pro, search="x.test") == ["cat"]
    assert (await api.get(PERSONS, params={"properties": "nonsense"})).status_code == 400


@pytest.mark.usefixtures("shop")
async def test_pages_of_persons_lead_to_each_other(api: AsyncClient):
    page = (await api.get(PERSONS, params={"limit": 2})).json()
    assert page["count"] == 3
    rest = (await api.get(page["next"])).json()
    assert len(page["results"]) + len(rest["results"]) == 3
    assert rest["next"] is None
    assert (await api.get(rest["previous"])).json()["results"] == page["results"]
