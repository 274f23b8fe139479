"""What PostHog keeps about the names of events and properties, found by name."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from posthog_mcp.api.errors import NotFound
from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.flags import group_index

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

EVENTS = "/api/projects/{project_id}/event_definitions/"
ONE_EVENT = EVENTS + "{id}/"
PROPERTIES = "/api/projects/{project_id}/property_definitions/"
ONE_PROPERTY = PROPERTIES + "{id}/"
_BY_NAME = EVENTS + "by_name/"
_WITHOUT_GROUP = ("event", "person", "session")
_PAGE = 200
Json = dict[str, Any]


async def properties_of(ctx: Context, project: Project, owner: str) -> Json:
    """The query for definitions of the properties that `owner` has.

    Args:
        ctx: The call.
        project: Where.
        owner: `event`, `person`, `session`, or the name of a group type.

    Raises:
        ToolFailure: There is no such group type.
    """
    if owner in _WITHOUT_GROUP:
        return {"type": owner}
    try:
        return {"type": "group", "group_type_index": await group_index(ctx, project, owner)}
    except ToolFailure as failure:
        next_step = f"{failure.next_step} Of one event: describe_schema."
        raise ToolFailure(failure.what, failure.why, next_step) from None


async def find_event(ctx: Context, project: Project, name: str) -> Json:
    """The definition of an event.

    Raises:
        ToolFailure: There is none; the text names the nearest.
    """
    try:
        return await ctx.api.get(_BY_NAME, query={"name": name}, project_id=project.id)
    except NotFound:
        # An older PostHog has no such path.
        query = {"search": name, "limit": _PAGE}
        page = await ctx.api.get(EVENTS, query=query, project_id=project.id)
    found = next((one for one in page["results"] if one["name"] == name), None)
    if found is None:
        page = await ctx.api.get(EVENTS, query={"limit": _PAGE}, project_id=project.id)
        raise _missing("event", name, project, page["results"])
    return found


async def find_property(ctx: Context, project: Project, name: str, owner: str) -> Json:
    """The definition of a property; `owner` as in `properties_of`.

    Raises:
        ToolFailure: There is none; the text names the nearest.
    """
    query = await properties_of(ctx, project, owner)
    page = await ctx.api.get(
        PROPERTIES, query={**query, "properties": name, "search": name, "limit": _PAGE}, project_id=project.id
    )
    found = next((one for one in page["results"] if one["name"] == name), None)
    if found is None:
        page = await ctx.api.get(PROPERTIES, query={**query, "limit": _PAGE}, project_id=project.id)
        raise _missing(f"{owner} property", name, project, page["results"])
    return found


def marks(one: Json) -> str:
    """`verified`, `hidden`, both or neither."""
    return ", ".join(mark for mark in ("verified", "hidden") if one.get(mark))


def _missing(kind: str, name: str, project: Project, known: list[Json]) -> ToolFailure:
    near = difflib.get_close_matches(name, [str(one["name"]) for one in known], n=3, cutoff=0.5)
    return ToolFailure(
        f"There is no {kind} `{name}` in project {project}.",
        f"Similar: {', '.join(near)}." if near else "No name resembles it; names are case-sensitive.",
        "list_definitions shows every name.",
    )
