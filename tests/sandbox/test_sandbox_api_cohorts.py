"""Cohorts: by properties, by behaviour, by list; and actions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from posthog_mcp.sandbox.ingest import RawEvent

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

COHORTS = "/api/projects/1/cohorts/"
ACTIONS = "/api/projects/1/actions/"
QUERY = "/api/projects/1/query/"


def person(key: str, value: str, **more: Any):
    return {"type": "person", "key": key, "value": value, "operator": "exact", **more}


def did(event: str, value: str = "performed_event", **more: Any):
    days = {"time_value": 30, "time_interval": "day"}
    return {"type": "behavioral", "value": value, "key": event, "event_type": "events", **days, **more}


def tree(*leaves: Any, kind: str = "AND"):
    return {"properties": {"type": kind, "values": list(leaves)}}


@pytest.fixture
async def shop(sandbox: Sandbox):
    now = sandbox.clock()
    people = {"ann": "pro", "bob": "free", "cat": "pro"}
    events = [
        RawEvent("signed up", name, {"$set": {"plan": plan}}, timestamp=now - timedelta(days=90))
        for name, plan in people.items()
    ]
    events += [
        RawEvent("order placed", "ann", {"total": 5}, timestamp=now - timedelta(days=n)) for n in (1, 2)
    ]
    events += [RawEvent("order placed", "bob", {"total": 9}, timestamp=now - timedelta(days=20))]
    await sandbox.ingest.accept(events)


async def make(api: AsyncClient, name: str = "Cohort", **fields: Any):
    reply = await api.post(COHORTS, json={"name": name, **fields})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def members(api: AsyncClient, cohort: dict[str, Any]):
    reply = await api.get(f"{COHORTS}{cohort['id']}/persons/")
    assert reply.status_code == 200, reply.text
    return sorted(one["distinct_ids"][0] for one in reply.json()["results"])


async def selected(api: AsyncClient, condition: str):
    sql = f"select distinct distinct_id from events where {condition} order by distinct_id"
    reply = await api.post(QUERY, json={"query": {"kind": "HogQLQuery", "query": sql}})
    assert reply.status_code == 200, reply.text
    return [row[0] for row in reply.json()["results"]]


@pytest.mark.usefixtures("shop")
async def test_a_cohort_by_properties_is_counted_when_it_is_made(api: AsyncClient):
    cohort = await make(api, "Pro users", filters=tree(person("plan", ["pro"])))
    assert (cohort["count"], cohort["is_calculating"], cohort["cohort_type"]) == (2, False, "person_property")
    assert cohort["errors_calculating"] == 0
    assert "version" not in cohort
    assert await members(api, cohort) == ["ann", "cat"]
    assert await selected(api, "person_id in cohort 'Pro users'") == ["ann", "cat"]
    assert await selected(api, f"person_id not in cohort {cohort['id']}") == ["bob"]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        (did("order placed"), ["ann", "bob"]),
        (did("order placed", time_value=1, time_interval="week"), ["ann"]),
        (did("order placed", explicit_datetime="-10d"), ["ann"]),
        (did("order placed", "performed_event_multiple", operator="gte", operator_value=2), ["ann"]),
        (did("order placed", event_filters=[{"key": "total", "value": 9, "operator": "exact"}]), ["bob"]),
        (did("order placed", "performed_event_first_time"), ["ann", "bob"]),
        (did("signed up", "performed_event_first_time"), []),
        (
            did("order placed", "stopped_performing_event", seq_time_value=7, seq_time_interval="day"),
            ["bob"],
        ),
    ],
)
async def test_a_cohort_by_behaviour_finds_who_did_it(api: AsyncClient, leaf: dict[str, Any], expected: Any):
    cohort = await make(api, filters=tree(leaf))
    assert cohort["cohort_type"] == "behavioral"
    assert await members(api, cohort) == expected


@pytest.mark.usefixtures("shop")
async def test_groups_intersect_unite_and_subtract(api: AsyncClient):
    buyers = await make(api, "Buyers", filters=tree(did("order placed")))
    only_pro = tree(person("plan", "pro"), did("order placed", negation=True))
    assert await members(api, await make(api, filters=only_pro)) == ["cat"]
    nested = tree(
        {"type": "AND", "values": [person("plan", "free")]},
        {"type": "AND", "values": [{"type": "cohort", "key": "id", "value": buyers["id"]}]},
        kind="OR",
    )
    assert await members(api, await make(api, filters=nested)) == ["ann", "bob"]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("filters", "words"),
    [
        (None, "Must contain a 'properties' key"),
        ({}, "Must contain a 'properties' key"),
        (tree(), "must not be empty"),
        (tree(None), "Must contain a 'properties' key"),
        (tree(person("plan", "pro", negation=True)), "Top level condition cannot be negated"),
        (tree(person("plan", "pro", operator="near")), "near"),
        (tree(did("x", "performed_event_sequence")), "cannot calculate 'performed_event_sequence'"),
        (tree(did("x", time_interval="fortnight")), "time_interval"),
        (tree(did("")), "name of an event"),
    ],
)
async def test_filters_that_mean_nothing_are_refused_and_leave_nothing_behind(
    api: AsyncClient, filters: Any, words: str
):
    reply = await api.post(COHORTS, json={"name": "x", "filters": filters})
    assert reply.status_code == 400
    assert words in reply.json()["detail"]
    assert (await api.get(COHORTS)).json()["count"] == 0


@pytest.mark.usefixtures("shop")
async def test_a_cohort_that_the_engine_cannot_find_is_kept_with_its_error(api: AsyncClient):
    made = await make(api, filters=tree(person("plan", "(", operator="regex")))
    assert (made["count"], made["errors_calculating"]) == (None, 1)
    reply = await api.patch(f"{COHORTS}{made['id']}/", json={"filters": tree(person("plan", "pro"))})
    assert (reply.json()["count"], reply.json()["errors_calculating"]) == (2, 0)


@pytest.mark.usefixtures("shop")
async def test_new_filters_count_anew_and_loops_are_refused(api: AsyncClient):
    cohort = await make(api, filters=tree(person("plan", "pro")))
    path = f"{COHORTS}{cohort['id']}/"
    after = (await api.patch(path, json={"filters": tree(person("plan", "free"))})).json()
    assert (after["count"], after["name"]) == (1, "Cohort")
    other = await make(api, filters=tree({"type": "cohort", "key": "id", "value": cohort["id"]}))
    loop = tree({"type": "cohort", "key": "id", "value": other["id"]})
    reply = await api.patch(path, json={"filters": loop})
    assert (reply.status_code, "loop" in reply.json()["detail"]) == (400, True)
    assert (await api.get(path)).json() == after


@pytest.mark.usefixtures("shop")
async def test_a_static_cohort_holds_who_is_put_into_it(sandbox: Sandbox, api: AsyncClient):
    cohort = await make(api, "VIP", is_static=True)
    assert (cohort["count"], cohort["cohort_type"]) == (0, "static")
    path = f"{COHORTS}{cohort['id']}/"
    ann, bob = (sandbox.ingest.people.person_of(name).uuid for name in ("ann", "bob"))
    reply = await api.patch(path + "add_persons_to_static_cohort/", json={"person_ids": [ann, bob, ann]})
    assert (reply.status_code, reply.json()) == (200, {"success": True})
    assert await members(api, cohort) == ["ann", "bob"]
    reply = await api.patch(path + "remove_person_from_static_cohort/", json={"person_id": bob})
    assert reply.json() == {"success": True}
    assert await members(api, cohort) == ["ann"]
    assert await selected(api, "person_id in cohort 'VIP'") == ["ann"]
    mine = (await api.get("/api/projects/1/persons/cohorts/", params={"person_id": ann})).json()
    assert [one["name"] for one in mine["results"]] == ["VIP"]
    for ids in ([], ["0197f000-0000-7000-8000-00000000ffff"]):
        reply = await api.patch(path + "add_persons_to_static_cohort/", json={"person_ids": ids})
        assert reply.status_code == 400
    dynamic = await make(api, filters=tree(person("plan", "pro")))
    reply = await api.patch(
        f"{COHORTS}{dynamic['id']}/add_persons_to_static_cohort/", json={"person_ids": [ann]}
    )
    assert reply.status_code == 400


@pytest.mark.usefixtures("shop")
async def test_a_merge_takes_static_members_along(sandbox: Sandbox, api: AsyncClient):
    ann = sandbox.ingest.people.person_of("ann").uuid
    cohort = await make(api, "VIP", is_static=True, _create_static_person_ids=[ann])
    await sandbox.ingest.accept([RawEvent("$merge_dangerously", "bob", {"alias": "ann"})])
    [one] = (await api.get(f"{COHORTS}{cohort['id']}/persons/")).json()["results"]
    assert sorted(one["distinct_ids"]) == ["ann", "bob"]
    assert set(await selected(api, "person_id in cohort 'VIP'")) == {"ann", "bob"}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    "text",
    ["ann\nnobody\ncat\n", "distinct_id\nann\ncat\n", "\ufeffname,Distinct-ID\nA,ann\nC,cat\n"],
)
async def test_a_file_fills_a_static_cohort(api: AsyncClient, text: str):
    files = {"csv": ("people.csv", text.encode(), "text/csv")}
    reply = await api.post(COHORTS, data={"name": "Uploaded", "is_static": "true"}, files=files)
    assert reply.status_code == 201, reply.text
    assert await members(api, reply.json()) == ["ann", "cat"]


@pytest.mark.usefixtures("shop")
async def test_a_query_fills_a_static_cohort(api: AsyncClient):
    sql = "select distinct person_id from events where event = 'order placed'"
    cohort = await make(api, is_static=True, query={"kind": "HogQLQuery", "query": sql})
    assert await members(api, cohort) == ["ann", "bob"]
    actors = {"kind": "ActorsQuery", "select": ["person"], "properties": [person("plan", "pro")]}
    assert await members(api, await make(api, is_static=True, query=actors)) == ["ann", "cat"]
    reply = await api.post(COHORTS, json={"name": "x", "is_static": True, "query": {"kind": "TrendsQuery"}})
    assert reply.status_code == 400


@pytest.mark.usefixtures("shop")
async def test_a_dynamic_cohort_can_be_frozen(api: AsyncClient):
    cohort = await make(api, "Pro", filters=tree(person("plan", "pro")))
    copy = (await api.get(f"{COHORTS}{cohort['id']}/duplicate_as_static_cohort/")).json()
    assert (copy["is_static"], copy["count"]) == (True, 2)
    assert (await api.get(f"{COHORTS}{copy['id']}/duplicate_as_static_cohort/")).status_code == 400


@pytest.mark.usefixtures("shop")
async def test_cohorts_are_listed_narrowed_and_deleted_softly(api: AsyncClient):
    pro = await make(api, "Pro users", filters=tree(person("plan", "pro")))
    buyers = await make(api, "Buyers", filters=tree(did("order placed")))
    nested = {"type": "cohort", "key": "id", "value": buyers["id"]}
    await make(api, "Nested", filters=tree(nested))
    await make(api, "VIP", is_static=True)

    async def names(**query: Any):
        return [one["name"] for one in (await api.get(COHORTS, params=query)).json()["results"]]

    assert await names() == ["VIP", "Nested", "Buyers", "Pro users"]
    assert await names(search="pro") == ["Pro users"]
    assert await names(type="static") == ["VIP"]
    assert await names(hide_behavioral_cohorts="true") == ["VIP", "Pro users"]
    path = f"{COHORTS}{pro['id']}/"
    assert (await api.delete(path)).status_code == 405
    assert (await api.patch(path, json={"deleted": True})).status_code == 200
    assert (await api.get(path)).status_code == 404
    assert "Pro users" not in await names()
    assert (await api.patch(path, json={"deleted": False})).json()["name"] == "Pro users"
    assert (await api.get(path + "activity/")).json()["total_count"] == 3
    assert (await api.get(f"{COHORTS}activity/")).json()["total_count"] == 6


@pytest.mark.usefixtures("shop")
async def test_a_cohort_that_a_flag_asks_for_cannot_be_deleted(sandbox: Sandbox, api: AsyncClient):
    cohort = await make(api, filters=tree(person("plan", "pro")))
    wanted = {"type": "cohort", "key": "id", "value": cohort["id"], "operator": "in"}
    flag = {
        "key": "beta",
        "active": True,
        "deleted": False,
        "filters": {"groups": [{"properties": [wanted]}]},
    }
    sandbox.store.create("feature_flag", flag)
    path = f"{COHORTS}{cohort['id']}/"
    reply = await api.patch(path, json={"deleted": True})
    assert reply.status_code == 400
    assert reply.json()["detail"] == "This cohort is used in 1 active feature flag(s): beta"
    reply = await api.patch(path, json={"filters": tree(did("order placed"))})
    assert reply.json()["code"] == "behavioral_cohort_found"


@pytest.mark.usefixtures("shop")
async def test_an_action_matches_its_steps_in_queries(api: AsyncClient):
    steps = [{"event": "order placed", "properties": [{"key": "total", "value": 6, "operator": "gt"}]}]
    action = (await api.post(ACTIONS, json={"name": "Big order", "steps": steps, "tags": ["money"]})).json()
    assert (action["id"], action["is_action"]) == (1, True)
    assert await selected(api, "matchesAction('Big order')") == ["bob"]
    reply = await api.patch(f"{ACTIONS}1/", json={"steps": [{"event": "order placed"}]})
    assert reply.json()["name"] == "Big order"
    assert await selected(api, "matchesAction(1)") == ["ann", "bob"]


async def test_actions_are_listed_and_deleted_softly(api: AsyncClient):
    for name in ("Buy", "Browse"):
        assert (await api.post(ACTIONS, json={"name": name, "tags": [name.lower()]})).status_code == 201
    reply = await api.post(ACTIONS, json={"name": "Buy"})
    assert (reply.status_code, reply.json()["code"], reply.json()["attr"]) == (400, "unique", "name")
    names = [one["name"] for one in (await api.get(ACTIONS)).json()["results"]]
    assert names == ["Browse", "Buy"]
    assert (await api.get(ACTIONS, params={"tags": '["buy"]'})).json()["count"] == 1
    assert (await api.get(ACTIONS, params={"search": "row", "created_by": "1"})).json()["count"] == 1
    assert (await api.delete(f"{ACTIONS}1/")).status_code == 405
    assert (await api.patch(f"{ACTIONS}1/", json={"deleted": True})).status_code == 200
    assert (await api.get(f"{ACTIONS}1/")).status_code == 404
    assert (await api.post(ACTIONS, json={"name": "Buy", "steps": [{"event": 3}]})).status_code == 400
