"""What is refused before it is sent says what, why and what to do next."""

import pytest

from posthog_mcp.hogql import QueryRefusedError, parse, refuse


def refused(
    text: str, values: dict[str, object] | None = None, *, unchecked: bool = False
) -> QueryRefusedError:
    with pytest.raises(QueryRefusedError) as caught:
        refuse(text, values, unchecked=unchecked)
    assert str(caught.value) == f"{caught.value.what} {caught.value.why} {caught.value.next}"
    return caught.value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("select 1; select 2", "several statements"),
        ("select 1;;", "several statements"),
        ("drop table events", "not a select"),
        ("INSERT INTO events VALUES (1)", "not a select"),
        ("explain select 1", "not a select"),
        ("select a from events offset 5", "offset"),
        ("select a from events limit 5 offset 5", "offset"),
        ("select a from events limit 5, 5", "offset"),
        ("select a from events limit 1 offset 1 by b", "offset"),
        ("select a from events limit 1, 2 by b", "offset"),
        ("select a from (select b from events limit 1 offset 2)", "offset"),
        ("with c as (select b from events offset 2) select a from c", "offset"),
        ("(select a from events union all select 2) limit 5 offset 6", "offset"),
        ("select {name}", "placeholder"),
        ("select a from", "syntax"),
        ("select 'a", "syntax"),
        ("", "syntax"),
        ("select '" + "é" * 40_000 + "'", "too long"),
    ],
)
def test_a_query_that_posthog_would_refuse_is_refused(text: str, reason: str):
    assert refused(text).reason == reason


@pytest.mark.parametrize(
    "text",
    [
        "select 1",
        "select 1;",
        "select a from events sample 1/10 offset 1/2",
        "select {filters}, {variables.x}",
        "(select 1)",
        "with 1 as a select a",
    ],
)
def test_a_query_that_posthog_takes_passes(text: str):
    assert refuse(text) == parse(text)


def test_offset_comes_with_the_way_to_page_instead():
    error = refused("select a from events order by timestamp limit 10 offset 10")
    assert "personal API keys" in error.why
    assert (
        "`WHERE (timestamp, uuid) < ({last_time}, {last_uuid}) ORDER BY timestamp DESC, uuid DESC LIMIT 1000`"
        in error.next
    )


def test_the_way_to_page_is_hogql_that_passes():
    example = refused("select 1 offset 1").next.split("`")[1]
    assert refuse(f"select uuid, timestamp from events {example}", {"last_time": "a", "last_uuid": "b"})


def test_placeholders_with_a_value_pass_and_those_without_are_named():
    assert refuse("select {a}, {b.c}", {"a": 1, "b": {"c": 2}})
    error = refused("select {a}, {b}, {c.d}", {"a": None})
    assert error.what == "There is no value for {b}, {c.d}."
    assert '{"b": …}' in error.next


def test_a_syntax_error_tells_the_place_and_the_way_around():
    error = refused("select a\nfrom where b = 1")
    assert (
        error.what == "The query could not be read: line 2, column 6: expected a table name, found `where`."
    )
    assert "`unchecked: true`" in error.next
    assert (error.cause.line, error.cause.column) == (2, 6)


def test_unchecked_lets_unreadable_text_pass_and_nothing_else():
    assert refuse("select a[1:2] from events", unchecked=True) is None
    assert refused("select 1; drop table x", unchecked=True).reason == "several statements"
    assert refused("truncate table x", unchecked=True).reason == "not a select"
    assert refused("select 1 offset 5", unchecked=True).reason == "offset"
    assert refused("select {x}", unchecked=True).reason == "placeholder"
