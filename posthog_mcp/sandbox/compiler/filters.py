"""PostHog's property filters, rows of `{type, key, value, operator}`, as HogQL trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from posthog_mcp.hogql import HogQLSyntaxError, ast, parse_expr
from posthog_mcp.sandbox.compiler.errors import CompileError
from posthog_mcp.sandbox.compiler.operators import condition
from posthog_mcp.sandbox.compiler.selectors import attribute_pattern, selector_pattern, tag_pattern
from posthog_mcp.sandbox.compiler.trees import all_of, any_of, call, compare, field, property_of

Filter = Mapping[str, Any]
# What a filter may say; the label and the other names are for people, the last two are caches of PostHog's.
_NAMES = frozenset({
    "type", "key", "value", "operator", "negation", "group_type_index", "label", "cohort_name",
    "group_key_names", "bytecode", "conditionHash",
})  # fmt: skip
Filters = Sequence[Any] | Mapping[str, Any] | None


def property_filters(filters: Filters, *, owner: str = "", table: str = "events") -> ast.Expr:
    """The condition that filters stand for: true when there are none.

    Args:
        filters: A list (all must hold), one filter, or a group `{type: "AND"|"OR", values: [...]}` of any
            depth.
        owner: The table's name in the query, where names could be ambiguous.
        table: What the query reads: `events`, `persons`, `groups` or `sessions`.

    Raises:
        CompileError: a filter is malformed, or of a type or operator that cannot be run here.
    """
    if not filters:
        return ast.Constant(value=True)
    if isinstance(filters, Mapping):
        return _group_or_filter(filters, owner, table)
    return all_of([property_filters(_mapping(one), owner=owner, table=table) for one in filters])


def check_names(one: Filter) -> None:
    """Refuse a filter that says what no filter can say, such as a misspelt operator.

    Raises:
        CompileError: It names what it says.
    """
    if unknown := sorted(one.keys() - _NAMES):
        raise CompileError(f"A property filter has no {', '.join(unknown)}: Extra inputs are not permitted.")


def _mapping(value: object) -> Filter:
    if not isinstance(value, Mapping):
        raise CompileError("A property filter must be an object with type, key, value and operator.")
    return cast("Filter", value)


def _group_or_filter(one: Filter, owner: str, table: str) -> ast.Expr:
    kind = one.get("type")
    if kind in ("AND", "OR"):
        values = one.get("values")
        if not isinstance(values, list):
            raise CompileError("A group of property filters needs a list of values.")
        parts = [
            property_filters(_mapping(value), owner=owner, table=table) for value in cast("list[Any]", values)
        ]
        if not parts:
            return ast.Constant(value=True)
        return all_of(parts) if kind == "AND" else any_of(parts)
    built = _filter(one, owner, table)
    return ast.Not(expr=built) if one.get("negation") else built


def _filter(one: Filter, owner: str, table: str) -> ast.Expr:
    check_names(one)
    kind = str(one.get("type") or ("person" if table == "persons" else "event"))
    if kind == "cohort":
        return _cohort(one, owner, table)
    if kind == "hogql":
        return hogql_expression(str(one.get("key") or ""))
    if kind == "element":
        return _element(one, owner)
    key = one.get("key")
    if not isinstance(key, str) or not key:
        raise CompileError("A property filter needs a key.")
    value = _target(kind, key, one, owner, table)
    return condition(value, str(one.get("operator") or "exact"), one.get("value"), key)


def _target(kind: str, key: str, one: Filter, owner: str, table: str) -> ast.Expr:
    """What a filter looks at."""
    if kind in ("event", "feature", "revenue_analytics"):
        return property_of([owner], key)
    if kind == "event_metadata":
        return field(owner, key)
    if kind == "person":
        return property_of([owner] if table == "persons" else [owner, "person"], key)
    if kind == "person_metadata":
        return field(owner, key) if table == "persons" else field(owner, "person", key)
    if kind == "group":
        if table == "groups":
            return property_of([owner], key)
        index = one.get("group_type_index")
        if not isinstance(index, int):
            raise CompileError("A group filter needs a group_type_index from 0 to 4.")
        return property_of([owner, f"group_{index}"], key)
    if kind == "session":
        return field(owner, key) if table == "sessions" else field(owner, "session", key)
    raise CompileError(f"Property filters of type '{kind}' cannot be run in the sandbox.")


def _cohort(one: Filter, owner: str, table: str) -> ast.Expr:
    value = one.get("value")
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise CompileError("A cohort filter needs the cohort's id as its value.")
    person = field(owner, "id" if table == "persons" else "person_id")
    negative = one.get("operator") in ("not_in", "is_not")
    return compare("not in cohort" if negative else "in cohort", person, ast.Constant(value=value))


def hogql_expression(text: str) -> ast.Expr:
    """The tree of an expression that came by itself.

    Raises:
        CompileError: it does not parse. Positions are not those of a query, so the text is quoted instead.
    """
    try:
        return parse_expr(text)
    except HogQLSyntaxError as error:
        raise CompileError(f"{error.message} (in {text!r})") from error


def _element(one: Filter, owner: str) -> ast.Expr:
    key, value, operator = one.get("key"), one.get("value"), str(one.get("operator") or "exact")
    chain = field(owner, "elements_chain")
    if key == "href":
        return condition(field(owner, "elements_chain_href"), operator, value, "href")
    if key == "text" and operator not in ("exact", "is_not"):
        inner = condition(field("element"), operator.removeprefix("not_"), value, "text")
        exists = call(
            "arrayExists", ast.Lambda(args=["element"], expr=inner), field(owner, "elements_chain_texts")
        )
        return ast.Not(expr=exists) if operator.startswith("not_") else exists
    if key not in ("text", "tag_name", "selector") or operator not in ("exact", "is_not"):
        raise CompileError(f"Element filters on '{key}' with '{operator}' cannot be run in the sandbox.")
    values = cast("list[Any]", value) if isinstance(value, list) else [value]
    patterns = [_element_pattern(key, str(wanted)) for wanted in values]
    matched = any_of([compare("=~", chain, ast.Constant(value=pattern)) for pattern in patterns])
    return ast.Not(expr=matched) if operator == "is_not" else matched


def _element_pattern(key: str, value: str) -> str:
    if key == "tag_name":
        return tag_pattern(value)
    return selector_pattern(value) if key == "selector" else attribute_pattern("text", value)
