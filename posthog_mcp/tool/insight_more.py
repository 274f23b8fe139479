"""Paths, lifecycle and stickiness: their arguments, PostHog's queries, and the answers as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from posthog_mcp.render import Chart, Series, Table
from posthog_mcp.tool.charts import Charted, dates
from posthog_mcp.tool.insight_answers import (
    NOTHING,
    Asked,
    about,
    duration,
    number,
    percent,
    scope,
    unfinished,
)
from posthog_mcp.tool.insight_arguments import InsightInput, Interval, StepRows, StepText, common, node
from posthog_mcp.tool.short import Names, Short

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

Json = dict[str, Any]
_OF = {
    "pages": ["$pageview"],
    "screens": ["$screen"],
    "events": ["custom_event"],
    "all": ["$pageview", "$screen", "custom_event"],
}
_STATUSES = ("new", "returning", "resurrecting", "dormant")


class QueryPaths(InsightInput):
    """Arguments of query_paths."""

    of: Literal["pages", "screens", "events", "all"] = Field("pages", description="Events: custom ones.")
    start: Short = Field("", description="Only from this item on.")
    end: Short = Field("", description="Only up to this one.")
    group: Names = Field(default_factory=list[str], description="Taken as one: /product/*.")
    exclude: Names = Field(default_factory=list[str], description="Items left out.")
    steps: int = Field(5, ge=2, le=20, description="Longest path.")
    edges: int = Field(30, ge=1, le=200, description="How many to show.")


async def paths_query(ctx: Context, project: Project, args: QueryPaths) -> Json:
    """The arguments as a PathsQuery."""
    filters: Json = {"includeEventTypes": _OF[args.of], "stepLimit": args.steps, "edgeLimit": args.edges}
    given = {
        "startPoint": args.start,
        "endPoint": args.end,
        "pathGroupings": args.group,
        "excludeEvents": args.exclude,
    }
    filters |= {name: value for name, value in given.items() if value}
    return {"kind": "PathsQuery", "pathsFilter": filters, **await common(ctx, project, args)}


def paths_table(asked: Asked[QueryPaths], answer: Json) -> Table:
    """One row for each way from one item to the next."""
    results: list[Json] = answer.get("results") or []
    rows: list[list[Any]] = []
    for one in results:
        place, _, source = str(one["source"]).partition("_")
        target = str(one["target"]).partition("_")[2]
        took = duration((one.get("average_conversion_time") or 0) / 1_000)
        rows.append([place, source, target, one.get("value"), took])
    return Table(
        about=[about("Paths", asked, answer)],
        columns=["step", "from", "to", "times", "mean time"],
        rows=rows,
        outsiders=frozenset({"from", "to"}),
        empty=[
            "No path was found.",
            "Try `of` all; start and end are items as the answer shows them, pages whole addresses.",
            *NOTHING,
        ],
    )


class QueryLifecycle(InsightInput):
    """Arguments of query_lifecycle."""

    series: StepText = Field(description='Event that is being active, or {"event":"","filters":[]}.')
    interval: Interval = Field("day", description="Of the rows.")
    chart: Charted = False


async def lifecycle_query(ctx: Context, project: Project, args: QueryLifecycle) -> Json:
    """The arguments as a LifecycleQuery."""
    return {
        "kind": "LifecycleQuery",
        "series": [await node(ctx, project, args.series)],
        "interval": args.interval,
        **await common(ctx, project, args),
    }


def lifecycle_table(asked: Asked[QueryLifecycle], answer: Json) -> Table:
    """One row for each interval: who was new, returned, came back, went away."""
    args = asked.args
    results: list[Json] = answer.get("results") or []
    by_status = {str(one.get("status")): one for one in results}
    days: list[str] = results[0]["days"] if results else []
    rows = [
        [day, *(number(abs(by_status[status]["data"][place])) for status in _STATUSES if status in by_status)]
        for place, day in enumerate(days)
    ]
    return Table(
        about=[
            about("Lifecycle", asked, answer),
            unfinished(asked, answer, days, args.interval),
        ],
        columns=[args.interval, *(status for status in _STATUSES if status in by_status)],
        rows=rows if any(any(row[1:]) for row in rows) else [],
        empty=NOTHING,
    )


def lifecycle_chart(asked: Asked[QueryLifecycle], answer: Json) -> Chart:
    """A column for each interval, with who went away below the line."""
    args = asked.args
    results: list[Json] = answer.get("results") or []
    by_status = {str(one.get("status")): one for one in results}
    days = dates(results[0]["days"] if results else [], args.interval)
    parts = [Series(status, by_status[status]["data"]) for status in _STATUSES if status in by_status]
    action: Json = results[0].get("action") or {} if results else {}
    title = f"Lifecycle of {action.get('name') or 'people'}, each {args.interval}"
    return Chart("stack", title, scope(asked, answer), days, parts)


class QueryStickiness(InsightInput):
    """Arguments of query_stickiness."""

    series: StepRows = Field(
        min_length=1, description='Events: ["order placed"], or {"event":"","filters":[]} each.'
    )
    interval: Interval = Field("day", description="What is counted.")
    cumulative: bool = Field(default=False, description="n or more instead of exactly n.")
    chart: Charted = False


async def stickiness_query(ctx: Context, project: Project, args: QueryStickiness) -> Json:
    """The arguments as a StickinessQuery."""
    return {
        "kind": "StickinessQuery",
        "series": [await node(ctx, project, one) for one in args.series],
        "interval": args.interval,
        "stickinessFilter": {"computedAs": "cumulative" if args.cumulative else "non_cumulative"},
        **await common(ctx, project, args),
    }


def stickiness_table(asked: Asked[QueryStickiness], answer: Json) -> Table:
    """One row for each number of intervals: how many people were active in that many."""
    args = asked.args
    results: list[Json] = answer.get("results") or []
    rows: list[list[Any]] = []
    for place, days in enumerate(results[0]["days"] if results else []):
        cells = [(int(one["data"][place]), int(one.get("count") or 0)) for one in results]
        if any(count for count, _ in cells):
            rows.append([days, *(f"{count} ({percent(count, whole) or '0 %'})" for count, whole in cells)])
    return Table(
        about=[about("Stickiness", asked, answer)],
        columns=[_counted(args), *_names(results)],
        rows=rows,
        empty=NOTHING,
    )


def stickiness_chart(asked: Asked[QueryStickiness], answer: Json) -> Chart:
    """A column for each number of intervals."""
    results: list[Json] = answer.get("results") or []
    names = _names(results)
    columns = [Series(name, one["data"]) for name, one in zip(names, results, strict=True)]
    days: list[int] = results[0]["days"] if results else []
    title = f"People by {_counted(asked.args)} with {', '.join(names)}"
    return Chart("columns", title, scope(asked, answer), [*map(str, days)], columns)


def _counted(args: QueryStickiness) -> str:
    return f"{args.interval}s{' or more' if args.cumulative else ''}"


def _names(results: list[Json]) -> list[str]:
    return [str(one.get("label") or place) for place, one in enumerate(results, 1)]
