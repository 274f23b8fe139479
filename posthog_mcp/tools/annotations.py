"""Notes on the project's charts: what was released, when."""

from typing import Any, Literal

from pydantic import Field

from posthog_mcp.api.errors import NotFound
from posthog_mcp.render import Record, Table
from posthog_mcp.tool import Access, Context, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.difference import difference
from posthog_mcp.tool.times import Moment, iso, parse_time

_PATH = "/api/projects/{project_id}/annotations/"
_ONE = _PATH + "{id}/"
_SHOWN = 100  # characters of a note in a question
Json = dict[str, Any]


class ListAnnotations(ProjectInput):
    """Arguments of list_annotations."""

    search: str = Field("", max_length=200, description="Words in the note.")
    date_from: Moment = Field("", description="Earliest date: -30d or 2026-03-01.")
    date_to: Moment = Field("", description="Latest date.")
    scope: Literal["any", "project", "organization", "dashboard", "insight"] = Field(
        "any", description="Where they show."
    )
    limit: int = Field(50, ge=1, le=500, description="How many.")
    offset: int = Field(0, ge=0, description="How many to skip.")


@tool(area="annotations", access=Access.READ, title="List annotations", scopes=("annotation:read",))
async def list_annotations(ctx: Context, args: ListAnnotations) -> Table:
    """List the notes on the project's charts (releases, incidents), latest date first."""
    project = await ctx.project(args)
    query: Json = {"limit": args.limit, "offset": args.offset}
    if args.search:
        query["search"] = args.search
    if args.scope != "any":
        query["scope"] = args.scope
    for name, words in (("date_from", args.date_from), ("date_to", args.date_to)):
        if words:
            query[name] = iso(parse_time(words, ctx.now()))
    page = await ctx.api.get(_PATH, query=query, project_id=project.id)
    return Table(
        about=[f"Annotations of project {project}."],
        columns=["id", "date", "content", "scope", "by"],
        rows=[_row(note) for note in page["results"]],
        total=page.get("count"),
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=bool(page.get("next")),
        empty=["Leave out the filters to see all, or add one with create_annotation."],
    )


class CreateAnnotation(ProjectInput):
    """Arguments of create_annotation."""

    content: str = Field(min_length=1, max_length=8192, description="What happened: Deployed v3.")
    date: Moment = Field("", description="When: ISO time, or -2h. Default now.")
    scope: Literal["project", "organization"] = Field(
        "project", description="Show it on this project's charts, or on every project's."
    )
    dry_run: bool = Field(default=False, description="Show the request, send nothing.")


@tool(area="annotations", access=Access.WRITE, title="Create an annotation", scopes=("annotation:write",))
async def create_annotation(ctx: Context, args: CreateAnnotation) -> Record:
    """Put a note on the project's charts: a release, an incident, a campaign."""
    project = await ctx.project(args)
    date = parse_time(args.date, ctx.now()) if args.date else ctx.now()
    body = {"content": args.content, "date_marker": iso(date), "scope": args.scope, "creation_type": "USR"}
    if args.dry_run:
        return Record({"dry_run": True, "project": str(project), "would_create": body})
    note = await ctx.api.post(_PATH, body, project_id=project.id)
    return Record(_whole(ctx, project, note))


class OneAnnotation(ProjectInput):
    """The argument that names an annotation."""

    annotation: int = Field(ge=1, description="Its id, from list_annotations.")
    dry_run: bool = Field(default=False, description="Show the request and what differs, send nothing.")


class UpdateAnnotation(OneAnnotation):
    """Arguments of update_annotation."""

    content: str | None = Field(None, max_length=8192, description='New text; "" clears it.')
    date: Moment = Field("", description="New time: ISO, or -2h.")
    scope: Literal["project", "organization"] | None = Field(None, description="Where it shows from now on.")


@tool(
    area="annotations",
    access=Access.WRITE,
    title="Change an annotation",
    scopes=("annotation:write",),
    idempotent=True,
    default=False,
)
async def update_annotation(ctx: Context, args: UpdateAnnotation) -> Record:
    """Change the text, time or scope of a note on the charts; what is not given stays."""
    project = await ctx.project(args)
    note = await _found(ctx, project, args.annotation)
    given: Json = {"content": args.content, "scope": args.scope}
    body: Json = {name: value for name, value in given.items() if value is not None}
    if args.date:
        body["date_marker"] = iso(parse_time(args.date, ctx.now()))
    changed = difference({name: note.get(name) for name in body}, body)
    if args.dry_run:
        return Record(_dry(project, note, body) | {"would_change": changed})
    if not changed:
        return Record({"changed": "nothing: it is so already"} | _whole(ctx, project, note))
    after = await ctx.api.patch(_ONE, body, project_id=project.id, id=note["id"])
    return Record({"changed": changed} | _whole(ctx, project, after))


class DeleteAnnotation(OneAnnotation):
    """Arguments of delete_annotation."""


@tool(
    area="annotations",
    access=Access.FULL,
    title="Delete an annotation",
    scopes=("annotation:write",),
    destructive=True,
    idempotent=True,
    default=False,
)
async def delete_annotation(ctx: Context, args: DeleteAnnotation) -> Record:
    """Take a note off the charts. A person must agree; undo_change brings it back."""
    project = await ctx.project(args)
    note = await _found(ctx, project, args.annotation)
    body = {"deleted": True}
    if args.dry_run:
        return Record(_dry(project, note, body) | {"content": note.get("content")})
    words = str(note.get("content") or "without text")
    shown = words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"
    await ctx.consent(
        f"Delete the annotation {note['id']} ({shown}) of {note.get('date_marker')} of project {project}.",
        str(note["id"]),
        "undo_change can restore it.",
    )
    await ctx.api.patch(_ONE, body, project_id=project.id, id=note["id"])
    return Record({"deleted": note["id"], "content": note.get("content"), "project": str(project)})


async def _found(ctx: Context, project: Project, number: int) -> Json:
    try:
        return await ctx.api.get(_ONE, project_id=project.id, id=number)
    except NotFound:
        raise ToolFailure(
            f"There is no annotation {number} in project {project}.",
            "It may have been deleted, or belong to another project.",
            "list_annotations shows the ids.",
        ) from None


def _whole(ctx: Context, project: Project, note: Json) -> Json:
    return {
        "id": note["id"],
        "date": note["date_marker"],
        "content": note["content"],
        "scope": note["scope"],
        "project": str(project),
        "url": ctx.link(project, "data-management/annotations"),
    }


def _dry(project: Project, note: Json, body: Json) -> Json:
    request = f"PATCH {_ONE.format(project_id=project.id, id=note['id'])}"
    return {"dry_run": True, "annotation": note["id"], "request": request, "body": body}


def _row(note: Json) -> list[Any]:
    author: Json = note.get("created_by") or {}
    return [note["id"], note.get("date_marker"), note.get("content"), note.get("scope"), author.get("email")]
