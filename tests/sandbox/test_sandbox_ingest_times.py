"""When an event happened: the client's word, corrected by the difference of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_mcp.sandbox.ingest import times

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-01T{text}+00:00")


@pytest.mark.parametrize(
    ("timestamp", "sent_at", "stored"),
    [
        ("2026-03-01T11:00:00Z", at("12:00:10"), at("10:59:50")),
        ("2026-03-01T11:00:00Z", at("11:59:50"), at("11:00:10")),
        (None, at("11:00:00"), NOW),
        ("", at("11:00:00"), NOW),
        ("yesterday-ish", None, NOW),
        ("2026-03-02T10:59:00Z", None, NOW + timedelta(hours=22, minutes=59)),
        ("2026-03-02T11:01:00Z", None, NOW),
        ("2015-03-02T11:01:00Z", None, datetime(2015, 3, 2, 11, 1, tzinfo=UTC)),
    ],
)
def test_the_clocks_difference_is_taken_off_and_only_the_far_future_is_refused(timestamp, sent_at, stored):
    assert times.event_time(timestamp, now=NOW, sent_at=sent_at) == stored


def test_an_offset_wins_over_a_timestamp():
    time = times.event_time("2026-03-01T11:00:00Z", now=NOW, sent_at=at("12:00:10"), offset=90_000)
    assert time == at("11:58:30")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-03-01T10:00:00+03", at("07:00:00")),
        ("2026-03-01T10:00:00+03:00", at("07:00:00")),
        ("2026-03-01T10:00:00.25Z", at("10:00:00.250000")),
        ("2026-03-01 10:00:00", at("10:00:00")),
        ("2026-03-01", at("00:00:00")),
        ("2026/03/01 10:00:00", at("10:00:00")),
        ("03/01/2026", at("00:00:00")),
        ("Sun, 01 Mar 2026 10:00:00 +0000", at("10:00:00")),
        ("Mar 1, 2026 10:00:00", at("10:00:00")),
        ("1772359200", at("10:00:00")),
        ("1772359200123", at("10:00:00.123000")),
        ("1712010100123", datetime(2024, 4, 1, 22, 21, 40, 123000, tzinfo=UTC)),
    ],
)
def test_common_forms_of_a_time_are_read(text, time):
    assert times.parse(text) == time


@pytest.mark.parametrize("text", ["soon", "", "2026-13-01", "12345", "9" * 40, "0001-01-01T00:00:00+23:59"])
def test_what_names_no_time_is_none(text):
    assert times.parse(text) is None


@given(st.text(max_size=30), st.datetimes(), st.integers(-(10**16), 10**16) | st.none())
def test_any_text_gives_a_time_the_engine_can_hold(text, sent_at, offset):
    time = times.event_time(text, now=NOW, sent_at=sent_at.replace(tzinfo=UTC), offset=offset)
    assert datetime(1900, 1, 1, tzinfo=UTC) <= time <= NOW + timedelta(hours=23)
    assert datetime.fromisoformat(times.engine_text(time) + "+00:00") == time
