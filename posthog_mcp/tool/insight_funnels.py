"""Funnels: their arguments, PostHog's query, and the answer as a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import Field, model_validator

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
    value_in_words,
)
from posthog_mcp.tool.insight_arguments import Interval, SplitInput, StepRows, breakdown, common, node
from posthog_mcp.tool.short import Names

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

Json = dict[str, Any]
_WINDOW = re.compile(r"([1-9]\d{0,3})([smhdw])")
_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}
_SHOWN = {"steps": "steps", "time_to_convert": "time_to_convert", "trend": "trends"}


class QueryFunnel(SplitInput):
    """Arguments of query_funnel."""

    steps: StepRows = Field(
        min_length=2,
        description='Events: ["signed up","order placed"]; or {"event":"","action":null,"filters":[]} each.',
    )
    window: str = Field("14d", description="To convert, from step 1: 30m, 1h, 14d.")
    order: Literal["ordered", "strict", "unordered"] = Field(
        "ordered", description="strict: nothing between."
    )
    exclude: Names = Field(default_factory=list[str], description="Events that disqualify.")
    show: Literal["steps", "time_to_convert", "trend"] = Field("steps", description="Which view.")
    interval: Interval = Field("day", description="For trend.")
    chart: Charted = False

    @model_validator(mode="after")
    def _window_is_a_span(self) -> QueryFunnel:
        if not _WINDOW.fullmatch(self.window):
            raise ValueError(f"`window` {self.window} is no span: write 30m, 1h or 14d; m is minutes")
        return self


async def funnel_query(ctx: Context, project: Project, args: QueryFunnel) -> Json:
    """The arguments as a FunnelsQuery."""
    count, unit = args.window[:-1], args.window[-1]
    last = len(args.steps) - 1
    filters: Json = {
        "funnelOrderType": args.order,
        "funnelVizType": _SHOWN[args.show],
        "funnelWindowInterval": int(count),
        "funnelWindowIntervalUnit": _UNITS[unit],
    }
    if args.exclude:
        filters["exclusions"] = [
            {"kind": "EventsNode", "event": name, "name": name, "funnelFromStep": 0, "funnelToStep": last}
            for name in args.exclude
        ]
    return {
        "kind": "FunnelsQuery",
        "series": [await node(ctx, project, step) for step in args.steps],
        "interval": args.interval,
        "funnelsFilter": filters,
        **await common(ctx, project, args),
        **await breakdown(ctx, project, args),
    }


def funnel_table(asked: Asked[QueryFunnel], answer: Json) -> Table:
    """One row for each step, or bin of times, or interval."""
    args = asked.args
    results: Any = answer.get("results") or []
    told = [about(f"Funnel, {args.order}, within {args.window},", asked, answer)]
    if args.show == "time_to_convert":
        return _times(results, told)
    if args.show == "trend":
        return _trend(args, results, told)
    groups: list[list[Json]] = results if args.breakdown else [results] if results else []
    if groups and not args.breakdown:
        told.append(_whole(groups[0]))
    rows = [row for group in groups for row in _steps(group, split=bool(args.breakdown))]
    first = [args.breakdown] if args.breakdown else []
    return Table(
        about=told,
        columns=[*first, "step", "event", "people", "of first", "of previous", "mean time", "median time"],
        rows=rows,
        outsiders=frozenset(first) if args.breakdown_on != "cohort" else frozenset(),
        empty=["Nobody did the first step.", *NOTHING],
    )


def _whole(steps: list[Json]) -> str:
    first, last = steps[0]["count"], steps[-1]["count"]
    return f"{last} of {first} got through all steps: {percent(last, first) or 'nobody began'}."


def _steps(steps: list[Json], *, split: bool) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for place, step in enumerate(steps):
        before = steps[place - 1]["count"] if place else step["count"]
        rows.append(
            [
                *([value_in_words(step.get("breakdown_value"))] if split else []),
                place + 1,
                _event(step),
                step["count"],
                percent(step["count"], steps[0]["count"]),
                percent(step["count"], before) if place else "",
                duration(step.get("average_conversion_time")),
                duration(step.get("median_conversion_time")),
            ]
        )
    return rows


def _times(results: Any, told: list[str]) -> Table:
    found = cast("Json", results) if isinstance(results, dict) else {}
    mean = duration(found.get("average_conversion_time"))
    bins: list[list[Any]] = found.get("bins") or []
    return Table(
        about=[*told, f"On average {mean} from the first step to the last." if mean else ""],
        columns=["from", "people"],
        rows=[[duration(begin), count] for begin, count in bins if count],
        empty=["Nobody got from the first step to the last.", *NOTHING],
    )


def _trend(args: QueryFunnel, results: list[Json], told: list[str]) -> Table:
    days: list[str] = results[0]["days"] if results else []
    if not args.breakdown:
        data: list[Any] = results[0]["data"] if results else []
        rows: list[list[Any]] = [[day, number(value)] for day, value in zip(days, data, strict=False)]
        return Table(about=told, columns=[args.interval, "converted %"], rows=rows, empty=NOTHING)
    rows = [[value_in_words(one.get("breakdown_value")), *map(number, one["data"])] for one in results]
    return Table(
        about=[*told, "Percentages of those who began in each interval."],
        columns=[args.breakdown, *days],
        rows=rows,
        outsiders=frozenset({args.breakdown}),
        empty=NOTHING,
    )


def funnel_chart(asked: Asked[QueryFunnel], answer: Json) -> Chart:
    """A bar for each step, a column for each bin of times, or a line of who converted."""
    args, subtitle = asked.args, scope(asked, answer)
    results: Any = answer.get("results") or []
    steps = " → ".join(step.event or "All events" for step in args.steps)
    if args.show == "time_to_convert":
        bins: list[list[Any]] = results.get("bins") or [] if results else []
        people = [Series("", [count for _, count in bins])]
        return Chart(
            "columns", f"Time taken: {steps}", subtitle, [duration(begin) for begin, _ in bins], people
        )
    if args.show == "trend":
        days = dates(results[0]["days"] if results else [], args.interval)
        lines = [
            Series(value_in_words(one.get("breakdown_value")), [*map(number, one["data"])]) for one in results
        ]
        title = f"Converted of who began, each {args.interval}: {steps}"
        return Chart("lines", title, subtitle, days, lines, percent=True)
    groups: list[list[Json]] = results if args.breakdown else [results] if results else []
    named = [f"{place} {_event(step)}" for place, step in enumerate(groups[0] if groups else [], 1)]
    return Chart("bars", steps, subtitle, named, [_bars(group) for group in groups])


def _bars(steps: list[Json]) -> Series:
    counts = [int(step["count"]) for step in steps]
    shares = [percent(count, counts[0]) for count in counts]
    texts = [
        f"{count:,} ({share})" if share else f"{count:,}" for count, share in zip(counts, shares, strict=True)
    ]
    return Series(value_in_words(steps[0].get("breakdown_value")), counts, texts)


def _event(step: Json) -> str:
    return str(step.get("custom_name") or step.get("name"))
