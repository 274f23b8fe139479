"""Comparisons as HogQL has them: sides are brought to one type, and NULL is a value like any other."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from posthog_mcp.sandbox.compiler.properties import to_moment, to_number
from posthog_mcp.sandbox.compiler.quoting import scalar, string
from posthog_mcp.sandbox.compiler.types import Sql

if TYPE_CHECKING:
    from posthog_mcp.hogql.ast import CompareOp

_OPERATORS: Final[dict[str, str]] = {
    "==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">=",
    "like": "LIKE", "ilike": "ILIKE", "not like": "NOT LIKE", "not ilike": "NOT ILIKE",
    "in": "IN", "not in": "NOT IN", "global in": "IN", "global not in": "NOT IN",
}  # fmt: skip
_TEXT_OPERATORS = frozenset({"like", "ilike", "not like", "not ilike", "=~", "!~", "=~*", "!~*"})
# Rows where a side is NULL pass these: NULL is not equal, not like and not in.
_NEGATIVE = frozenset({"!=", "not like", "not ilike", "not in", "global not in", "!~", "!~*"})
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_MOMENTS = ("DateTime", "Date")


def compare(op: CompareOp, left: Sql, right: Sql, timezone: str, *, in_join: bool = False) -> Sql:
    """`left op right`, never NULL.

    Args:
        op: The operator; cohorts are not handled here.
        left: One side.
        right: The other; for `in` a list with `items`, or a subquery in brackets.
        timezone: The project's, in which texts are read as moments.
        in_join: Write plain `=`, which the engine can turn into a hash join.
    """
    if op in _TEXT_OPERATORS:
        left, right = _as_text(left), _as_text(right)
    elif right.items is not None and _is_membership(op):
        left, right = _align_list(left, right, timezone)
    elif not _is_membership(op):
        left, right = align(left, right, timezone)
    text = _print(op, left.text, right.text)
    if in_join:
        return Sql(text, "Boolean", nullable=left.nullable or right.nullable)
    return Sql(_null_safe(op, left, right, text), "Boolean", nullable=False)


def _is_membership(op: str) -> bool:
    return op.endswith("in")


def _print(op: str, left: str, right: str) -> str:
    if op in _OPERATORS:
        return f"({left} {_OPERATORS[op]} {right})"
    pattern = f"concat('(?i)', {right})" if op.endswith("*") else right
    call = f"match({left}, {pattern})"
    return f"(NOT {call})" if op.startswith("!") else call


def _null_safe(op: str, left: Sql, right: Sql, text: str) -> str:
    right_nullable = right.nullable and not _is_membership(op)
    if not left.nullable and not right_nullable:
        return text
    if left.nullable and right_nullable and op in ("==", "!="):
        same = f"isNotDistinctFrom({left.text}, {right.text})"
        return same if op == "==" else f"(NOT {same})"
    return f"ifNull({text}, {1 if op in _NEGATIVE else 0})"


def align(left: Sql, right: Sql, timezone: str) -> tuple[Sql, Sql]:
    """Both sides, each cast towards the other where HogQL does so."""
    if left.items is not None and right.items is not None and len(left.items) == len(right.items):
        pairs = [align(one, other, timezone) for one, other in zip(left.items, right.items, strict=True)]
        return _tuple(left, [one for one, _ in pairs]), _tuple(right, [other for _, other in pairs])
    return fit(left, right, timezone), fit(right, left, timezone)


def _tuple(sql: Sql, items: list[Sql]) -> Sql:
    inner = ", ".join(item.text for item in items)
    text = f"[{inner}]" if sql.kind == "Array" else f"tuple({inner})"
    return replace(sql, text=text, items=tuple(items))


def _align_list(left: Sql, right: Sql, timezone: str) -> tuple[Sql, Sql]:
    items = right.items or ()
    if left.items is not None and items and all(item.items is not None for item in items):
        rows = [
            _tuple(
                item,
                [fit(cell, side, timezone) for cell, side in zip(item.items or (), left.items, strict=False)],
            )
            for item in items
        ]
        return left, _bracketed(right, rows)
    numeric = bool(items) and all(item.kind == "Number" for item in items)
    if left.kind == "String" and not left.is_literal and numeric:
        left = replace(left, text=to_number(left.text), kind="Number", nullable=True)
    return _moment(left), _bracketed(right, [fit(item, left, timezone) for item in items])


def _bracketed(sql: Sql, items: list[Sql]) -> Sql:
    return replace(sql, text=f"({', '.join(item.text for item in items)})", items=tuple(items))


def fit(value: Sql, other: Sql, timezone: str) -> Sql:
    """`value`, cast to what `other` is."""
    if value.is_literal and isinstance(value.literal, str):
        return _fit_text(value, value.literal, other, timezone)
    if value.is_literal and isinstance(value.literal, bool) and other.kind == "String":
        return replace(value, text="'true'" if value.literal else "'false'", kind="String")
    if value.kind == "String" and not value.is_literal:
        if other.kind == "Number":
            return replace(value, text=to_number(value.text), kind="Number", nullable=True)
        if other.kind in _MOMENTS:
            return replace(value, text=to_moment(value.text, timezone), kind="DateTime", nullable=True)
    return _moment(value)


def _fit_text(value: Sql, text: str, other: Sql, timezone: str) -> Sql:
    if other.kind in _MOMENTS:
        return moment_of(text, timezone)
    if other.kind == "Number" and _NUMBER.fullmatch(text):
        return replace(value, text=scalar(float(text)), kind="Number")
    if other.kind == "Boolean" and text.lower() in ("true", "false"):
        return replace(value, text=text.lower(), kind="Boolean")
    return value


def moment_of(text: str, timezone: str) -> Sql:
    """A text of the query read as a moment in the project's time zone."""
    return Sql(
        f"parseDateTime64BestEffort({string(text)}, 6, {string(timezone)})", "DateTime", nullable=False
    )


def _moment(value: Sql) -> Sql:
    return replace(value, text=value.instant) if value.instant is not None else value


def _as_text(value: Sql) -> Sql:
    if value.kind in ("String", "JSON", "Unknown"):
        return value
    return replace(value, text=f"toString({value.text})", kind="String")
