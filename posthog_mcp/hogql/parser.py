"""Text to tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from posthog_mcp.hogql import ast
from posthog_mcp.hogql.errors import MAX_TEXT_BYTES, MAX_TREE_DEPTH, HogQLSyntaxError
from posthog_mcp.hogql.queries import Queries
from posthog_mcp.hogql.walk import depth

_Tree = TypeVar("_Tree", bound=ast.Node)


def parse(text: str) -> ast.Query:
    """Read a HogQL query: one SELECT or a union of them; one `;` at the end is fine.

    Raises:
        HogQLSyntaxError: The text is no such query, or beyond a limit (64 kB, nesting of 60).
    """
    return _run(text, _query)


def parse_expr(text: str) -> ast.Expr:
    """Read a HogQL expression, such as `properties.$browser = 'Chrome'`.

    Raises:
        HogQLSyntaxError: The text is no expression, or beyond a limit.
    """
    return _run(text, _expression)


def _query(parser: Queries) -> ast.Query:
    query = parser.query()
    parser.accept(";")
    return query


def _expression(parser: Queries) -> ast.Expr:
    return parser.expression()


def _run(text: str, read: Callable[[Queries], _Tree]) -> _Tree:
    """Parse the whole text within the limits."""
    if len(text) > MAX_TEXT_BYTES or (
        not text.isascii() and len(text.encode(errors="replace")) > MAX_TEXT_BYTES
    ):
        message = (
            f"the query is longer than {MAX_TEXT_BYTES // 1024} kB: shorten it, or pass long lists as values"
        )
        raise HogQLSyntaxError(message, text, 0, 0, "a shorter query")
    parser = Queries(text)
    try:
        tree = read(parser)
    except RecursionError:
        # The limits keep us far from it, unless the caller's own stack was nearly full.
        parser.fail_depth("no stack left")
    parser.finish()
    if parser.chained > MAX_TREE_DEPTH // 2 and depth(tree) > MAX_TREE_DEPTH:
        parser.fail_depth(f"more than {MAX_TREE_DEPTH} nodes inside each other")
    return tree
