"""Events as a list: older than HogQL, and still served."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler import CompileError, property_filters
from posthog_mcp.sandbox.compiler.query_kinds import events_query
from posthog_mcp.sandbox.compiler.trees import all_of, compare, field, property_of, select
from posthog_mcp.sandbox.compiler.trees import call as function
from posthog_mcp.sandbox.http.errors import invalid, not_found, required
from posthog_mcp.sandbox.http.paging import limit_offset
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.queries.asked import fetch, refused
from posthog_mcp.sandbox.queries.events import event_of
from posthog_mcp.sandbox.queries.world import world_of

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call
    from posthog_mcp.sandbox.sandbox import Sandbox

_LIST = "/api/projects/{project_id}/events/"
_MOST = 50_000
_VALUES = 10


@route("GET", _LIST, scope="query:read", bucket="analytics")
async def list_events(call: Call) -> Reply:
    """Events newest first, without a count; `next` leads on."""
    limit, offset = limit_offset(call, most=_MOST)
    if offset > _MOST:
        raise invalid(f"Offset cannot be larger than {_MOST}", "offset")
    query = call.query
    body = {
        "where": query.getlist("where"),
        "events": query.getlist("event"),
        "personId": query.get("person_id"),
        "after": query.get("after", "all"),
        "before": query.get("before"),
        "orderBy": [*_order(call), "uuid"],
        "properties": json_filters(call),
        "limit": limit,
        "offset": offset,
    }
    try:
        tree = events_query(body, world_of(call.sandbox))
    except CompileError as error:
        raise refused(error) from error
    ids = _among("distinct_id", query.getlist("distinct_id"))
    tree.where = all_of([*([tree.where] if tree.where else []), *ids])
    ran = await fetch(call.sandbox, tree)
    more = call.url(limit=limit, offset=offset + limit) if ran.more else None
    return Reply({"next": more, "results": _shown(call.sandbox, [event_of(row[0]) for row in ran.rows])})


@route("GET", _LIST + "values/", scope="query:read", bucket="values")
async def list_event_values(call: Call) -> Reply:
    """The values events have for `key`, most frequent first; `value` is a part of them."""
    conditions = _among("event", call.query.getlist("event_name"))
    rows = await values(call, "events", conditions, _VALUES)
    return Reply([{"name": name} for name, _ in rows])


@route("GET", _LIST + "{id}/", scope="query:read", bucket="analytics")
async def get_event(call: Call) -> Reply:
    """One event, by uuid."""
    try:
        uuid = UUID(call.params["id"])
    except ValueError as error:
        raise invalid("Invalid UUID", "id") from error
    tree = events_query({"after": "all", "limit": 1}, world_of(call.sandbox))
    tree.where = compare("==", function("toString", field("uuid")), ast.Constant(value=str(uuid)))
    ran = await fetch(call.sandbox, tree)
    if not ran.rows:
        raise not_found(f"Event with UUID {uuid} not found")
    return Reply(_shown(call.sandbox, [event_of(ran.rows[0][0])])[0])


async def values(call: Call, table: str, conditions: list[ast.Expr], most: int) -> list[list[Any]]:
    """The values that rows of `table` have for the query string's `key`, and how many rows have each.

    `value` narrows to values that it is a part of.
    """
    key = call.query.get("key")
    if not key:
        raise required("key")
    value = function("toString", property_of([], key))
    wanted = [*conditions, property_filters([{"key": key, "operator": "is_set"}], table=table)]
    if text := call.query.get("value"):
        wanted.append(property_filters([{"key": key, "operator": "icontains", "value": text}], table=table))
    names = ast.Alias(alias="name", expr=value)
    counted = ast.Alias(alias="n", expr=function("count"))
    tree = select([names, counted], table, where=all_of(wanted), group_by=[field("name")])
    tree.order_by = [ast.OrderExpr(expr=field("n"), order="DESC"), ast.OrderExpr(expr=field("name"))]
    tree.limit = ast.Constant(value=most)
    return (await fetch(call.sandbox, tree)).rows


def json_filters(call: Call) -> list[Any] | dict[str, Any]:
    """The query string's `properties`: JSON, a list or group of filters, or `{key: value}`."""
    text = call.query.get("properties")
    if not text:
        return []
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid("Properties are unparsable!", "properties") from error
    if isinstance(given, dict) and "type" not in given:
        plain = cast("dict[str, Any]", given)
        return [{"key": key, "value": value} for key, value in plain.items()]
    if not isinstance(given, list | dict):
        raise invalid("Properties are unparsable!", "properties")
    return cast("list[Any] | dict[str, Any]", given)


def _among(name: str, wanted: list[str]) -> list[ast.Expr]:
    if not wanted:
        return []
    return [compare("in", field(name), ast.Tuple(exprs=[ast.Constant(value=value) for value in wanted]))]


def _order(call: Call) -> list[str]:
    """`["-timestamp"]` as HogQL has it."""
    try:
        wish = json.loads(call.query.get("orderBy", '["-timestamp"]'))
    except ValueError as error:
        raise invalid("Must be a JSON list.", "orderBy") from error
    if not isinstance(wish, list) or not wish:
        raise invalid("Must be a JSON list.", "orderBy")
    texts = [str(one) for one in cast("list[Any]", wish)]
    return [f"{text[1:]} DESC" if text.startswith("-") else text for text in texts]


def _shown(sandbox: Sandbox, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sandbox.ingest.people.load({event["distinct_id"] for event in events})
    return [
        {
            "id": event["uuid"],
            "distinct_id": event["distinct_id"],
            "properties": event["properties"],
            "event": event["event"],
            "timestamp": event["timestamp"],
            "person": _person(sandbox, event["distinct_id"]),
            "elements": [],
            "elements_chain": event["elements_chain"],
        }
        for event in events
    ]


def _person(sandbox: Sandbox, distinct_id: str) -> dict[str, Any] | None:
    person = sandbox.ingest.people.person_of(distinct_id)
    if person is None:
        return None
    return {
        "is_identified": person.is_identified,
        "distinct_ids": [distinct_id],
        "properties": person.properties,
    }
