"""Property filters, `{filters}`, dates, and the query kinds made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from compiler_project import ANN, BOB, NOW, WORLD, Ask

from posthog_mcp.hogql import ast, parse
from posthog_mcp.sandbox.compiler import (
    EVENT_FIELDS,
    CompileError,
    World,
    actors_query,
    api_rows,
    date_range,
    events_query,
    fill_filters,
    parse_date,
    property_filters,
)

pytestmark = pytest.mark.xdist_group("compiler")

ORDERS = "select distinct_id from events where event = 'order placed' and {filters} order by 1"


def event(key: str, operator: str, value: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "event", "key": key, "operator": operator, "value": value, **more}


@pytest.mark.parametrize(
    ("one", "who"),
    [
        (event("plan", "exact", "pro"), ["ann"]),
        (event("plan", "exact", ["pro", "free"]), ["ann", "bob"]),
        ({"key": "plan", "value": "pro"}, ["ann"]),
        (event("plan", "is_not", "pro"), ["bob"]),
        (event("quantity", "is_not", "7"), ["bob"]),
        (event("quantity", "is_not", ["7", "8"]), ["bob"]),
        (event("plan", "icontains", "RO"), ["ann"]),
        (event("quantity", "not_icontains", "7"), ["bob"]),
        (event("plan", "icontains", "%"), []),
        (event("plan", "starts_with", "p"), ["ann"]),
        (event("plan", "not_ends_with", "o"), ["bob"]),
        (event("plan", "regex", "^f"), ["bob"]),
        (event("quantity", "not_regex", "7"), ["bob"]),
        (event("total", "gt", 10), ["ann"]),
        (event("total", "gte", "10"), ["ann", "bob"]),
        (event("quantity", "lt", 8), ["ann"]),
        (event("total", "between", [5, 20]), ["bob"]),
        (event("total", "not_between", [5, 20]), ["ann"]),
        (event("quantity", "is_set"), ["ann"]),
        (event("empty", "is_set"), ["ann"]),
        (event("quantity", "is_not_set"), ["bob"]),
        (event("paid", "exact", ["true"]), ["ann"]),
        (event("paid", "exact", True), ["ann"]),
        (event("ordered_at", "is_date_before", "2026-03-02"), ["ann"]),
        (event("ordered_at", "is_date_after", "-30d"), ["ann"]),
        (event("ordered_at", "is_date_exact", "2026-03-01"), ["ann"]),
        (event("$current_url", "is_cleaned_path_exact", "https://shop.test/early/"), ["ann"]),
        (event("quantity", "semver_gt", "6.9.9"), ["ann"]),
        (event("quantity", "semver_eq", "v7"), ["ann"]),
        ({"type": "person", "key": "plan", "operator": "exact", "value": "pro"}, ["ann"]),
        ({"type": "person", "key": "seats", "operator": "gt", "value": 5}, ["ann"]),
        (
            {"type": "group", "key": "tier", "operator": "exact", "value": "big", "group_type_index": 0},
            ["ann"],
        ),
        ({"type": "session", "key": "$session_duration", "operator": "gt", "value": 4}, ["ann"]),
        ({"type": "cohort", "key": "id", "value": 5}, ["ann"]),
        ({"type": "cohort", "key": "id", "value": 5, "operator": "not_in"}, ["bob"]),
        ({"type": "hogql", "key": "properties.total > 10 and person.properties.plan = 'pro'"}, ["ann"]),
        ({"type": "event_metadata", "key": "distinct_id", "operator": "exact", "value": "bob"}, ["bob"]),
        (
            {
                "type": "OR",
                "values": [
                    event("plan", "exact", "pro"),
                    {"type": "AND", "values": [event("plan", "exact", "free")]},
                ],
            },
            ["ann", "bob"],
        ),
        ({"type": "AND", "values": []}, ["ann", "bob"]),
        ([event("plan", "exact", "pro"), event("total", "lt", 1)], []),
        ([], ["ann", "bob"]),
        (None, ["ann", "bob"]),
    ],
)
async def test_property_filters_choose_rows(ask: Ask, one: Any, who: list[str]):
    properties = one if isinstance(one, list) or one is None else [one]
    query = fill_filters(parse(ORDERS), {"properties": properties}, WORLD)
    assert (await ask(query)).column == who


@pytest.mark.parametrize(
    ("one", "count"),
    [
        ({"key": "selector", "operator": "exact", "value": "button.buy"}, 1),
        ({"key": "selector", "operator": "exact", "value": "div > .big[data-x]"}, 0),
        ({"key": "selector", "operator": "exact", "value": "div button#go"}, 1),
        ({"key": "selector", "operator": "is_not", "value": "button.buy"}, 7),
        ({"key": "tag_name", "operator": "exact", "value": ["a", "button"]}, 1),
        ({"key": "text", "operator": "exact", "value": "Buy now"}, 1),
        ({"key": "text", "operator": "icontains", "value": "buy"}, 1),
        ({"key": "text", "operator": "not_icontains", "value": "buy"}, 7),
        ({"key": "href", "operator": "exact", "value": "/pay"}, 1),
    ],
)
async def test_element_filters_look_into_the_chain(ask: Ask, one: dict[str, Any], count: int):
    query = fill_filters(
        parse("select count() from events where {filters}"),
        {"properties": [{"type": "element", **one}]},
        WORLD,
    )
    assert (await ask(query)).value == count


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (event("plan", "exactly", "x"), "Unknown operator 'exactly' on 'plan'. Did you mean \"exact\"?"),
        (event("plan", "exact"), "The filter on 'plan' needs a value."),
        (event("", "exact", 1), "A property filter needs a key."),
        (
            event("plan", "exact", {"a": 1}),
            "A filter's value must be text, a number, a boolean or a list of them.",
        ),
        (
            {"type": "behavioral", "key": "x", "value": 1},
            "Property filters of type 'behavioral' cannot be run",
        ),
        ({"type": "cohort", "value": "x"}, "A cohort filter needs the cohort's id"),
        ({"type": "group", "key": "x", "value": 1}, "group_type_index"),
        ({"type": "hogql", "key": "1 +"}, "(in '1 +')"),
        ({"type": "AND", "values": 1}, "needs a list of values"),
        ("plan", "must be an object"),
    ],
)
def test_a_wrong_filter_is_named(one: Any, message: str):
    with pytest.raises(CompileError) as caught:
        property_filters([one])
    assert message in caught.value.message


async def test_filters_placeholder_takes_range_properties_and_test_accounts(ask: Ask):
    filters = {"dateRange": {"date_from": "-1dStart", "date_to": "dStart"}, "filterTestAccounts": True}
    query = "select count() from events where {filters}"
    assert (await ask(fill_filters(parse(query), filters, WORLD))).value == 3
    assert (await ask(fill_filters(parse(query), {"filterTestAccounts": True}, WORLD))).value == 6
    assert (await ask(fill_filters(parse(query), None, WORLD))).value == 8


async def test_filters_apply_to_the_table_that_is_read(ask: Ask):
    filters = {"dateRange": {"date_from": "2026-03-11"}}
    sessions = "select count() from sessions s where {filters}"
    assert (await ask(fill_filters(parse(sessions), filters, WORLD))).value == 1
    inner = "select max(n) from (select count() n from events where {filters} group by distinct_id)"
    assert (await ask(fill_filters(parse(inner), filters, WORLD))).value == 2
    with pytest.raises(CompileError, match="'filters' placeholder"):
        fill_filters(parse("select 1 from numbers(3) where {filters}"), filters, WORLD)


async def test_the_bounds_of_the_range_can_be_named(ask: Ask):
    query = parse("select {filters.dateRange.from}, {filters.dateRange.to}")
    answer = await ask(fill_filters(query, {"dateRange": {"date_from": "-1dStart"}}, WORLD))
    assert answer.rows == [["2026-03-10T00:00:00.000000Z", None]]


def test_other_placeholders_are_left_to_the_values():
    query = parse("select {x} from events where {filters}")
    filled = fill_filters(query, None, WORLD)
    assert isinstance(filled, ast.SelectQuery)
    assert isinstance(filled.select[0], ast.Placeholder)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-7d", "2026-03-04T10:20:30"),
        ("7d", "2026-03-04T10:20:30"),
        ("dStart", "2026-03-11T00:00:00"),
        ("-1dEnd", "2026-03-10T23:59:59.999999"),
        ("-1mStart", "2026-02-01T10:20:30"),
        ("-1mEnd", "2026-02-28T10:20:30"),
        ("yStart", "2026-01-01T10:20:30"),
        ("-1q", "2025-12-10T10:20:30"),
        ("-1y", "2025-03-11T10:20:30"),
        ("-48h", "2026-03-09T10:20:30"),
        ("hStart", "2026-03-11T10:00:00"),
        ("-90M", "2026-03-11T08:50:30"),
        ("-30s", "2026-03-11T10:20:00"),
        ("-2w", "2026-02-25T10:20:30"),
        ("2026-3-1", "2026-03-01T00:00:00"),
        ("2026-03-01T9:05", "2026-03-01T09:05:00"),
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00"),
        ("-7D", "2026-03-11T10:20:30"),
        ("soon?", "2026-03-11T10:20:30"),
    ],
)
def test_dates_are_read_as_posthog_reads_them(text: str, expected: str):
    world = World(now=datetime(2026, 3, 11, 10, 20, 30, tzinfo=UTC))
    assert parse_date(text, world).moment == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_month_back_from_the_31st_is_the_last_day():
    world = World(now=datetime(2026, 3, 31, 10, tzinfo=UTC))
    assert parse_date("-1m", world).moment.date().isoformat() == "2026-02-28"


def test_dates_that_do_not_exist_are_refused():
    for text in ("2026-02-30", "-9999y"):
        with pytest.raises(CompileError):
            parse_date(text, WORLD)


@pytest.mark.parametrize(
    ("given", "interval", "zone", "now", "expected"),
    [
        (
            {},
            "day",
            "UTC",
            "2026-03-11T10:20:30",
            ("2026-03-04T00:00:00+00:00", "2026-03-11T23:59:59.999999+00:00"),
        ),
        (
            {"date_from": "-48h"},
            "hour",
            "UTC",
            "2026-03-11T10:20:30",
            ("2026-03-09T10:00:00+00:00", "2026-03-11T10:59:59.999999+00:00"),
        ),
        (
            {"date_from": "-24h"},
            "day",
            "UTC",
            "2026-03-11T10:20:30",
            ("2026-03-10T10:00:00+00:00", "2026-03-11T23:59:59.999999+00:00"),
        ),
        (
            {"date_from": "2026-03-09 05:00:00", "date_to": "2026-03-09 07:00:00"},
            "hour",
            "UTC",
            "2026-03-11T10:20:30",
            ("2026-03-09T05:00:00+00:00", "2026-03-09T07:00:00+00:00"),
        ),
        (
            {"date_from": "2026-03-09T05:30:00", "date_to": "2026-03-10T07:15:00", "explicitDate": True},
            "day",
            "UTC",
            "2026-03-11T10:20:30",
            ("2026-03-09T05:30:00+00:00", "2026-03-10T07:15:00+00:00"),
        ),
        (
            {"date_from": "2026-03-09T02:00:00Z", "date_to": "2026-03-09T23:00:00Z"},
            "day",
            "America/New_York",
            "2026-03-11T10:20:30",
            ("2026-03-08T22:00:00-04:00", "2026-03-09T23:59:59.999999-04:00"),
        ),
        (
            {"date_from": "-3d"},
            "day",
            "America/New_York",
            "2026-03-09T15:00:00",
            ("2026-03-06T00:00:00-05:00", "2026-03-09T23:59:59.999999-04:00"),
        ),
    ],
)
def test_ranges_are_cut_and_padded(
    given: dict[str, Any], interval: Any, zone: str, now: str, expected: tuple[str, str]
):
    world = World(now=datetime.fromisoformat(now).replace(tzinfo=UTC), timezone=zone)
    start, end = date_range(given, world, interval)
    assert (start.isoformat(), end.isoformat()) == expected
    assert start.tzinfo == ZoneInfo(zone)


async def test_an_events_query_lists_event_objects_newest_first(ask: Ask):
    answer = await ask(events_query({"select": ["*", "person"], "limit": 2}, WORLD), one_more=True)
    assert answer.columns == ["*", "person"]
    assert answer.limit == 2
    first = dict(zip(EVENT_FIELDS, answer.rows[0][0], strict=True))
    assert (first["event"], first["team_id"], answer.rows[0][1]) == ("survey sent", 1, "ann")
    assert len(answer.rows) == 3


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ({"select": ["event"], "event": "seen"}, [["seen"]]),
        ({"select": ["event"], "events": ["seen", "order placed"]}, [["order placed"], ["seen"]]),
        (
            {"select": ["event"], "personId": BOB, "orderBy": ["timestamp DESC"]},
            [["order placed"], ["$pageview"]],
        ),
        ({"select": ["event"], "actionId": 3}, [["$autocapture"], ["order placed"]]),
        ({"select": ["event"], "where": ["event like 's%'", "distinct_id != 'ann'"]}, [["seen"]]),
        ({"select": ["event"], "properties": [event("total", "gt", 1)]}, [["order placed"]]),
        (
            {"select": ["event", "count()"], "after": "all", "limit": 2},
            [["$pageview", 3], ["order placed", 2]],
        ),
        (
            {"select": ["event", "count() as n"], "after": "all", "where": ["count() = 2"]},
            [["order placed", 2]],
        ),
        (
            {
                "select": ["properties.total -- Total", "event"],
                "after": "2026-03-10",
                "before": "2026-03-11",
                "orderBy": ["timestamp"],
            },
            [[42.5, "order placed"], [None, "$pageview"], [None, "$pageview"]],
        ),
        ({"select": ["event"], "after": "-1h", "filterTestAccounts": True}, [["survey sent"]]),
        ({"select": ["event"], "orderBy": ["timestamp"], "limit": 1, "offset": 1}, [["order placed"]]),
    ],
)
async def test_events_queries_filter_group_and_order(ask: Ask, body: dict[str, Any], rows: list[list[Any]]):
    assert (await ask(events_query(body, WORLD))).rows == rows


async def test_an_actors_query_finds_persons(ask: Ask):
    answer = await ask(actors_query({"select": ["person", "properties.plan"]}, WORLD))
    assert answer.columns == ["person", "properties.plan"]
    assert sorted(answer.rows) == [[ANN, "pro"], [BOB, "team"]]
    for search in ("ann@", "ANN", ANN[-12:]):
        assert (await ask(actors_query({"select": ["id"], "search": search}, WORLD))).column == [ANN]
    pro = {
        "select": ["id"],
        "properties": [{"type": "person", "key": "plan", "value": "pro", "operator": "exact"}],
    }
    assert (await ask(actors_query(pro, WORLD))).column == [ANN]
    cohort = {
        "select": ["id"],
        "properties": [{"type": "cohort", "key": "id", "value": 5, "operator": "not_in"}],
    }
    assert (await ask(actors_query(cohort, WORLD))).column == [BOB]
    source = parse("select person_id from events where event = '$autocapture'")
    assert (await ask(actors_query({"select": ["id"]}, WORLD, source))).column == [ANN]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"select": "event"}, "select must be a list of texts."),
        ({"select": ["event)"]}, "(in 'event)')"),
        ({"select": ["event"], "orderBy": ["timestamp limit 5"]}, "orderBy must hold expressions"),
        ({"select": ["event"], "limit": -1}, "limit must be a whole number"),
        ({"select": ["event"], "actionId": 99}, "Could not find an action"),
    ],
)
def test_a_wrong_query_object_is_refused(body: dict[str, Any], message: str):
    with pytest.raises(CompileError) as caught:
        events_query(body, WORLD)
    assert message in caught.value.message


def test_moments_are_shown_in_project_time_without_empty_fractions():
    rows = [
        [
            "2026-03-01T10:00:00.000000Z",
            "2026-03-01T10:00:00.120000Z",
            ["2026-03-01T10:00:00Z"],
            "2026-03-01T10:00:00.000000Z",
            None,
        ]
    ]
    types = [
        "DateTime64(6, 'UTC')",
        "DateTime64(6, 'UTC')",
        "Array(DateTime)",
        "String",
        "Nullable(DateTime)",
    ]
    assert api_rows(rows, types, "UTC") == [
        [
            "2026-03-01T10:00:00Z",
            "2026-03-01T10:00:00.120000Z",
            ["2026-03-01T10:00:00Z"],
            "2026-03-01T10:00:00.000000Z",
            None,
        ]
    ]
    assert api_rows([rows[0][:1]], types[:1], "Asia/Tokyo") == [["2026-03-01T19:00:00+09:00"]]


def test_now_is_the_worlds():
    assert parse_date("-0d", WORLD).moment == NOW
