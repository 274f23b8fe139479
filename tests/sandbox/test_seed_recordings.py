"""Some of the seeded sessions are recorded: the same ones every time, and what happened is in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from posthog_mcp.sandbox.ingest import RawEvent
from posthog_mcp.sandbox.ingest.recordings import replay_rows
from posthog_mcp.sandbox.seed.plan import plan
from posthog_mcp.sandbox.seed.recordings import recorded
from posthog_mcp.sandbox.seed.render import events

NOW = datetime(2026, 6, 17, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def stream() -> list[RawEvent]:
    return list(recorded(events(plan("small", NOW)), NOW))


def test_the_events_stay_as_they_are(stream: list[RawEvent]) -> None:
    assert [event for event in stream if event.event != "$snapshot"] == list(events(plan("small", NOW)))


def test_every_tenth_session_of_the_last_month_is_recorded(stream: list[RawEvent]) -> None:
    messages = [event for event in stream if event.event == "$snapshot"]
    assert all(NOW - event.timestamp < timedelta(days=30) for event in messages)
    assert len({event.uuid for event in messages}) == len(messages)
    sessions = {event.properties["$session_id"] for event in messages}
    recent = {
        event.properties["$session_id"]
        for event in events(plan("small", NOW))
        if "$session_id" in event.properties and NOW - event.timestamp < timedelta(days=30)
    }
    assert 0.05 < len(sessions) / len(recent) < 0.15


def test_recordings_show_pages_clicks_and_errors(stream: list[RawEvent]) -> None:
    messages = [event for event in stream if event.event == "$snapshot"]
    rows = replay_rows(messages)
    blocks = [json.loads(line) for line in rows["session_replay_blocks"]]
    assert len(blocks) == len(messages)
    for name in ("click_count", "mouse_activity_count", "active_milliseconds", "console_error_count"):
        assert sum(block[name] for block in blocks) > 0
    pages = [event.properties["$current_url"] for event in stream if event.event == "$pageview"]
    assert {url for block in blocks for url in block["all_urls"]} <= set(pages)
    assert all(json.loads(line)["level"] == "error" for line in rows["log_entries"])
