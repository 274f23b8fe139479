"""The dates of `is_date_before` and `is_date_after`: ISO, a year, or so long ago."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

DateFilter = Callable[[datetime], datetime]

_RELATIVE = re.compile(r"-?([0-9]+)([a-z])")
_YEAR = re.compile(r"[0-9]{4}")
_OFFSET_APART = re.compile(r" ([+-]\d{2}:\d{2})$")
_LONGEST = 9_999
_ALWAYS_IN_MONTH = 28


def compile_date(text: str) -> DateFilter:
    """The moment a filter's text names, given the present.

    Args:
        text: `-30d` or `30d` (units h, d, w, m, y), a year, or an ISO date or time; naive means UTC.

    Raises:
        ValueError: When it is none of these, or lies before year 1. The returned function raises it too,
            for a 29 February that the year does not have.
    """
    relative = _RELATIVE.fullmatch(text)
    if relative and int(relative[1]) <= _LONGEST and relative[2] in _STEPS:
        step, count = _STEPS[relative[2]], int(relative[1])
        # Before year 1 there is nothing, whatever the present.
        step(datetime.now(UTC), count)
        return lambda now: step(now, count)
    if _YEAR.fullmatch(text.strip()):
        year = int(text.strip())
        return lambda now: datetime(year, now.month, now.day, tzinfo=UTC)
    fixed = parse_moment(text)
    return lambda _now: fixed


def parse_moment(text: str, now: datetime | None = None) -> datetime:
    """A property's text as a moment; naive means UTC.

    Raises:
        ValueError: When the text is no ISO date or time.
    """
    try:
        return _parse_iso(text)
    except ValueError:
        if not _YEAR.fullmatch(text.strip()):
            raise
        today = now or datetime.now(UTC)
        return datetime(int(text), today.month, today.day, tzinfo=UTC)


@lru_cache(maxsize=1_024)
def _parse_iso(text: str) -> datetime:
    # A person's dates are read again by every flag that asks for them.
    text = text.strip()
    if text.endswith("Z"):
        text = text[:-1] + "+00:00"
    elif text.upper().endswith(" UTC"):
        text = text[:-4] + "+00:00"
    return aware(datetime.fromisoformat(_OFFSET_APART.sub(r"\1", text)))


def aware(moment: datetime) -> datetime:
    """The moment with a zone: naive means UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _months_before(now: datetime, months: int) -> datetime:
    here = now.year * 12 + now.month - 1
    there = here - months
    day = now.day
    for index in range(here - 1, there - 1, -1):
        if day <= _ALWAYS_IN_MONTH:
            break
        day = min(day, calendar.monthrange(index // 12, index % 12 + 1)[1])
    return now.replace(year=there // 12, month=there % 12 + 1, day=day)


def _years_before(now: datetime, years: int) -> datetime:
    leap_day = (now.month, now.day) == (2, 29)
    return now.replace(year=now.year - years, day=_ALWAYS_IN_MONTH if leap_day and years else now.day)


_STEPS: dict[str, Callable[[datetime, int], datetime]] = {
    "h": lambda now, count: now - timedelta(hours=count),
    "d": lambda now, count: now - timedelta(days=count),
    "w": lambda now, count: now - timedelta(weeks=count),
    "m": _months_before,
    "y": _years_before,
}
