"""Who is behind a number of a typed query."""

from datetime import datetime
from typing import Any, Literal, cast

from pydantic import Field, field_validator

from posthog_mcp.render import Table
from posthog_mcp.tool import Access, Context, JsonObject, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.insight_kinds import KINDS, QueryTool, arguments_of
from posthog_mcp.tool.insight_points import Point, source_of
from posthog_mcp.tool.queries import answer_of
from posthog_mcp.tool.selecting import freshness
from posthog_mcp.tool.short import Names, Short

Json = dict[str, Any]
_FEW_IDS = 3
_OUTSIDERS = frozenset({"person", "name", "email", "distinct_ids"})


class ListQueryPersons(ProjectInput):
    """Arguments of list_query_persons."""

    tool: QueryTool = Field(description="The tool that gave the number.")
    arguments: JsonObject = Field(description="What it was called with.")
    date: Short = Field("", description="Trends, lifecycle, retention: the row.")
    series: int = Field(1, ge=1, le=26, description="Which series.")
    value: Short = Field("", description="Of the breakdown; (none) for none.")
    step: int = Field(0, ge=-30, le=30, description="Funnel: reached this; -2: dropped out before 2.")
    status: Literal["any", "new", "returning", "resurrecting", "dormant"] = Field(
        "any", description="Lifecycle."
    )
    days: int = Field(1, ge=1, le=1_000, description="Stickiness: the row.")
    edge: Names = Field(
        default_factory=list[str],
        description="Paths: from and to with steps: 1_/a, 2_/b.",
    )
    limit: int = Field(50, ge=1, le=200, description="How many.")
    offset: int = Field(0, ge=0, description="How many to skip.")

    @field_validator("date")
    @classmethod
    def _a_row(cls, value: str) -> str:
        if value and not _is_date(value):  # which PostHog would take for now
            raise ValueError("is no date: give the row's, such as 2026-03-01")
        return value


@tool(
    area="insights",
    access=Access.READ,
    title="List persons behind a query",
    scopes=("query:read",),
    default=False,
)
async def list_query_persons(ctx: Context, args: ListQueryPersons) -> Table:
    """The people behind a number of query_trends, query_funnel and the like: who converted, who dropped out.

    Give the tool with its arguments, and the point.
    """
    project = await ctx.project(args)
    given = arguments_of(args.tool, args.arguments)
    query = await KINDS[args.tool].query(ctx, project, given)
    row = await _row_of(ctx, project, query, args.date) if args.tool == "query_retention" else 0
    point = Point(args.date, row, args.series - 1, args.value, args.step, args.status, args.days, args.edge)
    source = source_of(args.tool, given, query, point)
    counted = args.tool in ("query_trends", "query_paths")
    extra = ["event_count"] if counted else ["appearances"] if args.tool == "query_retention" else []
    body: Json = {
        "kind": "ActorsQuery",
        "select": ["actor", *extra],
        "source": source,
        "limit": args.limit,
        "offset": args.offset,
        "orderBy": ["event_count DESC"] if counted else [],
    }
    answer = await answer_of(ctx, project, body)
    people: list[list[Any]] = answer.get("results") or []
    columns = ["person", "name", "email", "distinct_ids", *extra]
    return Table(
        about=[f"Behind {args.tool} in project {project}: {point.in_words(args.tool)}.{freshness(answer)}"],
        columns=columns,
        rows=[_shown(one) for one in people],
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=bool(answer.get("hasMore")),
        outsiders=_OUTSIDERS & set(columns),
        empty=["Nobody is behind this point. Take date, value and step as the query's answer shows them."],
    )


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


async def _row_of(ctx: Context, project: Project, query: Json, date: str) -> int:
    """The number of the row that began on a date; PostHog has the answer cached, as a rule."""
    answer = await answer_of(ctx, project, query)
    rows: list[Json] = answer.get("results") or []
    dates = [str(row["date"])[:16].removesuffix("T00:00") for row in rows]
    if date in dates:
        return dates.index(date)
    raise ToolFailure(
        f"The retention has no row {date}." if date else "No row was named.",
        f"Its rows: {', '.join(dict.fromkeys(dates))}.",
        "Give the row's first column as date.",
    )


def _shown(row: list[Any]) -> list[Any]:
    found, *extra = row
    actor: Json = cast("Json", found) if isinstance(found, dict) else {"id": found}
    properties: Json = actor.get("properties") or {}
    if actor.get("type") == "group":
        return [actor.get("group_key") or actor.get("id"), properties.get("name"), None, None, *extra]
    ids: list[str] = actor.get("distinct_ids") or []
    shown = ", ".join(ids[:_FEW_IDS]) + (f" and {len(ids) - _FEW_IDS} more" if len(ids) > _FEW_IDS else "")
    return [actor.get("id"), properties.get("name"), properties.get("email"), shown, *extra]
