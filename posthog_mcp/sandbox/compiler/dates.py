"""PostHog's dates: absolute ones, and relative ones such as `-7d`, `-1mStart`, `dStart`."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from posthog_mcp.sandbox.compiler.errors import CompileError

if TYPE_CHECKING:
    from posthog_mcp.sandbox.compiler.world import World

Interval = Literal["second", "minute", "hour", "day", "week", "month", "quarter", "year"]

_ISO = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s*(Z|[+-]\d{2}:?\d{2})?)?"
)
_RELATIVE = re.compile(r"-?(\d*)([a-zA-Z])(Start|End)?")
_DAY_END = time(23, 59, 59, 999_999)
_LONGEST = 9_999


@dataclass(frozen=True, slots=True)
class ParsedDate:
    """A moment in project time; `unit` is the letter of a relative date, "" for an absolute one."""

    moment: datetime
    unit: str = ""


def parse_date(text: str, world: World) -> ParsedDate:
    """Read an absolute or a relative date in the project's time zone; what is neither is now.

    Raises:
        CompileError: an absolute date that does not exist, or a relative one before the year 1.
    """
    zone = ZoneInfo(world.timezone)
    now = world.now.astimezone(zone)
    absolute = _ISO.fullmatch(text.strip())
    if absolute is not None:
        return ParsedDate(_absolute(absolute, text, zone))
    relative = _RELATIVE.search(text)
    if relative is None:
        return ParsedDate(now)
    amount, unit, edge = relative.groups()
    step = _UNITS.get(unit)
    if step is None:
        return ParsedDate(now)
    try:
        moment = step.back(now, min(int(amount or 0), _LONGEST))
    except (ValueError, OverflowError) as error:
        raise CompileError(f"The date {text!r} is too far back.") from error
    if edge == "Start":
        moment = step.start(moment)
    elif edge == "End":
        moment = step.end(moment)
    return ParsedDate(moment, unit)


def date_range(
    given: Mapping[str, Any], world: World, interval: Interval = "day"
) -> tuple[datetime, datetime]:
    """The first and the last moment of an insight's `dateRange`, in project time.

    Args:
        given: `{date_from, date_to, explicitDate}`; without date_from the last 7 days and today. `all` is
            for the caller, who knows the first event.
        world: Time zone and clock.
        interval: Of the buckets; days and longer end with the last day.
    """
    explicit = bool(given.get("explicitDate"))
    date_from = given.get("date_from")
    start = parse_date(str(date_from), world) if date_from else parse_date("-7d", world)
    lower = start.moment
    if start.unit and not explicit:
        lower = _truncated(start, interval)
    date_to = given.get("date_to")
    end = (
        parse_date(str(date_to), world)
        if date_to
        else ParsedDate(world.now.astimezone(ZoneInfo(world.timezone)), "d")
    )
    return lower, end.moment if explicit else _padded(end, interval)


def _truncated(parsed: ParsedDate, interval: Interval) -> datetime:
    if interval in ("second", "minute"):
        return parsed.moment
    if parsed.unit in ("h", "M", "s"):
        return parsed.moment.replace(minute=0, second=0, microsecond=0)
    return _midnight(parsed.moment)


def _padded(parsed: ParsedDate, interval: Interval) -> datetime:
    moment = parsed.moment
    if interval in ("second", "minute", "hour"):
        if not parsed.unit:
            return moment
        minute = 59 if interval == "hour" else moment.minute
        return moment.replace(minute=minute, second=59, microsecond=999_999)
    return _at(moment, _DAY_END)


def _absolute(found: re.Match[str], text: str, zone: ZoneInfo) -> datetime:
    year, month, day, clock, offset = found.groups()
    clock = (clock or "00:00").zfill(5) if clock and clock[1] == ":" else clock or "00:00"
    padded = (
        f"{year}-{int(month):02d}-{int(day):02d}T{clock if clock[2] == ':' else '0' + clock}{offset or ''}"
    )
    try:
        moment = datetime.fromisoformat(padded)
    except ValueError as error:
        raise CompileError(f"There is no date {text!r}.") from error
    return moment.astimezone(zone) if offset else moment.replace(tzinfo=zone)


def _at(moment: datetime, clock: time) -> datetime:
    return datetime.combine(moment.date(), clock, tzinfo=moment.tzinfo)


def _midnight(moment: datetime) -> datetime:
    return _at(moment, time())


def _months_back(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def _same(moment: datetime) -> datetime:
    return moment


@dataclass(frozen=True, slots=True)
class _Unit:
    """What a letter of a relative date does."""

    back: Callable[[datetime, int], datetime]
    start: Callable[[datetime], datetime] = _same
    end: Callable[[datetime], datetime] = _same


def _days(count: int) -> Callable[[datetime, int], datetime]:
    # Wall time stays across changes of the clock, as in a calendar.
    return lambda moment, amount: moment - timedelta(days=count * amount)


_UNITS = {
    "s": _Unit(lambda moment, amount: _elapsed(moment, timedelta(seconds=amount))),
    "M": _Unit(lambda moment, amount: _elapsed(moment, timedelta(minutes=amount))),
    "h": _Unit(
        lambda moment, amount: _elapsed(moment, timedelta(hours=amount)),
        lambda moment: moment.replace(minute=0, second=0, microsecond=0),
        lambda moment: moment.replace(minute=59, second=59, microsecond=999_999),
    ),
    "d": _Unit(_days(1), _midnight, lambda moment: _at(moment, _DAY_END)),
    "w": _Unit(_days(7)),
    "q": _Unit(_days(91)),
    "m": _Unit(
        _months_back,
        lambda moment: moment.replace(day=1),
        lambda moment: moment.replace(day=calendar.monthrange(moment.year, moment.month)[1]),
    ),
    "y": _Unit(
        lambda moment, amount: _months_back(moment, 12 * amount),
        lambda moment: moment.replace(month=1, day=1),
        lambda moment: moment.replace(day=calendar.monthrange(moment.year, moment.month)[1]),
    ),
}


def _elapsed(moment: datetime, back: timedelta) -> datetime:
    zone = moment.tzinfo
    return (moment.astimezone(ZoneInfo("UTC")) - back).astimezone(zone)
