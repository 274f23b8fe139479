"""Times as people and models write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator

_RELATIVE = re.compile(r"^-?(\d{1,5})([mhdw])$")
_SHOWN = 40  # characters of a value that an error repeats
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
        ValueError: With words for the caller.
    """
    words = text.strip()
    if words.lower() == "now":
        return now
    relative = _RELATIVE.match(words)
    if relative:
        return now - timedelta(**{_UNITS[relative[2]]: int(relative[1])})
    try:
        moment = datetime.fromisoformat(words)
    except ValueError:
        shown = words if len(words) <= _SHOWN else words[:_SHOWN] + "…"
        raise ValueError(f"`{shown}` is no time: write 2026-03-01T10:00:00Z, or -7d for a week ago") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def iso(moment: datetime) -> str:
    """The time as PostHog takes it: `2026-03-01T10:00:00.250000Z`, fractions only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _check(words: str) -> str:
    if words:
        parse_time(words, datetime.now(UTC))
    return words


Moment = Annotated[str, AfterValidator(_check)]
"""An argument that `parse_time` reads; checked with the arguments, turned into a time when the tool runs."""
