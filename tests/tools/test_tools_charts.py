"""Charts beside the tables of typed queries, saved insights and experiments."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mcp import Client
from mcp.types import ImageContent, TextContent

from posthog_mcp.server.app import App
from posthog_mcp.server.drawing import Drawing, available
from posthog_mcp.settings import Settings

pytestmark = [
    pytest.mark.skipif(not available(), reason='pip install "posthog-mcp[charts]" brings the renderer'),
    # both eras are in the tests of the installed program
    pytest.mark.parametrize("agent", ["auto"], indirect=True),
]
NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would be drawn, which takes its time, as it is asked for."""
    specifications: list[dict[str, Any]] = []

    async def png(_self: Drawing, specification: dict[str, Any]) -> bytes:
        specifications.append(specification)
        return b"a picture"

    monkeypatch.setattr(Drawing, "png", png)
    return specifications


async def answer(agent, tool: str, **arguments: Any) -> tuple[str, list[bytes]]:
    """The text of an answer and its pictures."""
    found = await agent.client.call_tool(tool, arguments)
    text = "\n".join(block.text for block in found.content if isinstance(block, TextContent))
    assert not found.is_error, text
    pictures = [block for block in found.content if isinstance(block, ImageContent)]
    assert {block.mime_type for block in pictures} <= {"image/png"}
    return text, [base64.b64decode(block.data) for block in pictures]


@pytest.fixture
async def views(agent, name) -> str:
    """Twelve people with a plan and an address each look; half of them sign up, and again a day later."""
    plans = ["<b>\u202eplan", *(f"plan {number}" for number in range(11))]
    rows = []
    for number, plan in enumerate(plans):
        at = NOW - timedelta(days=3)
        who = {"distinct_id": f"{name}-{number}", "properties": {"plan": plan, "mail": f"p{number}@acme.com"}}
        rows += [{"event": f"{name}view", "timestamp": at.isoformat(), **who}] * (number + 1)
        if number % 2:
            later = [at + timedelta(minutes=9), at + timedelta(days=1)]
            rows += [{"event": f"{name}sign", "timestamp": moment.isoformat(), **who} for moment in later]
    await agent.record("capture_events", wait=True, events=rows)
    return name


async def test_every_kind_of_query_comes_with_a_small_picture(agent, views):
    view, sign = f"{views}view", f"{views}sign"
    questions: dict[str, dict[str, Any]] = {
        "query_trends": {"series": view, "compare": True, "breakdown": "plan"},
        "query_funnel": {"steps": [view, sign], "breakdown": "plan"},
        "query_retention": {"target": sign},
        "query_lifecycle": {"series": sign},
        "query_stickiness": {"series": [view, sign]},
    }
    for tool, arguments in questions.items():
        _, pictures = await answer(agent, tool, **arguments, chart=True)
        assert len(pictures) == 1, tool
        assert pictures[0].startswith(b"\x89PNG")
        assert len(pictures[0]) < 100_000


DAYS = [f"{day.day} {day:%b}" for day in (NOW - timedelta(days=ago) for ago in (3, 2, 1, 0))]
ASKED: list[tuple[str, dict[str, Any], str, list[tuple[str, float]]]] = [
    (
        "query_trends",
        {"series": ["view", "sign"], "date_from": "-3d"},
        "view total, sign total, each day",
        [(DAYS[0], 78), (DAYS[0], 6), (DAYS[1], 6)],
    ),
    (
        "query_trends",
        {"series": [{"event": "sign", "math": "dau"}, "view"], "date_from": "-3d", "total": True},
        "sign dau, view total",
        [("sign dau", 6), ("view total", 78)],
    ),
    ("query_funnel", {"steps": ["view", "sign"]}, "view → sign", [("1 view", 12), ("2 sign", 6)]),
    (
        "query_funnel",
        {"steps": ["view", "sign"], "show": "time_to_convert"},
        "Time taken: view → sign",
        [("9 min", 6)],
    ),
    (
        "query_funnel",
        {"steps": ["view", "sign"], "show": "trend", "date_from": "-3d"},
        "Converted of who began, each day: view → sign",
        [(DAYS[0], 50)],
    ),
    (
        "query_retention",
        {"target": "sign", "date_from": "-3d", "intervals": 4},
        "Retention, % of those who began, by day",
        [("Day 1", 100)],
    ),
    (
        "query_lifecycle",
        {"series": "sign", "date_from": "-2d"},
        "Lifecycle of sign, each day",
        [(DAYS[1], 6), (DAYS[2], -6)],
    ),
    ("query_stickiness", {"series": "sign", "date_from": "-3d"}, "People by days with sign", [("2", 6)]),
]


async def test_a_chart_has_the_numbers_of_the_table(agent, views, drawn):
    for tool, arguments, title, points in ASKED:
        named = json.loads(re.sub(r'"(view|sign)"', rf'"{views}\1"', json.dumps(arguments)))
        await agent.ask(tool, **named, chart=True)
        specification = drawn.pop()
        assert specification["title"]["text"].replace(views, "") == title
        rows = specification["data"]["values"]
        found = [(row["place"].replace(views, ""), row["value"]) for row in rows if row["value"]]
        assert found == points, tool


async def test_nothing_is_drawn_that_nobody_asked_for(agent, views):
    _, pictures = await answer(agent, "query_trends", series=f"{views}view")
    assert pictures == []


async def test_a_chart_of_many_values_has_the_largest_and_says_so(agent, views, drawn):
    text, pictures = await answer(
        agent, "query_trends", series=f"{views}view", breakdown="plan", breakdown_limit=12, chart=True
    )
    assert len(pictures) == len(drawn) == 1
    assert "The chart has the largest 8 of 12 series; the table names the rest." in text
    assert "Labels in the chart are written by outsiders." in text


async def test_what_there_is_nothing_to_draw_of_comes_without_a_picture(agent, name):
    text, pictures = await answer(agent, "query_trends", series=f"{name}never", chart=True)
    assert pictures == []
    assert "No chart: there is nothing to draw." in text


async def test_a_saved_insight_is_drawn_under_its_name(agent, views, drawn):
    asked = {"target": f"{views}sign", "chart": True}
    saved = await agent.record("save_insight", name=views, tool="query_retention", arguments=asked)
    _, pictures = await answer(agent, "get_insight", insight=str(saved["id"]), chart=True)
    assert len(pictures) == 1
    assert drawn[0]["title"]["text"] == views
    sql = {"query": "SELECT 1"}
    saved = await agent.record("save_insight", name=f"{views}sql", tool="query_hogql", arguments=sql)
    text, pictures = await answer(agent, "get_insight", insight=str(saved["id"]), chart=True)
    assert pictures == []
    assert "No chart: such an answer has none." in text


async def test_the_results_of_an_experiment_are_drawn_as_intervals(agent, name, drawn):
    metric = {"type": "funnel", "name": "Buys", "events": [{"event": f"{name}bought"}]}
    fields = {"metrics": [metric], "allow_unknown_events": True}
    await agent.record("create_experiment", name=name, flag_key=name, **fields)
    await agent.record("change_experiment_state", experiment=name, action="launch")
    rows = []
    for variant, buyers in (("control", 20), ("test", 40)):
        seen = {"$feature_flag": name, "$feature_flag_response": variant}
        people = [f"{name}-{variant}-{number}" for number in range(60)]
        rows += [{"event": "$feature_flag_called", "distinct_id": who, "properties": seen} for who in people]
        rows += [{"event": f"{name}bought", "distinct_id": who} for who in people[:buyers]]
    for start in range(0, len(rows), 100):
        await agent.record("capture_events", events=rows[start : start + 100], wait=True)
    text, pictures = await answer(agent, "get_experiment_results", experiment=name, chart=True)
    assert len(pictures) == 1
    assert "The chart" not in text
    [row] = drawn[0]["data"]["values"]
    assert (row["place"], row["name"], row["text"]) == ("Buys", "test", "+100.0 %, better")
    assert row["low"] < row["value"] < row["high"]
    assert drawn[0]["title"]["subtitle"].startswith("Change against control, 95 % intervals. ")


async def test_a_chart_hides_what_the_text_hides(sandbox, tmp_path, agent, views, drawn):
    arguments = {"series": f"{views}view", "breakdown": "mail", "chart": True}
    await agent.ask("query_trends", **arguments)
    assert "p11@acme.com" in json.dumps(drawn[0])
    own = {"POSTHOG_MCP_DATA_DIR": str(tmp_path), "POSTHOG_MCP_MASK_PII": "true"}
    app = App(Settings.load({**sandbox.environment, **own}))
    async with Client(app.server()) as client:
        await client.call_tool("query_trends", arguments)
    await app.close()
    assert "p…@acme.com" in json.dumps(drawn[1], ensure_ascii=False)
    assert "p11@acme.com" not in json.dumps(drawn[1])


async def test_hidden_characters_of_outsiders_do_not_reach_a_chart(agent, views, drawn):
    await agent.ask(
        "query_trends", series=f"{views}view", breakdown="plan", breakdown_limit=20, total=True, chart=True
    )
    told = json.dumps(drawn[0], ensure_ascii=False)
    assert "<b>plan" in told
    assert "\u202e" not in told
