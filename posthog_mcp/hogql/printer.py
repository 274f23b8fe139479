"""A tree as HogQL text: one line, keywords in capitals, brackets only where they are needed.

Parsing the text gives the tree again. A column without alias is named by it: `count()` stays `count()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from posthog_mcp.hogql import ast, names
from posthog_mcp.hogql.expressions import (
    ADD,
    ALIAS,
    AND,
    BETWEEN,
    COMPARE,
    IS_NULL,
    MULTIPLY,
    NOT,
    OR,
    TERNARY,
)
from posthog_mcp.hogql.operands import ANY
from posthog_mcp.hogql.quoting import quote_identifier, quote_value

_TIGHT = 15
"""Tighter than any operator: what may stand before a dot or bracket."""


def print_hogql(node: ast.Node) -> str:
    """HogQL text for any node of a tree."""
    if isinstance(node, ast.SelectQuery | ast.SelectSetQuery):
        return _query(node)
    if isinstance(node, ast.Expr):
        return _expr(node)
    return _CLAUSES[type(node)](node)


def _expr(node: ast.Expr, floor: int = ANY) -> str:
    """Text of an expression, in parentheses if it binds less tightly than `floor`."""
    level, text = _PRINTERS[type(node)](node)
    return f"({text})" if level < floor else text


def _list(exprs: Iterable[ast.Expr]) -> str:
    return ", ".join([_expr(expr) for expr in exprs])


_Printed = tuple[int, str]

# --- values and names -------------------------------------------------------------------------------------


def _constant(node: ast.Constant) -> _Printed:
    return _TIGHT if isinstance(node.value, str) else _TIGHT - 1, quote_value(node.value)


def _field(node: ast.Field) -> _Printed:
    return _TIGHT - 1 if node.chain[-1] == "*" else _TIGHT, names.chain(node.chain)


def _columns(node: ast.ColumnsExpr) -> _Printed:
    if node.regex is not None:
        return _TIGHT - 1, f"COLUMNS({quote_value(node.regex)})"
    excluded = ", ".join(quote_identifier(name) for name in node.exclude)
    return _TIGHT - 1, f"{names.chain([*node.table, '*'])} EXCLUDE ({excluded})"


def _placeholder(node: ast.Placeholder) -> _Printed:
    return _TIGHT, f"{{{_expr(node.expr)}}}"


def _alias(node: ast.Alias) -> _Printed:
    return ALIAS, f"{_expr(node.expr, ALIAS)} AS {names.alias(node.alias)}"


def _array(node: ast.Array) -> _Printed:
    return _TIGHT, f"[{_list(node.exprs)}]"


def _tuple(node: ast.Tuple) -> _Printed:
    if not node.exprs:
        return _TIGHT, "tuple()"
    return _TIGHT, f"({_list(node.exprs)}{',' if len(node.exprs) == 1 else ''})"


def _dict(node: ast.Dict) -> _Printed:
    return _TIGHT, "{" + ", ".join(f"{_expr(key)}: {_expr(value)}" for key, value in node.items) + "}"


def _array_access(node: ast.ArrayAccess) -> _Printed:
    dot = "?." if node.nullish else ""
    return _TIGHT, f"{_expr(node.array, _TIGHT)}{dot}[{_expr(node.property)}]"


def _tuple_access(node: ast.TupleAccess) -> _Printed:
    return _TIGHT, f"{_expr(node.tuple, _TIGHT)}{'?.' if node.nullish else '.'}{node.index}"


def _lambda(node: ast.Lambda) -> _Printed:
    args = [quote_identifier(arg) for arg in node.args]
    return ANY, f"{args[0] if len(args) == 1 else '(' + ', '.join(args) + ')'} -> {_expr(node.expr)}"


# --- operators --------------------------------------------------------------------------------------------


def _and(node: ast.And) -> _Printed:
    return AND, " AND ".join([_expr(expr, AND + 1) for expr in node.exprs])


def _or(node: ast.Or) -> _Printed:
    return OR, " OR ".join([_expr(expr, OR + 1) for expr in node.exprs])


def _not(node: ast.Not) -> _Printed:
    if isinstance(node.expr, ast.SelectQuery | ast.SelectSetQuery):
        return NOT, f"NOT ({_query(node.expr)})"
    return _TIGHT, f"not({_expr(node.expr)})"


def _arithmetic(node: ast.ArithmeticOperation) -> _Printed:
    level = ADD if node.op in "+-" else MULTIPLY
    return level, f"{_expr(node.left, level)} {node.op} {_expr(node.right, level + 1)}"


def _compare(node: ast.CompareOperation) -> _Printed:
    if node.null_style:
        return IS_NULL, f"{_expr(node.left, IS_NULL)} IS {'NOT ' if node.op == '!=' else ''}NULL"
    op = "=" if node.op == "==" else node.op.upper()
    return COMPARE, f"{_expr(node.left, COMPARE)} {op} {_expr(node.right, COMPARE + 1)}"


def _between(node: ast.BetweenExpr) -> _Printed:
    bounds = f"{_expr(node.low, BETWEEN + 1)} AND {_expr(node.high, BETWEEN + 1)}"
    return BETWEEN, f"{_expr(node.expr, BETWEEN)} {'NOT ' if node.negated else ''}BETWEEN {bounds}"


# --- calls ------------------------------------------------------------------------------------------------


def _function(name: str, params: list[ast.Expr] | None) -> str:
    text = names.function(name)
    return text if params is None else f"{text}({_list(params)})"


def _call(node: ast.Call) -> _Printed:
    inside = ("DISTINCT " if node.distinct else "") + _list(node.args)
    if node.order_by:
        inside = f"{inside} ORDER BY {_order_by(node.order_by)}".lstrip()
    text = f"{_function(node.name, node.params)}({inside})"
    if node.filter_expr is not None:
        text += f" FILTER (WHERE {_expr(node.filter_expr)})"
    return _TIGHT, text


def _expr_call(node: ast.ExprCall) -> _Printed:
    called = _expr(node.expr, _TIGHT)
    if (isinstance(node.expr, ast.Field) and len(node.expr.chain) == 1) or (
        isinstance(node.expr, ast.Call) and node.expr.params is None
    ):
        called = f"({called})"
    return _TIGHT, f"{called}({_list(node.args)})"


def _window_function(node: ast.WindowFunction) -> _Printed:
    over = f"({_window(node.over)})" if node.over else quote_identifier(node.over_name or "")
    return _TIGHT - 1, f"{_function(node.name, node.params)}({_list(node.exprs)}) OVER {over}"


def _window(node: ast.WindowExpr) -> str:
    parts: list[str] = []
    if node.partition_by:
        parts.append(f"PARTITION BY {_list(node.partition_by)}")
    if node.order_by:
        parts.append(f"ORDER BY {_order_by(node.order_by)}")
    if node.frame_method and node.frame_start:
        frame = _frame(node.frame_start)
        if node.frame_end:
            frame = f"BETWEEN {frame} AND {_frame(node.frame_end)}"
        parts.append(f"{node.frame_method} {frame}")
    return " ".join(parts)


def _frame(node: ast.WindowFrameExpr) -> str:
    if node.frame_type == "CURRENT ROW":
        return "CURRENT ROW"
    return f"{'UNBOUNDED' if node.frame_value is None else node.frame_value} {node.frame_type}"


def _order_by(keys: list[ast.OrderExpr]) -> str:
    return ", ".join([_order(key) for key in keys])


def _order(node: ast.OrderExpr) -> str:
    text = _expr(node.expr)
    if node.order == "DESC":
        text += " DESC"
    return f"{text} NULLS {node.nulls}" if node.nulls else text


# --- queries ----------------------------------------------------------------------------------------------


def _subquery(node: ast.Query) -> _Printed:
    return _TIGHT, f"({_query(node)})"


def _query(node: ast.Query) -> str:
    return _select(node) if isinstance(node, ast.SelectQuery) else _set(node)


def _set(node: ast.SelectSetQuery) -> str:
    limited = node.limit is not None or node.offset is not None
    text = _term(node.initial_select_query, bracketed=limited)
    for further in node.subsequent_select_queries:
        text += f" {further.set_operator} {_term(further.select_query, bracketed=limited)}"
    return text + _limit(node)


def _term(node: ast.Query, *, bracketed: bool) -> str:
    text = _query(node)
    return f"({text})" if bracketed or isinstance(node, ast.SelectSetQuery) else text


def _select(node: ast.SelectQuery) -> str:
    parts: list[str] = []
    if node.ctes:
        recursive = "RECURSIVE " if any(cte.recursive for cte in node.ctes) else ""
        parts.append(f"WITH {recursive}{', '.join([_cte(cte) for cte in node.ctes])}")
    parts.append(f"SELECT {'DISTINCT ' if node.distinct else ''}{_list(node.select)}")
    if node.select_from:
        parts.append(f"FROM {_join(node.select_from)}")
    if node.array_join_op:
        parts.append(f"{node.array_join_op} {_list(node.array_join_list or [])}")
    parts += [
        f"{word} {_expr(expr)}"
        for word, expr in (("PREWHERE", node.prewhere), ("WHERE", node.where))
        if expr is not None
    ]
    if node.group_by or node.group_by_mode:
        parts.append(_group_by(node))
    parts += [
        f"{word} {_expr(expr)}"
        for word, expr in (("HAVING", node.having), ("QUALIFY", node.qualify))
        if expr is not None
    ]
    if node.window_exprs:
        windows = [
            f"{quote_identifier(name)} AS ({_window(window)})" for name, window in node.window_exprs.items()
        ]
        parts.append(f"WINDOW {', '.join(windows)}")
    if node.order_by:
        parts.append(f"ORDER BY {_order_by(node.order_by)}")
    if node.limit_by:
        parts.append(_limit_by(node.limit_by))
    return " ".join(parts) + _limit(node)


def _limit(node: ast.Query) -> str:
    text = ""
    if node.limit is not None:
        text += f" LIMIT {_expr(node.limit)}"
        if isinstance(node, ast.SelectQuery) and node.limit_with_ties:
            text += " WITH TIES"
    return text if node.offset is None else f"{text} OFFSET {_expr(node.offset)}"


def _limit_by(node: ast.LimitByExpr) -> str:
    offset = f" OFFSET {_expr(node.offset_value)}" if node.offset_value is not None else ""
    return f"LIMIT {_expr(node.n)}{offset} BY {_list(node.exprs)}"


def _group_by(node: ast.SelectQuery) -> str:
    keys, mode = _list(node.group_by or []), node.group_by_mode
    if mode == "all":
        return "GROUP BY ALL"
    if mode in ("cube", "rollup"):
        return f"GROUP BY {mode.upper()}({keys})"
    return f"GROUP BY {keys}{' ' + mode.upper() if mode else ''}"


def _cte(node: ast.CTE) -> str:
    name = quote_identifier(node.name)
    if node.cte_type == "column":
        return f"{_expr(node.expr, TERNARY)} AS {names.alias(node.name)}"
    return f"{name}{_names(node.columns)} AS {_expr(node.expr)}"


def _names(given: list[str] | None) -> str:
    return f" ({', '.join([quote_identifier(name) for name in given])})" if given else ""


def _join(node: ast.JoinExpr) -> str:
    """A table and all that are joined to it."""
    parts = [_table(node)]
    joined = node.next_join
    while joined:
        parts += [joined.join_type or "JOIN", _table(joined)]
        if joined.constraint:
            parts.append(_constraint(joined.constraint))
        joined = joined.next_join
    return " ".join(parts)


def _table(node: ast.JoinExpr) -> str:
    text = _expr(node.table)
    if isinstance(node.table, ast.Field):
        text = ".".join([quote_identifier(str(part)) for part in node.table.chain])
    if node.table_args is not None:
        text += f"({_list(node.table_args)})"
    if node.alias:
        text += f" AS {names.alias(node.alias)}{_names(node.column_aliases)}"
    if node.table_final:
        text += " FINAL"
    return f"{text} SAMPLE {_sample(node.sample)}" if node.sample else text


def _constraint(node: ast.JoinConstraint) -> str:
    return f"{node.constraint_type} {_expr(node.expr)}"


def _sample(node: ast.SampleExpr) -> str:
    return f"{_ratio(node.value)} OFFSET {_ratio(node.offset)}" if node.offset else _ratio(node.value)


def _ratio(node: ast.RatioExpr) -> str:
    return f"{_expr(node.left)}/{_expr(node.right)}" if node.right else _expr(node.left)


def _set_node(node: ast.SelectSetNode) -> str:
    return f"{node.set_operator} {_term(node.select_query, bracketed=False)}"


# The values take the type that is their key, which a dictionary's type cannot say.
_PRINTERS: dict[type[ast.Expr], Callable[[Any], _Printed]] = {
    ast.Constant: _constant,
    ast.Field: _field,
    ast.ColumnsExpr: _columns,
    ast.Placeholder: _placeholder,
    ast.Alias: _alias,
    ast.Array: _array,
    ast.Tuple: _tuple,
    ast.Dict: _dict,
    ast.ArrayAccess: _array_access,
    ast.TupleAccess: _tuple_access,
    ast.Lambda: _lambda,
    ast.And: _and,
    ast.Or: _or,
    ast.Not: _not,
    ast.ArithmeticOperation: _arithmetic,
    ast.CompareOperation: _compare,
    ast.BetweenExpr: _between,
    ast.Call: _call,
    ast.ExprCall: _expr_call,
    ast.WindowFunction: _window_function,
    ast.SelectQuery: _subquery,
    ast.SelectSetQuery: _subquery,
}
_CLAUSES: dict[type[ast.Node], Callable[[Any], str]] = {
    ast.OrderExpr: _order,
    ast.WindowExpr: _window,
    ast.WindowFrameExpr: _frame,
    ast.RatioExpr: _ratio,
    ast.SampleExpr: _sample,
    ast.JoinConstraint: _constraint,
    ast.JoinExpr: _join,
    ast.CTE: _cte,
    ast.LimitByExpr: _limit_by,
    ast.SelectSetNode: _set_node,
}
