"""Whatever a value or name holds, its quoted form is read as just that."""

import math
from datetime import UTC, date, datetime, timedelta, timezone

import hogql_oracle as oracle
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from posthog_mcp.hogql import ast, parse, parse_expr, quote_identifier, quote_string, quote_value

HOSTILE = (
    "", "'", "''", "\\", "\\'", "' or 1 = 1 --", "'; drop table x", "a\nb", "\0", "\\0", "{x}", "/*", "--",
    "é日\u202e", "\x1b[0m", "`", '"', "\\x41", "\\N", "${x}", "\ufeff", "\r\n\t\b\f\a\v",
)  # fmt: skip


def hostile(test):
    for text in HOSTILE:
        test = example(text)(test)
    return test


@hostile
@given(st.text())
def test_a_string_is_read_back_exactly(text: str):
    tree = parse_expr(quote_string(text))
    assert tree == ast.Constant(text)
    assert parse(f"select {quote_string(text)} as a from events").select == [
        ast.Alias("a", ast.Constant(text))
    ]


@hostile
@given(st.text())
def test_a_name_is_read_back_exactly(name: str):
    assert parse_expr(quote_identifier(name)) == ast.Field([name])
    assert parse_expr(f"properties.{quote_identifier(name)} + 1").left == ast.Field(["properties", name])
    assert parse(f"select 1 from {quote_identifier(name)}").select_from.table == ast.Field([name])


@pytest.mark.parametrize("text", HOSTILE)
def test_posthog_reads_them_alike(text: str):
    assert oracle.parse_expr(quote_string(text)) == {"node": "Constant", "value": text}
    assert oracle.parse_expr(quote_identifier(text)) == {"node": "Field", "chain": [text]}


@pytest.mark.parametrize("name", ["event", "$browser", "_a1", "properties"])
def test_a_plain_name_stays_plain(name: str):
    assert quote_identifier(name) == name


@given(st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.none(), st.text()))
def test_a_value_is_read_back_with_its_type(value: object):
    tree = parse_expr(quote_value(value))
    assert isinstance(tree, ast.Constant)
    assert tree.value == value
    assert type(tree.value) is type(value)


def test_nan_is_read_back():
    assert math.isnan(parse_expr(quote_value(math.nan)).value)


def test_lists_are_arrays_and_tuples_tuples():
    assert quote_value(["a'b", 1, None, [True]]) == r"['a\'b', 1, null, [true]]"
    assert quote_value([]) == "[]"
    assert quote_value((1, 2)) == "(1, 2)"
    assert quote_value((1,)) == "(1,)"


def test_dates_and_times_are_text_unless_they_have_a_zone():
    assert quote_value(date(2026, 3, 1)) == "'2026-03-01'"
    assert quote_value(datetime(2026, 3, 1, 10, 30)) == "'2026-03-01 10:30:00'"  # noqa: DTZ001 - the case at hand
    assert (
        quote_value(datetime(2026, 3, 1, 10, 30, 0, 5, tzinfo=UTC))
        == "toDateTime('2026-03-01 10:30:00.000005', 'UTC')"
    )
    later = datetime(2026, 3, 1, 10, 30, tzinfo=timezone(timedelta(hours=2)))
    assert quote_value(later) == "toDateTime('2026-03-01 08:30:00', 'UTC')"


def test_another_type_is_refused_with_what_to_pass():
    with pytest.raises(TypeError, match="no literal for a dict: pass text"):
        quote_value({"a": 1})


def test_text_of_our_own_types_is_written_as_its_plain_value():
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "' or 1"

    assert quote_value(Text("a")) == "'a'"
