"""Actions: named conditions on events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from posthog_mcp.sandbox.api.activity_log import record
from posthog_mcp.sandbox.api.event_definitions import json_list
from posthog_mcp.sandbox.http.errors import hard_delete_refused, invalid, not_found
from posthog_mcp.sandbox.http.paging import counted
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.http.validate import checked
from posthog_mcp.sandbox.queries.models import ActionStep

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call
    from posthog_mcp.sandbox.sandbox import Sandbox

_KIND = "action"
_LIST = "/api/projects/{project_id}/actions/"
_ONE = "/api/projects/{project_id}/actions/{id}/"


class ActionFields(BaseModel):
    """What can be written; what is absent keeps its value."""

    name: Annotated[str, Field(max_length=400)] | None = None
    description: str = ""
    tags: list[str] = []
    steps: list[ActionStep] = []
    post_to_slack: bool = False
    slack_message_format: Annotated[str, Field(max_length=1200)] = ""
    pinned_at: str | None = None
    deleted: bool = False


@route("GET", _LIST, scope="action:read")
async def list_actions(call: Call) -> Reply:
    """Actions by name; `search`, `tags` and `created_by` narrow."""
    words, tags = call.query.get("search", "").lower(), set(json_list(call, "tags"))
    authors = [part for part in call.query.get("created_by", "").split(",") if part]
    found = [
        one
        for one in call.sandbox.store.all(_KIND)
        if not one["deleted"]
        and words in (one["name"] or "").lower()
        and tags <= set(one["tags"])
        and (not authors or str(one["created_by"]["id"]) in authors)
    ]
    return Reply(counted(call, sorted(found, key=lambda one: (one["name"] or "", one["id"]))))


@route("POST", _LIST, scope="action:write")
async def create_action(call: Call) -> Reply:
    """Make one; names are unique among the living."""
    fields = checked(ActionFields, await call.json())
    _check_name(call.sandbox, fields.name, None)
    now = iso(call.sandbox.clock())
    body = fields.model_dump() | {
        "created_at": now,
        "created_by": call.sandbox.project.user.basic(),
        "is_calculating": False,
        "last_calculated_at": now,
        "team_id": call.sandbox.project.id,
        "is_action": True,
        "bytecode_error": None,
    }
    action = call.sandbox.store.create(_KIND, body)
    record(call.sandbox, "created", "Action", action["id"], name=action["name"] or "")
    return Reply(action, 201)


@route("GET", _ONE, scope="action:read")
async def get_action(call: Call) -> Reply:
    """One; deleted ones are not found."""
    return Reply(_find(call))


@route("PATCH", _ONE, scope="action:write")
@route("PUT", _ONE, scope="action:write")
async def update_action(call: Call) -> Reply:
    """Change what is given; `deleted` hides it and brings it back."""
    body = await call.json()
    before = _find(call, deleted=body.get("deleted") is False)
    fields = checked(ActionFields, body)
    values = fields.model_dump()
    given = {name: values[name] for name in fields.model_fields_set}
    if "name" in given:
        _check_name(call.sandbox, given["name"], before["id"])
    after: dict[str, Any] = {**before, **given}
    call.sandbox.store.put(_KIND, after["id"], after)
    was = {name: before.get(name) for name in given}
    activity = "deleted" if after["deleted"] and not before["deleted"] else "updated"
    record(call.sandbox, activity, "Action", after["id"], name=after["name"] or "", before=was, after=given)
    return Reply(after)


@route("DELETE", _ONE, scope="action:write")
async def delete_action(call: Call) -> Reply:
    """Refused, as in PostHog."""
    _find(call)
    raise hard_delete_refused()


def _find(call: Call, *, deleted: bool = False) -> dict[str, Any]:
    number = call.params["id"]
    found = call.sandbox.store.get(_KIND, int(number)) if number.isdigit() else None
    if found is None or (found["deleted"] and not deleted):
        raise not_found()
    return found


def _check_name(sandbox: Sandbox, name: str | None, own_id: int | None) -> None:
    if not name:
        return
    for one in sandbox.store.all(_KIND):
        if one["name"] == name and not one["deleted"] and one["id"] != own_id:
            detail = f"This project already has an action with this name, ID {one['id']}"
            raise invalid(detail, "name", "unique")
