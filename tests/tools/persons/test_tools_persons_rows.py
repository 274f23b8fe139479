"""Filter rows on events mean what PostHog's own property filters mean."""

import json
from typing import Any

import httpx2
import pytest

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.sandbox.project import PERSONAL_KEY
from posthog_mcp.tool.filters import Filter, posthog_filter

pytestmark = pytest.mark.parametrize("agent", ["auto"], indirect=True)
EVENTS: dict[str, dict[str, Any]] = {
    "a": {"row_total": 5, "row_paid": True, "row_plan": "Pro", "row_when_at": "2026-01-02T03:04:05Z"},
    "b": {"row_total": 10, "row_paid": False, "row_plan": "free", "row_when_at": "2026-01-03"},
    "c": {"row_total": 50.5, "row_plan": "it's {k0} \\", "row_tags": ["x", "y"]},
    "d": {"row_plan": "", "$feature/row-beta": True, "$set": {"row_role": "admin"}},
    "e": {"$feature/row-beta": "test", "$set": {"row_role": "user"}},
}
ROWS = [
    ("row_total", "exact", "10"),
    ("row_total", "is_not", "10"),
    ("row_total", "exact", '["5","50.5"]'),
    ("row_total", "gt", "9"),
    ("row_total", "gte", "10"),
    ("row_total", "lt", "50.5"),
    ("row_total", "lte", "50.5"),
    ("row_total", "is_set", ""),
    ("row_total", "is_not_set", ""),
    ("row_paid", "exact", "true"),
    ("row_paid", "exact", "false"),
    ("row_paid", "is_not", "true"),
    ("row_plan", "exact", "Pro"),
    ("row_plan", "exact", "pro"),
    ("row_plan", "exact", '["Pro","free"]'),
    ("row_plan", "is_not", '["Pro","free"]'),
    ("row_plan", "icontains", "PRO"),
    ("row_plan", "not_icontains", "r"),
    ("row_plan", "regex", "^(Pro|free)$"),
    ("row_plan", "not_regex", "^P"),
    ("row_plan", "exact", "it's {k0} \\"),
    ("row_plan", "icontains", "' OR 1=1 --"),
    ("row_tags", "icontains", '"x"'),
    ("row_when_at", "is_date_before", "2026-01-03"),
    ("row_when_at", "is_date_after", "2026-01-02"),
    ("row' OR '1'='1", "is_set", ""),
]


async def _posthog(sandbox: SandboxProcess, event: str, filters: list[dict[str, Any]]) -> list[str]:
    """Whose events PostHog's own query for events gives."""
    query = {
        "kind": "EventsQuery",
        "select": ["distinct_id"],
        "event": event,
        "after": "all",
        "properties": filters,
    }
    key = {"Authorization": f"Bearer {PERSONAL_KEY}"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=key) as api:
        reply = await api.post("/api/projects/1/query/", json={"query": query})
    assert reply.status_code == 200, reply.text
    return sorted(row[0] for row in reply.json()["results"])


@pytest.fixture
async def events(sent, name):
    await sent(
        *({"event": name, "distinct_id": f"{name}-{who}", "properties": had} for who, had in EVENTS.items())
    )
    return name


async def _ours(agent, event: str, row: dict[str, str]) -> list[str]:
    if "No rows." in await agent.ask("list_events", event=event, filters=json.dumps([row])):
        return []
    return sorted(each[2] for each in await agent.rows("list_events", event=event, filters=json.dumps([row])))


async def test_every_operator_means_what_it_means_at_posthog(agent, sandbox, events):
    for key, operator, value in ROWS:
        row = {"property": key, "operator": operator, "value": value, "on": "event"}
        expected = await _posthog(sandbox, events, [posthog_filter(Filter.model_validate(row))])
        assert await _ours(agent, events, row) == expected, row


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"property": "row_role", "value": "admin", "on": "person"}, "d"),
        ({"property": "row_plan", "value": "free"}, "b"),
        ({"property": "row_role", "operator": "is_not_set", "on": "person"}, "abc"),
        ({"property": "row-beta", "value": "true", "on": "flag"}, "d"),
        ({"property": "row-beta", "value": '["true","test"]', "on": "flag"}, ""),
        ({"property": "row-beta", "operator": "is_set", "on": "flag"}, "de"),
        ({"property": "row_total", "operator": "gt", "value": "many", "on": "event"}, ""),
        ({"property": "row_when_at", "operator": "is_date_exact", "value": "2026-01-02", "on": "event"}, "a"),
        ({"property": "row_plan", "operator": "icontains", "value": "%", "on": "event"}, ""),
        ({"property": "$session_duration", "operator": "gte", "value": "1", "on": "session"}, ""),
    ],
)
async def test_rows_on_persons_flags_sessions_and_odd_values(agent, events, row, expected):
    assert [who.removeprefix(f"{events}-") for who in await _ours(agent, events, row)] == list(expected)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"property": "nothing", "value": "1", "on": "session"}, "Sessions are filtered by $channel_type"),
        ({"property": "x", "operator": "is_date_after", "value": "soon", "on": "event"}, "`soon` is no time"),
        ({"property": "x' OR 1", "value": "1", "on": "cohort"}, "is no cohort"),
        (
            {"property": "x", "operator": "near", "value": "1"},
            '`filters[0].operator` is "near"; allowed: `exact`',
        ),
    ],
)
async def test_rows_that_cannot_hold_are_refused(agent, row, words):
    assert words in await agent.refusal("list_events", filters=json.dumps([row]))


async def test_a_pattern_that_is_none_is_refused_by_posthog(agent, events):
    row = {"property": "row_plan", "operator": "regex", "value": "(", "on": "event"}
    refusal = await agent.refusal("list_events", event=events, filters=json.dumps([row]))
    assert "PostHog refused" in refusal
