"""Saved insights: found, shown, saved, deleted."""

from typing import Any, Literal

from pydantic import Field

from posthog_mcp.render import Record, Table
from posthog_mcp.tool import Access, Context, JsonObject, Project, ProjectInput, ToolFailure, queries, tool
from posthog_mcp.tool.charts import Charted, with_chart
from posthog_mcp.tool.difference import difference
from posthog_mcp.tool.insight_kinds import KINDS, arguments_of
from posthog_mcp.tool.insight_saved import as_asked
from posthog_mcp.tool.insights import (
    LIST,
    ONE,
    computed_insight,
    find_insight,
    kind_of,
    name_of,
    query_in_words,
    source_of,
)
from posthog_mcp.tool.selecting import freshness
from posthog_mcp.tool.short import Names, Short

Json = dict[str, Any]
_DASHBOARDS_KEPT = 50
SavedTool = Literal[
    "query_trends",
    "query_funnel",
    "query_retention",
    "query_paths",
    "query_lifecycle",
    "query_stickiness",
    "query_hogql",
]


class ListInsights(ProjectInput):
    """Arguments of list_insights."""

    search: Short = Field("", description="Part of a name, description or tag.")
    kind: Literal["any", "trends", "funnels", "retention", "paths", "stickiness", "lifecycle", "sql"] = Field(
        "any", description="Of the query."
    )
    limit: int = Field(50, ge=1, le=200, description="How many.")
    offset: int = Field(0, ge=0, description="How many to skip.")


@tool(area="insights", access=Access.READ, title="List insights", scopes=("insight:read",), default=False)
async def list_insights(ctx: Context, args: ListInsights) -> Table:
    """List the saved charts of the project, changed last first. Their numbers: get_insight."""
    project = await ctx.project(args)
    query: Json = {
        "search": args.search or None,
        "insight": None if args.kind == "any" else args.kind.upper(),
        "saved": True,
        "basic": True,
        "order": "-last_modified_at",
        "limit": args.limit,
        "offset": args.offset,
    }
    page = await ctx.api.get(LIST, query=query, project_id=project.id)
    return Table(
        about=[f"Saved insights of project {project}."],
        columns=["id", "name", "kind", "description", "dashboards", "tags", "changed"],
        rows=[_row(one) for one in page["results"]],
        total=page.get("count"),
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=bool(page.get("next")),
        empty=["Leave out search and kind to see all, or save one with save_insight."],
    )


def _row(one: Json) -> list[Any]:
    dashboards = ", ".join(map(str, _dashboards(one)))
    tags = ", ".join(one.get("tags") or [])
    changed = str(one.get("last_modified_at") or "")[:10]
    return [one["id"], name_of(one), kind_of(one), one.get("description"), dashboards, tags, changed]


def _dashboards(insight: Json) -> list[int]:
    tiles: list[Json] = insight.get("dashboard_tiles") or []
    placed = [int(tile["dashboard_id"]) for tile in tiles if not tile.get("deleted")]
    listed: list[int] = insight.get("dashboards") or []
    return placed or listed


class GetInsight(ProjectInput):
    """Arguments of get_insight."""

    insight: str = Field(min_length=1, description="Its id, short id or name.")
    refresh: bool = Field(default=False, description="Compute anew, even if PostHog has a fresh result.")
    chart: Charted = False


@tool(
    area="insights",
    access=Access.READ,
    title="Get an insight",
    scopes=("insight:read", "query:read"),
    default=False,
)
async def get_insight(ctx: Context, args: GetInsight) -> Table:
    """One saved chart: what it asks, and its numbers as a table."""
    project = await ctx.project(args)
    insight = await computed_insight(ctx, project, args.insight, anew=args.refresh)
    table = _results(ctx, project, insight, draw=args.chart)
    computed, page = insight.get("last_refresh"), ctx.link(project, f"insights/{insight.get('short_id')}")
    facts = [
        freshness(insight).strip() or (f"Computed {computed}." if computed else ""),
        f"On dashboards {', '.join(map(str, _dashboards(insight)))}." if _dashboards(insight) else "",
        str(insight.get("description") or ""),
        f"Page: {page}",
    ]
    named = f"{name_of(insight)} ({insight['id']}), {kind_of(insight)}. {' '.join(filter(None, facts))}"
    table.about = [named, f"Query: {query_in_words(insight)}", *table.about]
    return table


def _results(ctx: Context, project: Project, insight: Json, *, draw: bool) -> Table:
    source, results = source_of(insight), insight.get("result")
    if results is None:
        return Table(about=[], columns=[], rows=[], empty=["PostHog has no result of it. Try refresh."])
    # How fresh they are was told with the insight's name.
    answer: Json = {**insight, "results": results, "is_cached": False}
    known = as_asked(project, ctx.now(), source)
    if known is not None:
        kind, asked = known
        return kind.shown(asked, answer, draw=draw, title=name_of(insight))
    columns: list[str] = insight.get("columns") or []
    rows: list[list[Any]] = results if columns else []
    empty = [] if columns else [f"Results of a {source.get('kind')} are shown on its page alone."]
    table = Table(
        about=[],
        columns=columns,
        rows=rows,
        has_more=bool(insight.get("hasMore")),
        outsiders=frozenset(columns),
        empty=empty,
    )
    return with_chart(table, None) if draw else table


class SaveInsight(ProjectInput):
    """Arguments of save_insight."""

    insight: Short = Field("", description="Id or name of one to change; none saves a new one.")
    name: Short = Field("", description="Title.")
    description: str = Field("", max_length=400, description='What it is for; "" clears it.')
    tool: SavedTool | None = Field(None, description="The tool whose query to save.")
    arguments: JsonObject = Field(default_factory=dict, description="What it was called with.")
    tags: Names = Field(default_factory=list[str], description="All its tags.")
    dashboards: list[int] = Field(default_factory=list[int], description="All its dashboards.")
    dry_run: bool = Field(default=False, description="Show the request, send nothing.")


@tool(
    area="insights",
    access=Access.WRITE,
    title="Save an insight",
    scopes=("insight:read", "insight:write"),
    default=False,
)
async def save_insight(ctx: Context, args: SaveInsight) -> Record:
    """Save a query as a chart people can open, or change one. What is absent stays."""
    project = await ctx.project(args)
    before = await find_insight(ctx, project, args.insight, basic=True) if args.insight else None
    body: Json = {"query": await _query(ctx, project, args)} if args.tool else {}
    for name in ("name", "description", "tags", "dashboards"):
        if args.given(name):
            body[name] = getattr(args, name)
    if before is None and not (args.tool and args.name):
        raise ToolFailure(
            "Nothing was saved.",
            "A new insight needs a name, and a query as tool and arguments.",
            "Give name, tool and arguments, or the insight to change.",
        )
    if not body:
        raise ToolFailure("Nothing was saved.", "Nothing to change was given.", "Give what is to change.")
    if args.dry_run:
        if before is None:
            return Record({"dry_run": True, "project": str(project), "would_create": {**body, "saved": True}})
        changes = difference({name: before.get(name) for name in body}, body)
        return Record({"dry_run": True, "project": str(project), "insight": before["id"], "changes": changes})
    if before is None:
        saved = await ctx.api.post(LIST, {**body, "saved": True}, project_id=project.id)
    else:
        saved = await ctx.api.patch(ONE, body, project_id=project.id, id=before["id"])
    return Record(_shown(ctx, project, saved))


async def _query(ctx: Context, project: Project, args: SaveInsight) -> Json:
    assert args.tool is not None  # noqa: S101 - the caller has looked
    if args.tool == "query_hogql":
        return {"kind": "DataVisualizationNode", "source": _hogql(args.arguments)}
    given = arguments_of(args.tool, args.arguments)
    return {"kind": "InsightVizNode", "source": await KINDS[args.tool].query(ctx, project, given)}


def _hogql(arguments: Json) -> Json:
    text = arguments.get("query")
    if not isinstance(text, str) or not text.strip() or arguments.get("values"):
        raise ToolFailure(
            "Nothing was saved.",
            "A saved HogQL query has its text alone; PostHog keeps no values for it.",
            'Give arguments as {"query": "SELECT ..."} with the values written into the text.',
        )
    queries.checked(text, {}, unchecked=arguments.get("unchecked") is True)
    return {"kind": "HogQLQuery", "query": text}


def _shown(ctx: Context, project: Project, insight: Json) -> Json:
    facts: Json = {
        "id": insight["id"],
        "name": name_of(insight),
        "kind": kind_of(insight),
        "description": insight.get("description"),
        "tags": insight.get("tags"),
        "dashboards": _dashboards(insight)[:_DASHBOARDS_KEPT],
        "project": str(project),
        "url": ctx.link(project, f"insights/{insight.get('short_id')}"),
    }
    return {name: value for name, value in facts.items() if value not in (None, "", [])}


class DeleteInsight(ProjectInput):
    """Arguments of delete_insight."""

    insight: str = Field(min_length=1, description="Its id, short id or name.")
    dry_run: bool = Field(default=False, description="Show what would go, delete nothing.")


@tool(
    area="insights",
    access=Access.FULL,
    title="Delete an insight",
    scopes=("insight:read", "insight:write"),
    destructive=True,
    idempotent=True,
    default=False,
)
async def delete_insight(ctx: Context, args: DeleteInsight) -> Record:
    """Delete a saved chart; it leaves its dashboards as well. Asks a person."""
    project = await ctx.project(args)
    insight = await find_insight(ctx, project, args.insight, basic=True)
    shown = _shown(ctx, project, insight)
    if args.dry_run:
        return Record({"dry_run": True, "would_delete": shown})
    name = name_of(insight)
    placed = len(_dashboards(insight))
    on = f", which {placed} dashboards show," if placed else ""
    await ctx.consent(
        f"Delete the insight {name} ({insight['id']}){on} of project {project}.",
        name,
        "undo_change can restore it.",
    )
    await ctx.api.patch(ONE, {"deleted": True}, project_id=project.id, id=insight["id"])
    return Record({"deleted": shown})
