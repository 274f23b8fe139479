"""Who changed what in a project, whatever they changed it with."""

from typing import Any, Literal

from pydantic import Field

from posthog_mcp.api.errors import NotFound
from posthog_mcp.render import Table
from posthog_mcp.tool import Access, Context, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.difference import in_words
from posthog_mcp.tool.flags import find_flag

Json = dict[str, Any]
_PROJECT = "/api/projects/{project_id}/"
# PostHog's name of each kind, and where one object tells its own: that needs no plan with an audit log.
_KINDS = {
    "any": ("", ""),
    "feature_flag": ("FeatureFlag", "feature_flags/{id}/activity/"),
    "experiment": ("Experiment", "experiments/{id}/activity/"),
    "survey": ("Survey", "surveys/{id}/activity/"),
    "insight": ("Insight", "insights/{id}/activity/"),
    "dashboard": ("Dashboard", ""),
    "cohort": ("Cohort", ""),
    "annotation": ("Annotation", ""),
    "action": ("Action", ""),
    "person": ("Person", ""),
    "event_definition": ("EventDefinition", ""),
    "property_definition": ("PropertyDefinition", ""),
}
# Kinds whose names and values come with events.
_FROM_EVENTS = {"Person", "Group", "EventDefinition", "PropertyDefinition", "ErrorTrackingIssue"}


class ListActivity(ProjectInput):
    """Arguments of list_activity."""

    kind: Literal[
        "any", "feature_flag", "experiment", "survey", "insight", "dashboard", "cohort", "annotation",
        "action", "person", "event_definition", "property_definition",
    ] = Field("any", description="Only these objects.")  # fmt: skip
    object_id: str = Field("", max_length=200, description="Only the object with this id; needs kind.")
    limit: int = Field(50, ge=1, le=500, description="How many to a page.")
    page: int = Field(1, ge=1, le=10_000, description="Which page, from 1 to 10000.")


@tool(
    area="project",
    access=Access.READ,
    title="List activity",
    scopes=("activity_log:read",),
    default=False,
)
async def list_activity(ctx: Context, args: ListActivity) -> Table:
    """List who changed what in the project, newest first: people in PostHog, keys, PostHog itself."""
    project = await ctx.project(args)
    if args.object_id and args.kind == "any":
        raise ToolFailure(
            f"The activity of {args.object_id} was not looked up.",
            "An id means an object only together with its kind.",
            "Give kind as well, such as feature_flag.",
        )
    try:
        answer = await _answer(ctx, project, args)
    except NotFound:
        asked = f"page {args.page} of the activity" if args.page > 1 else f"{args.kind} {args.object_id}"
        raise ToolFailure(
            f"There is no {asked} in project {project}.",
            "It is past the end, or the id is another's.",
            "Begin at page 1; leave out object_id to see what was deleted.",
        ) from None
    entries: list[Json] = answer["results"]
    about = f"Activity of {args.kind} {args.object_id} in" if args.object_id else "Activity in"
    return Table(
        about=[f"{about} project {project}, newest first, page {args.page}."],
        columns=["when", "who", "action", "kind", "object", "what changed"],
        rows=[_row(entry) for entry in entries],
        total=answer.get("count", answer.get("total_count")),
        more=lambda shown: _next(args, shown, all_of_page=shown == len(entries)),
        has_more=bool(answer.get("next")),
        outsiders=frozenset({"object", "what changed"})
        if any(entry.get("scope") in _FROM_EVENTS for entry in entries)
        else frozenset(),
        empty=["Leave out kind and object_id to see all. A plan may limit how far back the log goes."],
    )


async def _answer(ctx: Context, project: Project, args: ListActivity) -> Json:
    scope, own = _KINDS[args.kind]
    object_id = args.object_id
    if object_id and args.kind == "feature_flag" and not object_id.isdecimal():
        object_id = str((await find_flag(ctx, project, object_id))["id"])
    if object_id and own:
        query: Json = {"limit": args.limit, "page": args.page}
        return await ctx.api.get(f"{_PROJECT}{own}", query=query, project_id=project.id, id=object_id)
    query = {"page": args.page, "page_size": args.limit, "scope": scope or None, "item_id": object_id or None}
    return await ctx.api.get(f"{_PROJECT}activity_log/", query=query, project_id=project.id)


def _row(entry: Json) -> list[Any]:
    detail: Json = entry.get("detail") or {}
    user: Json = entry.get("user") or {}
    name, number = detail.get("name"), entry.get("item_id")
    changes: list[Json] = detail.get("changes") or []
    return [
        entry.get("created_at"),
        "PostHog" if entry.get("is_system") else user.get("email"),
        entry.get("activity"),
        entry.get("scope"),
        f"{name} ({number})" if name else number,
        in_words(
            [
                {"field": each.get("field"), "from": each.get("before"), "to": each.get("after")}
                for each in changes
            ]
        ),
    ]


def _next(args: ListActivity, shown: int, *, all_of_page: bool) -> str:
    """What asks for the rows behind those shown: the log has pages alone, no offset."""
    seen = (args.page - 1) * args.limit + shown
    if all_of_page:
        return f"page={args.page + 1}"
    return (
        f"limit={shown}, page={seen // shown + 1}" if seen % shown == 0 else "the same with a smaller limit"
    )
