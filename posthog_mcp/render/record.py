"""One object as compact JSON."""

import json
from typing import Any, cast

from posthog_mcp.render.results import Record, Rendered
from posthog_mcp.safety import clean_value

_LENGTHS = (4_000, 1_000, 250, 60)  # of each text, tried in turn until the whole fits


def record(result: Record, limit: int) -> Rendered:
    """The object, cleaned, its longest texts and lists shortened where it would be over `limit` characters.

    What was shortened says so in place (`… (5,120 characters)`, `… 40 more`); `written_by_outsiders` names
    the fields that outsiders can write.
    """
    data = clean_value(result.data)
    named = [name for name in data if name in result.outsiders and data[name] not in (None, "", [], {})]
    if named:
        data["written_by_outsiders"] = named
    text = dumps(data)
    for length in _LENGTHS:
        if len(text) <= limit:
            break
        data = _shorten(data, length)
        text = dumps(data)
    return Rendered(text, data)


def dumps(data: Any) -> str:
    """Compact JSON, as every answer carries it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=str)


def _shorten(value: Any, length: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= length else f"{value[:length]}… ({len(value):,} characters)"
    if isinstance(value, list):
        items = cast("list[Any]", value)
        kept: list[Any] = [_shorten(item, length) for item in items[: max(length // 20, 3)]]
        return kept + ([f"… {len(items) - len(kept)} more"] if len(items) > len(kept) else [])
    if isinstance(value, dict):
        return {key: _shorten(item, length) for key, item in cast("dict[str, Any]", value).items()}
    return value
