"""What happened: events as they came, newest first."""

from typing import Any

from pydantic import Field

from posthog_mcp.render import Table
from posthog_mcp.tool import Access, Context, ProjectInput, tool
from posthog_mcp.tool.filter_rows import EventFilterRow, EventFilterRows, filtered_by
from posthog_mcp.tool.persons import event_properties, events_of, read
from posthog_mcp.tool.row_conditions import event_conditions
from posthog_mcp.tool.selecting import RowCursor, cursor_of, freshness, read_cursor, selected, within
from posthog_mcp.tool.short import Names, Short
from posthog_mcp.tool.times import Moment

Json = dict[str, Any]
_ALL = "*"


class ListEvents(ProjectInput):
    """Arguments of list_events."""

    person: Short = Field("", description="A distinct id or a person's uuid: all their ids count.")
    event: Short = Field("", description="Only events of this name.")
    filters: EventFilterRows = Field(
        default_factory=list[EventFilterRow],
        description='Rows: [{"property":"total","operator":"gt","value":"10","on":"event"}]; on also '
        "person, session, cohort, flag.",
    )
    date_from: Moment = Field("-7d", description="Since when.")
    date_to: Moment = Field("", description="Until when.")
    properties: Names = Field(
        default_factory=list[str],
        description="Properties to show, * for all. Default: the application's own.",
    )
    limit: int = Field(30, ge=1, le=200, description="How many.")
    cursor: RowCursor = Field("", description="From the answer before.")


@tool(area="persons", access=Access.READ, title="List events", scopes=("query:read",))
async def list_events(ctx: Context, args: ListEvents) -> Table:
    """List events newest first, of a person, of a name, or all. To count or group, use query_hogql."""
    project = await ctx.project(args)
    conditions, values, words = within(ctx, args.date_from, args.date_to)
    if args.event:
        conditions.append("event = {event}")
        values["event"] = args.event
    if args.person:
        condition, who = events_of(args.person)
        conditions.append(condition)
        values |= who
    narrower, more_values = await event_conditions(ctx, project, args.filters)
    conditions += narrower
    values |= more_values
    if args.cursor:
        conditions.append("(timestamp, uuid) < (toDateTime({cursor_time}), toUUID({cursor_uuid}))")
        values |= read_cursor(args.cursor)
    named = [] if _ALL in args.properties else args.properties
    values |= {f"p{place}": name for place, name in enumerate(named)}
    picked = ", ".join(f"JSONExtractRaw(properties, {{p{place}}})" for place in range(len(named)))
    query = (
        f"SELECT timestamp, event, distinct_id, toString(uuid), {picked or 'properties'} FROM events"  # noqa: S608
        f" WHERE {' AND '.join(conditions)}"
        f" ORDER BY timestamp DESC, uuid DESC LIMIT {args.limit + 1}"
    )
    answer = await selected(ctx, project, query, values)
    found: list[list[Any]] = answer.get("results") or []
    rows, zone = found[: args.limit], answer.get("timezone") or "UTC"
    more = filtered_by(args.filters) + freshness(answer)
    return Table(
        about=[f"Events of project {project}, {words}, times in {zone}.{more}"],
        columns=["time", "event", "distinct_id", *(named or ["properties"])],
        rows=[[*row[:3], *_shown(row[4:], args.properties)] for row in rows],
        more=lambda shown: f"cursor={cursor_of(rows[shown - 1][0], rows[shown - 1][3])}",
        has_more=len(found) > args.limit,
        outsiders=frozenset({"event", "distinct_id", *(named or ["properties"])}),
        empty=[
            f"No event fits, {words}. Widen the period; describe_schema has the names, find_persons the ids.",
            "Events sent a moment ago may not be there yet; check_delivery knows of those sent from here.",
        ],
    )


def _shown(values: list[Any], asked: list[str]) -> list[Any]:
    if not asked:
        return [event_properties(values[0])]
    return [read(value) for value in values]
