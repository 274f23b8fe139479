"""Conditions, comparisons by name, and texts put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthog_mcp.sandbox.compiler.comparisons import align
from posthog_mcp.sandbox.compiler.errors import refuse
from posthog_mcp.sandbox.compiler.special import MANY, Given, Registry
from posthog_mcp.sandbox.compiler.types import Kind, Sql

if TYPE_CHECKING:
    from posthog_mcp.hogql import ast

CALLS = Registry()


@CALLS.add("concat", 1, MANY)
def _concat(given: Given) -> Sql:
    return Sql(
        f"concat({', '.join(_text_or_empty(value) for value in given.values)})", "String", nullable=False
    )


def _text_or_empty(value: Sql) -> str:
    if value.is_literal and value.literal is None:
        return "''"
    text = value.text if value.kind == "String" else f"toString({value.text})"
    return f"ifNull({text}, '')" if value.nullable else text


@CALLS.add("if", 3, 3)
def _if(given: Given) -> Sql:
    return _branches("if", given.values, given.values[1:])


@CALLS.add("multiif", 3, MANY)
def _multi_if(given: Given) -> Sql:
    if len(given.values) % 2 == 0:
        raise refuse(
            "multiIf needs pairs of condition and value, and a value for all other cases.", given.node
        )
    return _branches("multiIf", given.values, [*given.values[1:-1:2], given.values[-1]])


@CALLS.add("_casewithexpression casewithexpression", 4, MANY)
def _case(given: Given) -> Sql:
    values = given.values
    if len(values) % 2:
        raise refuse("CASE needs an ELSE when it compares a value.", given.node)
    return _branches("caseWithExpression", values, [*values[2:-1:2], values[-1]])


def _branches(name: str, values: list[Sql], results: list[Sql]) -> Sql:
    text = f"{name}({', '.join(value.text for value in values)})"
    return Sql(text, _common(results), nullable=any(value.nullable for value in results))


def _common(values: list[Sql]) -> Kind:
    kinds: set[Kind] = {
        _plain(value.kind) for value in values if not (value.is_literal and value.literal is None)
    }
    return kinds.pop() if len(kinds) == 1 else "Unknown"


def _plain(kind: Kind) -> Kind:
    return "String" if kind == "JSON" else kind


@CALLS.add("ifnull coalesce nvl", 1, MANY)
def _coalesce(given: Given) -> Sql:
    values = given.values
    name = given.node.name
    if name.lower() != "coalesce" and len(values) != 2:  # noqa: PLR2004 - a value and its stand-in
        raise refuse(f"Function '{name}' expects exactly 2 arguments, found {len(values)}", given.node)
    if len(values) == 2 and _differ(values):  # noqa: PLR2004 - one can be brought to the other's type
        values = list(align(values[0], values[1], given.compiler.world.timezone))
    text = f"coalesce({', '.join(value.text for value in values)})"
    return Sql(text, _common(values), nullable=all(value.nullable for value in values))


def _differ(values: list[Sql]) -> bool:
    return any(value.is_literal for value in values) and values[0].kind in ("DateTime", "Boolean")


@CALLS.add("isnull isnotnull", 1, 1)
def _is_null(given: Given) -> Sql:
    function = "isNull" if given.node.name.lower() == "isnull" else "isNotNull"
    return Sql(f"{function}({given.values[0].text})", "Boolean", nullable=False)


def _comparison(names: str, op: ast.CompareOp) -> None:
    def convert(given: Given) -> Sql:
        return given.compiler.compare(op, given.values[0], given.values[1])

    CALLS.add(names, 2, 2)(convert)


_NAMES: dict[str, ast.CompareOp] = {
    "equals": "==", "notequals": "!=", "less": "<", "lessorequals": "<=", "greater": ">",
    "greaterorequals": ">=", "like": "like", "ilike": "ilike", "notlike": "not like", "notilike": "not ilike",
    "in": "in", "notin": "not in", "match": "=~",
}  # fmt: skip
for _name, _op in _NAMES.items():
    _comparison(_name, _op)


@CALLS.add("isdistinctfrom isnotdistinctfrom", 2, 2)
def _is_distinct(given: Given) -> Sql:
    op: ast.CompareOp = "!=" if given.node.name.lower() == "isdistinctfrom" else "=="
    return given.compiler.compare(op, *given.values)


@CALLS.add("and or", 1, MANY)
def _junction(given: Given) -> Sql:
    word = f" {given.node.name.upper()} "
    text = f"({word.join(value.text for value in given.values)})"
    return Sql(text, "Boolean", nullable=any(value.nullable for value in given.values))


@CALLS.add("not", 1, 1)
def _not(given: Given) -> Sql:
    return Sql(f"(NOT {given.values[0].text})", "Boolean", nullable=given.values[0].nullable)


@CALLS.add("jsonextract", 2, 20)
def _json_extract(given: Given) -> Sql:
    if not (given.values[-1].is_literal and isinstance(given.values[-1].literal, str)):
        raise refuse(
            "JSONExtract needs the type to return as a constant text in its last argument.", given.node
        )
    return Sql(f"JSONExtract({', '.join(value.text for value in given.values)})")
