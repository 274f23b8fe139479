"""Our trees against those of PostHog's own parser."""

from pathlib import Path

import hogql_oracle as oracle
import pytest
from hogql_differences import DIFFERENCES
from hogql_normalise import ours, theirs
from hogql_operators import expressions

from posthog_mcp.hogql import HogQLSyntaxError, parse, parse_expr

DATA = Path(__file__).parent.parent / "data"
CORPUS = (DATA / "hogql_corpus.sql").read_text(encoding="utf-8").strip().split("\n---\n")
PROBES = (DATA / "hogql_probes.txt").read_text(encoding="utf-8").splitlines()
"""Short texts around every construct, right and wrong; after `!` a query, else an expression."""


def compare(text: str, *, query: bool) -> str:
    """What is different between the two parsers, or "" if nothing is."""
    expected = (oracle.parse_query if query else oracle.parse_expr)(text)
    try:
        found = (parse if query else parse_expr)(text)
    except HogQLSyntaxError as error:
        return (
            f"{text!r}: only PostHog reads it, we say {error}" if expected and text not in DIFFERENCES else ""
        )
    if expected is None:
        return f"{text!r}: only we read it, as {found}"
    return (
        "" if theirs(expected) == ours(found) else f"{text!r}: PostHog {theirs(expected)}, we {ours(found)}"
    )


def test_the_corpus_is_large_and_has_no_query_twice():
    assert len(CORPUS) >= 200
    assert len(set(CORPUS)) == len(CORPUS)


@pytest.mark.parametrize("part", range(4))
def test_the_corpus_gives_the_trees_of_posthog(part: int):
    for text in CORPUS[part::4]:
        assert oracle.parse_query(text) is not None, text
        assert compare(text, query=True) == ""
        assert text not in DIFFERENCES


@pytest.mark.parametrize("part", range(4))
def test_what_posthog_reads_or_refuses_we_read_alike_or_refuse(part: int):
    found = [
        compare(
            probe.removeprefix("!").replace("\\N", "\n") if probe.startswith("!") else probe,
            query=probe.startswith("!"),
        )
        for probe in PROBES[part::4]
    ]
    assert [line for line in found if line] == []


@pytest.mark.parametrize("part", range(4))
def test_operators_bind_as_they_do_in_posthog(part: int):
    assert [line for text in expressions()[part::4] if (line := compare(text, query=False))] == []


@pytest.mark.parametrize(
    "text",
    ["'\\{}'", '"\\{}"', "`\\{}`"],
)
def test_escapes_are_those_of_posthog(text: str):
    found = [compare(text.replace("{}", chr(code)), query=False) for code in range(32, 127)]
    assert [line for line in found if line] == []


def test_positions_lead_back_to_the_text():
    text = "select toFloat(properties.total) as t from events where event = 'a b' and timestamp > now()"
    query = parse(text)
    alias, where = query.select[0], query.where
    assert text[alias.start : alias.end] == "toFloat(properties.total) as t"
    assert text[where.start : where.end] == "event = 'a b' and timestamp > now()"
    assert text[query.select_from.start : query.select_from.end] == "events"
    assert text[query.start : query.end] == text
