"""Persons as lists: searched, filtered, and the values of their properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.api.events import json_filters, values
from posthog_mcp.sandbox.api.persons import shown
from posthog_mcp.sandbox.compiler import CompileError, property_filters
from posthog_mcp.sandbox.compiler.trees import field, select
from posthog_mcp.sandbox.http.paging import limit_offset, links
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.queries.asked import fetch, refused

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call

_LIST = "/api/projects/{project_id}/persons/"
_MOST = 1000
_VALUES = 20
_MOST_FILTERED = 50_000


@route("GET", _LIST, scope="person:read", bucket="analytics")
async def list_persons(call: Call) -> Reply:
    """Newest first; `search`, `email`, `distinct_id` and `properties` narrow."""
    limit, offset = limit_offset(call, most=_MOST)
    query = call.query
    persons, total = call.sandbox.ingest.people.search(
        query.get("search", "").strip(),
        distinct_id=query.get("distinct_id"),
        email=query.get("email"),
        uuids=await _filtered(call),
        limit=limit,
        offset=offset,
    )
    pages = links(call, limit, offset, more=offset + limit < total)
    return Reply({**pages, "count": total, "results": [shown(call.sandbox, person) for person in persons]})


@route("GET", _LIST + "values/", scope="person:read", bucket="values")
async def list_person_values(call: Call) -> Reply:
    """The values persons have for `key` and how many have them, most frequent first."""
    if call.query.get("key", "").startswith("$virt"):
        return Reply([])
    rows = await values(call, "persons", [], _VALUES)
    return Reply([{"name": name, "count": count} for name, count in rows])


async def _filtered(call: Call) -> list[str] | None:
    """The ids of the persons that match `properties`; None when it is not given."""
    filters = json_filters(call)
    if not filters:
        return None
    try:
        tree = select([field("id")], "persons", where=property_filters(filters, table="persons"))
    except CompileError as error:
        raise refused(error) from error
    tree.limit = ast.Constant(value=_MOST_FILTERED)
    ran = await fetch(call.sandbox, tree)
    return [row[0] for row in ran.rows]
