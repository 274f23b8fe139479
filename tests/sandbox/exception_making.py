"""Exceptions for tests of error tracking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.ingest import RawEvent

if TYPE_CHECKING:
    from datetime import datetime


def exception(
    kind: str, person: str, at: datetime, *, value: str = "", place: str = "", **properties: Any
) -> RawEvent:
    """An `$exception`: with a place its issue is the kind there, without it the kind and its words."""
    raised: dict[str, Any] = {"type": kind, "value": value or f"{kind} happened"}
    if place:
        filename, _, function = place.partition(":")
        frame = {"platform": "python", "filename": filename, "function": function, "lineno": 7}
        raised["stacktrace"] = {"type": "raw", "frames": [frame]}
    return RawEvent("$exception", person, {"$exception_list": [raised], **properties}, timestamp=at)
