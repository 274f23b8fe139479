"""What the typed queries take: series, periods, filters and breakdowns, and PostHog's form of them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from posthog_mcp.tool.arguments import Input, ProjectInput
from posthog_mcp.tool.context import ToolFailure
from posthog_mcp.tool.filter_rows import (
    AS_TEXT,
    EVENT_EXAMPLE,
    EventFilterRow,
    EventFilterRows,
    event_filters,
    filtered_by,
    listed,
)
from posthog_mcp.tool.group_types import group_property
from posthog_mcp.tool.short import Short

if TYPE_CHECKING:
    from posthog_mcp.tool.context import Context, Project

Json = dict[str, Any]
Interval = Literal["hour", "day", "week", "month"]
On = Literal["event", "person", "session", "group", "cohort"]
Math = Literal[
    "total",
    "dau",
    "weekly_active",
    "monthly_active",
    "unique_session",
    "first_time_for_user",
    "avg_count_per_actor",
    "sum",
    "avg",
    "min",
    "max",
    "median",
    "p90",
    "p95",
    "p99",
]
_OF_PROPERTY = ("sum", "avg", "min", "max", "median", "p90", "p95", "p99")
_DATE = re.compile(
    r"all|-?\d{0,4}[hdwmqy](Start|End)?|\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?"
)


def _date(text: str) -> str:
    if text and not _DATE.fullmatch(text):
        raise ValueError(f"`{text[:40]}` is no date: write -7d, -1mStart, dStart, 2026-03-01 or all")
    return text


InsightDate = Annotated[str, AfterValidator(_date)]
"""A date as PostHog's insights read it, in the project's time zone; anything else it would take for now."""


class Step(Input):
    """One event of a sequence; a name alone will do."""

    event: Short = Field("", description="Event name; empty for all events.")
    filters: EventFilterRows = Field(default_factory=list[EventFilterRow], description="Rows.")
    action: int | None = Field(None, description="An action's id, instead of an event.")

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, data: Any) -> Any:
        is_name = isinstance(data, str) and not data.lstrip().startswith("{")
        return {"event": data} if is_name else data


class Series(Step):
    """One series: which events, and what is counted of them."""

    math: Math = Field("total", description="What to count.")
    property: Short = Field("", description="For sum to p99: the numeric property.")

    @model_validator(mode="after")
    def _fits(self) -> Series:
        if (self.math in _OF_PROPERTY) != bool(self.property):
            needs = "takes no `property`: use sum, avg, ..." if self.property else "needs a `property`"
            raise ValueError(f"math `{self.math}` {needs}")
        return self


def _named(value: Any) -> Any:
    """A single name, which is no JSON, as a list of it."""
    is_name = isinstance(value, str) and not value.lstrip().startswith(("[", "{"))
    return [value] if is_name else listed(value, '["signed up","order placed"]')


SeriesRows = Annotated[list[Series], BeforeValidator(_named), AS_TEXT]
"""Series as JSON text; a real list, or the name of one event, is taken as well."""
StepRows = Annotated[list[Step], BeforeValidator(_named), AS_TEXT]
"""Events in order as JSON text: names, or objects with filters; a real list is taken as well."""
StepText = Annotated[Step, AS_TEXT]
"""One event: its name, or JSON text with filters."""
MATHS = (
    "total, dau (unique persons), weekly_active, monthly_active, unique_session, first_time_for_user, "
    "avg_count_per_actor; of property sum, avg, min, max, median, p90, p95, p99"
)


class InsightInput(ProjectInput):
    """What all typed queries take."""

    date_from: InsightDate = Field("-7d", description="-7d, -1mStart, 2026-03-01 or all; m is months.")
    date_to: InsightDate = Field("", description="Default today.")
    filters: EventFilterRows = Field(
        default_factory=list[EventFilterRow], description=f"Rows: {EVENT_EXAMPLE}."
    )
    exclude_test_accounts: bool = Field(default=False, description="Leave out internal users.")


class SplitInput(InsightInput):
    """What those take that can be split by a property."""

    breakdown: Short = Field("", description="Property to split by; cohorts: ids 12,13.")
    breakdown_on: On = Field("event", description="Owner of it.")

    @model_validator(mode="after")
    def _cohorts_are_numbers(self) -> SplitInput:
        if self.breakdown and self.breakdown_on == "cohort" and not cohorts_in(self.breakdown):
            raise ValueError(f"`breakdown` {self.breakdown} names no cohorts: give their ids, as 12,13")
        return self


def cohorts_in(text: str) -> list[int]:
    """The ids in a list such as `12,13`; none when it is no such list."""
    parts = [part.strip() for part in text.split(",")]
    return [int(part) for part in parts] if all(part.isdecimal() for part in parts) else []


def _check_order(ctx: Context, args: InsightInput) -> None:
    """Refuse a period that ends before it starts: PostHog would count nothing."""
    if not _is_day(args.date_from):
        return
    # Where the project is it may be tomorrow already.
    tomorrow = (ctx.now() + timedelta(days=1)).date().isoformat()
    first, last = args.date_from[:10], args.date_to[:10] if _is_day(args.date_to) else tomorrow
    if first > last:
        raise ToolFailure(
            "Nothing was asked.",
            f"The period would start at {first} and end at {last} at the latest.",
            "Correct date_from or date_to.",
        )


def _is_day(text: str) -> bool:
    return text[:4].isdecimal() and text[4:5] == "-"


async def common(ctx: Context, project: Project, args: InsightInput) -> Json:
    """The period and the filters as PostHog takes them.

    Raises:
        ToolFailure: The period ends before it starts, or a filter on a group cannot be told apart.
    """
    _check_order(ctx, args)
    dates: Json = {"date_from": args.date_from}
    if args.date_to:
        dates["date_to"] = args.date_to
    found: Json = {"dateRange": dates, "filterTestAccounts": args.exclude_test_accounts}
    if args.filters:
        found["properties"] = await event_filters(ctx, project, args.filters)
    return found


async def node(ctx: Context, project: Project, one: Series | Step) -> Json:
    """A series, or a step, as PostHog takes it."""
    if one.action is not None:
        found: Json = {"kind": "ActionsNode", "id": one.action}
    else:
        found = {"kind": "EventsNode", "event": one.event or None, "name": one.event or "All events"}
    if isinstance(one, Series) and one.math != "total":
        found["math"] = one.math
        if one.property:
            found["math_property"] = one.property
    if one.filters:
        found["properties"] = await event_filters(ctx, project, one.filters)
    return found


async def breakdown(ctx: Context, project: Project, args: SplitInput, limit: int = 0) -> Json:
    """`{breakdownFilter: ...}` for the property, or nothing without one.

    Raises:
        ToolFailure: It is on a group, and the project has several types of groups or none.
    """
    if not args.breakdown:
        return {}
    if args.breakdown_on == "cohort":
        found: Json = {"breakdown_type": "cohort", "breakdown": cohorts_in(args.breakdown)}
    else:
        found = {"breakdown_type": args.breakdown_on, "breakdown": args.breakdown}
    if args.breakdown_on == "group":
        index, name = await group_property(ctx, project, args.breakdown)
        found |= {"breakdown": name, "breakdown_group_type_index": index}
    if limit:
        found["breakdown_limit"] = limit
    return {"breakdownFilter": found}


def filters_in_words(args: InsightInput) -> str:
    """` Filtered by plan exact pro (event).`, or nothing."""
    return filtered_by(args.filters, "internal users left out" if args.exclude_test_accounts else "")
