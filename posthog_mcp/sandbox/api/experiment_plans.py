"""How long an experiment must run: computed from what is given alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field

from posthog_mcp.sandbox.experiments.moments import Sums
from posthog_mcp.sandbox.experiments.planning import (
    PlannedMetric,
    baseline_of,
    running_days,
    sample_size,
    variance_of,
)
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.http.routing import Reply, route
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from posthog_mcp.sandbox.http.routing import Call


class BaselineStats(BaseModel):
    """The sums of the baseline, as a result holds them."""

    number_of_samples: Annotated[int, Field(ge=0)]
    sum: float
    sum_squares: float = 0
    denominator_sum: float | None = None
    denominator_sum_squares: float | None = None
    numerator_denominator_sum_product: float | None = None
    step_counts: list[int] = []

    def sums(self) -> Sums:
        """As they are computed with."""
        return Sums(
            "baseline",
            self.number_of_samples,
            self.sum,
            self.sum_squares,
            self.denominator_sum or 0,
            self.denominator_sum_squares or 0,
            self.numerator_denominator_sum_product or 0,
        )


class RunningTime(BaseModel):
    """The body of `calculate_running_time/`."""

    metric_type: PlannedMetric
    minimum_detectable_effect: Annotated[float, Field(ge=0)]
    number_of_variants: Annotated[int, Field(ge=2)] = 2
    exposure_rate_per_day: Annotated[float, Field(ge=0)] | None = None
    baseline_value: float | None = None
    variance: float | None = None
    baseline_stats: BaselineStats | None = None


@route("POST", "/api/projects/{project_id}/experiments/calculate_running_time/", scope="experiment:read")
async def calculate_running_time(call: Call) -> Reply:
    """People and days until a change of the asked size would be seen."""
    asked = checked(RunningTime, await call.json())
    kind, stats = asked.metric_type, asked.baseline_stats.sums() if asked.baseline_stats else None
    if stats and kind in ("ratio", "retention") and not stats.denominator_sum:
        raise invalid("The denominator_sum of the baseline must not be 0.", "baseline_stats")
    baseline, variance = asked.baseline_value, asked.variance
    if baseline is None:
        if stats is None:
            raise invalid("Either baseline_value or baseline_stats is required.", "baseline_value")
        baseline = baseline_of(kind, stats)
    if variance is None:
        variance = variance_of(kind, baseline, stats)
        if variance is None:
            raise invalid(f"A {kind} metric needs baseline_stats or variance.", "variance")
    samples = sample_size(baseline, variance, asked.minimum_detectable_effect, asked.number_of_variants)
    return Reply(
        {
            "baseline_value": baseline,
            "variance": variance,
            "recommended_sample_size": samples,
            "recommended_running_time_days": running_days(samples, asked.exposure_rate_per_day),
        }
    )
