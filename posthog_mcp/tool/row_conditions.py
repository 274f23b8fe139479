"""Filter rows as conditions of HogQL on events: names and values are placeholders, operators words of ours.

PostHog's own `{filters}` would say the same, but it refuses queries that have both `{filters}` and values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.filters import posthog_filter
from posthog_mcp.tool.group_types import group_property
from posthog_mcp.tool.times import iso, parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthog_mcp.tool.context import Context, Project
    from posthog_mcp.tool.filters import Filter

Json = dict[str, Any]
_SESSION = (
    "$channel_type",
    "$end_current_url",
    "$end_pathname",
    "$entry_current_url",
    "$entry_hostname",
    "$entry_pathname",
    "$entry_referring_domain",
    "$entry_utm_campaign",
    "$entry_utm_medium",
    "$entry_utm_source",
    "$is_bounce",
    "$pageview_count",
    "$session_duration",
)
_FORMS = {
    "exact": "toString({x}) = {v}",
    "is_not": "toString({x}) != {v}",
    "one_of": "toString({x}) IN {v}",
    "none_of": "toString({x}) NOT IN {v}",
    "icontains": "positionCaseInsensitiveUTF8(toString({x}), {v}) > 0",
    "not_icontains": "ifNull(positionCaseInsensitiveUTF8(toString({x}), {v}), 0) = 0",
    "starts_with": "ifNull(startsWith(lower(toString({x})), lower({v})), false)",
    "not_starts_with": "NOT ifNull(startsWith(lower(toString({x})), lower({v})), false)",
    "ends_with": "ifNull(endsWith(lower(toString({x})), lower({v})), false)",
    "not_ends_with": "NOT ifNull(endsWith(lower(toString({x})), lower({v})), false)",
    "regex": "ifNull(match(toString({x}), {v}), false)",
    "not_regex": "NOT ifNull(match(toString({x}), {v}), false)",
    "is_set": "{x} IS NOT NULL",
    "is_not_set": "{x} IS NULL",
    "is_date_exact": "toDate(toDateTime(toString({x}))) = toDate(toDateTime({v}))",
    "is_date_before": "toDateTime(toString({x})) < toDateTime({v})",
    "is_date_after": "toDateTime(toString({x})) > toDateTime({v})",
}
_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


async def event_conditions(
    ctx: Context, project: Project, rows: Sequence[Filter], prefix: str = ""
) -> tuple[list[str], Json]:
    """Rows as conditions on events, all of which must hold, and the values in them.

    A row on a flag asks for the value that the event was sent with.

    Args:
        ctx: The call.
        project: Where to ask.
        rows: The rows.
        prefix: What the names of the values begin with, where a query has several such lists.

    Raises:
        ToolFailure: A row is on a group and it is not clear of which type, on a property that sessions do
            not have, or its value is no time where one is needed.
    """
    conditions: list[str] = []
    values: Json = {}
    for place, row in enumerate(rows):
        if row.on == "cohort":
            filter_ = posthog_filter(row)
            within = "NOT IN" if filter_["operator"] == "not_in" else "IN"
            conditions.append(f"person_id {within} COHORT {int(filter_['value'])}")
            continue
        subject, name = await _subject(ctx, project, row)
        if name:
            subject += f"[{{{prefix}k{place}}}]"
            values[f"{prefix}k{place}"] = name
        form, value = _compared(ctx, row)
        conditions.append(form.replace("{x}", subject).replace("{v}", f"{{{prefix}v{place}}}"))
        if value is not None:
            values[f"{prefix}v{place}"] = value
    return conditions, values


async def _subject(ctx: Context, project: Project, row: Filter) -> tuple[str, str]:
    """What has the property, as HogQL names it, and the property's name; a session's is a column."""
    if row.on == "group":
        number, name = await group_property(ctx, project, row.property)
        return f"group_{number}.properties", name
    if row.on == "flag":
        return "properties", f"$feature/{row.property}"
    if row.on != "session":
        return "person.properties" if row.on == "person" else "properties", row.property
    if row.property not in _SESSION:
        raise ToolFailure(
            f"The row on the session property `{row.property}` cannot be used.",
            f"Sessions are filtered by {', '.join(_SESSION)}.",
            "Take one of these, or ask with query_hogql.",
        )
    return f"session.{row.property}", ""


def _compared(ctx: Context, row: Filter) -> tuple[str, Any]:
    """How the property is compared, `{x}` and `{v}` standing for it and for the value, and the value."""
    operator = "exact" if row.operator == "flag_evaluates_to" else row.operator
    if operator in ("is_set", "is_not_set"):
        return _FORMS[operator], None
    if operator in _SIGNS:
        try:
            number = float(row.value)
        except ValueError:
            return f"toString({{x}}) {_SIGNS[operator]} {{v}}", row.value
        return f"toFloat(toString({{x}})) {_SIGNS[operator]} {{v}}", number
    if operator.startswith("semver"):
        raise ToolFailure(
            f"The row on `{row.property}` cannot be used.",
            "Only flags and cohorts compare versions.",
            "Ask for the versions one by one with exact, or with regex.",
        )
    if operator.startswith("is_date"):
        return _FORMS[operator], _time(ctx, row)
    value = posthog_filter(row)["value"] if row.on != "flag" else row.value
    if isinstance(value, list) and operator in ("exact", "is_not"):
        several = [each if isinstance(each, str) else str(each).lower() for each in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON
        return _FORMS["one_of" if operator == "exact" else "none_of"], several
    return _FORMS[operator], row.value


def _time(ctx: Context, row: Filter) -> str:
    try:
        return iso(parse_time(row.value, ctx.now()))
    except ValueError as error:
        raise ToolFailure(
            f"The row on `{row.property}` cannot be used.",
            f"{row.operator} compares times, and {error}.",
            "Correct its value.",
        ) from None
