"""Dashboards: found, read at a glance, made and arranged."""

from typing import Any

from pydantic import Field

from posthog_mcp.render import Record, Table
from posthog_mcp.tool import Access, Context, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.insights import (
    DASHBOARD,
    DASHBOARDS,
    ONE,
    computed_dashboard,
    find_dashboard,
    find_insight,
    headline,
    kind_of,
    name_of,
)
from posthog_mcp.tool.short import Names, Short

Json = dict[str, Any]
_LONGEST_TEXT = 200
_FIELDS = ("name", "description", "pinned", "tags")


class ListDashboards(ProjectInput):
    """Arguments of list_dashboards."""

    search: Short = Field("", description="Part of the name.")
    limit: int = Field(50, ge=1, le=200, description="How many.")
    offset: int = Field(0, ge=0, description="How many to skip.")


@tool(area="insights", access=Access.READ, title="List dashboards", scopes=("dashboard:read",), default=False)
async def list_dashboards(ctx: Context, args: ListDashboards) -> Table:
    """List the project's dashboards, pinned ones first."""
    project = await ctx.project(args)
    query: Json = {"search": args.search or None, "limit": args.limit, "offset": args.offset}
    page = await ctx.api.get(DASHBOARDS, query=query, project_id=project.id)
    return Table(
        about=[f"Dashboards of project {project}."],
        columns=["id", "name", "description", "pinned", "tags", "created"],
        rows=[_row(one) for one in page["results"]],
        total=page.get("count"),
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=bool(page.get("next")),
        empty=["Leave out search to see all, or make one with save_dashboard."],
    )


def _row(one: Json) -> list[Any]:
    created = str(one.get("created_at") or "")[:10]
    tags = ", ".join(one.get("tags") or [])
    return [one["id"], name_of(one), one.get("description"), one.get("pinned"), tags, created]


class GetDashboard(ProjectInput):
    """Arguments of get_dashboard."""

    dashboard: str = Field(min_length=1, description="Its id or name.")
    refresh: bool = Field(default=False, description="Compute every tile anew.")


@tool(
    area="insights",
    access=Access.READ,
    title="Get a dashboard",
    scopes=("dashboard:read", "insight:read", "query:read"),
    default=False,
)
async def get_dashboard(ctx: Context, args: GetDashboard) -> Table:
    """One dashboard: a line for each tile with its headline number. A tile's whole numbers: get_insight."""
    project = await ctx.project(args)
    found, fresh = await computed_dashboard(ctx, project, args.dashboard, anew=args.refresh)
    filters: Json = found.get("filters") or {}
    since = filters.get("date_from")
    period = f" Its period: {since} to {filters.get('date_to') or 'now'}." if since else ""
    page = ctx.link(project, f"dashboard/{found['id']}")
    tiles: list[Json] = found.get("tiles") or []
    return Table(
        about=[
            f"{name_of(found)} ({found['id']}) of project {project}.{period} Page: {page}",
            str(found.get("description") or ""),
            ""
            if fresh
            else "PostHog was too slow to compute it: what it had kept. get_insight computes one.",
        ],
        columns=["insight", "name", "kind", "result", "computed"],
        rows=[_tile(tile) for tile in tiles if not tile.get("deleted")],
        # Labels of results are names and values that came with events.
        outsiders=frozenset({"result"}),
        empty=["It has no tiles. Put insights on it with save_dashboard."],
    )


def _tile(tile: Json) -> list[Any]:
    insight: Json | None = tile.get("insight")
    if insight is None:
        text: Json = tile.get("text") or {}
        return ["", str(text.get("body") or "")[:_LONGEST_TEXT], "text", "", ""]
    computed = insight.get("last_refresh") or tile.get("last_refresh")
    return [insight["id"], name_of(insight), kind_of(insight), headline(insight), computed]


class SaveDashboard(ProjectInput):
    """Arguments of save_dashboard."""

    dashboard: Short = Field("", description="Id or name of one to change; none makes a new one.")
    name: Short = Field("", description="Title.")
    description: str = Field("", max_length=400, description='What it is for; "" clears it.')
    pinned: bool = Field(default=False, description="Keep it at the top.")
    tags: Names = Field(default_factory=list[str], description="All its tags.")
    add: Names = Field(default_factory=list[str], description="Insights to put on it.")
    remove: Names = Field(default_factory=list[str], description="Insights to take off.")
    dry_run: bool = Field(default=False, description="Show the requests, send nothing.")


@tool(
    area="insights",
    access=Access.WRITE,
    title="Save a dashboard",
    scopes=("dashboard:read", "dashboard:write", "insight:read", "insight:write"),
    default=False,
)
async def save_dashboard(ctx: Context, args: SaveDashboard) -> Record:
    """Make a dashboard or change one: name, description, and what is on it. What is absent stays."""
    project = await ctx.project(args)
    before = await find_dashboard(ctx, project, args.dashboard) if args.dashboard else None
    body = {
        name: getattr(args, name) for name in ("name", "description", "pinned", "tags") if args.given(name)
    }
    if before is None and not args.name:
        raise ToolFailure("Nothing was saved.", "A new dashboard needs a name.", "Give name.")
    if before is not None and not (body or args.add or args.remove):
        raise ToolFailure("Nothing was saved.", "Nothing to change was given.", "Give what is to change.")
    added = [await find_insight(ctx, project, name, basic=True) for name in args.add]
    removed = [await find_insight(ctx, project, name, basic=True) for name in args.remove]
    moved = {"add": [_named(one) for one in added], "remove": [_named(one) for one in removed]}
    if args.dry_run:
        return Record({"dry_run": True, "project": str(project), "fields": body, **moved})
    if before is None:
        saved = await ctx.api.post(DASHBOARDS, body, project_id=project.id)
    elif body:
        saved = await ctx.api.patch(DASHBOARD, body, project_id=project.id, id=before["id"])
    else:
        saved = before
    for insight in added:
        await _place(ctx, project, insight, add=int(saved["id"]))
    for insight in removed:
        await _place(ctx, project, insight, remove=int(saved["id"]))
    return Record(
        {
            "id": saved["id"],
            "name": name_of(saved),
            "project": str(project),
            "url": ctx.link(project, f"dashboard/{saved['id']}"),
            **{name: insights for name, insights in moved.items() if insights},
        }
    )


async def _place(ctx: Context, project: Project, insight: Json, *, add: int = 0, remove: int = 0) -> None:
    """PostHog keeps with each insight the whole list of its dashboards."""
    listed: list[int] = insight.get("dashboards") or []
    wanted = [number for number in listed if number != remove] + ([add] if add and add not in listed else [])
    if wanted != listed:
        await ctx.api.patch(ONE, {"dashboards": wanted}, project_id=project.id, id=insight["id"])


def _named(insight: Json) -> str:
    return f"{name_of(insight)} ({insight['id']})"
