"""JSON as the engine stores it: compact, real characters, nothing a JSON reader refuses."""

from __future__ import annotations

import json
import math
from json.encoder import encode_basestring as quote
from typing import Any, cast

__all__ = ["dumps", "quote", "storable", "whole"]

# What came from JSON has no circles.
_encode = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False
).encode


def dumps(value: Any) -> str:
    """Compact JSON text of the value.

    Characters no text can hold (NUL, half of a surrogate pair) become U+FFFD, infinite numbers null.
    """
    try:
        text = _encode(value)
    except ValueError:
        return _encode(storable(value))
    if "\\u0000" in text or not _encodable(text):
        return _encode(storable(value))
    return text


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(value: Any) -> Any:
    """The value with every character and number replaced that cannot be stored."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        return {whole(key): storable(each) for key, each in mapping.items()}
    if isinstance(value, list):
        return [storable(each) for each in cast("list[Any]", value)]
    return value


def whole(text: str) -> str:
    """The text with NUL characters and lone surrogates replaced by U+FFFD."""
    if text.isascii():
        return text.replace("\x00", "\ufffd") if "\x00" in text else text
    paired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return paired.replace("\x00", "\ufffd")
