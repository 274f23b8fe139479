"""HogQL written as text with trees in its gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from posthog_mcp.hogql import ast, parse, parse_expr, transform
from posthog_mcp.sandbox.compiler.actions import action_condition, find_action
from posthog_mcp.sandbox.compiler.filters import property_filters
from posthog_mcp.sandbox.compiler.trees import all_of, compare, field
from posthog_mcp.sandbox.experiments.settings import ActionsNode, DataWarehouseNode, EventExposure, EventsNode
from posthog_mcp.sandbox.http.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from posthog_mcp.sandbox.compiler.world import World


def query(text: str, **trees: ast.Node) -> ast.SelectQuery:
    """A SELECT of our own with `{name}` filled in."""
    return cast("ast.SelectQuery", transform(parse(text), lambda node: _filled(node, trees)))


def expr(text: str, **trees: ast.Node) -> ast.Expr:
    """An expression of our own with `{name}` filled in."""
    return transform(parse_expr(text), lambda node: _filled(node, trees))


def _filled(node: ast.Node, trees: dict[str, ast.Node]) -> ast.Node:
    if isinstance(node, ast.Placeholder) and isinstance(node.expr, ast.Field):
        return trees[str(node.expr.chain[0])]
    return node


def constant(value: str | float) -> ast.Constant:
    """A value as it is, whatever is in it."""
    return ast.Constant(value=value)


def moment(at: datetime) -> ast.Expr:
    """A point in time, to the microsecond."""
    return expr("toDateTime({at})", at=constant(at.isoformat()))


def between(start: datetime, end: datetime) -> ast.Expr:
    """Whether an event's time lies between both, which belong to it."""
    return expr("timestamp >= {start} AND timestamp <= {end}", start=moment(start), end=moment(end))


def matching(source: EventsNode | ActionsNode | DataWarehouseNode | EventExposure, world: World) -> ast.Expr:
    """Which events a source takes.

    Raises:
        CompileError: A filter cannot be run, or the action is gone.
        ApiError: 400 for a table of a data warehouse, which the sandbox has none of.
    """
    if isinstance(source, DataWarehouseNode):
        raise invalid("The sandbox has no data warehouse tables to compute a metric from.", "metric")
    conditions: list[ast.Expr] = []
    if isinstance(source, ActionsNode):
        conditions.append(action_condition(find_action(world, source.id, ast.Node())))
    elif source.event:
        conditions.append(compare("==", field("event"), constant(source.event)))
    filters: Sequence[object] = source.properties or []
    if not isinstance(source, EventExposure):
        filters = [*filters, *(source.fixedProperties or [])]
    if filters:
        conditions.append(property_filters(filters))
    return all_of(conditions)
