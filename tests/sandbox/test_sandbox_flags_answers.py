"""What flags answer through the private API: reasons, reach, evaluations on trial, many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flag_making import FLAGS, conditions, depends_on, keys, make, variants

if TYPE_CHECKING:
    from httpx2 import AsyncClient


async def test_reasons_name_every_flag(api: AsyncClient):
    await make(api, "on")
    await make(api, "off", active=False)
    path = f"{FLAGS}evaluation_reasons/"
    answer = (await api.get(path, params={"distinct_id": "u", "groups": "{}"})).json()
    assert answer == {
        "on": {
            "value": True,
            "evaluation": {
                "reason": "condition_match", "condition_index": 0, "description": "Matched condition set 1",
            },
        },
        "off": {"value": False, "evaluation": {"reason": "disabled", "condition_index": None}},
    }  # fmt: skip
    assert list((await api.get(path, params={"distinct_id": "u", "flag_keys": '["off"]'})).json()) == ["off"]
    assert (await api.get(path)).json()["attr"] == "distinct_id"


async def test_my_flags_are_the_key_owners(api: AsyncClient):
    owner = {"key": "distinct_id", "type": "person", "operator": "exact", "value": ["sandbox-user"]}
    await make(api, "mine", conditions(owner))
    await make(api, "off", active=False)
    answer = (await api.get(f"{FLAGS}my_flags/")).json()
    assert [(one["feature_flag"]["key"], one["value"]) for one in answer] == [("mine", True), ("off", False)]


async def test_the_blast_radius_counts_whom_a_condition_fits(api: AsyncClient, anyone: AsyncClient):
    plans = ["pro", "free", "free"]
    batch = [
        {"event": "$identify", "distinct_id": f"u-{n}", "properties": {"$set": {"plan": plan}}}
        for n, plan in enumerate(plans)
    ] + [
        {
            "event": "$groupidentify", "distinct_id": "u-0",
            "properties": {"$group_type": "company", "$group_key": key, "$group_set": {"size": size}},
        }
        for key, size in (("acme", 5), ("initech", 500))
    ]  # fmt: skip
    await anyone.post("/batch/", json={"api_key": "phc_sandbox", "batch": batch})
    path = f"{FLAGS}user_blast_radius/"
    free = {"properties": [{"key": "plan", "type": "person", "operator": "exact", "value": ["free"]}]}
    answer = (await api.post(path, json={"condition": free})).json()
    assert (answer["affected"], answer["total"]) == (2, 3)
    unset = {
        "properties": [{"key": "plan", "type": "person", "operator": "is_not_set", "value": "is_not_set"}]
    }
    assert (await api.post(path, json={"condition": unset})).json()["affected"] == 0
    large = {
        "properties": [{"key": "size", "type": "group", "group_type_index": 0, "operator": "gt", "value": 50}]
    }
    answer = (await api.post(path, json={"condition": large, "group_type_index": 0})).json()
    assert (answer["affected"], answer["total"]) == (1, 2)
    missing = (await api.post(path, json={})).json()
    assert missing["detail"] == "Missing condition for which to get blast radius"


async def test_a_test_evaluation_explains_each_condition(api: AsyncClient, anyone: AsyncClient):
    event = {"event": "$identify", "distinct_id": "u-1", "properties": {"$set": {"plan": "pro"}}}
    await anyone.post("/batch/", json={"api_key": "phc_sandbox", "batch": [event]})
    wants = [
        {"key": "plan", "type": "person", "operator": "exact", "value": [plan]} for plan in ("free", "pro")
    ]
    groups = [{"properties": [each], "rollout_percentage": 100} for each in wants]
    flag = await make(api, "cart", {"groups": groups, "payloads": {"true": '{"a": 1}'}})
    path = f"{FLAGS}{flag['id']}/test_evaluation/"
    answer = (await api.post(path, json={"distinct_id": "u-1"})).json()
    assert (answer["result"], answer["reason"], answer["condition_index"]) == (True, "condition_match", 1)
    assert answer["payload"] == {"a": 1}
    assert answer["person_properties"]["plan"] == "pro"
    assert [each["matched"] for each in answer["conditions"]] == [False, True]
    compared = answer["conditions"][0]["properties"][0]
    assert (compared["actual_value"], compared["value"], compared["matched"]) == ("pro", ["free"], False)
    person = (await api.get("/api/projects/1/persons/", params={"distinct_id": "u-1"})).json()["results"][0]
    by_person = (await api.post(path, json={"person_id": person["id"]})).json()
    assert (by_person["result"], by_person["evaluation_distinct_id"]) == (True, None)
    assert (await api.post(path, json={})).status_code == 400
    unknown = await api.post(path, json={"person_id": "0197f000-0000-7000-8000-000000000009"})
    assert unknown.status_code == 404


async def test_many_at_once(api: AsyncClient):
    first, second = await make(api, "first", tags=["x"]), await make(api, "second")
    top = await make(api, "top", conditions(depends_on(first)))
    reply = (await api.post(f"{FLAGS}bulk_keys/", json={"ids": [1, "2", "x"]})).json()
    assert reply["keys"] == {"1": "first", "2": "second"}
    assert "x" in reply["warning"]
    assert (await api.post(f"{FLAGS}bulk_keys/", json={"ids": []})).status_code == 400
    tags = {"ids": [first["id"], second["id"], 99], "action": "add", "tags": ["y"]}
    tagged = (await api.post(f"{FLAGS}bulk_update_tags/", json=tags)).json()
    assert [one["tags"] for one in tagged["updated"]] == [["x", "y"], ["y"]]
    assert tagged["skipped"] == [{"id": 99, "reason": "Not found"}]
    both = await api.post(f"{FLAGS}bulk_delete/", json={"ids": [1], "filters": {}})
    assert both.status_code == 400
    gone = (await api.post(f"{FLAGS}bulk_delete/", json={"ids": [first["id"], 99]})).json()
    assert gone["deleted"] == []
    assert [(one["id"], one.get("key")) for one in gone["errors"]] == [(99, None), (first["id"], "first")]
    gone = (await api.post(f"{FLAGS}bulk_delete/", json={"filters": {"search": "top"}})).json()
    assert [one["id"] for one in gone["deleted"]] == [top["id"]]
    assert await keys(api, order="key") == ["first", "second"]


async def test_the_values_a_flag_can_have(api: AsyncClient):
    split = variants(("control", 50), ("test", 50))
    flag = await make(api, "split", {"groups": [{}], "multivariate": split})
    path = "/api/projects/1/flag_value/values/"
    answer = (await api.get(path, params={"key": flag["id"]})).json()
    assert answer == [{"name": True}, {"name": "control"}, {"name": "test"}]
    assert (await api.get(path, params={"key": 99})).status_code == 404
