"""Event and property definitions through the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from posthog_mcp.sandbox.ingest import RawEvent

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

EVENTS = "/api/projects/1/event_definitions/"
PROPERTIES = "/api/projects/1/property_definitions/"


@pytest.fixture
async def shop(sandbox: Sandbox):
    ordered = {"total": 42.5, "coupon": "x", "$feature/new-cart": "test"}
    await sandbox.ingest.accept(
        [
            RawEvent("order placed", "ann", {**ordered, "$set": {"plan": "pro"}}),
            RawEvent("$pageview", "ann", {"$current_url": "https://shop.test/"}),
            RawEvent("signed up", "bob", {"paid": True}),
        ]
    )


async def names(api: AsyncClient, path: str, **query: Any):
    reply = await api.get(path, params=query)
    assert reply.status_code == 200, reply.text
    return [one["name"] for one in reply.json()["results"]]


@pytest.mark.usefixtures("shop")
async def test_event_definitions_are_listed_and_narrowed(api: AsyncClient):
    assert await names(api, EVENTS) == ["$pageview", "order placed", "signed up"]
    assert await names(api, EVENTS, ordering="-name") == ["signed up", "order placed", "$pageview"]
    assert await names(api, EVENTS, search="ORDER placed") == ["order placed"]
    assert await names(api, EVENTS, event_type="event_posthog") == ["$pageview"]
    assert await names(api, EVENTS, event_type="event_custom", limit=1) == ["order placed"]
    assert (await api.get(EVENTS, params={"ordering": "weight"})).status_code == 400


@pytest.mark.usefixtures("shop")
async def test_notes_on_an_event_stay_and_are_logged(api: AsyncClient):
    one = (await api.get(f"{EVENTS}by_name/", params={"name": "order placed"})).json()
    fields = {"description": "Paid", "tags": ["money"], "verified": True}
    after = (await api.patch(f"{EVENTS}{one['id']}/", json=fields)).json()
    assert {name: after[name] for name in fields} == fields
    assert (await api.get(f"{EVENTS}{one['id']}/")).json() == after
    assert await names(api, EVENTS, verified="true") == ["order placed"]
    assert await names(api, EVENTS, tags='["money"]') == ["order placed"]
    log = (await api.get("/api/projects/1/activity_log/?scope=EventDefinition")).json()["results"]
    assert {change["field"] for change in log[0]["detail"]["changes"]} == set(fields)


@pytest.mark.usefixtures("shop")
async def test_hidden_events_can_be_left_out(api: AsyncClient):
    one = (await api.get(f"{EVENTS}by_name/", params={"name": "signed up"})).json()
    await api.patch(f"{EVENTS}{one['id']}/", json={"hidden": True})
    assert "signed up" not in await names(api, EVENTS, exclude_hidden="true")
    assert await names(api, EVENTS, hidden="true") == ["signed up"]


@pytest.mark.usefixtures("shop")
async def test_a_deleted_event_definition_comes_back_with_its_next_event(sandbox: Sandbox, api: AsyncClient):
    one = (await api.get(f"{EVENTS}by_name/", params={"name": "signed up"})).json()
    await api.patch(f"{EVENTS}{one['id']}/", json={"description": "noted"})
    assert (await api.delete(f"{EVENTS}{one['id']}/")).status_code == 204
    assert (await api.get(f"{EVENTS}{one['id']}/")).status_code == 404
    await sandbox.ingest.accept([RawEvent("signed up", "bob", {})])
    again = (await api.get(f"{EVENTS}{one['id']}/")).json()
    assert again["description"] == ""


async def test_an_event_can_be_defined_before_it_is_sent(api: AsyncClient):
    assert (await api.post(EVENTS, json={"name": "refunded", "tags": ["money"]})).status_code == 201
    assert (await api.post(EVENTS, json={"name": "refunded"})).status_code == 400
    assert (await api.get(f"{EVENTS}by_name/", params={"name": "refunded"})).json()["last_seen_at"] is None
    assert (await api.get(f"{EVENTS}by_name/", params={"name": "none"})).status_code == 404


@pytest.mark.usefixtures("shop")
async def test_properties_are_listed_by_kind_with_their_types(api: AsyncClient):
    page = (await api.get(PROPERTIES)).json()["results"]
    types = {one["name"]: one["property_type"] for one in page}
    assert types["total"] == "Numeric"
    assert types["paid"] == "Boolean"
    assert types["coupon"] == "String"
    assert await names(api, PROPERTIES, type="person", search="plan") == ["plan"]
    assert (await api.get(PROPERTIES, params={"type": "planet"})).status_code == 400


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"search": "TOT"}, ["total"]),
        ({"properties": "coupon,paid,gone"}, ["coupon", "paid"]),
        ({"is_numerical": "true"}, ["total"]),
        ({"is_feature_flag": "true"}, ["$feature/new-cart"]),
        ({"event_names": json.dumps(["signed up"]), "filter_by_event_names": "true"}, ["paid"]),
        ({"exclude_core_properties": "true", "excluded_properties": '["paid"]'}, ["coupon", "total"]),
    ],
)
async def test_properties_are_narrowed(api: AsyncClient, query: dict[str, Any], expected: Any):
    assert await names(api, PROPERTIES, **query) == expected


@pytest.mark.usefixtures("shop")
async def test_properties_say_whether_an_event_has_them(api: AsyncClient):
    query = {"event_names": json.dumps(["order placed"]), "properties": "total,paid"}
    page = (await api.get(PROPERTIES, params=query)).json()["results"]
    seen = {one["name"]: one["is_seen_on_filtered_events"] for one in page}
    assert seen == {"paid": False, "total": True}


@pytest.mark.usefixtures("shop")
async def test_the_type_of_a_property_can_be_corrected(sandbox: Sandbox, api: AsyncClient):
    one = (await api.get(PROPERTIES, params={"properties": "coupon"})).json()["results"][0]
    fields = {"property_type": "Numeric", "description": "Voucher"}
    after = (await api.patch(f"{PROPERTIES}{one['id']}/", json=fields)).json()
    assert (after["property_type"], after["is_numerical"], after["description"]) == (
        "Numeric",
        True,
        "Voucher",
    )
    assert sandbox.ingest.definitions.property_type("event", "coupon") == "Numeric"
    reply = await api.patch(f"{PROPERTIES}{one['id']}/", json={"property_type": "Colour"})
    assert (reply.status_code, reply.json()["attr"]) == (400, "property_type")


async def test_sessions_have_properties_without_any_event(api: AsyncClient):
    page = (await api.get(PROPERTIES, params={"type": "session", "search": "duration"})).json()
    assert [(one["name"], one["property_type"]) for one in page["results"]] == [
        ("$session_duration", "Duration")
    ]
