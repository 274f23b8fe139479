"""Retention: its arguments, PostHog's query, and the answer as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from posthog_mcp.render import Chart, Series, Table
from posthog_mcp.tool.charts import Charted, dates
from posthog_mcp.tool.insight_answers import NOTHING, Asked, about, percent, scope, value_in_words
from posthog_mcp.tool.insight_arguments import (
    InsightDate,
    Interval,
    SplitInput,
    Step,
    StepText,
    breakdown,
    common,
    node,
)

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

Json = dict[str, Any]
_TYPES = {
    "recurring": "retention_recurring",
    "first_time": "retention_first_time",
    "first_ever": "retention_first_ever_occurrence",
}


class QueryRetention(SplitInput):
    """Arguments of query_retention."""

    target: StepText = Field(description='Event that begins it, or {"event":"","filters":[]}.')
    returning: StepText | None = Field(None, description="Event that is coming back; default the same.")
    date_from: InsightDate = Field("", description="Default: as many periods as intervals.")
    period: Interval = Field("day", description="Of a row.")
    intervals: int = Field(8, ge=2, le=31, description="Periods to look at.")
    type: Literal["recurring", "first_time", "first_ever"] = Field(
        "recurring", description="Who begins: all, or only their first time."
    )
    cumulative: bool = Field(default=False, description="Came back then or later.")
    chart: Charted = False


async def retention_query(ctx: Context, project: Project, args: QueryRetention) -> Json:
    """The arguments as a RetentionQuery."""
    shared = await common(ctx, project, args)
    if not args.date_from:
        del shared["dateRange"]["date_from"]
    return {
        "kind": "RetentionQuery",
        "retentionFilter": {
            "period": args.period.capitalize(),
            "totalIntervals": args.intervals,
            "targetEntity": await _entity(ctx, project, args.target),
            "returningEntity": await _entity(ctx, project, args.returning or args.target),
            "retentionType": _TYPES[args.type],
            "cumulative": args.cumulative,
        },
        **shared,
        **await breakdown(ctx, project, args),
    }


async def _entity(ctx: Context, project: Project, step: Step) -> Json:
    made = await node(ctx, project, step)
    if made["kind"] == "ActionsNode":
        found: Json = {"id": made["id"], "type": "actions"}
    else:
        found = {"id": made["event"], "name": made["event"], "type": "events"}
    return found | ({"properties": made["properties"]} if "properties" in made else {})


def retention_table(asked: Asked[QueryRetention], answer: Json) -> Table:
    """One row for each period in which people began: how many, and how many came back in each later one."""
    args = asked.args
    results: list[Json] = answer.get("results") or []
    labels, groups = _labels(results), _groups(results)
    rows = [
        [*([value] if args.breakdown else []), str(row["date"])[:16].removesuffix("T00:00"), *cells]
        for value, group in groups.items()
        for row, cells in zip(group, _cells(group), strict=True)
    ]
    first = [args.breakdown] if args.breakdown else []
    told = [about(f"Retention by {args.period}", asked, answer)]
    if results and not args.breakdown:
        told.append(_mean(results, labels))
    if args.cumulative:
        told.append("Each column counts who came back in that period or any later one.")
    began = sum(row["values"][0]["count"] for row in results)
    return Table(
        about=told,
        columns=[*first, "began", "people", *labels[1:]],
        rows=rows if began else [],
        outsiders=frozenset(first) if args.breakdown_on != "cohort" else frozenset(),
        empty=["Nobody did what begins it.", *NOTHING],
    )


def _labels(results: list[Json]) -> list[str]:
    return [str(cell.get("label")) for cell in results[0]["values"]] if results else []


def _groups(results: list[Json]) -> dict[str, list[Json]]:
    """The rows by the value they are split by."""
    groups: dict[str, list[Json]] = {}
    for row in results:
        groups.setdefault(value_in_words(row.get("breakdown_value")), []).append(row)
    return groups


def _counts(group: list[Json]) -> list[list[int | None]]:
    """Who came back; None for periods that have not come yet, whatever PostHog fills in."""
    return [
        [
            int(cell.get("count") or 0) if not number or place + number < len(group) else None
            for number, cell in enumerate(row["values"])
        ]
        for place, row in enumerate(group)
    ]


def _cells(group: list[Json]) -> list[list[str]]:
    """Counts with their shares."""
    table: list[list[str]] = []
    for first, *later in _counts(group):
        cells = [str(first)]
        for count in later:
            share = percent(count or 0, first or 0).replace(" ", "")
            cells.append("" if count is None else f"{count} ({share})" if share else str(count))
        table.append(cells)
    return table


def _sums(group: list[Json]) -> list[tuple[int, int]]:
    """For each later period: who came back, of how many who could have by then."""
    counts = _counts(group)
    seen = [
        [(row[number] or 0, row[0] or 0) for row in counts if row[number] is not None]
        for number in range(1, len(counts[0]))
    ]
    return [(sum(came for came, _ in pairs), sum(began for _, began in pairs)) for pairs in seen]


def _mean(results: list[Json], labels: list[str]) -> str:
    """The share of all who could have come back by then."""
    sums = zip(labels[1:], _sums(results), strict=True)
    told = [f"{label} {percent(came, began)}" for label, (came, began) in sums if began]
    return f"Of all who had the time: {', '.join(told)}." if told else ""


def retention_chart(asked: Asked[QueryRetention], answer: Json) -> Chart:
    """A row for each period in which people began; split by a property, a line for each value."""
    args, subtitle = asked.args, scope(asked, answer)
    results: list[Json] = answer.get("results") or []
    labels, groups = _labels(results)[1:], _groups(results)
    title = f"Retention, % of those who began, by {args.breakdown or args.period}"
    if args.breakdown:
        lines = [
            Series(value, [100 * came / began if began else None for came, began in _sums(group)])
            for value, group in groups.items()
        ]
        return Chart("lines", title, subtitle, labels, lines, percent=True)
    days = dates([row["date"] for row in results], args.period)
    rows = [_row(day, counts) for day, counts in zip(days, _counts(results), strict=True)]
    return Chart("heat", title, subtitle, labels, rows, percent=True)


def _row(day: str, counts: list[int | None]) -> Series:
    first, *later = counts
    shares = [None if count is None or not first else 100 * count / first for count in later]
    texts = ["" if share is None else f"{share:.0f}" for share in shares]
    return Series(f"{day} · {first:,}", shares, texts)
