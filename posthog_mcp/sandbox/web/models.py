"""What the queries of web analytics share."""

from __future__ import annotations

from typing import Any, Literal

from posthog_mcp.sandbox.insights.models import CompareFilter, Filters, InsightDates, Interval, Sampling
from posthog_mcp.sandbox.queries.models import Model, NotComputed, QueryModel

OrderField = Literal[
    "Visitors", "Views", "AvgTimeOnPage", "Clicks", "BounceRate", "AverageScrollPercentage",
    "ScrollGt80Percentage", "TotalConversions", "UniqueConversions", "ConversionRate", "ConvertingUsers",
    "RageClicks", "DeadClicks", "Errors",
]  # fmt: skip
Direction = Literal["ASC", "DESC"]


class ActionGoal(Model):
    """Converting is doing this action."""

    actionId: int  # noqa: N815 - PostHog's names, here and below


class EventGoal(Model):
    """Converting is sending this event."""

    customEventName: str  # noqa: N815


class WebSampling(Model):
    """How large a sample may be."""

    enabled: bool | None = None
    forceSamplingRate: dict[str, Any] | None = None  # noqa: N815


class WebQuery(QueryModel):
    """A query object of web analytics.

    What only says how to compute or draw is left alone, and so is what PostHog leaves aside itself
    (`includeRevenue`, `useSessionsTable`). A sample is an estimate of what is counted whole here.
    """

    dateRange: InsightDates | None = None  # noqa: N815
    properties: Filters
    conversionGoal: ActionGoal | EventGoal | None = None  # noqa: N815
    compareFilter: CompareFilter | None = None  # noqa: N815
    doPathCleaning: bool | None = None  # noqa: N815
    filterTestAccounts: bool | None = None  # noqa: N815
    interval: Interval | None = None
    sampling: WebSampling | None = None
    samplingFactor: Sampling | None = None  # noqa: N815
    includeRevenue: bool | None = None  # noqa: N815
    useSessionsTable: bool | None = None  # noqa: N815
    useWebAnalyticsPrecompute: bool | None = None  # noqa: N815
    aggregation_group_type_index: NotComputed = None
    dataColorTheme: float | None = None  # noqa: N815

    @property
    def compares(self) -> bool:
        """Whether the period before is asked for as well."""
        return bool(self.compareFilter and self.compareFilter.compare)
