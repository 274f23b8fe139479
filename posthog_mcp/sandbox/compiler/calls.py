"""Function calls: found in the allow-list, counted, and printed in the engine's spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler import conversion_calls, date_calls, functions, logic_calls
from posthog_mcp.sandbox.compiler.errors import CompileError, did_you_mean, refuse
from posthog_mcp.sandbox.compiler.product_calls import PRODUCT_CALLS
from posthog_mcp.sandbox.compiler.special import Given
from posthog_mcp.sandbox.compiler.types import Sql

if TYPE_CHECKING:
    from posthog_mcp.sandbox.compiler.expressions import Expressions
    from posthog_mcp.sandbox.compiler.functions import Function
    from posthog_mcp.sandbox.compiler.scope import Scope

SPECIAL_CALLS = {**conversion_calls.CALLS, **date_calls.CALLS, **logic_calls.CALLS}

# These answer for missing values themselves, whatever their arguments.
_NEVER_NULL = frozenset({
    "count", "uniq", "uniqExact", "uniqCombined", "uniqCombined64", "uniqHLL12", "groupArray",
    "groupUniqArray", "topK", "windowFunnel", "assumeNotNull", "empty", "notEmpty", "array", "tuple", "map",
    "JSONHas", "has", "isNaN", "arrayExists", "arrayAll", "arrayMap", "arrayFilter", "retention",
})  # fmt: skip
_ALWAYS_NULLABLE = frozenset({"toNullable", "nullIf", "singleValueOrNull"})


def compile_call(compiler: Expressions, node: ast.Call, scope: Scope) -> Sql:
    """SQL of `name(params)(args)`.

    Raises:
        CompileError: the function is not allowed, or takes other arguments.
    """
    plain = not (node.distinct or node.order_by or node.filter_expr or node.params is not None)
    lowered = node.name.lower()
    product = PRODUCT_CALLS.get(lowered)
    if product is not None and plain:
        return compiler.compile(product(compiler.world, node, scope), scope)
    special = SPECIAL_CALLS.get(lowered)
    if special is not None and plain:
        values = compiler.all(node.args, scope)
        if not special.least <= len(values) <= special.most:
            raise _wrong_count(node.name, special.least, special.most, len(values), node)
        return special.compile(Given(compiler, values, node))
    function = functions.find(node.name)
    if function is None:
        raise unsupported(node.name, node)
    if function.window_only:
        raise refuse(f"{node.name}(...) is a window function: it needs OVER (...).", node)
    return (
        _aggregate(compiler, function, node, scope)
        if function.aggregate
        else _scalar(compiler, function, node, scope)
    )


def unsupported(name: str, node: ast.Node) -> CompileError:
    """The refusal of a function that is not in the allow-list."""
    hint = did_you_mean(name, [*functions.names(), *SPECIAL_CALLS, *PRODUCT_CALLS])
    return refuse(f"Unsupported function call '{name}(...)'.{hint}", node)


def arguments(
    compiler: Expressions, nodes: list[ast.Expr], scope: Scope, *, allow_star: bool = False
) -> list[Sql]:
    """SQL of a call's arguments; `count(*)` has none."""
    if allow_star and len(nodes) == 1 and isinstance(nodes[0], ast.Field) and nodes[0].chain == ["*"]:
        return []
    return compiler.all(nodes, scope)


def check_arity(function: Function, name: str, values: list[Sql], node: ast.Node) -> None:
    """Refuse a call with too few or too many arguments."""
    if len(values) < function.least or (function.most is not None and len(values) > function.most):
        raise _wrong_count(name, function.least, function.most, len(values), node)


def parameters(
    compiler: Expressions, function: Function, nodes: list[ast.Expr] | None, node: ast.Node, scope: Scope
) -> str:
    """The first brackets of `quantile(0.9)(x)`, or nothing."""
    if not nodes and (
        function.params is None or function.params[0] == 0 or function.name.startswith("quantile")
    ):
        return ""
    if function.params is None:
        raise refuse(f"Function '{function.name}' takes no parameters.", node)
    few, many = function.params
    if not few <= len(nodes or []) <= many:
        raise refuse(
            f"Function '{function.name}' takes {few} to {many} parameters in its first brackets.", node
        )
    values = compiler.all(nodes or [], scope)
    for value in values:
        if not value.is_literal:
            raise refuse(f"The parameters of function '{function.name}' must be constants.", node)
    return f"({', '.join(value.text for value in values)})"


def _wrong_count(name: str, least: int, most: int | None, found: int, node: ast.Node) -> CompileError:
    at = "exactly" if least == most else "at least" if found < least else "at most"
    wanted = least if found < least else most
    return refuse(
        f"Function '{name}' expects {at} {wanted} argument{'s' * (wanted != 1)}, found {found}", node
    )


def _scalar(compiler: Expressions, function: Function, node: ast.Call, scope: Scope) -> Sql:
    if node.distinct or node.order_by or node.filter_expr:
        raise refuse(f"DISTINCT, ORDER BY and FILTER need an aggregation, and '{node.name}' is none.", node)
    if node.params is not None:
        raise refuse(f"Function '{node.name}' takes no parameters.", node)
    values = arguments(compiler, node.args, scope)
    check_arity(function, node.name, values, node)
    _check_reduced(function, values, node)
    kind = functions.result_kind(function, [value.kind for value in values])
    return Sql(f"{function.name}({_joined(values)})", kind, nullable=_nullable(function, values))


def _check_reduced(function: Function, values: list[Sql], node: ast.Call) -> None:
    """`arrayReduce` names an aggregation in a text: it must be an allowed one as well."""
    if function.name != "arrayReduce":
        return
    named = values[0].literal
    found = functions.find(named.partition("(")[0]) if isinstance(named, str) else None
    if found is None or not found.aggregate:
        raise refuse("arrayReduce needs the name of a supported aggregation as its first argument.", node)


def _aggregate(compiler: Expressions, function: Function, node: ast.Call, scope: Scope) -> Sql:
    if node.order_by:
        raise refuse(f"ORDER BY inside {node.name}(...) is not supported; use arraySort on its result.", node)
    if compiler.aggregates:
        outer = compiler.aggregates[-1]
        raise refuse(
            f"Aggregation '{node.name}' cannot be nested inside another aggregation '{outer}'.", node
        )
    compiler.aggregates.append(node.name)
    try:
        values = arguments(compiler, node.args, scope, allow_star=function.name == "count")
        condition = compiler.compile(node.filter_expr, scope) if node.filter_expr is not None else None
    finally:
        compiler.aggregates.pop()
    check_arity(function, node.name, values, node)
    name = f"{function.name}{parameters(compiler, function, node.params, node, scope)}"
    distinct = "DISTINCT " if node.distinct else ""
    text = f"{name}({distinct}{_joined(values)})"
    if condition is not None:
        text = f"{text} FILTER (WHERE {condition.text})"
    kind = functions.result_kind(function, [value.kind for value in values])
    return Sql(text, kind, nullable=_nullable(function, values[:1]))


def _nullable(function: Function, values: list[Sql]) -> bool:
    if function.name in _ALWAYS_NULLABLE or "OrNull" in function.name:
        return True
    base = function.name
    for suffix in functions.COMBINATORS:
        base = base.removesuffix(suffix)
    if base in _NEVER_NULL:
        return False
    return function.result == "Unknown" or any(value.nullable for value in values)


def _joined(values: list[Sql]) -> str:
    return ", ".join(value.text for value in values)
