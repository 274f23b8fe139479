"""Mistakes are told so that a person or an agent can act on them."""

from pathlib import Path

import pytest

from posthog_mcp.hogql import HogQLSyntaxError, parse, parse_expr

DATA = Path(__file__).parent.parent / "data"
BLOCKS = (DATA / "hogql_mistakes.txt").read_text(encoding="utf-8").strip().split("\n\n")
MISTAKES = [tuple(block.split("\n")) for block in BLOCKS]
"""A text, a line break written `\\N`, and what is told about it."""


def mistake(text: str) -> HogQLSyntaxError:
    with pytest.raises(HogQLSyntaxError) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize(("text", "told"), MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(text: str, told: str):
    assert str(mistake(text.replace("\\N", "\n"))) == told


def test_text_without_a_query_is_told():
    assert str(mistake(" ")).startswith("line 1, column 2: expected `select` or `with`")


def test_an_error_carries_its_parts():
    error = mistake("select a\nfrom where b")
    assert (error.line, error.column, error.start, error.end) == (2, 6, 14, 19)
    assert error.message == "expected a table name, found `where`"
    assert error.expected == "a table name"


def test_a_long_word_is_not_repeated_whole():
    error = mistake(f"select a from b c {'d' * 5000}")
    assert len(str(error)) < 200


def test_an_expression_is_no_query_and_a_query_no_expression():
    with pytest.raises(HogQLSyntaxError):
        parse("a = 1")
    with pytest.raises(HogQLSyntaxError):
        parse_expr("select 1")
