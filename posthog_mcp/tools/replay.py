"""Session replay: recordings found by what happened in them, and one of them told event by event."""

from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field, field_validator

from posthog_mcp.api.errors import NotFound
from posthog_mcp.render import Record, Table
from posthog_mcp.tool import Access, Context, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.asking import period, rows_of
from posthog_mcp.tool.error_issues import issue_id
from posthog_mcp.tool.filter_rows import filtered_by
from posthog_mcp.tool.persons import ABOUT_IDS, event_properties, find_profile, shown_ids
from posthog_mcp.tool.selecting import RowCursor, cursor_of, read_cursor
from posthog_mcp.tool.times import Moment, iso, parse_time

Json = dict[str, Any]

_LIST = "/api/projects/{project_id}/session_recordings/"
_ONE = _LIST + "{id}/"
_MARGIN = timedelta(hours=1)  # events may be a little older or newer than what was recorded
_BEFORE_ALL = "00000000-0000-0000-0000-000000000000"
_MOST_LINES, _LONGEST_LINE = 50, 500
_COUNTS = ("click_count", "keypress_count", "console_error_count")
_EVENTS = (
    "SELECT timestamp, event, properties, toString(uuid) FROM events WHERE $session_id = {session}"
    " AND timestamp >= toDateTime({since}) AND timestamp <= toDateTime({until})"
    " AND (timestamp, uuid) > (toDateTime({cursor_time}), toUUID({cursor_uuid}))"
    " ORDER BY timestamp, uuid LIMIT {most}"
)
_CONSOLE = (
    "SELECT timestamp, level, message FROM log_entries WHERE log_source_id = {session}"
    " AND level IN ('warn', 'error') AND timestamp > toDateTime({cursor_time})"
    " AND timestamp <= toDateTime({until}) ORDER BY timestamp LIMIT {most}"
)


class ListRecordings(ProjectInput):
    """Arguments of list_recordings."""

    person: str = Field("", max_length=400, description="A distinct id or a person's uuid.")
    event: str = Field("", max_length=200, description="That happened in the session.")
    error_id: str = Field("", description="An error of list_errors that happened in it.")
    console_errors: bool = Field(default=False, description="Only with errors in the console.")
    min_seconds: int = Field(0, ge=0, description="Shortest length.")
    date_from: Moment = Field("-7d", description="Started since.")
    date_to: Moment = Field("", description="Started until.")
    order: Literal[
        "start_time", "duration", "active_seconds", "console_error_count", "click_count", "activity_score"
    ] = Field("start_time", description="Latest or most first.")
    limit: int = Field(20, ge=1, le=100, description="How many, 1 to 100.")
    offset: int = Field(0, ge=0, description="How many to skip.")

    @field_validator("error_id")
    @classmethod
    def _uuid(cls, value: str) -> str:
        return issue_id(value) if value else ""


@tool(
    area="replay",
    access=Access.READ,
    title="List recordings",
    scopes=("session_recording:read", "query:read"),
)
async def list_recordings(ctx: Context, args: ListRecordings) -> Table:
    """List session recordings: of a person, with an event or error, or with console errors."""
    project = await ctx.project(args)
    since, until = period(ctx, args.date_from, args.date_to)
    query: Json = {
        "date_from": since,
        "date_to": until,
        "order": args.order,
        "order_direction": "DESC",
        "limit": args.limit,
        "offset": args.offset,
        **await _filters(ctx, project, args),
    }
    page = await ctx.api.get(_LIST, query=query, project_id=project.id)
    return Table(
        about=[
            f"Recordings of project {project} that started {since} to {until}, by {args.order}.{_told(args)}"
        ],
        columns=[
            "id", "start", "seconds", "active_seconds", "clicks", "keypresses", "console_errors", "person",
            "start_url",
        ],
        rows=[_row(recording) for recording in page["results"]],
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=bool(page.get("has_next")),
        outsiders=frozenset({"id", "person", "start_url"}),
        empty=[
            "Widen the period, which counts from the start of a session, or drop a filter.",
            ABOUT_IDS if args.person else "",
            "Recordings are made by PostHog's web and mobile SDKs alone, where the project has them on.",
        ],
    )  # fmt: skip


def _told(args: ListRecordings) -> str:
    given = {"person": args.person, "event": args.event, "error": args.error_id}
    return filtered_by(
        (),
        *(f"{name} {value}" for name, value in given.items() if value),
        "errors in the console" if args.console_errors else "",
        f"at least {args.min_seconds} s" if args.min_seconds else "",
    )


async def _filters(ctx: Context, project: Project, args: ListRecordings) -> Json:
    """The parameters that say which recordings."""
    found: Json = {}
    if args.person:
        profile = await find_profile(ctx, project, args.person)
        found |= {"person_uuid": profile["id"]} if profile else {"distinct_ids": [args.person]}
    events: list[Json] = []
    if args.event:
        events.append({"id": args.event, "type": "events"})
    if args.error_id:
        issue = {"key": "$exception_issue_id", "type": "event", "operator": "exact", "value": [args.error_id]}
        events.append({"id": "$exception", "type": "events", "properties": [issue]})
    if events:
        found["events"] = events
    least: list[Json] = []
    if args.min_seconds:
        least.append(_at_least("duration", args.min_seconds))
    if args.console_errors:
        least.append(_at_least("console_error_count", 1))
    if least:
        found["having_predicates"] = least
    return found


def _at_least(key: str, value: int) -> Json:
    return {"type": "recording", "key": key, "operator": "gte", "value": value}


class GetRecording(ProjectInput):
    """Arguments of get_recording."""

    recording_id: str = Field(
        min_length=1, max_length=200, description="Id from list_recordings, or an event's $session_id."
    )
    cursor: RowCursor = Field("", max_length=100, description="From the answer before.")
    limit: int = Field(100, ge=1, le=500, description="How many events, 1 to 500.")


@tool(
    area="replay",
    access=Access.READ,
    title="Look into a recording",
    scopes=("session_recording:read", "query:read"),
    default=False,
)
async def get_recording(ctx: Context, args: GetRecording) -> Record:
    """One recording: who, how long, and what happened, each event with its second in the recording."""
    project = await ctx.project(args)
    recording = await _find(ctx, project, args.recording_id)
    start, end = (parse_time(recording[name], ctx.now()) for name in ("start_time", "end_time"))
    bounds: Json = {
        "session": recording["id"],
        "since": iso(start - _MARGIN),
        "until": iso(end + _MARGIN),
        **read_cursor(args.cursor or cursor_of(iso(start - _MARGIN), _BEFORE_ALL)),
    }
    rows = await rows_of(ctx, project, _EVENTS, **bounds, most=args.limit + 1)
    shown = rows[: args.limit]
    told: list[Json] = [
        {"at": _second(row[0], start), "event": row[1]} | event_properties(row[2]) for row in shown
    ]
    if recording.get("console_error_count") or recording.get("console_warn_count"):
        if len(rows) > args.limit:
            bounds["until"] = shown[-1][0]
        lines = await rows_of(ctx, project, _CONSOLE, **bounds, most=_MOST_LINES)
        told = sorted([*told, *(_line(line, start) for line in lines)], key=_when)
    url = ctx.link(project, f"replay/{recording['id']}")
    data: Json = {
        "id": recording["id"],
        "project": str(project),
        "start": recording["start_time"],
        "seconds": recording.get("recording_duration"),
        "active_seconds": recording.get("active_seconds"),
        **{name: recording.get(name) for name in _COUNTS},
        "ongoing": recording.get("ongoing"),
        "start_url": recording.get("start_url"),
        "person": _person(recording),
        "url": url,
        "url_of_a_moment": f"{url}?t=<at>",
        "events": told,
    }
    if len(rows) > args.limit:
        data["more_events"] = f"cursor={cursor_of(shown[-1][0], shown[-1][3])}"
    return Record(data, frozenset({"id", "start_url", "person", "events"}))


async def _find(ctx: Context, project: Project, recording_id: str) -> Json:
    try:
        return await ctx.api.get(_ONE, project_id=project.id, id=recording_id)
    except NotFound:
        raise ToolFailure(
            f"Session {recording_id} has no recording in project {project}.",
            "It was not recorded, or its recording is older than PostHog keeps them.",
            "list_recordings has those there are; query_hogql has the session's events all the same.",
        ) from None


def _row(recording: Json) -> list[Any]:
    person: Json = recording.get("person") or {}
    return [
        recording["id"],
        recording.get("start_time"),
        recording.get("recording_duration"),
        recording.get("active_seconds"),
        *(recording.get(name) for name in _COUNTS),
        person.get("name") or recording.get("distinct_id"),
        recording.get("start_url"),
    ]


def _person(recording: Json) -> Json:
    person: Json = recording.get("person") or {}
    ids: list[str] = person.get("distinct_ids") or [str(recording.get("distinct_id"))]
    return {"person": person.get("uuid"), "name": person.get("name"), "distinct_ids": shown_ids(ids, 5)}


def _second(moment: str, start: datetime) -> float:
    """Where in the recording a moment is."""
    return round((parse_time(moment, start) - start).total_seconds(), 1)


def _when(told: Json) -> float:
    return told["at"]


def _line(row: list[Any], start: datetime) -> Json:
    """A line of the console, beside the events."""
    moment, level, message = row
    return {"at": _second(moment, start), "console": level, "message": message[:_LONGEST_LINE]}
