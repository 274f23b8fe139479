"""The guides' snippets run as they are, against a PostHog."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import posthog_mcp
from posthog_mcp.sandbox.process import SandboxProcess

GUIDES = Path(posthog_mcp.__file__).parent / "guides"
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What each guide's snippet comes to for Ada, who is on the pro plan and in the variant one-page.
OUTCOMES = {
    "feature-flags": "steps == 1",
    "local-evaluation": "variant == 'one-page' and 'new-checkout' not in undecided",
    "bootstrapping": "page_data['featureFlags']['new-checkout'] == 'one-page' and "
    "page_data['featureFlagPayloads']['new-checkout'] == {'steps': 1} and page_data['isIdentifiedID']",
}


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[SandboxProcess]:
    """One of their own: other guides name the same flag."""
    async with SandboxProcess(throttle="off") as process:
        yield process


async def _make(agent) -> None:
    flags = await agent.ask("list_flags", search="new-checkout")
    if "No rows." in flags:
        await agent.record(
            "create_flag",
            key="new-checkout",
            conditions=[{"property": "plan", "value": "pro"}],
            variants=[
                {"key": "control", "rollout_percentage": 0},
                {"key": "one-page", "rollout_percentage": 100},
            ],
            payloads={"one-page": {"steps": 1}},
        )
    await agent.record("identify_person", distinct_id="ada", properties={"plan": "pro"}, wait=True)


@pytest.mark.parametrize("guide", OUTCOMES)
@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_the_snippet_of_a_guide_runs_and_does_what_it_says(agent, sandbox, guide):
    await _make(agent)
    [snippet] = SNIPPET.findall((GUIDES / f"{guide}.md").read_text(encoding="utf-8"))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-c",
        f"{snippet}\nassert {OUTCOMES[guide]}",
        env={**os.environ, **sandbox.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


@pytest.mark.parametrize("guide", OUTCOMES)
def test_a_guide_is_short_enough_for_an_answer(guide):
    assert len((GUIDES / f"{guide}.md").read_text(encoding="utf-8")) < 5_000
