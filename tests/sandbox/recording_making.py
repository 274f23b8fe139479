"""Messages of recorded events for tests of session replay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.sandbox.ingest import RawEvent

if TYPE_CHECKING:
    from datetime import datetime

CLICK = (3, {"source": 2, "type": 2})
FOCUS = (3, {"source": 2, "type": 5})
KEY = (3, {"source": 5})
MOVE = (3, {"source": 1})
MUTATION = (3, {"source": 0})


def page(url: str) -> tuple[int, dict[str, Any]]:
    """A page was entered."""
    return (4, {"href": url})


def console(level: str, *words: str) -> tuple[int, dict[str, Any]]:
    """A line was written to the console."""
    return (6, {"plugin": "rrweb/console@1", "payload": {"level": level, "payload": list(words)}})


def snapshot(
    session: str, person: str, start: datetime, *events: tuple[float, tuple[int, dict[str, Any]]], **more: Any
) -> RawEvent:
    """A `$snapshot` message: its events are so many seconds after `start`."""
    data = [
        {"type": kind, "timestamp": int(start.timestamp() * 1000 + seconds * 1000), "data": content}
        for seconds, (kind, content) in events
    ]
    return RawEvent("$snapshot", person, {"$session_id": session, "$snapshot_data": data, **more})
