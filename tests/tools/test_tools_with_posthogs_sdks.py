"""PostHog's own SDKs, unmodified, use the sandbox; what they sent is read back through our tools."""

import json
import os
import shutil
import sys
from pathlib import Path

import anyio
import pytest

from posthog_mcp.sandbox.process import SandboxProcess

_HERE = Path(__file__).parent
_NODE = _HERE.parent / "node"
SDKS = {
    "python": [sys.executable, str(_HERE / "sdk_app.py")],
    "python, capture v1": [sys.executable, str(_HERE / "sdk_app.py")],
    "node": ["node", str(_NODE / "app.mjs")],
}


def _command(sdk: str, name: str) -> list[str]:
    if sdk == "node" and not (shutil.which("node") and (_NODE / "node_modules/posthog-node").exists()):
        if os.environ.get("CI"):
            pytest.fail("CI installs Node's counterparts; run npm install --prefix tests/node")
        pytest.skip("PostHog's Node SDK is not installed: npm install --prefix tests/node")
    return [*SDKS[sdk], name, *(["v1"] if sdk.endswith("v1") else [])]


async def _application(sandbox: SandboxProcess, command: list[str]) -> dict[str, object]:
    environment = {**os.environ, **sandbox.environment}
    with anyio.fail_after(60):
        done = await anyio.run_process(command, env=environment, stderr=None)
    return json.loads(done.stdout.decode().splitlines()[-1])


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_an_application_and_an_agent_see_the_same(agent, sandbox, name, sdk):
    pro = [{"property": "plan", "value": "pro"}]
    variants = [{"key": "control", "rollout_percentage": 40}, {"key": "test", "rollout_percentage": 60}]
    payloads = {"control": {"steps": 3}, "test": {"steps": 1}}
    await agent.record(
        "create_flag", key=f"{name}-flag", conditions=pro, variants=variants, payloads=payloads
    )
    await agent.record(
        "create_flag", key=f"{name}-config", filters={"groups": [], "payloads": {"true": '{"a":1}'}}
    )

    told = await _application(sandbox, _command(sdk, name))

    [[_, variant, *_]] = await agent.rows(
        "evaluate_flags", distinct_id=f"{name}-known", flags=[f"{name}-flag"]
    )
    assert told["remote"] == told["pro"] == told["all"][f"{name}-flag"] == variant
    assert variant in payloads
    assert told["payload"] in (payloads[variant], json.dumps(payloads[variant]))
    assert told["free"] is False

    one_person = await agent.rows(
        "query_hogql",
        query="SELECT count(), uniq(person_id), groupUniqArray(event) FROM events "
        "WHERE distinct_id IN ({visitor}, {known}) AND event IN ('page seen', 'order placed', '$exception')",
        values={"visitor": f"{name}-visitor", "known": f"{name}-known"},
    )
    assert one_person[0][:2] == ["3", "1"]
    person = await agent.rows(
        "query_hogql",
        query="SELECT properties.plan, properties.city FROM persons "
        "WHERE id IN (SELECT person_id FROM person_distinct_ids WHERE distinct_id = {alias})",
        values={"alias": f"{name}-alias"},
    )
    assert person == [["pro", "Paris"]]
    order = await agent.rows(
        "query_hogql",
        query="SELECT properties.total, group_0.properties.seats FROM events "
        "WHERE distinct_id = {known} AND event = 'order placed'",
        values={"known": f"{name}-known"},
    )
    assert order == [["42.5", "12"]]
    exception = await agent.ask(
        "query_hogql",
        query="SELECT properties.$exception_list FROM events "
        "WHERE distinct_id = {known} AND event = '$exception'",
        values={"known": f"{name}-known"},
    )
    assert "bad total" in exception
