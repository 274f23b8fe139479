"""Names as HogQL text: quoted where they would be read as something else."""

from __future__ import annotations

from posthog_mcp.hogql.cursor import RESERVED
from posthog_mcp.hogql.lexer import NEVER_NAMES
from posthog_mcp.hogql.quoting import is_plain_name, is_word, quote_identifier

_COLUMN_WORDS = frozenset({
    "date", "day", "first", "hour", "id", "key", "last", "minute", "month", "name", "quarter", "range", "row",
    "rows", "second", "time", "timestamp", "top", "values", "week", "year", "zone",
})  # fmt: skip
"""Keywords that are common column names and open nothing where an expression stands."""

_FUNCTION_WORDS = _COLUMN_WORDS | {
    "all", "and", "any", "cast", "cube", "extract", "if", "in", "left", "like", "ilike", "not", "or",
    "replace", "right", "rollup", "substring", "trim", "truncate", "try_cast",
}  # fmt: skip
"""Keywords that are read as the name of a function when a bracket follows."""


def chain(parts: list[str | int]) -> str:
    """A field such as `properties.plan`, its parts in order."""
    first, *rest = [str(part) for part in parts]
    starts = first == "*" or is_plain_name(first) or first.lower() in _COLUMN_WORDS
    shown = [first if starts else quote_identifier(first)]
    for part in rest:
        plain = part == "*" or part.isdigit() or (is_word(part) and part.lower() not in NEVER_NAMES)
        shown.append(part if plain else quote_identifier(part))
    return ".".join(shown)


def alias(name: str) -> str:
    """The name behind AS."""
    return f"`{name}`" if name.lower() in RESERVED else quote_identifier(name)


def function(name: str) -> str:
    """The name of a function before its bracket."""
    return name if is_plain_name(name) or name.lower() in _FUNCTION_WORDS else quote_identifier(name)
