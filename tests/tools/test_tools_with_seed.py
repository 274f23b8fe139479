"""An agent looks around in a seeded project: every area has something to show, and no question breaks it."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.sandbox.seed import Answers, feedback, plan, product
from posthog_mcp.settings import Settings

Json = dict[str, Any]
CALLS = 2
EVENTS = ["signed_up", "project_created", "feature_used", "$pageview", "purchase_completed", "nothing", ""]
FILTERS = [
    {"property": "plan", "operator": "exact", "value": "team", "on": "person"},
    {"property": "total", "operator": "gt", "value": "50", "on": "event"},
    {"property": "feature", "operator": "is_not", "value": '["board", "search"]', "on": "event"},
    {"property": "$browser", "operator": "icontains", "value": "saf", "on": "event"},
    {"property": "industry", "operator": "exact", "value": "media", "on": "group"},
    {"property": "$session_duration", "operator": "lt", "value": "60", "on": "session"},
    {"property": "email", "operator": "regex", "value": "^a.*example$", "on": "person"},
    {"property": "total", "operator": "is_set", "on": "event"},
]
MATHS = [
    {"math": "total"},
    {"math": "dau"},
    {"math": "weekly_active"},
    {"math": "monthly_active"},
    {"math": "unique_session"},
    {"math": "first_time_for_user"},
    {"math": "avg_count_per_actor"},
    {"math": "p90", "property": "duration_seconds"},
    {"math": "sum", "property": "total"},
    {"math": "median", "property": "plan"},
]


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[SandboxProcess]:
    async with SandboxProcess(seed="small", throttle="off") as process:
        yield process


@pytest.fixture
def settings(sandbox: SandboxProcess, tmp_path: Path) -> Settings:
    own = {"POSTHOG_MCP_DATA_DIR": str(tmp_path), "POSTHOG_MCP_AREAS": "all"}
    return Settings.load({**sandbox.environment, **own})


@pytest.mark.parametrize(
    ("tool", "arguments", "shown"),
    [
        ("list_flags", {}, product.FLAG),
        ("list_experiments", {}, "Onboarding: checklist or tour"),
        ("list_annotations", {}, "Release 2.4.1"),
        ("list_insights", {}, "From sign-up to purchase"),
        ("list_dashboards", {}, "Growth"),
        ("list_surveys", {}, feedback.NAME),
        ("list_cohorts", {}, "Paying members"),
        ("list_groups", {}, "amber-labs"),
        ("list_errors", {"date_from": "-30d"}, "TypeError"),
        ("list_recordings", {"date_from": "-30d"}, product.HOST),
        ("list_llm_traces", {"date_from": "-30d"}, "Answer a search"),
        ("list_events", {"date_from": "-30d"}, "feature_used"),
        ("find_persons", {}, "@"),
        ("list_definitions", {}, "survey sent"),
        ("list_activity", {}, "Growth"),
        ("query_web", {"date_from": "-30d", "by": "page"}, "/pricing"),
    ],
)
async def test_every_area_of_a_seeded_project_has_something_to_show(agent, tool, arguments, shown):
    assert shown in await agent.ask(tool, **arguments)


async def test_the_survey_has_the_answers_that_were_planned(agent, sandbox):
    async with httpx2.AsyncClient(trust_env=False) as client:
        headers = {"Authorization": "Bearer phx_sandbox"}
        listed = await client.get(f"{sandbox.url}/api/projects/1/surveys/", headers=headers)
    found = {one["name"]: one["start_date"] is not None for one in listed.json()["results"]}
    assert found == {feedback.NAME: True, feedback.DRAFT["name"]: False}
    scores = Answers(plan("small", datetime.now(UTC))).survey()
    answered = sum(scores.values())
    text = await agent.ask("get_survey_results", survey=feedback.NAME)
    assert f"{answered} responses" in text
    balance = sum(count * ((score >= 9) - (score <= 6)) for score, count in scores.items())
    assert f"NPS {100 * balance / answered:.1f} " in text
    assert all(f"\n1\t{score}\t{count}\t" in text for score, count in scores.items())


def drawn(draw: random.Random) -> dict[str, Json]:
    """A valid call of each tool that asks for numbers, at random."""
    period = draw.choice(
        [{}, {"date_from": "-30d"}, {"date_from": "-24h"}, {"date_from": "-1mStart"}, {"date_from": "all"},
         {"date_from": "-30d", "date_to": "-3d"}, {"date_from": "2026-01-01", "date_to": "2026-01-03"}]
    )  # fmt: skip
    some = draw.sample(FILTERS, draw.choice([0, 0, 1, 2]))
    shared = {**period, "filters": some, "exclude_test_accounts": draw.random() < 0.3}
    split = draw.choice(
        [{}, {}, {"breakdown": "plan", "breakdown_on": "person"}, {"breakdown": "feature"},
         {"breakdown": "industry", "breakdown_on": "group"}, {"breakdown": "1,2", "breakdown_on": "cohort"},
         {"breakdown": "$channel_type", "breakdown_on": "session"}]
    )  # fmt: skip
    interval = {"interval": draw.choice(["day", "week", "month"])}
    series = [{"event": draw.choice(EVENTS), **draw.choice(MATHS)} for _ in range(draw.choice([1, 1, 2]))]
    formula = {"formula": draw.choice(["A/B*100", "A-B"])} if len(series) == 2 else {}
    steps = draw.sample(EVENTS, draw.choice([2, 3]))
    period_of = draw.choice(["day", "week", "month"])
    return {
        "query_trends": {**shared, **split, **interval, **formula, "series": series,
                         "compare": draw.random() < 0.3, "total": draw.random() < 0.3},
        "query_funnel": {**shared, **split, **interval, "steps": steps,
                         "order": draw.choice(["ordered", "strict", "unordered"]),
                         "window": draw.choice(["30m", "1h", "14d"]),
                         "show": draw.choice(["steps", "time_to_convert", "trend"])},
        "query_retention": {**shared, **split, "target": draw.choice(EVENTS[:4]), "period": period_of,
                            "returning": draw.choice(EVENTS[:4]), "intervals": draw.choice([2, 8, 31]),
                            "type": draw.choice(["recurring", "first_time", "first_ever"]),
                            "cumulative": draw.random() < 0.3},
        "query_paths": {**shared, "of": draw.choice(["pages", "screens", "events", "all"]),
                        "steps": draw.choice([2, 5, 20]), **draw.choice([{}, {"group": ["/blog/*"]}]),
                        **draw.choice([{}, {"start": "signed_up"}, {"end": "project_created"}])},
        "query_lifecycle": {**shared, **interval, "series": draw.choice(EVENTS[:5])},
        "query_stickiness": {**shared, **interval, "series": draw.sample(EVENTS, 2),
                             "cumulative": draw.random() < 0.3},
        "query_web": {"date_from": draw.choice(["-24h", "-30d", "2026-01-01"]),
                      "by": draw.choice(["overview", "page", "entry_page", "channel", "country"]),
                      "compare": draw.random() < 0.5, "limit": draw.choice([1, 20]),
                      **draw.choice([{}, {"goal": "signed_up"}])},
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(CALLS))
async def test_no_valid_question_breaks_the_sandbox(agent, sandbox, seed):
    asked = drawn(random.Random(seed))
    for tool, arguments in asked.items():
        answer = await agent.client.call_tool(tool, arguments)
        assert not answer.is_error, (tool, arguments, answer.content)
        if tool != "query_web":
            point = {"tool": tool, "arguments": arguments, "step": 2, "date": "-1d"}
            await agent.client.call_tool("list_query_persons", point)
    async with httpx2.AsyncClient(trust_env=False) as client:
        seen = (await client.get(f"{sandbox.url}/_sandbox/requests/")).json()
    assert [one for one in seen["requests"] if one["status"] >= 500] == [], asked
