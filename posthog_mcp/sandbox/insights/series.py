"""Which events a series takes, who did them, and what it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.actions import action_condition
from posthog_mcp.sandbox.compiler.filters import property_filters
from posthog_mcp.sandbox.compiler.trees import all_of, compare, field
from posthog_mcp.sandbox.experiments.trees import constant
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.insights.models import ActionsNode, EventsNode, InsightQuery

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from posthog_mcp.sandbox.compiler.world import World


def check_series(
    series: Sequence[EventsNode | ActionsNode], maths: Collection[str] | None = None, *, steps: bool = False
) -> None:
    """Refuse a series that cannot be counted.

    Args:
        series: The query's.
        maths: Ways of counting that this kind of query knows; all when None.
        steps: They are the steps of a funnel, of which some can be optional.

    Raises:
        ApiError: 400.
    """
    for place, node in enumerate(series):
        if node.optionalInFunnel and not steps:
            raise invalid("Only steps of funnels can be optional.", f"series__{place}__optionalInFunnel")
        if maths is not None and node.math is not None and node.math not in maths:
            detail = f"A series of this query is counted by {', '.join(maths)}, not by {node.math}."
            raise invalid(detail, f"series__{place}__math")


def named(node: EventsNode | ActionsNode, world: World) -> ast.Expr:
    """Whether an event is one of the series', its filters left aside; an action that is gone has none."""
    if isinstance(node, ActionsNode):
        action = world.actions.get(node.id)
        return action_condition(action) if action else constant(value=False)
    if node.event is None:
        return constant(value=True)
    return compare("==", field("event"), constant(node.event))


def filters_of(node: EventsNode | ActionsNode) -> ast.Expr:
    """The series' own filters."""
    return property_filters([*(node.properties or []), *(node.fixedProperties or [])])


def matching(node: EventsNode | ActionsNode, world: World) -> ast.Expr:
    """Which events the series takes."""
    return all_of([named(node, world), filters_of(node)])


def filters_of_query(query: InsightQuery, world: World) -> ast.Expr:
    """The filters of the whole query, those of internal users included."""
    conditions: list[ast.Expr] = []
    if query.properties:
        conditions.append(property_filters(query.properties))
    if query.filterTestAccounts and world.test_account_filters:
        conditions.append(property_filters(world.test_account_filters))
    return all_of(conditions)


def actor_of(group: int | None) -> ast.Expr:
    """Who an event counts for: its person, or its group."""
    return field("person_id") if group is None else field(f"$group_{group}")


def has_actor(group: int | None) -> ast.Expr:
    """Whether an event has one: people always, groups where the key is not empty."""
    return constant(value=True) if group is None else compare("!=", actor_of(group), constant(""))


def name_of(node: EventsNode | ActionsNode, world: World) -> str:
    """The event's name, the action's, or `All events`."""
    if isinstance(node, EventsNode):
        return "All events" if node.event is None else node.event
    action = world.actions.get(node.id)
    return action.name if action else node.name or f"Action #{node.id}"


def shown(node: EventsNode | ActionsNode, order: int, world: World) -> dict[str, Any]:
    """The series as results repeat it, in the older form."""
    name = name_of(node, world)
    return {
        "days": [],
        "id": None if isinstance(node, EventsNode) and node.event is None else name,
        "type": "events",
        "order": order,
        "name": name,
        "custom_name": node.custom_name,
        "math": node.math,
        "math_property": node.math_property,
        "math_hogql": node.math_hogql,
        "math_group_type_index": node.math_group_type_index,
        "properties": {},
    }
