"""Web analytics as an agent reads it."""

from pathlib import Path
from typing import Any

import pytest

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.settings import Settings


@pytest.fixture
def settings(sandbox: SandboxProcess, tmp_path: Path) -> Settings:
    own = {"POSTHOG_MCP_AREAS": "web,events", "POSTHOG_MCP_DATA_DIR": str(tmp_path)}
    return Settings.load({**sandbox.environment, **own})


def session(number: int) -> str:
    return f"0195757a-0000-7000-8000-{number:012x}"


async def visit(agent, name: str, number: int, time: str, *paths: str, **properties: Any) -> None:
    """Page views of one session, on a host of the test's own."""
    events = [
        {
            "event": "$pageview",
            "distinct_id": f"{name}-{number}",
            "timestamp": f"{time}:0{minute}Z",
            "properties": {
                "$session_id": session(abs(hash((name, number))) % 2**40),
                "$current_url": f"https://{name}.test{path}",
                "$pathname": path,
                "$host": f"{name}.test",
                **properties,
            },
        }
        for minute, path in enumerate(paths)
    ]
    await agent.record("capture_events", events=events, wait=True)


def here(name: str) -> list[dict[str, str]]:
    return [{"property": "$host", "value": f"{name}.test", "on": "event"}]


@pytest.fixture
async def visits(agent, name):
    ads = {"utm_source": "google", "utm_medium": "cpc"}
    await visit(agent, name, 1, "2026-03-09T10:00", "/", "/buy", **ads)
    await visit(agent, name, 2, "2026-03-09T11:00", "/")
    await visit(agent, name, 3, "2026-03-08T11:00", "/")


@pytest.mark.usefixtures("visits")
async def test_the_overview_compares_with_the_period_before(agent, name):
    period = {"date_from": "2026-03-09", "date_to": "2026-03-09", "filters": here(name)}
    rows = await agent.rows("query_web", **period, compare=True)
    assert rows == [
        ["visitors", "2", "1", "+100 %"],
        ["views", "3", "1", "+200 %"],
        ["sessions", "2", "1", "+100 %"],
        ["session duration", "0 s", "0 s", ""],
        ["bounce rate", "50.0 %", "100.0 %", "-50 %"],
    ]
    text = await agent.ask("query_web", **period)
    assert "2026-03-09T00:00:00 to 2026-03-09T23:59:59 (UTC)." in text
    assert "measure\tvalue\n" in text


@pytest.mark.usefixtures("visits")
async def test_pages_sources_and_places_are_rows(agent, name):
    period = {"date_from": "2026-03-08", "date_to": "2026-03-09", "filters": here(name)}
    assert await agent.rows("query_web", by="page", **period) == [
        ["/", "3", "3", "66.7 %"], ["/buy", "1", "1", ""],
    ]  # fmt: skip
    assert await agent.rows("query_web", by="channel", **period) == [
        ["Unknown", "2", "2"], ["Paid Search", "1", "2"],
    ]  # fmt: skip
    assert await agent.rows("query_web", by="utm_source", **period) == [
        ["(none)", "2", "2"], ["google", "1", "2"],
    ]  # fmt: skip
    text = await agent.ask("query_web", by="exit_page", limit=1, **period)
    assert "Written by outsiders: exit_page. For the rest: offset=1" in text
    before = await agent.rows(
        "query_web", by="entry_page", compare=True, **{**period, "date_from": "2026-03-09"}
    )
    assert before == [["/", "2", "1", "3", "1", "50.0 %", "100.0 %"]]


@pytest.mark.usefixtures("visits")
async def test_a_goal_counts_conversions(agent, name):
    await agent.record(
        "capture_event",
        event=f"{name} bought",
        distinct_id=f"{name}-1",
        timestamp="2026-03-09T10:00:05Z",
        properties={"$session_id": session(abs(hash((name, 1))) % 2**40), "$host": f"{name}.test"},
        wait=True,
    )
    asked = {
        "date_from": "2026-03-09",
        "date_to": "2026-03-09",
        "filters": here(name),
        "goal": f"{name} bought",
    }
    assert await agent.rows("query_web", **asked) == [
        ["visitors", "2"], ["total conversions", "1"], ["unique conversions", "1"],
        ["conversion rate", "50.0 %"],
    ]  # fmt: skip
    assert await agent.rows("query_web", by="utm_medium", **asked) == [
        ["cpc", "1", "1", "1", "100.0 %"], ["(none)", "1", "0", "0", "0.0 %"],
    ]  # fmt: skip


async def test_a_site_without_visits_is_told_what_counts(agent, name):
    text = await agent.ask("query_web", filters=here(name))
    assert "carry a $session_id" in text
    assert "No rows." in await agent.ask("query_web", by="page", filters=here(name), date_from="-30m")


async def test_what_web_analytics_cannot_look_at_is_refused(agent):
    wrong = [{"property": "beta", "on": "flag", "value": "true"}]
    assert "not on flag" in await agent.refusal("query_web", filters=wrong)
    assert "is no time" in await agent.refusal("query_web", date_from="lately")


@pytest.mark.usefixtures("visits")
async def test_a_row_is_on_the_event_unless_it_says_otherwise_and_is_told(agent, name):
    filters = [{"property": "$host", "value": f"{name}.test"}]
    text = await agent.ask("query_web", date_from="2026-03-09", date_to="2026-03-09", filters=filters)
    assert f"Filtered by $host exact {name}.test (event)." in text
    assert "\nvisitors\t2\n" in text


@pytest.mark.usefixtures("visits")
@pytest.mark.parametrize("by", ["overview", "page"])
@pytest.mark.parametrize("compare", [False, True])
async def test_a_goal_that_nobody_reached_may_be_a_wrong_name(agent, name, by, compare):
    period = {"date_from": "2026-03-09", "date_to": "2026-03-09", "filters": here(name), "compare": compare}
    assert "Nobody did `bye`: list_definitions has" in await agent.ask(
        "query_web", by=by, goal="bye", **period
    )
    assert "Nobody did" not in await agent.ask("query_web", by=by, goal="$pageview", **period)


async def test_a_period_that_ends_before_it_starts_is_refused(agent):
    words = await agent.refusal("query_web", date_from="2026-03-09", date_to="2026-03-01")
    assert words == "Nothing was asked. date_to is before date_from. Correct one of them."
