"""How PostHog reads a value: as text, as a number, as truth."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any, TypeGuard, cast

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
# Rust prints floats without an exponent down to here.
_SMALLEST_PLAIN_EXPONENT = -6


class NotTextError(ValueError):
    """The value has no text form in PostHog: it is not JSON, or not finite."""


def as_dict(value: object) -> dict[str, Any]:
    """The value when it is a JSON object, else an empty one."""
    return value if is_dict(value) else {}


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether the value is a JSON list."""
    return isinstance(value, list)


def is_dict(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether the value is a JSON object."""
    return isinstance(value, dict)


def as_list(value: object) -> list[Any]:
    """The value when it is a JSON list, else an empty one."""
    return value if is_list(value) else []


def text_of(value: object) -> str:
    """The text PostHog compares: strings as they are, everything else as compact JSON.

    Raises:
        NotTextError: For what JSON cannot hold.
    """
    return value if isinstance(value, str) else _json_of(value)


def _json_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _json_of_float(value)
    if is_list(value):
        return "[" + ",".join(_json_of(item) for item in value) + "]"
    if isinstance(value, dict):
        return _json_of_object(cast("dict[object, Any]", value))
    raise NotTextError(f"a {type(value).__name__} is not JSON")


def _json_of_object(value: dict[object, Any]) -> str:
    entries: list[tuple[str, object]] = []
    for key, item in value.items():
        if not isinstance(key, str):
            raise NotTextError("an object's keys must be text")
        entries.append((key, item))
    entries.sort(key=lambda entry: entry[0])
    inner = ",".join(f"{json.dumps(key, ensure_ascii=False)}:{_json_of(item)}" for key, item in entries)
    return "{" + inner + "}"


def _json_of_float(value: float) -> str:
    if not math.isfinite(value):
        raise NotTextError("a number must be finite")
    mantissa, mark, exponent = repr(value).partition("e")
    if not mark:
        return mantissa
    power = int(exponent)
    if _SMALLEST_PLAIN_EXPONENT < power < 0:
        return format(Decimal(repr(value)), "f")
    return f"{mantissa}e{power:+d}"


def has_lone_surrogate(text: str) -> bool:
    """Whether the text holds half a surrogate pair, which no UTF-8 text can."""
    return _SURROGATE.search(text) is not None


def folded(value: object) -> str:
    """A value's text in lower case for A to Z only, as the server folds text operators.

    Raises:
        NotTextError: For what JSON cannot hold.
    """
    text = value if isinstance(value, str) else _json_of(value)
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)


def number_of(value: object) -> float | None:
    """The number in a value: a number, or text that is a plain decimal one; `None` for all else."""
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None
    elif isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def is_truth_word(value: object) -> bool:
    """Whether a value consists only of booleans and the words true and false."""
    if is_list(value):
        return all(is_truth_word(item) for item in value)
    return isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false"))


def is_truthy(value: object) -> bool:
    """Truth as PostHog reads it: `true`, the word true, or a list of nothing else."""
    if is_list(value):
        return all(is_truthy(item) for item in value)
    return value is True or (isinstance(value, str) and value.lower() == "true")
