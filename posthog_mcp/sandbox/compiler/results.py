"""Rows of the engine as the API shows them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z")


def api_rows(rows: Sequence[Sequence[Any]], types: Sequence[str], timezone: str) -> list[list[Any]]:
    """Rows with their moments in project time: `2026-03-01T10:00:00Z`, or `...T11:00:00+01:00`.

    Args:
        rows: As the engine gives them, moments as ISO text in UTC.
        types: ClickHouse's types of the columns.
        timezone: The project's.

    Returns:
        The rows, fractions of a second only where there are any.
    """
    columns = [position for position, name in enumerate(types) if "DateTime" in name]
    zone = None if timezone == "UTC" else ZoneInfo(timezone)
    shown = [list(row) for row in rows]
    for row in shown:
        for position in columns:
            row[position] = _shown(row[position], zone)
    return shown


def _shown(value: Any, zone: ZoneInfo | None) -> Any:
    if isinstance(value, list):
        return [_shown(item, zone) for item in cast("list[Any]", value)]
    if not isinstance(value, str) or (found := _MOMENT.fullmatch(value)) is None:
        return value
    whole, fraction = found[1], (found[2] or "").rstrip("0")
    if zone is None:
        # Microseconds, when there are any, come as six digits.
        return f"{whole}.{fraction.ljust(6, '0')}Z" if fraction else f"{whole}Z"
    moment = datetime.fromisoformat(f"{whole}.{(fraction or '0').ljust(6, '0')[:6]}+00:00")
    return moment.astimezone(zone).isoformat()
