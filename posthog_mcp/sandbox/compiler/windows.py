"""Window functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler import functions
from posthog_mcp.sandbox.compiler.calls import arguments, check_arity, parameters, unsupported
from posthog_mcp.sandbox.compiler.errors import did_you_mean, refuse
from posthog_mcp.sandbox.compiler.types import Sql

if TYPE_CHECKING:
    from posthog_mcp.sandbox.compiler.expressions import Expressions
    from posthog_mcp.sandbox.compiler.scope import Scope

# Without a value they give the type's zero, unless the type has a NULL.
_NULL_AT_THE_EDGE = frozenset({"lag", "lead", "lagInFrame", "leadInFrame", "nth_value"})


def compile_window_function(compiler: Expressions, node: ast.WindowFunction, scope: Scope) -> Sql:
    """SQL of `name(...) over (...)`.

    Raises:
        CompileError: the function or the named window is unknown.
    """
    function = functions.find(node.name)
    if function is None or not (function.aggregate or function.window_only):
        raise unsupported(node.name, node)
    values = arguments(compiler, node.exprs, scope, allow_star=function.name == "count")
    check_arity(function, node.name, values, node)
    texts = [value.text for value in values]
    nullable = any(value.nullable for value in values[:1])
    if function.name in _NULL_AT_THE_EDGE:
        texts[0] = f"toNullable({texts[0]})"
        nullable = True
    name = f"{function.name}{parameters(compiler, function, node.params, node, scope)}"
    kind = functions.result_kind(function, [value.kind for value in values])
    return Sql(f"{name}({', '.join(texts)}) OVER ({_window(compiler, node, scope)})", kind, nullable=nullable)


def _window(compiler: Expressions, node: ast.WindowFunction, scope: Scope) -> str:
    window = node.over
    if node.over_name is not None:
        window = scope.windows.get(node.over_name)
        if window is None:
            hint = did_you_mean(node.over_name, scope.windows)
            raise refuse(f'There is no window named "{node.over_name}".{hint}', node)
    return "" if window is None else window_text(compiler, window, scope)


def window_text(compiler: Expressions, window: ast.WindowExpr, scope: Scope) -> str:
    """What stands between the brackets of OVER."""
    parts: list[str] = []
    if window.partition_by:
        keys = compiler.all(window.partition_by, scope)
        parts.append(f"PARTITION BY {', '.join(key.text for key in keys)}")
    if window.order_by:
        parts.append(f"ORDER BY {order_text(compiler, window.order_by, scope)}")
    if window.frame_method is not None:
        method = "ROWS" if window.frame_method == "ROWS" else "RANGE"
        start = _bound(window.frame_start, window)
        if window.frame_end is None:
            parts.append(f"{method} {start}")
        else:
            parts.append(f"{method} BETWEEN {start} AND {_bound(window.frame_end, window)}")
    return " ".join(parts)


def order_text(compiler: Expressions, keys: list[ast.OrderExpr], scope: Scope) -> str:
    """The keys of an ORDER BY."""
    return ", ".join(_order_key(compiler, key, scope) for key in keys)


def _order_key(compiler: Expressions, key: ast.OrderExpr, scope: Scope) -> str:
    value = compiler.compile(key.expr, scope)
    order = "DESC" if key.order == "DESC" else "ASC"
    nulls = "" if key.nulls is None else " NULLS FIRST" if key.nulls == "FIRST" else " NULLS LAST"
    return f"{value.text} {order}{nulls}"


def _bound(frame: ast.WindowFrameExpr | None, window: ast.WindowExpr) -> str:
    if frame is None:
        raise refuse("The window's frame has no start.", window)
    if frame.frame_type == "CURRENT ROW":
        return "CURRENT ROW"
    direction = "PRECEDING" if frame.frame_type == "PRECEDING" else "FOLLOWING"
    if frame.frame_value is None:
        return f"UNBOUNDED {direction}"
    if frame.frame_value < 0:
        raise refuse("The bounds of a window's frame must not be negative.", window)
    return f"{frame.frame_value:d} {direction}"
