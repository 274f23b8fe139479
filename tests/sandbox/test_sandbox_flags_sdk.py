"""PostHog's own Python package against the sandbox: local and remote evaluation, configuration."""

from __future__ import annotations

import asyncio
import importlib.util
import warnings
from typing import Any

import httpx2
import pytest
from posthog import Client

from posthog_mcp.sandbox.process import SandboxProcess

pytestmark = pytest.mark.skipif(importlib.util.find_spec("chdb") is None, reason="needs posthog-mcp[sandbox]")

FLAGS = "/api/projects/1/feature_flags/"


def wants(plan: str) -> dict[str, Any]:
    return {"key": "plan", "type": "person", "operator": "exact", "value": [plan]}


async def make(api: httpx2.AsyncClient, **body: Any) -> None:
    reply = await api.post(FLAGS, json=body)
    assert reply.status_code == 201, reply.text


async def test_the_official_package_works_unmodified():
    async with SandboxProcess() as sandbox:
        key = {"Authorization": "Bearer phx_sandbox"}
        async with httpx2.AsyncClient(base_url=sandbox.url, headers=key, timeout=30) as api:
            split = {"variants": [{"key": name, "rollout_percentage": 50} for name in ("control", "test")]}
            await make(api, key="pros", filters={"groups": [{"properties": [wants("pro")]}]})
            await make(
                api,
                key="split",
                filters={"groups": [{}], "multivariate": split, "payloads": {"test": {"a": 1}}},
            )
            await make(
                api,
                key="config",
                is_remote_configuration=True,
                filters={"groups": [{}], "payloads": {"true": [1]}},
            )
            await api.post(
                "/batch/",
                json={
                    "api_key": "phc_sandbox",
                    "batch": [
                        {"event": "$identify", "distinct_id": "u-1", "properties": {"$set": {"plan": "pro"}}}
                    ],
                },
            )
        await asyncio.to_thread(ask, sandbox.url)


def ask(url: str) -> None:
    client = Client("phc_sandbox", host=url, secret_key="phs_sandbox", sync_mode=True, poll_interval=3600)
    try:
        client.load_feature_flags()
        assert {flag["key"] for flag in client.feature_flags or []} == {"pros", "split", "config"}
        local = client.evaluate_flags("u-1", person_properties={"plan": "pro"}, only_evaluate_locally=True)
        remote = client.evaluate_flags("u-1")
        assert remote.is_enabled("pros") is local.is_enabled("pros") is True
        assert remote.get_flag("split") == local.get_flag("split")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            assert client.get_remote_config_payload("config") == "[1]"
            values = {f"u-{n}": client.get_feature_flag("split", f"u-{n}") for n in range(20)}
            client.feature_flags = None
            client.secret_key = None
            assert values == {name: client.get_feature_flag("split", name) for name in values}
        assert set(values.values()) == {"control", "test"}
    finally:
        client.shutdown()
