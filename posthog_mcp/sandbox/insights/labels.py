"""Buckets as PostHog writes them: `days` for programs, `labels` for people."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime

    from posthog_mcp.sandbox.insights.periods import Period

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DASH = "\N{EN DASH}"


def days(period: Period) -> list[str]:
    """`2026-03-08`, or `2026-03-08 10:00:00` for hours and minutes."""
    pattern = "%Y-%m-%d %H:%M:%S" if period.interval in ("minute", "hour") else "%Y-%m-%d"
    return [start.strftime(pattern) for start in period.starts]


def labels(period: Period) -> list[str]:
    """`8-Mar-2026`, `8-Mar 10:00`, `4-8 Mar` for the part of a week in the period, `Mar 2026`."""
    return [_label(start, period) for start in period.starts]


def _label(start: datetime, period: Period) -> str:
    match period.interval:
        case "minute" | "hour":
            return f"{_day(start)} {start:%H:%M}"
        case "week":
            last = (start + timedelta(days=6)).date()
            return _week(max(start.date(), period.start.date()), min(last, period.end.date()))
        case "month":
            return f"{_MONTHS[start.month - 1]} {start.year}"
        case _:
            return f"{_day(start)}-{start.year}"


def _week(first: date, last: date) -> str:
    if first == last:
        return f"{_day(first)}-{first.year}"
    if first.year != last.year:
        return f"{_day(first)}-{first.year} {_DASH} {_day(last)}-{last.year}"
    if first.month != last.month:
        return f"{_day(first)} {_DASH} {_day(last)}"
    return f"{first.day}{_DASH}{last.day} {_MONTHS[last.month - 1]}"


def _day(day: date) -> str:
    return f"{day.day}-{_MONTHS[day.month - 1]}"
