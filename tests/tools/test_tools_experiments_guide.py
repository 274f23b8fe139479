"""What the guide on experiments tells applications to do works as written."""

import os
import re
import sys
from importlib.resources import files

import anyio
import pytest

GUIDE = files("posthog_mcp").joinpath("guides/experiments.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_the_application_of_the_guide_exposes_and_converts_people(agent, sandbox):
    [snippet] = re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    metric = {"type": "mean", "name": "Steps", "events": [{"event": "step done"}]}
    await agent.record(
        "create_experiment",
        name="Guide",
        flag_key="new-checkout",
        metrics=[metric],
        allow_unknown_events=True,
    )
    await agent.record("change_experiment_state", experiment="Guide", action="launch")
    with anyio.fail_after(60):
        environment = {**os.environ, **sandbox.environment}
        await anyio.run_process([sys.executable, "-c", snippet], env=environment, stderr=None)
    rows = await agent.rows("get_experiment_results", experiment="Guide")
    people = {row[1]: int(row[2]) for row in rows}
    assert sum(people.values()) == 40
    assert min(people.values()) > 0
    assert {row[1]: row[3] for row in rows} == {"control": "2", "test": "1"}


def test_the_tools_and_arguments_the_guide_names_exist():
    from posthog_mcp.tools import every  # noqa: PLC0415

    tools = {tool.name: tool for tool in every()}
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", GUIDE))
    arguments = {name for tool in tools.values() for name in tool.input.model_fields}
    conclusions = {"stopped_early", "ensure_experience_continuity"}
    assert named - set(tools) - arguments - conclusions == set()
    assert {"create_experiment", "get_experiment_results", "ship_experiment_variant"} <= named
