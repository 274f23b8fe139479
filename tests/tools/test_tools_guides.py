"""What the guides tell applications to do works as written, and the tools they name exist."""

import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.settings import Settings
from posthog_mcp.tool import guides
from posthog_mcp.tools import every

NODE = Path(__file__).parent.parent / "node"
HAS_NODE = shutil.which("node") and (NODE / "node_modules/posthog-node").exists()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOOL = re.compile(r"`((?:list|get|create|update|query|capture|identify|evaluate|launch|describe)_\w+)`")
# Of the SDK, not of this server.
THEIRS = {"capture_exceptions", "get_session_replay_url", "capture_exception"}


def snippets(guide: str, language: str) -> list[str]:
    return [code for name, code in FENCE.findall(guides.read(guide)) if name == language]


QUERIES = [pytest.param(code, id=guide) for guide in guides.names() for code in snippets(guide, "sql")]


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[SandboxProcess]:
    """One of their own: what they send is counted."""
    async with SandboxProcess(throttle="off") as process:
        yield process


@pytest.fixture
def settings(unattended: Settings) -> Settings:
    return unattended


async def run(sandbox: SandboxProcess, *command: str) -> None:
    with anyio.fail_after(60):
        done = await anyio.run_process(
            command, env={**os.environ, **sandbox.environment}, cwd=NODE, check=False
        )
    assert done.returncode == 0, done.stderr.decode()


async def follow(sandbox: SandboxProcess, guide: str) -> None:
    """Do in a process of its own what the guide's application does."""
    [code] = snippets(guide, "python")
    await run(sandbox, sys.executable, "-W", "error", "-c", code)


@pytest.mark.parametrize("guide", guides.names())
def test_a_guide_is_short_enough_for_an_answer_and_names_tools_that_exist(guide: str) -> None:
    text = guides.read(guide)
    assert len(text) < 5_000
    assert set(TOOL.findall(text)) - THEIRS <= {tool.name for tool in every()}


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_a_query_of_a_guide_runs_without_a_complaint(agent, query):
    answer = await agent.ask("query_hogql", query=query)
    assert "does not exist" not in answer
    assert "no time range" not in answer.lower()


@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_the_application_of_the_guide_on_sdks_has_a_person_a_group_and_an_event(agent, sandbox):
    await follow(sandbox, "sdk-setup")
    query = (
        "SELECT person.properties.plan, properties.release, properties.total, $group_0 FROM events "
        "WHERE event = 'order placed' AND distinct_id = 'ada' AND timestamp > now() - INTERVAL 1 DAY LIMIT 9"
    )
    assert await agent.rows("query_hogql", query=query) == [["pro", "1.4.0", "42.5", "acme"]]


@pytest.mark.skipif(not HAS_NODE and not os.environ.get("CI"), reason="needs npm install --prefix tests/node")
@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_the_node_application_of_the_guide_on_sdks_sends_its_event(agent, sandbox):
    [code] = snippets("sdk-setup", "mjs")
    await run(sandbox, "node", "--input-type=module", "--eval", code)
    query = (
        "SELECT distinct_id, properties.total, $group_0 FROM events "
        "WHERE event = 'invoice paid' AND timestamp > now() - INTERVAL 1 DAY LIMIT 9"
    )
    assert await agent.rows("query_hogql", query=query) == [["ada", "42.5", "acme"]]


@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_the_error_of_the_guide_becomes_an_issue_that_hit_one_person(agent, sandbox):
    await follow(sandbox, "error-tracking")
    [row] = [row for row in await agent.rows("list_errors") if "ValueError" in "\t".join(row)]
    shown = await agent.ask("get_error", error_id=row[0])
    assert "three" in shown
    assert "ada" in shown


@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_the_event_of_the_guide_on_replay_carries_the_session_of_the_browser(agent, sandbox):
    await follow(sandbox, "session-replay")
    query = (
        "SELECT distinct_id FROM events WHERE properties.$session_id = {session} "
        "AND timestamp > now() - INTERVAL 1 DAY LIMIT 9"
    )
    session = {"session": "0190b5a2-7c51-7000-8000-6b6f2d1f3a55"}
    assert await agent.rows("query_hogql", query=query, values=session) == [["ada"]]


@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_the_answers_of_the_guide_on_surveys_are_its_results(agent, sandbox):
    questions = [
        {"type": "rating", "scale": 10, "question": "Would you recommend us?"},
        {"type": "open", "question": "Why?", "optional": True},
    ]
    await agent.record("create_survey", name="NPS", type="api", questions=questions)
    await agent.record("launch_survey", survey="NPS")
    await follow(sandbox, "surveys")
    results = await agent.ask("get_survey_results", survey="NPS")
    assert "100" in results  # one promoter of one
    assert "fast" in results


@pytest.mark.parametrize("agent", ["auto"], indirect=True)
async def test_the_generation_of_the_guide_is_a_trace_with_a_cost(agent, sandbox):
    await follow(sandbox, "llm-observability")
    [trace] = await agent.rows("list_llm_traces", person="ada")
    shown = await agent.record("get_llm_trace", trace_id=trace[0])
    assert shown["spans"][0]["cost"] == pytest.approx(12 * 0.15e-6 + 3 * 0.6e-6)
    assert "gpt-4o-mini" in str(shown)
