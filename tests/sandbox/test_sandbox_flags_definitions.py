"""Flag definitions as the SDKs fetch them, and remote configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import client

from posthog_mcp.flags import compile_flags

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

FLAGS = "/api/projects/1/feature_flags/"
PATH = "/flags/definitions?token=phc_sandbox&send_cohorts"
EVERYBODY: dict[str, Any] = {"groups": [{"properties": []}]}


@pytest.fixture
async def secret(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    async with client(sandbox, "phs_sandbox") as one:
        yield one


async def make(api: AsyncClient, key: str, **fields: Any) -> dict[str, Any]:
    reply = await api.post(FLAGS, json={"key": key, "filters": EVERYBODY, **fields})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def test_definitions_hold_flags_groups_and_cohorts(
    api: AsyncClient, secret: AsyncClient, sandbox: Sandbox
):
    leaf = {"key": "plan", "type": "person", "value": ["pro"], "operator": "exact", "negation": False}
    group = {"type": "OR", "values": [{"type": "AND", "values": [leaf]}]}
    cohort = {
        "name": "Pros",
        "deleted": False,
        "version": 1,
        "is_static": False,
        "filters": {"properties": group},
    }
    cohort_id = sandbox.store.create("cohort", cohort)["id"]
    static_id = sandbox.store.create("cohort", {**cohort, "is_static": True, "filters": {}})["id"]
    wants = [
        {"key": "id", "type": "cohort", "value": each, "operator": "in"} for each in (cohort_id, static_id)
    ]
    await make(api, "on", filters={"groups": [{"properties": wants, "rollout_percentage": 33.3}]})
    await make(api, "off", active=False)
    event = {
        "event": "$groupidentify",
        "distinct_id": "u",
        "properties": {"$group_type": "company", "$group_key": "a"},
    }
    await api.post("/batch/", json={"api_key": "phc_sandbox", "batch": [event]})

    reply = await secret.get(PATH)
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "private, must-revalidate"
    body = reply.json()
    assert body["group_type_mapping"] == {"0": "company"}
    assert body["cohorts"] == {str(cohort_id): group}
    assert [(flag["key"], flag["active"]) for flag in body["flags"]] == [("on", True), ("off", False)]
    assert body["flags"][0]["filters"]["groups"][0]["rollout_percentage"] == 33.3
    assert set(body["flags"][0]) == {
        "id",
        "team_id",
        "name",
        "key",
        "filters",
        "active",
        "deleted",
        "ensure_experience_continuity",
        "version",
        "evaluation_runtime",
        "bucketing_identifier",
        "evaluation_contexts",
        "has_encrypted_payloads",
        "has_experiment",
    }


async def test_dependencies_come_by_key_with_their_chain(api: AsyncClient, secret: AsyncClient):
    first = await make(api, "first")
    on_first = {"key": str(first["id"]), "type": "flag", "operator": "flag_evaluates_to", "value": True}
    second = await make(api, "second", filters={"groups": [{"properties": [on_first]}]})
    on_second = {**on_first, "key": str(second["id"])}
    await make(api, "third", filters={"groups": [{"properties": [on_second]}]})
    flags = (await secret.get(PATH)).json()["flags"]
    filters = [flag["filters"]["groups"][0]["properties"][0] for flag in flags[1:]]
    assert [(one["key"], one["dependency_chain"]) for one in filters] == [
        ("first", ["first"]), ("second", ["first", "second"]),
    ]  # fmt: skip


async def test_deleted_and_encrypted_flags_stay_here(api: AsyncClient, secret: AsyncClient):
    gone = await make(api, "gone")
    await api.patch(f"{FLAGS}{gone['id']}/", json={"deleted": True})
    await make(api, "encrypted", is_remote_configuration=True, has_encrypted_payloads=True)
    assert (await secret.get(PATH)).json()["flags"] == []


async def test_what_the_client_has_is_not_sent_again(api: AsyncClient, secret: AsyncClient):
    flag = await make(api, "one")
    tag = (await secret.get(PATH)).headers["etag"]
    assert tag.startswith('W/"')
    for form in (tag, tag.removeprefix("W/"), tag.removeprefix("W/").strip('"')):
        reply = await secret.get(PATH, headers={"If-None-Match": form})
        assert (reply.status_code, reply.content, reply.headers["etag"]) == (304, b"", tag)
    await api.patch(f"{FLAGS}{flag['id']}/", json={"active": False})
    changed = await secret.get(PATH, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


@pytest.mark.parametrize(
    "path",
    [
        "/flags/definitions/?token=phc_sandbox",
        "/api/feature_flag/local_evaluation?token=phc_sandbox&send_cohorts",
        "/api/feature_flag/local_evaluation/?token=phc_sandbox&send_cohorts",
        "/api/projects/1/feature_flags/local_evaluation/?send_cohorts",
    ],
)
async def test_definitions_have_several_addresses(api: AsyncClient, secret: AsyncClient, path: str):
    await make(api, "one")
    for key in (api, secret):
        assert [flag["key"] for flag in (await key.get(path)).json()["flags"]] == ["one"]


@pytest.mark.parametrize(
    ("key", "status", "code", "detail"),
    [
        (None, 401, "not_authenticated", "Authentication credentials were not provided."),
        (
            "phc_sandbox", 401, "authentication_failed",
            "Personal API key found in request Authorization header is invalid.",
        ),
        ("phs_nobody", 401, "authentication_failed", "Secret API token is invalid."),
        ("phx_sandbox_read", 200, None, None),
    ],
)  # fmt: skip
async def test_only_secret_and_personal_keys_open_definitions(
    sandbox: Sandbox, key: str | None, status: int, code: str | None, detail: str | None
):
    async with client(sandbox, key) as one:
        reply = await one.get(PATH)
    assert reply.status_code == status
    if status != 200:
        assert (reply.json()["code"], reply.json()["detail"]) == (code, detail)


async def test_the_token_must_name_the_project(secret: AsyncClient):
    assert (await secret.get("/flags/definitions")).status_code == 401
    assert (await secret.get("/flags/definitions?token=phc_other")).status_code == 403


async def test_secret_keys_open_nothing_else(secret: AsyncClient):
    reply = await secret.get(FLAGS)
    assert reply.status_code == 403
    assert reply.json()["detail"] == "This action does not support project secret API key access"


async def test_remote_configuration_is_json_in_a_string(api: AsyncClient, secret: AsyncClient):
    filters = {**EVERYBODY, "payloads": {"true": {"a": 1}}}
    flag = await make(api, "settings", filters=filters, is_remote_configuration=True)
    for name in (flag["id"], "settings"):
        reply = await secret.get(
            f"/api/projects/@current/feature_flags/{name}/remote_config?token=phc_sandbox"
        )
        assert reply.json() == '{"a": 1}'
    await make(api, "plain")
    assert (await secret.get(f"{FLAGS}plain/remote_config/")).status_code == 404
    await make(api, "empty", is_remote_configuration=True)
    assert (await secret.get(f"{FLAGS}empty/remote_config/")).content == b""


async def test_encrypted_configuration_is_masked_for_secret_keys(api: AsyncClient, secret: AsyncClient):
    filters = {**EVERYBODY, "payloads": {"true": '"hush"'}}
    fields = {"is_remote_configuration": True, "has_encrypted_payloads": True}
    await make(api, "secret", filters=filters, **fields)
    assert (await api.get(f"{FLAGS}secret/remote_config/")).json() == '"hush"'
    assert "hush" not in (await secret.get(f"{FLAGS}secret/remote_config/")).text


async def test_definitions_compile_and_decide(api: AsyncClient, secret: AsyncClient):
    await make(api, "one")
    flags = compile_flags((await secret.get(PATH)).json())
    assert flags.evaluate("one", "u").value is True
