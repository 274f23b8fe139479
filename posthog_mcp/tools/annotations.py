"""Notes on the project's charts: what was released, when."""

from typing import Any, Literal

from pydantic import Field

from posthog_mcp.render import Record, Table
from posthog_mcp.tool import Access, Context, ProjectInput, tool
from posthog_mcp.tool.times import Moment, iso, parse_time

_PATH = "/api/projects/{project_id}/annotations/"


class ListAnnotations(ProjectInput):
    """Arguments of list_annotations."""

    search: str = Field("", max_length=200, description="Words in the note.")
    date_from: Moment = Field("", description="Earliest date: -30d or 2026-03-01.")
    date_to: Moment = Field("", description="Latest date.")
    limit: int = Field(50, ge=1, le=500, description="How many.")
    offset: int = Field(0, ge=0, description="How many to skip.")


@tool(area="annotations", access=Access.READ, title="List annotations", scopes=("annotation:read",))
async def list_annotations(ctx: Context, args: ListAnnotations) -> Table:
    """List the notes on the project's charts (releases, incidents), latest date first."""
    project = await ctx.project(args)
    query: dict[str, Any] = {"limit": args.limit, "offset": args.offset}
    if args.search:
        query["search"] = args.search
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
        empty=["Leave out search and dates to see all, or add one with create_annotation."],
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
    return Record(
        {
            "id": note["id"],
            "date": note["date_marker"],
            "content": note["content"],
            "scope": note["scope"],
            "project": str(project),
            "url": ctx.link(project, "data-management/annotations"),
        }
    )


def _row(note: dict[str, Any]) -> list[Any]:
    author: dict[str, Any] = note.get("created_by") or {}
    return [note["id"], note.get("date_marker"), note.get("content"), note.get("scope"), author.get("email")]
