"""A TrendsQuery and what it counts, for its chart and for the people behind a point of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from posthog_mcp.sandbox.compiler.trees import all_of, select
from posthog_mcp.sandbox.experiments.trees import query
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.insights.asking import Asking, alias
from posthog_mcp.sandbox.insights.breakdowns import (
    LIMIT,
    NULL,
    CohortSplit,
    bin_edges,
    binned_value,
    cohorts_of,
    number_value,
    properties_of,
    text_value,
)
from posthog_mcp.sandbox.insights.models import (
    BreakdownFilter,
    CompareFilter,
    Drawn,
    InsightQuery,
    Interval,
    Node,
    WeekdayDates,
)
from posthog_mcp.sandbox.insights.periods import Period, on_days, period_of, previous_of
from posthog_mcp.sandbox.insights.series import check_series, filters_of_query, matching
from posthog_mcp.sandbox.insights.trend_rows import Counting
from posthog_mcp.sandbox.queries.models import Model, NotComputed

if TYPE_CHECKING:
    from posthog_mcp.hogql import ast
    from posthog_mcp.sandbox.insights.models import Breakdown

Display = Literal[
    "ActionsLineGraph", "ActionsBar", "ActionsUnstackedBar", "ActionsStackedBar", "ActionsAreaGraph",
    "ActionsLineGraphCumulative", "BoldNumber", "ActionsPie", "ActionsDonut", "ActionsBarValue",
    "ActionsTable", "WorldMap", "CalendarHeatmap",
]  # fmt: skip
_CUMULATIVE = "ActionsLineGraphCumulative"
# One number over the whole range instead of one for each bucket.
_WHOLE = frozenset({
    "BoldNumber", "ActionsPie", "ActionsDonut", "ActionsBarValue", "ActionsTable", "WorldMap",
    "CalendarHeatmap",
})  # fmt: skip
_WORLD_LIMIT = 250


class FormulaNode(Model):
    """A formula with a name of its own."""

    formula: str
    custom_name: str | None = None


class TrendsFilter(Drawn):
    """How the numbers are put together and shown."""

    DRAWN = frozenset({
        "aggregationAxisFormat", "aggregationAxisPostfix", "aggregationAxisPrefix", "confidenceLevel",
        "decimalPlaces", "detailedResultsAggregationType", "excludeBoxPlotOutliers", "goalLines",
        "hiddenLegendIndexes", "legendPosition", "metricChangeDecreaseColor", "metricChangeIncreaseColor",
        "metricColorByDirection", "metricLineDecreaseColor", "metricLineIncreaseColor", "metricShowChange",
        "metricSummary", "minDecimalPlaces", "movingAverageIntervals", "resultCustomizationBy",
        "resultCustomizations", "showAlertThresholdLines", "showAnnotations", "showConfidenceIntervals",
        "showLabelsOnSeries", "showLegend", "showMovingAverage", "showMultipleYAxes", "showPercentStackView",
        "showTrendLines", "showValuesOnSeries", "stackBreakdownValues", "xAxisLabel", "yAxisLabel",
        "yAxisScaleType",
    })  # fmt: skip

    display: Display | None = None
    formula: str | None = None
    formulas: list[str] | None = None
    formulaNodes: list[FormulaNode] | None = None  # noqa: N815 - PostHog's names, here and below
    smoothingIntervals: Annotated[int, Field(ge=1, le=1_000)] | None = None  # noqa: N815
    breakdown_histogram_bin_count: NotComputed = None
    hideWeekends: NotComputed = None  # noqa: N815

    @property
    def computed(self) -> list[FormulaNode]:
        """The formulas, in whichever form they come."""
        texts = self.formulas or ([self.formula] if self.formula else [])
        return self.formulaNodes or [FormulaNode(formula=text) for text in texts]

    @property
    def whole(self) -> bool:
        """Whether the display shows one number over the whole range."""
        return self.display in _WHOLE

    @property
    def cumulative(self) -> bool:
        """Whether buckets add up."""
        return self.display == _CUMULATIVE


class CalendarHeatmapFilter(Model):
    """Where events of a session that lasts past midnight belong: each to its own day."""

    bucketBySessionStart: NotComputed = None  # noqa: N815


class TrendsQuery(InsightQuery):
    """The query object."""

    kind: Literal["TrendsQuery"]
    dateRange: WeekdayDates | None = None  # noqa: N815
    series: Annotated[list[Node], Field(min_length=1, max_length=26)]
    interval: Interval | None = None
    trendsFilter: TrendsFilter | None = None  # noqa: N815
    breakdownFilter: BreakdownFilter | None = None  # noqa: N815
    compareFilter: CompareFilter | None = None  # noqa: N815
    conversionGoal: NotComputed = None  # noqa: N815
    calendarHeatmapFilter: CalendarHeatmapFilter | None = None  # noqa: N815
    # PostHog leaves it aside too: series count groups by their math.
    aggregation_group_type_index: NotComputed = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a TrendsQuery counts.

    Attributes:
        model: The query.
        period: Its own.
        previous: The one it is compared with.
        where: The query's filters.
        splits: Values to split by, as text.
        cohorts: Cohorts to split by instead.
        asking: The project and the engine.
    """

    model: TrendsQuery
    period: Period
    previous: Period | None
    where: ast.Expr
    splits: list[ast.Expr]
    cohorts: list[CohortSplit]
    asking: Asking

    @property
    def filter(self) -> TrendsFilter:
        """How the numbers are put together."""
        return self.model.trendsFilter or TrendsFilter()

    @property
    def limit(self) -> int:
        """How many values keep their names."""
        given = self.model.breakdownFilter
        default = _WORLD_LIMIT if self.filter.display == "WorldMap" else LIMIT
        return (given.breakdown_limit if given else None) or default

    def counting(self, index: int, period: Period, cohort: CohortSplit | None = None) -> Counting:
        """One series over one of the periods, of everybody or of a cohort."""
        return Counting(
            self.model.series[index],
            period,
            all_of([self.where, cohort.where]) if cohort else self.where,
            self.splits,
            self.asking.world,
            whole=self.filter.whole,
            once=self.filter.cumulative,
        )


async def plan_of(asking: Asking, model: TrendsQuery) -> Plan:
    """What the query counts; asks the engine for the first event and for bins where they are needed.

    Raises:
        ApiError: 400 for what cannot be computed.
        CompileError: The query names what the project does not have.
    """
    world, whole = asking.world, bool(model.trendsFilter and model.trendsFilter.whole)
    days = _days(model)
    check_series(model.series)
    events = [matching(node, world) for node in model.series]
    interval = "day" if whole else model.interval or "day"
    earliest = await asking.earliest(model.dateRange, events)
    period = period_of(model.dateRange, interval, world, earliest)
    compare, previous = model.compareFilter, None
    if compare and compare.compare:
        previous = previous_of(period, model.dateRange, compare, world)
    period, previous = period.on(days), previous.on(days) if previous else None
    where = all_of([filters_of_query(model, world), on_days(days)])
    splits = [
        await _split(asking, one, all_of([period.within(), where, events[0]]))
        for one in properties_of(model.breakdownFilter)
    ]
    cohorts = cohorts_of(model.breakdownFilter, world)
    return Plan(model, period, previous, where, splits, cohorts, asking)


def _days(model: TrendsQuery) -> list[int]:
    days = (model.dateRange.daysOfWeek if model.dateRange else None) or []
    over = (model.trendsFilter.smoothingIntervals if model.trendsFilter else None) or 1
    if days and over > 1:
        raise invalid("daysOfWeek cannot be combined with smoothing.", "dateRange__daysOfWeek")
    return days


async def _split(asking: Asking, one: Breakdown, events: ast.Expr) -> ast.Expr:
    if one.histogram_bin_count is None:
        return text_value(one, NULL)
    numbers = select([alias("number", number_value(one))], "events", where=events)
    ends = query("SELECT min(number) AS low, max(number) AS high FROM {numbers}", numbers=numbers)
    ((low, high),) = await asking.rows(ends)
    return binned_value(one, [] if low is None else bin_edges(low, high, one.histogram_bin_count))
