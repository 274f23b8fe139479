"""The period of an insight, its buckets, and the period it is compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from posthog_mcp.hogql import ast
from posthog_mcp.sandbox.compiler.dates import date_range, parse_date
from posthog_mcp.sandbox.experiments.trees import constant, expr, moment
from posthog_mcp.sandbox.http.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Collection

    from posthog_mcp.sandbox.compiler.world import World
    from posthog_mcp.sandbox.insights.models import CompareFilter, InsightDates, Interval

_MOST_BUCKETS = 50_000
# Events hold no earlier times, and neither do the numbers that buckets are counted by.
_EARLIEST = 1971
_HOURS = ("h", "M", "s")


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` to `end` in project time, counted from `lower`, in buckets that begin at `starts`."""

    start: datetime
    end: datetime
    lower: datetime
    starts: tuple[datetime, ...]
    interval: Interval

    @property
    def epochs(self) -> list[int]:
        """The beginnings of the buckets in Unix seconds."""
        return [int(each.timestamp()) for each in self.starts]

    def within(self) -> ast.Expr:
        """Whether an event counts; PostHog compares whole seconds here."""
        return between(self.lower, self.end.replace(microsecond=0))

    def on(self, days: Collection[int]) -> Period:
        """Without the days of the week that are not among these, Monday being 1; only days are left out."""
        if not days or self.interval != "day":
            return self
        return replace(self, starts=tuple(start for start in self.starts if start.isoweekday() in days))

    def bucket(self, at: str = "timestamp") -> ast.Expr:
        """The beginning of an event's bucket in Unix seconds."""
        return bucket_of(self.epochs, at)


def between(first: datetime, last: datetime) -> ast.Expr:
    """Whether an event's time lies between both, which belong to it."""
    return expr("timestamp >= {first} AND timestamp <= {last}", first=moment(first), last=moment(last))


def on_days(days: Collection[int]) -> ast.Expr:
    """Whether an event's day in the project's time zone is one of these, Monday being 1; any when empty."""
    if not days:
        return constant(value=True)
    return expr("has({days}, toDayOfWeek(timestamp))", days=numbers(sorted(days)))


def bucket_of(epochs: list[int], at: str = "timestamp") -> ast.Expr:
    """The last of these Unix seconds that is not behind the time `at`; the first when all are."""
    if not epochs:
        return constant(0)
    return expr(f"roundDown(toUnixTimestamp({at}), {{epochs}})", epochs=numbers(epochs))


def numbers(values: list[int]) -> ast.Expr:
    """A list of numbers as an array."""
    return ast.Array(exprs=[constant(value) for value in values])


def period_of(
    dates: InsightDates | None, interval: Interval, world: World, earliest: datetime | None = None
) -> Period:
    """The period that a query asks for.

    Args:
        dates: The query's; without them the last 7 days and today.
        interval: Of the buckets.
        world: Time zone, clock, first day of the week.
        earliest: The first event, which `all` begins with.

    Raises:
        ApiError: 400 for more buckets than anybody can read.
        CompileError: A date that does not exist.
    """
    given = dates.model_dump(exclude_none=True) if dates else {}
    text = str(given.get("date_from") or "-7d")
    if text == "all":
        first = (earliest or world.now - timedelta(days=7)).astimezone(ZoneInfo(world.timezone))
        given["date_from"] = first.isoformat()
    start, end = date_range(given, world, interval)
    if start.year < _EARLIEST:
        raise invalid(f"The date range begins before {_EARLIEST}.", "dateRange")
    unit = "" if text == "all" else parse_date(text, world).unit
    explicit = bool(given.get("explicitDate"))
    period = _period(start, end, _lower(start, unit, interval, explicit=explicit), interval, world)
    return _whole(period, world) if given.get("excludeIncompletePeriods") else period


def _whole(period: Period, world: World) -> Period:
    """The intervals of a period that lie in it whole and are over; the period itself when none is."""
    ends = [after(start, period.interval) for start in period.starts]
    over = min(period.end + timedelta(microseconds=1), world.now.astimezone(period.end.tzinfo))
    kept = [
        (start, end)
        for start, end in zip(period.starts, ends, strict=True)
        if start >= period.start and end <= over
    ]
    if not kept:
        return period
    first, last = kept[0][0], kept[-1][1] - timedelta(microseconds=1)
    return Period(first, last, first, tuple(start for start, _ in kept), period.interval)


def _period(start: datetime, end: datetime, lower: datetime, interval: Interval, world: World) -> Period:
    starts: list[datetime] = []
    at = start_of(start, interval, world.week_start)
    while at <= end:
        starts.append(at)
        if len(starts) > _MOST_BUCKETS:
            raise invalid(f"The date range has more than {_MOST_BUCKETS} intervals of one {interval}.")
        at = after(at, interval)
    return Period(start, end, lower, tuple(starts), interval)


def _lower(start: datetime, unit: str, interval: Interval, *, explicit: bool) -> datetime:
    if explicit or interval == "minute" or (interval == "day" and unit in _HOURS):
        return start
    if interval == "hour":
        return start if unit else start_of(start, "hour")
    return start_of(start, "day")


def start_of(moment: datetime, interval: Interval, week_start: int = 0) -> datetime:
    """The beginning of the interval that holds a moment, in the moment's time zone."""
    match interval:
        case "minute":
            return moment.replace(second=0, microsecond=0)
        case "hour":
            return moment.replace(minute=0, second=0, microsecond=0)
        case "week":
            days = (moment.weekday() - (0 if week_start else 6)) % 7
            return _midnight(moment - timedelta(days=days))
        case "month":
            return _midnight(moment.replace(day=1))
        case _:
            return _midnight(moment)


def after(start: datetime, interval: Interval) -> datetime:
    """The beginning of the next interval: days are the calendar's, hours are real ones."""
    match interval:
        case "minute" | "hour":
            step = timedelta(minutes=1) if interval == "minute" else timedelta(hours=1)
            return (start.astimezone(UTC) + step).astimezone(start.tzinfo)
        case "week":
            return start + timedelta(days=7)
        case "month":
            return _midnight((start.replace(day=1) + timedelta(days=32)).replace(day=1))
        case _:
            return start + timedelta(days=1)


def before(start: datetime, interval: Interval) -> datetime:
    """The beginning of the interval before one that begins at `start`."""
    match interval:
        case "minute" | "hour":
            step = timedelta(minutes=1) if interval == "minute" else timedelta(hours=1)
            return (start.astimezone(UTC) - step).astimezone(start.tzinfo)
        case "week":
            return start - timedelta(days=7)
        case "month":
            return _midnight((start - timedelta(days=1)).replace(day=1))
        case _:
            return start - timedelta(days=1)


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.date(), time(), tzinfo=moment.tzinfo)


def previous_of(period: Period, dates: InsightDates | None, compare: CompareFilter, world: World) -> Period:
    """The period that `period` is compared with."""
    length = _wall(period.end) - _wall(period.start)
    if compare.compare_to:
        earlier = parse_date(compare.compare_to, replace(world, now=period.start)).moment
        return _period(earlier, earlier + length, earlier, period.interval, world)
    start = period.start - length
    if period.interval not in ("minute", "hour"):
        start = datetime.combine(start.date(), period.start.timetz())
        start += timedelta(days=_overlap(period, dates))
        end = datetime.combine((start + length).date(), period.end.timetz())
    else:
        end = start + length
    # Counting begins as far from the start as in the current period.
    return _period(start, end, start - (_wall(period.start) - _wall(period.lower)), period.interval, world)


def _overlap(period: Period, dates: InsightDates | None) -> int:
    """One day when whole weeks up to today are compared, so that weekdays meet."""
    text = (dates.date_from if dates else None) or "-7d"
    days = text.removeprefix("-").removesuffix("d")
    whole_weeks = text.endswith("d") and days.isdecimal() and int(days) % 7 == 0 and int(days) > 0
    until_today = dates is None or not (dates.date_to or dates.excludeIncompletePeriods)
    return int(period.interval == "day" and whole_weeks and until_today)


def _wall(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)
