"""A FunnelsQuery, and what it must fulfil beyond its fields' types."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field

from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.insights.funnel_steps import Order
from posthog_mcp.sandbox.insights.models import (
    ActionsNode,
    BreakdownFilter,
    ByActor,
    CompareFilter,
    Drawn,
    EventsNode,
    Interval,
    Node,
    WeekdayDates,
)
from posthog_mcp.sandbox.insights.series import check_series
from posthog_mcp.sandbox.queries.models import NotComputed

_FEWEST, _MOST = 2, 30
FIRST_TIME = ("first_time_for_user", "first_time_for_user_with_filters")
Unit = Literal["second", "minute", "hour", "day", "week", "month"]
Step = Annotated[int, Field(ge=0, lt=_MOST)]


class ExcludedEvents(EventsNode):
    """Events that remove an actor when they come between two steps."""

    funnelFromStep: Step  # noqa: N815 - PostHog's names, here and below
    funnelToStep: Step  # noqa: N815


class ExcludedActions(ActionsNode):
    """The same for an action."""

    funnelFromStep: Step  # noqa: N815
    funnelToStep: Step  # noqa: N815


Exclusion = Annotated[ExcludedEvents | ExcludedActions, Discriminator("kind")]


class FunnelsFilter(Drawn):
    """How a funnel is counted."""

    DRAWN = frozenset({
        "breakdownSorting", "funnelStepReference", "goalLines", "hiddenLegendBreakdowns", "layout",
        "legendPosition", "resultCustomizations", "showAnnotations", "showLegend", "showTrendLines",
        "showValuesOnSeries", "useUdf",
    })  # fmt: skip

    funnelOrderType: Order | None = None  # noqa: N815
    funnelVizType: Literal["steps", "time_to_convert", "trends", "flow"] | None = None  # noqa: N815
    funnelWindowInterval: Annotated[int, Field(ge=1, le=100_000)] | None = None  # noqa: N815
    funnelWindowIntervalUnit: Unit | None = None  # noqa: N815
    breakdownAttributionType: Literal["first_touch", "last_touch", "all_events", "step"] | None = None  # noqa: N815
    breakdownAttributionValue: Step | None = None  # noqa: N815
    exclusions: list[Exclusion] | None = None
    funnelFromStep: Step | None = None  # noqa: N815
    funnelToStep: Step | None = None  # noqa: N815
    binCount: int | None = None  # noqa: N815
    funnelAggregateByHogQL: str | None = None  # noqa: N815
    hideIncompleteConversionWindowPeriods: bool | None = None  # noqa: N815
    customAggregationTarget: NotComputed = None  # noqa: N815


class FunnelsQuery(ByActor):
    """The query object."""

    kind: Literal["FunnelsQuery"]
    dateRange: WeekdayDates | None = None  # noqa: N815
    series: Annotated[list[Node], Field(max_length=_MOST)]
    interval: Interval | None = None
    funnelsFilter: FunnelsFilter | None = None  # noqa: N815
    breakdownFilter: BreakdownFilter | None = None  # noqa: N815
    compareFilter: CompareFilter | None = None  # noqa: N815


def check(model: FunnelsQuery) -> None:
    """Refuse a funnel that cannot be counted.

    Raises:
        ApiError: 400 for the first problem.
    """
    if len(model.series) < _FEWEST:
        raise invalid("Funnels require at least two steps.", "series")
    check_series(model.series, ("total", *FIRST_TIME), steps=True)
    filters = model.funnelsFilter or FunnelsFilter()
    _check_steps(model, filters)
    _check_optional(model, filters)
    if model.compareFilter and model.compareFilter.compare:
        _check_comparison(filters)
    check_series(filters.exclusions or [], ("total",))
    for one in filters.exclusions or []:
        _check_exclusion(model, filters, one)


def _check_steps(model: FunnelsQuery, filters: FunnelsFilter) -> None:
    last = len(model.series) - 1
    first, to = filters.funnelFromStep or 0, filters.funnelToStep
    if not first < (last if to is None else to) <= last:
        raise invalid(
            "funnelFromStep must lie before funnelToStep, and both within the series.", "funnelsFilter"
        )
    attributed = filters.breakdownAttributionValue or 0
    if filters.breakdownAttributionType == "step" and (
        attributed > last or (attributed and filters.funnelOrderType == "unordered")
    ):
        raise invalid(
            "breakdownAttributionValue must be a step; unordered funnels have only 0.", "funnelsFilter"
        )


def _check_optional(model: FunnelsQuery, filters: FunnelsFilter) -> None:
    optional = [place for place, node in enumerate(model.series) if node.optionalInFunnel]
    if not optional:
        return
    attr = f"series__{optional[0]}__optionalInFunnel"
    if optional[0] == 0:
        raise invalid("The first step of a funnel cannot be optional.", attr)
    ordered = filters.funnelOrderType in (None, "ordered")
    if not ordered or filters.funnelVizType not in (None, "steps", "flow") or filters.exclusions:
        detail = "Steps can be optional only in ordered funnels that show steps and exclude nothing."
        raise invalid(detail, attr)


def _check_comparison(filters: FunnelsFilter) -> None:
    if filters.funnelVizType not in (None, "steps", "trends"):
        detail = "Only funnels that show steps or trends can be compared with another period."
        raise invalid(detail, "compareFilter__compare")


def _check_exclusion(
    model: FunnelsQuery, filters: FunnelsFilter, one: ExcludedEvents | ExcludedActions
) -> None:
    last, attr = len(model.series) - 1, "funnelsFilter__exclusions"
    if not one.funnelFromStep < one.funnelToStep <= last:
        raise invalid("Exclusion steps must be within the series, the first before the last.", attr)
    if any(_same(one, node) for node in model.series[one.funnelFromStep : one.funnelToStep + 1]):
        raise invalid("Exclusion steps cannot contain an event that's part of funnel steps.", attr)
    whole = one.funnelFromStep == 0 and one.funnelToStep == last
    if filters.funnelOrderType == "unordered" and not whole:
        raise invalid("Partial exclusions are not allowed in unordered funnels.", attr)


def _same(one: EventsNode | ActionsNode, other: EventsNode | ActionsNode) -> bool:
    if isinstance(one, EventsNode):
        same = isinstance(other, EventsNode) and one.event == other.event
    else:
        same = isinstance(other, ActionsNode) and one.id == other.id
    return same and (one.properties or []) == (other.properties or [])
