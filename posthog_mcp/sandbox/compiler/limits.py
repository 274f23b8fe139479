"""How many rows an answer has: 100 unless the query says so, never above the project's maximum."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.errors import refuse

if TYPE_CHECKING:
    from posthog_mcp.sandbox.compiler.expressions import Expressions
    from posthog_mcp.sandbox.compiler.scope import Scope

DEFAULT_LIMIT = 100


def limit_text(expressions: Expressions, node: ast.Expr, scope: Scope) -> str:
    """SQL of a LIMIT or OFFSET: a whole number, or an expression that the engine computes beforehand.

    Raises:
        CompileError: a constant that is no whole number, or is negative.
    """
    if isinstance(node, ast.Constant):
        return f"{whole_number(node):d}"
    return f"toUInt64(greatest(0, {expressions.compile(node, scope).text}))"


def whole_number(node: ast.Constant) -> int:
    """The value of a constant LIMIT or OFFSET."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise refuse("LIMIT and OFFSET must be whole numbers, not negative.", node)
    return value


def clamp(node: ast.Expr, most: int) -> ast.Expr:
    """A LIMIT that is never above `most`."""
    if isinstance(node, ast.Constant):
        return replace(node, value=min(whole_number(node), most))
    return ast.Call(name="least", args=[ast.Constant(value=most), node], start=node.start, end=node.end)
