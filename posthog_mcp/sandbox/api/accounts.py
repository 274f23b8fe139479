"""The user, the presented key, the organization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.http.errors import not_found
from posthog_mcp.sandbox.http.paging import counted
from posthog_mcp.sandbox.http.routing import Reply, route

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call
    from posthog_mcp.sandbox.project import Project

_OWNER = 15


@route("GET", "/api/users/{user_id}/", scope="user:read")
async def get_user(call: Call) -> Reply:
    """The user behind the key, with the current project and organization."""
    project = call.sandbox.project
    user = project.user
    if call.params["user_id"] not in ("@me", user.uuid):
        raise not_found()
    organization = organization_basic(project)
    full = {
        **user.basic(),
        "date_joined": project.created_at,
        "is_staff": False,
        "is_impersonated": False,
        "has_password": True,
        "team": project_basic(project),
        "organization": {**organization, "teams": [project_basic(project)], "projects": [_card(project)]},
        "organizations": [organization],
    }
    return Reply(full)


@route("GET", "/api/personal_api_keys/{key_id}/")
async def get_key(call: Call) -> Reply:
    """The presented key: label, scopes, and nothing of its value but the ends."""
    key = call.identity.key if call.identity else None
    if key is None or call.params["key_id"] not in ("@current", key.id):
        raise not_found()
    project = call.sandbox.project
    return Reply(
        {
            "id": key.id,
            "label": key.label,
            "mask_value": f"{key.value[:3]}...{key.value[-4:]}",
            "created_at": project.created_at,
            "last_used_at": None,
            "last_rolled_at": None,
            "user_id": project.user.id,
            "scopes": list(key.scopes),
            "scoped_teams": [],
            "scoped_organizations": [],
        }
    )


@route("GET", "/api/organizations/", scope="organization:read")
async def list_organizations(call: Call) -> Reply:
    """The one organization."""
    return Reply(counted(call, [organization(call.sandbox.project)]))


@route("GET", "/api/organizations/{organization_id}/", scope="organization:read")
async def get_organization(call: Call) -> Reply:
    """The organization in full."""
    return Reply(organization(call.sandbox.project))


@route("GET", "/api/organizations/{organization_id}/members/", scope="organization_member:read")
async def list_members(call: Call) -> Reply:
    """Its one member."""
    project = call.sandbox.project
    member = {
        "id": project.user.uuid,
        "user": project.user.basic(),
        "level": _OWNER,
        "joined_at": project.created_at,
        "updated_at": project.created_at,
        "is_2fa_enabled": False,
        "has_social_auth": False,
        "last_login": None,
    }
    return Reply(counted(call, [member]))


def organization_basic(project: Project) -> dict[str, Any]:
    """The organization as it appears inside other objects."""
    return {
        "id": project.organization_id,
        "name": project.organization_name,
        "slug": project.organization_slug,
        "logo_media_id": None,
        "membership_level": _OWNER,
        "members_can_use_personal_api_keys": True,
    }


def organization(project: Project) -> dict[str, Any]:
    """The organization with its projects."""
    return {
        **organization_basic(project),
        "created_at": project.created_at,
        "updated_at": project.created_at,
        "plugins_access_level": 3,
        "teams": [project_basic(project)],
        "projects": [_card(project)],
        "available_product_features": [],
        "is_member_join_email_enabled": True,
        "metadata": {},
        "customer_id": None,
        "enforce_2fa": None,
        "member_count": 1,
        "is_ai_data_processing_approved": True,
    }


def project_basic(project: Project) -> dict[str, Any]:
    """The project as PostHog lists it."""
    return {
        "id": project.id,
        "uuid": project.uuid,
        "organization": project.organization_id,
        "project_id": project.id,
        "api_token": project.api_token,
        "name": project.name,
        "completed_snippet_onboarding": True,
        "has_completed_onboarding_for": {},
        "ingested_event": True,
        "is_demo": False,
        "timezone": project.timezone,
        "access_control": False,
    }


def _card(project: Project) -> dict[str, Any]:
    return {"id": project.id, "name": project.name, "organization_id": project.organization_id}
