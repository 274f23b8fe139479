"""Placeholders become constants, and nothing else."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_mcp.hogql import (
    PlaceholderError,
    ast,
    fill_placeholders,
    parse,
    placeholder_names,
    print_hogql,
    walk,
)


def filled(text: str, values: dict[str, object], **options: object) -> str:
    return print_hogql(fill_placeholders(parse(text), values, **options))


def test_values_become_constants():
    text = "select {a} from t where b = {b} and c in {c} and d > {d} and e is not null and f = {f} limit {n}"
    values = {"a": "it's", "b": 1.5, "c": ["x", 2], "d": date(2026, 3, 1), "f": None, "n": 5}
    assert filled(text, values) == (
        "SELECT 'it\\'s' FROM t WHERE b = 1.5 AND c IN ['x', 2] AND d > '2026-03-01' AND e IS NOT NULL "
        "AND f = null LIMIT 5"
    )


@given(st.text())
def test_no_text_becomes_anything_but_a_constant(text: str):
    query = fill_placeholders(parse("select 1 from events where a = {x}"), {"x": text})
    assert query.where.right == ast.Constant(text)
    assert parse(print_hogql(query)) == query


def test_a_dotted_name_is_looked_up_in_the_mapping():
    assert filled("select {a.b}, {c}", {"a": {"b": 1}, "c": (1, 2)}) == "SELECT 1, (1, 2)"


def test_placeholders_are_found_wherever_they_are():
    query = parse(
        "with a as (select {x}) select f({y}) from (select 1 limit {z}) where b in (select {x}) order by {w}"
    )
    assert sorted(placeholder_names(query)) == ["w", "x", "y", "z"]
    assert not any(
        isinstance(node, ast.Placeholder) for node in walk(fill_placeholders(query, dict.fromkeys("wxyz", 1)))
    )


def test_what_the_server_fills_stays():
    text = "SELECT {filters}, {variables.a}, {filters.dateRange.from}"
    assert filled(text, {"filters": 1}) == text
    assert filled("select {filters}", {"filters": 1}, leave=()) == "SELECT 1"


def test_those_without_a_value_are_named_together():
    with pytest.raises(PlaceholderError) as caught:
        filled("select {a}, {b.c}, {a}, {d + 1}, {e}", {"b": {}, "e": 1})
    assert caught.value.names == ["a", "b.c", "d + 1"]
    assert (
        str(caught.value)
        == "No value for {a}, {b.c}, {d + 1}. Give each a value in `values`, or write it into the query."
    )


def test_the_first_query_stays_as_it_was_and_shares_what_did_not_change():
    query = parse("select a from events where b = {x}")
    before = print_hogql(query)
    other = fill_placeholders(query, {"x": 1})
    assert print_hogql(query) == before
    assert other.select_from is query.select_from
    assert fill_placeholders(other, {}) is other


def test_a_long_list_is_no_matter():
    query = fill_placeholders(
        parse("select 1 where a in {ids}"), {"ids": [str(number) for number in range(50_000)]}
    )
    assert len(query.where.right.exprs) == 50_000


def test_a_table_cannot_be_a_value_that_is_none():
    with pytest.raises(PlaceholderError, match=r"No value for \{t\}"):
        filled("select 1 from {t}", {})
