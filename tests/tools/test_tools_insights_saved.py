"""Insights and dashboards: saved from a query, shown as their own tools show them, changed, taken back."""

import json
from pathlib import Path

import pytest
from mcp import Client

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.server.app import App
from posthog_mcp.settings import Settings


@pytest.fixture
def settings(sandbox: SandboxProcess, tmp_path: Path) -> Settings:
    """With every tool, deletions included, and nobody to ask."""
    own = {"POSTHOG_MCP_DATA_DIR": str(tmp_path), "POSTHOG_MCP_UNATTENDED_DELETES": "true"}
    return Settings.load({**sandbox.environment, **own}, areas="all", access="full")


@pytest.fixture
async def signups(agent, name) -> str:
    """Two sign-ups today, and an insight of them."""
    for number in range(2):
        who = f"{name}-{number}"
        await agent.record(
            "capture_event", wait=True, event=name, distinct_id=who, properties={"plan": "pro"}
        )
    await agent.record(
        "save_insight",
        name=name,
        tool="query_trends",
        arguments=json.dumps({"series": name, "date_from": "-1d"}),
        tags=["kpi"],
    )
    return name


async def test_a_saved_query_is_shown_as_its_own_tool_shows_it(agent, signups):
    asked = await agent.rows("query_trends", series=signups, date_from="-1d")
    assert await agent.rows("get_insight", insight=signups) == asked
    text = await agent.ask("get_insight", insight=signups)
    assert text.startswith(f"{signups} (")
    assert "/insights/" in text
    assert '"kind":"TrendsQuery"' in text


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("query_trends", {"breakdown": "plan", "date_from": "-1d"}),
        ("query_trends", {"total": True, "date_from": "-1d"}),
        ("query_funnel", {"date_from": "-1d"}),
        ("query_retention", {"date_from": "-1d", "intervals": 2}),
        ("query_lifecycle", {"date_from": "-1d"}),
        ("query_stickiness", {"date_from": "-1d"}),
    ],
)
async def test_every_kind_comes_back_as_it_was_asked(agent, name, tool, arguments):
    await agent.record("capture_event", wait=True, event=name, distinct_id=name, properties={"plan": "pro"})
    events = {
        "query_funnel": {"steps": [name, name]},
        "query_retention": {"target": name},
    }.get(tool, {"series": name})
    asked = {**events, **arguments}
    saved = await agent.record("save_insight", name=name, tool=tool, arguments=asked)
    shown = await agent.rows("get_insight", insight=str(saved["id"]))
    assert shown == await agent.rows(tool, **asked)
    assert shown


async def test_a_hogql_query_is_saved_with_its_rows(agent, name):
    query = {"query": "SELECT 1 AS one, 'a' AS two"}
    saved = await agent.record("save_insight", name=name, tool="query_hogql", arguments=query)
    assert saved["kind"] == "sql"
    assert await agent.rows("get_insight", insight=name) == [["1", "a"]]
    refusal = await agent.refusal(
        "save_insight", name=name, tool="query_hogql", arguments={**query, "values": {"x": 1}}
    )
    assert "PostHog keeps no values" in refusal


async def test_a_hogql_query_that_cannot_run_is_not_saved(agent, name):
    query = {"query": "SELEC 1"}
    said = await agent.refusal("save_insight", name=name, tool="query_hogql", arguments=query)
    assert "is no SELECT" in said
    assert "No rows." in await agent.ask("list_insights", search=name)


async def test_insights_are_listed_by_words_and_kind(agent, signups):
    rows = await agent.rows("list_insights", search=signups)
    assert [row[1:3] for row in rows] == [[signups, "trends"]]
    assert "No rows." in await agent.ask("list_insights", search=signups, kind="funnels")


async def test_a_change_touches_what_was_given_and_can_be_taken_back(agent, signups):
    dry = await agent.record("save_insight", insight=signups, description="All of them", dry_run=True)
    assert [change["field"] for change in dry["changes"]] == ["description"]
    changed = await agent.record("save_insight", insight=signups, description="All of them")
    assert changed["tags"] == ["kpi"]
    await agent.record("undo_change", change=changed["change"])
    assert "All of them" not in await agent.ask("get_insight", insight=signups)


async def test_a_dashboard_tells_each_tiles_number(agent, signups):
    made = await agent.record("save_dashboard", name=f"{signups} board", add=[signups])
    rows = await agent.rows("get_dashboard", dashboard=str(made["id"]))
    assert [row[1:4] for row in rows] == [[signups, "trends", f"{signups} 2"]]
    assert [row[1] for row in await agent.rows("list_dashboards", search=signups)] == [f"{signups} board"]
    await agent.record("save_dashboard", dashboard=f"{signups} board", remove=[signups])
    assert "It has no tiles" in await agent.ask("get_dashboard", dashboard=str(made["id"]))


async def test_a_dashboard_tells_the_latest_of_numbers_that_do_not_add_up(agent, signups):
    series = [{"event": signups, "math": "dau"}]
    asked = {"series": series, "date_from": "-3d"}
    await agent.record("save_insight", name=f"{signups} people", tool="query_trends", arguments=asked)
    made = await agent.record("save_dashboard", name=f"{signups} people", add=[f"{signups} people"])
    [[_, _, _, told, _]] = await agent.rows("get_dashboard", dashboard=str(made["id"]))
    [*_, [day, people]] = await agent.rows("query_trends", **asked)
    assert told == f"{signups} {people} on {day}"


async def test_a_deleted_insight_is_gone_and_can_be_restored(agent, signups):
    gone = await agent.record("delete_insight", insight=signups)
    assert "There is no insight" in await agent.refusal("get_insight", insight=signups)
    await agent.record("undo_change", change=gone["change"])
    assert await agent.rows("get_insight", insight=signups)


async def test_nothing_is_deleted_where_nobody_agrees(sandbox, tmp_path, agent, signups):
    app = App(
        Settings.load(
            {**sandbox.environment, "POSTHOG_MCP_DATA_DIR": str(tmp_path / "other")},
            areas="all",
            access="full",
        )
    )
    async with Client(app.server(), mode="legacy") as client:
        answer = await client.call_tool("delete_insight", {"insight": signups})
    await app.close()
    assert answer.is_error
    assert await agent.rows("get_insight", insight=signups)


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("get_insight", {"insight": "no such insight"}, "There is no insight"),
        ("get_dashboard", {"dashboard": "no such board"}, "There is no dashboard"),
        ("save_insight", {"name": "x"}, "needs a name, and a query"),
        ("save_insight", {"name": "x", "tool": "query_funnel", "arguments": {"steps": ["a"]}}, "do not fit"),
        ("save_dashboard", {"description": "x"}, "needs a name"),
    ],
)
async def test_what_cannot_be_is_refused_with_what_to_do(agent, tool, arguments, words):
    assert words in await agent.refusal(tool, **arguments)
