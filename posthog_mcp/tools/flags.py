"""Feature flags: who gets what."""

import difflib
import json
from typing import Any, Literal

from pydantic import Field, model_validator

from posthog_mcp.render import Record, Table
from posthog_mcp.render.flags import conditions, variants
from posthog_mcp.tool import Access, Context, Input, JsonObject, Project, ProjectInput, ToolFailure, tool
from posthog_mcp.tool.filters import Filter, posthog_filter

_PATH = "/api/projects/{project_id}/feature_flags/"
_ONE = _PATH + "{id}/"
Json = dict[str, Any]


class ListFlags(ProjectInput):
    """Arguments of list_flags."""

    search: str = Field("", max_length=200, description="Part of the key or description.")
    state: Literal["any", "on", "off", "stale"] = Field("any", description="Only flags in this state.")
    type: Literal["any", "boolean", "multivariant", "experiment", "remote_config"] = Field(
        "any", description="Only flags of this type."
    )
    tag: str = Field("", max_length=200, description="Only flags with this tag.")
    limit: int = Field(50, ge=1, le=200, description="How many.")
    offset: int = Field(0, ge=0, description="How many to skip.")


_STATES = {"on": "true", "off": "false", "stale": "STALE"}


@tool(area="flags", access=Access.READ, title="List feature flags", scopes=("feature_flag:read",))
async def list_flags(ctx: Context, args: ListFlags) -> Table:
    """List the project's feature flags with who gets what, newest first. get_flag shows one whole."""
    project = await ctx.project(args)
    query: dict[str, Any] = {"limit": args.limit, "offset": args.offset}
    if args.search:
        query["search"] = args.search
    if args.state != "any":
        query["active"] = _STATES[args.state]
    if args.type != "any":
        query["type"] = args.type
    if args.tag:
        query["tags"] = [args.tag]
    page = await ctx.api.get(_PATH, query=query, project_id=project.id)
    return Table(
        about=[f"Feature flags of project {project}."],
        columns=["id", "key", "on", "who gets it", "variants", "tags", "description"],
        rows=[_row(flag) for flag in page["results"]],
        total=page.get("count"),
        more=lambda shown: f"offset={args.offset + shown}",
        has_more=bool(page.get("next")),
        empty=["Leave out the filters to see all, or create one with create_flag."],
    )


class GetFlag(ProjectInput):
    """Arguments of get_flag."""

    flag: str = Field(min_length=1, max_length=400, description="The flag's key, or its id.")


@tool(area="flags", access=Access.READ, title="Get a feature flag", scopes=("feature_flag:read",))
async def get_flag(ctx: Context, args: GetFlag) -> Record:
    """One feature flag whole: state, conditions, variants, payloads, version, what uses it."""
    project = await ctx.project(args)
    flag = await _find(ctx, project, args.flag)
    return Record(_whole(ctx, project, flag))


class Variant(Input):
    """One variant of a flag."""

    key: str = Field(min_length=1, max_length=200, description="What the application gets.")
    rollout_percentage: float = Field(ge=0, le=100, description="Its share.")
    name: str = Field("", max_length=400, description="For people.")


class CreateFlag(ProjectInput):
    """Arguments of create_flag."""

    key: str = Field(
        min_length=1, max_length=400, pattern=r"^[a-zA-Z0-9_-]+$", description="Letters, digits, - and _."
    )
    description: str = Field("", max_length=400, description="What it is for.")
    active: bool = Field(default=True, description="On from the start.")
    rollout_percentage: float = Field(100, ge=0, le=100, description="Share of those that match.")
    conditions: list[Filter] = Field(
        default_factory=list[Filter],
        max_length=50,
        description="Who can get it: all rows must hold; none for everyone.",
    )
    variants: list[Variant] = Field(
        default_factory=list[Variant],
        max_length=20,
        description="For a multivariate flag; shares add up to 100.",
    )
    payloads: JsonObject = Field(
        default_factory=dict,
        description='JSON the application gets, by variant key, or by "true": {"true": {"color": "red"}}.',
    )
    tags: list[str] = Field(default_factory=list[str], max_length=50, description="Tags.")
    filters: JsonObject = Field(
        default_factory=dict,
        description="PostHog's own filters object instead, for several conditions or groups.",
    )
    dry_run: bool = Field(default=False, description="Show the request, send nothing.")

    @model_validator(mode="after")
    def _fits(self) -> "CreateFlag":
        if self.filters and (self.conditions or self.variants or self.payloads):
            raise ValueError("give either `filters` or `conditions`, `variants` and `payloads`, not both")
        if self.variants and abs(sum(item.rollout_percentage for item in self.variants) - 100) > 0.01:  # noqa: PLR2004 - per cent
            raise ValueError("the shares of `variants` must add up to 100")
        allowed = {item.key for item in self.variants} or {"true"}
        unknown = [key for key in self.payloads if key not in allowed]
        if unknown:
            raise ValueError(f"`payloads` has `{unknown[0]}`, which is none of {', '.join(sorted(allowed))}")
        return self


@tool(area="flags", access=Access.WRITE, title="Create a feature flag", scopes=("feature_flag:write",))
async def create_flag(ctx: Context, args: CreateFlag) -> Record:
    """Create a feature flag, on or off or with variants, for everyone, a share, or those that match."""
    project = await ctx.project(args)
    body: dict[str, Any] = {
        "key": args.key,
        "name": args.description,
        "active": args.active,
        "filters": args.filters or _filters(args),
    }
    if args.tags:
        body["tags"] = args.tags
    if args.dry_run:
        return Record({"dry_run": True, "project": str(project), "would_create": body})
    flag = await ctx.api.post(_PATH, body, project_id=project.id)
    return Record(_whole(ctx, project, flag))


def _filters(args: CreateFlag) -> dict[str, Any]:
    group = {
        "properties": [posthog_filter(row) for row in args.conditions],
        "rollout_percentage": args.rollout_percentage,
        "variant": None,
    }
    filters: dict[str, Any] = {"groups": [group], "payloads": _payloads(args.payloads), "multivariate": None}
    if args.variants:
        filters["multivariate"] = {"variants": [item.model_dump() for item in args.variants]}
    return filters


def _payloads(payloads: dict[str, Any]) -> dict[str, str]:
    """PostHog keeps each payload as JSON text."""
    return {key: json.dumps(value, ensure_ascii=False) for key, value in payloads.items()}


async def _find(ctx: Context, project: Project, flag: str) -> dict[str, Any]:
    if flag.isdigit():
        return await ctx.api.get(_ONE, project_id=project.id, id=flag)
    page = await ctx.api.get(_PATH, query={"search": flag, "limit": 100}, project_id=project.id)
    keys = {str(item["key"]): item for item in page["results"]}
    if flag in keys:
        return await ctx.api.get(_ONE, project_id=project.id, id=keys[flag]["id"])
    near = difflib.get_close_matches(flag, keys, n=3, cutoff=0.5)
    raise ToolFailure(
        f"There is no flag `{flag}` in project {project}.",
        f"Similar keys: {', '.join(near)}." if near else "No key resembles it; keys are case-sensitive.",
        "list_flags shows every key.",
    )


def _row(flag: dict[str, Any]) -> list[Any]:
    filters: Json = flag.get("filters") or {}
    who = "; ".join(conditions(filters)) or "nobody"
    tags = ", ".join(flag.get("tags") or [])
    return [flag["id"], flag["key"], flag.get("active"), who, variants(filters), tags, flag.get("name")]


_SHOWN = (
    "id",
    "key",
    "active",
    "archived",
    "tags",
    "version",
    "filters",
    "evaluation_runtime",
    "bucketing_identifier",
    "ensure_experience_continuity",
    "is_remote_configuration",
    "has_encrypted_payloads",
    "experiment_set",
    "status",
    "created_at",
    "updated_at",
    "last_called_at",
)


def _whole(ctx: Context, project: Project, flag: dict[str, Any]) -> dict[str, Any]:
    shown = {name: flag[name] for name in _SHOWN if flag.get(name) not in (None, "", [], {})}
    return {
        **shown,
        "description": flag.get("name") or "",
        "who_gets_it": conditions(flag.get("filters") or {}),
        "project": str(project),
        "url": ctx.link(project, f"feature_flags/{flag['id']}"),
    }
