"""Persons and groups: read, corrected, deleted and split through the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from posthog_mcp.sandbox.ingest import RawEvent

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

PERSONS = "/api/projects/1/persons/"
GROUPS = "/api/projects/1/groups/"


async def seen(sandbox: Sandbox, distinct_id: str, event: str = "seen", **properties: Any):
    await sandbox.ingest.accept([RawEvent(event, distinct_id, properties)])
    return sandbox.ingest.people.person_of(distinct_id).uuid


async def events_of(sandbox: Sandbox, distinct_id: str):
    rows = await sandbox.engine.query(
        "SELECT count() FROM ph.events FINAL WHERE distinct_id = {id:String}", {"id": distinct_id}
    )
    return int(rows.rows[0][0])


async def test_a_person_is_shown_with_its_ids_and_properties(sandbox: Sandbox, api: AsyncClient):
    uuid = await seen(sandbox, "ann", **{"$set": {"email": "ann@example.com", "plan": "pro"}})
    await seen(sandbox, "ann", "$identify", **{"$anon_distinct_id": "anon-1"})
    person = (await api.get(f"{PERSONS}{uuid}/")).json()
    assert person["id"] == person["uuid"] == uuid
    assert person["name"] == "ann@example.com"
    assert person["distinct_ids"] == ["ann", "anon-1"]
    assert person["properties"]["plan"] == "pro"
    assert (await api.get(f"{PERSONS}{uuid.upper()}/")).json() == person


@pytest.mark.parametrize("path", ["0197f000-0000-7000-8000-00000000ffff", "7", "nobody"])
async def test_a_person_that_is_not_there_is_not_found(api: AsyncClient, path: str):
    for reply in (await api.get(f"{PERSONS}{path}/"), await api.delete(f"{PERSONS}{path}/")):
        assert (reply.status_code, reply.json()["detail"]) == (404, "Not found.")


async def test_properties_are_written_and_removed(sandbox: Sandbox, api: AsyncClient):
    uuid = await seen(sandbox, "ann", **{"$set": {"plan": "free", "city": "Rome"}})
    path = f"{PERSONS}{uuid}/"
    reply = await api.patch(path, json={"properties": {"plan": "pro"}})
    assert (reply.status_code, reply.content) == (202, b"")
    reply = await api.post(path + "update_property/", json={"key": "seats", "value": 5})
    assert (reply.status_code, reply.content) == (202, b"")
    reply = await api.post(path + "delete_property/", json={"$unset": ["city"]})
    assert (reply.status_code, reply.json()) == (201, {"success": True})
    properties = (await api.get(path)).json()["properties"]
    assert (properties["plan"], properties["seats"], "city" in properties) == ("pro", 5, False)

    log = (await api.get(path + "activity/")).json()
    assert log["total_count"] == 3
    assert log["results"][2]["detail"]["changes"] == [
        {"type": "Person", "action": "changed", "field": "plan", "before": "free", "after": "pro"}
    ]
    assert (await api.get(f"{PERSONS}activity/")).json()["total_count"] == 3


async def test_what_is_missing_is_named(sandbox: Sandbox, api: AsyncClient):
    path = f"{PERSONS}{await seen(sandbox, 'ann')}/"
    reply = await api.patch(path, json={})
    assert (reply.status_code, reply.json()["attr"]) == (400, "properties")
    reply = await api.post(path + "update_property/", json={"key": "x"})
    assert reply.status_code == 400
    assert reply.json() == {
        "attr": "value",
        "code": "This field is required.",
        "detail": "required",
        "type": "validation_error",
    }
    assert (await api.post(path + "delete_property/", json={"$unset": []})).status_code == 400


async def test_a_deleted_person_is_gone_and_its_events_stay_unless_asked(sandbox: Sandbox, api: AsyncClient):
    ann, bob = await seen(sandbox, "ann"), await seen(sandbox, "bob")
    reply = await api.delete(f"{PERSONS}{ann}/")
    assert (reply.status_code, reply.content) == (202, b"")
    assert (await api.delete(f"{PERSONS}{bob}/?delete_events=false")).status_code == 202  # the name counts
    for uuid in (ann, bob):
        assert (await api.get(f"{PERSONS}{uuid}/")).status_code == 404
    assert await events_of(sandbox, "ann") == 1
    assert await events_of(sandbox, "bob") == 0


async def test_persons_are_deleted_in_bulk_by_either_id(sandbox: Sandbox, api: AsyncClient):
    uuids = [await seen(sandbox, name) for name in ("ann", "bob", "cat")]
    reply = await api.post(f"{PERSONS}bulk_delete/", json={"ids": [uuids[0]]})
    assert (reply.status_code, reply.json()["persons_deleted"]) == (202, 1)
    reply = await api.post(f"{PERSONS}bulk_delete/", json={"distinct_ids": ["bob", "nobody"]})
    assert (reply.status_code, reply.json()["persons_deleted"]) == (202, 1)
    assert (await api.get(f"{PERSONS}{uuids[2]}/")).status_code == 200
    reply = await api.post(f"{PERSONS}bulk_delete/", json={})
    assert reply.json()["detail"] == "You need to specify either distinct_ids or ids"
    assert (await api.post(f"{PERSONS}bulk_delete/", json={"ids": ["x"] * 1001})).status_code == 400


async def test_a_split_gives_every_other_id_a_person(sandbox: Sandbox, api: AsyncClient):
    uuid = await seen(sandbox, "anon-1")
    await seen(sandbox, "ann", "$identify", **{"$anon_distinct_id": "anon-1"})
    reply = await api.post(f"{PERSONS}{uuid}/split/", json={"main_distinct_id": "ann"})
    assert (reply.status_code, reply.json()) == (201, {"success": True})
    people = sandbox.ingest.people
    assert people.distinct_ids(people.person_of("ann").uuid) == ["ann"]
    assert people.distinct_ids(people.person_of("anon-1").uuid) == ["anon-1"]
    reply = await api.post(f"{PERSONS}{uuid}/split/", json={"main_distinct_id": "zoe"})
    assert reply.status_code == 400


async def test_persons_cannot_be_posted(api: AsyncClient):
    assert (await api.post(PERSONS, json={})).status_code == 405


async def grouped(sandbox: Sandbox):
    await seen(
        sandbox, "ann", "$groupidentify",
        **{"$group_type": "company", "$group_key": "acme", "$group_set": {"name": "Acme Corp", "seats": 5}},
    )  # fmt: skip
    await seen(
        sandbox, "ann", "$groupidentify",
        **{"$group_type": "company", "$group_key": "bolt", "$group_set": {"name": "Bolt", "seats": 5}},
    )  # fmt: skip


async def test_groups_are_listed_found_and_searched(sandbox: Sandbox, api: AsyncClient):
    await grouped(sandbox)
    types = (await api.get("/api/projects/1/groups_types/")).json()
    assert [(one["group_type"], one["group_type_index"]) for one in types] == [("company", 0)]
    page = (await api.get(GROUPS, params={"group_type_index": 0, "limit": 1})).json()
    rest = (await api.get(page["next"])).json()
    assert {one["group_key"] for one in page["results"] + rest["results"]} == {"acme", "bolt"}
    assert rest["next"] is None
    found = (await api.get(GROUPS, params={"group_type_index": 0, "search": "corp"})).json()
    assert [one["group_key"] for one in found["results"]] == ["acme"]
    one = (await api.get(f"{GROUPS}find/", params={"group_type_index": 0, "group_key": "acme"})).json()
    assert one["group_properties"] == {"name": "Acme Corp", "seats": 5}
    missing = await api.get(f"{GROUPS}find/", params={"group_type_index": 0, "group_key": "zorg"})
    assert missing.status_code == 404
    assert (await api.get(GROUPS)).json()["attr"] == "group_type_index"


async def test_groups_are_written_by_hand(sandbox: Sandbox, api: AsyncClient):
    await grouped(sandbox)
    new = {"group_type_index": 0, "group_key": "zorg", "group_properties": {"plan": "pro"}}
    assert (await api.post(GROUPS, json=new)).status_code == 201
    where = {"group_type_index": 0, "group_key": "zorg"}
    reply = await api.post(f"{GROUPS}update_property/", params=where, json={"key": "seats", "value": 9})
    assert reply.json()["group_properties"] == {"plan": "pro", "seats": 9}
    reply = await api.post(f"{GROUPS}delete_property/", params=where, json={"$unset": "plan"})
    assert reply.json()["group_properties"] == {"seats": 9}
    reply = await api.post(GROUPS, json={**new, "group_type_index": 3})
    assert (reply.status_code, reply.json()["attr"]) == (400, "group_type_index")


async def test_group_types_get_names_and_properties_have_values(sandbox: Sandbox, api: AsyncClient):
    await grouped(sandbox)
    names = [{"group_type_index": 0, "name_singular": "firm", "name_plural": "firms"}]
    reply = await api.patch("/api/projects/1/groups_types/update_metadata/", json=names)
    assert reply.json()[0]["name_plural"] == "firms"
    values = await api.get(f"{GROUPS}property_values/", params={"group_type_index": 0, "key": "seats"})
    assert values.json() == [{"name": 5, "count": 2}]
    known = (await api.get(f"{GROUPS}property_definitions/")).json()
    assert {one["name"] for one in known["0"]} == {"name", "seats"}
