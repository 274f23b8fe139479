"""What insight queries share: PostHog's schema, strict about names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field

from posthog_mcp.sandbox.queries.hogql import DateRange
from posthog_mcp.sandbox.queries.models import Model, QueryModel

Interval = Literal["minute", "hour", "day", "week", "month"]
Group = Annotated[int, Field(ge=0, le=4)]
Filters = list[dict[str, Any]]


class Drawn(BaseModel):
    """A filter object of one kind of insight: what only says how to draw is let through and left alone."""

    model_config = ConfigDict(extra="allow")


class _Node(Model):
    name: str | None = None
    custom_name: str | None = None
    version: int | None = None
    math: str | None = None
    math_property: str | None = None
    math_property_type: str | None = None
    math_property_revenue_currency: dict[str, Any] | None = None
    math_multiplier: float | None = None
    math_hogql: str | None = None
    math_group_type_index: Group | None = None
    optionalInFunnel: bool | None = None  # noqa: N815 - PostHog's names, here and below
    properties: Filters | None = None
    fixedProperties: Filters | None = None  # noqa: N815


class EventsNode(_Node):
    """Events of one name; null is any name."""

    kind: Literal["EventsNode"]
    event: str | None = None
    limit: int | None = None
    orderBy: list[str] | None = None  # noqa: N815


class ActionsNode(_Node):
    """Events that an action matches."""

    kind: Literal["ActionsNode"]
    id: int


Node = Annotated[EventsNode | ActionsNode, Discriminator("kind")]


class InsightDates(DateRange):
    """From and to; the newer fields of PostHog narrow them further."""

    excludeIncompletePeriods: bool | None = None  # noqa: N815
    daysOfWeek: list[int] | None = None  # noqa: N815


class Breakdown(Model):
    """One property to split by."""

    property: str | int
    type: str | None = None
    group_type_index: Group | None = None
    histogram_bin_count: Annotated[int, Field(ge=1, le=100)] | None = None
    normalize_url: bool | None = None


class BreakdownFilter(Model):
    """Up to three properties, or one in the older form."""

    breakdowns: Annotated[list[Breakdown], Field(max_length=3)] | None = None
    breakdown: str | int | list[str | int] | None = None
    breakdown_type: str | None = None
    breakdown_group_type_index: Group | None = None
    breakdown_limit: Annotated[int, Field(ge=1, le=1_000)] | None = None
    breakdown_hide_other_aggregation: bool | None = None
    breakdown_normalize_url: bool | None = None
    breakdown_path_cleaning: bool | None = None
    breakdown_histogram_bin_count: Annotated[int, Field(ge=1, le=100)] | None = None


class CompareFilter(Model):
    """The period to compare with: the one before, or `compare_to` such as -1m earlier."""

    compare: bool | None = None
    compare_to: str | None = None


class InsightQuery(QueryModel):
    """What every insight takes."""

    dateRange: InsightDates | None = None  # noqa: N815
    filterTestAccounts: bool | None = None  # noqa: N815
    properties: Filters | dict[str, Any] | None = None
    samplingFactor: float | None = None  # noqa: N815
    dataColorTheme: float | None = None  # noqa: N815
    aggregation_group_type_index: Group | None = None
