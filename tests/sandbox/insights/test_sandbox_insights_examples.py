"""Worked examples of every kind of insight: events in, PostHog's numbers out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from insight_examples import EXAMPLES, agrees, ask, now_of, seed

from posthog_mcp.sandbox.compiler import World
from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.http.times import read_iso
from posthog_mcp.sandbox.insights.labels import days
from posthog_mcp.sandbox.insights.models import InsightDates
from posthog_mcp.sandbox.insights.periods import period_of
from posthog_mcp.sandbox.sandbox import Options, Sandbox

if TYPE_CHECKING:
    from httpx2 import AsyncClient

_QUERIES = ("trends", "funnel", "retention", "paths", "lifecycle", "stickiness", "events", "web")


def named(*prefixes: str) -> list[str]:
    return [name for name in EXAMPLES if name.partition("_")[0] in prefixes]


@pytest.fixture
def example(request: pytest.FixtureRequest) -> dict[str, Any]:
    return EXAMPLES[request.param]


@pytest.fixture
def options(example: dict[str, Any]) -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: now_of(example))


@pytest.mark.parametrize("example", named(*_QUERIES), indirect=True)
async def test_results_are_those_worked_out_by_hand(
    sandbox: Sandbox, api: AsyncClient, example: dict[str, Any]
) -> None:
    await seed(sandbox, example)
    answer = await ask(api, example["query"])
    assert agrees(answer["results"], example["expected_results"]), answer["results"]
    assert agrees(answer, example.get("expected_top_level") or {})


@pytest.mark.parametrize("example", named("actors"), indirect=True)
async def test_the_people_behind_a_point_are_those_that_were_counted(
    sandbox: Sandbox, api: AsyncClient, example: dict[str, Any]
) -> None:
    await seed(sandbox, example)
    expected = example["expected_results"]
    extra = [name for name in ("event_count", "appearances") if name in expected]
    answer = await ask(api, {**example["query"], "select": ["person", *extra]})
    found = {row[0]["distinct_ids"][0]: row[1:] for row in answer["results"]}
    assert sorted(found) == expected["actors"]
    for place, name in enumerate(extra):
        assert {who: row[place] for who, row in found.items()} == expected[name]


@pytest.mark.parametrize("example", named("daterange"), indirect=True)
def test_dates_are_read_as_posthog_reads_them(example: dict[str, Any]) -> None:
    query, expected = example["query"], example["expected_results"]
    world = World(
        timezone=example["timezone"], now=now_of(example), week_start=example.get("week_start_day", 0)
    )
    dates = {name: query[name] for name in ("date_from", "date_to", "explicitDate") if name in query}
    earliest = read_iso(query["_earliest"]) if "_earliest" in query else None
    period = period_of(InsightDates.model_validate(dates), query["interval"], world, earliest)
    assert period.start == read_iso(expected["date_from"])
    assert period.end == read_iso(expected["date_to"])
    assert days(period)[0] == expected["first_bucket"]
    assert len(period.starts) == expected["bucket_count"]
