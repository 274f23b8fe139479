"""The project's events and properties by name: what they mean, and whether they are in use."""

from typing import Any, Literal

from pydantic import Field, model_validator

from posthog_mcp.render import Record, Table
from posthog_mcp.tool import Access, Context, Project, ProjectInput, tool
from posthog_mcp.tool.asking import rows_of
from posthog_mcp.tool.definitions import (
    EVENTS,
    ONE_EVENT,
    ONE_PROPERTY,
    PROPERTIES,
    find_event,
    find_property,
    marks,
    properties_of,
)
from posthog_mcp.tool.difference import difference

Json = dict[str, Any]
_DAYS = 30


class ListDefinitions(ProjectInput):
    """Arguments of list_definitions."""

    kind: Literal["events", "properties"] = Field("events", description="What to list.")
    search: str = Field("", description="Part of the name.")
    of: str = Field("event", description="Whose: event, person, session, a group type.")
    limit: int = Field(50, ge=1, le=200, description="How many.")
    offset: int = Field(0, ge=0, description="How many to skip.")

    @model_validator(mode="after")
    def _fits(self) -> "ListDefinitions":
        if self.kind == "events" and self.of != "event":
            raise ValueError("`of` goes with `kind` properties")
        return self


@tool(
    area="project",
    access=Access.READ,
    title="List events and properties",
    scopes=("event_definition:read", "property_definition:read", "query:read"),
    default=False,
)
async def list_definitions(ctx: Context, args: ListDefinitions) -> Table:
    """List events with 30-day volume and when last seen, or properties with types; what the team noted."""
    project = await ctx.project(args)
    query: Json = {"search": args.search or None, "limit": args.limit, "offset": args.offset}
    if args.kind == "events":
        page = await ctx.api.get(EVENTS, query={**query, "ordering": "-last_seen_at"}, project_id=project.id)
        columns, rows = await _events(ctx, project, page["results"])
        what = f"Events of project {project}; `events` counts the last {_DAYS} days."
    else:
        query |= await properties_of(ctx, project, args.of)
        page = await ctx.api.get(PROPERTIES, query=query, project_id=project.id)
        columns = ["name", "type", "marks", "tags", "description"]
        rows = [[one["name"], one.get("property_type"), *_noted(one)] for one in page["results"]]
        what = f"Properties of every {args.of}, project {project}."
    return Table(
        about=[what],
        columns=columns,
        rows=rows,
        total=page.get("count"),
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=bool(page.get("next")),
        outsiders=frozenset({"name"}),
        empty=["No such name was seen in this project. Leave out the filters to see all."],
    )


async def _events(ctx: Context, project: Project, found: list[Json]) -> tuple[list[str], list[list[Any]]]:
    counts = await _volume(ctx, project, [str(one["name"]) for one in found])
    rows = [[one["name"], counts.get(one["name"], 0), one.get("last_seen_at"), *_noted(one)] for one in found]
    return ["name", "events", "last seen", "marks", "tags", "description"], rows


async def _volume(ctx: Context, project: Project, names: list[str]) -> dict[str, int]:
    if not names:
        return {}
    hogql = (
        f"SELECT event, count() FROM events WHERE timestamp > now() - INTERVAL {_DAYS} DAY"  # noqa: S608 - a number of ours
        f" AND event IN {{names}} GROUP BY event LIMIT {len(names)}"
    )
    return {str(name): int(count) for name, count in await rows_of(ctx, project, hogql, names=names)}


def _noted(one: Json) -> list[Any]:
    return [marks(one), ", ".join(one.get("tags") or []), one.get("description")]


class UpdateDefinition(ProjectInput):
    """Arguments of update_definition."""

    kind: Literal["event", "property"] = Field(description="What it is.")
    name: str = Field(min_length=1, max_length=400, description="Its name.")
    of: str = Field("event", description="Whose property: event, person or a group type.")
    description: str | None = Field(None, max_length=2_000, description='What it means; "" clears.')
    tags: list[str] = Field(default_factory=list[str], description="All its tags from now on.")
    no_tags: bool = Field(default=False, description="Take its tags off.")
    verified: bool | None = Field(None, description="The team vouches for it.")
    hidden: bool | None = Field(None, description="Left out of PostHog's menus.")
    property_type: Literal["String", "Numeric", "Boolean", "DateTime"] | None = Field(
        None, description="How queries read the property."
    )
    dry_run: bool = Field(default=False, description="Show what would change, send nothing.")

    @model_validator(mode="after")
    def _fits(self) -> "UpdateDefinition":
        if self.kind == "event" and (self.property_type or self.of != "event"):
            raise ValueError("`property_type` and `of` go with `kind` property")
        if self.tags and self.no_tags:
            raise ValueError("give either `tags` or `no_tags`")
        if not _changes(self):
            raise ValueError(
                "changes nothing: give description, tags, verified, hidden or property_type; "
                "no_tags takes the tags off"
            )
        return self


@tool(
    area="project",
    access=Access.WRITE,
    title="Describe an event or a property",
    scopes=("event_definition:write", "property_definition:write"),
    idempotent=True,
    default=False,
)
async def update_definition(ctx: Context, args: UpdateDefinition) -> Record:
    """Note what an event or a property means: description, tags, verified, hidden. The rest stays."""
    project = await ctx.project(args)
    if args.kind == "event":
        path, found = ONE_EVENT, await find_event(ctx, project, args.name)
    else:
        path, found = ONE_PROPERTY, await find_property(ctx, project, args.name, args.of)
    body = _changes(args)
    changed = difference({name: found.get(name) for name in body}, body)
    if args.dry_run:
        request = f"PATCH {path.format(project_id=project.id, id=found['id'])}"
        return Record({"dry_run": True, "request": request, "body": body, "would_change": changed})
    if not changed:
        return Record({"changed": "nothing: it is so already"} | _whole(ctx, project, args.kind, found))
    after = await ctx.api.patch(path, body, project_id=project.id, id=found["id"])
    return Record({"changed": changed} | _whole(ctx, project, args.kind, after))


def _changes(args: UpdateDefinition) -> Json:
    given: Json = {
        "description": args.description,
        "tags": [] if args.no_tags else args.tags or None,
        "verified": args.verified,
        "hidden": args.hidden,
        "property_type": args.property_type,
    }
    return {name: value for name, value in given.items() if value is not None}


def _whole(ctx: Context, project: Project, kind: str, one: Json) -> Json:
    shown = ("id", "name", "property_type", "description", "tags", "verified", "hidden", "last_seen_at")
    page = "events" if kind == "event" else "properties"
    return {
        **{name: one[name] for name in shown if one.get(name) not in (None, "", [])},
        "project": str(project),
        "url": ctx.link(project, f"data-management/{page}/{one['id']}"),
    }
