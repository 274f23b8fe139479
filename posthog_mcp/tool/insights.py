"""Saved insights and dashboards as tools find and show them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from posthog_mcp.api.errors import NotFound
from posthog_mcp.tool.insight_answers import adds_up, number, percent
from posthog_mcp.tool.naming import only, unknown

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

LIST = "/api/projects/{project_id}/insights/"
ONE = LIST + "{id}/"
DASHBOARDS = "/api/projects/{project_id}/dashboards/"
DASHBOARD = DASHBOARDS + "{id}/"
_WRAPPERS = ("InsightVizNode", "DataVisualizationNode", "DataTableNode")
_PAGE = 100
_SHORT_ID = 8
_LONGEST_QUERY = 800
Json = dict[str, Any]


async def find_insight(ctx: Context, project: Project, named: str, **query: Any) -> Json:
    """The insight of an id, a short id or a name; `query` goes with the request that reads it.

    Raises:
        ToolFailure: There is none, or several of that name.
    """
    name = named.strip()
    if name.isdecimal():
        try:
            return await ctx.api.get(ONE, query=query, project_id=project.id, id=name)
        except NotFound:
            pass  # a name may be a number as well
    if len(name) == _SHORT_ID and name.isalnum():
        page = await ctx.api.get(LIST, query={"short_id": name, "basic": True}, project_id=project.id)
        if page["results"]:
            return await ctx.api.get(ONE, query=query, project_id=project.id, id=page["results"][0]["id"])
    asked = {"search": name[:200], "limit": _PAGE, "basic": True}
    page = await ctx.api.get(LIST, query=asked, project_id=project.id)
    found = _named("insight", name, page["results"], project)
    return await ctx.api.get(ONE, query=query, project_id=project.id, id=found["id"])


async def find_dashboard(ctx: Context, project: Project, named: str, **query: Any) -> Json:
    """The dashboard of an id or a name, with its tiles.

    Raises:
        ToolFailure: There is none, or several of that name.
    """
    name = named.strip()
    if name.isdecimal():
        try:
            return await ctx.api.get(DASHBOARD, query=query, project_id=project.id, id=name)
        except NotFound:
            pass  # a name may be a number as well
    asked = {"search": name[:200], "limit": _PAGE}
    page = await ctx.api.get(DASHBOARDS, query=asked, project_id=project.id)
    found = _named("dashboard", name, page["results"], project)
    return await ctx.api.get(DASHBOARD, query=query, project_id=project.id, id=found["id"])


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
