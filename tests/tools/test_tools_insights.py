"""Typed queries: numbers of known events, as compact tables, and the people behind them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.settings import Settings
from posthog_mcp.tool.insight_kinds import KINDS

NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
TODAY = NOW.date().isoformat()


def ago(days: int, minutes: int = 0) -> str:
    return (NOW - timedelta(days=days) + timedelta(minutes=minutes)).isoformat()


@pytest.fixture
def settings(sandbox: SandboxProcess, tmp_path: Path) -> Settings:
    """With the tools that are not in the default catalogue."""
    return Settings.load(
        {**sandbox.environment, "POSTHOG_MCP_DATA_DIR": str(tmp_path)}, areas="events,insights"
    )


async def send(agent, *events: tuple[str, str, str, dict[str, Any]]) -> None:
    rows = [
        {"event": event, "distinct_id": who, "timestamp": at, "properties": properties}
        for event, who, at, properties in events
    ]
    await agent.record("capture_events", wait=True, events=rows)


@pytest.fixture
async def shop(agent, name) -> str:
    """Five people view; three of them sign up, one of these buys, one of them comes back a day later."""
    view, sign, buy = f"{name}view", f"{name}sign", f"{name}buy"
    people = [f"{name}-{number}" for number in range(5)]
    plans = ["pro", "pro", "free", "free", "<b>"]
    await send(
        agent,
        *((view, who, ago(3), {"plan": plan, "price": 10}) for who, plan in zip(people, plans, strict=True)),
        (view, people[0], ago(2), {"plan": "pro", "price": 30}),
        *((sign, who, ago(3, 10), {}) for who in people[:3]),
        (buy, people[0], ago(3, 40), {}),
    )
    return name


async def test_trends_have_a_row_for_each_day_and_say_what_is_not_over(agent, shop):
    text = await agent.ask("query_trends", series=f"{shop}view", date_from="-3d")
    rows = [line.split("\t") for line in text.split("\n")[-4:]]
    assert [row[1] for row in rows] == ["5", "1", "0", "0"]
    assert rows[-1][0] == TODAY
    assert "The last day is not over" in text
    assert f"In all: {shop}view 6." in text


async def test_more_rows_than_an_answer_holds_say_how_to_have_fewer(agent, shop):
    text = await agent.ask("query_trends", series=f"{shop}view", date_from="-60d", interval="hour")
    assert "Cut to fit. For the rest: take a longer interval or a shorter period." in text


async def test_a_value_written_by_outsiders_is_marked_and_those_without_one_have_a_name(agent, shop):
    text = await agent.ask("query_trends", series=f"{shop}view", date_from="-3d", breakdown="plan")
    assert "Written by outsiders: plan." in text
    rows = await agent.rows("query_trends", series=f"{shop}view", date_from="-3d", breakdown="plan")
    assert [row[:2] for row in rows] == [["pro", "3"], ["free", "2"], ["<b>", "1"]]
    none = await agent.rows("query_trends", series=f"{shop}sign", date_from="-3d", breakdown="plan")
    assert none[0][:2] == ["(none)", "3"]


async def test_people_of_single_days_are_not_summed_to_a_total(agent, shop):
    dau = {"event": f"{shop}view", "math": "dau"}
    asked = {"date_from": "-3d", "breakdown": "plan"}
    [pro, *_] = await agent.rows("query_trends", series=[dau], **asked)
    assert pro == ["pro", "2", "1", "0", "0"]
    both = await agent.rows("query_trends", series=[dau, f"{shop}view"], **asked)
    assert [row[2] for row in both if row[1] == "pro"] == ["", "3"]
    assert ["pro", "2"] in await agent.rows("query_trends", series=[dau], total=True, **asked)


async def test_maths_and_formulas_are_computed_by_posthog(agent, shop):
    series = [{"event": f"{shop}view", "math": "sum", "property": "price"}, f"{shop}view"]
    rows = await agent.rows("query_trends", series=series, formula="A/B", date_from="-3d")
    assert [row[1] for row in rows] == ["10", "30", "0", "0"]
    whole = await agent.rows("query_trends", series=[{"event": f"{shop}view", "math": "dau"}], total=True)
    assert whole == [[f"{shop}view dau", "5"]]


async def test_filters_are_on_events_unless_a_row_says_otherwise(agent, shop):
    rows = [{"property": "plan", "value": "pro"}]
    text = await agent.ask("query_trends", series=f"{shop}view", date_from="-3d", filters=rows)
    assert "Filtered by plan exact pro (event)." in text
    assert f"In all: {shop}view 3." in text


async def test_a_funnel_tells_who_gets_how_far_in_what_time(agent, shop):
    steps = [f"{shop}view", f"{shop}sign", f"{shop}buy"]
    text = await agent.ask("query_funnel", steps=steps, date_from="-4d")
    assert "1 of 5 got through all steps: 20 %." in text
    rows = await agent.rows("query_funnel", steps=steps, date_from="-4d")
    assert [row[2:6] for row in rows] == [
        ["5", "100 %", "", ""],
        ["3", "60 %", "60 %", "10 min"],
        ["1", "20 %", "33.33 %", "30 min"],
    ]


async def test_a_funnel_can_show_times_trends_and_values(agent, shop):
    steps = [f"{shop}view", f"{shop}sign"]
    times = await agent.rows("query_funnel", steps=steps, show="time_to_convert", date_from="-4d")
    assert times == [["10 min", "3"]]
    trend = await agent.rows("query_funnel", steps=steps, show="trend", date_from="-3d")
    assert [row[1] for row in trend] == ["60", "0", "0", "0"]
    split = await agent.rows("query_funnel", steps=steps, breakdown="plan", date_from="-4d")
    assert [row[:4] for row in split[:2]] == [
        ["pro", "1", f"{shop}view", "2"],
        ["pro", "2", f"{shop}sign", "2"],
    ]


async def test_a_funnel_warns_where_visitors_and_known_people_are_not_joined(agent, name):
    visit, sign = f"{name}visit", f"{name}sign"
    anonymous = {"$process_person_profile": False}
    await send(
        agent,
        *((visit, f"{name}-v{number}", ago(1), anonymous) for number in range(4)),
        (visit, f"{name}-known", ago(1), {}),
        (sign, f"{name}-known", ago(1, 5), {}),
    )
    text = await agent.ask("query_funnel", steps=[visit, sign], date_from="-2d")
    assert f"Mind the identities: events of {visit} (80 %) are anonymous" in text
    split = await agent.ask(
        "query_funnel", steps=[visit, sign], date_from="-2d", breakdown="email", breakdown_on="person"
    )
    assert "have no person properties" in split


async def test_a_funnel_of_known_people_has_no_such_warning(agent, shop):
    text = await agent.ask("query_funnel", steps=[f"{shop}view", f"{shop}sign", f"{shop}buy"])
    assert "Mind the identities" not in text


async def test_retention_leaves_periods_that_have_not_come_empty(agent, shop):
    text = await agent.ask("query_retention", target=f"{shop}view", date_from="-3d", intervals=4)
    rows = [line.split("\t") for line in text.split("\n")[-4:]]
    assert rows[0][1:] == ["5", "1 (20%)", "0 (0%)", "0 (0%)"]
    assert rows[1][1:] == ["1", "0 (0%)", "0 (0%)", ""]
    assert rows[3][2:] == ["", "", ""]
    assert "Of all who had the time: Day 1 16.67 %" in text


async def test_paths_lifecycle_and_stickiness_answer_in_tables(agent, name):
    who = f"{name}-walker"
    pages = [("$pageview", who, ago(1, at), {"$current_url": f"/{name}/{at}"}) for at in (1, 2)]
    await send(agent, *pages)
    paths = await agent.rows("query_paths", start=f"/{name}/1", date_from="-2d")
    assert paths == [["1", f"/{name}/1", f"/{name}/2", "1", "1 min"]]
    await send(agent, (f"{name}use", who, ago(1), {}), (f"{name}use", who, ago(0, -30), {}))
    lifecycle = await agent.rows("query_lifecycle", series=f"{name}use", date_from="-1d")
    assert [row[1:] for row in lifecycle] == [["1", "0", "0", "0"], ["0", "1", "0", "0"]]
    stickiness = await agent.rows("query_stickiness", series=f"{name}use", date_from="-3d")
    assert stickiness == [["2", "1 (100 %)"]]


async def test_the_people_behind_a_number_can_be_listed(agent, shop):
    trends = json.dumps({"series": f"{shop}view", "date_from": "-3d"})
    day = (NOW - timedelta(days=2)).date().isoformat()
    rows = await agent.rows("list_query_persons", tool="query_trends", arguments=trends, date=day)
    assert [row[3:] for row in rows] == [[f"{shop}-0", "1"]]
    funnel = {"steps": [f"{shop}view", f"{shop}sign"], "date_from": "-4d"}
    dropped = await agent.rows("list_query_persons", tool="query_funnel", arguments=funnel, step=-2)
    assert sorted(row[3] for row in dropped) == [f"{shop}-3", f"{shop}-4"]
    began = (NOW - timedelta(days=3)).date().isoformat()
    retention = {"target": f"{shop}view", "date_from": "-3d", "intervals": 4}
    back = await agent.rows("list_query_persons", tool="query_retention", arguments=retention, date=began)
    assert {row[3]: row[4] for row in back}[f"{shop}-0"] == "[0,1]"


async def test_groups_are_filtered_and_split_by_a_property_of_the_type_that_is_named(agent, name):
    for kind, plan in (("company", "pro"), ("team", "free")):
        await agent.record(
            "identify_group", wait=True, group_type=kind, group_key=name, properties={"plan": plan}
        )
    event = {"event": name, "distinct_id": name, "groups": {"company": name, "team": name}}
    await agent.record("capture_events", wait=True, events=[event])
    asked = {"series": name, "total": True}
    for kind, plan in (("company", "pro"), ("team", "free")):
        by = {"breakdown": f"{kind}.plan", "breakdown_on": "group"}
        assert await agent.rows("query_trends", **asked, **by) == [[plan, "1"]]
        row = {"property": f"{kind}.plan", "value": "pro", "on": "group"}
        [[_, count]] = await agent.rows("query_trends", **asked, filters=[row])
        assert count == ("1" if plan == "pro" else "0")
    unclear = await agent.refusal("query_trends", **asked, breakdown="plan", breakdown_on="group")
    assert "Write company.plan or team.plan" in unclear


async def test_a_row_on_a_flag_keeps_its_operator(agent, name):
    sent = {f"$feature/{name}": "test"}
    await agent.record("capture_event", wait=True, event=name, distinct_id=name, properties=sent)
    for operator, count in (("exact", "1"), ("is_not", "0"), ("flag_evaluates_to", "1"), ("is_set", "1")):
        row = {"property": name, "on": "flag", "operator": operator, "value": "test"}
        [[_, found]] = await agent.rows("query_trends", series=name, total=True, filters=[row])
        assert found == count, operator


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("query_trends", {"series": []}, "at least 1"),
        (
            "query_trends",
            {"series": "x", "filters": [{"property": "p", "operator": "flag_evaluates_to", "value": "a"}]},
            "is for rows on a flag",
        ),
        ("query_trends", {"series": [{"event": "x", "math": "sum"}]}, "needs a `property`"),
        ("query_trends", {"series": "x", "date_from": "last week"}, "is no date"),
        ("query_trends", {"series": [{"evnt": "x"}]}, "event"),
        ("query_trends", {"series": "x", "date_from": "2026-02-02", "date_to": "2026-02-01"}, "would start"),
        ("query_retention", {"target": "x", "date_from": "9000-01-01"}, "would start at 9000-01-01"),
        ("query_funnel", {"steps": ["a"]}, "at least 2"),
        ("query_funnel", {"steps": ["a", "b"], "window": "soon"}, "is no span"),
        (
            "list_query_persons",
            {"tool": "query_trends", "arguments": {}},
            "`arguments` do not fit query_trends",
        ),
        ("list_query_persons", {"tool": "query_trends", "arguments": {"series": "x"}}, "Give the row's date"),
        (
            "list_query_persons",
            {"tool": "query_trends", "arguments": {"series": "x"}, "date": "yesterday"},
            "`date` is no date: give the row's",
        ),
        (
            "list_query_persons",
            {"tool": "query_trends", "arguments": {"series": "x"}, "date": "9000-01-01"},
            "lies outside the date range",
        ),
        (
            "list_query_persons",
            {"tool": "query_paths", "arguments": {}, "edge": ["/a", "/b"]},
            "Write it as 1_/a and 2_/b",
        ),
        ("list_query_persons", {"tool": "query_funnel", "arguments": {"steps": ["a", "b"]}}, "Give step"),
    ],
)
async def test_what_makes_no_query_is_refused_with_what_to_do(agent, tool, arguments, words):
    assert words in await agent.refusal(tool, **arguments)


async def test_posthogs_own_refusal_reaches_the_agent(agent, shop):
    refusal = await agent.refusal("query_trends", series=f"{shop}view", formula="A/Q")
    assert "formula" in refusal


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("query_trends", {"breakdown": "plan", "date_from": "-30d"}),
        ("query_trends", {"date_from": "-30d"}),
        ("query_funnel", {"breakdown": "plan"}),
        ("query_retention", {"intervals": 8}),
    ],
)
async def test_an_answer_costs_a_quarter_of_posthogs_json_at_most(agent, shop, sandbox, tool, arguments):
    asked = {**_subject(tool, shop), **arguments}
    text = await agent.ask(tool, **asked)
    made = KINDS[tool]
    args = made.input.model_validate(asked)
    # Nothing here needs the project: no row is on a group.
    query = await made.query(None, None, args)  # pyright: ignore[reportArgumentType]
    async with httpx2.AsyncClient(
        base_url=sandbox.url, headers={"Authorization": "Bearer phx_sandbox"}
    ) as api:
        answer = await api.post("/api/projects/1/query/", json={"query": query})
    assert len(text) <= 0.25 * len(answer.text)


def _subject(tool: str, shop: str) -> dict[str, Any]:
    steps = [f"{shop}view", f"{shop}sign"]
    return {"query_funnel": {"steps": steps}, "query_retention": {"target": steps[0]}}.get(
        tool, {"series": steps}
    )
