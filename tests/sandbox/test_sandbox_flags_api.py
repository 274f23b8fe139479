"""Feature flags through the private API."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from flag_making import EVERYBODY, FLAGS, change, conditions, depends_on, keys, make, variants

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox


async def test_a_new_flag_is_answered_whole(api: AsyncClient):
    flag = await make(api, "new-cart", name="New cart", tags=["shop"])
    for name in ("created_at", "updated_at"):
        assert flag.pop(name).endswith("Z")
    for name in ("created_by", "last_modified_by"):
        assert flag.pop(name)["email"] == "sandbox@example.com"
    assert flag == {
        "id": 1,
        "key": "new-cart",
        "name": "New cart",
        "active": True,
        "deleted": False,
        "archived": False,
        "filters": EVERYBODY,
        "version": 1,
        "tags": ["shop"],
        "evaluation_contexts": [],
        "ensure_experience_continuity": False,
        "evaluation_runtime": "all",
        "bucketing_identifier": "distinct_id",
        "is_remote_configuration": False,
        "has_encrypted_payloads": False,
        "rollback_conditions": None,
        "performed_rollback": None,
        "creation_context": "feature_flags",
        "analytics_dashboards": [],
        "last_called_at": None,
        "is_simple_flag": True,
        "rollout_percentage": 100,
        "experiment_set": [],
        "surveys": [],
        "features": [],
        "usage_dashboard": None,
        "has_enriched_analytics": False,
        "can_edit": True,
        "user_access_level": "manager",
        "status": "ACTIVE",
    }
    assert (await api.get(f"{FLAGS}1/")).json()["key"] == "new-cart"


async def test_a_flag_without_filters_is_on_for_nobody(api: AsyncClient):
    reply = await api.post(FLAGS, json={"key": "quiet"})
    assert reply.json()["filters"] == {"groups": [{"properties": [], "rollout_percentage": 0}]}


@pytest.mark.parametrize(
    ("body", "attr", "code"),
    [
        ({}, "key", "required"),
        ({"key": "with space"}, "key", "invalid_key"),
        ({"key": "k" * 401}, "key", "max_length"),
        ({"key": "taken"}, "key", "unique"),
        (
            {"key": "k", "filters": {"groups": [{"rollout_percentage": "50"}]}},
            "filters__groups__0__rollout_percentage",
            "invalid_input",
        ),
        (
            {"key": "k", "filters": {"groups": [{"rollout_percentage": 101}]}},
            "filters__groups__0__rollout_percentage",
            "invalid_input",
        ),
        (
            {"key": "k", "filters": conditions({"key": "a", "operator": "between", "value": 1})},
            "filters__groups__0__properties__0__operator",
            "invalid_choice",
        ),
        (
            {"key": "k", "filters": {"multivariate": variants(("a", 50), ("b", 49))}},
            "filters",
            "invalid_input",
        ),
        (
            {"key": "k", "filters": {"multivariate": variants(("a", 50), ("a", 50))}},
            "filters",
            "invalid_input",
        ),
        ({"key": "k", "filters": {"payloads": {"true": "{oops"}}}, "filters", "invalid_input"),
        ({"key": "k", "filters": {"payloads": {"test": "1"}}}, "filters", "invalid_input"),
        ({"key": "k", "filters": {"version": 2}}, "filters", "reserved_config_version"),
        (
            {"key": "k", "filters": conditions({"key": "a", "operator": "is_date_after", "value": "soon"})},
            "filters",
            "invalid_date",
        ),
        (
            {"key": "k", "filters": conditions({"key": "id", "type": "cohort", "value": 99})},
            "filters",
            "cohort_does_not_exist",
        ),
        (
            {"key": "k", "filters": conditions({"key": "plan", "type": "group", "value": "x"})},
            "filters",
            "invalid_input",
        ),
        (
            {
                "key": "k",
                "filters": conditions(
                    {"key": "99", "type": "flag", "operator": "flag_evaluates_to", "value": True}
                ),
            },
            "filters",
            "invalid_input",
        ),
        (
            {
                "key": "k",
                "filters": {**conditions({"key": "a", "value": 1}), "aggregation_group_type_index": 0},
            },
            "filters",
            "invalid_input",
        ),
        ({"key": "k", "archived": True}, "archived", "invalid_input"),
        (
            {"key": "k", "ensure_experience_continuity": True, "bucketing_identifier": "device_id"},
            "ensure_experience_continuity",
            "invalid_input",
        ),
        ({"key": "k", "has_encrypted_payloads": True}, "has_encrypted_payloads", "invalid_input"),
        ({"key": "k", "evaluation_runtime": "moon"}, "evaluation_runtime", "invalid_choice"),
    ],
)
async def test_what_posthog_refuses(api: AsyncClient, body: dict[str, Any], attr: str, code: str):
    await make(api, "taken")
    reply = await api.post(FLAGS, json=body)
    problem = reply.json()
    assert (reply.status_code, problem["type"], problem["code"]) == (400, "validation_error", code), problem
    assert problem["attr"] == attr, problem


async def test_behavioural_cohorts_cannot_be_used(api: AsyncClient, sandbox: Sandbox):
    leaf = {"type": "behavioral", "key": "order", "value": "performed_event"}
    group = {"type": "OR", "values": [{"type": "AND", "values": [leaf]}]}
    cohort = {
        "name": "Buyers",
        "deleted": False,
        "is_static": False,
        "version": 1,
        "filters": {"properties": group},
    }
    number = sandbox.store.create("cohort", cohort)["id"]
    filters = conditions({"key": "id", "type": "cohort", "value": number, "operator": "in"})
    reply = await api.post(FLAGS, json={"key": "k", "filters": filters})
    assert reply.json()["code"] == "behavioral_cohort_found"


async def test_keys_free_up_with_their_flags_and_restoring_needs_them(api: AsyncClient):
    first = await make(api, "cart")
    assert (await change(api, first, deleted=True))["deleted"] is True
    assert (await api.get(f"{FLAGS}{first['id']}/")).status_code == 404
    second = await make(api, "cart")
    assert (await change(api, first, 400, deleted=False))["code"] == "unique"
    await change(api, second, deleted=True)
    assert (await change(api, first, deleted=False))["deleted"] is False


async def test_hard_deletes_are_refused(api: AsyncClient):
    flag = await make(api, "cart")
    reply = await api.delete(f"{FLAGS}{flag['id']}/")
    assert reply.status_code == 405
    assert reply.json()["detail"].startswith("Hard delete of this model is not allowed.")


async def test_filters_are_merged_by_their_top_level_keys(api: AsyncClient):
    flag = await make(api, "cart", {**EVERYBODY, "payloads": {"true": "1"}})
    changed = await change(api, flag, filters={"groups": []})
    assert changed["filters"] == {"groups": [], "payloads": {"true": "1"}}
    assert (await change(api, flag, filters={}))["version"] == changed["version"] == 2


async def test_versions_protect_the_fields_somebody_else_changed(api: AsyncClient):
    flag = await make(api, "cart")
    assert (await change(api, flag, active=False, version=1))["version"] == 2
    problem = await change(api, flag, 409, active=True, version=1)
    assert problem["code"] == "conflict"
    assert "sandbox@example.com" in problem["detail"]
    assert (await change(api, flag, name="Another field", version=1))["version"] == 3
    assert (await change(api, flag, active=True, version=3))["active"] is True


async def test_flags_others_depend_on_stay(api: AsyncClient):
    base = await make(api, "base")
    top = await make(api, "top", conditions(depends_on(base)))
    for fields in ({"deleted": True}, {"active": False}):
        assert "top (ID: 2)" in (await change(api, base, 400, **fields))["detail"]
    for action in ("disable", "archive"):
        assert (await api.post(f"{FLAGS}{base['id']}/{action}/")).status_code == 400
    dependents = (await api.get(f"{FLAGS}{base['id']}/dependent_flags/")).json()
    assert dependents == [{"id": top["id"], "key": "top", "name": ""}]
    await change(api, top, active=False)
    await change(api, base, active=False)


async def test_circles_are_refused(api: AsyncClient):
    first = await make(api, "first")
    second = await make(api, "second", conditions(depends_on(first)))
    problem = await change(api, first, 400, filters=conditions(depends_on(second)))
    assert problem["detail"] == "Circular dependency detected: first -> second -> first"
    itself = await change(api, first, 400, filters=conditions(depends_on(first)))
    assert itself["detail"] == "Circular dependency detected: first -> first"


async def test_running_experiments_keep_their_flag(api: AsyncClient, sandbox: Sandbox):
    flag = await make(api, "exp")
    running = {
        "feature_flag_id": flag["id"],
        "start_date": "2026-01-01T00:00:00Z",
        "end_date": None,
        "name": "E",
    }
    experiment = sandbox.store.create("experiment", running)
    assert "experiments (ID 1)" in (await change(api, flag, 400, deleted=True))["detail"]
    sandbox.store.put("experiment", experiment["id"], {**experiment, "end_date": "2026-02-01T00:00:00Z"})
    assert (await change(api, flag, deleted=True))["key"] == f"exp:deleted:{flag['id']}"


async def test_switches_change_only_the_state(api: AsyncClient):
    flag = await make(api, "cart")
    path = f"{FLAGS}{flag['id']}/"
    states = []
    for action in ("disable", "disable", "enable", "archive", "unarchive"):
        one = (await api.post(f"{path}{action}/")).json()
        states.append((one["active"], one["archived"], one["version"]))
    assert states == [
        (False, False, 2),
        (False, False, 2),
        (True, False, 3),
        (False, True, 4),
        (False, False, 5),
    ]
    await change(api, flag, deleted=True)
    assert (await api.post(f"{path}enable/")).status_code == 400


async def test_the_list_can_be_narrowed(api: AsyncClient, sandbox: Sandbox):
    await make(api, "plain", name="Shop basket")
    await make(
        api, "split", {**EVERYBODY, "multivariate": variants(("control", 50), ("test", 50))}, tags=["a"]
    )
    await make(api, "config", is_remote_configuration=True, evaluation_runtime="server")
    await make(api, "off", active=False, tags=["a", "b"], evaluation_contexts=["production"])
    put_away = await make(api, "old")
    await api.post(f"{FLAGS}{put_away['id']}/archive/")
    await make(api, "survey-targeting-x", creation_context="surveys")
    sandbox.store.create("experiment", {"feature_flag_id": 2, "name": "Pricing", "start_date": None})

    assert await keys(api) == ["off", "config", "split", "plain"]
    assert await keys(api, archived="true") == ["old"]
    assert await keys(api, active="false") == ["off"]
    assert await keys(api, search="BASKET") == ["plain"]
    assert await keys(api, search="pricing") == ["split"]
    assert await keys(api, key="PLAIN") == ["plain"]
    assert await keys(api, type="multivariant") == ["split"]
    assert await keys(api, type="experiment") == ["split"]
    assert await keys(api, type="remote_config") == ["config"]
    assert await keys(api, evaluation_runtime="server") == ["config"]
    assert await keys(api, tags='["a"]') == ["off", "split"]
    assert await keys(api, excluded_tags='["b"]') == ["config", "split", "plain"]
    assert await keys(api, has_evaluation_contexts="true") == ["off"]
    assert await keys(api, eligible_for_experiment="true") == ["split"]
    assert await keys(api, created_by_id="2") == []
    assert await keys(api, order="key") == ["config", "off", "plain", "split"]
    page = (await api.get(FLAGS, params={"limit": 2, "offset": 1})).json()
    assert ([one["key"] for one in page["results"]], page["count"]) == (["config", "split"], 4)
    ids = (await api.get(f"{FLAGS}matching_ids/", params={"tags": "a"})).json()
    assert ids == {"ids": [4, 2], "total": 2}


async def test_status_tells_recent_use(api: AsyncClient, anyone: AsyncClient, sandbox: Sandbox):
    flag = await make(api, "cart")
    path = f"{FLAGS}{flag['id']}/status/"
    fresh = (await api.get(path)).json()
    assert fresh["status"] == "active"
    assert fresh["rollout"] == {
        "effectively_full_rollout": True, "has_targeting_conditions": False, "max_rollout_percentage": 100,
        "is_multivariate": False,
    }  # fmt: skip
    long_ago = (sandbox.clock() - timedelta(days=60)).isoformat()
    event = {
        "event": "$feature_flag_called", "distinct_id": "u", "timestamp": long_ago,
        "properties": {"$feature_flag": "cart", "$feature_flag_response": True},
    }  # fmt: skip
    await anyone.post("/batch/", json={"api_key": "phc_sandbox", "batch": [event]})
    assert (await api.get(path)).json()["status"] == "stale"
    assert await keys(api, active="STALE") == ["cart"]
    shown = (await api.get(f"{FLAGS}{flag['id']}/")).json()
    assert (shown["status"], shown["last_called_at"][:10]) == ("STALE", long_ago[:10])
    await change(api, flag, deleted=True)
    assert (await api.get(path)).json()["status"] == "deleted"


async def test_changes_are_in_the_activity_log(api: AsyncClient):
    flag = await make(api, "cart")
    await change(api, flag, active=False)
    await change(api, flag, deleted=True)
    log = (await api.get(f"{FLAGS}{flag['id']}/activity/")).json()["results"]
    assert [entry["activity"] for entry in log] == ["deleted", "updated", "created"]
    assert log[1]["detail"]["changes"] == [
        {"type": "FeatureFlag", "action": "changed", "field": "active", "before": True, "after": False}
    ]
    assert (await api.get(f"{FLAGS}activity/")).json()["total_count"] == 3


async def test_reading_keys_cannot_write(reader: AsyncClient, api: AsyncClient):
    await make(api, "cart")
    assert (await reader.get(FLAGS)).status_code == 200
    reply = await reader.post(FLAGS, json={"key": "k"})
    assert reply.json()["detail"] == "API key missing required scope 'feature_flag:write'"
