"""Times as PostHog writes and reads them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(moment: datetime) -> str:
    """`2026-03-01T10:00:00.123456Z`; no fraction when there is none."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def read_iso(text: str) -> datetime:
    """An ISO 8601 date or time as an aware datetime; without an offset it is UTC.

    Raises ValueError for anything else.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
