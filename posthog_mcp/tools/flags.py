"""Feature flags: who gets what, and every change of it."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from posthog_mcp.render import Record, Table
from posthog_mcp.render.flags import conditions, variants
from posthog_mcp.tool import Access, Context, JsonObject, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.difference import Change, difference
from posthog_mcp.tool.filter_rows import FilterRows
from posthog_mcp.tool.filters import Filter
from posthog_mcp.tool.flag_changes import FlagChange, draft
from posthog_mcp.tool.flag_users import dependents_of, spoilt_by, users_of
from posthog_mcp.tool.flags import (
    LIST,
    ONE,
    Share,
    Variant,
    Variants,
    find_flag,
    group_index,
    names_of_groups,
    payload_texts,
    posthog_rows,
    whole,
)

Json = dict[str, Any]
_STATES = {"on": "true", "off": "false", "stale": "STALE"}
# Of a flag as PostHog shows it: what others write, or PostHog itself derives.
_DERIVED = (
    "version",
    "updated_at",
    "last_modified_by",
    "status",
    "last_called_at",
    "is_simple_flag",
    "rollout_percentage",
)


class ListFlags(ProjectInput):
    """Arguments of list_flags."""

    search: str = Field("", max_length=200, description="Part of the key or description.")
    state: Literal["any", "on", "off", "stale", "archived"] = Field(
        "any", description="stale: unused for 30 days; archived ones are only in archived."
    )
    type: Literal["any", "boolean", "multivariant", "experiment", "remote_config"] = Field(
        "any", description="Only flags of this type."
    )
    tag: str = Field("", max_length=200, description="Only flags with this tag.")
    limit: int = Field(50, ge=1, le=200, description="How many.")
    offset: int = Field(0, ge=0, description="How many to skip.")


@tool(area="flags", access=Access.READ, title="List feature flags", scopes=("feature_flag:read",))
async def list_flags(ctx: Context, args: ListFlags) -> Table:
    """List the project's feature flags with who gets what, newest first. get_flag shows one whole."""
    project = await ctx.project(args)
    query: Json = {
        "limit": args.limit,
        "offset": args.offset,
        "search": args.search or None,
        "active": _STATES.get(args.state),
        "archived": True if args.state == "archived" else None,
        "type": None if args.type == "any" else args.type,
        "tags": [args.tag] if args.tag else None,
    }
    page = await ctx.api.get(LIST, query=query, project_id=project.id)
    types = await names_of_groups(ctx, project, *page["results"])
    return Table(
        about=[f"Feature flags of project {project}."],
        columns=["id", "key", "on", "who gets it", "variants", "tags", "description"],
        rows=[_row(flag, types) for flag in page["results"]],
        total=page.get("count"),
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=bool(page.get("next")),
        empty=["Leave out the filters to see all, or create one with create_flag."],
    )


def _row(flag: Json, types: Mapping[int, str]) -> list[Any]:
    filters: Json = flag.get("filters") or {}
    who = "; ".join(conditions(filters, types)) or "nobody"
    tags = ", ".join(flag.get("tags") or [])
    return [flag["id"], flag["key"], flag.get("active"), who, variants(filters), tags, flag.get("name")]


class OneFlag(ProjectInput):
    """The argument that names a flag."""

    flag: str = Field(min_length=1, max_length=400, description="The flag's key, or its id.")


class GetFlag(OneFlag):
    """Arguments of get_flag."""


@tool(area="flags", access=Access.READ, title="Get a feature flag", scopes=("feature_flag:read",))
async def get_flag(ctx: Context, args: GetFlag) -> Record:
    """One feature flag whole: state, conditions, variants, payloads, version, and what uses it."""
    project = await ctx.project(args)
    flag = await find_flag(ctx, project, args.flag)
    used = (await users_of(ctx, project, flag)).named
    return Record(await whole(ctx, project, flag) | ({"used_by": used} if used else {}))


_IN_FILTERS = ("rollout_percentage", "conditions", "group_type", "variants", "payloads")


class CreateFlag(ProjectInput):
    """Arguments of create_flag."""

    key: str = Field(
        min_length=1, max_length=400, pattern=r"^[a-zA-Z0-9_-]+$", description="Letters, digits, - and _."
    )
    description: str = Field("", max_length=400, description="What it is for.")
    active: bool = Field(default=True, description="On from the start.")
    rollout_percentage: Share = Field(100, description="Share of those that match.")
    conditions: FilterRows = Field(
        default_factory=list[Filter],
        description="Who can get it, JSON rows that must all hold; none for everyone. "
        '[{"property":"plan","operator":"exact","value":"pro","on":"person"}]; on is also cohort (its id as '
        "property), flag (its key), group.",
    )
    group_type: str = Field(
        "", max_length=400, description="Decide for groups of this type, not for persons: company."
    )
    variants: Variants = Field(
        default_factory=list[Variant],
        description='For a multivariate flag: [{"key":"control","rollout_percentage":50},…], 100 in all.',
    )
    payloads: JsonObject = Field(
        default_factory=dict,
        description='JSON the application gets, by variant key, or by "true": {"true": {"color": "red"}}.',
    )
    remote_config: bool = Field(default=False, description='Only its payload ("true") counts, for everyone.')
    tags: list[str] = Field(default_factory=list[str], max_length=50, description="Tags.")
    filters: JsonObject = Field(
        default_factory=dict,
        description="PostHog's own filters object instead, for several conditions at once.",
    )
    dry_run: bool = Field(default=False, description="Show the request, send nothing.")

    @model_validator(mode="after")
    def _fits(self) -> "CreateFlag":
        beside = [
            name for name in _IN_FILTERS if self.given(name) and getattr(self, name) not in ("", [], {})
        ]
        if self.filters and beside:
            raise ValueError(
                f"`filters` holds all of {', '.join(_IN_FILTERS)}: leave out {', '.join(beside)}"
            )
        if self.filters and not isinstance(self.filters.get("groups"), list):
            raise ValueError("`filters` needs `groups`, PostHog's list of release conditions")
        if self.remote_config and (self.variants or self.conditions):
            raise ValueError("a `remote_config` flag has a payload alone, no `variants` or `conditions`")
        if self.remote_config and not (self.filters or "true" in self.payloads):
            raise ValueError('a `remote_config` flag needs its payload: {"true": {"color": "red"}}')
        allowed = {item.key for item in self.variants} or {"true"}
        unknown = [key for key in self.payloads if key not in allowed]
        if unknown:
            raise ValueError(f"`payloads` has `{unknown[0]}`, which is none of {', '.join(sorted(allowed))}")
        return self


@tool(area="flags", access=Access.WRITE, title="Create a feature flag", scopes=("feature_flag:write",))
async def create_flag(ctx: Context, args: CreateFlag) -> Record:
    """Create a feature flag, on or off or with variants, for everyone, a share, or those that match."""
    project = await ctx.project(args)
    body: Json = {
        "key": args.key,
        "name": args.description,
        "active": args.active,
        "filters": args.filters or await _filters(ctx, project, args),
    }
    if args.remote_config:
        body["is_remote_configuration"] = True
    if args.tags:
        body["tags"] = args.tags
    if args.dry_run:
        return Record({"dry_run": True, "project": str(project), "would_create": body})
    flag = await ctx.api.post(LIST, body, project_id=project.id)
    await ctx.flags_changed()
    return Record(await whole(ctx, project, flag))


async def _filters(ctx: Context, project: Project, args: CreateFlag) -> Json:
    about = await group_index(ctx, project, args.group_type) if args.group_type else None
    group: Json = {
        "properties": await posthog_rows(ctx, project, args.conditions, about),
        "rollout_percentage": args.rollout_percentage,
        "variant": None,
    }
    filters: Json = {"groups": [group], "payloads": payload_texts(args.payloads), "multivariate": None}
    if about is not None:
        filters["aggregation_group_type_index"] = about
    if args.variants:
        filters["multivariate"] = {"variants": [item.model_dump() for item in args.variants]}
    return filters


class ChangeOne(OneFlag):
    """What every change of one flag takes."""

    version: int = Field(
        0, ge=0, description="The version you saw: if it is another by now, nothing is changed."
    )
    dry_run: bool = Field(default=False, description="Show the request and what differs, send nothing.")


class UpdateFlag(ChangeOne):
    """Arguments of update_flag."""

    changes: list[FlagChange] = Field(
        min_length=1, max_length=20, description="Made together, one after the other."
    )


@tool(
    area="flags",
    access=Access.WRITE,
    title="Change a feature flag",
    scopes=("feature_flag:write",),
    idempotent=False,
)
async def update_flag(ctx: Context, args: UpdateFlag) -> Record:
    """Change a feature flag by named operations; everything they do not name stays as it is.

    preview_flag_change shows beforehand whom it would switch.
    """
    project = await ctx.project(args)
    flag = await _seen(ctx, project, args)
    made = await draft(ctx, project, flag, args.changes)
    needed_by = await dependents_of(ctx, project, flag) if made.switches_off else []
    warning = await spoilt_by(ctx, project, flag, made.body)
    warned = {"warning": warning} if warning else {}
    if args.dry_run:
        dry = _dry(project, flag, made.body, difference(flag, made.after)) | warned
        return Record(dry | ({"refused_because_needed_by": needed_by} if needed_by else {}))
    if not made.body:
        return Record({"changed": "nothing: it is so already"} | await whole(ctx, project, flag))
    if needed_by:
        raise _needed(flag, "switched off", needed_by)
    after = await _patch(ctx, project, flag, made.body)
    return Record({"changed": _observed(flag, after)} | warned | await whole(ctx, project, after))


class DeleteFlag(ChangeOne):
    """Arguments of delete_flag."""


@tool(
    area="flags",
    access=Access.FULL,
    title="Delete a feature flag",
    scopes=("feature_flag:write",),
    destructive=True,
    idempotent=True,
)
async def delete_flag(ctx: Context, args: DeleteFlag) -> Record:
    """Delete a feature flag: applications get no value for it any more. A person must agree.

    What uses it is named first. To only switch it off, use update_flag with disable or archive.
    """
    project = await ctx.project(args)
    flag = await _seen(ctx, project, args)
    users = await users_of(ctx, project, flag)
    body = {"deleted": True}
    if args.dry_run:
        dry = _dry(project, flag, body, difference({"deleted": False}, body))
        return Record(dry | ({"used_by": users.named} if users.named else {}))
    if users.flags:
        raise _needed(flag, "deleted", users.flags)
    if users.running:
        raise ToolFailure(
            f"`{flag['key']}` was not deleted.",
            f"Experiments run on it: {', '.join(users.running)}.",
            "End them first, with change_experiment_state.",
        )
    named = "; ".join(f"{kind}: {', '.join(map(str, items))}" for kind, items in users.named.items())
    told = f" It is used by {named}." if named else ""
    await ctx.consent(
        f"Delete the feature flag {flag['key']} ({flag.get('name') or 'no description'}) of project "
        f"{project}.{told}",
        str(flag["key"]),
        "undo_change can restore it.",
    )
    await _patch(ctx, project, flag, body)
    return Record({"deleted": flag["key"], "id": flag["id"], "project": str(project)})


def _needed(flag: Json, what: str, dependents: list[str]) -> ToolFailure:
    return ToolFailure(
        f"`{flag['key']}` was not {what}.",
        f"Other flags depend on it: {', '.join(dependents)}.",
        "Take their conditions on it out first, with update_flag.",
    )


async def _seen(ctx: Context, project: Project, args: ChangeOne) -> Json:
    """The flag as it is now, if that is the one the caller saw."""
    flag = await find_flag(ctx, project, args.flag)
    version = flag.get("version")
    if args.version and version is not None and version != args.version:
        who: Json = flag.get("last_modified_by") or {}
        raise ToolFailure(
            f"`{flag['key']}` was not changed.",
            f"It is version {version} by now, not {args.version}: changed at {flag.get('updated_at')} by "
            f"{who.get('email') or 'somebody'}.",
            "Look at it with get_flag, and repeat the change with its version if you still want it.",
        )
    return flag


async def _patch(ctx: Context, project: Project, flag: Json, body: Json) -> Json:
    """Send an update with the version that was read, so that PostHog refuses it if another came between."""
    guard = {"version": flag["version"]} if flag.get("version") is not None else {}
    after = await ctx.api.patch(ONE, {**body, **guard}, project_id=project.id, id=flag["id"])
    await ctx.flags_changed()
    return after


def _observed(before: Json, after: Json) -> list[Change]:
    """What PostHog's answer shows to be different: the change itself, and whatever came with it."""
    was, now = ({name: flag[name] for name in flag if name not in _DERIVED} for flag in (before, after))
    return difference(was, now)


def _dry(project: Project, flag: Json, body: Json, changed: list[Change]) -> Json:
    path = f"PATCH {ONE.format(project_id=project.id, id=flag['id'])}"
    return {"dry_run": True, "flag": flag["key"], "request": path, "body": body, "would_change": changed}
