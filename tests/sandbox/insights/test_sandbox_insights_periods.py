"""Whole periods and days of the week, with numbers worked out by hand: what counts, and what is compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from insight_examples import ask, event

from posthog_mcp.sandbox.compiler import World
from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.insights.models import CompareFilter, InsightDates
from posthog_mcp.sandbox.insights.periods import period_of, previous_of
from posthog_mcp.sandbox.sandbox import Options, Sandbox

if TYPE_CHECKING:
    from httpx2 import AsyncClient

# A Tuesday. The 1st of March 2026 was a Sunday.
NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
Json = dict[str, Any]


@pytest.fixture
def options() -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: NOW)


@pytest.fixture
async def fortnight(sandbox: Sandbox) -> None:
    """On each day of March up to today, as many events as the day of the month has units; the 10th has 10."""
    made = [
        event("view", f"p{number % 3}", datetime(2026, 3, day, 9, number, tzinfo=UTC), {})
        for day in range(1, 11)
        for number in range(day)
    ]
    await sandbox.ingest.accept(made)


def trends(dates: Json, **more: Any) -> Json:
    series = [{"kind": "EventsNode", "event": "view", **more.pop("node", {})}]
    return {"kind": "TrendsQuery", "series": series, "dateRange": dates, **more}


WHOLE = {"excludeIncompletePeriods": True}


def _dates(first: str, last: str) -> Json:
    return {"date_from": first, "date_to": last}


@pytest.mark.parametrize(
    ("dates", "interval", "first", "last"),
    [
        # Today is not over.
        ({}, "day", "2026-03-03T00:00:00", "2026-03-09T23:59:59"),
        # Counting would begin at noon of the 9th: no day is whole but none is left, so nothing is clipped.
        ({"date_from": "-24h"}, "day", "2026-03-09T12:00:00", "2026-03-10T23:59:59"),
        ({"date_from": "-48h"}, "day", "2026-03-09T00:00:00", "2026-03-09T23:59:59"),
        # Weeks begin on Sunday: that of the 3rd began before the range, that of the 8th goes on.
        ({"date_from": "-3w"}, "week", "2026-02-22T00:00:00", "2026-03-07T23:59:59"),
        (_dates("2026-03-03", "2026-03-06"), "day", "2026-03-03T00:00:00", "2026-03-06T23:59:59"),
        # Neither week lies in the range whole.
        (_dates("2026-03-03", "2026-03-09"), "week", "2026-03-03T00:00:00", "2026-03-09T23:59:59"),
        ({"date_from": "-1mStart"}, "month", "2026-02-01T00:00:00", "2026-02-28T23:59:59"),
        ({"date_from": "-3h"}, "hour", "2026-03-10T09:00:00", "2026-03-10T11:59:59"),
    ],
)  # fmt: skip
def test_an_interval_that_is_not_whole_or_not_over_is_left_out(dates, interval, first, last):
    world = World(timezone="UTC", now=NOW)
    period = period_of(InsightDates.model_validate({**dates, **WHOLE}), interval, world)
    assert (period.start.isoformat()[:19], period.end.isoformat()[:19]) == (first, last)


def test_the_last_whole_day_is_that_of_the_projects_time_zone():
    world = World(timezone="Pacific/Auckland", now=NOW)  # where it is half past one on the 11th
    period = period_of(InsightDates.model_validate(WHOLE), "day", world)
    assert period.end == datetime(2026, 3, 10, 23, 59, 59, 999_999, tzinfo=ZoneInfo("Pacific/Auckland"))


def test_whole_weeks_are_compared_with_the_weeks_before_and_share_no_day():
    world, dates = World(timezone="UTC", now=NOW), InsightDates.model_validate({"date_from": "-7d", **WHOLE})
    before = previous_of(period_of(dates, "day", world), dates, CompareFilter(compare=True), world)
    assert (before.start.date().day, before.end.date().isoformat()) == (24, "2026-03-02")
    assert before.end + timedelta(microseconds=1) == datetime(2026, 3, 3, tzinfo=UTC)


@pytest.mark.usefixtures("fortnight")
async def test_events_of_a_day_that_is_not_over_do_not_count(api: AsyncClient):
    (line,) = (await ask(api, trends({"date_from": "-3d", **WHOLE})))["results"]
    assert (line["data"], line["days"][-1]) == ([7, 8, 9], "2026-03-09")
    query = trends({"date_from": "-3d", **WHOLE}, trendsFilter={"display": "BoldNumber"})
    assert (await ask(api, query))["results"][0]["aggregated_value"] == 7 + 8 + 9


@pytest.mark.usefixtures("fortnight")
async def test_only_events_of_the_days_asked_for_count(api: AsyncClient):
    weekdays = {"date_from": "-9d", "daysOfWeek": [1, 2, 3, 4, 5]}
    (line,) = (await ask(api, trends(weekdays)))["results"]
    # The 1st, the 7th and the 8th were a weekend.
    assert line["data"] == [2, 3, 4, 5, 6, 9, 10]
    assert line["days"][0] == "2026-03-02"
    assert "2026-03-07" not in line["days"]

    (weeks,) = (await ask(api, trends(weekdays, interval="week")))["results"]
    assert weeks["data"] == [2 + 3 + 4 + 5 + 6, 9 + 10]

    weekend = trends({"date_from": "-9d", "daysOfWeek": [7, 6]}, trendsFilter={"display": "BoldNumber"})
    assert (await ask(api, weekend))["results"][0]["aggregated_value"] == 1 + 7 + 8


@pytest.mark.usefixtures("fortnight")
async def test_days_of_the_week_are_those_of_the_projects_time_zone(sandbox: Sandbox, api: AsyncClient):
    sandbox.project.settings["timezone"] = "Pacific/Auckland"
    await sandbox.ingest.accept([event("late", "p0", datetime(2026, 3, 6, 20, tzinfo=UTC), {})])
    query = trends({"date_from": "2026-03-01", "daysOfWeek": [6]})
    query["series"] = [{"kind": "EventsNode", "event": "late"}]
    (line,) = (await ask(api, query))["results"]
    assert (line["data"], line["days"]) == ([1], ["2026-03-07"])


@pytest.mark.usefixtures("fortnight")
async def test_days_of_the_week_hold_for_both_periods_that_are_compared(api: AsyncClient):
    dates = {"date_from": "2026-03-07", "date_to": "2026-03-09", "daysOfWeek": [1, 7]}
    now, before = (await ask(api, trends(dates, compareFilter={"compare": True})))["results"]
    # The 8th and the 9th; of the 4th to the 6th, none is a Sunday or a Monday.
    assert (now["data"], before["data"]) == ([8, 9], [])


@pytest.mark.usefixtures("fortnight")
@pytest.mark.parametrize(
    ("query", "words"),
    [
        (trends({"daysOfWeek": [1]}, trendsFilter={"smoothingIntervals": 3}), "daysOfWeek"),
        (trends({"daysOfWeek": [0]}), "daysOfWeek"),
        (trends({"daysOfWeek": [1]}) | {"kind": "LifecycleQuery"}, "daysOfWeek"),
        (trends({"daysOfWeek": [1]}) | {"kind": "StickinessQuery"}, "daysOfWeek"),
        (
            {"kind": "RetentionQuery", "retentionFilter": {}, "dateRange": WHOLE},
            "excludeIncompletePeriods",
        ),
    ],
)
async def test_where_they_mean_nothing_they_are_refused_by_name(api: AsyncClient, query: Json, words: str):
    assert words in (await ask(api, query, status=400))["detail"]


@pytest.mark.usefixtures("fortnight")
@pytest.mark.parametrize("math", ["total", "weekly_active", "first_time_for_user", "hogql"])
async def test_a_range_without_any_of_the_days_has_no_buckets(api: AsyncClient, math: str):
    dates = {"date_from": "2026-03-09", "date_to": "2026-03-10", "daysOfWeek": [6]}
    node = {"math": math, "math_hogql": "count()"}
    for split in (None, {"breakdown": "all", "breakdown_type": "cohort"}, {"breakdown": "x"}):
        lines = (await ask(api, trends(dates, node=dict(node), breakdownFilter=split)))["results"]
        assert [one["data"] for one in lines] in ([[]], [])
    funnel = {"kind": "FunnelsQuery", "dateRange": dates, "funnelsFilter": {"funnelVizType": "trends"}}
    funnel |= {"series": [{"kind": "EventsNode", "event": "view"}] * 2}
    assert (await ask(api, funnel))["results"][0]["data"] == []
