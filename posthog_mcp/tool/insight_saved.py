"""Saved queries read back into arguments of the tools, to show their results alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.tool.filter_rows import EventFilterRow
from posthog_mcp.tool.insight_answers import Asked
from posthog_mcp.tool.insight_arguments import Series, Step
from posthog_mcp.tool.insight_funnels import QueryFunnel
from posthog_mcp.tool.insight_kinds import KINDS, Kind
from posthog_mcp.tool.insight_more import QueryLifecycle, QueryPaths, QueryStickiness
from posthog_mcp.tool.insight_retention import QueryRetention
from posthog_mcp.tool.insight_trends import QueryTrends

if TYPE_CHECKING:
    from datetime import datetime

    from posthog_mcp.tool.context import Project
    from posthog_mcp.tool.insight_arguments import InsightInput

Json = dict[str, Any]
_WHOLE = (
    "BoldNumber", "ActionsPie", "ActionsBarValue", "ActionsTable", "WorldMap", "CalendarHeatmap",
)  # fmt: skip
_WINDOWS = {"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w", "month": " months"}
_VIEWS = {"steps": "steps", "time_to_convert": "time_to_convert", "trends": "trend"}
_TOOLS = {
    "TrendsQuery": "query_trends",
    "FunnelsQuery": "query_funnel",
    "RetentionQuery": "query_retention",
    "PathsQuery": "query_paths",
    "LifecycleQuery": "query_lifecycle",
    "StickinessQuery": "query_stickiness",
}


def as_asked(project: Project, now: datetime, source: Json) -> tuple[Kind, Asked[Any]] | None:
    """How a saved query's results are shown, and what it asks; None for queries of other kinds.

    The arguments hold what showing needs. PostHog's queries can say more than the tools', so they are not
    checked again and not meant to be asked with.
    """
    tool = _TOOLS.get(str(source.get("kind")))
    if tool is None:
        return None
    return KINDS[tool], Asked(project, _args(source), now)


def _args(source: Json) -> InsightInput:
    nodes: list[Json] = source.get("series") or []
    shared, series = _shared(source), [_series(one) for one in nodes]
    interval = source.get("interval") or "day"
    split = shared | _breakdown(source.get("breakdownFilter") or {})
    match source["kind"]:
        case "TrendsQuery":
            return _trends(source, split | {"series": series, "interval": interval})
        case "FunnelsQuery":
            return _funnel(source, split | {"steps": series, "interval": interval})
        case "RetentionQuery":
            given: Json = source.get("retentionFilter") or {}
            period = str(given.get("period") or "Day").lower()
            cumulative = bool(given.get("cumulative"))
            return QueryRetention.model_construct(**split, period=period, cumulative=cumulative)
        case "PathsQuery":
            return QueryPaths.model_construct(**shared)
        case "LifecycleQuery":
            return QueryLifecycle.model_construct(**shared, interval=interval)
        case _:
            given = source.get("stickinessFilter") or {}
            cumulative = given.get("computedAs") == "cumulative"
            return QueryStickiness.model_construct(**shared, interval=interval, cumulative=cumulative)


def _trends(source: Json, args: Json) -> QueryTrends:
    given: Json = source.get("trendsFilter") or {}
    nodes: list[Json] = given.get("formulaNodes") or []
    formula = given.get("formula") or "".join(str(node.get("formula")) for node in nodes[:1])
    compare: Json = source.get("compareFilter") or {}
    return QueryTrends.model_construct(
        **args,
        formula=formula,
        total=given.get("display") in _WHOLE,
        compare=bool(compare.get("compare")),
    )


def _funnel(source: Json, args: Json) -> QueryFunnel:
    given: Json = source.get("funnelsFilter") or {}
    unit = _WINDOWS.get(str(given.get("funnelWindowIntervalUnit") or "day"), "d")
    return QueryFunnel.model_construct(
        **args,
        window=f"{given.get('funnelWindowInterval') or 14}{unit}",
        order=given.get("funnelOrderType") or "ordered",
        show=_VIEWS.get(str(given.get("funnelVizType") or "steps"), "steps"),
    )


def _shared(source: Json) -> Json:
    dates: Json = source.get("dateRange") or {}
    return {
        "date_from": str(dates.get("date_from") or "-7d"),
        "date_to": str(dates.get("date_to") or ""),
        "filters": [_filter(one) for one in _listed(source.get("properties"))],
        "exclude_test_accounts": bool(source.get("filterTestAccounts")),
    }


def _listed(properties: Any) -> list[Json]:
    """Filters in one list, whatever groups they come in; that some may be alternatives is not told."""
    if isinstance(properties, dict):
        group: Json = properties  # pyright: ignore[reportUnknownVariableType] - JSON
        values: list[Any] = group.get("values") or []
        return [one for value in values for one in _listed(value)] if "values" in group else [group]
    listed: list[Any] = properties or []
    return [one for value in listed for one in _listed(value)]


def _filter(one: Json) -> EventFilterRow:
    value = one.get("value")
    told = ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)  # pyright: ignore[reportUnknownArgumentType]
    return EventFilterRow.model_construct(
        property=str(one.get("key") or one.get("type") or ""),
        operator=one.get("operator") or "exact",
        value=told,
        on=one.get("type") or "event",
    )


def _series(one: Json) -> Series | Step:
    return Series.model_construct(
        event=one.get("event") or "",
        math=one.get("math") or "total",
        property=one.get("math_property") or "",
        filters=[],
        action=one.get("id") if one.get("kind") == "ActionsNode" else None,
    )


def _breakdown(given: Json) -> Json:
    several: list[Json] = given.get("breakdowns") or []
    if several:
        names = " / ".join(str(one.get("property")) for one in several)
        return {"breakdown": names, "breakdown_on": several[0].get("type") or "event"}
    name = given.get("breakdown")
    if name is None:
        return {"breakdown": "", "breakdown_on": "event"}
    told = ", ".join(map(str, name)) if isinstance(name, list) else str(name)  # pyright: ignore[reportUnknownArgumentType]
    kind = given.get("breakdown_type") or "event"
    return {"breakdown": "cohort" if kind == "cohort" else told, "breakdown_on": kind}
