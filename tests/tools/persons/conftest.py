"""All tools of the area, for what agents are not shown unless they ask."""

from pathlib import Path

import pytest

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.settings import Settings


@pytest.fixture
def settings(sandbox: SandboxProcess, tmp_path: Path) -> Settings:
    own = {"POSTHOG_MCP_DATA_DIR": str(tmp_path), "POSTHOG_MCP_AREAS": "events,flags,persons,query"}
    return Settings.load({**sandbox.environment, **own})


@pytest.fixture
def sent(agent):
    """Has the agent send events, and waits until PostHog has them."""

    async def send(*events: dict) -> None:
        answer = await agent.record("capture_events", wait=True, events=list(events))
        assert answer["delivered"] == len(events)

    return send
