"""How many people an experiment needs, and for how long it must run."""

from __future__ import annotations

import math
from typing import Literal

from posthog_mcp.sandbox.experiments.moments import Sums, moments

PlannedMetric = Literal["funnel", "mean_count", "mean_sum_or_avg", "ratio", "retention"]

# PostHog's round number for a significance of 95 % and a power of 80 %.
_POWER = 16


def baseline_of(kind: PlannedMetric, sums: Sums) -> float:
    """The metric's value in the baseline's sums."""
    return moments(sums, _kind(kind), population=True).mean if sums.number_of_samples else 0.0


def variance_of(kind: PlannedMetric, baseline: float, sums: Sums | None) -> float | None:
    """The variance of one person's value; None where the kind needs sums and there are none."""
    if kind == "funnel":
        return baseline * (1 - baseline)
    if kind == "mean_count":
        return 2 * baseline
    if kind == "mean_sum_or_avg":
        return 0.25 * baseline**2
    return None if sums is None else moments(sums, _kind(kind), population=True).variance


def sample_size(baseline: float, variance: float, effect: float, variants: int) -> int | None:
    """People of all variants together to see a change of `effect` per cent; None where that is none."""
    square = (effect / 100 * baseline) ** 2
    needed = _POWER * variance / square * variants if square else math.nan
    return math.ceil(needed) if math.isfinite(needed) else None


def running_days(samples: int | None, per_day: float | None) -> int | None:
    """Days until that many people were exposed; None when either is unknown."""
    return math.ceil(samples / per_day) if samples is not None and per_day else None


def _kind(kind: PlannedMetric) -> Literal["funnel", "mean", "ratio", "retention"]:
    return "mean" if kind in ("mean_count", "mean_sum_or_avg") else kind
