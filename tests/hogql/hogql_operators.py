"""Expressions of every two operators, and of a few at random, for comparing precedence with the oracle's."""

import random
from collections.abc import Iterator
from itertools import product

BINARY = (
    "+", "-", "*", "/", "%", "||", "=", "!=", "<", ">=", "like", "not like", "ilike", "in", "not in",
    "in cohort", "=~", "!~*", "??", "and", "or", "<=>", "is distinct from", "as", "?:", "between",
    "not between",
)  # fmt: skip
BEFORE = ("-", "not ", "interval ", "x -> ", "")
AFTER = ("is null", "is not null", "::int", "[1]", ".x", ".1", "?.y", "(z)")


def _joined(left: str, operator: str, right: str) -> str:
    if operator == "?:":
        return f"{left} ? {right} : q"
    if operator.endswith("between"):
        return f"{left} {operator} {right} and h"
    return f"{left} {operator} {right}"


def expressions() -> list[str]:
    """Each once, in a fixed order."""
    return list(dict.fromkeys([*_pairs(), *_with_prefix(), *_with_suffix(), *_at_random(random.Random(7))]))


def _pairs() -> Iterator[str]:
    for first, second in product(BINARY, BINARY):
        yield _joined(_joined("a", first, "b"), second, "c")
        yield _joined("a", first, f"({_joined('b', second, 'c')})")
        yield _joined(f"({_joined('a', first, 'b')})", second, "c")
        if first == "?:":
            yield f"a ? {_joined('b', second, 'c')} : d"
            yield f"a ? b : {_joined('c', second, 'd')}"
        if first.endswith("between"):
            yield f"a {first} {_joined('b', second, 'c')} and d"
            yield f"a {first} b and {_joined('c', second, 'd')}"


def _with_prefix() -> Iterator[str]:
    for operator, before in product(BINARY, BEFORE):
        yield _joined(before + "a", operator, "b")
        right = _joined("a", operator, before + "b")
        yield from (right, f"{right} = c", f"{right} and c")
        yield _joined("a", operator, f"{before}(b)") + " * c"
        yield f"{before}({_joined('a', operator, 'b')})"
    for outer, inner in product(BEFORE, BEFORE):
        yield from (f"{outer}{inner}a", f"{outer}{inner}(a)", f"{outer}{inner}a + b")


def _with_suffix() -> Iterator[str]:
    for operator, after in product(BINARY, AFTER):
        yield from (_joined("a", operator, f"b {after}"), _joined(f"a {after}", operator, "b"))
    yield from (f"a {first} {second}" for first, second in product(AFTER, AFTER))
    yield from (f"{before}a {after}" for before, after in product(BEFORE, AFTER))


def _at_random(source: random.Random) -> Iterator[str]:
    operators = [operator for operator in BINARY if operator != "as"]  # alone it has odd corners, see _pairs
    for _ in range(600):
        text = "a"
        for _ in range(source.randint(2, 4)):
            after = source.choice([""] * 5 + [f" {suffix}" for suffix in AFTER])
            text = _joined(
                text, source.choice(operators), source.choice(BEFORE) + source.choice("bcd1") + after
            )
        yield text
