"""How values enter ClickHouse SQL: the only place where text from outside becomes part of a statement."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from posthog_mcp.sandbox.compiler.errors import CompileError

if TYPE_CHECKING:
    from posthog_mcp.hogql.ast import Scalar

_UNSAFE = re.compile(r"[\x00-\x1f\x7f'\\]")


def string(text: str) -> str:
    r"""A ClickHouse string literal; quote, backslash and control characters leave as `\xHH`.

    Raises:
        CompileError: `text` holds half a surrogate pair, which no UTF-8 can carry.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CompileError("A text in the query is not valid Unicode.") from error
    return "'" + _UNSAFE.sub(lambda found: f"\\x{ord(found.group()):02X}", text) + "'"


def scalar(value: Scalar) -> str:
    """A literal of any constant; negative numbers are bracketed, so that no `--` can arise."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return string(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "(-inf)")
    return f"({value!r})" if value < 0 else repr(value)


def identifier(name: str) -> str:
    """A name of a physical column in backticks; for names out of our own tables only."""
    if "`" in name or "\\" in name:
        raise CompileError("A column's name holds a backtick or a backslash.")
    return f"`{name}`"
