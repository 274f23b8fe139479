"""What an experiment is configured with: metrics, exposure, statistics. PostHog's schema, strict."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, ValidationError

from posthog_mcp.sandbox.queries.models import NotComputed

Unit = Literal["second", "minute", "hour", "day", "week", "month"]
Math = Literal["total", "sum", "unique_session", "min", "max", "avg", "dau", "unique_group", "hogql"]
Share = Annotated[float, Field(ge=0, le=1)]
Filters = list[dict[str, Any]]

SECONDS: dict[Unit, int] = {
    "second": 1,
    "minute": 60,
    "hour": 3_600,
    "day": 86_400,
    "week": 7 * 86_400,
    # A month is always 30 days here.
    "month": 30 * 86_400,
}
MULTIPLE = "$multiple"
CONTROL = "control"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Source(_Part):
    name: str | None = None
    custom_name: str | None = None
    version: int | None = None
    math: Math | None = None
    math_property: str | None = None
    math_property_type: (
        Literal[
            "event_properties",
            "numerical_event_properties",
            "person_properties",
            "session_properties",
            "session",
        ]
        | None
    ) = None
    math_hogql: str | None = None
    math_group_type_index: Annotated[int, Field(ge=0, le=4)] | None = None
    math_multiplier: float | None = None
    math_property_revenue_currency: NotComputed = None
    optionalInFunnel: NotComputed = None  # noqa: N815 - PostHog's names, here and below
    properties: Filters | None = None
    fixedProperties: Filters | None = None  # noqa: N815


class EventsNode(_Source):
    """Events of one name, or of any."""

    kind: Literal["EventsNode"]
    event: str | None = None
    limit: NotComputed = None
    orderBy: NotComputed = None  # noqa: N815


class ActionsNode(_Source):
    """Events that an action matches."""

    kind: Literal["ActionsNode"]
    id: int


class DataWarehouseNode(_Source):
    """Rows of a connected table."""

    kind: Literal["ExperimentDataWarehouseNode"]
    table_name: str
    timestamp_field: str
    events_join_key: str
    data_warehouse_join_key: str


Source = Annotated[EventsNode | ActionsNode | DataWarehouseNode, Discriminator("kind")]


class Breakdown(_Part):
    """One property to split results by."""

    property: str | int
    type: str | None = None
    group_type_index: NotComputed = None
    histogram_bin_count: NotComputed = None
    normalize_url: NotComputed = None


class BreakdownFilter(_Part):
    """Up to three of them; experiments have none of the other fields of insights."""

    breakdowns: Annotated[list[Breakdown], Field(max_length=3)] | None = None


class OutlierHandling(_Part):
    """Values beyond these quantiles of all people count as the quantile."""

    lower_bound_percentile: Share | None = None
    upper_bound_percentile: Share | None = None
    ignore_zeros: bool | None = None


class _Metric(_Part):
    kind: Literal["ExperimentMetric"]
    uuid: str | None = None
    fingerprint: str | None = None
    name: str | None = None
    conversion_window: Annotated[int, Field(gt=0)] | None = None
    conversion_window_unit: Unit | None = None
    goal: Literal["increase", "decrease"] | None = None
    isSharedMetric: bool | None = None  # noqa: N815
    sharedMetricId: float | None = None  # noqa: N815
    breakdownFilter: BreakdownFilter | None = None  # noqa: N815
    version: int | None = None
    response: dict[str, Any] | None = None

    def window(self) -> int | None:
        """The conversion window in seconds; None until the experiment's end."""
        if self.conversion_window is None:
            return None
        return self.conversion_window * SECONDS[self.conversion_window_unit or "day"]


class MeanMetric(_Metric, OutlierHandling):
    """A number for each person."""

    metric_type: Literal["mean"]
    source: Source
    threshold: float | None = None


class FunnelMetric(_Metric):
    """How many get through all steps, the exposure being the step before the first."""

    metric_type: Literal["funnel"]
    series: Annotated[list[Source], Field(min_length=1, max_length=30)]
    funnel_order_type: Literal["ordered", "unordered", "strict"] | None = None


class RatioMetric(_Metric):
    """One number by another."""

    metric_type: Literal["ratio"]
    numerator: Source
    denominator: Source
    numerator_outlier_handling: OutlierHandling | None = None
    denominator_outlier_handling: OutlierHandling | None = None


class RetentionMetric(_Metric):
    """How many of those who start come back within a window."""

    metric_type: Literal["retention"]
    start_event: Source
    completion_event: Source
    retention_window_start: Annotated[int, Field(ge=0)]
    retention_window_end: Annotated[int, Field(ge=0)]
    retention_window_unit: Unit
    start_handling: Literal["first_seen", "last_seen"] = "first_seen"


Metric = Annotated[MeanMetric | FunnelMetric | RatioMetric | RetentionMetric, Discriminator("metric_type")]


class EventExposure(_Part):
    """The event that shows a person was exposed."""

    kind: Literal["ExperimentEventExposureConfig"]
    event: str
    properties: Filters = []
    version: int | None = None


Exposure = Annotated[EventExposure | ActionsNode, Discriminator("kind")]


class ExposureCriteria(_Part):
    """Who counts as exposed, and as what."""

    filterTestAccounts: bool | None = None  # noqa: N815
    exposure_config: Exposure | None = None
    multiple_variant_handling: Literal["exclude", "first_seen"] | None = None


class Bayesian(BaseModel):
    """The level of credible intervals, and what they are about."""

    ci_level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    difference_type: Literal["RELATIVE", "ABSOLUTE"] = "RELATIVE"


class Frequentist(BaseModel):
    """The error allowed, and whether one may look before the end."""

    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    difference_type: Literal["RELATIVE", "ABSOLUTE"] = "RELATIVE"
    sequential_testing_enabled: bool = False
    sequential_tuning_parameter: Annotated[float, Field(gt=0)] = 5_000


class StatsConfig(BaseModel):
    """How results are judged."""

    method: Literal["bayesian", "frequentist"] = "bayesian"
    baseline_variant_key: str = CONTROL
    bayesian: Bayesian = Bayesian()
    frequentist: Frequentist = Frequentist()

    @classmethod
    def of(cls, value: object) -> StatsConfig:
        """The configuration; what is wrong in it falls back to PostHog's defaults, each part for itself."""
        given: dict[str, Any] = dict(value) if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownArgumentType]
        for name in cls.model_fields:
            try:
                cls.model_validate({name: given[name]} if name in given else {})
            except ValidationError:
                del given[name]
        return cls.model_validate(given)
