"""A cohort's tree of filters as a condition on persons.

Every leaf is a set of persons, from their current properties or from what they did; groups intersect and
unite the sets (posthog/hogql_queries/hogql_cohort_query.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.sandbox.cohorts.behaviour import performed
from posthog_mcp.sandbox.compiler import CompileError, property_filters
from posthog_mcp.sandbox.compiler.trees import all_of, any_of
from posthog_mcp.sandbox.http.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.compiler import World

Filter = dict[str, Any]

_ATTR = "filters"


def condition(filters: Mapping[str, Any], world: World) -> ast.Expr:
    """The condition on the table of persons.

    Args:
        filters: `{"properties": {"type": "AND"|"OR", "values": [...]}}`, groups and leaves at any depth.
        world: The project.

    Raises:
        ApiError: 400 for an empty group, a leaf that is none, or a condition that is negated as a whole.
    """
    group = _object(filters.get("properties"))
    if _negated(group):
        raise invalid("Top level condition cannot be negated", _ATTR)
    found = [_build(group, world)]
    if filters.get("filterTestAccounts"):
        people = [one for one in world.test_account_filters if one.get("type") == "person"]
        found.append(property_filters(people, table="persons"))
    return all_of(found)


def leaves(filters: Mapping[str, Any]) -> Iterator[Filter]:
    """The filters at the ends of the tree."""
    group = filters.get("properties")
    waiting: list[Any] = [group] if isinstance(group, dict) else []
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict):
            continue
        entry = cast("Filter", one)
        if isinstance(entry.get("values"), list):
            waiting += entry["values"]
        else:
            yield entry


def _build(entry: Filter, world: World) -> ast.Expr:
    if "values" in entry:
        parts = [_build(_object(one), world) for one in _values(entry)]
        return all_of(parts) if entry["type"] == "AND" else any_of(parts)
    try:
        if entry.get("type") == "behavioral":
            return performed(entry, world)
        return property_filters([entry], table="persons")
    except CompileError as error:
        raise invalid(error.message, _ATTR, error.code) from error


def _negated(entry: Filter) -> bool:
    """Whether a leaf is negated, or all there is in a group."""
    if "values" in entry:
        return all(_negated(_object(one)) for one in _values(entry))
    return bool(entry.get("negation"))


def _values(group: Filter) -> list[Any]:
    values = group.get("values")
    if group.get("type") not in ("AND", "OR") or not isinstance(values, list):
        raise invalid("Must contain a 'properties' key with type and values", _ATTR)
    if not values:
        raise invalid("A group of filters must not be empty", _ATTR)
    return cast("list[Any]", values)


def _object(value: object) -> Filter:
    if not isinstance(value, dict):
        raise invalid("Must contain a 'properties' key with type and values", _ATTR)
    return cast("Filter", value)
