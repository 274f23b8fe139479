"""Trends: their arguments, PostHog's query, and the answer as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from posthog_mcp.render import Chart, Series, Table
from posthog_mcp.tool.charts import Charted, dates, figure
from posthog_mcp.tool.insight_answers import (
    NOTHING,
    Asked,
    about,
    adds_up,
    number,
    scope,
    unfinished,
    value_in_words,
)
from posthog_mcp.tool.insight_arguments import (
    MATHS,
    Interval,
    SeriesRows,
    SplitInput,
    breakdown,
    common,
    node,
)
from posthog_mcp.tool.short import Short

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

Json = dict[str, Any]


class QueryTrends(SplitInput):
    """Arguments of query_trends."""

    series: SeriesRows = Field(
        min_length=1,
        description='Rows: [{"event":"order placed","math":"sum","property":"total","filters":[]}]; event '
        f'"" is all, or action an id. math: {MATHS}.',
    )
    interval: Interval = Field("day", description="Of rows.")
    formula: Short = Field("", description="A is the first series: A/B*100.")
    compare: bool = Field(default=False, description="With the period before.")
    total: bool = Field(default=False, description="One number for the whole period, people unique over it.")
    breakdown_limit: int = Field(10, ge=1, le=100, description="Values shown.")
    chart: Charted = False


async def trends_query(ctx: Context, project: Project, args: QueryTrends) -> Json:
    """The arguments as a TrendsQuery."""
    shown: Json = {"display": "ActionsBarValue" if args.total else "ActionsLineGraph"}
    if args.formula:
        shown["formulaNodes"] = [{"formula": args.formula}]
    query: Json = {
        "kind": "TrendsQuery",
        "series": [await node(ctx, project, one) for one in args.series],
        "interval": args.interval,
        "trendsFilter": shown,
        **await common(ctx, project, args),
        **await breakdown(ctx, project, args, args.breakdown_limit),
    }
    if args.compare:
        query["compareFilter"] = {"compare": True}
    return query


def trends_table(asked: Asked[QueryTrends], answer: Json) -> Table:
    """One row for each interval; split by a property, one for each value."""
    args = asked.args
    results: list[Json] = answer.get("results") or []
    days = _days(results)
    told = [
        about("Trends", asked, answer),
        unfinished(asked, answer, days, args.interval),
    ]
    if args.breakdown:
        return _by_value(args, results, days, told)
    if args.total:
        return Table(
            about=told,
            columns=["series", "value"],
            rows=[[_name(args, one), number(one.get("aggregated_value"))] for one in results],
            empty=NOTHING,
        )
    told.append(_totals(args, results))
    if not any(any(one.get("data") or []) for one in results):
        told.append(f"Nothing was counted. {NOTHING[0]}")
    return Table(
        about=told,
        columns=[args.interval, *(_name(args, one) for one in results)],
        rows=[[day, *(_at(one, place) for one in results)] for place, day in enumerate(days)],
        more=lambda _: "take a longer interval or a shorter period.",
        empty=NOTHING,
    )


def _by_value(args: QueryTrends, results: list[Json], days: list[str], told: list[str]) -> Table:
    several = _several(args)
    summed = any(map(adds_up, results))
    rows: list[list[Any]] = []
    for one in results:
        names = [_name(args, one)] if several else []
        value = value_in_words(one.get("breakdown_value"))
        if args.total:
            rows.append([*names, value, number(one.get("aggregated_value"))])
        else:
            whole = [number(one.get("count")) if adds_up(one) else None] if summed else []
            rows.append([*names, value, *whole, *map(number, one.get("data") or [])])
    first = ["series"] if several else []
    return Table(
        about=told,
        columns=[
            *first,
            args.breakdown,
            *(["total"] if args.total or summed else []),
            *([] if args.total else days),
        ],
        rows=rows,
        outsiders=frozenset({args.breakdown}) if args.breakdown_on != "cohort" else frozenset(),
        empty=NOTHING,
    )


def trends_chart(asked: Asked[QueryTrends], answer: Json) -> Chart:
    """A line for each series or value; of totals, a bar."""
    args = asked.args
    results: list[Json] = answer.get("results") or []
    names = dict.fromkeys(_name(args, one) for one in results if one.get("compare_label") != "previous")
    title, subtitle = ", ".join(names), scope(asked, answer)
    if args.breakdown:
        title += f" by {args.breakdown}"
    if args.total:
        values = [number(one.get("aggregated_value")) for one in results]
        places = [_drawn_name(args, one) for one in results]
        return Chart("bars", title, subtitle, places, [Series("", values, [*map(figure, values)])])
    days = _days(results)
    grows = bool(unfinished(asked, answer, days, args.interval))
    if grows:
        subtitle += " Dashed: not over yet."
    lines = [
        Series(
            _drawn_name(args, one),
            [_at(one, place) for place in range(len(days))],
            unfinished=grows and one.get("compare_label") != "previous",
        )
        for one in results
    ]
    return Chart("lines", f"{title}, each {args.interval}", subtitle, dates(days, args.interval), lines)


def _drawn_name(args: QueryTrends, one: Json) -> str:
    if not args.breakdown:
        return _name(args, one)
    value = value_in_words(one.get("breakdown_value"))
    return f"{value} · {_name(args, one)}" if _several(args) else value


def _several(args: QueryTrends) -> bool:
    """Whether a value alone does not name a row."""
    return args.compare or (len(args.series) > 1 and not args.formula)


def _days(results: list[Json]) -> list[str]:
    axes: list[list[str]] = [one.get("days") or [] for one in results]
    return max(axes, key=len, default=list[str]())


def _at(one: Json, place: int) -> Any:
    data: list[Any] = one.get("data") or []
    return number(data[place]) if place < len(data) else None


def _name(args: QueryTrends, one: Json) -> str:
    """What was asked for, in the words it was asked in."""
    action: Json | None = one.get("action")
    name = args.formula or str(one.get("label") or "")
    if action is not None:
        order = int(action.get("order") or 0)
        asked = args.series[order] if order < len(args.series) else None
        name = str(action.get("custom_name") or action.get("name") or one.get("label"))
        if asked and (asked.math != "total" or len(args.series) > 1):
            name += f" {asked.math}" + (f" {asked.property}" if asked.property else "")
    return f"{name} (before)" if one.get("compare_label") == "previous" else name


def _totals(args: QueryTrends, results: list[Json]) -> str:
    sums = [f"{_name(args, one)} {number(one.get('count'))}" for one in results if adds_up(one)]
    return f"In all: {', '.join(sums)}." if sums else ""
