"""Filter rows as JSON text: a tenth of what their schema costs in the list of tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, WithJsonSchema

from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.filters import Filter, posthog_filter
from posthog_mcp.tool.group_types import group_property

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthog_mcp.tool.context import Context, Project

Json = dict[str, Any]
_MOST = 50
_SHOWN = 200  # characters of a row's value


def listed(value: Any, example: str) -> list[Any]:
    """What JSON text holds a list of; one alone is a list too.

    Args:
        value: The text, or what it would hold.
        example: The text as it could be.

    Raises:
        ValueError: With words for the caller.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except (ValueError, RecursionError):
            raise ValueError(f"must be a JSON list, as {example}") from None
    items = cast("list[Any]", value if isinstance(value, list) else [value])
    if len(items) > _MOST:
        raise ValueError(f"has too many rows: at most {_MOST}")
    return items


def listed_as(example: str) -> BeforeValidator:
    """Makes a list of JSON text, as `listed` does, before the rows are read."""
    return BeforeValidator(lambda value: listed(value, example))


EVENT_EXAMPLE = '[{"property":"plan","operator":"exact","value":"pro","on":"event"}]'
AS_TEXT = WithJsonSchema({"type": "string"})
FilterRows = Annotated[list[Filter], listed_as('[{"property": "plan", "value": "pro"}]'), AS_TEXT]
"""An argument of filter rows: in the schema JSON text; a real list is taken as well."""


class EventFilterRow(Filter):
    """One row on an event or whoever sent it."""

    on: Literal["event", "person", "session", "group", "cohort", "flag"] = Field(
        "event", description="What has the property."
    )


EventFilterRows = Annotated[list[EventFilterRow], listed_as(EVENT_EXAMPLE), AS_TEXT]
"""Filter rows whose properties are the event's unless a row says otherwise: in the schema JSON text."""


def filtered_by(rows: Sequence[Filter], *more: str) -> str:
    """` Filtered by plan exact pro (event).`, or nothing; `more` are conditions in words."""
    words = [f"{row.property} {row.operator} {row.value[:_SHOWN]}".strip() + f" ({row.on})" for row in rows]
    conditions = "; ".join(filter(None, [*words, *more]))
    return f" Filtered by {conditions}." if conditions else ""


async def event_filters(ctx: Context, project: Project, rows: Sequence[Filter]) -> list[Json]:
    """Rows as PostHog's property filters on events.

    A row on a flag asks for the value that the event was sent with.

    Raises:
        ToolFailure: A row is on a group, and the project has several types of groups or none.
    """
    return [await _event_filter(ctx, project, row) for row in rows]


async def _event_filter(ctx: Context, project: Project, row: Filter) -> Json:
    if row.on == "flag":
        sent = posthog_filter(row.model_copy(update={"on": "event", "property": f"$feature/{row.property}"}))
        return {**sent, "operator": "exact"} if row.operator == "flag_evaluates_to" else sent
    if row.on != "group":
        return posthog_filter(row)
    number, name = await group_property(ctx, project, row.property)
    return {**posthog_filter(row), "key": name, "group_type_index": number}


def person_filters(rows: list[Filter], instead: str) -> list[Json]:
    """Rows as PostHog's property filters on persons.

    Args:
        rows: The rows.
        instead: One sentence: what to do about a row on something else.

    Raises:
        ToolFailure: A row is on neither a person nor a cohort.
    """
    for row in rows:
        if row.on not in ("person", "cohort"):
            raise ToolFailure(
                f"The row on the {row.on} property `{row.property}` cannot be used.",
                "Only rows on person and cohort say something of a person alone.",
                instead,
            )
    return [posthog_filter(row) for row in rows]
