"""Recordings of sessions: listed, read, marked as viewed and deleted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from posthog_mcp.sandbox.http.errors import invalid, not_found
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.queries.asked import Asked
from posthog_mcp.sandbox.queries.world import world_of
from posthog_mcp.sandbox.replay.queries import VIEWS, recordings_query, views

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call

JSON = dict[str, Any]

_LIST = "/api/projects/{project_id}/session_recordings/"
_ONE = _LIST + "{id}/"
_READ, _WRITE = "session_recording:read", "session_recording:write"
_VERSION = 4
_JSON = (
    "events", "actions", "properties", "console_log_filters", "having_predicates", "session_ids",
    "distinct_ids", "comment_text",
)  # fmt: skip
_NUMBERS = ("limit", "offset")
_FLAGS = ("filter_test_accounts",)
_DELETED = "DELETE FROM ph.session_replay_blocks WHERE session_id = {session:String}"
_DELETED_LINES = "DELETE FROM ph.log_entries WHERE log_source_id = {session:String}"


@route("GET", _LIST, scope=_READ, bucket="analytics")
async def list_recordings(call: Call) -> Reply:
    """A page; the query's fields are parameters, lists and objects as JSON."""
    answer = await _asked(call, {name: _value(name, text) for name, text in call.query.items()})
    return Reply({**answer, "version": _VERSION})


@route("GET", _ONE, scope=_READ, bucket="analytics")
async def get_recording(call: Call) -> Reply:
    """One, of whatever age."""
    return Reply(await _found(call))


@route("PATCH", _ONE, scope=_WRITE, bucket="analytics")
async def mark_recording(call: Call) -> Reply:
    """Mark it as viewed or analyzed."""
    recording = await _found(call)
    body = await call.json()
    if body.get("viewed") is not True and body.get("analyzed") is not True:
        raise invalid("At least one of viewed or analyzed must be true.")
    if body.get("viewed") is True and recording["id"] not in views(call.sandbox):
        call.sandbox.store.create(VIEWS, {"session_id": recording["id"]})
    return Reply({"success": True})


@route("DELETE", _ONE, scope=_WRITE, bucket="analytics")
async def delete_recording(call: Call) -> Reply:
    """Remove it; the session's events stay."""
    recording = await _found(call)
    for statement in (_DELETED, _DELETED_LINES):
        await call.sandbox.engine.execute(statement, {"session": recording["id"]})
    return Reply(None, 204)


async def _found(call: Call) -> JSON:
    answer = await _asked(call, {"session_recording_id": call.params["id"]})
    if not answer["results"]:
        raise not_found("Recording not found")
    return answer["results"][0]


async def _asked(call: Call, fields: JSON) -> JSON:
    sandbox = call.sandbox
    await sandbox.cohorts.refresh()
    query = {**fields, "kind": "RecordingsQuery"}
    asked = Asked(sandbox, query, world_of(sandbox), uuid4().hex, sandbox.options.query_seconds)
    return (await recordings_query(asked)).body


def _value(name: str, text: str) -> Any:
    if name in _NUMBERS:
        return int(text) if text.isascii() and text.isdigit() else text
    if name in _FLAGS:
        return text.lower() == "true"
    if name not in _JSON:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid("Must be JSON.", name) from error
