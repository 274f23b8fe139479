"""Event definitions: the names of events the project has seen, and what people noted about them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid5

from pydantic import BaseModel, Field

from posthog_mcp.sandbox.api.activity_log import record
from posthog_mcp.sandbox.http.errors import invalid, not_found
from posthog_mcp.sandbox.http.paging import counted
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call
    from posthog_mcp.sandbox.ingest import EventDefinition
    from posthog_mcp.sandbox.sandbox import Sandbox

_NOTES = "event_definition"
_LIST = "/api/projects/{project_id}/event_definitions/"
_ONE = "/api/projects/{project_id}/event_definitions/{id}/"
_ALL = 1_000_000
_ORDER = ("name", "created_at", "last_seen_at")
_EMPTY: dict[str, Any] = {
    "description": "",
    "tags": [],
    "verified": False,
    "hidden": False,
    "owner": None,
    "last_updated_at": None,
    "updated_by": None,
}


class EventDefinitionFields(BaseModel):
    """What can be noted about an event; what is absent keeps its value."""

    description: Annotated[str, Field(max_length=2000)] | None = ""
    tags: list[str] = []
    verified: bool = False
    hidden: bool = False
    owner: int | None = None


class NewEventDefinition(EventDefinitionFields):
    """A definition made before its first event."""

    name: Annotated[str, Field(min_length=1, max_length=400)]


@route("GET", _LIST, scope="event_definition:read")
async def list_event_definitions(call: Call) -> Reply:
    """Definitions by name; `search`, `event_type`, `tags`, `verified`, `hidden` narrow, `ordering` sorts."""
    query = call.query
    found = [one for one in definitions(call.sandbox) if _asked_for(one, call)]
    wish = query.get("ordering", "name")
    if wish.lstrip("-") not in _ORDER:
        raise invalid(f'"{wish}" is not a valid choice.', "ordering", "invalid_choice")
    found.sort(key=lambda one: one[wish.lstrip("-")] or "", reverse=wish.startswith("-"))
    return Reply(counted(call, found))


@route("POST", _LIST, scope="event_definition:write")
async def create_event_definition(call: Call) -> Reply:
    """Define an event before it is first sent."""
    fields = checked(NewEventDefinition, await call.json())
    if any(one["name"] == fields.name for one in definitions(call.sandbox)):
        raise invalid(f"Event definition with name '{fields.name}' already exists.", "name", "unique")
    now = iso(call.sandbox.clock())
    body = {**_EMPTY, **fields.model_dump(), "created_at": now, "last_updated_at": now}
    call.sandbox.store.create(_NOTES, body)
    made = _by_name(call, fields.name)
    record(call.sandbox, "created", "EventDefinition", made["id"], name=fields.name)
    return Reply(made, 201)


@route("GET", _LIST + "by_name/", scope="event_definition:read")
async def get_event_definition_by_name(call: Call) -> Reply:
    """The definition of the event called `name`."""
    if "name" not in call.query:
        raise invalid("This field is required.", "name", "required")
    return Reply(_by_name(call, call.query["name"]))


@route("GET", _ONE, scope="event_definition:read")
async def get_event_definition(call: Call) -> Reply:
    """One definition."""
    return Reply(_find(call))


@route("PATCH", _ONE, scope="event_definition:write")
@route("PUT", _ONE, scope="event_definition:write")
async def update_event_definition(call: Call) -> Reply:
    """Note what is given about an event."""
    before = _find(call)
    fields = checked(EventDefinitionFields, await call.json())
    given = {name: getattr(fields, name) for name in fields.model_fields_set}
    _note(call.sandbox, before["name"], {**given, "last_updated_at": iso(call.sandbox.clock())})
    after = _by_name(call, before["name"])
    was = {name: before[name] for name in given}
    record(
        call.sandbox, "updated", "EventDefinition", after["id"], name=after["name"], before=was, after=given
    )
    return Reply(after)


@route("DELETE", _ONE, scope="event_definition:write")
async def delete_event_definition(call: Call) -> Reply:
    """Forget a definition; the next event of the name brings it back, without notes."""
    found = _find(call)
    store = call.sandbox.store
    with store.transaction():
        store.db.execute("DELETE FROM event_definitions WHERE name = ?", (found["name"],))
        for note in store.all(_NOTES):
            if note["name"] == found["name"]:
                store.remove(_NOTES, note["id"])
        record(call.sandbox, "deleted", "EventDefinition", found["id"], name=found["name"])
    call.sandbox.ingest.definitions.forget()
    return Reply(None, 204)


def definitions(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Every event definition: those seen, and those only written down."""
    notes = {note["name"]: note for note in sandbox.store.all(_NOTES)}
    seen, _ = sandbox.ingest.definitions.events(limit=_ALL)
    found = [_shown(sandbox, one.name, notes.pop(one.name, {}), one) for one in seen]
    return found + [_shown(sandbox, name, note, None) for name, note in notes.items()]


def definition_id(sandbox: Sandbox, *parts: str) -> str:
    """The id of a definition; always the same for the same project and name."""
    return str(uuid5(UUID(sandbox.project.uuid), ":".join(parts)))


def _shown(sandbox: Sandbox, name: str, note: dict[str, Any], seen: EventDefinition | None) -> dict[str, Any]:
    user = sandbox.project.user.basic()
    return {
        "id": definition_id(sandbox, "event", name),
        "name": name,
        "created_at": iso(seen.created_at) if seen else note["created_at"],
        "last_seen_at": iso(seen.last_seen_at) if seen else None,
        **{field: note.get(field, default) for field, default in _EMPTY.items()},
        "owner": user if note.get("owner") == sandbox.project.user.id else None,
        "updated_by": user if note.get("last_updated_at") else None,
        "verified_at": note.get("last_updated_at") if note.get("verified") else None,
        "verified_by": user if note.get("verified") else None,
        "is_action": False,
        "is_calculating": False,
        "last_calculated_at": None,
        "created_by": None if seen else user,
        "post_to_slack": False,
        "default_columns": [],
        "enforcement_mode": "allow",
    }


def _note(sandbox: Sandbox, name: str, given: dict[str, Any]) -> None:
    for note in sandbox.store.all(_NOTES):
        if note["name"] == name:
            sandbox.store.put(_NOTES, note["id"], {**note, **given})
            return
    sandbox.store.create(_NOTES, {"name": name, **given})


def _asked_for(one: dict[str, Any], call: Call) -> bool:
    query = call.query
    custom = not one["name"].startswith("$")
    kind = query.get("event_type", "all")
    return (
        all(word in one["name"].lower() for word in query.get("search", "").lower().split())
        and (kind not in ("event_custom", "custom") or custom)
        and (kind not in ("event_posthog", "posthog") or not custom)
        and _flag(query.get("verified"), one["verified"])
        and _flag(query.get("hidden"), one["hidden"])
        and not (query.get("exclude_hidden", "").lower() == "true" and one["hidden"])
        and set(json_list(call, "tags")) <= set(one["tags"])
    )


def _flag(wish: str | None, value: bool) -> bool:
    return wish is None or value is (wish.lower() == "true")


def json_list(call: Call, name: str) -> list[str]:
    """A query value that is a JSON list of texts; empty when absent."""
    text = call.query.get(name)
    if not text:
        return []
    try:
        value = json.loads(text)
    except ValueError as error:
        raise invalid("Must be a JSON list.", name) from error
    if not isinstance(value, list):
        raise invalid("Must be a JSON list.", name)
    return [str(item) for item in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _by_name(call: Call, name: str) -> dict[str, Any]:
    for one in definitions(call.sandbox):
        if one["name"] == name:
            return one
    raise not_found()


def _find(call: Call) -> dict[str, Any]:
    for one in definitions(call.sandbox):
        if one["id"] == call.params["id"]:
            return one
    raise not_found()
