"""An ActorsQuery whose actors are groups: their keys with what the point of the insight knows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.trees import field
from posthog_mcp.sandbox.experiments.trees import constant
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.http.times import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthog_mcp.sandbox.insights.people import Behind
    from posthog_mcp.sandbox.sandbox import Sandbox

WHOLE = ("group", "actor")
_KEYS = (*WHOLE, "id")
_COUNTED = ("event_count", "appearances")


def group_rows(
    behind: Behind, names: Sequence[str], order: Sequence[str], limit: int, offset: int
) -> ast.SelectQuery:
    """The rows of the groups behind a point.

    Args:
        behind: The point.
        names: Columns: `group`, `id`, and those of the point, such as `event_count`.
        order: Columns to sort by, each with DESC where it descends; by key without.
        limit: How many rows.
        offset: How many to leave out before.

    Raises:
        ApiError: 400 for other columns.
    """
    columns: list[ast.Expr] = [ast.Alias(alias=name, expr=_column(name)) for name in names]
    keys: list[ast.OrderExpr] = []
    for text in order:
        name, _, direction = text.strip().partition(" ")
        descends = direction.strip().upper() == "DESC"
        keys.append(ast.OrderExpr(expr=_column(name), order="DESC" if descends else "ASC"))
    return ast.SelectQuery(
        select=columns,
        select_from=ast.JoinExpr(table=behind.tree, alias="source"),
        order_by=keys or [ast.OrderExpr(expr=field("source", "actor"))],
        limit=constant(limit),
        offset=constant(offset),
    )


def _column(name: str) -> ast.Expr:
    if name in _KEYS:
        return field("source", "actor")
    if name in _COUNTED:
        return field("source", name)
    raise invalid(f"Groups can be shown by {', '.join((*_KEYS, *_COUNTED))}, not by {name}.", "query__select")


def group(sandbox: Sandbox, index: int, key: str) -> dict[str, Any]:
    """A group as it is now; without properties when nobody has identified it."""
    found = sandbox.ingest.groups.get(index, key)
    properties = found.properties if found else {}
    return {
        "id": key,
        "type": "group",
        "group_key": key,
        "group_type_index": index,
        "created_at": iso(found.created_at) if found else None,
        "group_properties": properties,
        "properties": properties,
    }
