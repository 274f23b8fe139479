"""Error tracking: the issues that exceptions make, one of them in full, and what is done about it."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from posthog_mcp.api.errors import NotFound
from posthog_mcp.render import Record, Table
from posthog_mcp.safety import clean
from posthog_mcp.tool import Access, Context, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.asking import period
from posthog_mcp.tool.difference import difference
from posthog_mcp.tool.error_impact import Impact, flags_in, people_by
from posthog_mcp.tool.error_issues import (
    assignee,
    event_properties,
    exceptions,
    issue_id,
    place,
    releases,
    trend,
)
from posthog_mcp.tool.filter_rows import EventFilterRow, EventFilterRows, event_filters, filtered_by
from posthog_mcp.tool.queries import answer_of
from posthog_mcp.tool.times import Moment

Json = dict[str, Any]

_ISSUES = "/api/projects/{project_id}/error_tracking/issues/"
_ISSUE = _ISSUES + "{id}/"
_MEMBERS = "/api/organizations/{organization_id}/members/"
_STATES = {
    "active": "Open errors",
    "resolved": "Resolved errors",
    "suppressed": "Suppressed errors",
    "all": "Errors in every state",
}
_PARTS = 8  # of the period, for the trend
_MOST_PEOPLE, _MOST_FLAGS = 10, 15
_NO_FLAGS = (
    "The events name no flags, and none was evaluated for these people. PostHog's web SDK adds flags to "
    "events by itself, server SDKs with send_feature_flags."
)
_EVALUATED_FLAGS = "The events name no flags: these were evaluated for the same people in the period. "
_FLAGS = (
    "share: of the people this happened to; usual_share: of all for whom the flag was evaluated in the "
    "period. Far apart: the flag may have to do with it."
)


class ListErrors(ProjectInput):
    """Arguments of list_errors."""

    search: str = Field("", max_length=500, description="Words in type, message, file, function or email.")
    status: Literal["active", "resolved", "suppressed", "all"] = Field("active", description="Its state.")
    order: Literal["users", "occurrences", "sessions", "last_seen", "first_seen"] = Field(
        "users", description="Most first, or latest."
    )
    date_from: Moment = Field("-7d", description="Only what happened since: -24h or 2026-03-01.")
    date_to: Moment = Field("", description="And until. Default now.")
    filters: EventFilterRows = Field(
        default_factory=list[EventFilterRow],
        max_length=20,
        description='Rows on the events: [{"property":"$lib","value":"web","on":"event"}].',
    )
    limit: int = Field(25, ge=1, le=100, description="How many.")
    offset: int = Field(0, ge=0, description="How many to skip.")


@tool(
    area="errors",
    access=Access.READ,
    title="List errors",
    scopes=("query:read", "error_tracking:read"),
)
async def list_errors(ctx: Context, args: ListErrors) -> Table:
    """List the errors of a period, each with how many people and sessions it hit and its trend.

    One row is an issue: all exceptions of one kind from one place. get_error tells more.
    """
    project = await ctx.project(args)
    since, until = period(ctx, args.date_from, args.date_to)
    query: Json = {
        **_issue_query(since, until),
        "orderBy": args.order,
        "orderDirection": "DESC",
        "status": args.status,
        "limit": args.limit,
        "offset": args.offset,
    }
    if args.search:
        query["searchQuery"] = args.search
    if args.filters:
        rows = await event_filters(ctx, project, args.filters)
        query["filterGroup"] = {"type": "AND", "values": [{"type": "AND", "values": rows}]}
    answer = await answer_of(ctx, project, query)
    return Table(
        about=[
            f"{_STATES[args.status]} of project {project}, {since} to {until}, by {args.order}."
            + filtered_by(args.filters, f'words "{args.search}"' if args.search else ""),
            f"trend: occurrences in {_PARTS} equal parts of the period, oldest first.",
        ],
        columns=[
            "id", "name", "message", "where", "users", "sessions", "occurrences", "trend", "first_seen",
            "last_seen", "status", "assignee",
        ],
        rows=[_row(issue) for issue in answer["results"]],
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=bool(answer.get("hasMore")),
        outsiders=frozenset({"name", "message", "where"}),
        empty=[
            "No such error happened in the period: try status=all, an earlier date_from, or less to match.",
            "capture_exception, or an SDK with exception autocapture, sends errors.",
        ],
    )  # fmt: skip


class GetError(ProjectInput):
    """Arguments of get_error."""

    error_id: str = Field(description="Id from list_errors.")
    date_from: Moment = Field("-30d", description="Only what happened since.")
    date_to: Moment = Field("", description="And until. Default now.")

    _uuid = field_validator("error_id")(issue_id)


@tool(
    area="errors",
    access=Access.READ,
    title="Look into an error",
    scopes=("error_tracking:read", "query:read"),
)
async def get_error(ctx: Context, args: GetError) -> Record:
    """One error whole: latest exception with its frames, whom it hit, versions, and which flags they had.

    `flags` compares what the affected people had with what everyone had: was the flag on for them?
    """
    project = await ctx.project(args)
    issue = await _find(ctx, project, args.error_id)
    since, until = period(ctx, args.date_from, args.date_to)
    query = {
        **_issue_query(since, until),
        "orderBy": "last_seen",
        "issueId": issue["id"],
        "status": "all",
        "withLastEvent": True,
    }
    counted = next(iter((await answer_of(ctx, project, query))["results"]), None)
    data = _about(ctx, project, issue) | {"period": f"{since} to {until}"}
    if counted is None:
        data |= {"occurrences": 0, "note": "It did not happen in the period: give an earlier date_from."}
        return Record(data, _OUTSIDERS)
    totals: Json = counted.get("aggregations") or {}
    data |= {name: totals.get(name) for name in ("users", "sessions", "occurrences")}
    data |= {"last_seen": counted.get("last_seen"), "trend": trend(counted), "latest": _latest(counted)}
    impact = Impact(ctx, project, issue["id"], since, until)
    values = await impact.values()
    named = flags_in(values)
    flags = await impact.compared(named or await impact.evaluated(), totals.get("users") or 0, _MOST_FLAGS)
    source = "" if named else _EVALUATED_FLAGS
    data |= {"flags_about": source + _FLAGS if flags else _NO_FLAGS, "flags": flags}
    data |= {"people_by": people_by(values), "people": await impact.people(_MOST_PEOPLE)}
    return Record(data, _OUTSIDERS)


_OUTSIDERS = frozenset({"name", "description", "latest", "flags", "people_by", "people"})


class UpdateError(ProjectInput):
    """Arguments of update_error."""

    error_id: str = Field(description="Id from list_errors.")
    status: Literal["resolved", "suppressed", "active"] | None = Field(
        None, description="resolved until it happens again; suppressed: PostHog drops its events."
    )
    assign_to: str | None = Field(
        None, max_length=200, description="me, a member's email, or a user's id; \"\" for nobody."
    )
    name: str = Field("", max_length=400, description="New name.")
    description: str | None = Field(None, max_length=2_000, description='New description; "" clears.')
    dry_run: bool = Field(default=False, description="Show what would change, send nothing.")

    _uuid = field_validator("error_id")(issue_id)

    @field_validator("name")
    @classmethod
    def _readable(cls, value: str) -> str:
        name = clean(value).strip()
        if value and not name:
            raise ValueError("has no character that can be seen")
        return name

    @model_validator(mode="after")
    def _changes(self) -> "UpdateError":
        if self.status is None and self.assign_to is None and self.description is None and not self.name:
            raise ValueError("changes nothing: give status, assign_to, name or description")
        return self


@tool(
    area="errors",
    access=Access.WRITE,
    title="Change an error",
    scopes=("error_tracking:write",),
    destructive=True,
    idempotent=True,
)
async def update_error(ctx: Context, args: UpdateError) -> Record:
    """Resolve, suppress, reopen, assign or rename an error. What is suppressed is not recorded any more."""
    project = await ctx.project(args)
    issue = await _find(ctx, project, args.error_id)
    body: Json = {name: value for name in ("status", "name") if (value := getattr(args, name))}
    if args.description is not None:
        body["description"] = args.description
    wanted = dict(body)
    if args.assign_to is not None:
        wanted["assignee"] = await _assignee(ctx, project, args.assign_to)
    changed = difference({name: issue.get(name) for name in wanted}, wanted)
    requests = {_ISSUE: body} if body else {}
    if "assignee" in wanted:
        requests[_ISSUE + "assign/"] = {"assignee": wanted["assignee"]}
    ids = {"project_id": project.id, "id": issue["id"]}
    if args.dry_run:
        shown = {f"PATCH {path.format(**ids)}": sent for path, sent in requests.items()}
        told: Json = {"dry_run": True, "project": str(project), "requests": shown, "would_change": changed}
        return Record(told, _CHANGED)
    for path, sent in requests.items() if changed else ():
        await ctx.api.patch(path, sent, **ids)
    after = {**issue, **wanted}
    return Record({"changed": changed or "nothing: it is so already"} | _about(ctx, project, after), _CHANGED)


_CHANGED = frozenset({"name", "description", "changed", "would_change"})


def _issue_query(since: str, until: str) -> Json:
    return {
        "kind": "ErrorTrackingQuery",
        "dateRange": {"date_from": since, "date_to": until},
        "volumeResolution": _PARTS,
        "withAggregations": True,
    }


def _row(issue: Json) -> list[Any]:
    counted: Json = issue.get("aggregations") or {}
    return [
        issue["id"],
        issue.get("name"),
        issue.get("description"),
        place(issue),
        counted.get("users"),
        counted.get("sessions"),
        counted.get("occurrences"),
        " ".join(map(str, trend(issue))),
        issue.get("first_seen"),
        issue.get("last_seen"),
        issue.get("status"),
        assignee(issue),
    ]


async def _find(ctx: Context, project: Project, error_id: str) -> Json:
    try:
        return await ctx.api.get(_ISSUE, project_id=project.id, id=error_id)
    except NotFound:
        raise ToolFailure(
            f"There is no error {error_id} in project {project}.",
            "It may have been merged into another, or belong to another project.",
            "list_errors with status=all has the ids.",
        ) from None


def _about(ctx: Context, project: Project, issue: Json) -> Json:
    return {
        "id": issue["id"],
        "name": issue.get("name"),
        "description": issue.get("description"),
        "status": issue.get("status"),
        "assignee": assignee(issue) or None,
        "first_seen": issue.get("first_seen"),
        "project": str(project),
        "url": ctx.link(project, f"error_tracking/{issue['id']}"),
    }


def _latest(counted: Json) -> Json | None:
    """The latest event: when, whose, where, and what was raised."""
    event: Json | None = counted.get("last_event")
    if not event:
        return None
    properties = event_properties(event)
    told: Json = {
        "timestamp": event.get("timestamp"),
        "distinct_id": event.get("distinct_id"),
        "session_id": properties.get("$session_id"),
        "current_url": properties.get("$current_url"),
        "library": counted.get("library"),
        "releases": releases(properties),
        "exceptions": exceptions(properties),
    }
    return {name: value for name, value in told.items() if value}


async def _assignee(ctx: Context, project: Project, wanted: str) -> Json | None:
    """The user that the words name, as PostHog takes it."""
    words = wanted.strip()
    if not words:
        return None
    if words.isdecimal():
        return {"type": "user", "id": int(words)}
    if words == "me":
        return {"type": "user", "id": (await ctx.api.get("/api/users/@me/"))["id"]}
    organization = (await ctx.api.get("/api/projects/{project_id}/", project_id=project.id))["organization"]
    async for page in ctx.api.pages(_MEMBERS, organization_id=organization):
        for member in page.results:
            if member["user"].get("email", "").lower() == words.lower():
                return {"type": "user", "id": member["user"]["id"]}
    raise ToolFailure(
        "The error was not assigned.",
        f"No member of the organization has the email {words}.",
        "Give me, the email of a member, or the number of a user.",
    )
