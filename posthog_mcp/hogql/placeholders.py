"""Values in the place of `{name}`, as constants, so that nothing in them can be read as HogQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar, cast

from posthog_mcp.hogql import ast
from posthog_mcp.hogql.printer import print_hogql
from posthog_mcp.hogql.quoting import date_text
from posthog_mcp.hogql.walk import transform, walk

_Node = TypeVar("_Node", bound=ast.Node)

SERVER_NAMES = frozenset({"filters", "variables"})
"""Placeholders that PostHog fills itself, from `filters` and `variables` of the request."""


class PlaceholderError(Exception):
    """A query has placeholders without a value.

    Attributes:
        names: Their names as written between the braces, in the order they appear, each once.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        written = ", ".join(f"{{{name}}}" for name in self.names)
        super().__init__(
            f"No value for {written}. Give each a value in `values`, or write it into the query."
        )


def placeholder_names(query: ast.Node) -> list[str]:
    """What is between the braces of each placeholder, in the order written, each once."""
    found = [print_hogql(node.expr) for node in walk(query) if isinstance(node, ast.Placeholder)]
    return list(dict.fromkeys(found))


def fill_placeholders(
    query: _Node, values: Mapping[str, object], *, leave: Collection[str] = SERVER_NAMES
) -> _Node:
    """Another query with constants in the place of its placeholders; the first one stays as it was.

    Args:
        query: The tree.
        values: By name; `{a.b}` is the value of `b` in the mapping `values["a"]`. Text, numbers, booleans and
            None become constants, lists arrays (which IN takes as well), tuples tuples, dates and times what
            they are in `quote_value`.
        leave: First names of the placeholders that stay, without looking at `values`.

    Raises:
        PlaceholderError: Some have no value.
        TypeError: A value of a type that HogQL has no literal for.
    """
    missing: list[str] = []

    def fill(node: ast.Node) -> ast.Node:
        if not isinstance(node, ast.Placeholder):
            return node
        chain = node.expr.chain if isinstance(node.expr, ast.Field) else []
        if chain and chain[0] in leave:
            return node
        found, value = _look_up(values, chain)
        if not found:
            missing.append(print_hogql(node.expr))
            return node
        return _constant(value, (node.start, node.end))

    filled = transform(query, fill)
    if missing:
        raise PlaceholderError(list(dict.fromkeys(missing)))
    return filled


def _look_up(values: Mapping[str, object], chain: list[str | int]) -> tuple[bool, object]:
    current: Any = values
    for name in chain:
        if not isinstance(current, Mapping) or name not in current:
            return False, None
        current = cast("Mapping[str | int, Any]", current)[name]
    return bool(chain) and not isinstance(current, Mapping), cast("object", current)


def _constant(value: object, place: tuple[int, int]) -> ast.Expr:
    """The tree of a value, as `quote_value` is its text; however long, since nothing is parsed."""
    start, end = place
    if value is None or isinstance(value, str | bool | int | float):
        return ast.Constant(value, start=start, end=end)
    if isinstance(value, date):
        text, in_utc = date_text(value)
        constant = ast.Constant(text, start=start, end=end)
        if not in_utc:
            return constant
        return ast.Call("toDateTime", [constant, ast.Constant("UTC")], start=start, end=end)
    if isinstance(value, list | tuple):
        items = [_constant(item, place) for item in cast("Sequence[object]", value)]
        kind = ast.Array if isinstance(value, list) else ast.Tuple
        return kind(items, start=start, end=end)
    raise TypeError(
        f"HogQL has no literal for a {type(value).__name__}: pass text, a number, a boolean or a list"
    )
