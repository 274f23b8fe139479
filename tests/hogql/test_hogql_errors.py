"""Mistakes are told so that a person or an agent can act on them, whatever the text, and at once."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_mcp.hogql import HogQLSyntaxError, parse, parse_expr, print_hogql
from posthog_mcp.hogql.errors import MAX_DEPTH, MAX_TEXT_BYTES, MAX_TREE_DEPTH

MOST_SECONDS = 0.1


def mistake(text: str) -> HogQLSyntaxError:
    with pytest.raises(HogQLSyntaxError) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("select a\nfrom x, where b = 1", "line 2, column 9: expected a table name, found `where`"),
        ("select a from", "line 1, column 14: expected a table name, found the end of the text"),
        ("select from events", "line 1, column 8: expected a column after `select`, found `from`"),
        ("select a from x where", "line 1, column 22: expected an expression, found the end of the text"),
        ("select a from x where group by a", "line 1, column 23: expected an expression, found `group`"),
        ("select count( from x", "line 1, column 15: expected an expression, found `from`"),
        ("select f(a b) from x", "line 1, column 12: expected `,` or `)`, found `b`"),
        ("select (a from x", "line 1, column 11: expected `,` or `)`, found `from`"),
        ("select [1, 2 from x", "line 1, column 14: expected `,` or `]`, found `from`"),
        ("select 'it's' from x", "line 1, column 13: the quote ' that opens here is never closed"),
        ("select a from x /* b", "line 1, column 17: the comment that starts here has no end: add `*/`"),
        ("select é from x", "line 1, column 8: unexpected character 'é' (U+00E9); put names with such letters in backquotes: `é…`"),
        ("select a && b", "line 1, column 10: unexpected character '&' (U+0026); write `and`, `or`, or `||` to join texts"),
        ("select a !b", "line 1, column 10: unexpected character '!' (U+0021); write `not`, or `!=`"),
        (r"select '\q'", "line 1, column 9: HogQL has no escape `\\q`; write `\\\\q` for a backslash itself"),
        ("select a as team_id", "line 1, column 13: `team_id` cannot be an alias, PostHog reserves it: choose another name"),
        ("select a is 5", "line 1, column 13: expected `null`, `not null` or `distinct from` after `is`, found `5`"),
        ("select a between 1", "line 1, column 19: expected `and` between the bounds of BETWEEN, found the end of the text"),
        ("select now() - interval 7 days", "line 1, column 27: expected a unit (second, minute, hour, day, week, month, quarter or year, in the singular), found `days`"),
        ("select date '2026-03-01'", "line 1, column 8: a date literal is not supported: write toDate('2026-03-01')"),
        ("select extract(year from a)", "line 1, column 8: EXTRACT(… FROM …) is not supported: use toYear(x), toMonth(x), toDayOfMonth(x), toHour(x)"),
        ("select a from x left y", "line 1, column 22: expected `join`, found `y`"),
        ("select a from x outer join y", "line 1, column 17: there is no `outer join`"),
        ("select a from x limit 1 where b", "line 1, column 25: expected the end: WHERE is out of place here (the order is FROM, PREWHERE, WHERE, GROUP BY, HAVING, QUALIFY, WINDOW, ORDER BY, LIMIT, OFFSET), found `where`"),
        ("select 1; select 2", "line 1, column 11: expected the end: only one statement can be run, found `select`"),
        ("update x set a = 1", "line 1, column 1: expected `select` or `with` (HogQL only reads: there is no INSERT, UPDATE, DELETE or DDL), found `update`"),
        ("select a from x array join b", "line 1, column 29: expected `as` and a name: each array of ARRAY JOIN needs an alias, found the end of the text"),
        ("select case when a then b", "line 1, column 26: expected `when`, `else` or `end`, found the end of the text"),
        ("with a (select 1) select 2", "line 1, column 19: expected `as` and a name (a CTE is `name as (select …)` or `expression as name`), found `select`"),
        ("", "line 1, column 1: expected `select` or `with` (HogQL only reads: there is no INSERT, UPDATE, DELETE or DDL), found the end of the text"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(text: str, told: str):
    assert str(mistake(text)) == told


def test_an_error_carries_its_parts():
    error = mistake("select a\nfrom where b")
    assert (error.line, error.column, error.start, error.end) == (2, 6, 14, 19)
    assert error.message == "expected a table name, found `where`"
    assert error.expected == "a table name"


@pytest.mark.parametrize(
    "unit",
    ["(", "((a)+", "[", "{", "f(", "a.b(", "not ", "not (", "- ", "case when ", "case a when b then ", "x -> ", "a ? b : ",
     "(select ", "cast(", "interval ", "{'a': ", "a[", "a in (", "exists(select ", "sum(a) over (partition by ", "f'{"],
)  # fmt: skip
def test_nesting_beyond_the_limit_is_refused_and_up_to_it_is_not(unit: str):
    with pytest.raises(HogQLSyntaxError, match="nested more than 60 levels"):
        parse_expr(unit * (MAX_DEPTH + 3))
    with pytest.raises(HogQLSyntaxError) as caught:
        parse_expr(unit * (MAX_DEPTH // 2))
    assert "nested" not in str(caught.value)


def test_sixty_brackets_are_fine():
    assert parse_expr("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH) == parse_expr("a")


@pytest.mark.parametrize("text", ["1 + ", "a.1 ?? ", "a = ", "a - "])
def test_a_chain_of_operators_ends_at_the_depth_of_a_tree(text: str):
    assert parse_expr(text * (MAX_TREE_DEPTH - 10) + "1")
    with pytest.raises(HogQLSyntaxError, match="too deep"):
        parse_expr(text * (MAX_TREE_DEPTH + 10) + "1")


def test_chains_inside_each_other_count_together():
    chain = "1 + " * 200
    with pytest.raises(HogQLSyntaxError, match="nodes inside each other"):
        parse_expr(
            f"f({chain} 1) + {chain} 1".replace("f(", "(", 1).replace("1 + 1", "1 + 1 ", 1)
            + f" + ({chain}1)" * 2
        )
    assert parse_expr(f"[{chain} 1, {chain} 1]")


@pytest.mark.parametrize("separator", [" and ", " or ", " || ", ", "])
def test_flat_lists_are_flat_however_long(separator: str):
    tree = parse_expr("f(" + separator.join(["a"] * 5000) + ")")
    assert len(tree.args) == 5000 or len(getattr(tree.args[0], "exprs", None) or tree.args[0].args) == 5000


def test_many_joins_are_refused_rather_than_nested():
    with pytest.raises(HogQLSyntaxError, match="chain of more than 256 operators or joins"):
        parse("select 1 from a" + ", b" * 5000)


def test_text_beyond_64_kb_is_refused():
    with pytest.raises(HogQLSyntaxError, match="longer than 64 kB"):
        parse("select '" + "é" * (MAX_TEXT_BYTES // 2) + "'")
    assert parse("select '" + "a" * (MAX_TEXT_BYTES - 9) + "'")


def test_more_than_20000_words_are_refused():
    with pytest.raises(HogQLSyntaxError, match="more than 20,000 words"):
        parse("select a in (" + "1," * 15_000 + "1)")


UNITS = (
    "(", ")", "((a)", "()", "a.", ".a", ".1", "not ", "NOT (a) ", "-", "- ", "--", "-- \n", "#\n", "'", "''", "'',", "\"", "`", "``", "/*", "/* ",
    "*/", "//", "{", "{}", "{a:", "{1:", "{a},", "[", "[1],", "f(", "f(a)", "f(),", "a(", "1+", "+1,", "1,", "a,", "a or ",
    "a||", "a and ", "case when ", "case when a then ", "when a then b ", "a?b:", "a?", "a ?? ", "a->", "(a,", "(a,b,",
    "a in (", "a between b and ", "a is null ", "::int", "a[", "[1]", "f'", "f'{", "f'a{", "f'{f'", "interval ",
    "interval (", "interval - ", "interval [", "select ", "select a from (", "(select ", "with a as (", "with a as (select ",
    "union all select 1 ", "select 1,", "a from b,", " join b", ", b", "join (", "((a", "lambda a: ", "cast(", "cast(a as ",
    "cast(a as Array(", "try_cast(cast(", "sum(a) over (", "count(distinct ", "columns(", "* exclude (", "*", "<a ", "a<",
    "a as b ", "a as b as ", "0", "0x", "0xf", "1e", "1e5", "1.", "1..", "1 ", "$", "é", " ", "\n", "\x00", "\ufeff",
    ";", "??", "?.[", "a?.b", "=", "=~", "!", "~", "a = ", "between ", "group by ", "order by ", "limit 1 ", "with totals ",
    "is not ", "a in cohort ", "([{", "\\", "'\\", "numbers(", "values (", "\ud800", "%", "a%",
)  # fmt: skip


@pytest.mark.parametrize(("before", "after"), [("", ""), ("select ", "a"), ("select a from ", "")])
def test_no_text_takes_long_or_ends_in_another_error(before: str, after: str):
    slowest = (0.0, "")
    for unit in UNITS:
        text = (
            before + unit * ((MAX_TEXT_BYTES - len(before) - 1) // len(unit.encode(errors="replace"))) + after
        )
        started = time.process_time()
        try:
            (parse if before else parse_expr)(text)
        except HogQLSyntaxError as error:
            assert len(str(error)) < 300
        slowest = max(slowest, (time.process_time() - started, unit))
    assert slowest[0] < MOST_SECONDS, slowest


WORDS = st.sampled_from(
    "select from where group by order limit with as and or not in between is null case when then else end interval day "
    "join left on using array union all distinct cast over partition rows preceding current row filter having a b.c f( ) ( "
    "[ ] { } , . ; : :: ? ?? ?. -> + - * / % = != < > =~ || 1 2.5 'x' `q` \"r\" $s f'{ }' true false exclude columns('a')".split()
)


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=25).map(" ".join), st.sampled_from(["", "select ", "select a from x where "]))
def test_any_words_are_read_or_refused_and_what_is_read_prints_as_itself(words: str, before: str):
    read = parse if before else parse_expr
    try:
        tree = read(before + words)
    except HogQLSyntaxError as error:
        assert 0 <= error.start <= error.end <= len(before + words)
        assert error.line >= 1
        assert error.column >= 1
        return
    printed = print_hogql(tree)
    if not before and printed.startswith(("SELECT", "WITH")):
        printed = f"({printed})"
    assert read(printed) == tree


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200), st.sampled_from(["", "select ", "select a from ", "f'", "'"]))
def test_any_text_is_read_or_refused(text: str, before: str):
    for read in (parse, parse_expr):
        try:
            read(before + text)
        except HogQLSyntaxError as error:
            assert str(error).startswith(f"line {error.line}, column {error.column}: ")


def test_a_caller_deep_in_its_own_stack_still_gets_a_syntax_error():
    def deep(levels: int) -> None:
        if levels:
            deep(levels - 1)
        else:
            parse_expr("(" * 50 + "a" + ")" * 50)

    levels = 0
    with pytest.raises(HogQLSyntaxError, match="no stack left"):
        while True:
            levels += 20
            deep(levels)


QUERY = (
    "WITH firsts AS (\n  SELECT person_id, min(timestamp) AS first_seen\n  FROM events\n"
    "  WHERE event = '$pageview' AND timestamp > now() - INTERVAL 30 DAY\n  GROUP BY person_id\n)\n"
    "SELECT\n  toStartOfWeek(e.timestamp) AS week,\n  coalesce(e.properties.$browser, 'unknown') AS browser,\n"
    "  count(DISTINCT e.person_id) AS people,\n  countIf(e.event = 'order placed') AS orders,\n"
    "  round(sumIf(toFloat(e.properties.total), e.event = 'order placed'), 2) AS revenue,\n"
    "  quantile(0.95)(toFloat(e.properties.$ai_latency)) AS p95,\n"
    "  multiIf(e.properties.plan IN ('pro', 'team'), 'paid', e.properties.plan = 'free', 'free', 'none') AS tier\n"
    "FROM events AS e\nLEFT JOIN firsts AS f ON f.person_id = e.person_id\nWHERE e.timestamp >= now() - INTERVAL 30 DAY\n"
    "  AND e.timestamp < f.first_seen + INTERVAL 8 DAY\n  AND e.person.properties.email NOT ILIKE '%@example.com'\n"
    "  AND (e.properties.$current_url LIKE '%/checkout%' OR e.event = 'order placed')\nGROUP BY week, browser, tier\n"
    "HAVING people > 5\nORDER BY week DESC, revenue DESC\nLIMIT 500"
)


def test_a_typical_query_of_24_lines_takes_less_than_2_ms():
    assert QUERY.count("\n") == 23
    best = min(_seconds() for _ in range(20))
    assert best < 0.002


def _seconds() -> float:
    started = time.process_time()
    parse(QUERY)
    return time.process_time() - started
