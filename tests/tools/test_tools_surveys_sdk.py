"""What a person launched is what PostHog's own Node SDK would show, and nothing else."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.settings import Settings

NODE = Path(__file__).parent.parent / "node"
INSTALLED = shutil.which("node") and (NODE / "node_modules/posthog-node").exists()
pytestmark = pytest.mark.skipif(
    not INSTALLED and not os.environ.get("CI"), reason="needs npm install --prefix tests/node"
)


@pytest.fixture
def settings(sandbox: SandboxProcess, tmp_path: Path) -> Settings:
    """Every tool of surveys, and nobody to ask."""
    own = {
        "POSTHOG_MCP_AREAS": "surveys,flags",
        "POSTHOG_MCP_ACCESS": "full",
        "POSTHOG_MCP_DATA_DIR": str(tmp_path),
        "POSTHOG_MCP_UNATTENDED_DELETES": "true",
    }
    return Settings.load({**sandbox.environment, **own})


async def seen(sandbox: SandboxProcess) -> dict[str, Any]:
    """The surveys the SDK gets, by name."""
    command = ["node", str(NODE / "surveys.mjs")]
    with anyio.fail_after(60):
        done = await anyio.run_process(command, env={**os.environ, **sandbox.environment}, stderr=None)
    return {one["name"]: one for one in json.loads(done.stdout.decode().splitlines()[-1])}


@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_the_sdk_gets_what_was_launched(agent, sandbox, name):
    await agent.record("create_flag", key=name)
    question = {"type": "open", "question": "Why?"}
    await agent.record("create_survey", name=name, questions=[question], url="/cart", flag=name)
    await agent.record("create_survey", name=f"{name} draft", questions=[question])
    await agent.record("launch_survey", survey=name)
    found = await seen(sandbox)
    assert f"{name} draft" not in found
    survey = found[name]
    assert survey["questions"][0]["question"] == "Why?"
    assert survey["conditions"] == {"url": "/cart", "urlMatchType": "icontains"}
    assert survey["linked_flag_key"] == name
    assert survey["internal_targeting_flag_key"].startswith("survey-targeting-")
    await agent.record("update_survey", survey=name, state="stop")
    assert name not in await seen(sandbox)
