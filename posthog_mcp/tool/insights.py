"""Saved insights and dashboards as tools find and show them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.api.errors import NotFound
from posthog_mcp.tool.insight_answers import adds_up, number, percent
from posthog_mcp.tool.naming import only, unknown
from posthog_mcp.tool.queries import at_once, in_background

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project
    from posthog_mcp.tool.queries import Times

LIST = "/api/projects/{project_id}/insights/"
ONE = LIST + "{id}/"
DASHBOARDS = "/api/projects/{project_id}/dashboards/"
DASHBOARD = DASHBOARDS + "{id}/"
_WRAPPERS = ("InsightVizNode", "DataVisualizationNode", "DataTableNode")
_PAGE = 100
_SHORT_ID = 8
_LONGEST_QUERY = 800
_COMPUTED = (
    "columns", "hasMore", "is_cached", "last_refresh", "cache_target_age", "resolved_date_range", "timezone",
)  # fmt: skip
Json = dict[str, Any]


async def find_insight(
    ctx: Context, project: Project, named: str, *, times: Times | None = None, **query: Any
) -> Json:
    """The insight of an id, a short id or a name.

    Args:
        ctx: The call.
        project: Where to look.
        named: Its id, short id or name.
        times: The time of the request that reads it; None for what the call has.
        query: Goes with that request.

    Raises:
        ToolFailure: There is none, or several of that name.
    """

    async def read(number: object) -> Json:
        return await ctx.api.get(ONE, query=query, project_id=project.id, id=number, **given)

    given: Times = times or {}

    name = named.strip()
    if name.isdecimal():
        try:
            return await read(name)
        except NotFound:
            pass  # a name may be a number as well
    if len(name) == _SHORT_ID and name.isalnum():
        page = await ctx.api.get(LIST, query={"short_id": name, "basic": True}, project_id=project.id)
        if page["results"]:
            return await read(page["results"][0]["id"])
    asked = {"search": name[:200], "limit": _PAGE, "basic": True}
    page = await ctx.api.get(LIST, query=asked, project_id=project.id)
    return await read(_named("insight", name, page["results"], project)["id"])


async def computed_insight(ctx: Context, project: Project, named: str, *, anew: bool) -> Json:
    """An insight with its result, computed where PostHog has no fresh one; errors as `queries.answer_of`.

    One request where PostHog answers soon. Where it does not, the insight's query runs as all others do.

    Args:
        ctx: The call.
        project: Where to look.
        named: Its id, short id or name.
        anew: Compute it even where PostHog has a fresh result.
    """

    async def ask(query_id: str, times: Times) -> Json:
        refresh = "force_blocking" if anew else "blocking"
        asked = {"refresh": refresh, "client_query_id": query_id}
        return await find_insight(ctx, project, named, times=times, **asked)

    insight = None if ctx.resumes else await at_once(ctx, project, ask)
    if insight is not None:
        return insight
    insight = await find_insight(ctx, project, named, basic=True)
    answer = await in_background(ctx, project, insight["query"], anew=anew)
    return {**insight, "result": answer["results"], **{name: answer.get(name) for name in _COMPUTED}}


async def find_dashboard(
    ctx: Context, project: Project, named: str, *, times: Times | None = None, **query: Any
) -> Json:
    """The dashboard of an id or a name, with its tiles; arguments as those of `find_insight`.

    Raises:
        ToolFailure: There is none, or several of that name.
    """

    async def read(number: object) -> Json:
        return await ctx.api.get(DASHBOARD, query=query, project_id=project.id, id=number, **given)

    given: Times = times or {}

    name = named.strip()
    if name.isdecimal():
        try:
            return await read(name)
        except NotFound:
            pass  # a name may be a number as well
    asked = {"search": name[:200], "limit": _PAGE}
    page = await ctx.api.get(DASHBOARDS, query=asked, project_id=project.id)
    return await read(_named("dashboard", name, page["results"], project)["id"])


async def computed_dashboard(ctx: Context, project: Project, named: str, *, anew: bool) -> tuple[Json, bool]:
    """A dashboard with the results of its tiles, and whether they are fresh.

    PostHog computes all tiles in one request, and none of it in the background. Where that takes too long,
    they are those that it has kept.
    """

    async def ask(query_id: str, times: Times) -> Json:
        refresh = "force_blocking" if anew else "blocking"
        asked = {"refresh": refresh, "client_query_id": query_id}
        return await find_dashboard(ctx, project, named, times=times, **asked)

    found = await at_once(ctx, project, ask)
    return found or await find_dashboard(ctx, project, named, refresh="force_cache"), found is not None


def _named(what: str, name: str, listed: list[Json], project: Project) -> Json:
    same = [one for one in listed if name_of(one).lower() == name.lower()]
    found = only(what, name, same, project)
    if found is None:
        raise unknown(what, name, map(name_of, listed), project)
    return found


def name_of(one: Json) -> str:
    """What people call it."""
    return str(one.get("name") or one.get("derived_name") or one.get("short_id") or one["id"])


def source_of(insight: Json) -> Json:
    """The query inside the wrapper that insights are saved in."""
    query: Json = insight.get("query") or {}
    return (query.get("source") or {}) if query.get("kind") in _WRAPPERS else query


def kind_of(insight: Json) -> str:
    """trends, funnels, ..., sql for HogQL; json for what is none of them."""
    kind = str(source_of(insight).get("kind") or "")
    return "sql" if kind == "HogQLQuery" else kind.removesuffix("Query").lower() or "json"


def query_in_words(insight: Json) -> str:
    """The query as JSON, cut where it is long."""
    text = json.dumps(source_of(insight), ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= _LONGEST_QUERY else f"{text[:_LONGEST_QUERY]}… ({len(text):,} characters)"


def headline(insight: Json) -> str:
    """The result in one line; empty where it has not been computed."""
    result: Any = insight.get("result")
    if not result or not isinstance(result, list):
        return ""
    rows: list[Any] = result  # pyright: ignore[reportUnknownVariableType] - JSON
    match kind_of(insight):
        case "trends":
            return "; ".join(f"{one.get('label')} {_whole(one)}" for one in rows[:6])
        case "stickiness" | "lifecycle":
            return "; ".join(f"{one.get('label')} {number(one.get('count'))}" for one in rows[:6])
        case "funnels":
            group = cast("list[Json]", rows[0] if isinstance(rows[0], list) else rows)
            if "count" not in group[0] or "data" in group[0]:
                return f"{len(rows)} lines"
            first, last = group[0]["count"], group[-1]["count"]
            return f"{last} of {first} ({percent(last, first) or 'nobody'})"
        case "retention":
            return f"{len(rows)} rows, {sum(row['values'][0]['count'] for row in rows)} began"
        case _:
            return f"{len(rows)} rows"


def _whole(one: Json) -> str:
    """The series in one number: of the whole period, or the last one where they do not add up."""
    whole = one.get("aggregated_value")
    if whole is None and not adds_up(one):
        days, data = one.get("days") or [""], one.get("data") or [None]
        return f"{number(data[-1])} on {days[-1]}"
    return str(number(one.get("count") if whole is None else whole))
