"""Times as people and models write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator

_RELATIVE = re.compile(r"^-?(\d{1,5})([mhdw])$")
_SHOWN = 40  # characters of a value that an error repeats
_YEARS = range(
    1900, 9999
)  # PostHog's database moves earlier times to 1900; the last year leaves no room to add
_EXAMPLES = "write 2026-03-01T10:00:00Z, or -7d for a week ago"
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_time(text: str, now: datetime) -> datetime:
    """The moment that `text` names.

    Args:
        text: ISO 8601 (`2026-03-01`, `2026-03-01T10:00:00Z`, `2026-03-01T12:00:00+02:00`; without a zone it
            is UTC), `now`, or so long ago: `-30m`, `-2h`, `-7d`, `-4w`.
        now: The moment that relative times count from.

    Returns:
        A time in UTC.

    Raises:
        ValueError: It is none, or lies outside the years 1900 to 9998; with words for the caller.
    """
    words = text.strip()
    try:
        moment = _moment(words, now)
    except (ValueError, OverflowError):
        raise ValueError(f"`{_shown(words)}` is no time: {_EXAMPLES}") from None
    if moment.year not in _YEARS:
        raise ValueError(f"`{_shown(words)}` lies outside the years 1900 to 9998")
    return moment


def _moment(words: str, now: datetime) -> datetime:
    if words.lower() == "now":
        return now
    relative = _RELATIVE.match(words)
    if relative:
        return now - timedelta(**{_UNITS[relative[2]]: int(relative[1])})
    moment = datetime.fromisoformat(words)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _shown(words: str) -> str:
    return words if len(words) <= _SHOWN else words[:_SHOWN] + "…"


def iso(moment: datetime) -> str:
    """The time as PostHog takes it: `2026-03-01T10:00:00.250000Z`, fractions only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _check(words: str) -> str:
    if words:
        parse_time(words, datetime.now(UTC))
    return words


Moment = Annotated[str, AfterValidator(_check)]
"""An argument that `parse_time` reads; checked with the arguments, turned into a time when the tool runs."""
