"""Recordings of some of the sessions: what the page would have recorded around each event."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID, uuid5
from zlib import crc32

from posthog_mcp.sandbox.ingest import RawEvent

_MESSAGES: Final = UUID("0d6c1b52-8f0e-5d38-9c57-64b0a1e5d2f3")
_ONE_IN: Final = 10  # sessions
_KEPT: Final = timedelta(days=30)  # as long as PostHog keeps recordings by default
_MOVES: Final = 4  # seconds in which the mouse moves before something happens
_META, _INCREMENTAL, _PLUGIN = 4, 3, 6
_CLICK, _MOVE, _INPUT = {"source": 2, "type": 2}, {"source": 1}, {"source": 5}


def recorded(events: Iterable[RawEvent], now: datetime) -> Iterator[RawEvent]:
    """The events, and behind each event of a recorded session a message of what was recorded around it.

    Args:
        events: In order of time.
        now: Older sessions than PostHog keeps have no recording.
    """
    for event in events:
        yield event
        session = event.properties.get("$session_id")
        at = cast("datetime", event.timestamp)
        if isinstance(session, str) and crc32(session.encode()) % _ONE_IN == 0 and now - at < _KEPT:
            yield _message(event, at)


def _message(event: RawEvent, at: datetime) -> RawEvent:
    moments = [
        *((at - timedelta(seconds=seconds), _INCREMENTAL, _MOVE) for seconds in range(_MOVES, 0, -1)),
        (at, *_happened(event)),
    ]
    data = [
        {"type": kind, "timestamp": int(moment.timestamp() * 1000), "data": content}
        for moment, kind, content in moments
    ]
    kept = {name: event.properties[name] for name in ("$session_id", "$window_id", "$lib")}
    return RawEvent(
        "$snapshot",
        event.distinct_id,
        {**kept, "$snapshot_data": data, "$snapshot_source": "web"},
        uuid=str(uuid5(_MESSAGES, str(event.uuid))),
        timestamp=at,
    )


def _happened(event: RawEvent) -> tuple[int, dict[str, Any]]:
    """What rrweb records of an event."""
    if event.event == "$pageview":
        return _META, {"href": event.properties["$current_url"]}
    if event.event == "$exception":
        exception = event.properties["$exception_list"][0]
        said = f'"{exception["type"]}: {exception["value"]}"'
        return _PLUGIN, {"plugin": "rrweb/console@1", "payload": {"level": "error", "payload": [said]}}
    return _INCREMENTAL, _CLICK if event.event == "$autocapture" else _INPUT
