"""Retention: its arguments, PostHog's query, and the answer as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from posthog_mcp.render import Table
from posthog_mcp.tool.insight_answers import NOTHING, Asked, about, percent, value_in_words
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
    labels = [str(cell.get("label")) for cell in results[0]["values"]] if results else []
    groups: dict[str, list[Json]] = {}
    for row in results:
        groups.setdefault(value_in_words(row.get("breakdown_value")), []).append(row)
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


def _cells(group: list[Json]) -> list[list[str]]:
    """Counts with their shares; periods that have not come yet are empty, whatever PostHog fills in."""
    table: list[list[str]] = []
    for place, row in enumerate(group):
        counts = [int(cell.get("count") or 0) for cell in row["values"]]
        cells = [str(counts[0])]
        for number, count in enumerate(counts[1:], 1):
            share = percent(count, counts[0]).replace(" ", "")
            seen = place + number < len(group)
            cells.append(f"{count} ({share})" if seen and share else str(count) if seen else "")
        table.append(cells)
    return table


def _mean(results: list[Json], labels: list[str]) -> str:
    """The share of all who could have come back by then."""
    told: list[str] = []
    for number, label in enumerate(labels[1:], 1):
        rows = [row["values"] for place, row in enumerate(results) if place + number < len(results)]
        began = sum(cells[0]["count"] for cells in rows)
        if began:
            told.append(f"{label} {percent(sum(cells[number]['count'] for cells in rows), began)}")
    return f"Of all who had the time: {', '.join(told)}." if told else ""
