"""No text takes long, goes deep or ends in another error than a syntax error."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_mcp.hogql import HogQLSyntaxError, parse, parse_expr, print_hogql
from posthog_mcp.hogql.errors import MAX_DEPTH, MAX_TEXT_BYTES, MAX_TREE_DEPTH

MOST_SECONDS = 0.1
TYPICAL = (Path(__file__).parent.parent / "data" / "hogql_typical.sql").read_text(encoding="utf-8").strip()

NESTING = (
    "(", "((a)+", "[", "{", "f(", "a.b(", "not ", "not (", "- ", "case when ", "case a when b then ",
    "x -> ", "a ? b : ", "(select ", "cast(", "interval ", "{'a': ", "a[", "a in (", "exists(select ",
    "sum(a) over (partition by ", "f'{",
)  # fmt: skip

UNITS = (
    "(", ")", "((a)", "()", "a.", ".a", ".1", "not ", "NOT (a) ", "-", "- ", "--", "-- \n", "#\n", "'",
    "''", "'',", '"', "`", "``", "/*", "/* ", "*/", "//", "{", "{}", "{a:", "{1:", "{a},", "[", "[1],",
    "f(", "f(a)", "f(),", "a(", "1+", "+1,", "1,", "a,", "a or ", "a||", "a and ", "case when ",
    "case when a then ", "when a then b ", "a?b:", "a?", "a ?? ", "a->", "(a,", "(a,b,", "a in (",
    "a between b and ", "a is null ", "::int", "a[", "[1]", "f'", "f'{", "f'a{", "f'{f'", "interval ",
    "interval (", "interval - ", "interval [", "select ", "select a from (", "(select ", "with a as (",
    "with a as (select ", "union all select 1 ", "select 1,", "a from b,", " join b", ", b", "join (",
    "((a", "lambda a: ", "cast(", "cast(a as ", "cast(a as Array(", "try_cast(cast(", "sum(a) over (",
    "count(distinct ", "columns(", "* exclude (", "*", "<a ", "a<", "a as b ", "a as b as ", "0", "0x",
    "0xf", "1e", "1e5", "1.", "1..", "1 ", "$", "é", " ", "\n", "\x00", "\ufeff", ";", "??", "?.[",
    "a?.b", "=", "=~", "!", "~", "a = ", "between ", "group by ", "order by ", "limit 1 ",
    "with totals ", "is not ", "a in cohort ", "([{", "\\", "'\\", "numbers(", "values (", "\ud800",
    "%", "a%",
)  # fmt: skip

WORDS = (
    "select", "from", "where", "group", "by", "order", "limit", "with", "as", "and", "or", "not", "in",
    "between", "is", "null", "case", "when", "then", "else", "end", "interval", "day", "join", "left",
    "on", "using", "array", "union", "all", "distinct", "cast", "over", "partition", "rows",
    "preceding", "current", "row", "filter", "having", "a", "b.c", "f(", ")", "(", "[", "]", "{", "}",
    ",", ".", ";", ":", "::", "?", "??", "?.", "->", "+", "-", "*", "/", "%", "=", "!=", "<", ">", "=~",
    "||", "1", "2.5", "'x'", "`q`", '"r"', "$s", "f'{", "}'", "true", "false", "exclude",
    "columns('a')",
)  # fmt: skip


def refusal(text: str, *, query: bool = False) -> HogQLSyntaxError | None:
    try:
        (parse if query else parse_expr)(text)
    except HogQLSyntaxError as error:
        return error
    return None


@pytest.mark.parametrize("unit", NESTING)
def test_nesting_beyond_the_limit_is_refused_and_up_to_it_is_not(unit: str):
    assert "nested more than 60 levels" in str(refusal(unit * (MAX_DEPTH + 3)))
    assert "nested" not in str(refusal(unit * (MAX_DEPTH // 2)))


def test_sixty_brackets_are_fine():
    assert parse_expr("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH) == parse_expr("a")


@pytest.mark.parametrize("text", ["1 + ", "a.1 ?? ", "a = ", "a - "])
def test_a_chain_of_operators_ends_at_the_depth_of_a_tree(text: str):
    assert parse_expr(text * (MAX_TREE_DEPTH - 10) + "1")
    assert "too deep" in str(refusal(text * (MAX_TREE_DEPTH + 10) + "1"))


def test_chains_inside_each_other_count_together():
    chain = "1 + " * 200 + "1"
    assert parse_expr(f"[{chain}, {chain}]")
    assert parse_expr(f"{chain} + f({chain})")
    assert "nodes inside each other" in str(refusal(f"f({chain}) + {chain}"))


@pytest.mark.parametrize("separator", [" and ", " or ", " || ", ", "])
def test_flat_lists_are_flat_however_long(separator: str):
    tree = parse_expr("f(" + separator.join(["a"] * 5000) + ")")
    inside = tree.args[0]
    assert len(tree.args if separator == ", " else getattr(inside, "exprs", None) or inside.args) == 5000


def test_many_joins_are_refused_rather_than_nested():
    error = refusal("select 1 from a" + ", b" * 5000, query=True)
    assert "chain of more than 256 operators or joins" in str(error)


def test_text_beyond_64_kb_is_refused():
    assert "longer than 64 kB" in str(refusal("select '" + "é" * (MAX_TEXT_BYTES // 2) + "'", query=True))
    assert parse("select '" + "a" * (MAX_TEXT_BYTES - 9) + "'")


def test_more_than_20000_words_are_refused():
    assert "more than 20,000 words" in str(refusal("a in (" + "1," * 15_000 + "1)"))


def _seconds(run: Callable[[], object]) -> float:
    """Processor time of the quickest of three runs: what the text costs, not what else the machine does."""
    times: list[float] = []
    for _ in range(3):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
        if times[-1] < MOST_SECONDS / 2:
            break
    return min(times)


@pytest.mark.parametrize(("before", "after"), [("", ""), ("select ", "a"), ("select a from ", "")])
def test_no_text_takes_long_or_ends_in_another_error(before: str, after: str):
    slowest = (0.0, "")
    for unit in UNITS:
        count = (MAX_TEXT_BYTES - len(before) - 1) // len(unit.encode(errors="replace"))
        text = before + unit * count + after
        slowest = max(slowest, (_seconds(lambda text=text: refusal(text, query=bool(before))), unit))
        assert len(str(refusal(text, query=bool(before)))) < 300
    assert slowest[0] < MOST_SECONDS, slowest


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join),
    st.sampled_from(["", "select ", "select a from x where "]),
)
def test_any_words_are_read_or_refused_and_what_is_read_prints_as_itself(words: str, before: str):
    text, query = before + words, bool(before)
    error = refusal(text, query=query)
    if error:
        assert 0 <= error.start <= error.end <= len(text)
        assert str(error).startswith(f"line {error.line}, column {error.column}: ")
        return
    read = parse if query else parse_expr
    tree = read(text)
    printed = print_hogql(tree)
    if not query and printed.startswith(("SELECT ", "WITH ")):
        printed = f"({printed})"
    assert read(printed) == tree


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200), st.sampled_from(["", "select ", "select a from ", "f'", "'"]))
def test_any_text_is_read_or_refused(text: str, before: str):
    for query in (True, False):
        error = refusal(before + text, query=query)
        assert error is None or error.line >= 1


def _parse_from(levels: int) -> None:
    if levels:
        _parse_from(levels - 1)
    else:
        parse_expr("(" * 50 + "a" + ")" * 50)


def test_a_caller_deep_in_its_own_stack_still_gets_a_syntax_error():
    told = ""
    for levels in range(0, 1000, 20):
        try:
            _parse_from(levels)
        except HogQLSyntaxError as error:
            told = str(error)
            break
    assert "no stack left" in told


def test_a_typical_query_of_24_lines_takes_less_than_2_ms():
    assert TYPICAL.count("\n") == 23
    assert min(_seconds(lambda: parse(TYPICAL)) for _ in range(10)) < 0.002
