"""Notes name what may be a mistake, and keep silent about what cannot be known."""

import time

import pytest
from test_hogql_parser import CORPUS

from posthog_mcp.hogql import Schema, notes, parse
from posthog_mcp.hogql.tables import FUNCTIONS, TABLES

PROJECT = Schema(
    events={"$pageview", "order placed", "signed up"},
    event_properties={"$browser", "$current_url", "total"},
    person_properties={"email", "plan"},
)


def noted(text: str, schema: Schema = PROJECT) -> list[str]:
    return notes(parse(text), schema)


def about(text: str) -> list[str]:
    """Notes on a condition and columns, in a query with a time range and a limit."""
    return noted(f"select {text} from events where timestamp > now() limit 5")


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("evnt", "There may be no column of events `evnt`; did you mean `event`?"),
        ("EVENT", "There may be no column of events `EVENT`; did you mean `event`?"),
        ("zzz", "There may be no column of events `zzz`: it is not among those known."),
        ("events.evnt", "There may be no column of events `evnt`; did you mean `event`?"),
        ("properties.$browsr", "There may be no event property `$browsr`; did you mean `$browser`?"),
        ("properties['totl']", "There may be no event property `totl`; did you mean `total`?"),
        ("person.properties.emial", "There may be no person property `emial`; did you mean `email`?"),
        (
            "countIf(event = 'order placd')",
            "There may be no event `order placd`; did you mean `order placed`?",
        ),
        ("event in ('signed up', 'sined up')", "There may be no event `sined up`; did you mean `signed up`?"),
        (
            "toStartOfDays(timestamp)",
            "Function `toStartOfDays` is not among those known; did you mean `toStartOfDay`?",
        ),
        ("lenght(event)", "Function `lenght` is not among those known; did you mean `length`?"),
    ],
)
def test_an_unknown_name_is_noted_with_the_nearest(text: str, note: str):
    assert about(text) == [note]


@pytest.mark.parametrize(
    "text",
    [
        "event",
        "e -> e",
        "events.event",
        "properties.total",
        "properties.total.deeper",
        "person.properties.email",
        "COUNT()",
        "uniqIf(a, b) as a, 1 as b",
        "sumOrNullIf(1, 2)",
        "arrayMap(x -> x, [1])",
        "company.properties.plan",
        "group_0.properties.plan",
        "session.$session_duration",
        "$group_0",
        "event as seen, seen",
        "* ",
        "events.*",
        "myOwnThing(1)",
        "(select 1)",
        "event like 'ord%'",
        "properties.$browser = 'anything'",
        "cast(event as String)",
        "case when event = 'signed up' then 1 end",
        "case event when 'a' then 1 end",
        "event is not distinct from 'b'",
    ],
)
def test_what_is_known_or_cannot_be_known_is_not_noted(text: str):
    assert about(text) == []


def test_a_table_is_noted_and_its_columns_are_then_left_alone():
    assert noted("select zzz from evnts limit 5") == ["There may be no table `evnts`; did you mean `events`?"]


def test_columns_of_joined_tables_are_known_by_alias():
    joined = "events e join persons p on p.id = e.person_id"
    text = f"select e.event, p.emial, p.properties.plam from {joined} where e.timestamp > 1 limit 1"
    assert sorted(noted(text)) == [
        "There may be no column of persons `emial`: it is not among those known.",
        "There may be no person property `plam`; did you mean `plan`?",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "with a as (select 1 as x) select zzz from a limit 1",
        "select zzz from (select 1) limit 1",
        "select zzz from numbers(5) as n (zzz) limit 1",
        "select zzz from {table} limit 1",
        "select uuid from events e where timestamp > exists (select 1 from groups where key = e.x) limit 1",
    ],
)
def test_columns_of_what_is_not_known_are_not_noted(text: str):
    assert noted(text) == []


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("select event from events limit 5", "timestamp"),
        ("select id from sessions where $channel_type = 'Direct' limit 5", "$start_timestamp"),
    ],
)
def test_a_missing_time_range_is_noted(text: str, column: str):
    (note,) = noted(text)
    assert note.startswith("No time range on ")
    assert f"`{column} > now() - INTERVAL 7 DAY`" in note


@pytest.mark.parametrize(
    "where",
    [
        "timestamp > now()",
        "prewhere timestamp > now()",
        "{filters}",
        "toDate(timestamp) = today() and event = '$pageview'",
        "events.timestamp > {since}",
    ],
)
def test_a_time_range_is_seen_in_every_form(where: str):
    where = where if where.startswith("prewhere") else f"where {where}"
    assert noted(f"select event from events {where} limit 5") == []


def test_a_missing_time_range_in_a_subquery_is_noted():
    assert len(noted("select n from (select event as n from events) limit 5")) == 1


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("select key from groups", True),
        ("select key from groups limit 5", False),
        ("select count() from groups", False),
        ("select count() + 1 as n, max(key) from groups", False),
        ("select round(sumIf(1, 2), 2) from groups", False),
        ("select index, count() from groups group by index", True),
        ("select arrayJoin(groupArray(key)) from groups", True),
        ("select arrayJoin([1, 2])", True),
        ("select key from groups union all select 'a'", True),
        ("select key from groups union all select 'a' limit 5", False),
        ("(select key from groups union all select 'a') limit 5", False),
    ],
)
def test_a_missing_limit_is_noted_where_there_may_be_many_rows(text: str, missing: bool):
    assert [
        note for note in noted(text) if note.startswith("No LIMIT: PostHog returns the first 100 rows.")
    ] == noted(text)
    assert bool(noted(text)) is missing


def test_unknown_events_and_properties_are_not_looked_up_without_a_list():
    assert (
        noted("select properties.zzz from events where event = 'zzz' and timestamp > now() limit 1", Schema())
        == []
    )


def test_notes_are_few():
    found = about(", ".join(f"column_{number}" for number in range(40)))
    assert len(found) == 12
    assert found[-1] == "29 more of the kind."


def test_the_corpus_of_real_questions_has_no_unknown_names():
    for text in CORPUS[:60]:
        assert [
            note for note in noted(text, Schema()) if "No LIMIT" not in note and "No time" not in note
        ] == [], text


def test_a_hostile_query_does_not_take_long():
    many = ", ".join(f"toDateTimf{number}(x{number})" for number in range(2000))
    query = parse(f"select {many} from events" + "".join(f", events e{number}" for number in range(200)))
    started = time.process_time()
    notes(query, PROJECT)
    assert time.process_time() - started < 0.5


def test_known_tables_and_functions_are_shipped():
    assert {
        "events",
        "persons",
        "sessions",
        "groups",
        "cohort_people",
        "session_replay_events",
        "logs",
    } <= TABLES.keys()
    assert {"uuid", "event", "properties", "timestamp", "distinct_id", "person_id", "$session_id"} <= TABLES[
        "events"
    ]
    assert {"count", "uniq", "windowFunnel", "toStartOfDay", "matchesAction"} <= FUNCTIONS
