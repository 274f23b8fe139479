"""Property definitions: the properties the project has seen, their types, and what people noted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import BaseModel, Field

from posthog_mcp.sandbox.api.activity_log import record
from posthog_mcp.sandbox.api.event_definitions import definition_id, json_list
from posthog_mcp.sandbox.compiler.sessions import SESSIONS
from posthog_mcp.sandbox.http.errors import invalid, not_found
from posthog_mcp.sandbox.http.paging import counted
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call
    from posthog_mcp.sandbox.ingest import PropertyDefinition
    from posthog_mcp.sandbox.sandbox import Sandbox

_NOTES = "property_definition"
_LIST = "/api/projects/{project_id}/property_definitions/"
_ONE = "/api/projects/{project_id}/property_definitions/{id}/"
_ALL = 1_000_000
_FLAG = "$feature/"
_KINDS = ("event", "person", "group")
_EMPTY: dict[str, Any] = {"description": "", "tags": [], "verified": False, "hidden": False}


class PropertyDefinitionFields(BaseModel):
    """What can be noted about a property; what is absent keeps its value."""

    description: Annotated[str, Field(max_length=2000)] | None = ""
    tags: list[str] = []
    verified: bool = False
    hidden: bool = False
    property_type: Literal["String", "Numeric", "Boolean", "DateTime"] | None = None


@route("GET", _LIST, scope="property_definition:read")
async def list_property_definitions(call: Call) -> Reply:
    """Properties of events (`type=event`, the default), persons or groups."""
    kind = call.query.get("type", "event")
    if kind == "session":
        return Reply(counted(call, [one for one in _session_properties(call) if _asked_for(one, call)]))
    if kind not in _KINDS:
        raise invalid(f'"{kind}" is not a valid choice.', "type", "invalid_choice")
    on_events = set(_seen_on(call)) if kind == "event" else set[str]()
    narrow = call.query.get("filter_by_event_names", "").lower() == "true"
    found = [
        one | {"is_seen_on_filtered_events": one["name"] in on_events if _names(call) else None}
        for one in definitions(call.sandbox, kind)
        if _asked_for(one, call) and (not narrow or one["name"] in on_events)
    ]
    return Reply(counted(call, found))


@route("GET", _ONE, scope="property_definition:read")
async def get_property_definition(call: Call) -> Reply:
    """One definition."""
    return Reply(_find(call)[1])


@route("PATCH", _ONE, scope="property_definition:write")
@route("PUT", _ONE, scope="property_definition:write")
async def update_property_definition(call: Call) -> Reply:
    """Note what is given about a property; a new `property_type` changes how queries read it."""
    kind, before = _find(call)
    fields = checked(PropertyDefinitionFields, await call.json())
    given = {name: getattr(fields, name) for name in fields.model_fields_set}
    sandbox = call.sandbox
    with sandbox.store.transaction():
        if "property_type" in given:
            seen = sandbox.ingest.definitions
            seen.set_type(cast("Any", kind), before["name"], given["property_type"])
        note = {name: value for name, value in given.items() if name != "property_type"}
        _note(sandbox, before["id"], {**note, "updated_at": iso(sandbox.clock())})
        was = {name: before[name] for name in given}
        name = before["name"]
        record(sandbox, "updated", "PropertyDefinition", before["id"], name=name, before=was, after=given)
    return Reply(_find(call)[1])


def definitions(sandbox: Sandbox, kind: str) -> list[dict[str, Any]]:
    """Every definition of a kind, with its notes."""
    notes = {note["definition"]: note for note in sandbox.store.all(_NOTES)}
    seen, _ = sandbox.ingest.definitions.properties(cast("Any", kind), limit=_ALL)
    return [_shown(sandbox, one, notes) for one in seen]


def _shown(sandbox: Sandbox, one: PropertyDefinition, notes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    key = definition_id(sandbox, one.kind, str(one.group_index), one.name)
    note = notes.get(key, {})
    user = sandbox.project.user.basic()
    return {
        "id": key,
        "name": one.name,
        "property_type": one.property_type,
        "is_numerical": one.property_type == "Numeric",
        "is_seen_on_filtered_events": None,
        **{field: note.get(field, default) for field, default in _EMPTY.items()},
        "group_type_index": one.group_index,
        "updated_at": note.get("updated_at"),
        "updated_by": user if note else None,
        "verified_at": note.get("updated_at") if note.get("verified") else None,
        "verified_by": user if note.get("verified") else None,
    }


def _session_properties(call: Call) -> list[dict[str, Any]]:
    """The properties of sessions, which are computed and always the same."""
    types: dict[str, str | None] = {"Number": "Numeric", "Boolean": "Boolean", "DateTime": "DateTime"}
    return [
        {
            "id": definition_id(call.sandbox, "session", name),
            "name": name,
            "property_type": "Duration" if name == "$session_duration" else types.get(column.kind, "String"),
            "is_numerical": column.kind == "Number",
            "is_seen_on_filtered_events": None,
            "group_type_index": None,
            **_EMPTY,
        }
        for name, column in SESSIONS.columns.items()
        if name.startswith("$") and not column.hidden and column.kind != "Array"
    ]


def _note(sandbox: Sandbox, definition: str, given: dict[str, Any]) -> None:
    for note in sandbox.store.all(_NOTES):
        if note["definition"] == definition:
            sandbox.store.put(_NOTES, note["id"], {**note, **given})
            return
    sandbox.store.create(_NOTES, {"definition": definition, **given})


def _names(call: Call) -> list[str]:
    return json_list(call, "event_names")


def _seen_on(call: Call) -> list[str]:
    events = _names(call)
    if not events:
        return []
    found, _ = call.sandbox.ingest.definitions.properties("event", events=events, limit=_ALL)
    return [one.name for one in found]


def _asked_for(one: dict[str, Any], call: Call) -> bool:
    query = call.query
    name = one["name"]
    wanted = [part for part in query.get("properties", "").split(",") if part]
    index = query.get("group_type_index")
    return (
        all(word in name.lower() for word in query.get("search", "").lower().split())
        and (not wanted or name in wanted)
        and name not in json_list(call, "excluded_properties")
        and not (_true(call, "exclude_core_properties") and name.startswith("$"))
        and not (_true(call, "exclude_hidden") and one["hidden"])
        and (index is None or str(one["group_type_index"]) == index)
        and _flag(query.get("is_numerical"), one["is_numerical"])
        and _flag(query.get("is_feature_flag"), name.startswith(_FLAG))
        and _flag(query.get("verified"), one["verified"])
    )


def _true(call: Call, name: str) -> bool:
    return call.query.get(name, "").lower() == "true"


def _flag(wish: str | None, value: bool) -> bool:
    return wish is None or value is (wish.lower() == "true")


def _find(call: Call) -> tuple[str, dict[str, Any]]:
    for kind in _KINDS:
        for one in definitions(call.sandbox, kind):
            if one["id"] == call.params["id"]:
                return kind, one
    raise not_found()
