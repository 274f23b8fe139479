"""Error tracking's issues and exceptions, as agents read them."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from posthog_mcp.tool.persons import read

Json = dict[str, Any]

_MOST_FRAMES = 15  # of one exception; the innermost ones say most
_FOREIGN_FRAMES = 3  # shown where none is the application's own
_MESSAGE = 1_000  # characters of one exception's message


def issue_id(value: str) -> str:
    """The id of an issue as PostHog writes it.

    Raises:
        ValueError: With words for the caller.
    """
    try:
        return str(UUID(value.strip()))
    except ValueError:
        raise ValueError("is no id of an error: list_errors has them, such as 9dfd43a3-2d8d-…") from None


def assignee(issue: Json) -> str:
    """Who has an issue: `user 3`, `role …`; empty for nobody."""
    found: Json = issue.get("assignee") or {}
    return f"{found.get('type')} {found.get('id')}" if found else ""


def place(issue: Json) -> str:
    """Where it last happened: `pay in shop/cart.py`."""
    return " in ".join(filter(None, (issue.get("function"), issue.get("source"))))


def trend(issue: Json) -> list[int]:
    """How often it happened in each part of the period, oldest first."""
    buckets = _objects(_object(issue.get("aggregations")).get("volume_buckets"))
    return [int(bucket["value"]) for bucket in buckets]


def event_properties(event: Json | None) -> Json:
    """The properties of an event that an issue comes with; PostHog writes them as JSON text."""
    return _object(read((event or {}).get("properties")))


def exceptions(properties: Json) -> list[Json]:
    """The exceptions of an event, the one raised last first: type, message, and the application's frames."""
    return [_exception(found) for found in _objects(properties.get("$exception_list"))]


def _exception(found: Json) -> Json:
    frames = _objects(_object(found.get("stacktrace")).get("frames"))
    own = [frame for frame in frames if frame.get("in_app") is not False]
    kept = own[-_MOST_FRAMES:] if own else frames[-_FOREIGN_FRAMES:]
    message = str(found.get("value") or "")
    shown: Json = {"type": str(found.get("type") or ""), "message": message[:_MESSAGE]}
    if len(message) > _MESSAGE:
        shown["message"] += f"… ({len(message):,} characters)"
    if kept:
        shown["frames"] = [_frame(frame) for frame in kept]
    if len(frames) > len(kept):
        shown["frames_left_out"] = len(frames) - len(kept)
    if _object(found.get("mechanism")).get("handled") is False:
        shown["unhandled"] = True
    return shown


def _frame(frame: Json) -> str:
    """`shop/cart.py:88 pay`, of a frame as sent or as PostHog resolved it."""
    file = frame.get("source") or frame.get("filename") or frame.get("abs_path") or "?"
    line = frame.get("line") or frame.get("lineno")
    function = frame.get("resolved_name") or frame.get("function") or frame.get("mangled_name") or ""
    return f"{file}{f':{line}' if line else ''} {function}".strip()


def releases(properties: Json) -> list[str]:
    """The releases an event names: `shop 2.4.1`."""
    named = _objects(list(_object(properties.get("$exception_releases")).values()))
    found = [f"{release.get('project') or ''} {release.get('version') or ''}".strip() for release in named]
    version = properties.get("$app_version") or properties.get("$release")
    return [*filter(None, found), *([str(version)] if version and not found else [])]


def _object(value: Any) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Json]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Json", item) for item in items if isinstance(item, dict)]
