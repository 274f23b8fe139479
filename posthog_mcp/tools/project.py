"""Projects, and what this server can do with the keys it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from posthog_mcp import __version__
from posthog_mcp.api import PostHogError, key_type
from posthog_mcp.render import Record, Table, Text
from posthog_mcp.tool import Access, Context, Input, ToolFailure, guides, tool
from posthog_mcp.tool.sending import delivery

if TYPE_CHECKING:
    from pydantic import SecretStr


class ListProjects(Input):
    """Arguments of list_projects: none."""


@tool(area="project", access=Access.READ, title="List projects", scopes=("organization:read", "project:read"))
async def list_projects(ctx: Context, args: ListProjects) -> Table:
    """List the PostHog projects the personal API key can see, with their ids and time zones."""
    del args
    seen = await ctx.list_projects()
    return Table(
        about=[f"Projects at {ctx.api.hosts.private}."],
        columns=["project_id", "name", "timezone"],
        rows=[[project.id, project.name, project.timezone] for project in seen],
        total=len(seen),
        empty=["The personal API key sees no project: check at PostHog which ones it is limited to."],
    )


class GetStatus(Input):
    """Arguments of get_status: none."""


@tool(area="project", access=Access.READ, title="Get status", keys=())
async def get_status(ctx: Context, args: GetStatus) -> Record:
    """Show what this server can do: its keys, their scopes and projects, host, access level, version."""
    del args
    settings = ctx.settings
    data: dict[str, Any] = {
        "version": __version__,
        "access": str(settings.access),
        "keys": {
            "project_token": _shown(settings.project_token),
            "personal_key": _shown(settings.personal_api_key),
            "project_secret_key": _shown(settings.project_secret_key),
        },
    }
    try:
        data["host"] = {"private": ctx.api.hosts.private, "events": ctx.api.hosts.public}
        if settings.personal_api_key:
            data |= await _personal_key(ctx)
    except PostHogError as error:
        # The tool is for finding out what is wrong, so what is wrong is its answer.
        data["problem"] = str(error)
    if settings.pinned_project_id or settings.project_id:
        data["project_id"] = settings.pinned_project_id or settings.project_id
        data["pinned"] = settings.pinned_project_id is not None
    if settings.personal_api_key and "host" in data:
        data["limits"] = await _limits(ctx)
    try:
        data["outbox"] = delivery(ctx.leftovers(), most_failures=3)
    except ToolFailure as failure:
        data["outbox"] = {"problem": str(failure)}
    return Record(data)


async def _limits(ctx: Context) -> dict[str, Any] | str:
    """What is spent of PostHog's limits, by all copies of this server that share them."""
    settings = ctx.settings
    return await ctx.api.limits(settings.pinned_project_id or settings.project_id) or "off"


async def _personal_key(ctx: Context) -> dict[str, Any]:
    key = await ctx.api.get("/api/personal_api_keys/@current/")
    found: dict[str, Any] = {"scopes": key.get("scopes") or ["*"]}
    projects = await ctx.list_projects()
    found["projects"] = [{"id": project.id, "name": project.name} for project in projects]
    return found


def _shown(key: SecretStr | None) -> str:
    return f"set ({key_type(key.get_secret_value())})" if key else "not set"


class GetGuide(Input):
    """Arguments of get_guide."""

    guide: str = Field("", max_length=100, description=f"{', '.join(guides.names())}; none lists them.")

    @field_validator("guide")
    @classmethod
    def _exists(cls, value: str) -> str:
        name = "-".join(value.lower().replace("_", " ").split())
        if name and name not in guides.names():
            raise ValueError(f"is no guide; there are {', '.join(guides.names())}")
        return name


@tool(area="project", access=Access.READ, title="Get a guide", keys=())
async def get_guide(ctx: Context, args: GetGuide) -> Text:
    """How to use PostHog in an application, with code that runs: SDKs, flags, errors, surveys, HogQL."""
    del ctx
    if args.guide:
        return Text(guides.read(args.guide))
    titles = [f"{name}: {guides.read(name).splitlines()[0].lstrip('# ')}" for name in guides.names()]
    return Text("\n".join(titles))
