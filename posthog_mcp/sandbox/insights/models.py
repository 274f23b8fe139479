"""What insight queries share: PostHog's schema, strict about names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Discriminator, Field, model_validator

from posthog_mcp.sandbox.queries.hogql import DateRange
from posthog_mcp.sandbox.queries.models import Model, NotComputed, QueryModel

Interval = Literal["minute", "hour", "day", "week", "month"]
Group = Annotated[int, Field(ge=0, le=4)]
Filters = list[dict[str, Any]]
PropertyOf = Literal[
    "event_properties", "numerical_event_properties", "person_properties", "session_properties", "session"
]


class Drawn(Model):
    """The filter object of one kind of insight; its fields in `DRAWN` only say how to draw: left alone."""

    DRAWN: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _undrawn(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        fields = cast("Mapping[str, Any]", given)
        return {name: value for name, value in fields.items() if name not in cls.DRAWN}


class _Node(Model):
    name: str | None = None
    custom_name: str | None = None
    version: int | None = None
    math: str | None = None
    math_property: str | None = None
    math_property_type: PropertyOf | None = None
    math_property_revenue_currency: NotComputed = None
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
    limit: NotComputed = None
    orderBy: NotComputed = None  # noqa: N815


class ActionsNode(_Node):
    """Events that an action matches."""

    kind: Literal["ActionsNode"]
    id: int


Node = Annotated[EventsNode | ActionsNode, Discriminator("kind")]


class InsightDates(DateRange):
    """From and to; a first and a last interval that is not whole, or not over, can be left out."""

    excludeIncompletePeriods: bool | None = None  # noqa: N815
    daysOfWeek: NotComputed = None  # noqa: N815


class WeekdayDates(InsightDates):
    """With the days of the week whose events count, Monday being 1; all of them when there are none."""

    daysOfWeek: list[Annotated[int, Field(ge=1, le=7)]] | None = None  # noqa: N815


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
    breakdown_path_cleaning: NotComputed = None
    breakdown_histogram_bin_count: Annotated[int, Field(ge=1, le=100)] | None = None


class CompareFilter(Model):
    """The period to compare with: the one before, or `compare_to` such as -1m earlier."""

    compare: bool | None = None
    compare_to: str | None = None


#: PostHog computes on a share of the people and scales up: an estimate of what is counted whole here.
Sampling = Annotated[float, Field(ge=0, le=1)]


class InsightQuery(QueryModel):
    """What every insight takes."""

    filterTestAccounts: bool | None = None  # noqa: N815
    properties: Filters | dict[str, Any] | None = None
    samplingFactor: Sampling | None = None  # noqa: N815
    dataColorTheme: float | None = None  # noqa: N815


class ByActor(InsightQuery):
    """An insight that counts people, or groups of a type."""

    aggregation_group_type_index: Group | None = None
