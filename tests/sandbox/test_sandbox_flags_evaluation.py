"""`/flags` as the SDKs call it."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

    from posthog_mcp.sandbox.sandbox import Sandbox

FLAGS = "/api/projects/1/feature_flags/"
TOKEN = "phc_sandbox"


def person(key: str, value: Any, operator: str = "exact") -> dict[str, Any]:
    return {"key": key, "type": "person", "operator": operator, "value": value}


def conditions(*properties: dict[str, Any], rollout: float | None = None) -> dict[str, Any]:
    return {"groups": [{"properties": list(properties), "rollout_percentage": rollout}]}


async def make(
    api: AsyncClient, key: str, filters: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    reply = await api.post(FLAGS, json={"key": key, "filters": filters or conditions(), **fields})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def ask(anyone: AsyncClient, path: str = "/flags/?v=2", **body: Any) -> Response:
    return await anyone.post(path, json={"api_key": TOKEN, "distinct_id": "u-1", **body})


async def flags(anyone: AsyncClient, **body: Any) -> dict[str, Any]:
    reply = await ask(anyone, **body)
    assert reply.status_code == 200, reply.text
    return reply.json()["flags"]


async def identify(anyone: AsyncClient, distinct_id: str, **properties: Any) -> None:
    event = {"event": "$identify", "distinct_id": distinct_id, "properties": {"$set": properties}}
    reply = await anyone.post("/batch/", json={"api_key": TOKEN, "batch": [event]})
    assert reply.status_code == 200, reply.text


async def test_a_flag_is_answered_whole(api: AsyncClient, anyone: AsyncClient):
    flag = await make(api, "new-cart", {**conditions(), "payloads": {"true": '{"color": "red"}'}})
    reply = await ask(anyone)
    body = reply.json()
    assert body["errorsWhileComputingFlags"] is False
    assert len(body["requestId"]) == 36
    assert isinstance(body["evaluatedAt"], int)
    assert body["flags"] == {
        "new-cart": {
            "key": "new-cart",
            "enabled": True,
            "variant": None,
            "reason": {
                "code": "condition_match", "condition_index": 0, "description": "Matched condition set 1",
            },
            "metadata": {
                "id": flag["id"], "version": 1, "description": None, "payload": '{"color": "red"}',
                "has_experiment": False,
            },
        }
    }  # fmt: skip


async def test_each_version_has_its_own_shape(api: AsyncClient, anyone: AsyncClient):
    variants = {"variants": [{"key": "test", "rollout_percentage": 100}]}
    await make(api, "cart", {**conditions(), "multivariate": variants, "payloads": {"test": "[1]"}})
    await make(api, "off", conditions(rollout=0))

    first = (await ask(anyone, "/flags/?v=1")).json()
    assert first["featureFlags"] == {"cart": "test", "off": False}
    assert first["featureFlagPayloads"] == {"cart": "[1]"}
    third = (await ask(anyone, "/flags/?v=3")).json()["flags"]
    assert (third["cart"]["value"], third["off"]["value"]) == ("test", False)
    assert third["cart"]["metadata"]["variant_key"] == "test"
    fourth = (await ask(anyone, "/flags?v=4")).json()["flags"]
    assert (fourth["cart"]["variant"], fourth["cart"]["enabled"]) == ("test", True)
    plain = (await ask(anyone, "/flags/")).json()
    assert plain["flags"]["cart"]["variant"] == "test"
    assert plain["supportedCompression"] == ["gzip", "gzip-js"]
    assert "supportedCompression" not in fourth
    with_config = (await ask(anyone, "/flags/?config=true")).json()
    assert with_config["featureFlags"]["cart"] == "test"
    assert with_config["hasFeatureFlags"] is True


async def test_decide_still_answers_in_its_four_shapes(api: AsyncClient, anyone: AsyncClient):
    await make(api, "on")
    await make(api, "off", conditions(rollout=0))
    answers = [(await ask(anyone, f"/decide/?v={version}")).json() for version in (1, 2, 3, 4)]
    assert answers[0]["featureFlags"] == ["on"]
    assert answers[1]["featureFlags"] == {"on": True}
    assert answers[2]["featureFlags"] == {"on": True, "off": False}
    assert answers[3]["flags"]["off"]["enabled"] is False


@pytest.mark.parametrize("token", ["token", "api_key", "$token"])
@pytest.mark.parametrize("name", ["distinct_id", "$distinct_id"])
async def test_token_and_id_have_other_names_too(
    api: AsyncClient, anyone: AsyncClient, token: str, name: str
):
    await make(api, "on")
    reply = await anyone.post("/flags/?v=2", json={token: TOKEN, name: 17})
    assert reply.json()["flags"]["on"]["enabled"] is True


async def test_bodies_may_be_compressed(api: AsyncClient, anyone: AsyncClient):
    await make(api, "on")
    text = json.dumps({"token": TOKEN, "distinct_id": "u"}).encode()
    zipped = await anyone.post(
        "/flags/?v=2", content=gzip.compress(text), headers={"Content-Encoding": "gzip"}
    )
    named = await anyone.post("/flags/?v=2&compression=gzip-js", content=gzip.compress(text))
    coded = await anyone.post("/flags/?v=2&compression=base64", content=base64.b64encode(text))
    form = await anyone.post("/flags/?v=2", data={"data": base64.b64encode(text).decode()})
    for reply in (zipped, named, coded, form):
        assert reply.json()["flags"]["on"]["enabled"] is True, reply.text


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (
            b'{"distinct_id": "u"}',
            401,
            "No API token provided. Please include a valid API token in your request.",
        ),
        (
            b'{"token": "phc_nobody", "distinct_id": "u"}',
            401,
            "The provided API key is invalid or has expired. Please check your API key and try again.",
        ),
        (
            b'{"token": "phc_sandbox"}',
            400,
            "The distinct_id field is missing from the request. Please include a valid identifier.",
        ),
        (b"{oops", 400, "Failed to parse request: "),
        (b"[]", 400, "Failed to parse request: "),
        (b"\x1f\x8boops", 400, "Failed to decode request: "),
    ],
)
async def test_what_cannot_be_read_is_refused_in_plain_text(
    anyone: AsyncClient, body: bytes, status: int, text: str
):
    reply = await anyone.post("/flags/?v=2", content=body)
    assert reply.status_code == status
    assert reply.text.startswith(text)
    assert reply.headers["content-type"].startswith("text/plain")


async def test_an_empty_id_and_numbers_that_are_none_are_fine(api: AsyncClient, anyone: AsyncClient):
    await make(api, "on")
    reply = await anyone.post("/flags/?v=2", content=b'{"token": "phc_sandbox", "distinct_id": "", "x": NaN}')
    assert reply.json()["flags"]["on"]["enabled"] is True


async def test_other_methods(anyone: AsyncClient):
    assert (await anyone.get("/flags/")).json() == {"errorsWhileComputingFlags": False, "flags": {}}
    assert (await anyone.head("/flags/")).status_code == 200
    options = await anyone.options("/flags/", headers={"Origin": "https://shop.test"})
    assert (options.status_code, options.headers["allow"]) == (204, "GET, POST, OPTIONS, HEAD")
    assert options.headers["access-control-allow-origin"] == "https://shop.test"
    assert (await anyone.delete("/flags/")).status_code == 405


async def test_stored_properties_count_and_given_ones_win(api: AsyncClient, anyone: AsyncClient):
    await make(api, "pro", conditions(person("plan", ["pro"])))
    assert (await flags(anyone))["pro"]["enabled"] is False
    await identify(anyone, "u-1", plan="pro")
    assert (await flags(anyone))["pro"]["enabled"] is True
    assert (await flags(anyone, person_properties={"plan": "free"}))["pro"]["enabled"] is False
    only = await ask(anyone, "/flags/?v=2&only_use_override_person_properties=true")
    assert only.json()["flags"]["pro"]["enabled"] is False


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("is_not_set", "is_not_set", True),
        ("is_set", "is_set", False),
        ("exact", ["x"], False),
        ("is_not", ["x"], True),
        ("icontains", "x", False),
        ("not_icontains", "x", True),
        ("regex", "x", False),
        ("not_regex", "x", True),
        ("gt", 1, False),
        ("lt", 1, False),
        ("is_date_before", "-1d", False),
        ("semver_neq", "1.0.0", False),
        ("not_starts_with", "x", True),
        ("icontains_multi", ["x"], False),
        ("not_icontains_multi", ["x"], True),
    ],
)
async def test_the_server_knows_that_a_property_is_absent(
    api: AsyncClient, anyone: AsyncClient, operator: str, value: Any, expected: bool
):
    await make(api, "flag", conditions(person("nobody-has-this", value, operator)))
    assert (await flags(anyone))["flag"]["enabled"] is expected


async def test_groups_come_from_the_store_with_overrides(api: AsyncClient, anyone: AsyncClient):
    event = {
        "event": "$groupidentify", "distinct_id": "u-1",
        "properties": {"$group_type": "company", "$group_key": "acme", "$group_set": {"plan": "pro"}},
    }  # fmt: skip
    await anyone.post("/batch/", json={"api_key": TOKEN, "batch": [event]})
    group = {"key": "plan", "type": "group", "group_type_index": 0, "operator": "exact", "value": ["pro"]}
    await make(api, "for-pros", {**conditions(group), "aggregation_group_type_index": 0})

    nobody = (await flags(anyone))["for-pros"]
    assert (nobody["enabled"], nobody["reason"]["code"]) == (False, "no_group_type")
    assert nobody["reason"]["description"] == "No group type"
    assert (await flags(anyone, groups={"company": "acme"}))["for-pros"]["enabled"] is True
    other = {"company": {"plan": "free"}}
    assert (await flags(anyone, groups={"company": "acme"}, group_properties=other))["for-pros"][
        "enabled"
    ] is False
    assert (await flags(anyone, groups={"company": "umbrella"}))["for-pros"]["enabled"] is False


async def test_the_reason_says_what_kept_a_flag_off(api: AsyncClient, anyone: AsyncClient):
    await make(api, "rollout", conditions(rollout=0))
    await make(api, "targeting", conditions(person("plan", "pro")))
    await make(api, "held", {**conditions(), "holdout": {"id": 3, "exclusion_percentage": 100}})
    await make(api, "disabled", active=False)
    found = await flags(anyone)
    assert "disabled" not in found
    assert found["rollout"]["reason"] == {
        "code": "out_of_rollout_bound", "condition_index": 0, "description": "Out of rollout bound",
    }  # fmt: skip
    assert found["targeting"]["reason"]["code"] == "no_condition_match"
    assert (found["held"]["variant"], found["held"]["reason"]["code"]) == (
        "holdout-3",
        "holdout_condition_value",
    )


async def test_only_the_flags_asked_for_are_answered(api: AsyncClient, anyone: AsyncClient):
    one, _, three = [await make(api, key) for key in ("one", "two", "three")]
    depends = {"key": str(one["id"]), "type": "flag", "operator": "flag_evaluates_to", "value": True}
    await api.patch(f"{FLAGS}{three['id']}/", json={"filters": conditions(depends)})
    assert list(await flags(anyone, flag_keys_to_evaluate=["three"])) == ["three"]
    assert (await flags(anyone, flag_keys=["three"]))["three"]["enabled"] is True
    assert await flags(anyone, flag_keys_to_evaluate=[]) == {}
    assert await flags(anyone, disable_flags=True) == {}


async def test_flags_depend_on_flags_by_id(api: AsyncClient, anyone: AsyncClient):
    base = await make(api, "base", conditions(person("plan", "pro")))
    wants = {"key": str(base["id"]), "type": "flag", "operator": "flag_evaluates_to", "value": True}
    await make(api, "top", conditions(wants))
    assert (await flags(anyone, person_properties={"plan": "pro"}))["top"]["enabled"] is True
    assert (await flags(anyone, person_properties={"plan": "free"}))["top"]["enabled"] is False


async def test_a_dependency_that_is_gone_is_named(api: AsyncClient, anyone: AsyncClient, sandbox: Sandbox):
    base = await make(api, "base")
    wants = {"key": str(base["id"]), "type": "flag", "operator": "flag_evaluates_to", "value": True}
    await make(api, "top", conditions(wants))
    stored = sandbox.store.get("feature_flag", base["id"])
    assert stored is not None
    sandbox.store.put("feature_flag", base["id"], {**stored, "deleted": True})
    reason = (await flags(anyone))["top"]["reason"]
    assert reason["code"] == "missing_dependency"
    assert reason["description"] == "Flag cannot be evaluated due to missing dependency"


async def test_people_keep_their_first_answer_through_identification(api: AsyncClient, anyone: AsyncClient):
    await make(api, "sticky", conditions(rollout=50), ensure_experience_continuity=True)

    async def value(distinct_id: str, **more: Any) -> bool:
        return (await flags(anyone, distinct_id=distinct_id, **more))["sticky"]["enabled"]

    anonymous = [(f"anon-{number}", await value(f"anon-{number}")) for number in range(20)]
    for number, (anon, before) in enumerate(anonymous):
        assert await value(f"user-{number}", **{"$anon_distinct_id": anon}) is before
        assert await value(f"user-{number}") is before
    fresh = [await value(f"user-{number}-else") for number in range(20)]
    assert [before for _, before in anonymous] != fresh


async def test_devices_can_be_what_is_hashed(api: AsyncClient, anyone: AsyncClient):
    await make(api, "by-device", conditions(rollout=50), bucketing_identifier="device_id")
    without = (await flags(anyone))["by-device"]
    assert (without["enabled"], without["reason"]["code"]) == (False, "out_of_rollout_bound")
    answers = {(await flags(anyone, device_id=f"d-{n}"))["by-device"]["enabled"] for n in range(20)}
    assert answers == {True, False}
    same = {
        (await flags(anyone, device_id="d-1", distinct_id=f"u-{n}"))["by-device"]["enabled"] for n in range(5)
    }
    assert len(same) == 1


async def test_flags_meant_for_one_side_are_answered_to_that_side(api: AsyncClient, anyone: AsyncClient):
    await make(api, "everywhere")
    await make(api, "server-side", evaluation_runtime="server")
    await make(api, "client-side", evaluation_runtime="client")
    body = {"api_key": TOKEN, "distinct_id": "u"}

    async def keys(agent: str, **headers: str) -> set[str]:
        reply = await anyone.post("/flags/?v=2", json=body, headers={"User-Agent": agent, **headers})
        return set(reply.json()["flags"])

    assert await keys("posthog-python/7.91.1") == {"everywhere", "server-side"}
    assert await keys("Mozilla/5.0", Origin="https://shop.test") == {"everywhere", "client-side"}
    assert await keys("who-knows/1") == {"everywhere"}


async def test_contexts_narrow_what_is_evaluated(api: AsyncClient, anyone: AsyncClient):
    await make(api, "everywhere")
    await make(api, "production-only", tags=["production"], evaluation_contexts=["production"])
    assert set(await flags(anyone, evaluation_contexts=["staging"])) == {"everywhere"}
    assert set(await flags(anyone, evaluation_environments=["production"])) == {
        "everywhere",
        "production-only",
    }
    assert set(await flags(anyone)) == {"everywhere", "production-only"}


async def test_cohorts_decide_by_properties_or_by_their_list(
    api: AsyncClient, anyone: AsyncClient, sandbox: Sandbox
):
    await identify(anyone, "u-1", plan="pro")
    leaf = {**person("plan", ["pro"]), "negation": False}
    group = {"properties": {"type": "OR", "values": [{"type": "AND", "values": [leaf]}]}}
    base = {"deleted": False, "version": 1, "name": "c"}
    pros = sandbox.store.create("cohort", {**base, "is_static": False, "filters": group})
    listed = sandbox.store.create("cohort", {**base, "is_static": True, "filters": {}})
    member = sandbox.ingest.people.person_of("u-1")
    assert member is not None
    row = json.dumps({"cohort_id": listed["id"], "person_id": member.uuid, "version": 1})
    await sandbox.engine.insert("cohort_people", row.encode())
    for key, cohort in (("by-property", pros), ("by-list", listed)):
        wants = {"key": "id", "type": "cohort", "value": cohort["id"], "operator": "in"}
        await make(api, key, conditions(wants))
        await make(api, f"not-{key}", conditions({**wants, "operator": "not_in"}))
    found = {key: one["enabled"] for key, one in (await flags(anyone)).items()}
    assert found == {"by-property": True, "not-by-property": False, "by-list": True, "not-by-list": False}
    others = {key: one["enabled"] for key, one in (await flags(anyone, distinct_id="stranger")).items()}
    assert others == {"by-property": False, "not-by-property": True, "by-list": False, "not-by-list": True}
