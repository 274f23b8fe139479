"""Queries put together at random from what PostHog's schema allows, sense or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

Json = dict[str, Any]
EVENTS = ("A", "B", "C", "$pageview", "nothing", None, "")
MATHS = (
    "total", "dau", "weekly_active", "monthly_active", "unique_session", "unique_group",
    "first_time_for_user", "first_matching_event_for_user", "sum", "avg", "median", "p99",
    "avg_count_per_actor", "hogql",
)  # fmt: skip
INTERVALS = ("minute", "hour", "day", "week", "month")
FILTERS: tuple[Json, ...] = (
    {"type": "event", "key": "price", "operator": "gt", "value": 5},
    {"type": "event", "key": "plan", "operator": "is_date_before", "value": []},
    {"type": "person", "key": "team", "operator": "exact", "value": ["red", "blue"]},
    {"type": "session", "key": "$session_duration", "operator": "lt", "value": 900},
    {"type": "cohort", "key": "id", "value": 1},
    {"type": "group", "group_type_index": 4, "key": "seats", "operator": "is_set"},
    {"type": "hogql", "key": "properties.plan = 'x' or 1 = 1"},
)


def query(draw: random.Random) -> Json:
    """One query of any kind of insight."""
    make = draw.choice((_trends, _funnel, _retention, _paths, _stickiness, _lifecycle))
    return {**_common(draw), **make(draw)}


def _common(draw: random.Random) -> Json:
    dates: Json = {}
    if draw.random() < 0.8:
        starts = ("-7d", "-24h", "all", "-1mStart", "-1yEnd", "2026-03-01", "2199-01-01", "-0d", "nonsense")
        dates["date_from"] = draw.choice(starts)
    if draw.random() < 0.4:
        dates["date_to"] = draw.choice(("-1d", "2030-01-01", "dStart", "1990-01-01"))
    dates |= {"explicitDate": draw.random() < 0.2}
    properties = [draw.choice(FILTERS)] if draw.random() < 0.3 else []
    return {"dateRange": dates, "properties": properties, "filterTestAccounts": draw.random() < 0.3}


def _node(draw: random.Random, math: bool = True) -> Json:
    node = {"kind": "EventsNode", "event": draw.choice(EVENTS)}
    counted = {"math": draw.choice(MATHS), "math_property": "price", "math_hogql": "count()"}
    return node | (counted if math else {})


def _split(draw: random.Random) -> Json | None:
    bins = draw.choice((None, None, 5))
    one = {"property": draw.choice(("plan", "price", "team")), "type": draw.choice(("event", "person"))}
    return draw.choice(
        (
            None,
            {"breakdowns": [one | {"histogram_bin_count": bins}], "breakdown_limit": 1},
            {"breakdown": [1, "all"], "breakdown_type": "cohort"},
        )
    )


def _compared(draw: random.Random) -> Json | None:
    return draw.choice(
        (None, {"compare": True}, {"compare": True, "compare_to": draw.choice(("-1y", "-1h"))})
    )


def _trends(draw: random.Random) -> Json:
    shown = ({"display": "BoldNumber"}, {"display": "ActionsLineGraphCumulative"}, {"formula": "A/A"}, None)
    return {
        "kind": "TrendsQuery",
        "series": [_node(draw)],
        "interval": draw.choice(INTERVALS),
        "breakdownFilter": _split(draw),
        "compareFilter": _compared(draw),
        "trendsFilter": draw.choice(shown),
    }


def _funnel(draw: random.Random) -> Json:
    return {
        "kind": "FunnelsQuery",
        "series": [_node(draw, math=False) for _ in range(draw.randint(2, 4))],
        "interval": draw.choice(INTERVALS),
        "compareFilter": _compared(draw),
        "aggregation_group_type_index": draw.choice((None, 4)),
        "funnelsFilter": {
            "funnelVizType": draw.choice(("steps", "trends", "flow")),
            "funnelOrderType": draw.choice(("ordered", "strict", "unordered")),
            "funnelWindowInterval": draw.choice((1, 100_000)),
            "funnelWindowIntervalUnit": draw.choice(("second", "month")),
            "hideIncompleteConversionWindowPeriods": draw.random() < 0.5,
        },
    }


def _retention(draw: random.Random) -> Json:
    return {
        "kind": "RetentionQuery",
        "retentionFilter": {
            "period": draw.choice(("Hour", "Day", "Week", "Month")),
            "totalIntervals": draw.choice((1, 8, 60)),
            "targetEntity": {"id": draw.choice(EVENTS)},
            "retentionType": draw.choice((None, "retention_first_time", "retention_first_ever_occurrence")),
            "timeWindowMode": draw.choice((None, "24_hour_windows")),
            "retentionCustomBrackets": draw.choice((None, [1, 2, 30])),
        },
    }


def _paths(draw: random.Random) -> Json:
    included = draw.choice((None, ["$pageview"], ["custom_event"]))
    cleaned = draw.choice((None, [{"regex": "(", "alias": "x"}], [{"regex": "[0-9]+", "alias": "\\1"}]))
    filters = {"includeEventTypes": included, "localPathCleaningFilters": cleaned, "startPoint": "A"}
    return {"kind": "PathsQuery", "pathsFilter": filters}


def _stickiness(draw: random.Random) -> Json:
    criteria = {"operator": draw.choice(("gte", "lte", "exact")), "value": draw.choice((0, 1, -1, 99))}
    return {
        "kind": "StickinessQuery",
        "series": [_node(draw)],
        "interval": draw.choice(INTERVALS),
        "intervalCount": draw.choice((None, 2, 999)),
        "compareFilter": _compared(draw),
        "stickinessFilter": {"stickinessCriteria": criteria},
    }


def _lifecycle(draw: random.Random) -> Json:
    return {
        "kind": "LifecycleQuery",
        "series": [_node(draw, math=False)],
        "interval": draw.choice(INTERVALS),
    }
