"""What tools changed at PostHog, and how it is taken back."""

from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from posthog_mcp.journal import Change, JournalUnusable, Noted
from posthog_mcp.render import Record, Table
from posthog_mcp.tool import Access, Context, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.difference import difference, in_words
from posthog_mcp.tool.times import Moment, iso, parse_time
from posthog_mcp.tool.undoing import Undo, not_restored, perform, plan

Json = dict[str, Any]
_NONE = "Nothing was changed with these tools. list_activity shows what people changed."
_NO_SUCH = (
    "Nothing was changed that fits. Leave out kind, since and offset to see every change with its kind."
)
# Kinds whose names and fields hold what comes with events.
_FROM_EVENTS = {"person", "group", "issue", "event_definition", "property_definition"}
_PAGES = {
    "feature_flag": "feature_flags/{}",
    "experiment": "experiments/{}",
    "annotation": "data-management/annotations",
    "dashboard": "dashboard/{}",
    "cohort": "cohorts/{}",
    "survey": "surveys/{}",
}


class ListChanges(ProjectInput):
    """Arguments of list_changes."""

    kind: str = Field(
        "", max_length=100, description="Only these objects: feature_flag, experiment, annotation, …"
    )
    since: Moment = Field("", description="Earliest: -7d or 2026-03-01.")
    limit: int = Field(50, ge=1, le=500, description="How many.")
    offset: int = Field(0, ge=0, description="How many to skip.")


@tool(area="project", access=Access.READ, title="List changes made by tools", default=False)
async def list_changes(ctx: Context, args: ListChanges) -> Table:
    """List what tools of this server changed in the last 90 days, by whom and how. undo_change undoes one."""
    project = await ctx.project(args)
    now = ctx.now()
    since = parse_time(args.since, now).timestamp() if args.since else 0.0
    try:
        noted, total = await ctx.journal.changes(
            ctx.api.hosts.private,
            project.id,
            now=now.timestamp(),
            kind=args.kind,
            since=since,
            limit=args.limit,
            skip=args.offset,
        )
    except JournalUnusable as error:
        raise ToolFailure("The changes cannot be shown.", str(error), error.next_step) from None
    about = [f"Changes made with these tools in project {project}, newest first."]
    if ctx.journal.caveat:
        about.append(ctx.journal.caveat)
    from_events = any(each.change.kind in _FROM_EVENTS for each in noted)
    return Table(
        about=about,
        columns=["change", "when", "kind", "object", "action", "what changed", "tool", "by", "note"],
        rows=[_row(each) for each in noted],
        total=total,
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=args.offset + len(noted) < total,
        outsiders=frozenset({"object", "what changed"}) if from_events else frozenset(),
        empty=[_NO_SUCH if args.kind or args.since or args.offset else _NONE],
    )


class UndoChange(ProjectInput):
    """Arguments of undo_change."""

    change: int = Field(ge=1, description="Its number, from list_changes or the answer of the tool.")
    dry_run: bool = Field(default=False, description="Show the request and what differs, send nothing.")


@tool(area="project", access=Access.WRITE, title="Undo a change")
async def undo_change(ctx: Context, args: UndoChange) -> Record:
    """Take back one change that a tool made: exactly its fields become what they were before.

    Refused where someone edited one of them since. What was created is deleted, what was deleted restored.
    """
    project = await ctx.project(args)
    try:
        noted = await ctx.journal.find(args.change, ctx.api.hosts.private, ctx.now().timestamp())
    except JournalUnusable as error:
        raise ToolFailure("Nothing was undone.", str(error), error.next_step) from None
    if noted is None or noted.change.project_id not in (project.id, 0):
        raise ToolFailure(
            f"There is no change {args.change} of project {project}.",
            "Changes are kept for 90 days, each in the project it was made in.",
            "list_changes shows their numbers.",
        )
    undo = await plan(ctx, project, noted)
    change = noted.change
    told: Json = {"kind": change.kind, "id": change.object_id, "name": change.name, "project": str(project)}
    if args.dry_run:
        return Record({"dry_run": True, "would_undo": noted.id} | told | _planned(undo))
    if undo.shows_people:
        act = f"Show the survey {change.name} of project {project} to people again."
        await ctx.consent(act, change.name)
    after = await perform(ctx, undo)
    told = {"undone": noted.id} | told | {"changed": undo.differs(after)}
    if still := not_restored(undo, after):
        told["not_restored"] = still
    if change.action == "created" and change.kind == "experiment":
        told["next"] = "Its flag is still there: delete_flag takes it away."
    if change.kind in _PAGES:
        told["url"] = ctx.link(project, _PAGES[change.kind].format(change.object_id))
    return Record(told, outsiders=frozenset({"name", "changed"} if change.kind in _FROM_EVENTS else ()))


def _planned(undo: Undo) -> Json:
    wanted: Json = {**undo.now, **undo.body, "feature_flag": {"active": undo.flag_active}}
    planned: Json = {"would_change": undo.differs(wanted)}
    return {"request": undo.request, "body": undo.body} | planned if undo.body else planned


def _row(noted: Noted) -> list[Any]:
    change = noted.change
    notes = [
        "" if noted.confirmed else "PostHog's answer never came",
        f"undone by {noted.undone_by}" if noted.undone_by else "",
        f"undoes {change.undoes}" if change.undoes else "",
    ]
    return [
        noted.id,
        iso(datetime.fromtimestamp(int(change.at), UTC)),
        change.kind,
        f"{change.name} ({change.object_id})" if change.name else change.object_id,
        change.action,
        _words(change),
        change.tool,
        change.caller,
        "; ".join(filter(None, notes)),
    ]


def _words(change: Change) -> str:
    """What changed: `active: false → true; filters.groups[0].rollout_percentage: 10 → 25`."""
    # Of a new object nothing was before; what an unconfirmed change became is not known.
    found = difference(change.before, change.after) if change.before and change.after else []
    hidden = [f"{name} ({reason})" for name, reason in change.withheld.items()]
    return "; ".join(filter(None, [in_words(found), *hidden]))
