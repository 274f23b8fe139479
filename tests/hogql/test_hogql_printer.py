"""What is printed reads as the tree it was printed from."""

import math
from dataclasses import fields, is_dataclass

import pytest
from hogql_operators import expressions
from test_hogql_parser import CORPUS, PROBES

from posthog_mcp.hogql import HogQLSyntaxError, ast, parse, parse_expr, print_hogql


def same(left: object, right: object) -> bool:
    """Equal, with the type of every constant, and nan equal to itself."""
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if is_dataclass(left):
        names = [field.name for field in fields(left) if field.name not in ("start", "end")]
        return type(left) is type(right) and all(
            same(getattr(left, name), getattr(right, name)) for name in names
        )
    both_nan = isinstance(left, float) and isinstance(right, float) and math.isnan(left) and math.isnan(right)
    return both_nan or (type(left) is type(right) and left == right)


@pytest.mark.parametrize("text", CORPUS)
def test_a_query_of_the_corpus_survives_printing(text: str):
    tree = parse(text)
    printed = print_hogql(tree)
    assert same(parse(printed), tree), printed
    assert print_hogql(parse(printed)) == printed


def test_every_short_text_survives_printing():
    count = 0
    for text in [*PROBES, *expressions()]:
        read = parse if text.startswith("!") else parse_expr
        try:
            tree = read(text.removeprefix("!"))
        except HogQLSyntaxError:
            continue
        printed = print_hogql(tree)
        if read is parse_expr and isinstance(tree, ast.SelectQuery | ast.SelectSetQuery):
            printed = f"({printed})"
        assert same(read(printed), tree), (text, printed)
        count += 1
    assert count > 4000


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("count()", "count()"),
        ("properties.$browser", "properties.$browser"),
        ("toStartOfDay(timestamp)", "toStartOfDay(timestamp)"),
        ("COUNT( distinct person_id )", "COUNT(DISTINCT person_id)"),
        ("quantile(0.95)(toFloat(properties.total))", "quantile(0.95)(toFloat(properties.total))"),
        ("properties['$feature/a b']", "properties['$feature/a b']"),
        ("properties.`odd name`", "properties.`odd name`"),
        ("`select`.`null`", "`select`.`null`"),
        ("(a + b) * c - (d - e)", "(a + b) * c - (d - e)"),
        ("not a = b", "not(a = b)"),
        ("a and (b or c)", "a AND (b OR c)"),
        ("now() - interval 7 day", "now() - toIntervalDay(7)"),
        ("x -> x + 1", "x -> x + 1"),
        ("a ? b : c", "if(a, b, c)"),
        ("a is not null", "a IS NOT NULL"),
        ("sum(x) over (partition by a order by b desc)", "sum(x) OVER (PARTITION BY a ORDER BY b DESC)"),
        ("{filters.dateRange.from}", "{filters.dateRange.from}"),
        ("a in cohort 5", "a IN COHORT 5"),
        ("f'hi {event}'", "concat('hi ', event)"),
    ],
)
def test_a_column_is_named_as_written(text: str, printed: str):
    assert print_hogql(parse_expr(text)) == printed


def test_a_query_is_printed_on_one_line():
    text = "with a as (select 1)\nselect distinct b as c, count()\nfrom events e -- d\nwhere x = 1 limit 5"
    assert print_hogql(parse(text)) == (
        "WITH a AS (SELECT 1) SELECT DISTINCT b AS c, count() FROM events AS e WHERE x = 1 LIMIT 5"
    )


def test_parts_of_a_query_can_be_printed():
    query = parse(
        "with a as (select 1) select sum(b) over w from c sample 1/10 join d on e = f "
        "window w as (rows 1 preceding) order by g desc nulls last limit 2 by h"
    )
    assert print_hogql(query.ctes[0]) == "a AS (SELECT 1)"
    assert print_hogql(query.select_from) == "c SAMPLE 1/10 JOIN d ON e = f"
    assert print_hogql(query.select_from.sample.value) == "1/10"
    assert print_hogql(query.select_from.next_join.constraint) == "ON e = f"
    assert print_hogql(query.window_exprs["w"]) == "ROWS 1 PRECEDING"
    assert print_hogql(query.order_by[0]) == "g DESC NULLS LAST"
    assert print_hogql(query.limit_by) == "LIMIT 2 BY h"
