"""A RetentionQuery: its fields, its rows of periods, and who it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.insights.asking import Asking
from posthog_mcp.sandbox.insights.breakdowns import (
    CohortSplit,
    check_values,
    cohorts_of,
    properties_of,
    text_value,
)
from posthog_mcp.sandbox.insights.models import (
    ActionsNode,
    BreakdownFilter,
    ByActor,
    Drawn,
    EventsNode,
    Filters,
    InsightDates,
    Interval,
)
from posthog_mcp.sandbox.insights.periods import Period, before, period_of, start_of
from posthog_mcp.sandbox.insights.series import matching
from posthog_mcp.sandbox.queries.models import NotComputed

if TYPE_CHECKING:
    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.compiler.world import World

_INTERVALS: dict[str, Interval] = {"Hour": "hour", "Day": "day", "Week": "week", "Month": "month"}
_SCHEMA_INTERVALS, _NULL_INTERVALS, _MOST_INTERVALS = 8, 7, 365


class RetentionEntity(Drawn):
    """What people do: an event of some name, any event where the id is null, or an action."""

    DRAWN = frozenset({"order", "uuid"})

    id: str | int | float | None = None
    name: str | None = None
    custom_name: str | None = None
    type: Literal["events", "actions"] | None = None
    kind: Literal["EventsNode", "ActionsNode"] | None = None
    properties: Filters | None = None

    def node(self) -> EventsNode | ActionsNode:
        """The same as a series."""
        if self.type == "actions" or (self.type is None and self.kind == "ActionsNode"):
            number = str(self.id).partition(".")[0]
            action = int(number) if number.isdecimal() else 0
            return ActionsNode(kind="ActionsNode", id=action, name=self.name, properties=self.properties)
        event = None if self.id is None else str(self.id)
        return EventsNode(kind="EventsNode", event=event, properties=self.properties)


_PAGEVIEW = RetentionEntity(id="$pageview", name="$pageview", type="events")


class RetentionFilter(Drawn):
    """How retention is counted."""

    DRAWN = frozenset({
        "cohortLabelStartIndex", "dashboardDisplay", "display", "goalLines", "meanRetentionCalculation",
        "retentionReference", "selectedInterval", "showTrendLines",
    })  # fmt: skip

    period: Literal["Hour", "Day", "Week", "Month"] | None = None
    totalIntervals: Annotated[int, Field(ge=1, le=_MOST_INTERVALS)] | None = _SCHEMA_INTERVALS  # noqa: N815 - PostHog's names, here and below
    targetEntity: RetentionEntity | None = None  # noqa: N815
    returningEntity: RetentionEntity | None = None  # noqa: N815
    retentionType: (  # noqa: N815
        Literal["retention_recurring", "retention_first_time", "retention_first_ever_occurrence"] | None
    ) = None
    cumulative: bool | None = None
    minimumOccurrences: Annotated[int, Field(ge=1)] | None = None  # noqa: N815
    timeWindowMode: Literal["strict_calendar_dates", "24_hour_windows"] | None = None  # noqa: N815
    retentionCustomBrackets: (  # noqa: N815
        Annotated[list[Annotated[int, Field(ge=1)]], Field(max_length=31)] | None
    ) = None
    aggregationType: Literal["count", "sum", "avg"] | None = None  # noqa: N815
    aggregationProperty: NotComputed = None  # noqa: N815
    # Only says where the property is, which is refused.
    aggregationPropertyType: Literal["event", "person"] | None = None  # noqa: N815
    customAggregationTarget: NotComputed = None  # noqa: N815

    @property
    def target(self) -> EventsNode | ActionsNode:
        """What begins it."""
        return (self.targetEntity or _PAGEVIEW).node()

    @property
    def returning(self) -> EventsNode | ActionsNode:
        """What counts as coming back."""
        return (self.returningEntity or _PAGEVIEW).node()

    @property
    def interval(self) -> Interval:
        """The length of a period."""
        return _INTERVALS[self.period or "Day"]

    @property
    def intervals(self) -> int:
        """How many periods there are."""
        return self.totalIntervals or _NULL_INTERVALS

    @property
    def cells(self) -> list[tuple[int, int]]:
        """The first and the last period, from the start, of each cell of a row."""
        if not self.retentionCustomBrackets:
            return [(number, number) for number in range(self.intervals)]
        cells = [(0, 0)]
        for length in self.retentionCustomBrackets:
            cells.append((cells[-1][1] + 1, cells[-1][1] + length))
        return cells


class RetentionDates(InsightDates):
    """Rows are periods whether they are over or not."""

    excludeIncompletePeriods: NotComputed = None  # noqa: N815


class RetentionQuery(ByActor):
    """The query object."""

    kind: Literal["RetentionQuery"]
    dateRange: RetentionDates | None = None  # noqa: N815
    retentionFilter: RetentionFilter  # noqa: N815
    breakdownFilter: BreakdownFilter | None = None  # noqa: N815


@dataclass(frozen=True, slots=True)
class Plan:
    """What a RetentionQuery counts.

    Attributes:
        model: The query.
        period: Its buckets are the rows.
        splits: Values to split by, as text.
        cohorts: Cohorts to split by instead.
        asking: The project and the engine.
    """

    model: RetentionQuery
    period: Period
    splits: list[ast.Expr]
    cohorts: list[CohortSplit]
    asking: Asking

    @property
    def filter(self) -> RetentionFilter:
        """How retention is counted."""
        return self.model.retentionFilter


async def plan_of(asking: Asking, model: RetentionQuery) -> Plan:
    """What the query counts.

    Raises:
        ApiError: 400 for what cannot be computed.
        CompileError: The query names what the project does not have.
    """
    given = model.retentionFilter
    if (given.aggregationType or "count") != "count":
        raise invalid("The sandbox can only count retention.", "retentionFilter__aggregationType")
    if given.cumulative and given.timeWindowMode == "24_hour_windows":
        detail = "Cumulative retention needs calendar dates, not 24 hour windows."
        raise invalid(detail, "retentionFilter__cumulative")
    check_values(model.breakdownFilter)
    earliest = await asking.earliest(model.dateRange, [matching(given.target, asking.world)])
    period = period_of(_dates(model, asking.world), given.interval, asking.world, earliest)
    splits = [text_value(one, "") for one in properties_of(model.breakdownFilter)]
    return Plan(model, period, splits, cohorts_of(model.breakdownFilter, asking.world), asking)


def _dates(model: RetentionQuery, world: World) -> RetentionDates:
    """The query's dates; without a beginning, as many periods as there are cells, up to the end."""
    dates, given = model.dateRange or RetentionDates(), model.retentionFilter
    if dates.date_from:
        return dates
    until = period_of(dates.model_copy(update={"date_from": "dStart"}), given.interval, world).end
    start = start_of(until, given.interval, world.week_start)
    for _ in range(given.intervals - 1):
        start = before(start, given.interval)
    text: dict[str, Any] = {"date_from": start.isoformat()}
    return dates.model_copy(update=text)
