"""A message of recorded events (`$snapshot`) as a block of its recording's metadata, and its console lines.

Source: PostHog's `nodejs/src/ingestion/.../session-recording`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import uuid4

from posthog_mcp.sandbox.ingest import times
from posthog_mcp.sandbox.ingest.text import dumps, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from posthog_mcp.sandbox.ingest.events import RawEvent

JSON = dict[str, Any]

SNAPSHOTS: Final = frozenset({"$snapshot", "$snapshot_items"})
"""Names of the messages that recordings come in; they are no events."""
_SESSION_ID: Final = re.compile(r"[0-9a-zA-Z-]{1,70}")
_LONGEST_URL: Final = 4 * 1024
_MOST_URLS: Final = 25
_LONGEST_PAUSE: Final = 5_000  # milliseconds without an active event that end a stretch
_LONGEST_LINE: Final = 10_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# rrweb's numbers: types of events, sources of incremental ones, kinds of mouse interactions.
_INCREMENTAL, _META, _CUSTOM, _PLUGIN = 3, 4, 5, 6
_MOUSE_MOVE, _MOUSE, _INPUT, _TOUCH_MOVE = 1, 2, 5, 6
_ACTIVE: Final = frozenset({1, 2, 3, 4, 5, 6, 7, 12})
_CLICKS: Final = frozenset({2, 3, 4, 9})
_LEVELS: Final = {"warn": "warn", "countReset": "warn", "error": "error", "assert": "error"}
_COUNTED: Final = {"info": "console_log_count", "warn": "console_warn_count", "error": "console_error_count"}


@dataclass(slots=True)
class _Counts:
    """What a block adds up to."""

    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            (*_COUNTED.values(), "click_count", "keypress_count", "mouse_activity_count"), 0
        )
    )
    urls: list[str] = field(default_factory=list[str])
    lines: list[JSON] = field(default_factory=list[JSON])

    def add(self, event: JSON) -> None:
        data = _object(event.get("data"))
        self._add_url(data)
        if event.get("type") == _INCREMENTAL:
            source = data.get("source")
            self.counts["click_count"] += source == _MOUSE and data.get("type") in _CLICKS
            self.counts["keypress_count"] += source == _INPUT
            self.counts["mouse_activity_count"] += source in (_MOUSE, _MOUSE_MOVE, _TOUCH_MOVE)
        if event.get("type") == _PLUGIN and data.get("plugin") == "rrweb/console@1":
            self._add_line(event, _object(data.get("payload")))

    def _add_url(self, data: JSON) -> None:
        href = data.get("href") or _object(data.get("payload")).get("href")
        if isinstance(href, str) and href and len(self.urls) < _MOST_URLS:
            url = whole(href)[:_LONGEST_URL]
            if url not in self.urls:
                self.urls.append(url)

    def _add_line(self, event: JSON, payload: JSON) -> None:
        level = _LEVELS.get(str(payload.get("level")), "info")
        self.counts[_COUNTED[level]] += 1
        words = cast("list[Any]", payload.get("payload")) if isinstance(payload.get("payload"), list) else []
        message = " ".join(_unquoted(word) for word in words)[:_LONGEST_LINE]
        self.lines.append(
            {"timestamp": _engine_time(event["timestamp"]), "level": level, "message": whole(message)}
        )


def replay_rows(messages: Sequence[RawEvent]) -> dict[str, list[str]]:
    """The rows that messages of recordings make, as JSON lines by name of the engine's table.

    A message without a session or without recorded events makes none.
    """
    rows: dict[str, list[str]] = {}
    for message in messages:
        block = _block(message)
        if block is not None:
            rows.setdefault("session_replay_blocks", []).append(dumps(block[0]))
            rows.setdefault("log_entries", []).extend(map(dumps, block[1]))
    return {table: lines for table, lines in rows.items() if lines}


def _block(raw: RawEvent) -> tuple[JSON, list[JSON]] | None:
    """What one message adds to its recording, and its console lines."""
    session_id = raw.properties.get("$session_id")
    events = [event for event in _recorded(raw.properties) if _milliseconds(event) is not None]
    if not isinstance(session_id, str) or not _SESSION_ID.fullmatch(session_id) or not events:
        return None
    found = _Counts()
    for event in events:
        found.add(event)
    moments = sorted(event["timestamp"] for event in events)
    session = {"session_id": session_id.lower(), "distinct_id": whole(raw.distinct_id)}
    block_id = raw.uuid or str(uuid4())
    row = {
        **session,
        "block_id": block_id,
        "first_timestamp": _engine_time(moments[0]),
        "last_timestamp": _engine_time(moments[-1]),
        "first_url": found.urls[0] if found.urls else "",
        "all_urls": found.urls,
        **found.counts,
        "active_milliseconds": _active([event for event in events if _is_active(event)]),
        "size": sum(len(dumps(event)) for event in events),
        "event_count": len(events),
        "message_count": 1,
        "snapshot_source": _text(raw.properties.get("$snapshot_source")) or "web",
        "snapshot_library": _text(raw.properties.get("$lib")),
    }
    lines = [
        {
            "log_source": "session_replay",
            "log_source_id": session["session_id"],
            "instance_id": f"{block_id}:{number}",
            **line,
        }
        for number, line in enumerate(found.lines)
    ]
    return row, lines


def _recorded(properties: JSON) -> Iterator[JSON]:
    data = properties.get("$snapshot_data", properties.get("$snapshot_items"))
    for item in cast("list[Any]", data) if isinstance(data, list) else [data]:
        if isinstance(item, dict):
            yield cast("JSON", item)


def _milliseconds(event: JSON) -> int | float | None:
    """When it was recorded; None for what is no time that the engine can hold."""
    moment = event.get("timestamp")
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        return None
    return moment if 0 < moment < 4_000_000_000_000 else None  # noqa: PLR2004 - the year 2096


def _is_active(event: JSON) -> bool:
    return event.get("type") == _INCREMENTAL and _object(event.get("data")).get("source") in _ACTIVE


def _active(events: Sequence[JSON]) -> int:
    """Milliseconds of the stretches in which somebody did something; one event alone counts as one."""
    total = 0.0
    start = last = 0.0
    for moment in sorted(event["timestamp"] for event in events):
        if last and moment - last <= _LONGEST_PAUSE:
            last = moment
            continue
        total += max(last - start, 1) if last else 0
        start = last = moment
    return round(total + (max(last - start, 1) if last else 0))


def _engine_time(milliseconds: float) -> str:
    return times.engine_text(_EPOCH + timedelta(milliseconds=milliseconds))


def _unquoted(word: Any) -> str:
    """A word of a console line; rrweb writes each as JSON."""
    if not isinstance(word, str):
        return dumps(word)
    try:
        read = json.loads(word)
    except (ValueError, RecursionError):
        return word
    return read if isinstance(read, str) else word


def _object(value: Any) -> JSON:
    return cast("JSON", value) if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return whole(value) if isinstance(value, str) else ""
