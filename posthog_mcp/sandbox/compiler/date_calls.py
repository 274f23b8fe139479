"""Functions of dates and times: the project's time zone, clock and first day of the week."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from posthog_mcp.sandbox.compiler.comparisons import moment_of
from posthog_mcp.sandbox.compiler.errors import refuse
from posthog_mcp.sandbox.compiler.properties import to_moment
from posthog_mcp.sandbox.compiler.quoting import string
from posthog_mcp.sandbox.compiler.special import Given, Registry
from posthog_mcp.sandbox.compiler.types import Kind, Sql

if TYPE_CHECKING:
    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.compiler.expressions import Expressions

CALLS = Registry()


@CALLS.add("now now64 current_timestamp", 0, 2)
def _now(given: Given) -> Sql:
    zone = next(
        (value.text for value in given.values if value.kind == "String"),
        string(given.compiler.world.timezone),
    )
    moment = given.compiler.world.now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    instant = f"toDateTime64({string(moment)}, 6, 'UTC')"
    text = instant if zone == "'UTC'" else f"toTimeZone({instant}, {zone})"
    return Sql(text, "DateTime", nullable=False, instant=instant)


@CALLS.add("today current_date curdate", 0, 0)
def _today(given: Given) -> Sql:
    return _day(given.compiler, 0)


@CALLS.add("yesterday", 0, 0)
def _yesterday(given: Given) -> Sql:
    return _day(given.compiler, 1)


def _day(compiler: Expressions, back: int) -> Sql:
    local = compiler.world.now.astimezone(ZoneInfo(compiler.world.timezone))
    today = f"toDate({string(local.strftime('%Y-%m-%d'))})"
    return Sql(f"({today} - {back})" if back else today, "Date", nullable=False)


def _timezone(given: Given, position: int) -> str:
    """The time zone given as an argument, else the project's, as a literal."""
    return (
        given.values[position].text if len(given.values) > position else string(given.compiler.world.timezone)
    )


@CALLS.add("fromunixtimestamp", 1, 2)
def _from_unix(given: Given) -> Sql:
    text = f"toDateTime({given.values[0].text}, {_timezone(given, 1)})"
    return Sql(text, "DateTime", nullable=given.values[0].nullable)


@CALLS.add("totimezone", 2, 2)
def _to_timezone(given: Given) -> Sql:
    value, zone = given.values
    text = f"toTimeZone({value.text}, {zone.text})"
    return Sql(text, "DateTime", nullable=value.nullable, instant=value.instant)


@CALLS.add("tostartofweek", 1, 2)
def _start_of_week(given: Given) -> Sql:
    # ClickHouse's mode 0 starts weeks on Sunday, 3 on Monday.
    mode = (
        given.values[1].text
        if len(given.values) > 1
        else "3"
        if given.compiler.world.week_start == 1
        else "0"
    )
    return Sql(f"toStartOfWeek({given.values[0].text}, {mode})", "Date", nullable=given.values[0].nullable)


_UNITS = {
    word.lower(): word
    for word in "Second Minute Hour Day Week Month Quarter Year Millisecond Microsecond".split()  # noqa: SIM905
}
# dateTrunc itself answers with other types for the same values.
_STARTS: dict[str, tuple[str, Kind]] = {
    "second": ("toStartOfSecond", "DateTime"), "minute": ("toStartOfMinute", "DateTime"),
    "hour": ("toStartOfHour", "DateTime"), "day": ("toStartOfDay", "DateTime"), "week": ("toMonday", "Date"),
    "month": ("toStartOfMonth", "Date"), "quarter": ("toStartOfQuarter", "Date"),
    "year": ("toStartOfYear", "Date"),
}  # fmt: skip
_SHORT_UNITS = {
    "s": "second", "ss": "second", "mi": "minute", "n": "minute", "h": "hour", "hh": "hour", "d": "day",
    "dd": "day", "wk": "week", "ww": "week", "m": "month", "mm": "month", "q": "quarter", "qq": "quarter",
    "yy": "year", "yyyy": "year",
}  # fmt: skip


def _unit(value: Sql, node: ast.Call) -> str:
    name = value.literal.lower() if value.is_literal and isinstance(value.literal, str) else ""
    unit = _SHORT_UNITS.get(name, name.removesuffix("s"))
    if unit not in _UNITS:
        raise refuse(f"{node.name} needs a constant unit: {', '.join(_UNITS)}.", node)
    return unit


@CALLS.add("datetrunc date_trunc", 2, 3)
def _date_trunc(given: Given) -> Sql:
    unit = _unit(given.values[0], given.node)
    value = _as_moment(given.compiler, given.values[1])
    zone = f", {given.values[2].text}" if len(given.values) > 2 else ""  # noqa: PLR2004 - the third, when given
    function, kind = _STARTS.get(unit, ("", "DateTime"))
    if not function:
        raise refuse(f"{given.node.name} cuts at units from second to year.", given.node)
    return Sql(f"{function}({value.text}{zone})", kind, nullable=value.nullable)


@CALLS.add("datediff date_diff timestampdiff age", 3, 4)
def _date_diff(given: Given) -> Sql:
    unit = _unit(given.values[0], given.node)
    start, end = (_as_moment(given.compiler, value) for value in given.values[1:3])
    zone = f", {given.values[3].text}" if len(given.values) > 3 else ""  # noqa: PLR2004 - the fourth, when given
    function = "age" if given.node.name.lower() == "age" else "dateDiff"
    text = f"{function}('{unit}', {start.text}, {end.text}{zone})"
    return Sql(text, "Number", nullable=start.nullable or end.nullable)


def _as_moment(compiler: Expressions, value: Sql) -> Sql:
    if value.is_literal and isinstance(value.literal, str):
        return moment_of(value.literal, compiler.world.timezone)
    if value.kind == "String":
        return replace(
            value, text=to_moment(value.text, compiler.world.timezone), kind="DateTime", nullable=True
        )
    return value


@CALLS.add("dateadd date_add timestampadd datesub date_sub timestampsub", 2, 3)
def _date_add(given: Given) -> Sql:
    sign = "-" if "sub" in given.node.name.lower() else "+"
    if len(given.values) == 2:  # noqa: PLR2004 - a moment and an interval
        value = _as_moment(given.compiler, given.values[0])
        return given.compiler.arithmetic(sign, value, given.values[1])
    unit, amount, value = (
        _unit(given.values[0], given.node),
        given.values[1],
        _as_moment(given.compiler, given.values[2]),
    )
    interval = Sql(f"toInterval{_UNITS[unit]}({amount.text})", "Interval", nullable=amount.nullable)
    return given.compiler.arithmetic(sign, value, interval)


@CALLS.add("tostartofinterval date_bin", 2, 4)
def _start_of_interval(given: Given) -> Sql:
    value = _as_moment(given.compiler, given.values[0])
    rest = ", ".join(one.text for one in given.values[1:])
    return Sql(f"toStartOfInterval({value.text}, {rest})", "Unknown", nullable=value.nullable)
