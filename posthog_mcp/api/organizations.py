"""Answers of PostHog that tell which organization a project or a key belongs to."""

from collections.abc import Mapping
from typing import Any, cast

from posthog_mcp.api.endpoints import ORGANIZATION, PROJECT, Endpoint


def organizations_in(asked: Endpoint, params: Mapping[str, object], body: Any) -> dict[str, str]:
    """The ids of organizations that an answer names.

    Args:
        asked: What was called.
        params: What filled its path.
        body: The answer.

    Returns:
        By whose they are: `project 1`, or `key` for the key that asked; empty where the answer names none, or
        several.
    """
    if asked.method != "GET" or not isinstance(body, dict):
        return {}
    fields = cast("dict[str, Any]", body)
    if asked.path == PROJECT:
        return _found(f"project {params.get('project_id')}", fields.get("organization"))
    if asked.path == f"{ORGANIZATION}projects/":
        organization = params.get("organization_id")
        return {
            what: named
            for project in _objects(fields.get("results"))
            for what, named in _found(f"project {project.get('id')}", organization).items()
        }
    if asked.path == "/api/users/@me/":
        return _found("key", cast("dict[str, Any]", fields.get("organization") or {}).get("id"))
    if asked.path == "/api/organizations/":
        seen = _objects(fields.get("results"))
        return _found("key", seen[0].get("id")) if len(seen) == 1 else {}
    return {}


def _objects(listed: Any) -> list[dict[str, Any]]:
    items = cast("list[Any]", listed) if isinstance(listed, list) else []
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


def _found(what: str, organization: Any) -> dict[str, str]:
    return {what: organization} if isinstance(organization, str) and organization else {}
