"""`{filters}`: the date range and the property filters of a dashboard or a request, put into a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.hogql import ast, transform, walk
from posthog_mcp.sandbox.compiler.dates import parse_date
from posthog_mcp.sandbox.compiler.errors import refuse
from posthog_mcp.sandbox.compiler.filters import property_filters
from posthog_mcp.sandbox.compiler.trees import all_of, call, compare, field

if TYPE_CHECKING:
    from datetime import datetime

    from posthog_mcp.sandbox.compiler.world import World

_TIMES = {
    "events": "timestamp",
    "sessions": "$start_timestamp",
    "persons": "created_at",
    "groups": "created_at",
}


def fill_filters(query: ast.Query, filters: Mapping[str, Any] | None, world: World) -> ast.Query:
    """The query with `{filters}` replaced by the condition that `filters` stand for: true without any.

    `{filters.dateRange.from}` and `{filters.dateRange.to}` become the bounds as texts, null when open. Other
    placeholders are left for the query's values.

    Args:
        query: The tree.
        filters: HogQLFilters: `{dateRange, properties, filterTestAccounts}`.
        world: Time zone, clock, and the filters that leave out internal users.

    Raises:
        CompileError: `{filters}` stands in a query that reads no table it could filter, or a filter is wrong.
    """
    given = filters or {}

    def change(node: ast.Node) -> ast.Node:
        if isinstance(node, ast.SelectQuery):
            return _fill(node, given, world)
        return node

    return transform(query, change)


def _fill(select: ast.SelectQuery, filters: Mapping[str, Any], world: World) -> ast.SelectQuery:
    if not any(_path(node) for node in walk(select)):
        return select

    def change(node: ast.Node) -> ast.Node:
        match _path(node):
            case ["filters"]:
                return _condition(select, node, filters, world)
            case ["filters", "dateRange", "from" | "to" as side]:
                return _bound(filters, side, world)
            case _:
                return node

    return transform(select, change)


def _path(node: ast.Node) -> list[str | int]:
    if (
        isinstance(node, ast.Placeholder)
        and isinstance(node.expr, ast.Field)
        and node.expr.chain[:1] == ["filters"]
    ):
        return node.expr.chain
    return []


def _date(filters: Mapping[str, Any], side: str, world: World) -> datetime | None:
    given = filters.get("dateRange")
    if not isinstance(given, Mapping):
        return None
    text = cast("Mapping[str, Any]", given).get(f"date_{side}")
    if not text or text == "all":
        return None
    return parse_date(str(text), world).moment


def _bound(filters: Mapping[str, Any], side: str, world: World) -> ast.Expr:
    moment = _date(filters, side, world)
    return ast.Constant(value=None) if moment is None else _moment(moment)


def _moment(moment: datetime) -> ast.Expr:
    return call("toDateTime", ast.Constant(value=moment.isoformat()))


def _condition(select: ast.SelectQuery, node: ast.Node, filters: Mapping[str, Any], world: World) -> ast.Expr:
    """What `{filters}` stands for in a SELECT."""
    if not filters:
        return ast.Constant(value=True)
    table, owner = _filtered_table(select, node)
    conditions: list[ast.Expr] = []
    time = field(owner, _TIMES[table])
    if (start := _date(filters, "from", world)) is not None:
        conditions.append(compare(">=", time, _moment(start)))
    if (end := _date(filters, "to", world)) is not None:
        conditions.append(compare("<", time, _moment(end)))
    if properties := filters.get("properties"):
        conditions.append(property_filters(properties, owner=owner, table=table))
    if filters.get("filterTestAccounts"):
        conditions.append(property_filters(world.test_account_filters, owner=owner, table=table))
    return all_of(conditions)


def _filtered_table(select: ast.SelectQuery, node: ast.Node) -> tuple[str, str]:
    join = select.select_from
    while join is not None:
        if isinstance(join.table, ast.Field) and len(join.table.chain) == 1:
            name = str(join.table.chain[0])
            if name in _TIMES:
                return name, join.alias or name
        join = join.next_join
    raise refuse(
        "Cannot use the 'filters' placeholder in a SELECT that does not read the events, sessions, persons or"
        " groups table.",
        node,
    )
