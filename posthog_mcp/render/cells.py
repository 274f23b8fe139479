"""One value of a table as text."""

import json
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from posthog_mcp.safety import clean, clean_value

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_TO_ESCAPE = re.compile(r"[\\\t\n\r]")
_FINE_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)(Z|[+-]\d\d:\d\d)$")
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_LARGEST_WHOLE = 2**53  # beyond it a float does not hold every whole number


def cell(value: Any) -> str:
    """A JSON value as one cell: no tab, no line break, nothing hidden; null is empty."""
    if isinstance(value, str):
        if (
            value.isascii() and value.isprintable()
        ):  # most are, and of what is escaped only one can be in them
            return value.replace("\\", "\\\\") if "\\" in value else value
        return _TO_ESCAPE.sub(lambda match: _ESCAPES[match[0]], clean(value))
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < _LARGEST_WHOLE
        return str(int(value)) if whole else repr(value)
    if isinstance(value, int):
        return str(value)
    text = _compact(value)
    # what is hidden is not printable ASCII, or stands there escaped
    plain = text.isascii() and text.isprintable() and "\\" not in text
    return text if plain else cell(_compact(clean_value(value)))


def line(row: Sequence[Any]) -> str:
    """The cells of a row with tabs between them."""
    texts = [value if isinstance(value, str) else cell(value) for value in row]
    together = "".join(texts)
    # most rows hold nothing that is hidden or escaped, and then need one look
    if together.isascii() and together.isprintable() and "\\" not in together:
        return "\t".join(texts)
    return "\t".join(map(cell, row))


def coarse_times(rows: Sequence[Sequence[Any]], column: int, shown: int) -> bool:
    """Whether the times of a column can lose their fractions: no two of those shown differ only there."""
    fine: set[str] = set()
    coarse: set[str] = set()
    for row in islice(rows, shown):
        value = row[column]
        if value is None:
            continue
        match = _FINE_TIME.match(value) if isinstance(value, str) else None
        if not match:
            return False
        fine.add(value)
        coarse.add(without_fraction(value))
    return bool(fine) and len(fine) == len(coarse)


def without_fraction(time: Any) -> Any:
    """An ISO time to the second; anything else unchanged."""
    match = _FINE_TIME.match(time) if isinstance(time, str) else None
    return time[: match.start(1)] + match[2] if match else time
