"""Annotations: notes on a moment of the project's time line."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

from posthog_mcp.sandbox.api.activity_log import record
from posthog_mcp.sandbox.http.errors import hard_delete_refused, invalid, not_found
from posthog_mcp.sandbox.http.paging import counted
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.times import iso, read_iso
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthog_mcp.sandbox.http.routing import Call
    from posthog_mcp.sandbox.sandbox import Sandbox

_KIND = "annotation"
_LIST = "/api/projects/{project_id}/annotations/"
_ONE = "/api/projects/{project_id}/annotations/{id}/"
_SCOPES = ("dashboard_item", "dashboard", "project", "organization", "tag", "recording")
_PAGE = 1000


class AnnotationFields(BaseModel):
    """What can be written; what is absent keeps its value."""

    content: Annotated[str, Field(max_length=8192)] | None = None
    date_marker: datetime | None = None
    creation_type: Literal["USR", "GIT"] = "USR"
    dashboard_item: int | None = None
    dashboard_id: int | None = None
    deleted: bool = False
    scope: Literal["dashboard_item", "dashboard", "project", "organization", "tag", "recording"] = (
        "dashboard_item"
    )
    emoji: Annotated[str, Field(max_length=16)] | None = None
    hidden_in_user_interface: bool | None = None
    tags: list[str] = []

    @field_validator("scope")
    @classmethod
    def _no_recordings(cls, scope: str) -> str:
        if scope == "recording":
            raise ValueError("Recording scope is deprecated")
        return scope

    @field_validator("emoji")
    @classmethod
    def _blank_is_none(cls, emoji: str | None) -> str | None:
        return emoji or None


@route("GET", _LIST, scope="annotation:read")
async def list_annotations(call: Call) -> Reply:
    """Newest moment first; 1,000 to a page."""
    found = [one for one in call.sandbox.store.all(_KIND) if _visible(call.sandbox, one)]
    wanted = _wanted(call)
    found = [one for one in found if wanted(one)]
    found.sort(key=lambda one: (read_iso(one["date_marker"]), one["id"]), reverse=True)
    return Reply(counted(call, found, default=_PAGE))


@route("POST", _LIST, scope="annotation:write")
async def create_annotation(call: Call) -> Reply:
    """Make one; the moment is now unless given."""
    fields = checked(AnnotationFields, await call.json())
    _check(call.sandbox, fields, fields.scope)
    now = iso(call.sandbox.clock())
    values = _values(fields)
    body = values | {
        "date_marker": values["date_marker"] or now,
        "dashboard_name": None,
        "insight_short_id": None,
        "insight_name": None,
        "insight_derived_name": None,
        "created_by": call.sandbox.project.user.basic(),
        "created_at": now,
        "updated_at": now,
    }
    annotation = call.sandbox.store.create(_KIND, body)
    record(call.sandbox, "created", "Annotation", annotation["id"], name=annotation["content"] or "")
    return Reply(annotation, 201)


@route("GET", _ONE, scope="annotation:read")
async def get_annotation(call: Call) -> Reply:
    """One; deleted ones are not found."""
    return Reply(_find(call))


@route("PATCH", _ONE, scope="annotation:write")
@route("PUT", _ONE, scope="annotation:write")
async def update_annotation(call: Call) -> Reply:
    """Change what is given; `deleted` hides it and brings it back."""
    body = await call.json()
    before = _find(call, deleted=body.get("deleted") is False)
    fields = checked(AnnotationFields, body)
    _check(call.sandbox, fields, fields.scope if "scope" in fields.model_fields_set else before["scope"])
    given = {name: value for name, value in _values(fields).items() if name in fields.model_fields_set}
    after: dict[str, Any] = {**before, **given, "updated_at": iso(call.sandbox.clock())}
    call.sandbox.store.put(_KIND, after["id"], after)
    was = {name: before.get(name) for name in given}
    activity = "deleted" if after["deleted"] and not before["deleted"] else "updated"
    name = after["content"] or ""
    record(call.sandbox, activity, "Annotation", after["id"], name=name, before=was, after=given)
    return Reply(after)


@route("DELETE", _ONE, scope="annotation:write")
async def delete_annotation(call: Call) -> Reply:
    """Refused, as in PostHog."""
    _find(call)
    raise hard_delete_refused()


def _find(call: Call, *, deleted: bool = False) -> dict[str, Any]:
    number = call.params["id"]
    found = call.sandbox.store.get(_KIND, int(number)) if number.isdigit() else None
    if found is None or not (_visible(call.sandbox, found) or (deleted and found["deleted"])):
        raise not_found()
    return found


def _visible(sandbox: Sandbox, annotation: dict[str, Any]) -> bool:
    """Deleted ones vanish, and so do those on a deleted insight or dashboard."""
    if annotation["deleted"]:
        return False
    for kind, field in (("insight", "dashboard_item"), ("dashboard", "dashboard_id")):
        holder = annotation[field] and sandbox.store.get(kind, annotation[field])
        if holder and holder.get("deleted"):
            return False
    return True


def _values(fields: AnnotationFields) -> dict[str, Any]:
    values = fields.model_dump()
    if fields.date_marker is not None:
        values["date_marker"] = iso(read_iso(fields.date_marker.isoformat()))
    return values


def _check(sandbox: Sandbox, fields: AnnotationFields, scope: str) -> None:
    if fields.dashboard_id is not None and sandbox.store.get("dashboard", fields.dashboard_id) is None:
        raise invalid("Dashboard not found.", "dashboard_id")
    if "tags" in fields.model_fields_set and fields.tags and scope != "tag":
        raise invalid("Tags can only be set on annotations with the tag scope.", "tags")
    if fields.scope == "tag" and not fields.tags:
        raise invalid("At least one tag is required for the tag scope.", "tags")


def _wanted(call: Call) -> Callable[[dict[str, Any]], bool]:
    """What the query string asks for, as one test."""
    query = call.query
    text = query.get("search", "").lower()
    scope = "dashboard_item" if query.get("scope") == "insight" else query.get("scope")
    if scope and scope not in _SCOPES:
        raise invalid(f"Invalid scope: {scope}. Must be one of {', '.join(_SCOPES)}", "scope")
    start, end = _moment(call, "date_from"), _moment(call, "date_to")
    if start and end and start > end:
        raise invalid("date_from must be before or equal to date_to.", "date_from")
    emoji, hidden = query.get("is_emoji"), query.get("hidden_in_user_interface")

    def wanted(one: dict[str, Any]) -> bool:
        at = read_iso(one["date_marker"])
        return (
            text in (one["content"] or "").lower()
            and (not scope or one["scope"] == scope)
            and (start is None or at >= start)
            and (end is None or at <= end)
            and (emoji is None or (one["emoji"] is not None) is _true(emoji))
            and (hidden is None or bool(one["hidden_in_user_interface"]) is _true(hidden))
        )

    return wanted


def _true(text: str) -> bool:
    return text.lower() in ("true", "1")


def _moment(call: Call, name: str) -> datetime | None:
    text = call.query.get(name)
    if not text:
        return None
    try:
        return read_iso(text)
    except ValueError as error:
        detail = f"Invalid {name} format. Use ISO 8601 (e.g. 2026-03-01T00:00:00Z)."
        raise invalid(detail, name) from error
