"""The seeded product's assistant leaves traces: the same every time, some failed, some rated."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from posthog_mcp.sandbox.ingest import RawEvent
from posthog_mcp.sandbox.seed.assistant import assisted
from posthog_mcp.sandbox.seed.plan import plan
from posthog_mcp.sandbox.seed.render import events

NOW = datetime(2026, 6, 17, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def stream() -> list[RawEvent]:
    return list(assisted(events(plan("small", NOW)), NOW))


def test_the_other_events_stay_as_they_are(stream: list[RawEvent]) -> None:
    assert [event for event in stream if not event.event.startswith("$ai_")] == list(
        events(plan("small", NOW))
    )


def test_traces_are_whole_and_of_the_last_month(stream: list[RawEvent]) -> None:
    made = [event for event in stream if event.event.startswith("$ai_")]
    assert len({event.uuid for event in made}) == len(made)
    assert all(NOW - event.timestamp < timedelta(days=30) for event in made)
    traces = Counter(event.properties["$ai_trace_id"] for event in made if event.event != "$ai_feedback")
    assert len(traces) > 10
    assert set(traces.values()) == {3}


def test_some_answers_fail_and_some_are_rated(stream: list[RawEvent]) -> None:
    kinds = Counter(event.event for event in stream)
    failed = [event for event in stream if event.properties.get("$ai_error")]
    assert 0 < len(failed) < kinds["$ai_trace"] / 3
    assert 0 < kinds["$ai_feedback"] < kinds["$ai_trace"] / 2
    assert all("$ai_output_tokens" not in event.properties for event in failed)
