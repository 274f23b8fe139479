"""Groups: the companies, projects or teams that events belong to."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from pydantic import Field

from posthog_mcp.api.errors import NotFound
from posthog_mcp.render import Record, Table
from posthog_mcp.tool import Access, Context, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.group_types import KEY_COLUMNS, group_types, number_of
from posthog_mcp.tool.persons import flat
from posthog_mcp.tool.selecting import select
from posthog_mcp.tool.short import Short
from posthog_mcp.tool.times import iso

Json = dict[str, Any]
_LIST = "/api/projects/{project_id}/groups/"
_FIND = _LIST + "find/"
_DAYS = 30


class ListGroups(ProjectInput):
    """Arguments of list_groups."""

    group_type: Short = Field("", description="Such as company. Default the only one.")
    search: Short = Field("", description="Part of the key or the name.")
    limit: int = Field(50, ge=1, le=200, description="How many.")
    cursor: str = Field("", max_length=1_000, description="From the answer before.")


@tool(area="persons", access=Access.READ, title="List groups", scopes=("group:read",), default=False)
async def list_groups(ctx: Context, args: ListGroups) -> Table:
    """List groups of a type (companies, projects), newest first; without a type, what types there are."""
    project = await ctx.project(args)
    types = await group_types(ctx, project)
    if not args.group_type and len(types) != 1:
        return Table(
            about=[f"Types of groups in project {project}; name one as group_type to list its groups."],
            columns=["group_type", "key column in HogQL"],
            rows=[[name, KEY_COLUMNS[number]] for name, number in types.items()],
            outsiders=frozenset({"group_type"}),
            empty=["The project has no groups: identify_group creates the first, and its type."],
        )
    number = number_of(types, args.group_type, project)
    query: Json = {
        "group_type_index": number,
        "search": args.search or None,
        "limit": args.limit,
        "cursor": args.cursor or None,
    }
    page = await ctx.api.get(_LIST, query=query, project_id=project.id)
    following = _cursor(page.get("next"))
    # A PostHog that takes no limit gives a page of a hundred; what is cut then has no cursor of its own.
    return Table(
        about=[f"Groups of project {project}, newest first."],
        columns=["key", "created", "properties"],
        rows=[
            [each["group_key"], each.get("created_at"), flat(each.get("group_properties") or {})]
            for each in page["results"]
        ],
        more=lambda shown: (
            f"cursor={following}" if following and shown == len(page["results"]) else "a narrower search"
        ),
        has_more=bool(following),
        outsiders=frozenset({"key", "properties"}),
        empty=[
            "Leave out search to see all.",
            "Groups that events name, but identify_group or an SDK never described, are not listed.",
        ],
    )


def _cursor(link: Any) -> str:
    """The cursor in PostHog's link to the next page."""
    return parse_qs(urlsplit(str(link)).query).get("cursor", [""])[0] if link else ""


class GetGroup(ProjectInput):
    """Arguments of get_group."""

    key: Short = Field(min_length=1, description="The group's key, such as acme.")
    group_type: Short = Field("", description="Such as company. Default the only one.")


@tool(
    area="persons",
    access=Access.READ,
    title="Get a group",
    scopes=("group:read", "query:read"),
    default=False,
)
async def get_group(ctx: Context, args: GetGroup) -> Record:
    """One group: properties, and how many events and people it had in the last 30 days."""
    project = await ctx.project(args)
    types = await group_types(ctx, project)
    number = number_of(types, args.group_type, project)
    query = {"group_type_index": number, "group_key": args.key}
    try:
        group = await ctx.api.get(_FIND, query=query, project_id=project.id)
    except NotFound:
        raise ToolFailure(
            f"There is no group `{args.key}` in project {project}.",
            "Nobody has described one of that type and key yet; keys are case-sensitive.",
            "list_groups shows those there are; identify_group describes one that events name already.",
        ) from None
    name = next(name for name, index in types.items() if index == number)
    page = ctx.link(project, f"groups/{number}/{quote(args.key, safe='')}")
    return Record(
        {
            "key": group["group_key"],
            "group_type": name,
            "created": group.get("created_at"),
            **await _activity(ctx, project, KEY_COLUMNS[number], args.key),
            "properties": flat(group.get("group_properties") or {}),
            "project": str(project),
            "url": page,
        },
        frozenset({"key", "group_type", "properties", "frequent_events"}),
    )


async def _activity(ctx: Context, project: Project, column: str, key: str) -> Json:
    text = (
        "SELECT count(), uniq(person_id), max(timestamp), topK(5)(event) FROM events"  # noqa: S608 - our own words
        f" WHERE {column} = {{key}} AND timestamp >= toDateTime({{since}}) LIMIT 1"
    )
    values = {"key": key, "since": iso(ctx.now() - timedelta(days=_DAYS))}
    count, persons, last, frequent = (await select(ctx, project, text, values))[0]
    seen: Json = {f"events_of_{_DAYS}_days": count}
    return seen | {"people": persons, "last_seen": last, "frequent_events": frequent} if count else seen
