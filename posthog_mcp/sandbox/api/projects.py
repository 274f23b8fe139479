"""The project and its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field

from posthog_mcp.sandbox.api.accounts import project_basic
from posthog_mcp.sandbox.api.activity_log import record
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.http.paging import counted
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call
    from posthog_mcp.sandbox.project import Project

_ONE = "/api/projects/{project_id}/"
_IN_ORGANIZATION = "/api/organizations/{organization_id}/projects/{project_id}/"


class ProjectFields(BaseModel):
    """The settings that can be written; what is absent keeps its value."""

    name: Annotated[str, Field(min_length=1, max_length=200)] = ""
    timezone: str = "UTC"
    week_start_day: Literal[0, 1] | None = None
    test_account_filters: list[dict[str, Any]] = []
    app_urls: list[str | None] = []
    anonymize_ips: bool = False
    autocapture_opt_out: bool | None = None
    session_recording_opt_in: bool = True
    surveys_opt_in: bool | None = None
    heatmaps_opt_in: bool | None = None
    person_display_name_properties: list[str] | None = None
    data_attributes: list[str] = []
    path_cleaning_filters: list[dict[str, Any]] | None = None


@route("GET", "/api/projects/", scope="project:read")
@route("GET", "/api/organizations/{organization_id}/projects/", scope="project:read")
async def list_projects(call: Call) -> Reply:
    """The one project."""
    return Reply(counted(call, [project_basic(call.sandbox.project)]))


@route("GET", _ONE, scope="project:read")
@route("GET", _IN_ORGANIZATION, scope="project:read")
async def get_project(call: Call) -> Reply:
    """The project with its settings."""
    return Reply(_full(call.sandbox.project))


@route("PATCH", _ONE, scope="project:write")
@route("PATCH", _IN_ORGANIZATION, scope="project:write")
async def update_project(call: Call) -> Reply:
    """Change the settings given."""
    project = call.sandbox.project
    fields = checked(ProjectFields, await call.json())
    given = {name: getattr(fields, name) for name in fields.model_fields_set}
    if "timezone" in given:
        _check_timezone(given["timezone"])
    before = {name: project.settings[name] for name in given}
    project.settings.update(given)
    project.save(call.sandbox.store)
    record(call.sandbox, "updated", "Team", project.id, name=project.name, before=before, after=given)
    return Reply(_full(project))


def _check_timezone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise invalid(f'"{name}" is not a valid choice.', "timezone", "invalid_choice") from error


def _full(project: Project) -> dict[str, Any]:
    return {
        **project_basic(project),
        **project.settings,
        "created_at": project.created_at,
        "updated_at": project.created_at,
        "effective_membership_level": 15,
        "has_group_types": True,
        "live_events_token": None,
        "secret_api_token": project.secret_token,
        "recording_domains": None,
        "primary_dashboard": None,
        "product_intents": [],
    }
