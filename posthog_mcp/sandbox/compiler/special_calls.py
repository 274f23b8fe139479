"""Functions that HogQL gives a meaning of its own: safe conversions, the project's time zone and clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from posthog_mcp.sandbox.compiler.comparisons import align, moment_of
from posthog_mcp.sandbox.compiler.errors import refuse
from posthog_mcp.sandbox.compiler.properties import to_moment
from posthog_mcp.sandbox.compiler.quoting import string
from posthog_mcp.sandbox.compiler.types import Kind, Sql

if TYPE_CHECKING:
    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.compiler.expressions import Expressions

Compile = Callable[["Expressions", "list[Sql]", "ast.Call"], Sql]
_MANY = 1_000


@dataclass(frozen=True, slots=True)
class Special:
    """A function with rules of its own, and how many arguments it takes."""

    least: int
    most: int
    compile: Compile


SPECIAL_CALLS: dict[str, Special] = {}


def _special(names: str, least: int, most: int) -> Callable[[Compile], Compile]:
    def register(function: Compile) -> Compile:
        for name in names.split():
            SPECIAL_CALLS[name] = Special(least, most, function)
        return function

    return register


def _timezone(compiler: Expressions, values: list[Sql], position: int) -> str:
    """The time zone given as an argument, else the project's, as a literal."""
    return values[position].text if len(values) > position else string(compiler.world.timezone)


@_special("now now64 current_timestamp", 0, 2)
def _now(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    zone = next((value.text for value in values if value.kind == "String"), string(compiler.world.timezone))
    moment = compiler.world.now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    instant = f"toDateTime64({string(moment)}, 6, 'UTC')"
    text = instant if zone == "'UTC'" else f"toTimeZone({instant}, {zone})"
    return Sql(text, "DateTime", nullable=False, instant=instant)


@_special("today current_date curdate", 0, 0)
def _today(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    return _day(compiler, 0)


@_special("yesterday", 0, 0)
def _yesterday(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    return _day(compiler, 1)


def _day(compiler: Expressions, back: int) -> Sql:
    local = compiler.world.now.astimezone(ZoneInfo(compiler.world.timezone))
    today = f"toDate({string(local.strftime('%Y-%m-%d'))})"
    return Sql(f"({today} - {back})" if back else today, "Date", nullable=False)


def _cast(names: str, engine_type: str, kind: Kind) -> None:
    def convert(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
        return Sql(f"accurateCastOrNull({values[0].text}, '{engine_type}')", kind, nullable=True)

    _special(names, 1, 1)(convert)


_cast("tofloat tofloat64 tofloat32 toreal", "Float64", "Number")
_cast("toint toint64 toint32 toint16 toint8 tointeger tobigint", "Int64", "Number")
_cast("touint touint64 touint32 touint16 touint8", "UInt64", "Number")
_cast("touuid", "UUID", "UUID")


@_special("todecimal todecimal64 todecimal128", 1, 2)
def _to_decimal(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    scale = values[1].literal if len(values) > 1 else 10
    if isinstance(scale, bool) or not isinstance(scale, int) or not 0 <= scale <= 30:  # noqa: PLR2004 - of 38 digits
        raise refuse("toDecimal needs a constant scale from 0 to 30.", node)
    return Sql(f"accurateCastOrNull({values[0].text}, 'Decimal(38, {scale})')", "Number", nullable=True)


@_special("tobool toboolean", 1, 1)
def _to_boolean(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    value = values[0]
    if value.kind == "Boolean":
        return value
    if value.kind == "Number":
        return Sql(f"toBool({value.text})", "Boolean", nullable=value.nullable)
    words = "['true', '1', 'false', '0'], [1, 1, 0, 0], NULL"
    return Sql(f"toBool(transform(lower(toString({value.text})), {words}))", "Boolean", nullable=True)


@_special("todatetime todatetime64 _todatetime totimestamp timestamp parsedatetimebesteffort "
          "parsedatetime64besteffort parsedatetimebesteffortornull parsedatetime64besteffortornull", 1, 3)  # fmt: skip
def _to_datetime(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    value = values[0]
    zone = next((one.text for one in values[1:] if one.kind == "String"), string(compiler.world.timezone))
    if value.kind in ("DateTime", "Date", "Number"):
        return Sql(f"toDateTime({value.text}, {zone})", "DateTime", nullable=value.nullable)
    text = value.text if value.kind == "String" else f"toString({value.text})"
    nullable = not (
        value.is_literal and isinstance(value.literal, str) and node.name.lower().startswith("todatetime")
    )
    function = "parseDateTime64BestEffortOrNull" if nullable else "parseDateTime64BestEffort"
    return Sql(f"{function}({text}, 6, {zone})", "DateTime", nullable=nullable)


@_special("todate date", 1, 2)
def _to_date(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    value = values[0]
    if value.kind == "DateTime" and len(values) > 1:
        return Sql(f"toDate({value.text}, {values[1].text})", "Date", nullable=value.nullable)
    if value.kind in ("DateTime", "Date", "Number"):
        return Sql(f"toDate({value.text})", "Date", nullable=value.nullable)
    if value.is_literal and isinstance(value.literal, str):
        return Sql(
            f"toDate({moment_of(value.literal, compiler.world.timezone).text})", "Date", nullable=False
        )
    text = value.text if value.kind == "String" else f"toString({value.text})"
    return Sql(f"toDate({to_moment(text, compiler.world.timezone)})", "Date", nullable=True)


@_special("fromunixtimestamp", 1, 2)
def _from_unix(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    text = f"toDateTime({values[0].text}, {_timezone(compiler, values, 1)})"
    return Sql(text, "DateTime", nullable=values[0].nullable)


@_special("totimezone", 2, 2)
def _to_timezone(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    value, zone = values
    text = f"toTimeZone({value.text}, {zone.text})"
    return Sql(text, "DateTime", nullable=value.nullable, instant=value.instant)


@_special("tostartofweek", 1, 2)
def _start_of_week(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    # ClickHouse's mode 0 starts weeks on Sunday, 3 on Monday.
    mode = values[1].text if len(values) > 1 else "3" if compiler.world.week_start == 1 else "0"
    return Sql(f"toStartOfWeek({values[0].text}, {mode})", "Date", nullable=values[0].nullable)


_UNITS = {
    unit: unit.capitalize()
    for unit in (
        "second",
        "minute",
        "hour",
        "day",
        "week",
        "month",
        "quarter",
        "year",
        "millisecond",
        "microsecond",
    )
}
_ALIASES = {"s": "second", "mi": "minute", "n": "minute", "hh": "hour", "h": "hour", "dd": "day", "d": "day", "wk": "week",
            "ww": "week", "mm": "month", "m": "month", "qq": "quarter", "q": "quarter", "yyyy": "year", "yy": "year"}  # fmt: skip


def _unit(value: Sql, node: ast.Call) -> str:
    name = value.literal.lower() if value.is_literal and isinstance(value.literal, str) else ""
    unit = _ALIASES.get(name, name.removesuffix("s"))
    if unit not in _UNITS:
        raise refuse(f"{node.name} needs a constant unit: {', '.join(_UNITS)}.", node)
    return unit


@_special("datetrunc date_trunc", 2, 3)
def _date_trunc(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:
    unit = _unit(values[0], node)
    value = _as_moment(compiler, values[1])
    kind: Kind = "Date" if unit in ("week", "month", "quarter", "year") else "DateTime"
    zone = f", {values[2].text}" if len(values) > 2 else ""  # noqa: PLR2004 - the third, when given
    return Sql(f"dateTrunc('{unit}', {value.text}{zone})", kind, nullable=value.nullable)


@_special("datediff date_diff timestampdiff age", 3, 4)
def _date_diff(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:
    unit = _unit(values[0], node)
    start, end = (_as_moment(compiler, value) for value in values[1:3])
    zone = f", {values[3].text}" if len(values) > 3 else ""  # noqa: PLR2004 - the fourth, when given
    function = "age" if node.name.lower() == "age" else "dateDiff"
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


@_special("dateadd date_add timestampadd datesub date_sub timestampsub", 2, 3)
def _date_add(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:
    sign = "-" if "sub" in node.name.lower() else "+"
    if len(values) == 2:  # noqa: PLR2004 - a moment and an interval
        value = _as_moment(compiler, values[0])
        return compiler.arithmetic(sign, value, values[1])
    unit, amount, value = _unit(values[0], node), values[1], _as_moment(compiler, values[2])
    interval = Sql(f"toInterval{_UNITS[unit]}({amount.text})", "Interval", nullable=amount.nullable)
    return compiler.arithmetic(sign, value, interval)


@_special("tostartofinterval date_bin", 2, 4)
def _start_of_interval(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    value = _as_moment(compiler, values[0])
    rest = ", ".join(one.text for one in values[1:])
    return Sql(f"toStartOfInterval({value.text}, {rest})", "Unknown", nullable=value.nullable)


@_special("concat", 1, _MANY)
def _concat(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    return Sql(f"concat({', '.join(_text_or_empty(value) for value in values)})", "String", nullable=False)


def _text_or_empty(value: Sql) -> str:
    if value.is_literal and value.literal is None:
        return "''"
    text = value.text if value.kind == "String" else f"toString({value.text})"
    return f"ifNull({text}, '')" if value.nullable else text


@_special("if", 3, 3)
def _if(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    return _branches("if", values, values[1:])


@_special("multiif", 3, _MANY)
def _multi_if(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    if len(values) % 2 == 0:
        raise refuse("multiIf needs pairs of condition and value, and a value for all other cases.", node)
    return _branches("multiIf", values, [*values[1:-1:2], values[-1]])


def _branches(name: str, values: list[Sql], results: list[Sql]) -> Sql:
    text = f"{name}({', '.join(value.text for value in values)})"
    return Sql(text, _common(results), nullable=any(value.nullable for value in results))


def _common(values: list[Sql]) -> Kind:
    kinds = {value.kind for value in values if not (value.is_literal and value.literal is None)}
    kinds = {"String" if kind == "JSON" else kind for kind in kinds}
    return kinds.pop() if len(kinds) == 1 else "Unknown"


@_special("ifnull coalesce nvl", 1, _MANY)
def _coalesce(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:
    if node.name.lower() != "coalesce" and len(values) != 2:  # noqa: PLR2004 - a value and its stand-in
        raise refuse(f"Function '{node.name}' expects exactly 2 arguments, found {len(values)}", node)
    if len(values) == 2:  # noqa: PLR2004 - then one can be brought to the other's type
        values = list(align(values[0], values[1], compiler.world.timezone)) if _differ(values) else values
    text = f"coalesce({', '.join(value.text for value in values)})"
    return Sql(text, _common(values), nullable=all(value.nullable for value in values))


def _differ(values: list[Sql]) -> bool:
    return any(value.is_literal for value in values) and values[0].kind in ("DateTime", "Boolean")


@_special("isnull isnotnull", 1, 1)
def _is_null(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    function = "isNull" if node.name.lower() == "isnull" else "isNotNull"
    return Sql(f"{function}({values[0].text})", "Boolean", nullable=False)


def _comparison(names: str, op: Any) -> None:
    def convert(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
        return compiler.compare(op, values[0], values[1])

    _special(names, 2, 2)(convert)


for _names, _op in (
    ("equals", "=="), ("notequals", "!="), ("less", "<"), ("lessorequals", "<="), ("greater", ">"),
    ("greaterorequals", ">="), ("like", "like"), ("ilike", "ilike"), ("notlike", "not like"),
    ("notilike", "not ilike"), ("in", "in"), ("notin", "not in"), ("match", "=~"),
):  # fmt: skip
    _comparison(_names, _op)


@_special("and or", 1, _MANY)
def _junction(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    word = f" {node.name.upper()} "
    text = f"({word.join(value.text for value in values)})"
    return Sql(text, "Boolean", nullable=any(value.nullable for value in values))


@_special("not", 1, 1)
def _not(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    return Sql(f"(NOT {values[0].text})", "Boolean", nullable=values[0].nullable)


@_special("jsonextract", 2, 20)
def _json_extract(compiler: Expressions, values: list[Sql], node: ast.Call) -> Sql:  # noqa: ARG001
    if not (values[-1].is_literal and isinstance(values[-1].literal, str)):
        raise refuse("JSONExtract needs the type to return as a constant text in its last argument.", node)
    return Sql(f"JSONExtract({', '.join(value.text for value in values)})")
