"""Values and names as HogQL text that cannot be read as anything else."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime

from posthog_mcp.hogql.lexer import WORDS

_PLAIN_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_ESCAPES = str.maketrans({
    "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\r": "\\r", "\n": "\\n", "\t": "\\t", "\a": "\\a", "\v": "\\v",
})  # fmt: skip
_STRING_ESCAPES = _ESCAPES | {ord("'"): "\\'"}


def quote_string(text: str) -> str:
    """A string literal, quotes included; whatever the text holds, nothing of it can be read as HogQL."""
    return f"'{text.translate(_STRING_ESCAPES)}'"


def is_plain_name(name: str) -> bool:
    """Whether a name has only letters, digits, `_` and `$`, and is no keyword."""
    return bool(_PLAIN_NAME.fullmatch(name)) and name.lower() not in WORDS


def is_word(name: str) -> bool:
    """Whether a name has only letters, digits, `_` and `$`; it may be a keyword."""
    return bool(_PLAIN_NAME.fullmatch(name))


def quote_identifier(name: str) -> str:
    """A name, in backquotes unless it is a plain one."""
    if is_plain_name(name):
        return name
    return f"`{name.translate(_ESCAPES).replace('`', '``')}`"


def quote_value(value: object) -> str:
    """A literal for a value.

    Text, booleans, numbers and None become constants, lists arrays, tuples tuples. A date becomes text
    ('2026-03-01'), a datetime without time zone text in the project's time ('2026-03-01 10:00:00'), one
    with a time zone a call of toDateTime in UTC.

    Raises:
        TypeError: A value of another type.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote_string(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _float(float(value))
    if isinstance(value, date):
        text, in_utc = date_text(value)
        return f"toDateTime({quote_string(text)}, 'UTC')" if in_utc else quote_string(text)
    if isinstance(value, list | tuple):
        return _sequence(value)  # pyright: ignore[reportUnknownArgumentType] - each item is looked at in turn
    raise TypeError(
        f"HogQL has no literal for a {type(value).__name__}: pass text, a number, a boolean or a list"
    )


def _float(value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return repr(value)


def date_text(value: date) -> tuple[str, bool]:
    """A date or datetime as ClickHouse writes it; the flag says that it is in UTC, having had a zone."""
    if not isinstance(value, datetime):
        return value.isoformat(), False
    if value.tzinfo is None:
        return value.isoformat(" "), False
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" "), True


def _sequence(values: Sequence[object]) -> str:
    items = ", ".join(quote_value(item) for item in values)
    if isinstance(values, list):
        return f"[{items}]"
    return f"({items},)" if len(values) == 1 else f"({items})" if values else "tuple()"
