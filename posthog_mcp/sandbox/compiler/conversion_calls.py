"""Conversions: what does not fit becomes NULL, and texts are read in the project's time zone."""

from __future__ import annotations

from dataclasses import replace

from posthog_mcp.sandbox.compiler.comparisons import moment_of
from posthog_mcp.sandbox.compiler.errors import refuse
from posthog_mcp.sandbox.compiler.properties import to_moment
from posthog_mcp.sandbox.compiler.quoting import string
from posthog_mcp.sandbox.compiler.special import Given, Registry
from posthog_mcp.sandbox.compiler.types import Kind, Sql

CALLS = Registry()


_CASTS = {
    **dict.fromkeys(("int", "integer", "bigint", "smallint", "tinyint", "int32", "int64", "uint64"), "toint"),
    **dict.fromkeys(("float", "double", "double precision", "real", "float32", "float64"), "tofloat"),
    **dict.fromkeys(("text", "varchar", "string", "char"), "tostring"),
    **dict.fromkeys(("bool", "boolean"), "tobool"),
    **dict.fromkeys(("timestamp", "datetime", "datetime64", "timestamp with time zone"), "todatetime"),
    **dict.fromkeys(("decimal", "numeric"), "todecimal"),
    "date": "todate",
    "uuid": "touuid",
}


@CALLS.add("cast try_cast", 2, 2)
def _cast_to(given: Given) -> Sql:
    name = given.values[1].literal
    conversion = _CASTS.get(name.lower()) if isinstance(name, str) else None
    if conversion is None:
        known = ", ".join(sorted(_CASTS))
        raise refuse(f"Cannot cast to {name}. The types are: {known}.", given.node)
    value = given.values[0]
    if conversion == "tostring":
        return Sql(f"toString({value.text})", "String", nullable=value.nullable)
    named = replace(given.node, name=conversion)
    return CALLS[conversion].compile(Given(given.compiler, [value], named))


def _cast(names: str, engine_type: str, kind: Kind) -> None:
    def convert(given: Given) -> Sql:
        return Sql(f"accurateCastOrNull({given.values[0].text}, '{engine_type}')", kind, nullable=True)

    CALLS.add(names, 1, 1)(convert)


_cast("tofloat tofloat64 tofloat32 toreal", "Float64", "Number")
_cast("toint toint64 toint32 toint16 toint8 tointeger tobigint", "Int64", "Number")
_cast("touint touint64 touint32 touint16 touint8", "UInt64", "Number")
_cast("touuid", "UUID", "UUID")


@CALLS.add("todecimal todecimal64 todecimal128", 1, 2)
def _to_decimal(given: Given) -> Sql:
    scale = given.values[1].literal if len(given.values) > 1 else 10
    if isinstance(scale, bool) or not isinstance(scale, int) or not 0 <= scale <= 30:  # noqa: PLR2004 - of 38 digits
        raise refuse("toDecimal needs a constant scale from 0 to 30.", given.node)
    return Sql(f"accurateCastOrNull({given.values[0].text}, 'Decimal(38, {scale})')", "Number", nullable=True)


@CALLS.add("tobool toboolean", 1, 1)
def _to_boolean(given: Given) -> Sql:
    value = given.values[0]
    if value.kind == "Boolean":
        return value
    if value.kind == "Number":
        return Sql(f"toBool({value.text})", "Boolean", nullable=value.nullable)
    words = "['true', '1', 'false', '0'], [1, 1, 0, 0], NULL"
    return Sql(f"toBool(transform(lower(toString({value.text})), {words}))", "Boolean", nullable=True)


_DATETIME_NAMES = """
    todatetime todatetime64 _todatetime totimestamp timestamp parsedatetimebesteffort
    parsedatetime64besteffort parsedatetimebesteffortornull parsedatetime64besteffortornull
"""


@CALLS.add(_DATETIME_NAMES, 1, 3)
def _to_datetime(given: Given) -> Sql:
    value = given.values[0]
    zone = next(
        (one.text for one in given.values[1:] if one.kind == "String"), string(given.compiler.world.timezone)
    )
    if value.kind in ("DateTime", "Date", "Number"):
        return Sql(f"toDateTime({value.text}, {zone})", "DateTime", nullable=value.nullable)
    text = value.text if value.kind == "String" else f"toString({value.text})"
    nullable = not (
        value.is_literal
        and isinstance(value.literal, str)
        and given.node.name.lower().startswith("todatetime")
    )
    function = "parseDateTime64BestEffortOrNull" if nullable else "parseDateTime64BestEffort"
    return Sql(f"{function}({text}, 6, {zone})", "DateTime", nullable=nullable)


@CALLS.add("todate date", 1, 2)
def _to_date(given: Given) -> Sql:
    value = given.values[0]
    if value.kind == "DateTime" and len(given.values) > 1:
        return Sql(f"toDate({value.text}, {given.values[1].text})", "Date", nullable=value.nullable)
    if value.kind in ("DateTime", "Date", "Number"):
        return Sql(f"toDate({value.text})", "Date", nullable=value.nullable)
    if value.is_literal and isinstance(value.literal, str):
        return Sql(
            f"toDate({moment_of(value.literal, given.compiler.world.timezone).text})", "Date", nullable=False
        )
    text = value.text if value.kind == "String" else f"toString({value.text})"
    return Sql(f"toDate({to_moment(text, given.compiler.world.timezone)})", "Date", nullable=True)
