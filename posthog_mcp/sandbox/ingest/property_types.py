"""Which type PostHog sees in a property's value: String, Numeric, Boolean, DateTime, or none."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

PropertyType = Literal["String", "Numeric", "Boolean", "DateTime"]

_TEXT_PREFIXES: Final = ("utm_", "$initial_utm_", "$feature/", "$survey_response")
_TEXT_KEY: Final = "$feature_flag_response"
_TIME_KEY: Final = re.compile(r"time|date|_at|-at|createdat|updatedat")
_BOOLEANS: Final = frozenset({"true", "false", "TRUE", "FALSE"})
_SIX_MONTHS: Final = 182 * 86_400
_LONGEST_DATE: Final = 64
_CLOCK: Final = r"\d{2}:\d{2}:\d{2}"
_DATE: Final = re.compile(
    rf"\d{{4}}-\d{{2}}-\d{{2}}T{_CLOCK}(\.\d+)?(Z|[+-]\d{{2}}:?\d{{2}})"  # RFC 3339
    # RFC 2822
    r"|([A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}(:\d{2})? (GMT|UTC?|[+-]\d{4})"
    rf"|(\d{{4}}[-/]\d{{2}}[-/]\d{{2}}|[0-2]\d-\d{{2}}-\d{{4}}|[0-2]\d/\d{{2}}/\d{{4}})([ T]{_CLOCK}\S*)?"
)  # fmt: skip


def detect(key: str, value: Any, now: float) -> PropertyType | None:
    """The type of a value, the first rule that fits.

    Args:
        key: The property's name, which decides some types.
        value: A JSON value.
        now: Epoch seconds: whole numbers under a name of time count as times when they are recent enough.
    """
    name = key.lower()
    if name.startswith(_TEXT_PREFIXES) or name == _TEXT_KEY:
        return "String"
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, (int, float)):
        recent = isinstance(value, int) and value >= now - _SIX_MONTHS
        return "DateTime" if recent and _TIME_KEY.search(name) else "Numeric"
    if not isinstance(value, str):
        return None
    if value.strip() in _BOOLEANS:
        return "Boolean"
    return "DateTime" if _is_date(value) else "String"


def _is_date(text: str) -> bool:
    return len(text) <= _LONGEST_DATE and _DATE.fullmatch(text) is not None
