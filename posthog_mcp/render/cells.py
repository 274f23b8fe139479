"""Values of a table as text."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import NoneType
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from posthog_mcp.safety import clean, clean_value

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_TO_ESCAPE = re.compile(r"[\\\t\n\r]")
_LONGEST_WHOLE = len("-12345678901234.0")  # so many digits a float holds exactly


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
        return _numbers([value])[0]
    if isinstance(value, int):
        return str(value)
    with suppress(PydanticSerializationError):  # half of a character, which cleaning replaces
        (text,) = _json([value])
        if _is_plain(text):
            return text
    return cell(to_json(clean_value(value)).decode())


def cells(values: Sequence[Any]) -> list[str]:
    """The values of a column, each as its `cell`."""
    kinds = set(map(type, values))
    gaps = NoneType in kinds
    kinds.discard(NoneType)
    way = _WAYS.get(kinds.pop()) if len(kinds) == 1 else None
    if way is not None:
        with suppress(PydanticSerializationError):
            texts = way([value for value in values if value is not None] if gaps else values)
            # most columns hold nothing that is hidden or escaped, and one look at all of it tells
            if _is_plain("".join(texts)):
                return _with_gaps(texts, values) if gaps else texts
    return list(map(cell, values))


def _with_gaps(texts: list[str], values: Sequence[Any]) -> list[str]:
    following = iter(texts)
    return ["" if value is None else next(following) for value in values]


def _numbers(values: Sequence[float]) -> list[str]:
    # several times as fast as `repr` of each
    texts = to_json(values).decode()[1:-1].split(",")
    return [text[:-2] if text.endswith(".0") and len(text) <= _LONGEST_WHOLE else text for text in texts]


def _json(values: Sequence[Any]) -> list[str]:
    return [to_json(value).decode() for value in values]


def _is_plain(text: str) -> bool:
    # what is hidden is not printable ASCII, or stands escaped in JSON
    return text.isascii() and text.isprintable() and "\\" not in text


_WAYS: dict[type, Callable[[Sequence[Any]], list[str]]] = {
    str: list,
    int: lambda values: list(map(str, values)),
    float: _numbers,
    dict: _json,
    list: _json,
}
