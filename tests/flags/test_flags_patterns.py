"""Regular expressions of flags: the same answer as Python's engine, in bounded time."""

from __future__ import annotations

import re
import time
from random import Random

import pytest

from posthog_mcp.flags import Absence, FlagSet, compile_flags
from posthog_mcp.flags.automaton import Automaton, TooMuchWorkError
from posthog_mcp.flags.patterns import UnsharedPatternError, search_as_server, shared

# What an evaluation may take of the event loop, with room for a busy machine.
BOUND_SECONDS = 0.05


def pattern(random: Random, depth: int = 0) -> str:
    parts: list[str] = []
    for _ in range(random.randint(1, 4)):
        roll = random.random()
        if roll < 0.08:
            parts.append(random.choice(["^", r"\Z"]))
            continue
        if roll < 0.3 and depth < 2:
            atom = random.choice(["(", "(?:"]) + pattern(random, depth + 1) + ")"
        else:
            atom = random.choice(["a", "b", "c", r"\d", r"\w", ".", "[a-c]", "[^b]", r"\.", r"\x61", "é"])
        parts.append(atom + random.choice(["", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "{0}"]))
    alternative = "|" + pattern(random, depth + 1) if random.random() < 0.25 else ""
    return "".join(parts) + alternative


@pytest.mark.parametrize("seed", range(4))
def test_the_automaton_finds_what_python_finds(seed: int):
    random = Random(seed)
    compared = 0
    for _ in range(1500):
        source = pattern(random)
        text = "".join(random.choice("aabbcé1.\n") for _ in range(random.randint(0, 9)))
        try:
            expected = re.compile(source).search(text) is not None
        except re.error:
            continue
        assert Automaton(source).search(text) is expected, (source, text)
        compared += 1
    assert compared > 1000


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("(a|a)*b", "a" * 5_000),
        ("(x|y|xy)+z$", "xy" * 5_000),
        ("a.*b.*c.*d", "abc" * 5_000),
        ("^([a-z]|[a-z0-9])*@$", "a" * 20_000),
        (r"\s*\s*\s*\s*x", " " * 20_000),
        ("a?" * 30 + "a" * 30, "a" * 29),
        ("(a|b|ab){20}c", "ab" * 5_000),
        (".*" * 30 + "x", "a" * 10_000),
        ("x{1000}y", "x" * 40_000),
        ("(?:a{1,50}){1,1}b", "a" * 10_000),
    ],
)
def test_no_pattern_holds_the_loop(source: str, text: str):
    definitions = {"flags": [{"key": "f", "active": True, "filters": {"groups": [{"properties": [
        {"key": "x", "operator": "regex", "value": source}
    ]}]}}]}  # fmt: skip
    for absence in Absence:
        fastest = min(_seconds(compile_flags(definitions, absence=absence), text) for _ in range(3))
        assert fastest < BOUND_SECONDS, (source, fastest)


def _seconds(flags: FlagSet, text: str) -> float:
    start = time.perf_counter()
    flags.evaluate("f", "u", person_properties={"x": text})
    return time.perf_counter() - start


@pytest.mark.parametrize(
    "source",
    [
        "(?=a)",
        "(?!a)",
        "(?<=a)b",
        "(?i)a",
        "(?P<n>a)",
        r"(a)\1",
        r"\ba",
        r"\Ba",
        r"\Aa",
        r"a\Z",
        r"\p{L}",
        r"\u00e9",
        "[[:alpha:]]",
        "[a&&b]",
        "[a--b]",
        "[a~~b]",
        "(a+)+",
        "(a*)*",
        "(a|b+)*",
        "(a?){2}",
        "a++",
        "a{2}+",
        "a{,3}",
        "{2}",
        "^*",
        "()*",
        "[]a]",
        r"[\d-z]",
        r"[a-\d]",
        r"\<a",
        "a" * 5_000,
        "\ud800",
    ],
)
def test_what_the_engines_do_not_share_is_refused(source: str):
    with pytest.raises(UnsharedPatternError):
        shared(source)


@pytest.mark.parametrize("source", ["(", ")", "[", "a**", "*a", "|*", "a\\", "[b-a]"])
def test_what_is_no_pattern_matches_nothing(source: str):
    assert shared(source).valid is False
    assert shared(source).search("a") is False


@pytest.mark.parametrize(
    ("source", "text"),
    [("a$|b+", "a\n"), (r"a\s", "a\x1c"), (r"\w", "a\u0301"), (r"\w", "\u00b2"), ("a", "\ud800")],
)
def test_texts_on_which_the_engines_differ_are_refused(source: str, text: str):
    with pytest.raises(UnsharedPatternError):
        shared(source).search(text)


def test_the_automaton_gives_up_rather_than_take_long():
    with pytest.raises(TooMuchWorkError):
        Automaton("(?:a{50}){50}").search("a")
    with pytest.raises(TooMuchWorkError):
        Automaton("a").search("b" * 60_000)


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        (r"\bpro\b", "go pro now", True), ("(?i)PRO", "pro", True), ("pro(?!mo)", "promo", False),
        ("(a+)+$", "aaa", True), ("(", "a", None), ("(a+)+b", "a" * 200, None),
    ],
)  # fmt: skip
def test_the_server_reads_more_patterns(source: str, text: str, expected: bool | None):
    assert search_as_server(source, text) is expected
