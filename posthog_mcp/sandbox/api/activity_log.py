"""The activity log: who changed what. Written by the areas that change things, read here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from posthog_mcp.sandbox.http.errors import not_found
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from posthog_mcp.sandbox.http.routing import Call
    from posthog_mcp.sandbox.sandbox import Sandbox

_KIND = "activity"
_PAGE = 10
_LONGEST_PAGE = 1000


def record(
    sandbox: Sandbox,
    activity: str,
    scope: str,
    item_id: int | str,
    *,
    name: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Note that the key's user did `activity` (`created`, `updated`, `deleted`, ...) to an object.

    `scope` is PostHog's name of the kind (`FeatureFlag`, `Annotation`); the fields that differ between
    `before` and `after` become the entry's changes.
    """
    sandbox.store.create(
        _KIND,
        {
            "uuid": str(uuid4()),
            "user": sandbox.project.user.basic(),
            "unread": False,
            "is_system": False,
            "was_impersonated": False,
            "organization_id": sandbox.project.organization_id,
            "activity": activity,
            "scope": scope,
            "item_id": str(item_id),
            "detail": {
                "id": None,
                "name": name,
                "short_id": None,
                "type": None,
                "trigger": None,
                "changes": changes(scope, before or {}, after or {}),
                "merge": None,
            },
            "created_at": iso(sandbox.clock()),
        },
    )


def changes(scope: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry for each field that differs, in PostHog's form."""
    found: list[dict[str, Any]] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        action = "created" if old is None else "deleted" if new is None else "changed"
        found.append({"type": scope, "action": action, "field": name, "before": old, "after": new})
    return found


def entries(sandbox: Sandbox, scopes: Sequence[str] = (), item_id: str | None = None) -> list[dict[str, Any]]:
    """The entries of these scopes (none named: all) and of this object, newest first."""
    return [
        entry
        for entry in reversed(sandbox.store.all(_KIND))
        if (not scopes or entry["scope"] in scopes) and item_id in (None, entry["item_id"])
    ]


def numbered(call: Call, found: list[dict[str, Any]]) -> dict[str, Any]:
    """The page of an object's own activity: `limit` and `page` in, `total_count` out."""
    limit, page = _number(call, "limit", _PAGE), _number(call, "page", 1)
    start = (page - 1) * limit
    return {
        "results": [_shown(entry) for entry in found[start : start + limit]],
        "next": call.url(limit=limit, page=page + 1) if start + limit < len(found) else None,
        "previous": call.url(limit=limit, page=page - 1) if page > 1 else None,
        "total_count": len(found),
    }


@route("GET", "/api/projects/{project_id}/activity_log/", scope="activity_log:read")
async def list_activity(call: Call) -> Reply:
    """Newest first: by `page` when it is given, else by cursor."""
    query = call.query
    scopes = [part for part in query.get("scopes", query.get("scope", "")).split(",") if part]
    found = entries(call.sandbox, scopes, query.get("item_id"))
    if "user" in query:
        found = [
            entry for entry in found if query["user"] in (str(entry["user"]["id"]), entry["user"]["uuid"])
        ]
    size = min(_number(call, "page_size", 100), _LONGEST_PAGE)
    if "page" not in query:
        return Reply(_by_cursor(call, found, size))
    page = _number(call, "page", 1)
    start = (page - 1) * size
    if start and start >= len(found):
        raise not_found("Invalid page.")
    return Reply(
        {
            "count": len(found),
            "next": call.url(page=page + 1) if start + size < len(found) else None,
            "previous": call.url(page=page - 1) if page > 1 else None,
            "results": [_shown(entry) for entry in found[start : start + size]],
        }
    )


def _by_cursor(call: Call, found: list[dict[str, Any]], size: int) -> dict[str, Any]:
    after = _number(call, "cursor", 0)
    rest = [entry for entry in found if not after or entry["id"] < after]
    more = len(rest) > size
    return {
        "next": call.url(cursor=rest[size - 1]["id"]) if more else None,
        "previous": None,
        "results": [_shown(entry) for entry in rest[:size]],
    }


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    return {"id": entry["uuid"], **{k: v for k, v in entry.items() if k not in ("id", "uuid")}}


def _number(call: Call, name: str, otherwise: int) -> int:
    text = call.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else otherwise
