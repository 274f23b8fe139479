"""Clauses of a query: what they do to rows, and how many rows come back."""

from __future__ import annotations

import pytest
from compiler_project import WORLD, Ask

from posthog_mcp.hogql import parse
from posthog_mcp.sandbox.compiler import compile_query

pytestmark = pytest.mark.xdist_group("compiler")


async def test_a_query_without_limit_gets_100_rows_and_knows_of_more(ask: Ask):
    answer = await ask("select number from numbers(500)")
    assert (len(answer.rows), answer.limit) == (101, 100)


async def test_a_written_limit_is_kept(ask: Ask):
    answer = await ask("select number from numbers(500) limit 150")
    assert (len(answer.rows), answer.limit) == (150, None)


@pytest.mark.parametrize("limit", ["60000", "50000 + 1", "least(70000, 60000)"])
async def test_no_answer_is_longer_than_the_maximum(ask: Ask, limit: str):
    assert len((await ask(f"select number from numbers(60000) limit {limit}")).rows) == 50_000


async def test_one_more_row_than_a_constant_limit_can_be_asked_for(ask: Ask):
    answer = await ask("select number from numbers(10) limit 4 offset 2", one_more=True)
    assert (answer.column, answer.limit) == ([2, 3, 4, 5, 6], 4)


async def test_an_expression_can_limit(ask: Ask):
    assert len((await ask("select number from numbers(10) limit 1 + 2")).rows) == 3


async def test_a_union_may_say_its_own_limit(ask: Ask):
    answer = await ask("(select number n from numbers(9) union all select 9) limit 4")
    assert len(answer.rows) == 4


async def test_a_union_is_limited_as_a_whole(ask: Ask):
    answer = await ask("select number from numbers(90) union all select number from numbers(90)")
    assert (len(answer.rows), answer.limit) == (101, 100)


async def test_set_operations_combine_queries_in_the_order_written(ask: Ask):
    answer = await ask(
        "(select number n from numbers(5) union all select 9) except select number from numbers(2)"
    )
    assert sorted(answer.column) == [2, 3, 4, 9]
    assert answer.columns == ["n"]
    assert (await ask("select number from numbers(5) intersect select 3")).column == [3]


async def test_subquery_ctes_are_seen_by_later_ones_subqueries_and_unions(ask: Ask):
    answer = await ask(
        "with a as (select number n from numbers(3)), b as (select n + 1 m from a)"
        " select m from b where m in (select n from a) union all select n from a order by 1"
    )
    assert sorted(answer.column) == [0, 1, 1, 2, 2]


async def test_a_cte_can_name_its_columns(ask: Ask):
    assert (await ask("with t (x, y) as (select 1, 2) select y, x from t")).rows == [[2, 1]]


async def test_a_column_cte_stands_for_its_expression(ask: Ask):
    assert (await ask("with 7 as days select toDate('2026-03-08') - days")).value == "2026-03-01"


async def test_in_takes_the_name_of_a_cte(ask: Ask):
    query = "with t as (select number from numbers(2)) select number from numbers(5) where number not in t"
    assert (await ask(query)).column == [2, 3, 4]


async def test_aliases_serve_in_every_clause(ask: Ask):
    answer = await ask(
        "select event as e, count() as n, n * 2 as twice from events where e like 'o%' or e like '$p%'"
        " group by e having n > 1 order by twice desc, e"
    )
    assert answer.rows == [["$pageview", 3, 6], ["order placed", 2, 4]]


async def test_an_alias_hides_the_column_of_its_name(ask: Ask):
    answer = await ask(
        "select toDate(timestamp) as timestamp, count() from events"
        " where timestamp = '2026-03-10' group by timestamp"
    )
    assert answer.rows == [["2026-03-10", 3]]


async def test_columns_of_a_subquery_are_found_by_alias_last_name_or_text(ask: Ask):
    answer = await ask(
        "select email, n, `max(timestamp)` from"
        " (select person.properties.email, count() as n, max(timestamp) from events group by 1) where n = 2"
    )
    assert answer.rows == [["bob@shop.test", 2, "2026-03-11T08:00:04.000000Z"]]


async def test_properties_can_be_read_out_of_a_subquery(ask: Ask):
    query = (
        "select properties.total, p.plan from (select properties, properties as p, event"
        " from events) where event = 'order placed' order by 1"
    )
    assert (await ask(query)).rows == [[10, "free"], [42.5, "pro"]]


async def test_tables_join_on_conditions_and_on_columns(ask: Ask):
    answer = await ask(
        "select e.event, p.properties.plan from events e left join persons p on p.id = e.person_id"
        " where e.event in ('seen', 'order placed') order by e.timestamp"
    )
    assert answer.rows == [["order placed", "pro"], ["order placed", "team"], ["seen", None]]
    using = (
        "select number, a.number, b.number"
        " from numbers(3) a join numbers(1, 5) b using (number) order by number"
    )
    assert (await ask(using)).rows == [[1, 1, 1], [2, 2, 2]]


async def test_a_star_over_a_join_with_using_shows_the_column_once(ask: Ask):
    answer = await ask("select * from (select 1 as k, 2 as x) a join (select 1 as k, 3 as y) b using (k)")
    assert (answer.columns, answer.rows) == (["k", "x", "y"], [[1, 2, 3]])


async def test_crossed_tables_multiply(ask: Ask):
    assert (await ask("select count() from numbers(3) a, numbers(4) b")).value == 12
    assert (await ask("select count() from numbers(3) a cross join numbers(4) b")).value == 12


async def test_array_join_unfolds_arrays(ask: Ask):
    query = "select tag from events array join JSONExtract(properties, 'tags', 'Array(String)') as tag"
    assert (await ask(query)).column == ["a", "b"]
    left = "select n, x from (select 1 as n, emptyArrayInt64() as xs) left array join xs as x"
    assert (await ask(left)).rows == [[1, 0]]


async def test_windows_look_at_neighbouring_rows(ask: Ask):
    answer = await ask(
        "select number, row_number() over (order by number desc) r, lag(number) over w,"
        " lead(number, 1, 99) over w,"
        " sum(number) over (order by number rows between 1 preceding and current row)"
        " from numbers(3) window w as (order by number) order by number"
    )
    assert answer.rows == [[0, 3, None, 1, 0], [1, 2, 0, 2, 1], [2, 1, 1, 99, 3]]


async def test_qualify_filters_by_a_window(ask: Ask):
    query = (
        "select distinct_id, event from events qualify row_number() over (partition by"
        " distinct_id order by timestamp desc) = 1 order by 1"
    )
    assert (await ask(query)).rows == [["ann", "survey sent"], ["anon-1", "seen"], ["bob", "order placed"]]


async def test_limit_by_keeps_some_rows_of_each_group(ask: Ask):
    query = "select distinct_id, event from events order by timestamp limit 1 by distinct_id"
    assert (await ask(query)).rows == [["ann", "order placed"], ["bob", "$pageview"], ["anon-1", "seen"]]
    offset = "select number from numbers(10) order by number limit 1 offset 1 by number % 3"
    assert (await ask(offset)).column == [3, 4, 5]


async def test_group_by_all_rollup_and_cube(ask: Ask):
    assert (await ask("select number % 2 as p, count() from numbers(5) group by all order by p")).rows == [
        [0, 3],
        [1, 2],
    ]
    rolled = await ask("select number % 2 as p, count() as n from numbers(5) group by rollup(p) order by n")
    assert rolled.rows == [[1, 2], [0, 3], [0, 5]]
    assert len((await ask("select 1 as a, 2 as b, count() from numbers(5) group by cube(a, b)")).rows) == 4


async def test_rows_are_sorted_with_nulls_where_asked(ask: Ask):
    query = "select arrayJoin([1, null, 2]) as x order by x desc nulls first"
    assert (await ask(query)).column == [None, 2, 1]


async def test_ties_are_kept_on_request(ask: Ask):
    assert (await ask("select intDiv(number, 2) n from numbers(6) order by n limit 1 with ties")).column == [
        0,
        0,
    ]


async def test_distinct_counts_exactly(ask: Ask):
    assert (await ask("select count(distinct event) from events")).value == 5
    assert (
        await ask("select count(distinct event) filter (where distinct_id = 'bob') from events")
    ).value == 2
    assert len((await ask("select distinct distinct_id from events")).rows) == 3


async def test_aggregates_take_combinators_and_parameters(ask: Ask):
    answer = await ask(
        "select countIf(event = 'seen'), sumIf(properties.total, distinct_id = 'ann'),"
        " quantile(0.5)(number_),"
        " topK(1)(event), groupArray(2)(event), uniqIf(distinct_id, event = '$pageview'),"
        " argMax(event, timestamp)"
        " from (select *, 1 as number_ from events order by timestamp)"
    )
    assert answer.rows == [[1, 42.5, 1, ["$pageview"], ["order placed", "$pageview"], 2, "survey sent"]]


async def test_states_of_aggregations_are_merged_in_an_outer_query(ask: Ask):
    query = (
        "select uniqMerge(s) from (select distinct_id, uniqState(event) as s from events"
        " group by distinct_id)"
    )
    assert (await ask(query)).value == 5


async def test_a_sample_keeps_whole_distinct_ids_and_always_the_same(ask: Ask):
    """There is no sampling key: a share of the hashes of distinct ids stands in for it."""
    assert (await ask("select count() from events sample 1")).value == 8
    halves = [
        (await ask(f"select distinct distinct_id from events sample 1/2 offset {offset}")).column
        for offset in ("0", "1/2")
    ]
    assert sorted(halves[0] + halves[1]) == ["ann", "anon-1", "bob"]


async def test_prewhere_and_final_change_nothing_but_speed(ask: Ask):
    assert (
        await ask("select count() from events final prewhere event = 'seen' where distinct_id = 'anon-1'")
    ).value == 1


async def test_columns_can_be_chosen_by_pattern(ask: Ask):
    assert (await ask("select columns('^\\\\$window|^uuid') from events limit 1")).columns == [
        "uuid",
        "$window_id",
    ]
    assert (await ask("select persons.* exclude (properties) from persons limit 1")).columns == [
        "id",
        "created_at",
        "is_identified",
    ]


async def test_a_with_that_grows_without_bound_is_refused():
    parts = ["a0 as (select 1 as x)"]
    parts += [f"a{n} as (select 1 as x from a{n - 1} p cross join a{n - 1} q)" for n in range(1, 40)]
    columns = ["1 as b0", *(f"b{n - 1} + b{n - 1} as b{n}" for n in range(1, 40))]
    for query in (f"with {', '.join(parts)} select x from a39", f"with {', '.join(columns)} select b39"):
        with pytest.raises(Exception, match="too large"):
            compile_query(parse(query), WORLD)


async def test_a_long_sum_is_not_deep(ask: Ask):
    assert (await ask(f"select {' + '.join(['1'] * 150)} as n")).value == 150
