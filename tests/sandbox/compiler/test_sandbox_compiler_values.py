"""Properties, types, NULLs, times and functions: what an expression is worth."""

from __future__ import annotations

from typing import Any

import pytest
from compiler_project import Ask

pytestmark = pytest.mark.xdist_group("compiler")

ORDER = "from events where event = 'order placed' and distinct_id = 'ann'"


@pytest.mark.parametrize(
    ("expression", "value", "kind"),
    [
        ("properties.plan", "pro", "Nullable(String)"),
        ("properties['plan']", "pro", "Nullable(String)"),
        ("properties.missing", None, "Nullable(String)"),
        ("properties.nothing", None, "Nullable(String)"),
        ("properties.empty", "", "Nullable(String)"),
        ("properties.nested.deep.x", "y", "Nullable(String)"),
        ("properties.nested['deep'].x", "y", "Nullable(String)"),
        ("properties.nested", '{"deep":{"x":"y"}}', "Nullable(String)"),
        ("properties.tags", '["a","b"]', "Nullable(String)"),
        ("properties.tags[2]", "b", "Nullable(String)"),
        ("properties['odd \\'name`']", "q", "Nullable(String)"),
        ("properties.total", 42.5, "Nullable(Float64)"),
        ("properties.paid", True, "Nullable(Bool)"),
        ("properties.ordered_at", "2026-03-01T10:00:00.000000Z", "Nullable(DateTime64(6, 'UTC'))"),
        ("properties.quantity", "7", "Nullable(String)"),
        ("toInt(properties.quantity) + 1", 8, "Nullable(Int64)"),
        ("toFloat(properties.plan)", None, "Nullable(Float64)"),
        ("JSONExtractString(properties, 'plan')", "pro", "String"),
        ("person.properties.seats", 12, "Nullable(Float64)"),
    ],
)
async def test_a_property_is_read_as_its_definition_says(ask: Ask, expression: str, value: Any, kind: str):
    answer = await ask(f"select {expression} {ORDER}")
    assert (answer.value, answer.types) == (value, [kind])


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("properties.total > 42", 1),
        ("properties.total = '42.5'", 1),
        ("properties.quantity > 6", 1),
        ("properties.quantity in (7, 8)", 1),
        ("properties.paid = true", 1),
        ("properties.paid = 'true'", 1),
        ("properties.paid != false", 1),
        ("properties.plan = true", 0),
        ("properties.ordered_at < '2026-03-02'", 1),
        ("properties.missing != 'x'", 1),
        ("properties.missing = 'x'", 0),
        ("properties.missing = properties.nothing", 1),
        ("properties.missing != properties.nothing", 0),
        ("properties.missing != properties.plan", 1),
        ("properties.missing not in ('x', 'y')", 1),
        ("properties.missing in ('x', 'y')", 0),
        ("properties.missing not like '%x%'", 1),
        ("properties.missing not ilike '%x%'", 1),
        ("properties.missing like '%x%'", 0),
        ("properties.missing !~ 'x'", 1),
        ("properties.missing =~ 'x'", 0),
        ("properties.missing > 5", 0),
        ("properties.missing is null", 1),
        ("properties.empty is null", 0),
        ("properties.plan =~ '^p.o$'", 1),
        ("properties.plan =~* '^P'", 1),
        ("properties.plan !~* '^P'", 0),
        ("properties.plan ilike 'PRO'", 1),
        ("properties.plan between 'a' and 'z'", 1),
        ("not properties.plan = 'pro'", 0),
        ("event in tuple('order placed', 'x')", 1),
        ("event in ['order placed']", 1),
        ("event in 'order placed'", 1),
        ("notEquals(properties.missing, 'x')", 1),
        ("person_id = '00000000-0000-4000-8000-00000000000a'", 1),
        ("person_id in ('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b')", 1),
        ("(event, distinct_id) in (('order placed', 'ann'), ('x', 'y'))", 1),
    ],
)
async def test_comparisons_align_types_and_take_null_for_a_value(ask: Ask, condition: str, holds: int):
    assert (await ask(f"select {condition} {ORDER}")).value == holds


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("timestamp >= '2026-03-11'", 5),
        ("timestamp >= '2026-03-11T00:00:00Z'", 5),
        ("timestamp >= toDateTime('2026-03-11 08:00:04')", 4),
        ("timestamp > now() - interval 1 day", 5),
        ("timestamp between '2026-03-10' and '2026-03-10 23:59:59'", 3),
        ("toDate(timestamp) = '2026-03-10'", 3),
        ("toDate(timestamp) = yesterday()", 3),
        ("timestamp in ('2026-03-11 08:00:00', '2026-03-11 08:00:04')", 2),
        ("(timestamp, uuid) < ('2026-03-10 10:00:05', '00000000-0000-4000-9000-000000000002')", 2),
    ],
)
async def test_texts_compared_with_times_are_times(ask: Ask, condition: str, count: int):
    assert (await ask(f"select count() from events where {condition}")).value == count


async def test_texts_and_days_are_those_of_the_projects_time_zone(ask: Ask):
    tokyo = {"timezone": "Asia/Tokyo"}
    assert (
        await ask("select count() from events where timestamp >= '2026-03-11 17:00:00'", **tokyo)
    ).value == 5
    days = await ask("select toDate(timestamp) d, count() from events group by d order by d", **tokyo)
    assert days.rows == [["2026-03-10", 3], ["2026-03-11", 5]]
    hours = await ask("select toHour(timestamp) from events where event = 'seen'", **tokyo)
    assert hours.value == 18
    assert (await ask("select timestamp from events limit 1", **tokyo)).types == [
        "DateTime64(6, 'Asia/Tokyo')"
    ]


async def test_weeks_start_on_the_projects_day(ask: Ask):
    query = "select toStartOfWeek(toDate('2026-03-11'))"
    assert (await ask(query)).value == "2026-03-08"
    assert (await ask(query, week_start=1)).value == "2026-03-09"
    assert (await ask("select dateTrunc('week', toDate('2026-03-11'))")).value == "2026-03-09"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("now()", "2026-03-11T12:00:00.000000Z"),
        ("today()", "2026-03-11"),
        ("yesterday()", "2026-03-10"),
        ("now() - interval 1 day", "2026-03-10T12:00:00.000000Z"),
        ("toDateTime('2026-01-02')", "2026-01-02T00:00:00.000000Z"),
        ("toDateTime(now())", "2026-03-11T12:00:00Z"),
        ("toDate('2026-01-02 23:00:00')", "2026-01-02"),
        ("dateDiff('day', '2026-01-01', '2026-01-31')", 30),
        ("dateAdd('month', 1, toDate('2026-01-31'))", "2026-02-28"),
        ("dateSub('day', 1, toDate('2026-01-31'))", "2026-01-30"),
        ("dateTrunc('month', now())", "2026-03-01"),
        ("dateTrunc('hour', now())", "2026-03-11T12:00:00Z"),
        ("toStartOfInterval(now(), interval 5 hour)", "2026-03-11T10:00:00Z"),
        ("formatDateTime(now(), '%Y-%m')", "2026-03"),
        ("fromUnixTimestamp(0)", "1970-01-01T00:00:00Z"),
        ("toInt('12')", 12),
        ("toInt('x')", None),
        ("toInt(1.5)", None),
        ("toFloat('1.5')", 1.5),
        ("toUUID('x')", None),
        ("toBool('true')", True),
        ("toBool('x')", None),
        ("toDecimal('1.25', 2)", 1.25),
        ("cast('5' as int)", 5),
        ("'7.5'::float", 7.5),
        ("toString(5)", "5"),
        ("concat('a', 1, null)", "a1"),
        ("'a' || 'b'", "ab"),
        ("f'n={1 + 1}'", "n=2"),
        ("null ?? 'x'", "x"),
        ("1 > 2 ? 'a' : 'b'", "b"),
        ("multiIf(false, 1, true, 2, 3)", 2),
        ("case 'b' when 'a' then 1 when 'b' then 2 else 3 end", 2),
        ("if(null, 1, 2)", 2),
        ("coalesce(null, null, 3)", 3),
        ("nullIf('a', 'a')", None),
        ("empty('')", 1),
        ("[1, 2, 3][2]", 2),
        ("tuple('a', 'b').2", "b"),
        ("{'k': 5}['k']", 5),
        ("length([1, 2])", 2),
        ("arrayMap(x -> x * 2, [1, 2])", [2, 4]),
        ("arrayFilter((x, y) -> y > 1, ['a', 'b'], [1, 2])", ["b"]),
        ("arrayExists(x -> x = 'a', ['a'])", 1),
        ("splitByChar(',', 'a,b')", ["a", "b"]),
        ("JSONExtract('{\"a\": [1, 2]}', 'a', 'Array(Int64)')", [1, 2]),
        ("domain('https://x.test/p?q=1')", "x.test"),
        ("extractURLParameter('https://x.test/?q=1', 'q')", "1"),
        ("match('abc', '^a')", 1),
        ("extract('abc', '(b)')", "b"),
        ("replaceAll('aa', 'a', 'b')", "bb"),
        ("lower(hex(MD5('a')))", "0cc175b9c0f1b6a831c399e269772661"),
        ("1 - -1", 2),
        ("-(-5)", 5),
        ("convertCurrency('EUR', 'EUR', 5)", 5),
        ("sparkline([1, 2])", ["__hx_tag", "Sparkline", "data", [1, 2]]),
        ("like('abc', 'a%')", 1),
        ("COUNT()", 1),
        ("ROUND(1.26, 1)", 1.3),
        ("7 % 4", 3),
        ("1 / 4", 0.25),
    ],
)
async def test_functions_mean_what_hogql_says(ask: Ask, expression: str, value: Any):
    assert (await ask(f"select {expression}")).value == value


async def test_survey_answers_are_found_by_question_and_by_index(ask: Ask):
    query = (
        "select getSurveyResponse(0), getSurveyResponse(0, 'q1'), getSurveyResponse(1)"
        " from events where event = 'survey sent'"
    )
    assert (await ask(query)).rows == [["good", "great", None]]
    assert (await ask("select count() from events where uniqueSurveySubmissionsFilter('s1')")).value == 1


async def test_results_are_named_as_written_and_typed_by_the_engine(ask: Ask):
    answer = await ask(
        "select event, count(), properties.$browser b, person.properties.email"
        " from events group by 1, 3, 4 limit 1"
    )
    assert answer.columns == ["event", "count()", "b", "person.properties.email"]
    assert answer.types == ["String", "UInt64", "Nullable(String)", "Nullable(String)"]
