"""Funnels beyond the worked examples: another period beside, optional steps, first times, open windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from insight_examples import ask, event

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.sandbox import Options, Sandbox

if TYPE_CHECKING:
    pass

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Json = dict[str, Any]


@pytest.fixture
def options() -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: NOW)


def day(number: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, number, 9, tzinfo=UTC) + minute * MINUTE


async def happen(sandbox: Sandbox, *listed: tuple[str, str, datetime], **properties: Any) -> None:
    await sandbox.ingest.accept([event(name, who, at, properties) for who, name, at in listed])


def funnel(*steps: str | Json, **more: Any) -> Json:
    nodes = [{"kind": "EventsNode", **({"event": one} if isinstance(one, str) else one)} for one in steps]
    dates = {"date_from": "2026-03-08", "date_to": "2026-03-09"}
    return {"kind": "FunnelsQuery", "series": nodes, "dateRange": dates, **more}


COMPARED = {"compareFilter": {"compare": True}}


async def test_a_funnel_is_compared_with_the_period_before_step_by_step(sandbox, api):
    await happen(
        sandbox,
        *(("ann", "A", day(6)), ("ann", "B", day(6, 1)), ("bob", "A", day(7)), ("cid", "A", day(7))),
        *(("dan", "A", day(8)), ("dan", "B", day(8, 5)), ("eve", "A", day(9))),
    )
    steps = (await ask(api, funnel("A", "B", **COMPARED)))["results"]
    assert [(one["compare_label"], one["order"], one["count"]) for one in steps] == [
        ("current", 0, 2),
        ("current", 1, 1),
        ("previous", 0, 3),
        ("previous", 1, 1),
    ]
    assert [one["average_conversion_time"] for one in steps] == [None, 300, None, 60]

    dropped = {"kind": "FunnelsActorsQuery", "funnelStep": -2, "compare": "previous"}
    source = {**dropped, "source": funnel("A", "B", **COMPARED)}
    rows = (await ask(api, {"kind": "ActorsQuery", "source": source, "select": ["person"]}))["results"]
    assert sorted(row[0]["distinct_ids"][0] for row in rows) == ["bob", "cid"]


async def test_a_period_without_anybody_shows_zeros_beside_the_other(sandbox, api):
    await happen(sandbox, ("dan", "A", day(8)))
    steps = (await ask(api, funnel("A", "B", **COMPARED)))["results"]
    assert [(one["compare_label"], one["count"]) for one in steps] == [
        ("current", 1),
        ("current", 0),
        ("previous", 0),
        ("previous", 0),
    ]


async def test_values_and_time_are_compared_as_well(sandbox, api):
    await happen(sandbox, ("ann", "A", day(6)), ("ann", "B", day(6, 1)), plan="pro")
    await happen(sandbox, ("dan", "A", day(8)), plan="free")
    found = (await ask(api, funnel("A", "B", breakdownFilter={"breakdown": "plan"}, **COMPARED)))["results"]
    assert [
        (steps[0]["breakdown_value"], [(one["compare_label"], one["count"]) for one in steps])
        for steps in found
    ] == [
        (["free"], [("current", 1), ("current", 0)]),
        (["pro"], [("previous", 1), ("previous", 1)]),
    ]
    lines = (await ask(api, funnel("A", "B", funnelsFilter={"funnelVizType": "trends"}, **COMPARED)))[
        "results"
    ]
    assert [(one["compare_label"], one["days"], one["data"]) for one in lines] == [
        ("current", ["2026-03-08", "2026-03-09"], [0, 0]),
        ("previous", ["2026-03-06", "2026-03-07"], [100, 0]),
    ]


async def test_an_optional_step_can_be_left_out_and_is_counted_where_it_was_not(sandbox, api):
    await happen(
        sandbox,
        # All three; without the optional one; only as far as the optional one; the optional one too late.
        *(("ann", "A", day(8)), ("ann", "B", day(8, 2)), ("ann", "C", day(8, 5))),
        *(("bob", "A", day(8)), ("bob", "C", day(8, 4))),
        *(("cid", "A", day(8)), ("cid", "B", day(8, 1))),
        *(("dan", "A", day(8)), ("dan", "C", day(8, 1)), ("dan", "B", day(8, 2))),
        ("eve", "C", day(8)),
    )
    optional = {"event": "B", "optionalInFunnel": True}
    steps = (await ask(api, funnel("A", optional, "C")))["results"]
    assert [one["count"] for one in steps] == [4, 2, 3]
    # B: 120 and 60 seconds after A. C: 180 after B, 240 and 60 after A.
    assert [one["average_conversion_time"] for one in steps] == [None, 90, 160]
    plain = (await ask(api, funnel("A", "B", "C")))["results"]
    assert [one["count"] for one in plain] == [4, 3, 1]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (funnel({"event": "A", "optionalInFunnel": True}, "B"), "first step"),
        (
            funnel(
                "A",
                {"event": "B", "optionalInFunnel": True},
                funnelsFilter={"funnelOrderType": "strict"},
            ),
            "optional only in ordered funnels",
        ),
        (
            funnel("A", "B", funnelsFilter={"funnelVizType": "time_to_convert"}, **COMPARED),
            "steps or trends",
        ),
        (funnel("A", {"event": "B", "math": "sum", "math_property": "x"}), "not by sum"),
    ],
)
async def test_what_funnels_cannot_do_is_refused_in_words(api, query, words):
    assert words in (await ask(api, query, status=400))["detail"]


async def test_a_step_can_be_the_first_time_a_person_ever_did_it(sandbox, api):
    # Ann did it before the period; Bob first without the property; Cid with it at once.
    await happen(sandbox, ("ann", "A", day(1)), ("ann", "A", day(8)), ("cid", "A", day(8)), plan="pro")
    await happen(sandbox, ("bob", "A", day(8)), plan="free")
    await happen(sandbox, ("bob", "A", day(8, 2)), plan="pro")
    await happen(sandbox, *((who, "B", day(8, 5)) for who in ("ann", "bob", "cid")))
    pro = [{"key": "plan", "value": "pro", "operator": "exact", "type": "event"}]

    async def counts(**step: Any) -> list[int]:
        steps = (await ask(api, funnel({"event": "A", "properties": pro, **step}, "B")))["results"]
        return [one["count"] for one in steps]

    assert await counts() == [3, 3]
    assert await counts(math="first_time_for_user") == [1, 1]
    assert await counts(math="first_time_for_user_with_filters") == [2, 2]


async def test_periods_whose_window_is_open_can_be_left_out_of_a_funnel_over_time(sandbox, api):
    await happen(sandbox, ("ann", "A", day(8)), ("ann", "B", day(8, 1)), ("bob", "A", day(10)))
    shown = {"funnelVizType": "trends", "funnelWindowInterval": 1, "funnelWindowIntervalUnit": "day"}
    query = funnel("A", "B", funnelsFilter=shown, dateRange={"date_from": "2026-03-07"})
    (line,) = (await ask(api, query))["results"]
    assert (line["data"], line["count"]) == ([0, 100, 0, 0], 4)
    query["funnelsFilter"] = shown | {"hideIncompleteConversionWindowPeriods": True}
    (line,) = (await ask(api, query))["results"]
    query["funnelsFilter"]["funnelWindowInterval"] = 100_000
    query["funnelsFilter"]["funnelWindowIntervalUnit"] = "month"
    assert (await ask(api, query))["results"][0]["data"] == []
    # Who began at the end of the 9th has until the end of the 10th, which is not over.
    assert (line["data"], line["days"], line["count"]) == ([0, 100], ["2026-03-07", "2026-03-08"], 2)


async def test_a_flow_is_drawn_from_the_numbers_of_the_steps(sandbox, api):
    await happen(sandbox, ("ann", "A", day(8)), ("ann", "B", day(8, 1)), ("bob", "A", day(8)))
    steps = (await ask(api, funnel("A", "B")))["results"]
    assert (await ask(api, funnel("A", "B", funnelsFilter={"funnelVizType": "flow"})))["results"] == steps
    assert [one["count"] for one in steps] == [2, 1]


async def test_only_the_days_of_the_week_asked_for_count_in_a_funnel(sandbox, api):
    # The 8th was a Sunday, the 9th a Monday.
    await happen(
        sandbox, ("ann", "A", day(8)), ("ann", "B", day(9)), ("bob", "A", day(9)), ("bob", "B", day(9, 1))
    )
    query = funnel("A", "B")
    query["dateRange"]["daysOfWeek"] = [1]
    assert [one["count"] for one in (await ask(api, query))["results"]] == [1, 1]


async def test_the_events_behind_a_point_are_those_that_were_counted(sandbox, api):
    await happen(sandbox, ("ann", "A", day(8)), ("ann", "A", day(8, 1)), ("bob", "A", day(9)), plan="pro")
    await happen(sandbox, ("cid", "A", day(8)), plan="free")
    nodes = [{"kind": "EventsNode", "event": "A"}]
    dates = {"date_from": "2026-03-07"}
    split = {"breakdownFilter": {"breakdown": "plan"}}
    source = {"kind": "TrendsQuery", "series": nodes, "dateRange": dates, **split}
    point = {"kind": "InsightActorsQuery", "source": source, "day": "2026-03-08", "breakdown": "pro"}
    query = {"kind": "EventsQuery", "select": ["distinct_id", "timestamp"], "after": "all", "source": point}
    rows = (await ask(api, query))["results"]
    assert [(row[0], row[1][:16]) for row in rows] == [
        ("ann", "2026-03-08T09:01"),
        ("ann", "2026-03-08T09:00"),
    ]
    # Active in the 7 days up to the 9th, each event once.
    source |= {"series": [{**nodes[0], "math": "weekly_active"}], "breakdownFilter": None}
    weekly = query | {"source": {**point, "source": source, "day": "2026-03-09", "breakdown": None}}
    assert len((await ask(api, weekly))["results"]) == 4
    first = {**point, "source": {**source, "series": [{**nodes[0], "math": "first_time_for_user"}]}}
    rows = (await ask(api, query | {"source": {**first, "breakdown": None}}))["results"]
    assert sorted(row[0] for row in rows) == ["ann", "cid"]

    other = {"kind": "InsightActorsQuery", "source": funnel("A", "B")}
    refused = await ask(api, query | {"source": other}, status=400)
    assert "not of a FunnelsQuery" in refused["detail"]
