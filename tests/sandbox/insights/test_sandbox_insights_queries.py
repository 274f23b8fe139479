"""What the worked examples leave out: wrappers, splits of every kind, refusals, hostile values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from insight_examples import ask, event

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.sandbox import Options, Sandbox

if TYPE_CHECKING:
    from httpx2 import AsyncClient

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
HOSTILE = "'; DROP TABLE events; -- {x} \\ `"
Json = dict[str, Any]


@pytest.fixture
def options() -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: NOW)


@pytest.fixture
async def events(sandbox: Sandbox) -> None:
    """Two people and a stranger with odd values, over three days."""
    await sandbox.ingest.accept(
        [
            event("view", "ann", NOW - 2 * DAY, {"plan": "pro", "price": 10, "$set": {"team": "red"}}),
            event("view", "ann", NOW - DAY, {"plan": "pro", "price": 20, "$session_id": "s1"}),
            event("view", "bob", NOW - DAY, {"plan": "free", "price": "30", "$groups": {"company": "acme"}}),
            event(HOSTILE, "eve", NOW, {HOSTILE: HOSTILE, "plan": HOSTILE}),
        ]
    )


def trends(event_name: str | None = "view", **more: Any) -> Json:
    math = {name: more.pop(name) for name in list(more) if name.startswith(("math", "properties"))}
    node = {"kind": "EventsNode", "event": event_name, **math}
    return {"kind": "TrendsQuery", "series": [node], "dateRange": {"date_from": "-2d"}, **more}


async def data(api: AsyncClient, query: Json) -> list[list[float]]:
    return [one["data"] for one in (await ask(api, query))["results"]]


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("wrapper", ["InsightVizNode", "DataVisualizationNode"])
async def test_a_wrapped_query_answers_as_the_query_itself(api, wrapper):
    bare, wrapped = await ask(api, trends()), await ask(api, {"kind": wrapper, "source": trends()})
    assert wrapped["results"] == bare["results"]
    assert bare["cache_key"] == wrapped["cache_key"]
    assert bare["resolved_date_range"]["date_from"] == "2026-03-08T00:00:00+00:00"


@pytest.mark.usefixtures("events")
async def test_values_are_values_whatever_they_hold(api):
    one = {"key": HOSTILE, "value": HOSTILE, "operator": "exact", "type": "event"}
    query = trends(HOSTILE, properties=[one], breakdownFilter={"breakdown": HOSTILE})
    (line,) = (await ask(api, query))["results"]
    assert (line["label"], line["data"]) == (HOSTILE, [0, 0, 1])
    funnel = {
        "kind": "FunnelsQuery",
        "series": [{"kind": "EventsNode", "event": HOSTILE}, {"kind": "EventsNode", "event": "view"}],
        "breakdownFilter": {"breakdown": HOSTILE},
    }
    assert (await ask(api, funnel))["results"][0][0]["breakdown_value"] == [HOSTILE]


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ({"breakdown": "team", "breakdown_type": "person"}, ["red", "$$_posthog_breakdown_null_$$"]),
        ({"breakdown": "concat('x', event)", "breakdown_type": "hogql"}, ["xview"]),
        ({"breakdown": "distinct_id", "breakdown_type": "event_metadata"}, ["ann", "bob"]),
        (
            {"breakdowns": [{"property": "price", "type": "event", "histogram_bin_count": 2}]},
            ["[20.0,30.01]", "[10.0,20.0]"],
        ),
    ],
)
async def test_results_can_be_split_by_what_is_known_of_an_event(api, given, labels):
    answer = await ask(api, trends(breakdownFilter=given))
    assert [one["label"] for one in answer["results"]] == labels


@pytest.mark.usefixtures("events")
async def test_splits_by_cohort_run_once_for_each(api):
    body = {"name": "Red", "is_static": False, "filters": {"properties": {"type": "OR", "values": [
        {"type": "AND", "values": [{"key": "team", "type": "person", "value": "red", "operator": "exact"}]},
    ]}}}  # fmt: skip
    cohort = (await api.post("/api/projects/1/cohorts/", json=body)).json()
    given = {"breakdown_type": "cohort", "breakdown": ["all", cohort["id"]]}
    answer = await ask(api, trends(breakdownFilter=given))
    found = [(one["label"], one["breakdown_value"], one["count"]) for one in answer["results"]]
    assert found == [("all users", "all", 3), ("Red", cohort["id"], 2)]


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    ("math", "expected"),
    [
        ({"math": "unique_group", "math_group_type_index": 0}, [0, 1, 0]),
        ({"math": "hogql", "math_hogql": "sum(toFloat(properties.price)) * 2"}, [20, 100, 0]),
        ({"math": "sum", "math_property": "price", "math_multiplier": 0.1}, [1, 5, 0]),
        ({"math": "monthly_active"}, [1, 2, 2]),
    ],
)
async def test_series_are_counted_in_more_ways(api, math, expected):
    assert await data(api, trends(**math)) == [pytest.approx(expected)]


@pytest.mark.usefixtures("events")
async def test_all_begins_with_the_first_event_of_the_series(api):
    answer = await ask(api, trends(dateRange={"date_from": "all"}))
    assert answer["results"][0]["days"][0] == "2026-03-08"


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    "dates", [{"date_from": "2026-03-09", "date_to": "2200-01-01"}, {"date_from": "2199-01-01"}]
)
async def test_dates_far_ahead_or_the_wrong_way_round_count_what_there_is(api, dates):
    for kind in ("TrendsQuery", "LifecycleQuery", "StickinessQuery"):
        query = {**trends(), "kind": kind, "dateRange": dates, "interval": "month"}
        for one in (await ask(api, query))["results"]:
            assert len(one["data"]) == len(one["days"])
    retained = retention(period="Month") | {"dateRange": dates}
    assert sum(row["values"][1]["count"] for row in (await ask(api, retained))["results"]) == 0


@pytest.mark.usefixtures("events")
async def test_hours_are_buckets_too_and_totals_need_none(api):
    hours = trends(interval="hour", dateRange={"date_from": "-26h"})
    assert sum((await data(api, hours))[0]) == 2
    whole = trends(math="weekly_active", trendsFilter={"display": "BoldNumber"})
    assert (await ask(api, whole))["results"][0]["aggregated_value"] == 2


@pytest.mark.usefixtures("events")
async def test_an_action_that_is_gone_matches_nothing(api):
    query = trends() | {"series": [{"kind": "ActionsNode", "id": 77}]}
    assert await data(api, query) == [[0, 0, 0]]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (trends(math="p99"), "math_property"),
        (trends(math="box_plot"), "box_plot"),
        (trends(trendsFilter={"formula": "A/Z"}), "formula"),
        (trends(trendsFilter={"formula": "__import__('os')"}), "formula"),
        (trends(dateRange={"date_from": "2020-01-01"}, interval="minute"), "intervals"),
        (trends(dateRange={"date_from": "0001-01-01"}, interval="month"), "before 1971"),
        (trends(dateRange={"date_from": "2026-13-45"}), "2026-13-45"),
        (trends() | {"series": []}, "series"),
        (trends() | {"nonsense": 1}, "nonsense"),
        ({"kind": "FunnelsQuery", "series": [{"kind": "EventsNode", "event": "a"}]}, "at least two steps"),
        (
            {"kind": "ActorsQuery", "source": {"kind": "InsightActorsQuery", "source": trends()}},
            "day is required",
        ),
        (
            {
                "kind": "ActorsQuery",
                "source": {
                    "kind": "FunnelsActorsQuery",
                    "funnelStep": -1,
                    "source": {
                        "kind": "FunnelsQuery",
                        "series": [{"kind": "EventsNode", "event": name} for name in "ab"],
                    },
                },
            },
            "funnelStep must be from 1 to 2",
        ),
    ],
)
async def test_what_cannot_be_computed_is_a_400_that_says_why(api, query, words):
    answer = await ask(api, query, status=400)
    assert words in answer["detail"]


def retention(**given: Any) -> Json:
    entity = {"id": "view", "type": "events"}
    filters = {"period": "Day", "targetEntity": entity, "returningEntity": entity, **given}
    return {"kind": "RetentionQuery", "retentionFilter": filters, "dateRange": {"date_from": "-3d"}}


async def test_retention_can_look_at_24_hours_brackets_and_how_often(sandbox, api):
    at = NOW - 3 * DAY
    times = [at, at + 20 * HOUR, at + 25 * HOUR, at + 26 * HOUR, at + 50 * HOUR]
    await sandbox.ingest.accept([event("view", "ann", one, {}) for one in times])

    async def first(**given: Any) -> list[int]:
        rows = (await ask(api, retention(totalIntervals=4, **given)))["results"]
        return [cell["count"] for cell in rows[0]["values"]]

    assert await first() == [1, 1, 1, 0]
    assert await first(timeWindowMode="24_hour_windows") == [1, 1, 1, 0]
    assert await first(minimumOccurrences=2) == [1, 1, 0, 0]
    brackets = (await ask(api, retention(retentionCustomBrackets=[1, 2])))["results"][0]["values"]
    assert brackets == [
        {"count": 1, "label": "Day 0"},
        {"count": 1, "label": "Day 1"},
        {"count": 1, "label": "Day 2-3"},
    ]


async def test_the_actors_of_a_query_by_groups_are_groups(sandbox, api):
    for who, company in (("ann", "acme"), ("bob", "acme"), ("cid", "beta")):
        await sandbox.ingest.accept([event("view", who, NOW - HOUR, {"$groups": {"company": company}})])
    source = trends(math="unique_group", math_group_type_index=0)
    query = {
        "kind": "ActorsQuery",
        "select": ["group", "event_count"],
        "orderBy": ["event_count DESC"],
        "source": {"kind": "InsightActorsQuery", "source": source, "day": "2026-03-10"},
    }
    rows = (await ask(api, query))["results"]
    assert [(row[0]["group_key"], row[1]) for row in rows] == [("acme", 2), ("beta", 1)]


async def test_a_funnel_of_many_people_counts_each_once(sandbox, api):
    people = [f"p{number}" for number in range(300)]
    made = [event("A", who, NOW - HOUR, {}) for who in people]
    made += [event("B", who, NOW - HOUR / 2, {}) for who in people[:120]]
    await sandbox.ingest.accept(made)
    funnel = {
        "kind": "FunnelsQuery",
        "series": [{"kind": "EventsNode", "event": name} for name in "AB"],
        "dateRange": {"date_from": "dStart"},
    }
    assert [step["count"] for step in (await ask(api, funnel))["results"]] == [300, 120]
    actors = {"kind": "FunnelsActorsQuery", "source": funnel, "funnelStep": -2}
    answer = await ask(api, {"kind": "ActorsQuery", "source": actors, "select": ["person"], "limit": 50})
    assert (len(answer["results"]), answer["hasMore"]) == (50, True)


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    "operator", ["exact", "is_not", "gt", "is_date_before", "icontains", "regex", "semver_gt"]
)
async def test_a_filter_with_nothing_to_choose_from_restricts_nothing(api, operator):
    nothing = [{"key": "plan", "type": "event", "operator": operator, "value": []}]
    assert await data(api, trends(properties=nothing)) == [[1, 2, 0]]


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    ("query", "words"),
    [
        (trends(math="weekly_active", interval="minute", dateRange={"date_from": "-3d"}), "longer interval"),
        (
            {
                "kind": "ActorsQuery",
                "source": {
                    "kind": "InsightActorsQuery",
                    "source": trends(
                        math="weekly_active", dateRange={"date_from": "-1d", "date_to": "2026-01-01"}
                    ),
                    "day": "2026-03-09",
                },
            },
            "outside the date range",
        ),
    ],
)
async def test_periods_of_no_use_are_refused_in_words(api, query, words):
    assert words in (await ask(api, query, status=400))["detail"]
