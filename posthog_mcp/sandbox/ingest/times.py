"""When an event happened: what the client says, its clock corrected by ours, kept out of the far future."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_PERSON = datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)
"""`person_created_at` of an event without a person."""

_FUTURE_LIMIT = timedelta(hours=23)
# The engine's DateTime64 begins here; an older time would be stored as something else without a word.
_ENGINE_FLOOR = datetime(1900, 1, 1, tzinfo=UTC)
_EPOCH_NUMBER = re.compile(r"\d{9,13}(\.\d+)?")
_MILLISECONDS_FROM = 100_000_000_000
_COMMON_FORMATS = (
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y",
    "%b %d, %Y %H:%M:%S",
    "%b %d, %Y",
    "%d %b %Y %H:%M:%S",
    "%d %b %Y",
)


def parse(text: str) -> datetime | None:
    """The time in UTC that a client's text names, or None when it names none.

    Reads RFC 3339 (`+03` too), RFC 2822, epoch seconds and milliseconds, and a few common local forms; a time
    without a zone is UTC.
    """
    if text.isdigit() and len(text) > len("20260301"):  # ISO 8601 would read a time into such digits
        return _parse_uncommon(text)
    try:
        return _in_utc(datetime.fromisoformat(text))
    except ValueError:
        return _parse_uncommon(text.strip())
    except OverflowError:
        return None


def _parse_uncommon(text: str) -> datetime | None:
    if _EPOCH_NUMBER.fullmatch(text):
        number = float(text)
        seconds = number / 1000 if abs(number) >= _MILLISECONDS_FROM else number
        return EPOCH + timedelta(seconds=seconds)
    for form in _COMMON_FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    try:
        return _in_utc(parsedate_to_datetime(text))
    except (ValueError, OverflowError):
        return None


def _in_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def event_time(
    timestamp: str | datetime | None,
    *,
    now: datetime,
    sent_at: datetime | None = None,
    offset: int | None = None,
) -> datetime:
    """The time to store for an event, in UTC.

    Args:
        timestamp: what the client wrote, or a time in UTC, if anything.
        now: when the server received the event.
        sent_at: the client's clock when it sent the request: the difference to `now` is taken off. Leave it
            out for events that carry `$ignore_sent_at`.
        offset: milliseconds before `now`; wins over everything else.
    """
    if offset is not None:
        time = _ago(now, offset)
    else:
        time = parse(timestamp) if isinstance(timestamp, str) else timestamp
        if time is None:
            return now
        if sent_at is not None:
            time = _shifted(time, now - sent_at)
    if time - now > _FUTURE_LIMIT:
        return now
    return time if time > _ENGINE_FLOOR else _ENGINE_FLOOR  # noqa: FURB136 - once per event, max() is slower


def _ago(now: datetime, milliseconds: int) -> datetime:
    try:
        return now - timedelta(milliseconds=milliseconds)
    except OverflowError:
        return EPOCH


def _shifted(time: datetime, by: timedelta) -> datetime:
    try:
        return time + by
    except OverflowError:
        return EPOCH


def engine_text(time: datetime) -> str:
    """The form the engine reads: `2026-03-01 10:00:00.000000`, in UTC."""
    return time.isoformat(" ", "microseconds")[:26]


def iso_text(time: datetime) -> str:
    """The form PostHog's API writes: `2026-03-01T10:00:00.000000Z`."""
    return time.isoformat("T", "microseconds")[:26] + "Z"


def hour_of(time: datetime) -> datetime:
    """The time floored to the hour."""
    return time.replace(minute=0, second=0, microsecond=0)
