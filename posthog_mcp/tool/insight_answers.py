"""Answers to typed queries in words and rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from posthog_mcp.tool.insight_arguments import InsightInput, filters_in_words
from posthog_mcp.tool.selecting import freshness

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Project

_Args = TypeVar("_Args", bound=InsightInput)
Json = dict[str, Any]
NULL, OTHER = "$$_posthog_breakdown_null_$$", "$$_posthog_breakdown_other_$$"
_WORDS = {NULL: "(none)", OTHER: "(other)", "": "(none)"}
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
NOTHING = [
    "Check the event's exact name (list_definitions, describe_schema), the period and the filters.",
    "Events sent a moment ago may not be there yet.",
]


@dataclass(frozen=True, slots=True)
class Asked(Generic[_Args]):
    """A query with where and when it was asked."""

    project: Project
    args: _Args
    now: datetime


def about(what: str, asked: Asked[Any], answer: Json) -> str:
    """The first line: what, project, period, time zone, filters, freshness."""
    return f"{what} of {scope(asked, answer)}{freshness(answer)}"


def scope(asked: Asked[Any], answer: Json) -> str:
    """What an answer is about: `project Acme (1), ..., times in UTC. Filtered by ...`."""
    zone = str(answer.get("timezone") or asked.project.timezone)
    told = f"project {asked.project}, {_period(asked.args, answer)}, times in {zone}."
    return told + filters_in_words(asked.args)


def _period(args: InsightInput, answer: Json) -> str:
    known: Json = answer.get("resolved_date_range") or {}
    if known.get("date_from") and known.get("date_to"):
        first, last = str(known["date_from"])[:16], str(known["date_to"])[:16]
        return f"{first.removesuffix('T00:00')} to {last.removesuffix('T23:59')}"
    return f"{args.date_from} to {args.date_to or 'now'}"


def value_in_words(value: Any) -> str:
    """A breakdown's value; PostHog's own marks for none and for the rest become words."""
    parts = [str(part) for part in (cast("list[Any]", value) if isinstance(value, list) else [value])]
    return " / ".join(_WORDS.get(part, part) for part in parts)


def unfinished(asked: Asked[Any], answer: Json, days: list[Any], interval: str) -> str:
    """Says when the last interval is not over, for its number will grow."""
    if not days:
        return ""
    zone = _zone(str(answer.get("timezone") or asked.project.timezone))
    now = asked.now.astimezone(zone).replace(tzinfo=None)
    try:
        last = datetime.fromisoformat(str(days[-1]))
    except ValueError:
        return ""
    last = last.replace(tzinfo=None)
    if last > now or not _same(last, now, interval):
        return ""
    return f"The last {interval} is not over: its numbers will grow."


def _same(last: datetime, now: datetime, interval: str) -> bool:
    match interval:
        case "hour":
            return (now - last).total_seconds() < _HOUR
        case "week":
            return (now - last).days < 7  # noqa: PLR2004 - days of a week
        case "month":
            return (last.year, last.month) == (now.year, now.month)
        case _:
            return last.date() == now.date()


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def adds_up(one: Json) -> bool:
    """Whether a series' numbers may be summed; unique people of days, averages and formulas may not."""
    action: Json | None = one.get("action")  # none of a formula
    return action is not None and (action.get("math") or "total") in ("total", "sum")


def number(value: Any) -> Any:
    """A number short enough to read."""
    if not isinstance(value, float):
        return value
    return int(value) if value.is_integer() else round(value, 4)


def percent(part: float, whole: float) -> str:
    """`42.5 %`; empty of nothing."""
    return f"{100 * part / whole:.4g} %" if whole else ""


def duration(seconds: float | None) -> str:
    """`45 s`, `12.5 min`, `3.2 h`, `1.4 d`; empty for none."""
    if seconds is None:
        return ""
    for unit, size in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
