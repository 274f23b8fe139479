"""One value of a table as text."""

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from posthog_mcp.safety import clean, clean_value

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_TO_ESCAPE = re.compile(r"[\\\t\n\r]")
_SECONDS = len("2026-03-01T10:00:00")
_FINE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)$")
_LARGEST_WHOLE = 2**53  # beyond it a float does not hold every whole number


def cell(value: Any) -> str:
    """A JSON value as one cell: no tab, no line break, nothing hidden; null is empty."""
    if isinstance(value, str):
        # most are plain, and of what is escaped only one can be in those
        if value.isascii() and value.isprintable():
            return value.replace("\\", "\\\\") if "\\" in value else value
        return _TO_ESCAPE.sub(lambda match: _ESCAPES[match[0]], clean(value))
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, float):
        whole = value.is_integer() and -_LARGEST_WHOLE < value < _LARGEST_WHOLE
        return str(int(value)) if whole else repr(value)
    if isinstance(value, int):
        return str(value)
    return _plain_json(value) or cell(to_json(clean_value(value)).decode())


def _plain_json(value: Any) -> str | None:
    """A list or object in JSON, if there is nothing to clean or to escape in it."""
    try:
        text = to_json(value).decode()
    except PydanticSerializationError:  # half of a character, which cleaning replaces
        return None
    # what is hidden is not printable ASCII, or stands there escaped
    return text if text.isascii() and text.isprintable() and "\\" not in text else None


def line(row: Sequence[Any]) -> str:
    """The cells of a row with tabs between them."""
    texts = [value if isinstance(value, str) else cell(value) for value in row]
    together = "".join(texts)
    # most rows hold nothing that is hidden or escaped, and then need one look
    if together.isascii() and together.isprintable() and "\\" not in together:
        return "\t".join(texts)
    return "\t".join(map(cell, row))


def digits_needed(rows: Sequence[Sequence[Any]], column: int, shown: int) -> int | None:
    """How many digits of a second tell a column's times apart; None for all of them, or no times."""
    times: set[str] = set()
    for row in islice(rows, shown):
        value = row[column]
        if value is None:
            continue
        if not isinstance(value, str) or not _FINE_TIME.match(value):
            return None
        times.add(value)
    apart = (digits for digits in (0, 3) if len({_cut(time, digits) for time in times}) == len(times))
    return next(apart, None) if times else None


def time_to(time: Any, digits: int) -> Any:
    """An ISO time to the second, or so many digits of it; anything else unchanged."""
    return _cut(time, digits) if isinstance(time, str) and _FINE_TIME.match(time) else time


def _cut(time: str, digits: int) -> str:
    zone = 1 if time[-1] == "Z" else len("+00:00")
    return time[:-zone][: _SECONDS + digits + 1 if digits else _SECONDS] + time[-zone:]
